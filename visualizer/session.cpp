#include "session.hpp"

#include <algorithm>
#include <list>
#include <utility>

#include "kvcache/core/check.hpp"
#include "kvcache/observe/timeline_file.hpp"
#include "run.hpp"

namespace kvcache::visualizer {
namespace {

/// A run in a thread of its own, and what it has handed over so far.
struct Job {
  std::shared_ptr<Channel> channel = std::make_shared<Channel>();
  std::jthread thread;

  void begin(auto run) {
    thread = std::jthread([run, channel = channel](std::stop_token stop) {
      std::string error;
      try {
        run(*channel, stop);
      } catch (const std::bad_alloc&) {
        error = "there is not enough memory for this; choose a smaller model, or fewer tokens";
      } catch (const std::exception& thrown) {
        error = thrown.what();
      }
      const std::lock_guard lock(channel->mutex);
      channel->handed.error = std::move(error);
      channel->handed.finished = true;
    });
  }
  Handed take() {
    const std::lock_guard lock(channel->mutex);
    Handed taken = std::exchange(channel->handed, {});
    channel->handed.finished = taken.finished;
    return taken;
  }
  bool finished() const {
    const std::lock_guard lock(channel->mutex);
    return channel->handed.finished;
  }
};

}  // namespace

struct Session::State {
  Choice choice, wanted;
  Timeline timeline;
  Comparison comparison;
  Progress progress;
  std::string error;
  int run_number = 0;
  std::shared_ptr<const LoadedModel> model;
  std::vector<ComparedStep> early;  // compared before the run was shown

  std::optional<Job> run;     // the current run; its steps go to `timeline` once the first is there
  bool run_is_shown = false;  // does `timeline` belong to `run`?
  std::optional<Job> trace;   // a repetition that records one more layer
  int traced_layer = -1;
  std::list<Job> retired;  // told to stop, not yet at the end of their step

  void retire(std::optional<Job>& job) {
    if (!job) return;
    job->thread.request_stop();
    retired.push_back(std::move(*job));
    job.reset();
  }
  /// Errors: no thread can be started.
  void begin(std::optional<Job>& job, auto run) {
    try {
      job.emplace().begin(std::move(run));
    } catch (const std::exception& error) {
      job.reset();
      progress = {};
      fail("another thread is needed, and none can be started: ", error.what(), "; end other programs first");
    }
  }
  bool take_run();
  bool take_trace();
};

Session::Session() : state_(std::make_unique<State>()) {}
Session::~Session() = default;

void Session::start(const Choice& choice) {
  State& s = *state_;
  s.retire(s.run), s.retire(s.trace);
  s.traced_layer = -1;
  s.wanted = choice;
  s.run_is_shown = false;
  s.error.clear();
  s.progress = {"reading " + choice.model, 0, 0};
  s.begin(s.run,
          [choice, model = s.model](Channel& channel, std::stop_token stop) { run(choice, model, channel, stop); });
}

void Session::want_layer(int layer) {
  State& s = *state_;
  if (s.timeline.steps() == 0 || s.traced_layer == layer || !s.model || !s.run_is_shown) return;
  if (!s.timeline.about().device.empty()) return;  // weights and stages stay there
  if (layer < 0 || layer >= s.timeline.about().config.layers) return;
  if (s.timeline.trace(layer, s.timeline.steps() - 1)) return;
  if (s.progress.what == "decoding") return;  // the steps to be repeated are not all there yet
  s.retire(s.trace);
  s.traced_layer = layer;
  s.begin(s.trace, [choice = s.choice, model = s.model, layer](Channel& channel, std::stop_token stop) {
    record_layer(choice, model, layer, channel, stop);
  });
  if (s.run) s.run->channel->hold = true;
}

void Session::open(const std::string& path) {
  SavedRun saved = load_run(path);
  State& s = *state_;
  s.retire(s.run), s.retire(s.trace);
  s.timeline = std::move(saved.timeline);
  s.comparison = std::move(saved.comparison);
  s.progress = {};
  s.error.clear();         // of what was tried before
  s.run_is_shown = false;  // there is no model to record more of it
  ++s.run_number;
}

bool Session::State::take_run() {
  if (!run) return false;
  Handed handed = run->take();
  if (!handed.error.empty()) error = std::move(handed.error);
  if (handed.model) model = handed.model;
  if (handed.about) {
    choice = wanted;
    timeline = Timeline(std::move(*handed.about));
    comparison = {};
    run_is_shown = true;
    ++run_number;
  }
  const bool any = !handed.steps.empty() || !handed.compared.empty() || handed.about || !error.empty();
  for (StepRecord& step : handed.steps) timeline.add(std::move(step));
  for (const ComparedStep& step : handed.compared) comparison.add(step);
  if (!handed.compared.empty()) comparison.set_share_waited(handed.share_waited);
  if (!handed.progress.what.empty()) progress = std::move(handed.progress);
  if (handed.finished) {
    progress = {};
    run.reset();  // its thread is at its end
  }
  return any;
}

bool Session::State::take_trace() {
  if (!trace) return false;
  Handed handed = trace->take();
  if (!handed.error.empty()) error = std::move(handed.error);
  for (auto& [step, layer_trace] : handed.traces)
    if (step < timeline.steps()) timeline.add_trace(traced_layer, step, std::move(layer_trace));
  const bool any = !handed.traces.empty();
  if (handed.finished) {
    trace.reset(), traced_layer = -1;
    if (run) run->channel->hold = false;
  }
  return any;
}

bool Session::poll() {
  State& s = *state_;
  std::erase_if(s.retired, [](const Job& job) { return job.finished(); });
  const bool run = s.take_run(), trace = s.take_trace();
  return run || trace;
}

void Session::wait() {
  poll();
  while (state_->run || state_->trace) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    poll();
  }
}

const Choice& Session::choice() const { return state_->choice; }
const Timeline& Session::timeline() const { return state_->timeline; }
const Comparison& Session::comparison() const { return state_->comparison; }
const Progress& Session::progress() const { return state_->progress; }
const std::string& Session::error() const { return state_->error; }
void Session::show_error(std::string sentence) { state_->error = std::move(sentence); }
void Session::dismiss_error() { state_->error.clear(); }
bool Session::will_compare() const {
  return state_->run && state_->run_is_shown && !state_->run->finished() && state_->choice.repeats > 0;
}
bool Session::can_record() const { return state_->run_is_shown && state_->model != nullptr; }
int Session::run_number() const { return state_->run_number; }

std::vector<TokenPiece> Session::tokenise(std::string_view text) const {
  return state_->model ? visualizer::tokenise(*state_->model, text) : std::vector<TokenPiece>();
}

}  // namespace kvcache::visualizer
