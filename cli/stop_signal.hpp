// Ctrl-C while a text is written: what is there is kept.
#pragma once

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <string>

namespace kvcache::cli {

/// While it lives, the first Ctrl-C (or SIGTERM, or a terminal that is closed) is only noted, for a loop to look at;
/// the second one ends the program at once, as ever.
class StopSignal {
 public:
  StopSignal() {
    received_ = 0;
    is_terminal_ = ::isatty(STDERR_FILENO) != 0;
    for (std::size_t i = 0; i < signals.size(); ++i) {
      struct sigaction note {};
      note.sa_handler = note_it;
      note.sa_flags = SA_RESTART;  // writes go on
      ::sigaction(signals[i], nullptr, &before_[i]);
      // Who starts a program that is to outlive the terminal has the signal ignored: it stays so.
      if (before_[i].sa_handler != SIG_IGN) ::sigaction(signals[i], &note, nullptr);
    }
  }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  ~StopSignal() {
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
  }

  /// The signal's number; 0: none.
  static int received() { return received_; }
  static std::string name() { return received_ == SIGINT ? "Ctrl-C" : received_ == SIGTERM ? "SIGTERM" : "SIGHUP"; }

 private:
  static constexpr std::array signals{SIGINT, SIGTERM, SIGHUP};

  /// Only what is safe in the middle of anything else, in whichever thread it comes.
  static void note_it(int signal) {
    int none = 0;
    if (!received_.compare_exchange_strong(none, signal)) {
      std::signal(signal, SIG_DFL);
      ::raise(signal);  // comes when this handler has returned
      return;
    }
    static constexpr char words[] = "\nkvcache: stopping after this token; Ctrl-C again ends at once\n";
    if (signal != SIGINT || !is_terminal_) return;
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, words, sizeof words - 1);
  }

  static inline std::atomic<int> received_ = 0;
  static inline std::atomic<bool> is_terminal_ = false;
  static_assert(std::atomic<int>::is_always_lock_free, "a signal handler cannot wait for a lock");
  std::array<struct sigaction, 3> before_{};
};

}  // namespace kvcache::cli
