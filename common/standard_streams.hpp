// What the programs do about standard input, output and error: keep them open, and notice what cannot be written.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>

#include "common/printable.hpp"
#include "kvcache/core/file_errors.hpp"

namespace kvcache {

/// At the very beginning. A program may be started with one of its three streams closed; the next file that is opened
/// would get the number, and be written over by what is printed. Now the number leads nowhere: the other way round than
/// it is used, so that whoever reads or writes is told, as if it were closed.
inline void keep_standard_streams_open() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF)  // the lowest free number is this one
      if (::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) ::open("/", O_RDONLY);
}

/// A sentence on standard error, as one line. Nothing is to be done where that cannot be written: so nothing is.
inline void say(std::string_view program, std::string_view sentence) noexcept try {
  const std::string line = std::string(program) + ": " + printable(sentence) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
} catch (...) {
  std::fputs("kvcache: there is not enough memory for this\n", stderr);
}

namespace detail {
inline int output_error = 0;  // errno of the first write to standard output that failed
}

/// Of a write to standard output that failed.
inline void note_output_error(int error) {
  if (detail::output_error == 0) detail::output_error = error;
}
/// What was printed so far is to be seen now. False: it could not be written.
inline bool flush_output() {
  if (std::fflush(stdout) != 0) note_output_error(errno);
  return std::ferror(stdout) == 0;
}
/// Text that people or programs read, now.
inline bool print_at_once(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) note_output_error(errno);
  return flush_output();
}

/// At the end: the exit status, which is not 0 where standard output could not be written. A reader who has gone, as
/// `head` does, has all he wanted: that is no error, and the status is what the shell shows for it elsewhere.
inline int finish_output(std::string_view program, int status) {
  bool is_written = flush_output();
  const int copy = ::dup(STDOUT_FILENO);  // some file systems tell only on closing
  if (copy >= 0 && ::close(copy) != 0) note_output_error(errno), is_written = false;
  if (is_written) return status;
  constexpr int reader_has_gone = 128 + 13;  // SIGPIPE
  if (detail::output_error == EPIPE) return status == 0 ? reader_has_gone : status;
  say(program, "standard output could not be written whole: " + why_not_written(detail::output_error));
  return status == 0 ? 1 : status;
}

}  // namespace kvcache
