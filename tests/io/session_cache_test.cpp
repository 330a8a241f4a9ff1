// What a session asks for is checked before a cache is made of it: a file of a hundred bytes can ask for any amount.
#include "common/session_cache.hpp"

#include <doctest/doctest.h>

#include "common/instances.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::TemporaryFolder;

namespace {

constexpr CacheShape shape{.layers = 6, .kv_heads = 2, .head_dim = 32};
constexpr std::uint64_t fingerprint = 7;

/// As save_session writes it, but with any words for rows.
std::string session(const std::string& cache, std::vector<int> tokens, const ByteWriter& rows) {
  ByteWriter to;
  to.bytes(std::as_bytes(std::span(detail::session_magic)));
  to.number(detail::session_version);
  to.number(fingerprint);
  to.text("tiny");
  to.text(cache);
  to.number(std::uint32_t(tokens.size()));
  for (const int token : tokens) to.number(std::int32_t(token));
  to.bytes(rows.written());
  to.number(checksum(to.written()));
  const auto bytes = to.written();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
ByteWriter rows(const std::string& kind, int length) {
  ByteWriter to;
  to.text(kind);
  to.number(std::int32_t(length));
  return to;
}
std::string refusal(const std::string& bytes, bool is_asked = false) {
  const TemporaryFolder folder;
  try {
    check_session_cache(load_session(folder.write("a", bytes), fingerprint), shape, is_asked);
    return "accepted";
  } catch (const Error& error) {
    CHECK(std::string(error.what()).size() < 1500);
    return error.what();
  }
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a spec in a file is not believed") {
  const std::string of = ", 6 layers of 2 kv heads of 32, rows f32";
  CHECK(contains(refusal(session("paged:page=65536,pages=65536", {5}, rows("pages of 65536 tokens" + of, 0))),
                 "65536 x 65536 make 4294967296 slots"));
  CHECK(contains(refusal(session("offloaded:block=65536,recent=65536", {5}, rows("x", 0))), "make 4294967296 slots"));
  CHECK(contains(refusal(session("window:sinks=1073741824,recent=1073741824", {5}, rows("x", 0))),
                 "make 2147483648 slots"));
  CHECK(contains(refusal(session("heavy-hitter:budget=1000000000", {5}, rows("x", 0))),
                 "the saved rows are of \"x\", but the cache \"heavy-hitter:budget=1000000000\" would be "
                 "\"HeavyHitterCache of 1000000000 tokens"));
  CHECK(contains(
      refusal(session("window:sinks=0,recent=1", {5}, rows("a window of 0 sinks and 1 recent tokens" + of, 1 << 30))),
      "the saved cache holds 1073741824 tokens, but the text has 1"));
  CHECK(contains(refusal(session("growing", {5}, rows("every token in one piece" + of, -1))), "holds -1 tokens"));
  CHECK(contains(refusal(session("groing", {5}, rows("x", 0))), "cache \"groing\" is unknown"));
  CHECK(contains(refusal(session("growing", {5}, ByteWriter())), "4 bytes are needed"));
  std::string deep = "growing";
  for (int i = 0; i < 100000; ++i) deep = "layers:rest=" + deep;
  CHECK(contains(refusal(session(deep, {5}, rows("x", 0))), "names layers for a layer"));
}

TEST_CASE("rows that a cache has written are accepted, but for memory that nobody asked for") {
  for (const char* spec : {"growing", "window", "paged", "heavy-hitter", "offloaded", "growing:format=kivi",
                           "layers:0=window;rest=paged:page=4"}) {
    CAPTURE(std::string(spec));
    auto cache = make_cache(spec, shape, 5);
    const Matrix<float> row = Matrix<float>::Ones(3, shape.row_size());
    for (int l = 0; l < shape.layers; ++l) cache.append(l, 0, in(row), in(row));
    ByteWriter to;
    cache.save(to);
    CHECK(refusal(session(spec, {1, 2, 3, 4}, to)) == "accepted");
  }
  // 1,600,000 slots for one token: 4.9 GB that the user may want, but then says so.
  const ByteWriter few =
      rows("a window of 0 sinks and 1600000 recent tokens, 6 layers of 2 kv heads of 32, rows f32", 1);
  const std::string large = session("window:sinks=0,recent=1600000", {5}, few);
  CHECK(contains(refusal(large),
                 "the session asks for the cache \"window:sinks=0,recent=1600000\", which takes "
                 "4915200000 bytes, while its rows take"));
  CHECK(refusal(large, /*is_asked*/ true) == "accepted");
}

TEST_CASE("ids that no token has are refused when the session is read") {
  const TemporaryFolder folder;
  const auto path = folder.write("a", session("growing", {5, -7}, rows("x", 0)));
  CHECK_THROWS_WITH_AS(load_session(path, fingerprint), doctest::Contains("a token of the text has the id -7"), Error);
}
