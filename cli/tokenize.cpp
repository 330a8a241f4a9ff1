// kvcache tokenize: the ids of a text, and the piece of text behind each; or the ids of many texts.
#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "commands.hpp"
#include "common/model_choice.hpp"
#include "terminal.hpp"

namespace kvcache::cli {
namespace {

void show_tokens(const Tokenizer& tokenizer, const std::string& text) {
  const std::vector<int> ids = tokenizer.encode(text);
  for (const int id : ids)  // as JSON strings, so that spaces, line ends and single bytes can be seen
    fmt::print("{:>7}  {}\n", id,
               nlohmann::json(std::string(tokenizer.bytes_of(id)))
                   .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  fmt::print("{} tokens for {} bytes\n", ids.size(), text.size());
}

/// One array of ids for each line, which is a text as a JSON string. Errors: a file that cannot be read; a line that is
/// something else, by its number.
void print_ids_of_lines(const Tokenizer& tokenizer, const std::string& path) {
  std::ifstream file(path);
  std::error_code ignored;
  check(file.is_open() && !std::filesystem::is_directory(path, ignored), path,
        ": cannot be opened; give a file with one JSON string on each line");
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string where = path + ": line " + std::to_string(++number);
    const auto text = json_as<std::string>(parse_json(line, where), where);
    fmt::print("{}\n", nlohmann::json(say_where(where, [&] { return tokenizer.encode(text); })).dump());
  }
  check(file.eof(), path, ": cannot be read beyond line ", number);
}

}  // namespace

void add_tokenize(CLI::App& app) {
  struct Choice {
    std::string model = "tiny", text, json_lines;
  };
  auto choice = std::make_shared<Choice>();
  CLI::App* command = app.add_subcommand("tokenize", "Show the tokens of a text: id and piece");
  command->footer("Example: kvcache tokenize --model tiny \"Shall I compare thee to a summer's day?\"");
  command->add_option("--model", choice->model, "tiny, smollm2, a Hugging Face folder, or a GGUF file")
      ->capture_default_str();
  CLI::Option_group* input = command->add_option_group("input", "one of");
  input->require_option(1);
  input->add_option("text", choice->text, "the text");
  const CLI::Option* lines = input->add_option(
      "--json-lines", choice->json_lines,
      "a file with a text on each line, as a JSON string: prints the ids of each, as a JSON array on a line");
  command->callback([choice, lines] {
    const ModelChoice chosen = choose_model(choice->model);
    check(!chosen.is_shape(), "tokenize: ", choice->model,
          " is a shape without a tokenizer; give a model's folder or GGUF file");
    const Tokenizer tokenizer = chosen.files->tokenizer();
    if (lines->count() > 0)
      print_ids_of_lines(tokenizer, choice->json_lines);
    else
      show_tokens(tokenizer, choice->text);
  });
}

}  // namespace kvcache::cli
