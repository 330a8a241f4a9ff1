// What a cache costs, three ways: what it says (memory()), what the formula says, and what the allocator was asked for.
#include <doctest/doctest.h>

#include "allocations.hpp"
#include "kvcache/cache/contiguous_cache.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{.layers = 3, .kv_heads = 2, .head_dim = 10};

template <class Cache>
void append(Cache& cache, int first, int tokens) {
  const auto rows = Matrix<typename Cache::Scalar>::Ones(tokens, shape.row_size()).eval();
  for (int l = 0; l < shape.layers; ++l) cache.append(l, first, in(rows), in(rows));
}
std::size_t formula(int bytes_per_number, int tokens) {  // written out, not asked of the library
  return std::size_t(2 * shape.layers * shape.kv_heads * shape.head_dim * bytes_per_number * tokens);
}
/// What Eigen adds to an allocation to align it, where malloc's own alignment is not enough.
constexpr std::size_t padding = EIGEN_MALLOC_ALREADY_ALIGNED ? 0 : EIGEN_DEFAULT_ALIGN_BYTES;

template <class Rows>
void with_cache(std::string_view name, int capacity, auto&& use) {
  if (name == "growing") use(GrowingCache<Rows>(shape));
  if (name == "preallocated") use(PreallocatedCache<Rows>(shape, capacity));
  if (name == "concatenating") use(ConcatenatingCache<Rows>(shape));
}

/// What the allocator was asked for and has not got back, without padding and without what does not depend on tokens.
template <class Rows>
std::size_t row_bytes_of(const char* name, int capacity, int tokens) {
  const auto row = Matrix<typename Rows::Scalar>::Ones(1, shape.row_size()).eval();
  const auto live = [&](int tokens, int capacity) {
    const allocations::Ledger ledger;
    std::size_t bytes = 0;
    with_cache<Rows>(name, capacity, [&](auto cache) {
      for (int p = 0; p < tokens; ++p)
        for (int l = 0; l < shape.layers; ++l) cache.append(l, p, in(row), in(row));
      bytes = ledger.live_bytes();
    });
    return bytes;
  };
  const std::size_t rows = 2 * shape.layers * padding;  // keys and values of each layer
  return live(tokens, capacity) - live(0, 0) - rows;
}

}  // namespace

TEST_CASE("the formula is 2 x layers x kv_heads x head_dim x bytes, for each token") {
  CHECK(shape.bytes_per_token(4) == formula(4, 1));
  CHECK(CacheShape{32, 8, 128}.bytes_per_token(2) == 131072);                                  // Llama 3.1 8B: 128 KiB
  CHECK(CacheShape{12, 12, 64}.bytes_per_token(4) == 73728);                                   // GPT-2: 72 KiB
  CHECK(CacheShape{1000, 1000, 4096}.bytes_per_token(8) == std::size_t(65536) * 1000 * 1000);  // beyond 32 bits
  CHECK(shape.row_size() == 20);
}

TEST_CASE_TEMPLATE("memory() is what the formula says, to the byte", Rows, FloatRows<double>, FloatRows<float>,
                   FloatRows<float, Eigen::half>) {
  const int bytes = std::same_as<Rows, FloatRows<double>> ? 8 : std::same_as<Rows, FloatRows<float>> ? 4 : 2;
  for (const std::string_view name : {"growing", "preallocated", "concatenating"})
    with_cache<Rows>(name, 64, [&](auto cache) {
      CHECK(cache.memory().used_bytes == 0);
      for (int p = 0; p < 37; ++p) {
        append(cache, p, 1);
        CHECK(cache.memory().used_bytes == formula(bytes, p + 1));
      }
      CHECK(cache.memory().reserved_bytes == formula(bytes, name == "concatenating" ? 37 : 64));
      CHECK(cache.memory().bookkeeping_bytes == 0);  // token p lies in slot p
    });
}

TEST_CASE("the allocator was asked for what memory() reserves, to the byte") {
  if (!allocations::counting()) {
    MESSAGE("not checked: allocations cannot be counted in this build");
    return;
  }
  CHECK(row_bytes_of<FloatRows<float>>("preallocated", 100, 37) == formula(4, 100));
  CHECK(row_bytes_of<FloatRows<double>>("preallocated", 100, 0) == formula(8, 100));
  CHECK(row_bytes_of<FloatRows<float, Eigen::half>>("preallocated", 100, 37) == formula(2, 100));
  CHECK(row_bytes_of<FloatRows<float>>("growing", 0, 37) == formula(4, 64));
  CHECK(row_bytes_of<FloatRows<float>>("concatenating", 0, 37) == formula(4, 37));
  CHECK(row_bytes_of<FloatRows<float, Eigen::half>>("concatenating", 0, 37) == formula(2, 37));
}

TEST_CASE("what does not depend on tokens is small: a few numbers for each layer") {
  if (!allocations::counting()) return;
  const allocations::Ledger ledger;
  const GrowingCache<> cache(shape);
  CHECK(ledger.live_bytes() == shape.layers * (sizeof(FloatRows<>) + sizeof(int)));
}

TEST_CASE("the ledger counts every way to ask for memory") {
  if (!allocations::counting()) return;
  const allocations::Ledger ledger;
  {
    const std::vector<char> plain(1000);
    CHECK(ledger.live_bytes() == 1000);
    const Numbers<float> aligned(100);
    CHECK(ledger.live_bytes() == 1400 + padding);
    CHECK(ledger.count() == 2);
  }
  CHECK(ledger.live_bytes() == 0);
  void* volatile memory = std::malloc(10);  // volatile: a compiler may leave out memory that nobody uses
  memory = std::realloc(memory, 5000);
  CHECK(ledger.live_bytes() == 5000);
  std::free(memory);
  memory = std::calloc(3, 7);
  CHECK(ledger.live_bytes() == 21);
  std::free(memory);
  memory = std::aligned_alloc(64, 128);
  CHECK(ledger.live_bytes() == 128);
  std::free(memory);
  CHECK(ledger.live_bytes() == 0);
  CHECK(ledger.count() == 6);
}

TEST_CASE("clear and rewind give back use, not room") {
  GrowingCache<> cache(shape);
  append(cache, 0, 37);
  cache.rewind(12);
  CHECK(cache.memory().used_bytes == formula(4, 12));
  CHECK(cache.memory().reserved_bytes == formula(4, 37));
  cache.clear();
  CHECK(cache.memory().used_bytes == 0);
  CHECK(cache.memory().reserved_bytes == formula(4, 37));
}

TEST_CASE("concatenating copies n (n - 1) / 2 rows, doubling fewer than two for each, preallocating none") {
  ConcatenatingCache<> concatenating(shape);
  GrowingCache<> growing(shape);
  PreallocatedCache<> preallocated(shape, 61);
  for (int p = 0; p < 61; ++p) {
    append(concatenating, p, 1), append(growing, p, 1), append(preallocated, p, 1);
    CHECK(concatenating.memory().copied_bytes == formula(4, (p + 1) * p / 2));
    CHECK(growing.memory().copied_bytes < 2 * formula(4, p + 1));
  }
  CHECK(growing.memory().copied_bytes == formula(4, 1 + 2 + 4 + 8 + 16 + 32));
  CHECK(preallocated.memory().copied_bytes == 0);
}

TEST_CASE("a prompt in one piece is copied once at most") {
  ConcatenatingCache<FloatRows<float, Eigen::half>> cache(shape);
  append(cache, 0, 30);
  CHECK(cache.memory().copied_bytes == 0);
  append(cache, 30, 7);
  CHECK(cache.memory().copied_bytes == formula(2, 30));
}
