// kvcache race: shows what was measured, to people and to programs.
#include "json_output.hpp"
#include "race.hpp"
#include "terminal.hpp"

namespace kvcache::cli {
namespace {

double tokens_per_second(const std::vector<double>& step_seconds, std::size_t first, std::size_t count) {
  double seconds = 0;
  for (std::size_t i = first; i < first + count; ++i) seconds += step_seconds[i];
  return double(count) / seconds;
}

/// How runs are called: in the words of the benchmark that started this project; the cache's name where several race.
std::string title(const Race& race, const Run& run) {
  if (!run.cached()) return "without KV caching";
  const auto cached = std::count_if(race.runs.begin(), race.runs.end(), [](const Run& r) { return r.cached(); });
  return cached > 1 ? "with KV caching (" + run.cache + ")" : "with KV caching";
}

/// What stands over figures that were measured.
const char* measured(const Race& race) { return race.disturbed().empty() ? "MEASURED" : "MEASURED, disturbed"; }

void print_times(const Race& race) {
  for (const Run& run : race.runs)
    fmt::print("{0}: {1:.{3}f} ± {2:.{3}f} seconds\n", title(race, run), run.mean(), run.deviation(),
               decimals_for(run.mean()));
  for (std::size_t i = 1; i < race.runs.size(); ++i) {
    const std::string of = fmt::format("({} / {})", title(race, race.runs[0]), title(race, race.runs[i]));
    if (const std::optional<double> ratio = race.ratio(race.runs[i]))
      fmt::print("ratio: {:.2f}  {}{}\n", *ratio, of,
                 *ratio < 1.05 && race.runs[i].cached() && !race.runs[0].cached() ? "  - here the cache is no faster" : "");
    else
      fmt::print("ratio: not known  {}, for the repeats disagree\n", of);
  }
  if (const std::string why = race.disturbed(); !why.empty())
    fmt::print("DISTURBED: {}. Times and tokens/s say little then; end what else runs, and run this again.\n", why);
}

void print_details(const Race& race) {
  const std::size_t steps = std::size_t(race.tokens), window = std::min<std::size_t>(32, steps);
  fmt::print("\n{:<20} {:>9} {:>15} {:>15} {:>8}   share of the time\n", measured(race), "prefill",
             fmt::format("first {}", window), fmt::format("last {}", window), "last");
  fmt::print("{:<20} {:>9} {:>15} {:>15} {:>8}\n", "", "ms", "tokens/s", "tokens/s", "GB/s");
  for (const Run& run : race.runs) {
    const std::vector<double> medians = run.median_step_seconds();
    const double last = tokens_per_second(medians, steps - window, window);
    const double bytes = double(race.weight_bytes) + double(run.memory.used_bytes);  // read at least once a step
    std::string shares;
    if (race.on_gpu)
      shares = "not told apart: a GPU runs its kernels on its own";
    else
      for (const Part part : {Part::projection, Part::attention, Part::feed_forward, Part::output_layer, Part::copying})
        shares += fmt::format("{}{} {:.0f} %", shares.empty() ? "" : ", ", name(part),
                              100 * run.work.seconds[std::size_t(part)] / run.work.total_seconds());
    fmt::print("{:<20} {:>9.2f} {:>15.1f} {:>15.1f} {:>8.1f}   {}\n", run.cache, 1e3 * medians[0],
               tokens_per_second(medians, 0, window), last, bytes * last / 1e9, shares);
  }
  fmt::print("GB/s: weights and cache, each read once a step\n");
}

void print_proof(const Race& race) {
  fmt::print("\nProof   MEASURED\n");
  if (race.runs.size() > 1) {
    if (const Run* other = race.first_other_text())
      fmt::print("  same tokens: NO, {} differs from {} at token {}{}\n", other->cache, race.runs[0].cache,
                 first_difference(race.runs[0].ids, other->ids) + 1,
                 race.is_exact(*other) ? "" : " (it forgets tokens, or rounds their numbers)");
    else
      fmt::print("  same tokens: yes, all {} of {} runs\n", race.tokens, race.runs.size());
  }
  const auto line = [](const char* scalar, const LogitDifference& difference) {
    fmt::print("  largest difference between cached and recomputed logits, in {}: {:.2g}{}\n", scalar,
               difference.largest,
               difference.first_other_token < 0
                   ? " (the same choice at every step)"
                   : fmt::format(" (another choice at step {})", difference.first_other_token + 1));
  };
  if (race.proof.in_float) line("float", *race.proof.in_float);
  if (race.proof.in_double) line("double", *race.proof.in_double);
}

void print_memory(const Race& race) {
  const ModelConfig& c = race.model.config;
  fmt::print(
      "\nMemory that bought it\n"
      "  formula: 2 x {} layers x {} kv heads x {} numbers x 4 bytes x ({} + {} - 1) tokens = {} bytes   COMPUTED\n",
      c.layers, c.kv_heads, c.head_dim, race.prompt.size(), race.tokens,
      with_commas(std::int64_t(race.formula_bytes())));
  for (const Run& run : race.runs) {
    const MemoryUse& m = run.memory;
    if (run.cached())
      fmt::print("  {:<14} used {} ({}), reserved {}, copied to make room {}   MEASURED\n", run.cache + ":",
                 with_commas(std::int64_t(m.used_bytes)),
                 m.used_bytes == race.formula_bytes() ? "equal"
                 : race.is_exact(run)
                     ? "NOT EQUAL"
                     : fmt::format("{:.3g} of that", double(m.used_bytes) / double(race.formula_bytes())),
                 with_commas(std::int64_t(m.reserved_bytes)), with_commas(std::int64_t(m.copied_bytes)));
    else
      fmt::print("  {:<14} keeps nothing between steps; work space for keys and values within one: {}   MEASURED\n",
                 run.cache + ":", with_commas(std::int64_t(m.reserved_bytes)));
  }
}

}  // namespace

void print_race(const Race& race, int repeats) {
  fmt::print("{}\n{} prompt tokens, {} tokens written, {} {}, {} {}\n\n", race.model.described(), race.prompt.size(),
             race.tokens, repeats, repeats == 1 ? "run" : "runs each", thread_count(),
             thread_count() == 1 ? "thread" : "threads");
  print_times(race);
  print_details(race);
  std::vector<Curve> curves;
  const char marks[] = {'o', '.', '+', 'x', '*', '#'};
  for (std::size_t i = 0; i < race.runs.size(); ++i) {
    std::vector<double> milliseconds = race.runs[i].median_step_seconds();
    milliseconds.erase(milliseconds.begin());  // the prefill reads the whole prompt; it is in the table
    for (double& ms : milliseconds) ms *= 1e3;
    curves.push_back({marks[i % sizeof(marks)], title(race, race.runs[i]), std::move(milliseconds)});
  }
  fmt::print("\nMilliseconds per token, over the tokens written after the first   {} (medians)\n{}", measured(race),
             plot(curves, "ms"));
  print_proof(race);
  print_memory(race);
}

void print_table(const std::vector<Race>& races, const std::vector<int>& tokens) {
  const Race& first = races[0];
  fmt::print("{}\nratio of times, {} / each cache, by tokens written and prompt length   MEASURED (medians)\n\n",
             first.model.described(), first.runs[0].cache);
  bool all_known = true;
  std::string disturbed;
  for (std::size_t run = 1; run < first.runs.size(); ++run) {
    fmt::print("{:<14}", first.runs[run].cache);
    for (const Race& race : races) fmt::print(" {:>8}", fmt::format("p={}", race.prompt.size()));
    fmt::print("\n");
    for (const int n : tokens) {
      fmt::print("{:>9} tok.", n);
      for (const Race& race : races) {
        const auto sum = [&](const Run& r) {
          return double(n) / tokens_per_second(r.median_step_seconds(), 0, std::size_t(n));
        };
        const bool is_known = race.ratio(race.runs[run]).has_value();
        fmt::print(" {:>8}", is_known ? fmt::format("{:.2f}", sum(race.runs[0]) / sum(race.runs[run])) : "?");
        all_known = all_known && is_known;
        if (disturbed.empty()) disturbed = race.disturbed();
      }
      fmt::print("\n");
    }
    fmt::print("\n");
  }
  fmt::print("A ratio of 1 means no gain: one token needs the whole prompt either way.\n");
  if (!all_known) fmt::print("?: not known, for the repeats disagree.\n");
  if (!disturbed.empty())
    fmt::print("DISTURBED: {}. Ratios say little then; end what else runs, and run this again.\n", disturbed);
}

nlohmann::json to_json(const Race& race) {
  nlohmann::json runs = nlohmann::json::array();
  for (const Run& run : race.runs) {
    std::vector<double> milliseconds = run.median_step_seconds();
    for (double& ms : milliseconds) ms *= 1e3;
    runs.push_back({{"cache", run.cache},
                    {"seconds", run.seconds},
                    {"mean", run.mean()},
                    {"std", run.deviation()},
                    {"ratio", nullptr},
                    {"ms_per_token", milliseconds},
                    {"parts", to_json(run.work, std::ssize(run.seconds))},
                    {"generated_ids", run.ids},
                    {"memory", to_json(run.memory, run.cached() ? race.formula_bytes() : 0)},
                    {"bytes_copied", run.memory.copied_bytes}});
    if (const auto ratio = race.ratio(run)) runs.back()["ratio"] = *ratio;
  }
  nlohmann::json json{{"model", race.model.name},
                      {"random_weights", race.model.is_shape()},
                      {"prompt_ids", race.prompt},
                      {"tokens", race.tokens},
                      {"threads", thread_count()},
                      {"ratio", runs.back()["ratio"]},
                      {"disturbed", race.disturbed()},
                      {"share_waited", race.share_waited},
                      {"same_tokens", race.first_other_text() == nullptr},
                      {"max_logit_difference", nullptr},
                      {"max_logit_difference_double", nullptr},
                      {"runs", runs}};
  if (race.proof.in_float) json["max_logit_difference"] = race.proof.in_float->largest;
  if (race.proof.in_double) json["max_logit_difference_double"] = race.proof.in_double->largest;
  return json;
}

std::string to_csv(const Race& race) {
  std::string csv = "token";
  std::vector<std::vector<double>> medians;  // [runs][tokens]
  for (const Run& run : race.runs) {
    csv += "," + run.cache + "_ms";
    medians.push_back(run.median_step_seconds());
  }
  for (std::size_t token = 0; token < std::size_t(race.tokens); ++token) {
    csv += fmt::format("\n{}", token + 1);
    for (const auto& run_medians : medians) csv += fmt::format(",{:.6g}", 1e3 * run_medians[token]);
  }
  return csv + "\n";
}

SvgPlot to_plot(const Race& race) {
  SvgPlot plot{"Milliseconds per token, " + race.model.name + " \u00b7 " + measured(race) + " (medians)",
               "tokens written",
               "ms",
               {}};
  for (const Run& run : race.runs) {
    SvgSeries series{title(race, run), {}};
    const std::vector<double> seconds = run.median_step_seconds();
    for (std::size_t step = 1; step < seconds.size(); ++step)  // the first one reads the prompt
      series.points.push_back({double(step + 1), 1e3 * seconds[step]});
    plot.series.push_back(std::move(series));
  }
  return plot;
}

}  // namespace kvcache::cli
