// Texts on a command line: as they stand, from a file, or from standard input. One argument may have 128 KiB at most.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <string>

#include "common/standard_streams.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// All bytes of a file or a pipe; "-": of standard input. Errors: it cannot be read; more than 256 MiB; standard input
/// asked for a second time.
inline std::string read_whole(const std::string& path) {
  constexpr std::size_t most_bytes = 256u << 20;
  static bool is_input_read = false;
  const bool is_input = path == "-";
  const std::string name = is_input ? "standard input" : path;
  check(!is_input || !is_input_read, "standard input has been read already: only one text can come from it");
  is_input_read |= is_input;
  if (is_input && ::isatty(STDIN_FILENO) != 0) say("kvcache", "type the text; Ctrl-D on a line of its own ends it");
  const int file = is_input ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(file >= 0, name, " cannot be read: ", std::strerror(errno));
  std::string bytes;
  char buffer[1 << 16];
  ssize_t count = 0;
  while ((count = ::read(file, buffer, sizeof buffer)) != 0 && bytes.size() <= most_bytes) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    bytes.append(buffer, std::size_t(count));
  }
  const int error = count < 0 ? errno : 0;
  if (!is_input) ::close(file);
  check(error == 0, name, " cannot be read: ", std::strerror(error));
  check(bytes.size() <= most_bytes, name, " has more than ", most_bytes, " bytes (256 MiB), too many for a text");
  return bytes;
}

/// The text of a file; "-": of standard input. Without the line end that editors and `echo` put at its very end,
/// and without the mark that some systems put at its beginning (U+FEFF).
inline std::string text_of_file(const std::string& path) {
  std::string text = read_whole(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (text.ends_with("\r\n"))
    text.erase(text.size() - 2);
  else if (text.ends_with('\n'))
    text.pop_back();
  return text;
}

inline constexpr const char* text_ways =
    "; @FILE: the text of that file; -: standard input; @@...: a text that begins with @";

/// What an argument stands for: "-" and "@FILE" for the text there, "@@..." for "@...", all else for itself. Errors: no
/// such file.
inline std::string text_argument(const std::string& given) {
  if (given == "-") return text_of_file(given);
  if (!given.starts_with('@') || given == "@") return given;
  if (given.starts_with("@@")) return given.substr(1);
  const std::string path = given.substr(1);
  const bool is_there = path == "-" || ::access(path.c_str(), F_OK) == 0;
  check(is_there, "the text ", given, " stands for a file, but ", path, " cannot be found: ", std::strerror(errno),
        "; if it is no file, begin the text with @@");
  return text_of_file(path);
}

/// The options --prompt and --prompt-file.
struct PromptChoice {
  std::string text, file = {};
  const CLI::Option *text_option = nullptr, *file_option = nullptr;

  void add_to(CLI::App& app) {
    CLI::Option* option =
        app.add_option("--prompt", text, std::string("the text to go on from") + text_ways)->capture_default_str();
    text_option = option;
    file_option = app.add_option("--prompt-file", file, "a file with that text; -: standard input")->excludes(option);
  }
  bool is_given() const { return text_option->count() + file_option->count() > 0; }
  /// Once: standard input can be read only once.
  std::string read() const { return file_option->count() > 0 ? text_of_file(file) : text_argument(text); }
};

}  // namespace kvcache
