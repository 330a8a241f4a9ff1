#include "kvcache/io/session.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <cstring>
#include <locale>

#include "cache/named_caches.hpp"
#include "common/instances.hpp"
#include "kvcache/io/model_fingerprint.hpp"
#include "kvcache/model/transformer.hpp"
#include "small_models.hpp"
#include "temporary_folder.hpp"
#include "threads.hpp"

using namespace kvcache;
using kvcache_test::read_file;
using kvcache_test::TemporaryFolder;

namespace {

constexpr std::uint64_t fingerprint = 0x0123456789abcdef;

ModelConfig config() {  // heads that every format can hold
  ModelConfig c = small_llama();
  c.layers = named_caches::shape.layers, c.kv_heads = named_caches::shape.kv_heads;
  c.head_dim = named_caches::shape.head_dim;
  return c;
}
std::vector<std::string> specs() {
  std::vector<std::string> specs;
  for (const auto& named : named_caches::cases()) specs.push_back(named.spec);
  for (const std::string policy :
       {"growing:", "preallocated:", "concatenating:", "window:sinks=2,recent=9,",
        "window:sinks=2,recent=9,positions=shifted,", "paged:page=4,", "heavy-hitter:budget=12,recent=4,",
        "random:budget=12,recent=4,", "offloaded:block=4,recent=2,"})
    for (const RowFormat* format : row_formats::all) specs.push_back(policy + "format=" + format->name);
  for (const char* spec : {"growing:format=kivi", "growing:format=kivi,bits=2,group=4,residual=4",
                           "growing:format=kivi,bits=4,group=8,residual=3,keys-per=token,values-per=channel",
                           "layers:0=window:sinks=1,recent=7;1=growing:format=kivi,group=4,residual=4",
                           "layers:0=heavy-hitter:budget=9,recent=3;1=paged:page=3,keys=int8,values=q4_0"})
    specs.push_back(spec);
  return specs;
}
void feed(Transformer<float>& model, auto& cache, std::span<const int> tokens, std::vector<float>& logits) {
  for (const int token : tokens) {
    const auto now = model.step(cache, std::span(&token, 1));
    logits.insert(logits.end(), now.begin(), now.end());
  }
}
bool same_bits(const std::vector<float>& x, const std::vector<float>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
}

/// A cache that is small enough to try all of its bytes.
GrowingCache<> few_rows(int tokens, float first = 1) {
  GrowingCache<> cache({.layers = 1, .kv_heads = 1, .head_dim = 2});
  for (int p = 0; p < tokens; ++p) {
    const Matrix<float> row = Matrix<float>::Constant(1, 2, first + float(p));
    cache.append(0, p, in(row), in(row));
  }
  return cache;
}
Session about(std::vector<int> tokens, const char* cache = "growing") { return {"small", fingerprint, cache, tokens}; }
std::vector<std::byte> bytes_of(const auto& cache) {
  ByteWriter to;
  cache.save(to);
  return {to.written().begin(), to.written().end()};
}
/// The error of loading these bytes into a cache that holds something; it must stay as it was.
std::string refusal(const TemporaryFolder& folder, const std::string& bytes) {
  const auto path = folder.write("broken", bytes);
  auto cache = few_rows(3, 50);
  const auto before = bytes_of(cache);
  try {
    load_session(path, fingerprint).restore(cache);
    return "accepted";
  } catch (const Error& error) {
    CHECK(bytes_of(cache) == before);
    CHECK(read_file(path) == bytes);
    return error.what();
  }
}
/// The same bytes with a checksum that fits them: what a forger could write.
std::string with_checksum(std::string bytes) {
  const std::string content = bytes.substr(0, bytes.size() - 8);
  const std::uint64_t sum = checksum(std::as_bytes(std::span(content)));
  std::memcpy(bytes.data() + content.size(), &sum, sizeof sum);
  return bytes;
}

}  // namespace

TEST_CASE("the logits after loading a session are the same bit for bit, for every policy and format") {
  const Threads one(1);
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.session";
  const Model<float> model = random_model<float>(config());
  Transformer<float> transformer(model);
  const std::vector<int> text = some_tokens(44);
  const std::span<const int> first = std::span(text).first(29), rest = std::span(text).subspan(29);
  for (const std::string& spec : specs()) {
    CAPTURE(spec);
    auto cache = make_cache(spec, config().cache_shape(), int(text.size()));
    auto loaded = make_cache(spec, config().cache_shape(), int(text.size()));
    std::vector<float> before, expected, got;
    feed(transformer, cache, first, before);
    feed(transformer, loaded, rest.first(5), before);  // to be replaced
    save_session(path, {"random", fingerprint, spec, {text.begin(), text.begin() + 30}}, cache);

    const SavedSession saved = load_session(path, fingerprint);
    CHECK(saved.session().model == "random");
    CHECK(saved.session().cache == spec);
    CHECK(saved.session().tokens == std::vector<int>(text.begin(), text.begin() + 30));
    saved.restore(loaded);
    CHECK(loaded.length(0) == 29);
    feed(transformer, cache, rest, expected), feed(transformer, loaded, rest, got);
    CHECK(same_bits(expected, got));
  }
}

TEST_CASE("a prompt that was read in one step goes on the same, bit for bit") {
  const Threads one(1);
  const TemporaryFolder folder;
  const Model<float> model = random_model<float>(config());
  Transformer<float> transformer(model);
  const std::vector<int> text = some_tokens(40);
  for (const char* spec :
       {"growing:format=kivi,group=4,residual=4", "heavy-hitter:budget=12,recent=4", "paged:page=4"}) {
    CAPTURE(std::string(spec));
    auto cache = make_cache(spec, config().cache_shape(), 40), loaded = make_cache(spec, config().cache_shape(), 40);
    transformer.step(cache, std::span(text).first(20));
    save_session(folder.path() / "a", {"random", fingerprint, spec, text}, cache);
    load_session(folder.path() / "a", fingerprint).restore(loaded);
    std::vector<float> expected, got;
    feed(transformer, cache, std::span(text).subspan(20), expected);
    feed(transformer, loaded, std::span(text).subspan(20), got);
    CHECK(same_bits(expected, got));
  }
}

TEST_CASE("a session that was cut off anywhere, or changed in any byte, is refused and changes nothing") {
  const TemporaryFolder folder;
  save_session(folder.path() / "a", about({1, 2, 3}), few_rows(2));
  const std::string whole = read_file(folder.path() / "a");
  REQUIRE(whole.size() < 300);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const std::string told = refusal(folder, whole.substr(0, n));
    CAPTURE(n);
    CAPTURE(told);
    CHECK((told.find("the file is empty") != std::string::npos || told.find("not a session") != std::string::npos ||
           told.find("cut off") != std::string::npos));
  }
  for (std::size_t n = 0; n < whole.size(); ++n)
    for (const int bit : {0, 3, 7}) {
      std::string changed = whole;
      changed[n] = char(changed[n] ^ (1 << bit));
      const std::string told = refusal(folder, changed);
      CAPTURE(n);
      CAPTURE(told);
      CHECK((told.find("not a session") != std::string::npos || told.find("cut off or changed") != std::string::npos));
    }
  CHECK(refusal(folder, whole + "x").find("cut off or changed") != std::string::npos);
  CHECK(refusal(folder, whole + whole).find("cut off or changed") != std::string::npos);
}

TEST_CASE("another version, model or kind of file is refused with what to do") {
  const TemporaryFolder folder;
  save_session(folder.path() / "a", about({1, 2, 3}), few_rows(2));
  std::string other = read_file(folder.path() / "a");
  other[8] = 2;
  CHECK(refusal(folder, with_checksum(other))
            .find("a session of version 2, but this program reads version 1; take the "
                  "program that wrote it, or begin another session") != std::string::npos);
  CHECK_THROWS_WITH_AS(load_session(folder.path() / "a", 7),
                       doctest::Contains("the session was begun with the model \"small\" (fingerprint "
                                         "0123456789abcdef), not with this one (0000000000000007)"),
                       Error);
  CHECK(refusal(folder, "GGUF and much more").find("not a session; give a file that save_session wrote") !=
        std::string::npos);
  CHECK_THROWS_WITH_AS(load_session(folder.path() / "missing", 7), doctest::Contains("cannot be opened"), Error);
  CHECK_THROWS_WITH_AS(load_session(folder.path(), 7), doctest::Contains("not a file"), Error);
}

TEST_CASE("another cache than the saved one is refused, and left empty") {
  const TemporaryFolder folder;
  const CacheShape shape{.layers = 1, .kv_heads = 1, .head_dim = 32};
  const Matrix<float> row = Matrix<float>::Ones(1, 32);
  const auto filled = [&](const char* spec, int tokens, CacheShape shape) {
    auto cache = make_cache(spec, shape, 8);
    for (int l = 0; l < shape.layers; ++l)
      for (int p = 0; p < tokens; ++p) cache.append(l, p, in(row), in(row));
    return cache;
  };
  const auto told = [&](const char* saved, const char* spec, CacheShape other) -> std::string {
    save_session(folder.path() / "a", about({1, 2, 3, 4, 5, 6}, saved), filled(saved, 6, shape));
    auto cache = filled(spec, 2, other);
    try {
      load_session(folder.path() / "a", fingerprint).restore(cache);
      return "accepted";
    } catch (const Error& error) {
      CHECK(cache.length(0) == 0);
      CHECK(cache.memory().used_bytes == 0);
      return error.what();
    }
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(
      contains(told("growing", "window", shape),
               "the saved cache is \"every token in one piece, 1 layers of 1 kv heads of 32, rows f32\", but this one "
               "is \"a window of 4 sinks and 252 recent tokens, 1 layers of 1 kv heads of 32, rows f32\"; load it "
               "into one that was made alike"));
  CHECK(contains(told("growing", "growing", {2, 1, 32}), "but this one is \"every token in one piece, 2 layers"));
  CHECK(contains(told("growing:format=f16", "growing:format=bf16", shape), "rows bf16"));  // as many bytes
  CHECK(contains(told("growing:format=kivi", "growing:format=kivi,residual=8", shape), "8 whole"));
  CHECK(contains(told("paged:page=2", "paged:page=4", shape), "pages of 4 tokens"));
  CHECK(contains(told("offloaded:block=2", "offloaded:block=4", shape), "blocks of 4 tokens"));
  CHECK(contains(told("random:budget=4", "heavy-hitter:budget=4", shape), "HeavyHitterCache of 4 tokens"));
  CHECK(contains(told("window:recent=9", "window:recent=9,positions=shifted", shape), "positions shifted"));
  CHECK(contains(told("layers:rest=growing", "layers:rest=paged", shape), "pages of 16 tokens"));
  CHECK(contains(told("paged:page=2", "paged:page=2,pages=2", shape), "3 more pages of 2 tokens are needed"));
  CHECK(told("growing", "preallocated", shape) == "accepted");  // they differ in their room alone
}

TEST_CASE("what only a forger could write is refused all the same, without taking memory for it") {
  const TemporaryFolder folder;
  save_session(folder.path() / "a", about({1, 2, 3}), few_rows(2));
  const std::string whole = read_file(folder.path() / "a");
  int refused = 0;
  for (std::size_t n = 12; n + 8 < whole.size(); ++n)
    for (const int change : {1, 0x40, 0x80, 0xff}) {
      std::string changed = whole;
      changed[n] = char(changed[n] ^ change);
      const auto path = folder.write("forged", with_checksum(changed));
      auto cache = few_rows(3, 50);
      try {
        load_session(path, fingerprint).restore(cache);
      } catch (const Error&) {
        ++refused;
        continue;
      }
      CHECK(cache.length(0) <= 3);  // other names, tokens or numbers in rows; or fewer rows
    }
  CHECK(refused > 100);
  for (const char* spec : {"heavy-hitter:budget=4,recent=2", "growing:format=kivi,group=2,residual=2", "paged:page=2",
                           "offloaded:block=2,recent=1", "layers:rest=window:recent=3"}) {
    auto cache = make_cache(spec, {1, 1, 32}, 8), other = cache.clone();
    const Matrix<float> row = Matrix<float>::Ones(1, 32);
    for (int p = 0; p < 7; ++p) cache.append(0, p, in(row), in(row));
    const auto saved = bytes_of(cache);
    for (std::size_t n = 0; n < saved.size(); ++n) {
      auto changed = saved;
      changed[n] ^= std::byte(0x81);
      ByteReader from(changed);
      try {
        other.load(from);
        other.append(0, other.length(0), in(row), in(row));  // it can be used
      } catch (const Error&) {
      }
    }
  }
}

TEST_CASE("a cache in the middle of a step, or with more tokens than the text, is not saved") {
  const TemporaryFolder folder;
  const Matrix<float> row = Matrix<float>::Ones(1, 32);
  for (const char* spec : {"growing", "window", "paged", "random", "offloaded", "layers:rest=growing"}) {
    auto cache = make_cache(spec, {2, 1, 32}, 8);
    cache.append(0, 0, in(row), in(row));
    CHECK_THROWS_WITH_AS(
        save_session(folder.path() / "a", about({1, 2}), cache),
        doctest::Contains("layer 0 holds 1 tokens and layer 1 0; the cache is in the middle of a step"), Error);
  }
  CHECK_THROWS_WITH_AS(save_session(folder.path() / "a", about({1}), few_rows(2)),
                       doctest::Contains("the cache holds 2 tokens, but the text has only 1; give the whole text"),
                       Error);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("what stands in shared pages becomes the reader's own") {
  const TemporaryFolder folder;
  const auto pool = std::make_shared<PagePool<>>(CacheShape{1, 1, 2}, 8, 2);
  const Matrix<float> row = Matrix<float>::Ones(1, 2);
  PagedCache<> cache(pool);
  for (int p = 0; p < 4; ++p) cache.append(0, p, in(row), in(row));
  PagedCache<> fork = cache.fork();
  save_session(folder.path() / "a", about({1, 2, 3, 4}), fork);
  load_session(folder.path() / "a", fingerprint).restore(fork);
  CHECK(fork.length(0) == 4);
  CHECK(pool->free_pages() == 4);
  for (const int page : fork.table()) CHECK(pool->references(page) == 1);
}

TEST_CASE("what is saved does not depend on how a program writes numbers") {
  struct Dots : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  SlidingWindowCache<> cache({2, 2, 8}, {.sinks = 4, .recent = 1020});
  const auto plain = bytes_of(cache);
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Dots));
  const auto dotted = bytes_of(cache);
  std::string sentence;
  try {
    fail("1024 is ", 1024);
  } catch (const Error& error) {
    sentence = error.what();
  }
  std::locale::global(before);
  CHECK(dotted == plain);
  CHECK(sentence == "1024 is 1024");
}

TEST_CASE("a write that fails leaves the old session and no temporary file") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a";
  save_session(path, about({1, 2, 3}), few_rows(2));
  const std::string before = read_file(path);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);  // as a full disk
  std::string told;
  try {
    save_session(path, about(std::vector<int>(1000)), few_rows(2));
  } catch (const Error& error) {
    told = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, old_handler);
  CHECK(told.find("could not be written whole: File too large; is the disk full?") != std::string::npos);
  CHECK(read_file(path) == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);

  std::filesystem::create_directory(folder.path() / "folder");
  CHECK_THROWS_WITH_AS(save_session(folder.path() / "folder", about({1, 2}), few_rows(2)),
                       doctest::Contains("it is a folder"), Error);
  CHECK_THROWS_WITH_AS(save_session(folder.path() / "no" / "a", about({1, 2}), few_rows(2)),
                       doctest::Contains("there is no folder"), Error);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}

TEST_CASE("what a writer that was killed has left is written over") {
  const TemporaryFolder folder;
  folder.write("a.part", std::string(10'000, 'x'));
  save_session(folder.path() / "a", about({1, 2}), few_rows(2));
  CHECK(load_session(folder.path() / "a", fingerprint).session().tokens == std::vector<int>{1, 2});
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("two programs do not write one session at once") {
  const TemporaryFolder folder;
  const detail::OpenFile other(::open((folder.path() / "a.part").c_str(), O_WRONLY | O_CREAT, 0600));
  REQUIRE(::flock(other, LOCK_EX) == 0);
  CHECK_THROWS_WITH_AS(save_session(folder.path() / "a", about({1, 2}), few_rows(2)),
                       doctest::Contains("is being written by another program"), Error);
  CHECK(std::filesystem::exists(folder.path() / "a.part"));
}

TEST_CASE("a writer that is killed at any moment leaves one of the two whole sessions") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a";
  const auto session_of = [](int which) {
    return about(std::vector<int>(std::size_t(20'000 + which * 60'000), which));
  };
  const auto cache_of = [](int which) { return few_rows(1000 + which * 3000, float(which)); };
  const auto begin = std::chrono::steady_clock::now();
  save_session(path, session_of(1), cache_of(1)), save_session(path, session_of(0), cache_of(0));
  const std::chrono::duration<double, std::micro> two_writes = std::chrono::steady_clock::now() - begin;
  Random random(4);
  int in_the_middle = 0, seen[2] = {0, 0};
  for (int round = 0; round < 50; ++round) {
    const pid_t writer = ::fork();
    REQUIRE(writer >= 0);
    if (writer == 0) try {
        for (int i = round;; ++i) save_session(path, session_of(i % 2), cache_of(i % 2));
      } catch (...) {
        ::_exit(1);
      }
    ::usleep(useconds_t(random.uniform(0, 2 * two_writes.count())));  // a disk may be fast or slow
    REQUIRE(::kill(writer, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(writer, &status, 0) == writer);
    REQUIRE(WIFSIGNALED(status));  // it had not stopped by itself
    in_the_middle += std::filesystem::exists(path.string() + ".part");

    auto cache = few_rows(0);
    const SavedSession saved = load_session(path, fingerprint);
    saved.restore(cache);
    const int which = saved.session().tokens.at(0);
    ++seen[which];
    CHECK(saved.session().tokens == session_of(which).tokens);
    CHECK(bytes_of(cache) == bytes_of(cache_of(which)));
  }
  MESSAGE("killed in the middle of a write: " << in_the_middle << " of 50 times; found the shorter session " << seen[0]
                                              << " times, the longer " << seen[1] << " times");
  CHECK(in_the_middle > 0);
  save_session(path, session_of(1), cache_of(1));  // what the dead left is no obstacle
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a fingerprint tells models apart by their config, and by their tensors' names, shapes, formats and ends") {
  std::vector<std::byte> numbers(40'000, std::byte(1));
  const auto of = [&](const ModelConfig& config, const char* name = "w", NumberFormat format = NumberFormat::f16,
                      std::vector<std::size_t> shape = {100, 200}) {
    return model_fingerprint(config, {{name, {name, format, shape, numbers}}});
  };
  const ModelConfig same = config();
  const std::uint64_t expected = of(same);
  CHECK(of(config()) == expected);
  CHECK(model_fingerprint(same, {}) != expected);
  CHECK(of(same, "v") != expected);
  CHECK(of(same, "w", NumberFormat::bf16) != expected);
  CHECK(of(same, "w", NumberFormat::f16, {200, 100}) != expected);
  for (const auto& change : std::vector<std::function<void(ModelConfig&)>>{
           [](auto& c) { c.layers = 3; }, [](auto& c) { c.rope_theta = 5; }, [](auto& c) { c.norm_epsilon = 1e-6; },
           [](auto& c) { c.rope_divisors = {2}; }, [](auto& c) { c.norm = NormKind::layer_norm; }}) {
    ModelConfig other = config();
    change(other);
    CHECK(of(other) != expected);
  }
  for (const auto& [at, noticed] : {std::pair{0, true}, {4095, true}, {39'999, true}, {20'000, false}}) {
    numbers[std::size_t(at)] = std::byte(2);
    CHECK((of(same) != expected) == noticed);
    numbers[std::size_t(at)] = std::byte(1);
  }
}
