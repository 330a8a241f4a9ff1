#include "kvcache/decode/proof.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "common/instances.hpp"
#include "common/caches.hpp"
#include "small_models.hpp"
#include "threads.hpp"

using namespace kvcache;

namespace {

using Cache = NamedCache<FloatRows<double>>;

/// A cache that is right until it forgets to show its first row: from `length` tokens on.
class Forgetful {
 public:
  using Block = Cache::Block;
  using Scalar = double;
  Forgetful(CacheShape shape, int length) : inner_(make_cache<FloatRows<double>>("growing", shape, 0)), from_(length) {}
  Forgetful clone() const { return Forgetful(inner_.clone(), from_); }
  CacheShape shape() const { return inner_.shape(); }
  int length(int layer) const { return inner_.length(layer); }
  int slots(int layer) const { return inner_.slots(layer); }
  int chunk_limit(int layer) const { return inner_.chunk_limit(layer); }
  void append(int layer, int first, MatrixIn<double> keys, MatrixIn<double> values) {
    inner_.append(layer, first, keys, values);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const bool hides = length(layer) >= from_;
    inner_.for_each_block(layer, kv_head, [&](const Block& block) { visit(block.slice(hides, block.rows() - hides)); });
  }
  MemoryUse memory() const { return inner_.memory(); }
  void clear() { inner_.clear(); }

 private:
  Forgetful(Cache inner, int from) : inner_(std::move(inner)), from_(from) {}
  Cache inner_;
  int from_;
};

struct Setting {
  const Threads one{1};
  Model<double> model = random_model<double>(small_llama());
  Transformer<double> transformer{model};
  CacheShape shape = model.config.cache_shape();
  Cache scratch = make_cache<FloatRows<double>>("growing", shape, 0);
  std::vector<int> text = some_tokens(20);

  template <class C>
  LogitDifference prove(C& cache, int prompt, std::vector<int>* steps = nullptr) {
    return largest_logit_difference(transformer, cache, scratch, text, prompt, [&](int step) {
      if (steps) steps->push_back(step);
    });
  }
};

}  // namespace

TEST_CASE("a cache changes nothing: the proof finds rounding only") {
  Setting s;
  for (const CacheName& name : cache_names) {
    auto cache = make_cache<FloatRows<double>>(name.name, s.shape, 20);
    for (const int prompt : {1, 7, 20}) {
      std::vector<int> steps, expected(std::size_t(21 - prompt));
      std::iota(expected.begin(), expected.end(), 0);
      CHECK(s.prove(cache, prompt, &steps).largest < 1e-12);  // the same cache again: it is cleared first
      CHECK(steps == expected);
      CHECK(cache.length(0) == 20);
      CHECK(s.scratch.length(0) == 0);
    }
  }
}

TEST_CASE("the proof finds a cache that is wrong, and where") {
  Setting s;
  Forgetful cache(s.shape, 20);  // wrong in the last step only
  const LogitDifference found = s.prove(cache, 7);
  CHECK(found.largest > 1e-3);
  CHECK(found.step == 13);
  Forgetful early(s.shape, 2);
  CHECK(s.prove(early, 7).largest > 1e-3);
  Forgetful never(s.shape, 21);
  CHECK(s.prove(never, 7).largest < 1e-12);
}

TEST_CASE("logits that are no numbers count as an infinite difference") {
  Setting s;
  s.model.weights.final_norm.gain[3] = std::nan("");
  auto cache = make_cache<FloatRows<double>>("growing", s.shape, 0);
  CHECK(s.prove(cache, 19).largest == HUGE_VAL);
}

TEST_CASE("a prompt that is no part of the text is refused") {
  Setting s;
  auto cache = make_cache<FloatRows<double>>("growing", s.shape, 0);
  CHECK_THROWS_WITH_AS(s.prove(cache, 0), "proof: a prompt of 0 tokens in a text of 20; it must be from 1 to that many",
                       Error);
  CHECK_THROWS_WITH_AS(s.prove(cache, 21),
                       "proof: a prompt of 21 tokens in a text of 20; it must be from 1 to that many", Error);
}

TEST_CASE("the first difference of two texts") {
  const std::vector<int> a{1, 2, 3}, b{1, 2, 4}, longer{1, 2, 3, 5}, none;
  CHECK(first_difference(a, a) == -1);
  CHECK(first_difference(a, b) == 2);
  CHECK(first_difference(a, longer) == 3);
  CHECK(first_difference(longer, a) == 3);
  CHECK(first_difference(none, a) == 0);
  CHECK(first_difference(none, none) == -1);
}
