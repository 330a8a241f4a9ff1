// kvcache generate: writes text, token by token.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "commands.hpp"
#include "common/session_cache.hpp"
#include "common/text_argument.hpp"
#include "device.hpp"
#include "json_output.hpp"
#include "kvcache/io/model_fingerprint.hpp"
#include "kvcache/io/session.hpp"
#include "kvcache/text.hpp"
#include "loading.hpp"
#include "outputs.hpp"
#include "stop_signal.hpp"

namespace kvcache::cli {
namespace {

struct GenerateChoice {
  std::string model = "tiny", cache = "growing", json, system, session;
  PromptChoice prompt_given{.text = "To be, or not to be"};
  std::string prompt;  // what was given stands for
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
      say("kvcache", choice.model + " has no chat template, so no chat format is known; the prompt is read as it is");
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

/// The session to go on with, if there is one. Errors: --cache or --system that do not fit it; those of load_session
/// and check_session_cache.
std::optional<SavedSession> find_session(const GenerateChoice& choice, const ModelConfig& config,
                                         std::uint64_t fingerprint) {
  if (choice.session.empty()) return {};
  check(choice.cache != "none",
        "generate: --session keeps the cache, but --cache none keeps nothing; name another cache");
  std::error_code ignored;  // what is wrong with the name was said when it was locked
  if (!std::filesystem::exists(choice.session, ignored)) return {};
  SavedSession saved = load_session(choice.session, fingerprint);
  const std::string& cache = saved.session().cache;
  check(!choice.has_cache || choice.cache == cache, "generate: the session ", choice.session, " has the cache \"",
        cache.substr(0, 100), "\", but --cache ", choice.cache,
        " is given; leave --cache out, or begin another session");
  check(choice.system.empty(), "generate: --system is said at the beginning, but the session ", choice.session,
        " has begun; leave it out, or begin another session");
  check(!saved.session().tokens.empty(), "generate: the session ", choice.session, " holds no text; begin another");
  for (const int token : saved.session().tokens)
    check(token < config.vocab, choice.session, ": a token of the text has the id ", token, ", but the model knows ",
          config.vocab, "; the file is broken: begin another session");
  check_session_cache(saved, config.cache_shape(), choice.has_cache);
  return saved;
}

/// What a text looks like where it is printed. Programs get its very bytes; a terminal would obey some of them, and a
/// model can be made to write any.
std::string as_printed(const std::string& text) {
  static const bool is_terminal = ::isatty(STDOUT_FILENO) != 0;
  return is_terminal ? printable(text, /*keep_lines*/ true) : text;
}

/// A text on its way.
struct Writing {
  std::string text;  // what was written, without the prompt
  std::vector<int> ids;
  std::vector<double> seconds;  // of each step
  Work work;
  bool is_kept = false;  // a file was asked for too: then it matters less what becomes of standard output
  bool is_read = true;   // false: standard output cannot be written any more
  bool goes_on() const { return (is_read || is_kept) && StopSignal::received() == 0; }

  void print(const std::string& piece) {
    text += piece;
    is_read = is_read && print_at_once(as_printed(piece));
  }
};

/// Token by token, to the end or until somebody stops it. `beginning` is printed first.
void write_text(const std::vector<int>& ends, const Tokenizer& tokenizer, const std::string& beginning, bool chat,
                auto& decoding, Writing& writing) {
  if (!writing.goes_on()) return;
  Utf8Stream stream;
  writing.is_read = print_at_once(as_printed(beginning));
  while (writing.goes_on() && !decoding.done()) {
    const Step<float>& step = decoding.next();
    writing.ids.push_back(step.token);
    writing.seconds.push_back(step.seconds);
    writing.work += step.work;
    const Timed timed(writing.work, Part::tokenising);
    if (!chat || std::ranges::count(ends, step.token) == 0) writing.print(stream.add(tokenizer.bytes_of(step.token)));
  }
  writing.print(stream.finish());
  writing.is_read = writing.is_read && print_at_once("\n");
}

/// Says what became of a text that was stopped: how far it came, and whether the session has it.
void say_stopped(const GenerateChoice& choice, const Writing& writing, bool is_saved, bool is_resumed) {
  std::string sentence =
      fmt::format("stopped by {} after {} of {} tokens", StopSignal::name(), writing.ids.size(), choice.tokens);
  if (is_saved) sentence += "; the session " + choice.session + " has them";
  if (!is_saved && !choice.session.empty())
    sentence += "; the session " + choice.session + (is_resumed ? " is as it was" : " was not begun");
  say("kvcache", sentence);
}

/// Writes the text with one path, and what was asked for about it.
void write(const GenerateChoice& choice, const ModelChoice& chosen, const std::optional<Tokenizer>& tokenizer,
           const std::optional<ChatTemplate>& chat, std::uint64_t fingerprint, const std::optional<SavedSession>& saved,
           std::optional<FileToWrite>& session, Outputs& outputs, auto& path) {
  Writing writing;
  writing.is_kept = session || !choice.json.empty();
  const std::vector<int> prompt = [&] {
    const Timed timed(writing.work, Part::tokenising);
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
  auto cache =
      path.cache(spec, slots_sum("generate: the prompt and --tokens", int(prompt.size()), std::max(0, choice.tokens)));
  if (saved) {
    saved->restore(cache);
    say("kvcache", fmt::format("{}: resumed {} tokens, {} of them in the cache ({}); {} to compute before the next",
                               choice.session, saved->session().tokens.size(), cache.length(0), spec,
                               prompt.size() - std::size_t(cache.length(0))));
  }
  // The text goes on from the prompt, but an answer stands alone; so does what follows a session without a new prompt.
  const std::string beginning = !choice.chat && (!saved || choice.has_prompt) ? choice.prompt : "";
  Decoding decoding(
      path.model, cache, std::span<const int>(prompt),
      {.tokens = choice.tokens, .use_cache = use_cache, .sampling = choice.sampling, .stop_tokens = ends});
  try {
    write_text(ends, *tokenizer, beginning, choice.chat, decoding, writing);
  } catch (const Error& error) {
    if (session) fail(error.what(), "; the session ", choice.session, saved ? " is as it was" : " was not begun");
    throw;
  }

  const int stopped_by = decoding.done() ? 0 : StopSignal::received();
  bool is_saved = false;
  if (session && !writing.ids.empty())
    outputs.attempt([&] {
      std::vector<int> text = prompt;
      text.insert(text.end(), writing.ids.begin(), writing.ids.end());
      save_session(*session, {choice.model, fingerprint, spec, std::move(text)}, cache);
      is_saved = true;
    });
  outputs.write(choice.json, [&] {
    const std::size_t fed = prompt.size() + writing.ids.size() - (writing.ids.empty() ? 0 : 1);  // the last one is not
    return json_text(
        {{"model", choice.model},
         {"cache", use_cache ? spec : choice.cache},
         {"prompt_ids", prompt},
         {"resumed_tokens", saved ? saved->session().tokens.size() : 0},
         {"generated_ids", writing.ids},
         {"text", writing.text},
         {"stopped", stopped_by != 0},
         {"seconds_per_step", writing.seconds},
         {"parts", to_json(writing.work)},
         {"memory", to_json(cache.memory(), chosen.config.cache_shape().bytes_per_token(sizeof(float)) * fed)}});
  });
  if (stopped_by != 0) say_stopped(choice, writing, is_saved, saved.has_value());
  outputs.finish();
  if (stopped_by != 0) throw ExitStatus{128 + stopped_by};
}

void run_generate(GenerateChoice& choice) {
  choose_threads(choice.threads);
  choice.prompt = choice.prompt_given.read();
  choice.system = text_argument(choice.system);
  const ModelChoice chosen = choose_model(choice.model);
  check(!chosen.is_shape(), "generate: ", choice.model,
        " has random weights and no tokenizer, so it writes no text; use race or memory for shapes");
  choice.device.check_there();
  check(!choice.device.is_gpu() || choice.session.empty(),
        "generate: --session saves a cache, but the rows of one on a GPU cannot be saved; use --device cpu for it");
  const std::optional<Tokenizer> tokenizer = load_tokenizer(chosen);
  const std::uint64_t fingerprint =
      choice.session.empty() ? 0 : model_fingerprint(chosen.config, chosen.files->tensors().tensors);
  const StopSignal stop;  // before the session is locked: its .part file goes with it
  // Locked before it is loaded: what another program added meanwhile would be lost.
  std::optional<FileToWrite> session;
  if (!choice.session.empty()) session.emplace(choice.session);
  Outputs outputs({choice.json});
  const std::optional<SavedSession> saved = find_session(choice, chosen.config, fingerprint);
  const std::optional<ChatTemplate> chat = find_template(choice, chosen);
  const Model<float> model = load_with_notice<float>(chosen, /*seed*/ 0, choice.weights.value());
  choice.device.with_path(
      model, [&](auto& path) { write(choice, chosen, tokenizer, chat, fingerprint, saved, session, outputs, path); });
}

}  // namespace

void add_generate(CLI::App& app) {
  auto choice = std::make_shared<GenerateChoice>();
  CLI::App* command = app.add_subcommand("generate", "Write text after a prompt, token by token");
  command->footer(
      "Examples: kvcache generate --prompt \"ROMEO.\" --tokens 80 --temperature 0.8 --top-k 40 --seed 7\n"
      "          kvcache generate --model smollm2 --chat --prompt \"Why is the sky blue?\"\n"
      "          kvcache generate --model smollm2 --chat --session sky --prompt \"And at dusk?\"\n"
      "          kvcache generate --prompt-file play.txt --tokens 40");
  command
      ->add_option("--model", choice->model, "tiny, tiny-mha, tiny-mqa, smollm2, a Hugging Face folder, or a GGUF file")
      ->capture_default_str();
  choice->prompt_given.add_to(*command);
  command->add_flag("--chat", choice->chat, "put the prompt as a question, as the model's chat template writes it");
  command->add_option("--system", choice->system,
                      "with --chat: what the model is told before the question (as --prompt)");
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
  command->callback([choice, cache] {
    choice->has_prompt = choice->prompt_given.is_given(), choice->has_cache = cache->count() > 0;
    run_generate(*choice);
  });
}

}  // namespace kvcache::cli
