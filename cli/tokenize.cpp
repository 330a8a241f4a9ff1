// kvcache tokenize: the ids of a text, and the piece of text behind each.
#include <fmt/core.h>

#include <memory>

#include "commands.hpp"
#include "common/model_choice.hpp"
#include "terminal.hpp"

namespace kvcache::cli {

void add_tokenize(CLI::App& app) {
  struct Choice {
    std::string model = "tiny", text;
  };
  auto choice = std::make_shared<Choice>();
  CLI::App* command = app.add_subcommand("tokenize", "Show the tokens of a text: id and piece");
  command->footer("Example: kvcache tokenize --model tiny \"Shall I compare thee to a summer's day?\"");
  command->add_option("--model", choice->model, "tiny, smollm2, a Hugging Face folder, or a GGUF file")
      ->capture_default_str();
  command->add_option("text", choice->text, "the text")->required();
  command->callback([choice] {
    const ModelChoice chosen = choose_model(choice->model);
    check(!chosen.is_shape(), "tokenize: ", choice->model,
          " is a shape without a tokenizer; give a model's folder or GGUF file");
    const Tokenizer tokenizer = chosen.files->tokenizer();
    const std::vector<int> ids = tokenizer.encode(choice->text);
    for (const int id : ids)  // as JSON strings, so that spaces, line ends and single bytes can be seen
      fmt::print("{:>7}  {}\n", id,
                 nlohmann::json(std::string(tokenizer.bytes_of(id)))
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    fmt::print("{} tokens for {} bytes\n", ids.size(), choice->text.size());
  });
}

}  // namespace kvcache::cli
