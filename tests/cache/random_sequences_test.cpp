// Anything that may be done to a cache, in random order, against a plain model that keeps every row there ever was.
#include <algorithm>

#include "cache/named_caches.hpp"
#include "cache_laws.hpp"
#include "common/instances.hpp"
#include "kvcache/core/random.hpp"
#include "random_matrix.hpp"
#include "threads.hpp"

using namespace kvcache;
using cache_laws::Row, cache_laws::Subject;
using named_caches::Case, named_caches::shape;

namespace {

constexpr int longest = 30, most_texts = 4;

/// The plain model: a text is the ids of its rows, and an id tells all numbers.
struct Text {
  std::unique_ptr<Subject> cache;
  std::vector<int> ids;
};

struct Numbers {
  std::vector<Matrix<double>> keys, values;  // [layers][ids, kv_heads * head_dim]
  explicit Numbers(int ids) {
    Random random(11);
    for (int l = 0; l < shape.layers; ++l) {
      keys.push_back(random_matrix(ids, shape.row_size(), random));
      values.push_back(random_matrix(ids, shape.row_size(), random));
    }
  }
};
const Numbers& numbers() {
  static const Numbers all(2000);
  return all;
}

std::unique_ptr<Subject> make(const Case& one) {
  return std::make_unique<cache_laws::SubjectOf<NamedCache<>>>(make_cache(one.spec, shape, longest));
}

void append(Text& text, int first_id, int tokens, Random& random) {
  for (int l = 0; l < shape.layers; ++l) {
    int first = int(text.ids.size());
    for (int done = 0, n; done < tokens; done += n, first += n) {
      n = std::min(tokens - done, text.cache->chunk_limit(l));
      REQUIRE(n >= 1);
      const auto rows = [&](const Matrix<double>& all) { return Matrix<double>(all.middleRows(first_id + done, n)); };
      text.cache->append_and_attend(l,
                                    {first, rows(numbers().keys[std::size_t(l)]), rows(numbers().values[std::size_t(l)]),
                                     random_matrix(n, 2 * shape.row_size(), random)},
                                    {});
    }
  }
  for (int t = 0; t < tokens; ++t) text.ids.push_back(first_id + t);
}

/// Every kept row is that of its place in the text, and what must be kept is.
void check_rows(const Text& text, const cache_laws::Policy& policy) {
  const int length = int(text.ids.size());
  const double error = policy.row_tolerance + 1e-7;  // floats
  for (int l = 0; l < shape.layers; ++l) {
    REQUIRE(text.cache->length(l) == length);
    for (int h = 0; h < shape.kv_heads; ++h) {
      const auto complain = [](int, const std::string& how) { FAIL(how); };
      const cache_laws::Rows rows = text.cache->read(l, h, complain, [] {});
      std::vector<bool> seen(std::size_t(length), false);
      for (const Row& row : rows) {
        REQUIRE((row.position >= 0 && row.position < length && !seen[std::size_t(row.position)]));
        seen[std::size_t(row.position)] = true;
        const int id = text.ids[std::size_t(row.position)];
        for (int d = 0; d < shape.head_dim; ++d) {
          const int column = h * shape.head_dim + d;
          REQUIRE(std::abs(row.key[std::size_t(d)] - numbers().keys[std::size_t(l)](id, column)) <= error);
          REQUIRE(std::abs(row.value[std::size_t(d)] - numbers().values[std::size_t(l)](id, column)) <= error);
        }
      }
      for (int p = 0; p < length; ++p) REQUIRE((seen[std::size_t(p)] || !policy.keeps(p, length)));
      int expected = 0;
      for (int p = 0; p < length; ++p) expected += policy.keeps(p, length);
      REQUIRE(std::ssize(rows) == (policy.how_many ? policy.how_many(length) : expected));
    }
  }
}

}  // namespace

TEST_CASE("random appends, rewinds, forks, clones, clears, saves and loads leave what a plain model keeps") {
  const Threads one_thread(1);
  for (const Case& one : named_caches::cases()) {
    int rewinds = 0;
    for (const std::uint64_t seed : {1, 2}) {
      CAPTURE(std::string(one.spec));
      CAPTURE(seed);
      Random random(seed);
      std::vector<Text> texts;
      texts.push_back({make(one), {}});
      int next_id = 0, forks = 0, loads = 0;
      for (int turn = 0; turn < 100; ++turn) {
        CAPTURE(turn);
        const int chosen = random.below(int(texts.size()));
        Text& text = texts[std::size_t(chosen)];
        const int length = int(text.ids.size()), what = random.below(12);
        if (what < 6 && length < longest) {
          const int tokens = 1 + random.below(std::min(6, longest - length));
          append(text, next_id, tokens, random);
          next_id += tokens;
        } else if (what == 6) {
          const int least = text.cache->least_rewind(), to = random.below(4) == 0 ? 0 : length / 2 + random.below(length - length / 2 + 1);
          if (to > 0 && to < least) {
            CHECK_THROWS_AS(text.cache->rewind(to), Error);
            continue;
          }
          text.ids.resize(std::size_t(to));
          text.cache->rewind(to);
          rewinds += to > 0 && to < length;
        } else if (what == 7) {
          text.cache->clear(), text.ids.clear();
        } else if (what == 8 && texts.size() > 1) {
          texts.erase(texts.begin() + chosen);
          continue;
        } else if (what == 9 && texts.size() < most_texts) {
          texts.push_back({text.cache->clone(), std::vector(text.ids)});
        } else if (what == 10 && texts.size() < most_texts) {
          if (auto forked = text.cache->fork()) {
            texts.push_back({std::move(forked), std::vector(text.ids)});
            ++forks;
          }
        } else if (what == 11 && texts.size() < most_texts) {
          Text loaded{make(one), {}};
          if (random.below(2)) append(loaded, next_id, 3, random), next_id += 3;  // it must not matter
          loaded.cache->load(text.cache->save());
          loaded.ids = text.ids;
          texts.push_back(std::move(loaded));
          ++loads;
        }
        REQUIRE(next_id < 1900);
        for (const Text& each : texts)  // no text changes another
          if (turn % 8 == 0 || &each == &texts.back()) check_rows(each, one.policy);
      }
      CHECK(loads > 0);
      CHECK((forks > 0) == (std::string(one.spec).starts_with("paged")));
    }
    CAPTURE(std::string(one.spec));
    if (one.policy.rows_stand_alone)  // groups are packed for good: few lengths are left to go back to
      CHECK((rewinds > 0) == make_cache(one.spec, shape, longest).keeps_every_token());
  }
}
