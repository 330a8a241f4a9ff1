// Errors that say what was expected, which numbers came, and what to do.
#pragma once

#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>

namespace kvcache {

/// Every error this library throws on purpose. `what()` is a sentence for the person who can mend the cause.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws Error with the parts written one after another. Cold: compilers spend no time on making it fast.
template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  std::ostringstream message;
  message.imbue(std::locale::classic());  // 1024, whatever the program's own way to write numbers
  (message << ... << parts);
  throw Error(message.str());
}

/// Throws Error with the parts written one after another, unless the condition holds.
template <class... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) fail(parts...);
}

/// Runs what knows nothing of files; where it throws Error, the sentence begins with `where`, which does.
template <class Run>
decltype(auto) say_where(const std::string& where, Run&& run) {
  try {
    return run();
  } catch (const Error& error) {
    fail(where, ": ", error.what());
  }
}

}  // namespace kvcache
