// kvcache race: measures. Warm-up first, then the runs in turns, so that a change of the machine's speed meets all
// alike.
#include "race.hpp"

#include <memory>
#include <numeric>

#include "commands.hpp"
#include "json_output.hpp"
#include "kvcache/core/disturbance.hpp"
#include "kvcache/core/statistics.hpp"
#include "loading.hpp"
#include "outputs.hpp"
#include "terminal.hpp"

namespace kvcache::cli {

double Run::mean() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0) / double(seconds.size()); }

double Run::deviation() const {
  if (seconds.size() < 2) return 0;
  double sum = 0;
  for (const double s : seconds) sum += (s - mean()) * (s - mean());
  return std::sqrt(sum / double(seconds.size() - 1));
}

std::vector<double> Run::median_step_seconds() const {
  std::vector<double> medians;
  for (std::size_t step = 0; step < step_seconds[0].size(); ++step) {
    std::vector<double> all;
    for (const auto& repeat : step_seconds) all.push_back(repeat[step]);
    medians.push_back(median(std::move(all)));
  }
  return medians;
}

std::optional<double> Race::ratio(const Run& run) const {
  if (!repeats_agree(runs[0].seconds) || !repeats_agree(run.seconds)) return {};
  return runs[0].mean() / run.mean();
}

std::string Race::disturbed() const {
  std::vector<std::vector<double>> ways;
  for (const Run& run : runs) ways.push_back(run.seconds);
  return disturbed_by(ways, share_waited);
}

bool Race::is_exact(const Run& run) const {
  return !run.cached() ||
         (!rounds(run.cache) && make_cache(run.cache, model.config.cache_shape(), 1).keeps_every_token());
}

const Run* Race::first_other_text() const {
  for (const Run& run : runs)
    if (run.ids != runs[0].ids) return &run;
  return nullptr;
}

namespace {

/// Writes the text once, with a fresh cache; on_step is called after each step.
void run_once(auto& path, const std::vector<int>& prompt, int tokens, Run& run, Progress& progress) {
  const int length = slots_sum("race: the prompt and --tokens", int(prompt.size()), std::max(0, tokens));
  auto cache = path.cache(run.cached() ? run.cache : "growing", length);
  std::vector<double> step_seconds;
  const auto start = Timed::Clock::now();
  std::vector<int> ids =
      generate(path.model, cache, prompt, {.tokens = tokens, .use_cache = run.cached()}, [&](const Step<float>& step) {
        step_seconds.push_back(step.seconds);
        run.work += step.work;
        run.memory = step.memory;
        progress.advance();
      });
  run.seconds.push_back(std::chrono::duration<double>(Timed::Clock::now() - start).count());
  run.step_seconds.push_back(std::move(step_seconds));
  run.ids = std::move(ids);
}

/// Feeds the text that a run wrote, with and without its cache.
LogitDifference prove(auto& model, const auto& make, const Race& race, const Run& run, Progress& progress) {
  std::vector<int> text = race.prompt;
  text.insert(text.end(), run.ids.begin(), run.ids.end() - 1);  // the last token is never fed
  auto cache = make(run.cache, int(text.size()));
  auto scratch = make(run.cache, int(text.size()));  // read anew with what the same cache keeps
  return largest_logit_difference(model, cache, scratch, std::span<const int>(text), int(race.prompt.size()),
                                  [&](int) { progress.advance(); });
}

/// All runs of one prompt length, interleaved.
Race measure(const RaceChoice& choice, const ModelChoice& chosen, std::size_t weight_bytes, std::vector<int> prompt,
             int tokens, auto& path) {
  Race race{chosen, std::move(prompt), tokens, {}, {}, weight_bytes, choice.device.is_gpu(), 0};
  for (const std::string& cache : choice.caches) race.runs.push_back({cache, {}, {}, {}, {}, {}});
  {
    Progress silent("", 1);
    for (const Run& run : race.runs) {  // warm-up: pages are touched, threads are awake, work space is there
      Run warm{run.cache, {}, {}, {}, {}, {}};
      run_once(path, race.prompt, std::min(tokens, 3), warm, silent);
    }
  }
  Progress progress("racing", std::int64_t(choice.repeats) * tokens * std::ssize(race.runs));
  const DisturbanceWatch watch;
  for (int repeat = 0; repeat < choice.repeats; ++repeat)
    for (Run& run : race.runs) run_once(path, race.prompt, tokens, run, progress);
  race.share_waited = watch.share_waited();
  return race;
}

void add_proof(Race& race, const RaceChoice& choice, auto& path) {
  const auto cached = std::find_if(race.runs.begin(), race.runs.end(), [](const Run& run) { return run.cached(); });
  if (choice.proof == "off" || cached == race.runs.end()) return;
  {
    Progress progress("proof in float", race.tokens);
    const auto make = [&](const std::string& spec, int capacity) { return path.cache(spec, capacity); };
    race.proof.in_float = prove(path.model, make, race, *cached, progress);
  }
  if (choice.proof != "double") return;
  Progress progress("proof in double", race.tokens);
  const Model<double> model = load_with_notice<double>(race.model, choice.seed);
  Transformer<double> transformer(model);
  const auto make = [&](const std::string& spec, int capacity) {
    return make_cache<FloatRows<double>>(spec, model.config.cache_shape(), capacity);
  };
  race.proof.in_double = prove(transformer, make, race, *cached, progress);
}

void check_choice(const RaceChoice& choice, const ModelConfig& config) {
  check(choice.repeats >= 1, "--repeats ", choice.repeats, ": at least 1 is needed");
  for (const int n : choice.prompt_tokens) check(n >= 1, "--prompt-tokens ", n, ": at least 1 is needed");
  for (const std::string& cache : choice.caches)
    if (cache != "none") make_cache(cache, config.cache_shape(), 1);  // an unknown name is an error before any work
  if (choice.proof != "double") return;
  check(!choice.device.is_gpu(), "--proof double is for the CPU: on a GPU all is computed in float");
  for (const std::string& cache : choice.caches)
    if (cache != "none") make_cache<FloatRows<double>>(cache, config.cache_shape(), 1);  // formats are for floats
}

void run_race(RaceChoice choice) {
  choose_threads(choice.threads);
  Outputs outputs({choice.json, choice.csv, choice.picture});
  if (choice.caches.empty()) choice.caches = {"none", "growing"};
  const ModelChoice chosen = choose_model(choice.model);
  check_choice(choice, chosen.config);
  choice.device.check_there();
  const std::optional<Tokenizer> tokenizer = load_tokenizer(chosen);
  const bool is_table = choice.tokens.size() > 1 || choice.prompt_tokens.size() > 1;
  if (choice.prompt_tokens.empty()) choice.prompt_tokens = {chosen.is_shape() ? 8 : 0};  // 0: the prompt as it is
  const std::string prompt = choice.prompt.read();
  std::vector<std::vector<int>> prompts;
  for (const int count : choice.prompt_tokens)
    prompts.push_back(prompt_ids(chosen, tokenizer, prompt, count, choice.seed));
  const Model<float> model = load_with_notice<float>(chosen, choice.seed, choice.weights.value());

  choice.device.with_path(model, [&](auto& path) {
    std::vector<Race> races;
    const int most = *std::max_element(choice.tokens.begin(), choice.tokens.end());
    for (const auto& prompt : prompts)
      races.push_back(measure(choice, chosen, choice.device.bytes_per_step(model), prompt, most, path));
    if (!is_table) add_proof(races[0], choice, path);
    // The files first: who reads what is printed may have gone.
    outputs.write(choice.json, [&] {
      nlohmann::json json = to_json(races[0]);
      if (races.size() > 1) {
        json = nlohmann::json::array();
        for (const Race& race : races) json.push_back(to_json(race));
      }
      return json_text(json);
    });
    outputs.write(choice.csv, [&] { return to_csv(races[0]); });
    outputs.write(choice.picture, [&] { return to_svg(to_plot(races[0])); });
    if (is_table)
      print_table(races, choice.tokens);
    else
      print_race(races[0], choice.repeats);
    outputs.finish();
  });
}

}  // namespace

void add_race(CLI::App& app) {
  auto choice = std::make_shared<RaceChoice>();
  CLI::App* command = app.add_subcommand("race", "Write the same text with and without a cache: time, memory, proof");
  command->footer(
      "Examples: kvcache race\n"
      "          kvcache race --cache none --cache concatenating --cache growing --proof double\n"
      "          kvcache race --model shape:gpt2-medium --tokens 100 --repeats 2\n"
      "          kvcache race --device cuda --model shape:gpt2-medium --tokens 1000 --repeats 1\n"
      "          kvcache race --tokens 1,4,16,64,256 --prompt-tokens 8,128,512     (a table: where the cache pays)");
  command->add_option("--model", choice->model, model_help)->capture_default_str();
  choice->prompt.add_to(*command);
  command->add_option("--tokens", choice->tokens, "how many tokens to write; several, with commas, make a table")
      ->delimiter(',')
      ->default_str("200");
  command->add_option("--prompt-tokens", choice->prompt_tokens, "length of the prompt: it is repeated, or cut, to fit")
      ->delimiter(',');
  command->add_option("--cache", choice->caches, "none, or as in kvcache caches; may be given several times")
      ->allow_extra_args(false)
      ->default_str("none growing");
  command->add_option("--repeats", choice->repeats, "how often each is run")->capture_default_str();
  command->add_option("--proof", choice->proof, "compare the logits of all steps in float, also in double, or not")
      ->check(CLI::IsMember({"float", "double", "off"}))
      ->capture_default_str();
  choice->weights.add_to(*command);
  choice->device.add_to(*command);
  command->add_option("--threads", choice->threads, "threads to use; default: all cores");
  command->add_option("--seed", choice->seed, "of a shape's random weights and prompt")->capture_default_str();
  command->add_option("--json", choice->json, "write all figures to this file");
  command->add_option("--csv", choice->csv, "write milliseconds per position to this file");
  command->add_option("--picture", choice->picture, "draw milliseconds per position to this SVG file");
  command->callback([choice] { run_race(*choice); });
}

}  // namespace kvcache::cli
