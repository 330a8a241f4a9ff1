// The run that is looked at: loads a model, decodes and compares in the background, and hands finished steps to the
// window's thread. The window never waits for it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scene.hpp"

namespace kvcache::visualizer {

class Session {
 public:
  Session();
  ~Session();  // waits for the step in progress
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Starts a new run in the background. What was shown stays until the new run's first step is there; if the run
  /// cannot be made, it stays for good, and error() says why.
  void start(const Choice& choice);
  /// Shows a timeline of a file. Errors: an Error, if the file cannot be read.
  void open(const std::string& path);
  /// Has attention and stages of a layer recorded, if they were not: the run is repeated in the background.
  void want_layer(int layer);

  /// Takes over what was finished since the last call. True if anything was.
  bool poll();
  /// Polls until nothing goes on any more: for pictures without a window, and for tests.
  void wait();

  const Choice& choice() const;
  const Timeline& timeline() const;
  const Comparison& comparison() const;
  const Progress& progress() const;
  /// What went wrong, as a sentence; empty: nothing.
  const std::string& error() const;
  void show_error(std::string sentence);
  void dismiss_error();
  /// How many runs have been shown so far: changes when a new one is.
  int run_number() const;
  /// The run that is shown goes on, and its steps will be done both ways, or are being.
  bool will_compare() const;
  /// The model is there: false for a run that was opened from a file.
  bool can_record() const;
  /// The pieces of a text, by the tokenizer of the model in use. Empty if there is none.
  std::vector<TokenPiece> tokenise(std::string_view text) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvcache::visualizer
