// A conversation as a file: the text so far, and the cache that saves computing it again.
//
//   magic        8 bytes: "kvcsess\n"
//   version      4 bytes
//   fingerprint  8 bytes, of the model: io/model_fingerprint.hpp
//   model        its name, for people: 4 bytes say how long it is
//   cache        the spec of the cache, as make_cache reads it: likewise
//   tokens       4 bytes say how many, then 4 bytes each
//   rows         what the cache wrote: all that is left
//   checksum     8 bytes: XXH3 of all bytes before it
//
// Numbers have their lowest byte first. Every version begins with the first two and ends with the last.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvcache/cache/concept.hpp"
#include "kvcache/core/byte_stream.hpp"
#include "kvcache/core/checked_size.hpp"
#include "kvcache/io/atomic_file.hpp"
#include "kvcache/io/checksum.hpp"
#include "kvcache/io/mapped_file.hpp"

namespace kvcache {

struct Session {
  std::string model;              // its name, for people
  std::uint64_t fingerprint = 0;  // of the model
  std::string cache;              // as make_cache reads it
  std::vector<int> tokens;        // the text so far; the cache holds all of them or the first
};

namespace detail {

inline constexpr std::string_view session_magic = "kvcsess\n";
inline constexpr std::uint32_t session_version = 1;

inline std::string in_hex(std::uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

/// What stands between version and checksum. Errors: not a session, damaged, or of another version.
inline std::span<const std::byte> session_content(std::span<const std::byte> bytes, const std::string& path) {
  const std::size_t begin = session_magic.size() + sizeof session_version, end = sizeof(std::uint64_t);
  check(bytes.size() >= session_magic.size() &&
            std::ranges::equal(bytes.first(session_magic.size()), std::as_bytes(std::span(session_magic))),
        path, ": not a session; give a file that save_session wrote, or a name that is free");
  check(bytes.size() >= begin + end, path, ": a session of ", bytes.size(),
        " bytes, which is too short for any; it was ", "cut off: take a copy of it, or begin another");
  const std::uint64_t stored = ByteReader(bytes.last(end)).number<std::uint64_t>(),
                      computed = checksum(bytes.first(bytes.size() - end));
  check(stored == computed, path, ": the checksum at the end is ", in_hex(stored), ", but the bytes before it give ",
        in_hex(computed), "; the file was cut off or changed: take a copy of it, or begin another session");
  const auto version = ByteReader(bytes.subspan(session_magic.size())).number<std::uint32_t>();
  check(version == session_version, path, ": a session of version ", version, ", but this program reads version ",
        session_version, "; take the program that wrote it, or begin another session");
  return bytes.subspan(begin, bytes.size() - begin - end);
}

}  // namespace detail

/// Atomically: whoever is interrupted leaves the session that was there before. Takes as much memory as the cache, for
/// a moment. Who makes the file before he loads the session keeps others out until it is saved, or their turns would be
/// lost. Errors: a cache that holds more tokens than the text, or that is in the middle of a step; those of
/// FileToWrite.
template <SavableCache Cache>
void save_session(FileToWrite& file, const Session& session, const Cache& cache) {
  check(std::size_t(cache.length(0)) <= session.tokens.size(), file.path().string(),
        " cannot be saved: the cache holds ", cache.length(0), " tokens, but the text has only ", session.tokens.size(),
        "; give the whole text");
  ByteWriter to;
  to.bytes(std::as_bytes(std::span(detail::session_magic)));
  to.number(detail::session_version);
  to.number(session.fingerprint);
  to.text(session.model);
  to.text(session.cache);
  to.number(std::uint32_t(session.tokens.size()));
  for (const int token : session.tokens) to.number(std::int32_t(token));
  cache.save(to);
  to.number(checksum(to.written()));
  file.write(to.written());
  file.finish();
}
template <SavableCache Cache>
void save_session(const std::filesystem::path& path, const Session& session, const Cache& cache) {
  FileToWrite file(path);
  save_session(file, session, cache);
}

/// A session that was read and found whole. Its rows stay in the file until restore() asks for them.
class SavedSession {
 public:
  /// Errors: no such file; not a session; damaged in any byte; of another version or model.
  SavedSession(const std::filesystem::path& path, std::uint64_t fingerprint) : path_(path.string()), file_(path) {
    ByteReader from(detail::session_content(file_.bytes(), path_), path_);
    session_.fingerprint = from.number<std::uint64_t>();
    session_.model = from.text();
    check(session_.fingerprint == fingerprint, path_, ": the session was begun with the model \"", session_.model,
          "\" (fingerprint ", detail::in_hex(session_.fingerprint), "), not with this one (",
          detail::in_hex(fingerprint), "), which would read its rows as nonsense; take that model, or another file");
    session_.cache = from.text();
    const std::size_t count = from.number<std::uint32_t>();
    from.check_left(count, sizeof(std::int32_t));
    check(count <= std::size_t(most_slots), path_, ": the text has ", count, " tokens, it says; at most ", most_slots,
          " can be counted");
    for (std::size_t i = 0; i < count; ++i) session_.tokens.push_back(from.number<std::int32_t>());
    for (const int token : session_.tokens)
      check(token >= 0, path_, ": a token of the text has the id ", token, "; ids begin at 0: the file is broken");
    rows_ = from.bytes(from.left());
  }

  const Session& session() const { return session_; }
  const std::string& path() const { return path_; }
  std::size_t rows_bytes() const { return rows_.size(); }

  /// The rows of a cache of this library begin with its kind and its length (cache/saved_cache.hpp). These two are to
  /// be asked before a cache is made of session().cache. Errors: a kind that is not what such a cache would write.
  void check_rows_kind(const std::string& kind) const {
    const std::string saved = ByteReader(rows_, path_).text();
    check(saved == kind, path_, ": the saved rows are of \"", saved.substr(0, 200), "\", but the cache \"",
          session_.cache.substr(0, 100), "\" would be \"", kind, "\"; the file is broken");
  }
  /// Returns the length. Errors: more tokens than the text has, or fewer than none.
  int check_rows_length() const {
    ByteReader from(rows_, path_);
    from.text();
    const int length = from.number<std::int32_t>();
    check(length >= 0 && std::size_t(length) <= session_.tokens.size(), path_, ": the saved cache holds ", length,
          " tokens, but the text has ", session_.tokens.size(), "; the file is broken");
    return length;
  }

  /// Replaces what the cache holds. Make it of session().cache, with room for the text. Errors: a cache of another
  /// kind, or with less room; it is left empty then.
  template <SavableCache Cache>
  void restore(Cache& cache) const {
    ByteReader from(rows_, path_);
    cache.load(from);
    const int length = cache.length(0);
    if (from.left() == 0 && std::size_t(length) <= session_.tokens.size()) return;
    cache.clear();
    from.check_finished();
    fail(path_, ": the saved cache holds ", length, " tokens, but the text has only ", session_.tokens.size(),
         "; the file is broken");
  }

 private:
  std::string path_;
  MappedFile file_;
  Session session_;
  std::span<const std::byte> rows_;  // in the file
};

/// The session that was saved, if it belongs to the model of this fingerprint. Errors: those of SavedSession; nothing
/// has changed then.
inline SavedSession load_session(const std::filesystem::path& path, std::uint64_t fingerprint) {
  return SavedSession(path, fingerprint);
}

}  // namespace kvcache
