// kvcache tokenize: the ids of a text, and the piece of text behind each; or the ids of many texts.
#include <fmt/core.h>

#include <memory>
#include <sstream>

#include "commands.hpp"
#include "common/model_choice.hpp"
#include "common/text_argument.hpp"
#include "terminal.hpp"

namespace kvcache::cli {
namespace {

void show_tokens(const Tokenizer& tokenizer, const std::string& text) {
  const std::vector<int> ids = tokenizer.encode(text);
  const bool is_terminal = ::isatty(STDOUT_FILENO) != 0;
  for (const int id : ids) {  // as JSON strings, so that spaces, line ends and single bytes can be seen
    const std::string piece = nlohmann::json(std::string(tokenizer.bytes_of(id)))
                                  .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    fmt::print("{:>7}  {}\n", id, is_terminal ? printable(piece) : piece);
  }
  fmt::print("{} tokens for {} bytes\n", ids.size(), text.size());
}

/// One array of ids for each line, which is a text as a JSON string. Errors: a file that cannot be read; a line that is
/// something else, by its number.
void print_ids_of_lines(const Tokenizer& tokenizer, const std::string& path) {
  std::istringstream file(read_whole(path));
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string where = path + ": line " + std::to_string(++number);
    const auto text = json_as<std::string>(parse_json(line, where), where);
    fmt::print("{}\n", nlohmann::json(say_where(where, [&] { return tokenizer.encode(text); })).dump());
  }
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
  // Not an option group, which says by itself that one of two is needed: behind "--" it finds no text.
  CLI::Option* text = command->add_option("text", choice->text,
                                          std::string("the text; behind -- it may begin with a dash") + text_ways);
  const CLI::Option* lines =
      command
          ->add_option("--json-lines", choice->json_lines,
                       "a file with a text on each line, as a JSON string: prints the ids of each, as a JSON array on "
                       "a line; -: standard input")
          ->excludes(text);
  command->callback([choice, text, lines] {
    if (text->count() + lines->count() == 0) throw CLI::RequiredError("a text, or --json-lines with a file,");
    const ModelChoice chosen = choose_model(choice->model);
    check(!chosen.is_shape(), "tokenize: ", choice->model,
          " is a shape without a tokenizer; give a model's folder or GGUF file");
    const Tokenizer tokenizer = chosen.files->tokenizer();
    if (lines->count() > 0)
      print_ids_of_lines(tokenizer, choice->json_lines);
    else
      show_tokens(tokenizer, text_argument(choice->text));
  });
}

}  // namespace kvcache::cli
