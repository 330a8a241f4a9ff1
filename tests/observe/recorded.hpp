// Runs that leave a timeline, and everything in a record as text: for comparing, to the last bit.
#pragma once

#include <sstream>
#include <string>

#include "common/caches.hpp"
#include "kvcache/model/weights.hpp"
#include "kvcache/observe/traced_decoding.hpp"
#include "small_models.hpp"

namespace recorded {

using namespace kvcache;

inline void put(std::ostream& text, auto... numbers) { ((text << numbers << ' '), ...); }
inline void put_all(std::ostream& text, const char* what, const auto& numbers) {
  text << what << ' ' << numbers.size() << ": ";
  for (const auto& number : numbers) put(text, number);
  text << '\n';
}
/// Not as they are: they may be no text, and failed checks are printed.
inline void put_bytes(std::ostream& text, int token, const std::string& bytes) {
  put(text, "spelt", token);
  for (const char byte : bytes) put(text, int(byte));
  text << '\n';
}
inline void put_trace(std::ostream& text, int layer, const LayerTrace& trace) {
  put(text, "layer", layer, trace.attention.first_position, trace.attention.queries, trace.attention.q_heads);
  put_all(text, "attention", trace.attention.numbers);
  for (const auto& stage : trace.stages) put_all(text, "stage", stage);
}

/// Every field of a record by hand, numbers in hexadecimal; without what is MEASURED, if so asked.
inline std::string as_text(const StepRecord& r, bool with_times = true) {
  std::ostringstream text;
  text << std::hexfloat;
  put(text, r.index, r.token, r.tokens_fed, r.tokens_reused, r.first_position, r.rows, with_times ? r.seconds : 0,
      '\n');
  if (with_times) put_all(text, "seconds", r.work.seconds);
  put_all(text, "multiplications", r.work.multiplications);
  put(text, r.work.queries_computed, r.work.keys_computed, r.work.keys_reused, r.work.tokens_reused, '\n');
  put(text, r.memory.used_bytes, r.memory.reserved_bytes, r.memory.bookkeeping_bytes, r.memory.copied_bytes, '\n');
  for (const Candidate& c : r.candidates) put(text, "candidate", c.token, c.probability, '\n');
  for (const CacheEvent& e : r.events)
    put(text, "event", int(e.kind), e.layer, e.first_position, e.rows, e.bytes, e.reason, e.references, e.hits,
        e.misses, '\n');
  for (const LayerLayout& layout : r.layouts) {
    put(text, "layout", layout.slots);
    for (const SlotRun& run : layout.runs)
      put(text, "run", run.first_slot, run.first_position, run.rows, run.position_gap);
    for (const StoragePiece& p : layout.pieces)
      put(text, "piece", int(p.kind), p.first_slot, p.slots, p.page, p.references);
  }
  put_all(text, "keys", r.keys), put_all(text, "values", r.values);
  put_all(text, "written", r.written_keys), put_all(text, "written", r.written_values);
  for (const RewrittenRows& rows : r.rewritten) put(text, "rewritten", rows.layer, rows.first_position, rows.rows);
  put_all(text, "rewritten", r.rewritten_keys), put_all(text, "rewritten", r.rewritten_values);
  for (const CodedRows& c : r.codes.runs)
    put(text, "coded", c.layer, c.first_position, c.rows, c.keys.name, c.keys.share, c.values.name, c.values.share);
  for (const StepCodes::Side* side : {&r.codes.keys, &r.codes.values}) {
    put_all(text, "codes", side->codes);
    put_all(text, "scales", side->scales), put_all(text, "minima", side->minima);
  }
  for (const auto& [layer, trace] : r.traces) put_trace(text, layer, trace);
  for (const auto& [token, bytes] : r.spelling) put_bytes(text, token, bytes);
  return text.str();
}

/// The first line in which two texts differ; empty: none. (The whole texts are too long to be printed.)
inline std::string first_difference(const std::string& a, const std::string& b) {
  std::istringstream left(a), right(b);
  std::string x, y;
  while (true) {
    const bool more_left = bool(std::getline(left, x)), more_right = bool(std::getline(right, y));
    if (!more_left && !more_right) return "";
    if (more_left != more_right || x != y) return x.substr(0, 200) + "\n  but\n" + y.substr(0, 200);
  }
}

struct Wish {
  ModelConfig config = small_llama();
  const char* cache = "growing";
  bool use_cache = true;
  int prompt = 7, tokens = 6;
  SamplingOptions sampling = {};
  TraceOptions trace = {.all_layers = true};
};

using Cache = NamedCache<>;

/// A run that was recorded whole, and what only the run itself knew.
struct Run {
  Timeline timeline;
  std::vector<std::vector<float>> logits;  // [steps, vocab]
};

/// Calls look(decoding, timeline) after each step.
Run record(const Model<float>& model, const Wish& wish, const auto& look) {
  Transformer<float> transformer(model);
  TimelineAbout about;
  about.model = "small", about.random_weights = true, about.config = model.config, about.cache = wish.cache;
  about.use_cache = wish.use_cache, about.prompt = some_tokens(wish.prompt), about.tokens = wish.tokens;
  about.sampling = "greedy";
  Run run{Timeline(about), {}};
  TracedDecoding<float, Cache> decoding(
      transformer,
      TracedCache([&](MaybeObserver watch) { return make_cache(wish.cache, model.config.cache_shape(), 48, watch); }),
      about.prompt, {.tokens = wish.tokens, .use_cache = wish.use_cache, .sampling = wish.sampling}, wish.trace);
  while (!decoding.done()) {
    run.timeline.add(decoding.next());
    run.logits.emplace_back(decoding.logits().begin(), decoding.logits().end());
    look(decoding, std::as_const(run.timeline));
  }
  return run;
}
inline Run record(const Model<float>& model, const Wish& wish) {
  return record(model, wish, [](const auto&, const Timeline&) {});
}

}  // namespace recorded
