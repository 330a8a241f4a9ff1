// The files that a command writes: tried before the work, and written whatever becomes of the others.
#pragma once

#include <initializer_list>
#include <list>
#include <string>

#include "common/program.hpp"
#include "common/standard_streams.hpp"
#include "kvcache/io/atomic_file.hpp"

namespace kvcache::cli {

class Outputs {
 public:
  /// Those that were asked for; an empty name is none. Errors: one that could not be written, or is named twice: said
  /// now, and not after minutes of work.
  explicit Outputs(std::initializer_list<std::string> paths) {
    std::list<FileToWrite> all;  // at once, so that two of one name meet
    for (const std::string& path : paths)
      if (!path.empty()) all.emplace_back(path);
  }
  /// Writes what content() gives, if there is a name for it. What cannot be written is said, and no end to the others.
  template <class Content>
  void write(const std::string& path, Content&& content) {
    if (!path.empty()) attempt([&] { write_atomically(path, std::string_view(content())); });
  }
  template <class Save>
  void attempt(Save&& save) {
    try {
      save();
    } catch (...) {
      say("kvcache", sentence_of_exception());
      is_whole_ = false;
    }
  }
  /// At the end. Errors: something could not be written, which was said.
  void finish() const {
    if (!is_whole_) throw ExitStatus{1};
  }

 private:
  bool is_whole_ = true;
};

}  // namespace kvcache::cli
