// kvcache generate: writes text, token by token.
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "commands.hpp"
#include "json_output.hpp"
#include "kvcache/text.hpp"
#include "loading.hpp"

namespace kvcache::cli {
namespace {

struct GenerateChoice {
  std::string model = "tiny", prompt = "To be, or not to be", cache = "growing", json, system;
  int tokens = 100, threads = 0;
  bool chat = false;
  WeightsChoice weights;
  SamplingOptions sampling;
};

/// What the model reads: the prompt as it stands, or put as a question in the model's own chat format.
std::string text_to_read(const GenerateChoice& choice, const ModelChoice& chosen) {
  if (!choice.chat) return choice.prompt;
  const ChatFormat format = chosen.files->chat_format();
  if (format == ChatFormat::none)
    fmt::print(stderr,
               "kvcache: {} says no chat format that is known here (ChatML, Llama 3); the prompt is read as it is\n",
               choice.model);
  return chat_prompt(format, choice.system, choice.prompt);
}

void run_generate(const GenerateChoice& choice) {
  choose_threads(choice.threads);
  const ModelChoice chosen = choose_model(choice.model);
  check(!chosen.is_shape(), "generate: ", choice.model,
        " has random weights and no tokenizer, so it writes no text; use race or memory for shapes");
  const std::optional<Tokenizer> tokenizer = load_tokenizer(chosen);
  const Model<float> model = load_with_notice<float>(chosen, /*seed*/ 0, choice.weights.value());
  Transformer<float> transformer(model);
  Work work;
  const std::vector<int> prompt = [&] {
    const Timed timed(work, Part::tokenising);
    return prompt_ids(chosen, tokenizer, text_to_read(choice, chosen), 0, 0);
  }();

  const bool use_cache = choice.cache != "none";
  const CacheShape shape = chosen.config.cache_shape();
  auto cache = make_cache(use_cache ? choice.cache : "growing", shape, int(prompt.size()) + choice.tokens);
  Utf8Stream stream;
  std::string text;
  std::vector<double> seconds;
  const auto print = [&](const std::string& piece) {
    text += piece;
    fmt::print("{}", piece);
    std::fflush(stdout);
  };
  if (!choice.chat) fmt::print("{}", choice.prompt);  // the text goes on from it; an answer stands alone
  const std::vector<int> ids = generate(transformer, cache, prompt,
                                        {.tokens = choice.tokens,
                                         .use_cache = use_cache,
                                         .sampling = choice.sampling,
                                         .stop_tokens = chosen.config.end_tokens},
                                        [&](const Step<float>& step) {
                                          seconds.push_back(step.seconds);
                                          work += step.work;
                                          const Timed timed(work, Part::tokenising);
                                          const bool is_end =
                                              std::ranges::count(chosen.config.end_tokens, step.token) > 0;
                                          if (!choice.chat || !is_end)
                                            print(stream.add(tokenizer->bytes_of(step.token)));
                                        });
  print(stream.finish());
  fmt::print("\n");

  if (choice.json.empty()) return;
  const std::size_t formula = shape.bytes_per_token(sizeof(float)) * (prompt.size() + ids.size() - 1);
  write_json(choice.json, {{"model", choice.model},
                           {"cache", choice.cache},
                           {"prompt_ids", prompt},
                           {"generated_ids", ids},
                           {"text", text},
                           {"seconds_per_step", seconds},
                           {"parts", to_json(work)},
                           {"memory", to_json(cache.memory(), formula)}});
}

}  // namespace

void add_generate(CLI::App& app) {
  auto choice = std::make_shared<GenerateChoice>();
  CLI::App* command = app.add_subcommand("generate", "Write text after a prompt, token by token");
  command->footer(
      "Examples: kvcache generate --prompt \"ROMEO.\" --tokens 80 --temperature 0.8 --top-k 40 --seed 7\n"
      "          kvcache generate --model smollm2 --chat --prompt \"Why is the sky blue?\"");
  command
      ->add_option("--model", choice->model, "tiny, tiny-mha, tiny-mqa, smollm2, a Hugging Face folder, or a GGUF file")
      ->capture_default_str();
  command->add_option("--prompt", choice->prompt, "the text to go on from")->capture_default_str();
  command->add_flag("--chat", choice->chat, "put the prompt as a question, in the model's chat format");
  command->add_option("--system", choice->system, "with --chat: what the model is told before the question");
  command->add_option("--tokens", choice->tokens, "how many tokens to write at most")->capture_default_str();
  command->add_option("--cache", choice->cache, "none, or as in kvcache caches")->capture_default_str();
  SamplingOptions& sampling = choice->sampling;
  command->add_option("--temperature", sampling.temperature, "0: always the likeliest token; 1: as the model says")
      ->capture_default_str();
  command->add_option("--top-k", sampling.top_k, "only the k likeliest tokens; 0: all")->capture_default_str();
  command->add_option("--top-p", sampling.top_p, "only the likeliest tokens that reach this probability")
      ->capture_default_str();
  command->add_option("--repetition-penalty", sampling.repetition_penalty, "above 1: repeat less")
      ->capture_default_str();
  command->add_option("--seed", sampling.seed, "the same seed draws the same text")->capture_default_str();
  choice->weights.add_to(*command);
  command->add_option("--threads", choice->threads, "threads to use; default: all cores");
  command->add_option("--json", choice->json, "write ids, text, times and memory to this file");
  command->callback([choice] { run_generate(*choice); });
}

}  // namespace kvcache::cli
