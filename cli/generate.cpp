// kvcache generate: writes text, token by token.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "commands.hpp"
#include "device.hpp"
#include "json_output.hpp"
#include "kvcache/io/model_fingerprint.hpp"
#include "kvcache/io/session.hpp"
#include "kvcache/text.hpp"
#include "loading.hpp"

namespace kvcache::cli {
namespace {

struct GenerateChoice {
  std::string model = "tiny", prompt = "To be, or not to be", cache = "growing", json, system, session;
  int tokens = 100, threads = 0;
  bool chat = false, has_prompt = false, has_cache = false;  // the last two: given, not left as they are
  WeightsChoice weights;
  DeviceChoice device;
  SamplingOptions sampling;
};

/// Runs what asks a chat template, and says what can be done without one.
template <class Ask>
auto with_advice(const Ask& ask) {
  try {
    return ask();
  } catch (const Error& error) {
    fail(error.what(), "; without --chat the prompt is read as it stands: write it there in the model's own format");
  }
}

/// The model's chat template, where --chat asks for it and there is one; tried on the prompt, before anybody waits for
/// the weights. Errors: those of Checkpoint::chat_template and ChatTemplate::render.
std::optional<ChatTemplate> find_template(const GenerateChoice& choice, const ModelChoice& chosen) {
  if (!choice.chat) return {};
  return with_advice([&] {
    std::optional<ChatTemplate> chat = chosen.files->chat_template();
    if (chat)
      chat->first(choice.system, choice.prompt), chat->end_of_answer();
    else
      fmt::print(stderr, "kvcache: {} has no chat template, so no chat format is known; the prompt is read as it is\n",
                 choice.model);
    return chat;
  });
}

/// What the model reads: the prompt as it stands, or put as a question in the model's own chat format. A template
/// writes the tokens that begin a text itself.
std::vector<int> ids_to_read(const GenerateChoice& choice, const std::optional<ChatTemplate>& chat,
                             const ModelChoice& chosen, const std::optional<Tokenizer>& tokenizer) {
  if (chat) return tokenizer->encode_more(chat->first(choice.system, choice.prompt));
  return prompt_ids(chosen, tokenizer, choice.prompt, 0, 0);
}

/// The same after `text`, that the session holds. Without a prompt the text just goes on.
std::vector<int> more_to_read(const GenerateChoice& choice, const std::optional<ChatTemplate>& chat,
                              const Tokenizer& tokenizer, std::span<const int> text) {
  if (!choice.has_prompt) return {};
  if (!chat) return tokenizer.encode_more(choice.prompt);
  std::string more = chat->next(choice.prompt);
  const std::string_view last = text.empty() ? "" : tokenizer.bytes_of(text.back());
  if (!last.empty() && tokenizer.is_added(text.back()) && more.starts_with(last))
    more.erase(0, last.size());  // the answer has said its end itself
  return tokenizer.encode_more(more);
}

/// After which tokens the model has said all: those its files name, and in a chat what the template ends an answer
/// with.
std::vector<int> end_tokens(const std::optional<ChatTemplate>& chat, const ModelChoice& chosen,
                            const std::optional<Tokenizer>& tokenizer) {
  std::vector<int> ends = chosen.config.end_tokens;
  if (!chat) return ends;
  const std::vector<int> written = tokenizer->encode_more(chat->end_of_answer());
  if (!written.empty() && tokenizer->is_added(written[0])) ends.push_back(written[0]);
  return ends;
}

/// The session to go on with, if there is one. Errors: --cache or --system that do not fit it; those of load_session.
std::optional<SavedSession> find_session(const GenerateChoice& choice, std::uint64_t fingerprint) {
  if (choice.session.empty()) return {};
  check(choice.cache != "none",
        "generate: --session keeps the cache, but --cache none keeps nothing; name another cache");
  if (!std::filesystem::exists(choice.session)) {
    const auto folder = std::filesystem::absolute(choice.session).parent_path();  // asked now: writing takes a while
    check(std::filesystem::is_directory(folder), choice.session, ": there is no folder ", folder.string(),
          "; make it first");
    return {};
  }
  SavedSession saved = load_session(choice.session, fingerprint);
  const std::string& cache = saved.session().cache;
  check(!choice.has_cache || choice.cache == cache, "generate: the session ", choice.session, " has the cache \"",
        cache, "\", but --cache ", choice.cache, " is given; leave --cache out, or begin another session");
  check(choice.system.empty(), "generate: --system is said at the beginning, but the session ", choice.session,
        " has begun; leave it out, or begin another session");
  check(!saved.session().tokens.empty(), "generate: the session ", choice.session, " holds no text; begin another");
  return saved;
}

/// Writes the text with one path, and what was asked for about it.
void write(const GenerateChoice& choice, const ModelChoice& chosen, const std::optional<Tokenizer>& tokenizer,
           const std::optional<ChatTemplate>& chat, std::uint64_t fingerprint, const std::optional<SavedSession>& saved,
           auto& path) {
  Work work;
  const std::vector<int> prompt = [&] {
    const Timed timed(work, Part::tokenising);
    if (!saved) return ids_to_read(choice, chat, chosen, tokenizer);
    std::vector<int> text = saved->session().tokens;
    const std::vector<int> more = more_to_read(choice, chat, *tokenizer, text);
    text.insert(text.end(), more.begin(), more.end());
    return text;
  }();
  if (tokenizer) check_ids(prompt, chosen, *tokenizer);
  const std::vector<int> ends = end_tokens(chat, chosen, tokenizer);

  const bool use_cache = choice.cache != "none";
  const std::string spec = saved ? saved->session().cache : use_cache ? choice.cache : "growing";
  const CacheShape shape = chosen.config.cache_shape();
  auto cache = path.cache(spec, int(prompt.size()) + choice.tokens);
  if (saved) {
    saved->restore(cache);
    fmt::print(stderr, "kvcache: {}: resumed {} tokens, {} of them in the cache ({}); {} to compute before the next\n",
               choice.session, saved->session().tokens.size(), cache.length(0), spec,
               prompt.size() - std::size_t(cache.length(0)));
  }
  Utf8Stream stream;
  std::string text;
  std::vector<double> seconds;
  const auto print = [&](const std::string& piece) {
    text += piece;
    fmt::print("{}", piece);
    std::fflush(stdout);
  };
  // The text goes on from the prompt, but an answer stands alone; so does what follows a session without a new prompt.
  if (!choice.chat && (!saved || choice.has_prompt)) fmt::print("{}", choice.prompt);
  const std::vector<int> ids =
      generate(path.model, cache, prompt,
               {.tokens = choice.tokens, .use_cache = use_cache, .sampling = choice.sampling, .stop_tokens = ends},
               [&](const Step<float>& step) {
                 seconds.push_back(step.seconds);
                 work += step.work;
                 const Timed timed(work, Part::tokenising);
                 const bool is_end = std::ranges::count(ends, step.token) > 0;
                 if (!choice.chat || !is_end) print(stream.add(tokenizer->bytes_of(step.token)));
               });
  print(stream.finish());
  fmt::print("\n");
  if (!choice.session.empty()) {
    std::vector<int> written = prompt;
    written.insert(written.end(), ids.begin(), ids.end());
    save_session(choice.session, {choice.model, fingerprint, spec, std::move(written)}, cache);
  }

  if (choice.json.empty()) return;
  const std::size_t formula = shape.bytes_per_token(sizeof(float)) * (prompt.size() + ids.size() - 1);
  write_json(choice.json, {{"model", choice.model},
                           {"cache", use_cache ? spec : choice.cache},
                           {"prompt_ids", prompt},
                           {"resumed_tokens", saved ? saved->session().tokens.size() : 0},
                           {"generated_ids", ids},
                           {"text", text},
                           {"seconds_per_step", seconds},
                           {"parts", to_json(work)},
                           {"memory", to_json(cache.memory(), formula)}});
}

void run_generate(const GenerateChoice& choice) {
  choose_threads(choice.threads);
  const ModelChoice chosen = choose_model(choice.model);
  check(!chosen.is_shape(), "generate: ", choice.model,
        " has random weights and no tokenizer, so it writes no text; use race or memory for shapes");
  choice.device.check_there();
  check(!choice.device.is_gpu() || choice.session.empty(),
        "generate: --session saves a cache, but the rows of one on a GPU cannot be saved; use --device cpu for it");
  const std::optional<Tokenizer> tokenizer = load_tokenizer(chosen);
  const std::uint64_t fingerprint =
      choice.session.empty() ? 0 : model_fingerprint(chosen.config, chosen.files->tensors().tensors);
  const std::optional<SavedSession> saved = find_session(choice, fingerprint);
  const std::optional<ChatTemplate> chat = find_template(choice, chosen);
  const Model<float> model = load_with_notice<float>(chosen, /*seed*/ 0, choice.weights.value());
  choice.device.with_path(model, [&](auto& path) { write(choice, chosen, tokenizer, chat, fingerprint, saved, path); });
}

}  // namespace

void add_generate(CLI::App& app) {
  auto choice = std::make_shared<GenerateChoice>();
  CLI::App* command = app.add_subcommand("generate", "Write text after a prompt, token by token");
  command->footer(
      "Examples: kvcache generate --prompt \"ROMEO.\" --tokens 80 --temperature 0.8 --top-k 40 --seed 7\n"
      "          kvcache generate --model smollm2 --chat --prompt \"Why is the sky blue?\"\n"
      "          kvcache generate --model smollm2 --chat --session sky --prompt \"And at dusk?\"");
  command
      ->add_option("--model", choice->model, "tiny, tiny-mha, tiny-mqa, smollm2, a Hugging Face folder, or a GGUF file")
      ->capture_default_str();
  CLI::Option* prompt =
      command->add_option("--prompt", choice->prompt, "the text to go on from")->capture_default_str();
  command->add_flag("--chat", choice->chat, "put the prompt as a question, as the model's chat template writes it");
  command->add_option("--system", choice->system, "with --chat: what the model is told before the question");
  command->add_option("--tokens", choice->tokens, "how many tokens to write at most")->capture_default_str();
  CLI::Option* cache =
      command->add_option("--cache", choice->cache, "none, or as in kvcache caches")->capture_default_str();
  command->add_option("--session", choice->session,
                      "go on with the text and the cache of this file, and save them there at the end; it is made if "
                      "there is none");
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
  choice->device.add_to(*command);
  command->add_option("--threads", choice->threads, "threads to use; default: all cores");
  command->add_option("--json", choice->json, "write ids, text, times and memory to this file");
  command->callback([choice, prompt, cache] {
    choice->has_prompt = prompt->count() > 0, choice->has_cache = cache->count() > 0;
    run_generate(*choice);
  });
}

}  // namespace kvcache::cli
