#include "run.hpp"

#include "common/copied_back.hpp"
#include "common/model_choice.hpp"
#include "common/paths.hpp"
#include "kvcache/observe.hpp"

namespace kvcache::visualizer {

struct LoadedModel {
  ModelChoice chosen;
  Model<float> model;
  std::optional<Tokenizer> tokenizer;
};

namespace {

constexpr std::uint64_t seed_of_shape = 0;

double trace_bytes(const ModelConfig& c, int positions) {
  const double p = positions, weights = c.q_heads * p * (p + 1) / 2, stages = p * (3.0 * c.hidden + c.qkv_size());
  return c.layers * (weights + stages) * sizeof(float);
}

std::shared_ptr<const LoadedModel> load_model(const Choice& choice, std::shared_ptr<const LoadedModel> known) {
  if (known && known->chosen.name == choice.model) return known;
  known.reset();  // its memory may be needed
  const ModelChoice chosen = choose_model(choice.model);
  return std::make_shared<const LoadedModel>(
      LoadedModel{chosen, load<float>(chosen, seed_of_shape), load_tokenizer(chosen)});
}

std::string in_words(const SamplingOptions& o) {
  if (o.temperature == 0) return "greedy";
  std::string words = fmt::format("temperature {:g}", o.temperature);
  if (o.top_k > 0) words += fmt::format(", top-k {}", o.top_k);
  if (o.top_p < 1) words += fmt::format(", top-p {:g}", o.top_p);
  if (o.repetition_penalty != 1) words += fmt::format(", repetition penalty {:g}", o.repetition_penalty);
  return words + fmt::format(", seed {}", o.seed);
}

std::vector<int> prompt_of(const Choice& choice, const LoadedModel& model) {
  const int count = model.chosen.is_shape() && choice.prompt_tokens == 0 ? 4 : choice.prompt_tokens;
  return prompt_ids(model.chosen, model.tokenizer, choice.prompt, count, seed_of_shape);
}

GenerateOptions options_of(const Choice& choice, const LoadedModel& model) {
  GenerateOptions options{choice.tokens, choice.use_cache, choice.sampling, {}};
  if (!model.chosen.is_shape()) options.stop_tokens = model.chosen.config.end_tokens;
  return options;
}

void spell(const std::optional<Tokenizer>& tokenizer, int token, std::map<int, std::string>& spelling) {
  if (tokenizer) spelling.try_emplace(token, tokenizer->bytes_of(token));
}

void hand_over(Channel& channel, const auto& put) {
  const std::lock_guard lock(channel.mutex);
  put(channel.handed);
}

Where where(const Choice& choice) { return choice.device == "cuda" ? Where::gpu : Where::cpu; }

/// Decodes with records; calls on_step(record) for each.
void decode(const Choice& choice, const LoadedModel& loaded, TraceOptions trace, std::stop_token stop,
            const auto& on_step) {
  const std::vector<int> prompt = prompt_of(choice, loaded);
  const int length = slots_sum("the prompt and the tokens to write", int(prompt.size()), std::max(0, choice.tokens));
  trace.written_rows = trace.codes = rounds(choice.cache);
  trace.fork_at = choice.fork ? 1 : 0;
  const int capacity = choice.fork ? slots_product("two texts", 2, length)
                                   : length;  // a page that two texts read is copied before a write
  with_path(where(choice), loaded.model, [&](auto& path) {
    using Model = std::remove_reference_t<decltype(path.model)>;
    using Cache = decltype(path.cache(choice.cache, capacity));
    TracedCache<Cache> cache([&](MaybeObserver watch) { return path.cache(choice.cache, capacity, watch); });
    TracedDecoding<float, Cache, Model> decoding(path.model, std::move(cache), prompt, options_of(choice, loaded),
                                                 trace);
    while (!decoding.done() && !stop.stop_requested()) on_step(decoding.next());
  });
}

TraceOptions trace_options(const Choice& choice, const LoadedModel& loaded) {
  const int length = slots_sum("the prompt and the tokens to write", int(prompt_of(choice, loaded).size()),
                               std::max(0, choice.tokens));
  return {trace_bytes(loaded.model.config, length) <= choice.most_trace_bytes,
          std::clamp(choice.layer, 0, loaded.model.config.layers - 1)};
}

void compare(const Choice& choice, const LoadedModel& loaded, std::vector<int> text, int prompt_length,
             Channel& channel, std::stop_token stop) {
  const int length = int(text.size());
  with_path(where(choice), loaded.model, [&](auto& path) {
    using Model = std::remove_reference_t<decltype(path.model)>;
    using Cache = decltype(path.cache(choice.cache, length));
    ComparedDecoding<float, Cache, Cache, Model> compared(path.model, path.cache(choice.cache, length),
                                                          path.cache("growing", length), std::move(text), prompt_length,
                                                          choice.repeats, choice.sampling);
    hand_over(channel, [&](Handed& handed) {
      handed.progress = {"timing with and without the cache", 0, compared.total_steps()};
    });
    const DisturbanceWatch watch;
    for (int done = 0; !compared.done() && !stop.stop_requested();) {
      if (channel.hold) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        continue;
      }
      const ComparedStep step = compared.next();
      ++done;
      const double share_waited = watch.share_waited();  // reads a file: not while the window waits for the channel
      hand_over(channel, [&](Handed& handed) {
        handed.compared.push_back(step);
        handed.share_waited = share_waited;
        handed.progress = {"timing with and without the cache", done, compared.total_steps()};
      });
    }
  });
}

}  // namespace

void run(const Choice& choice, std::shared_ptr<const LoadedModel> model, Channel& channel, std::stop_token stop) {
  // The GPU is asked for before anybody waits for weights.
  const std::string device = where(choice) == Where::cpu ? "" : check_device().name;
  const auto loaded = load_model(choice, std::move(model));
  const std::vector<int> prompt = prompt_of(choice, *loaded);
  TimelineAbout about;
  about.model = choice.model, about.random_weights = loaded->chosen.is_shape(), about.config = loaded->model.config;
  about.cache = choice.cache, about.use_cache = choice.use_cache, about.prompt = prompt, about.tokens = choice.tokens;
  about.sampling = in_words(choice.sampling);
  about.device = device;
  for (const int token : prompt) spell(loaded->tokenizer, token, about.spelling);

  std::vector<int> text = prompt;
  decode(choice, *loaded, trace_options(choice, *loaded), stop, [&](StepRecord record) {
    text.push_back(record.token);
    spell(loaded->tokenizer, record.token, record.spelling);
    for (const Candidate& candidate : record.candidates) spell(loaded->tokenizer, candidate.token, record.spelling);
    hand_over(channel, [&](Handed& handed) {
      if (record.index == 0) handed.model = loaded, handed.about = std::move(about);
      handed.progress = {"decoding", record.index + 1, choice.tokens};
      handed.steps.push_back(std::move(record));
    });
  });
  if (choice.repeats > 0 && text.size() > prompt.size())
    compare(choice, *loaded, std::move(text), int(prompt.size()), channel, stop);
}

void record_layer(const Choice& choice, std::shared_ptr<const LoadedModel> model, int layer, Channel& channel,
                  std::stop_token stop) {
  decode(choice, *model, {.all_layers = false, .layer = layer}, stop, [&](StepRecord record) {
    hand_over(channel,
              [&](Handed& handed) { handed.traces.emplace_back(record.index, std::move(record.traces[layer])); });
  });
}

std::vector<TokenPiece> tokenise(const LoadedModel& model, std::string_view text) {
  std::vector<TokenPiece> pieces;
  if (model.tokenizer)
    for (const int id : model.tokenizer->encode(text))
      pieces.push_back({id, std::string(model.tokenizer->bytes_of(id))});
  return pieces;
}

}  // namespace kvcache::visualizer
