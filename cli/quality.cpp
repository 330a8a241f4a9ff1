// kvcache quality: reads a text token by token, with several caches, and says how well each foresaw the next token.
#include "kvcache/observe/quality.hpp"

#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "commands.hpp"
#include "common/printable.hpp"
#include "common/readable.hpp"
#include "common/svg_plot.hpp"
#include "common/text_argument.hpp"
#include "device.hpp"
#include "json_output.hpp"
#include "loading.hpp"
#include "outputs.hpp"

namespace kvcache::cli {
namespace {

struct QualityChoice {
  std::string model = "tiny", text, against, json, csv, picture;
  std::vector<std::string> caches;
  int tokens = 0, threads = 0;
  WeightsChoice weights;
  DeviceChoice device;
};

/// One cache on its way through the text.
struct QualityRun {
  std::string name;
  std::vector<float> logits = {};
  Quality quality = {};
  double seconds = 0;  // [MEASURED]
  MemoryUse memory = {};
  double evicted = 0;  // tokens, the mean of the layers
  bool keeps_every_token = false;
};

std::vector<int> read_text(const QualityChoice& choice, const ModelChoice& chosen) {
  check(!chosen.is_shape(), "quality: ", choice.model, " has random weights and foresees nothing; give a model");
  std::vector<int> ids = load_tokenizer(chosen)->encode(read_whole(choice.text));
  check(ids.size() >= 2, "quality: ", choice.text, " has ", ids.size(), " tokens; at least 2 are needed");
  check(choice.tokens == 0 || choice.tokens >= 2, "--tokens ", choice.tokens, ": at least 2 are needed");
  if (choice.tokens > 0) {
    check(choice.tokens <= std::ssize(ids), "--tokens ", choice.tokens, ": ", choice.text, " has only ", ids.size());
    ids.resize(std::size_t(choice.tokens));
  }
  return ids;
}

void print_table(const std::vector<QualityRun>& runs, int predicted) {
  std::size_t width = 5;
  for (const QualityRun& run : runs) width = std::max(width, run.name.size());
  fmt::print("{:<{}} {:>16} {:>10} {:>19} {:>13} {:>12} {:>9} {:>8}\n", "cache", width, "loss (nats)", "perplexity",
             "KL divergence", "same top", "bytes", "evicted", "seconds");
  for (const QualityRun& run : runs) {
    const Quality& q = run.quality;
    const bool is_whole = run.evicted == std::floor(run.evicted);  // else layers differ
    const std::string evicted = is_whole ? with_commas(std::int64_t(run.evicted)) : fmt::format("{:.1f}", run.evicted);
    fmt::print("{:<{}} {:>8.4f} ± {:<5.3f} {:>10.3f} {:>9.2g} ± {:<7.1g} {:>6.2f} ± {:<4.2f} {:>12} {:>9} {:>8.2f}\n",
               run.name, width, q.loss().mean(), q.loss().standard_error(), q.perplexity(), q.divergence().mean(),
               q.divergence().standard_error(), 100 * q.agreement().mean(), 100 * q.agreement().standard_error(),
               with_commas(std::int64_t(run.memory.used_bytes)), evicted, run.seconds);
  }
  fmt::print(
      "\nloss, KL divergence and same top (%): means over {} tokens ± their standard error, as if tokens did not "
      "depend\n"
      "on each other; divergence and same top against {}; evicted: tokens forgotten, the mean of the layers   "
      "MEASURED\n",
      with_commas(predicted), runs[0].name);
  for (const QualityRun& run : runs)
    if (run.evicted == 0 && !run.keeps_every_token)
      fmt::print("note: {} still holds every token: the text is not longer than what it keeps\n", run.name);
}

nlohmann::json to_json(const QualityChoice& choice, const std::vector<QualityRun>& runs, int tokens) {
  nlohmann::json list = nlohmann::json::array();
  for (const QualityRun& run : runs) {
    const Quality& q = run.quality;
    list.push_back({{"cache", run.name},
                    {"mean_nll", q.loss().mean()},
                    {"perplexity", q.perplexity()},
                    {"standard_error", q.loss().standard_error()},
                    {"kl_divergence", q.divergence().mean()},
                    {"kl_divergence_error", q.divergence().standard_error()},
                    {"top1_agreement", q.agreement().mean()},
                    {"top1_agreement_error", q.agreement().standard_error()},
                    {"used_bytes", run.memory.used_bytes},
                    {"evictions", run.evicted},
                    {"seconds", run.seconds}});
  }
  return {
      {"model", choice.model}, {"text", choice.text}, {"tokens", tokens}, {"against", runs[0].name}, {"runs", list}};
}

std::string to_csv(const std::vector<QualityRun>& runs) {
  std::string csv = "token";
  for (const QualityRun& run : runs) csv += ",\"" + run.name + "\"";
  for (std::size_t t = 0; t < runs[0].quality.losses().size(); ++t) {
    csv += fmt::format("\n{}", t + 1);
    for (const QualityRun& run : runs) csv += fmt::format(",{:.6g}", run.quality.losses()[t]);
  }
  return csv + "\n";
}

/// How much worse than the first each is, up to each token of the text: single tokens jump too much to be seen.
SvgPlot to_plot(const std::vector<QualityRun>& runs, const std::string& model) {
  const std::vector<double>& reference = runs[0].quality.losses();
  SvgPlot plot{"Mean loss more than " + runs[0].name + ", " + model + " \u00b7 MEASURED",
               "tokens read",
               "nats a token",
               {},
               /*y_from_zero*/ false};
  for (const QualityRun& run : runs) {
    SvgSeries series{run.name, {}};
    Spread more;
    for (std::size_t t = 0; t < reference.size(); ++t) {
      more.add(run.quality.losses()[t] - reference[t]);
      if ((t + 1) % std::max<std::size_t>(1, reference.size() / 200) == 0)
        series.points.push_back({double(t + 1), more.mean()});
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

/// Reads the text with every cache; the one that the others are compared with is the first.
std::vector<QualityRun> read_with_all(const QualityChoice& choice, const std::vector<int>& ids, auto& path) {
  std::vector<QualityRun> runs;
  std::vector<decltype(path.cache("", 0))> caches;
  for (const std::string& name : choice.caches) {
    auto cache = path.cache(name, int(ids.size()));
    const int longest = longest_text(path.model.config(), cache);
    check(std::ssize(ids) - 1 <= longest, "quality: the text has ", ids.size(), " tokens, but with ", name,
          " the model can read ", longest, "; give --tokens");
    runs.push_back({name}), caches.push_back(std::move(cache));
  }
  Progress progress("reading", (std::ssize(ids) - 1) * std::ssize(runs));
  for (std::size_t t = 0; t + 1 < ids.size(); ++t)
    for (std::size_t i = 0; i < runs.size(); ++i) {  // all at the same token: whatever slows the machine meets all
      QualityRun& run = runs[i];
      const auto start = Timed::Clock::now();
      const auto logits = path.model.step(caches[i], std::span(ids).subspan(t, 1));
      run.seconds += std::chrono::duration<double>(Timed::Clock::now() - start).count();
      run.logits.assign(logits.begin(), logits.end());
      run.quality.template add<float>(run.logits, runs[0].logits, ids[t + 1]);
      progress.advance();
    }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    runs[i].memory = caches[i].memory(), runs[i].keeps_every_token = caches[i].keeps_every_token();
    runs[i].evicted = forgotten_tokens(caches[i]);
  }
  return runs;
}

void run_quality(QualityChoice choice) {
  choose_threads(choice.threads);
  Outputs outputs({choice.json, choice.csv, choice.picture});
  const ModelChoice chosen = choose_model(choice.model);
  if (choice.caches.empty()) choice.caches = {"growing"};
  if (choice.against.empty()) choice.against = choice.caches[0];
  std::erase(choice.caches, choice.against);
  choice.caches.insert(choice.caches.begin(), choice.against);
  const std::vector<int> ids = read_text(choice, chosen);
  choice.device.check_there();
  const Model<float> model = load_with_notice<float>(chosen, /*seed*/ 0, choice.weights.value());
  const std::vector<QualityRun> runs =
      choice.device.with_path(model, [&](auto& path) { return read_with_all(choice, ids, path); });
  // The files first: who reads what is printed may have gone.
  outputs.write(choice.json, [&] { return json_text(to_json(choice, runs, int(ids.size()))); });
  outputs.write(choice.csv, [&] { return to_csv(runs); });
  outputs.write(choice.picture, [&] { return to_svg(to_plot(runs, choice.model)); });
  fmt::print("{}\n{}: {} tokens\n\n", chosen.described(), printable(choice.text), with_commas(std::ssize(ids)));
  print_table(runs, int(ids.size()) - 1);
  outputs.finish();
}

}  // namespace

void add_quality(CLI::App& app) {
  auto choice = std::make_shared<QualityChoice>();
  CLI::App* command = app.add_subcommand("quality", "What caches that forget or round cost: loss, divergence, bytes");
  command->footer(
      "Example: kvcache quality --model smollm2 --text book.txt --tokens 1000 --cache growing\n"
      "                         --cache window:sinks=4,recent=252 --cache window:sinks=0,recent=256");
  command->add_option("--model", choice->model, model_help)->capture_default_str();
  command->add_option("--text", choice->text, "the file to read; -: standard input")->required();
  command->add_option("--cache", choice->caches, "as in kvcache caches; may be given several times")
      ->allow_extra_args(false)
      ->default_str("growing");
  command->add_option("--against", choice->against, "the cache to compare with; default: the first one");
  command->add_option("--tokens", choice->tokens, "how many tokens of the text; default: all");
  choice->weights.add_to(*command);
  choice->device.add_to(*command);
  command->add_option("--threads", choice->threads, "threads to use; default: all cores");
  command->add_option("--json", choice->json, "write all figures to this file");
  command->add_option("--csv", choice->csv, "write the loss of each token to this file");
  command->add_option("--picture", choice->picture, "draw how much worse than the first each is to this SVG file");
  command->callback([choice] { run_quality(*choice); });
}

}  // namespace kvcache::cli
