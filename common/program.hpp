// What both programs are wrapped in: however they fail, it ends with a sentence and a status, and no output is lost
// unseen.
#pragma once

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>

#include "common/standard_streams.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// The exception in hand as a sentence: what, and what to do.
inline std::string sentence_of_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return error.what();
  } catch (const std::filesystem::filesystem_error& error) {
    return error.path1().string() + ": " + error.code().message() + "; is the name right?";
  } catch (const std::system_error& error) {
    return "the system refuses: " + std::string(error.what()) + "; ask for less, or close other programs";
  } catch (const std::bad_alloc&) {
    return "there is not enough memory for this; choose a smaller model or fewer tokens";
  } catch (const std::length_error& error) {
    return "this is larger than any memory (" + std::string(error.what()) + "); choose smaller numbers";
  } catch (const std::exception& error) {
    return std::string(error.what()) + " (an error of kind " + typeid(error).name() +
           " that the program did not foresee; please report it)";
  } catch (...) {
    return "an error that the program did not foresee; please report it";
  }
}

/// Thrown by a command that has said what went wrong, or was told to stop and has put everything in its place.
struct ExitStatus {
  int status;
};

namespace detail {

/// A file that is mapped and then cut off by another program has no bytes where they are read. Nothing can go on here;
/// only what is safe in a signal handler is done.
inline void end_with_a_sentence(int) {
  static constexpr char sentence[] =
      "kvcache: a file that is being read has lost bytes (SIGBUS): another program cut it off, or its disk fails. "
      "Was a model's file replaced while it was in use? Start again with a whole file\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, sentence, sizeof sentence - 1);
  ::_exit(1);
}

inline void prepare_signals() {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of the write then, as a full disk
  std::signal(SIGPIPE, SIG_IGN);  // so is a reader who has gone: a session is saved all the same
  std::signal(SIGBUS, end_with_a_sentence);
}

inline int explain_usage(CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out, complaint;
  const int code = app.exit(error, out, complaint);
  print_at_once(out.str());
  const std::string shown = printable(complaint.str(), /*keep_lines*/ true);
  std::fwrite(shown.data(), 1, shown.size(), stderr);
  return code == 0 ? 0 : 2;
}

}  // namespace detail

/// The body of main(): reads the command line, then does run(). Exit status: what run() returns; 1: an error, which a
/// sentence on standard error explains; 2: a wrong command line; 128 + the signal's number: stopped.
template <class Run>
int run_program(const char* name, CLI::App& app, int argc, char** argv, Run&& run) {
  keep_standard_streams_open();
  detail::prepare_signals();
  int status = 0;
  try {
    app.parse(argc, argv);
    status = run();
  } catch (const CLI::ParseError& error) {
    status = detail::explain_usage(app, error);
  } catch (const ExitStatus& ended) {
    status = ended.status;
  } catch (const std::system_error& error) {
    const bool is_output = std::ferror(stdout) != 0;  // finish_output() has the sentence
    status = is_output ? 0 : 1;
    is_output ? note_output_error(error.code().value()) : say(name, sentence_of_exception());
  } catch (...) {
    status = 1;
    say(name, sentence_of_exception());
  }
  return finish_output(name, status);
}

}  // namespace kvcache
