#include "kvcache/observe/traced_cache.hpp"

#include <doctest/doctest.h>

#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/offloaded_cache.hpp"
#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/cache/rows/kivi_rows.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"
#include "student_cache.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

constexpr CacheShape shape{2, 2, 3};
constexpr std::size_t row_bytes = 2 * 8 * 6;  // a key and a value of one token in one layer, in double

using Rows = FloatRows<double>;
using Kind = CacheEvent::Kind;
using Events = std::vector<CacheEvent>;

/// The same storage, newest in slot 0, but shown oldest first: positions that follow each other lie in slots that do
/// not.
struct OldestFirst : StudentCache {
  using StudentCache::StudentCache;
  OldestFirst clone() const { return OldestFirst(StudentCache::shape()); }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    std::vector<BackwardBlock> rows;
    StudentCache::for_each_block(layer, kv_head, [&](const BackwardBlock& block) {
      for (int r = 0; r < block.rows(); ++r) rows.push_back(block.slice(r, 1));
    });
    for (auto row = rows.rbegin(); row != rows.rend(); ++row) visit(*row);
  }
};

/// Appends so many tokens to every layer.
void feed(auto& cache, int tokens) {
  const Matrix<double> rows = Matrix<double>::Constant(tokens, shape.row_size(), 0.5);
  for (int l = 0; l < shape.layers; ++l) cache.append(l, cache.length(l), in(rows), in(rows));
}
/// The same events, layer after layer.
Events in_each_layer(const Events& events) {
  Events all;
  for (int l = 0; l < shape.layers; ++l)
    for (CacheEvent event : events) event.layer = l, all.push_back(event);
  return all;
}
/// The layout against the blocks, row by row.
void check_layouts(const auto& traced) {
  for (int l = 0; l < shape.layers; ++l) {
    const LayerLayout& layout = traced.layout(l);
    CHECK(layout.slots == traced.inner().slots(l));
    std::vector<int> in_slot(std::size_t(layout.slots), -1);
    int rows = 0;
    for (int h = 0; h < shape.kv_heads; ++h)
      traced.inner().for_each_block(l, h, [&](const auto& block) {
        for (int r = 0; r < block.rows(); ++r) {
          rows += h == 0;
          in_slot[std::size_t(block.slot(r))] = block.position(r);
          CHECK(layout.slot_of(block.position(r)) == block.slot(r));
        }
      });
    CHECK(layout.rows() == rows);
    for (int slot = 0; slot < layout.slots; ++slot) CHECK(layout.position_in(slot) == in_slot[std::size_t(slot)]);
    CHECK(layout.slot_of(traced.length(l)) == -1);
    CHECK(layout.position_in(layout.slots) == -1);
  }
}

}  // namespace

TEST_CASE("a traced cache keeps the laws of the cache within") {
  const Threads one(1);
  check_cache_laws([] { return TracedCache(GrowingCache<Rows>({2, 2, 8})); });
  check_cache_laws([] { return TracedCache(ConcatenatingCache<Rows>({2, 2, 8})); });
  check_cache_laws([] { return TracedCache(PreallocatedCache<FloatRows<>>({2, 2, 8}, 41)); });
  check_cache_laws(
      [] {
        return TracedCache(StudentCache({2, 2, 8}, 8));
      },
      {.keeps = [](int position, int length) { return position >= length - 8; }});
}

TEST_CASE("the layout is where the rows lie, whatever was done") {
  const auto work = [](auto traced) {
    check_layouts(traced);
    for (const int tokens : {3, 1, 1, 4, 1}) feed(traced, tokens), check_layouts(traced);
    if constexpr (RewindableCache<decltype(traced)>) traced.rewind(4), check_layouts(traced);
    feed(traced, 2), check_layouts(traced);
    check_layouts(traced.clone());
    traced.clear(), check_layouts(traced);
    feed(traced, 1), check_layouts(traced);
    auto moved = std::move(traced);
    feed(moved, 1), check_layouts(moved);
  };
  work(TracedCache(GrowingCache<Rows>(shape)));
  work(TracedCache(ConcatenatingCache<Rows>(shape)));
  work(TracedCache(PreallocatedCache<Rows>(shape, 12)));
  work(TracedCache(StudentCache(shape)));
}

TEST_CASE("neighbours in text and storage are one run; tokens that lie backwards are one each") {
  TracedCache growing{GrowingCache<Rows>(shape)};
  feed(growing, 5);
  CHECK(growing.layout(1) == LayerLayout{5, {{0, 0, 5}}});
  feed(growing, 1);
  CHECK(growing.layout(1) == LayerLayout{10, {{0, 0, 6}}});
  TracedCache student{StudentCache(shape)};
  feed(student, 2);
  CHECK(student.layout(0) == LayerLayout{2, {{0, 1, 1}, {1, 0, 1}}});
  TracedCache oldest_first{OldestFirst(shape)};
  feed(oldest_first, 2);
  CHECK(oldest_first.layout(0) == LayerLayout{2, {{1, 0, 1}, {0, 1, 1}}});
}

TEST_CASE("a cache that was filled before it is traced shows what it holds") {
  GrowingCache<Rows> cache(shape);
  feed(cache, 3);
  TracedCache traced(std::move(cache));
  CHECK(traced.layout(1) == LayerLayout{3, {{0, 0, 3}}});
  CHECK(traced.take_events().empty());
}

TEST_CASE("moved: the rows that were copied to larger room, with their bytes") {
  TracedCache concatenating{ConcatenatingCache<Rows>(shape)};
  feed(concatenating, 3);
  CHECK(concatenating.take_events().empty());  // there was nothing to copy
  feed(concatenating, 2);
  CHECK(concatenating.take_events() == in_each_layer({{Kind::moved, 0, 0, 3, 3 * row_bytes}}));
  CHECK(concatenating.take_events().empty());  // they were taken
  feed(concatenating, 1);
  feed(concatenating, 1);
  CHECK(concatenating.take_events().size() == 4);

  TracedCache growing{GrowingCache<Rows>(shape)};
  feed(growing, 3);
  feed(growing, 1);  // 3 slots become 6
  CHECK(growing.take_events() == in_each_layer({{Kind::moved, 0, 0, 3, 3 * row_bytes}}));
  feed(growing, 2);
  CHECK(growing.take_events().empty());
  feed(growing, 1);
  CHECK(growing.take_events() == in_each_layer({{Kind::moved, 0, 0, 6, 6 * row_bytes}}));

  TracedCache preallocated{PreallocatedCache<Rows>(shape, 9)};
  for (int i = 0; i < 9; ++i) feed(preallocated, 1);
  CHECK(preallocated.take_events().empty());
}

TEST_CASE("forgotten: the tokens that attention will not see again, one event for neighbours") {
  TracedCache student{StudentCache(shape, 4)};
  feed(student, 4);
  CHECK(student.take_events().empty());
  feed(student, 1);
  CHECK(student.take_events() == in_each_layer({{Kind::forgotten, 0, 0, 1, 0}}));
  feed(student, 1);
  CHECK(student.take_events() == in_each_layer({{Kind::forgotten, 0, 1, 1, 0}}));
  CHECK(student.layout(0).slot_of(1) == -1);

  TracedCache growing{GrowingCache<Rows>(shape)};
  feed(growing, 6);
  growing.rewind(6);
  CHECK(growing.take_events().empty());
  growing.rewind(2);
  CHECK(growing.take_events() == in_each_layer({{Kind::forgotten, 0, 2, 4, 0, "rewound"}}));
  growing.rewind(0);
  CHECK(growing.take_events() == in_each_layer({{Kind::forgotten, 0, 0, 2, 0, "rewound"}}));
}

TEST_CASE("cleared: all that was there, and nothing if nothing was") {
  TracedCache growing{GrowingCache<Rows>(shape)};
  growing.clear();
  CHECK(growing.take_events().empty());
  feed(growing, 5);
  growing.clear();
  CHECK(growing.take_events() == in_each_layer({{Kind::cleared, 0, 0, 5, 0}}));
  CHECK(growing.layout(0) == LayerLayout{5, {}});  // the room stays
  feed(growing, 5);
  CHECK(growing.take_events().empty());
}

TEST_CASE("rows are kept as they were given from the very token that was asked for, also within a piece") {
  TracedCache cache{GrowingCache<Rows>(shape)};
  cache.keep_written_from(2);
  Matrix<double> rows(5, shape.row_size());
  for (int p = 0; p < 5; ++p) rows.row(p).setConstant(p);
  for (int l = 0; l < shape.layers; ++l) cache.append(l, 0, in(rows), in(rows));
  for (int l = 0; l < shape.layers; ++l)
    for (const auto* side : {&cache.written(l).keys, &cache.written(l).values}) {
      REQUIRE(side->size() == std::size_t(3 * shape.row_size()));
      CHECK(side->front() == 2);
      CHECK(side->back() == 4);
    }
}

TEST_CASE("a clone takes its own events with it") {
  TracedCache cache{ConcatenatingCache<Rows>(shape)};
  feed(cache, 1), feed(cache, 1);
  TracedCache copy = cache.clone();
  CHECK(copy.take_events() == cache.take_events());
  feed(copy, 1);
  CHECK(copy.take_events().size() == 2);
  CHECK(cache.take_events().empty());
  CHECK(cache.layout(0).rows() == 2);
}

TEST_CASE("a cache that is made with the observer tells why it forgot, and what it shares, packs and fetches") {
  const auto of_kind = [](const Events& events, Kind kind) {
    Events found;
    std::ranges::copy_if(events, std::back_inserter(found), [&](const CacheEvent& e) { return e.kind == kind; });
    return found;
  };
  SUBCASE("a window") {
    TracedCache window([](MaybeObserver watch) {
      return SlidingWindowCache<Rows, MaybeObserver>(shape, {.sinks = 1, .recent = 2}, {}, watch);
    });
    feed(window, 3);
    CHECK(window.take_events().empty());
    feed(window, 1);
    CHECK(window.take_events() == in_each_layer({{Kind::forgotten, 0, 1, 1, 0, "left the window"}}));
    CHECK(window.layout(1).pieces == std::vector<StoragePiece>{{StoragePiece::Kind::sinks, 0, 1}});
    TracedCache copy = window.clone();
    feed(copy, 1);
    CHECK(window.take_events().empty());  // what a clone does is not this one's
    CHECK(copy.take_events() == in_each_layer({{Kind::forgotten, 0, 2, 1, 0, "left the window"}}));
    window.clear();
    CHECK(window.take_events() == in_each_layer({{Kind::cleared, 0, 0, 3, 0}}));
  }
  SUBCASE("pages that another text shares, and a copy before the first write") {
    const auto pool = std::make_shared<PagePool<Rows>>(shape, 8, 2);
    TracedCache paged([&](MaybeObserver watch) { return PagedCache<Rows, MaybeObserver>(pool, watch); });
    feed(paged, 3);
    {
      const auto other = paged.fork_within();
      CHECK(paged.take_events() == Events{{Kind::shared, 0, 0, 2, 0, "", 2}, {Kind::shared, 0, 2, 1, 0, "", 2}});
      CHECK(paged.layout(1).pieces ==
            std::vector<StoragePiece>{{StoragePiece::Kind::page, 0, 2, 0, 2}, {StoragePiece::Kind::page, 2, 2, 1, 2}});
      feed(paged, 1);
      CHECK(paged.take_events() == Events{{Kind::copied, 0, 2, 1, 2 * 2 * row_bytes}});
      CHECK(paged.layout(0).slot_of(2) == 4);
      CHECK(paged.layout(0).piece_of(4)->references == 1);
      CHECK(paged.layout(0).piece_of(0)->references == 2);
    }
    paged.rewind(1);
    CHECK(paged.take_events() == in_each_layer({{Kind::forgotten, 0, 1, 3, 0, "rewound"}}));
  }
  SUBCASE("rows that are packed in groups") {
    TracedCache kivi([&](MaybeObserver watch) {
      return GrowingCache<KiviRows, MaybeObserver>({1, 2, 4}, 0, {.group = 2, .residual = 1}, watch);
    });
    const Matrix<float> row = Matrix<float>::Constant(1, 8, 0.5f);
    for (int p = 0; p < 4; ++p) kivi.append(0, p, in(row), in(row));
    CHECK(of_kind(kivi.take_events(), Kind::packed) == Events{{Kind::packed, 0, 0, 2}});
    CHECK(kivi.layout(0).pieces == std::vector<StoragePiece>{{StoragePiece::Kind::packed, 0, 2}});
    for (int p = 4; p < 6; ++p) kivi.append(0, p, in(row), in(row));
    CHECK(of_kind(kivi.take_events(), Kind::packed) == Events{{Kind::packed, 0, 2, 2}});
    kivi.clear();
    for (int p = 0; p < 4; ++p) kivi.append(0, p, in(row), in(row));
    CHECK(of_kind(kivi.take_events(), Kind::packed) == Events{{Kind::packed, 0, 0, 2}});
  }
  SUBCASE("blocks in a file") {
    TracedCache offloaded([](MaybeObserver watch) {
      return OffloadedCache<Rows, MaybeObserver>(shape, {.block = 2, .recent = 1}, {}, watch);
    });
    feed(offloaded, 5);
    for (int l = 0; l < shape.layers; ++l)
      for (int h = 0; h < shape.kv_heads; ++h) offloaded.for_each_block(l, h, [](const auto&) {});
    feed(offloaded, 1);
    const Events fetched = of_kind(offloaded.take_events(), Kind::fetched);
    REQUIRE(fetched.size() == 2);
    CHECK(fetched[0].misses == 4);  // two blocks for each head; that layouts were looked at is not counted
    CHECK(fetched[0].hits == 2);
    CHECK(fetched[0].bytes == 4 * 2 * row_bytes / 2);
    CHECK(offloaded.layout(0).pieces == std::vector<StoragePiece>{{StoragePiece::Kind::in_file, 0, 4}});
  }
}

TEST_CASE("a traced cache is saved and loaded like the one within") {
  TracedCache from{GrowingCache<Rows>(shape)}, to{GrowingCache<Rows>(shape)};
  feed(from, 3);
  ByteWriter written;
  from.save(written);
  ByteReader reader(written.written());
  to.load(reader);
  check_layouts(to);
  CHECK(to.layout(0).rows() == 3);
  ByteReader broken(written.written().first(20));
  CHECK_THROWS_AS(to.load(broken), Error);
  CHECK(to.layout(0).rows() == 0);
}

TEST_CASE("a fork of the cache within may outlive the tracer, which hears nothing of it") {
  using Paged = PagedCache<Rows, MaybeObserver>;
  const auto pool = std::make_shared<PagePool<Rows>>(shape, 10, 4);
  const Matrix<double> row = Matrix<double>::Ones(1, shape.row_size());
  const auto append = [&](auto& cache, int position) {
    for (int l = 0; l < shape.layers; ++l) cache.append(l, position, in(row), in(row));
  };
  std::vector<Paged> forks;
  {
    TracedCache traced([&](MaybeObserver watch) { return Paged(pool, watch); });
    for (int p = 0; p < 3; ++p) append(traced, p);
    forks.push_back(traced.fork_within()), forks.push_back(traced.fork_within());
    traced.take_events();
    append(forks[0], 3);  // which copies the shared page: of another text
    forks[0].rewind(1);
    append(traced, 3);  // copies it too: two others hold it
    const Events events = traced.take_events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].kind == Kind::copied);
    CHECK(events[0].rows == 3);
  }
  append(forks[0], 1), append(forks[1], 3);
  forks[1].clear();
  CHECK(forks[0].length(0) == 2);
}
