// The laws, each a function below. Read cache_laws.hpp first.
#include "cache_laws.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "kvcache/attention/reference.hpp"
#include "kvcache/core/random.hpp"
#include "threads.hpp"

namespace cache_laws {
namespace {

using Cache = std::unique_ptr<Subject>;
using Outputs = std::vector<Matrix<double>>;  // [layers] of [tokens, q_heads * head_dim]
constexpr int group = 3;                      // query heads per kv head

/// Made-up keys, values and (already turned) queries of a text: of each token, layer and head different ones.
struct Text {
  Text(kvcache::CacheShape shape, int tokens, std::uint64_t seed) {
    kvcache::Random random(seed);
    const auto matrices = [&](int columns) {
      std::vector<Matrix<double>> side(std::size_t(shape.layers), Matrix<double>(tokens, columns));
      for (auto& layer : side)
        for (double& x : layer.reshaped()) x = double(float(random.uniform(-1, 1)));  // exact in float too
      return side;
    };
    keys = matrices(shape.row_size()), values = matrices(shape.row_size());
    queries = matrices(shape.row_size() * group);
  }
  /// The first n tokens of this text, then the rest of the other one.
  Text then(int n, const Text& other) const {
    Text mixed = other;
    for (std::size_t l = 0; l < keys.size(); ++l)
      for (auto part : {&Text::keys, &Text::values, &Text::queries})
        (mixed.*part)[l].topRows(n) = (this->*part)[l].topRows(n);
    return mixed;
  }
  std::vector<Matrix<double>> keys, values, queries;  // [layers] of [tokens, heads * head_dim]
};

/// "0 to 3, 5, 7 to 9", or "none".
std::string in_words(const Rows& rows) {  // by position
  std::string words;
  for (std::size_t first = 0, last; first < rows.size(); first = last + 1) {
    for (last = first; last + 1 < rows.size() && rows[last + 1].position == rows[last].position + 1;) ++last;
    words += (first == 0 ? "" : ", ") + std::to_string(rows[first].position);
    if (last > first) words += " to " + std::to_string(rows[last].position);
  }
  return words.empty() ? "none" : words;
}

class Trial {
 public:
  Trial(const std::function<Cache()>& make, Policy policy)
      : make_(make),
        policy_(std::move(policy)),
        shape_(make()->shape()),
        tokens_(policy_.tokens),
        a_(shape_, tokens_, 1),
        b_(shape_, tokens_, 2) {
    if (policy_.attention_tolerance == 0) policy_.attention_tolerance = make()->computes_in_double() ? 1e-12 : 3e-6;
  }

  /// In an order in which a law is not broken merely because an earlier one is.
  Report run() {
    const Threads one(1);
    Report report{{}, what_is_skipped()};
    const std::vector<std::pair<int, void (Trial::*)()>> attempts{
        {8, &Trial::takes_something},
        {6, &Trial::token_by_token},  // laws 1, 2, 3, 6, 11 and 13
        {4, &Trial::reading_allocates_nothing},
        {10, &Trial::several_readers},
        {7, &Trial::two_caches},
        {5, &Trial::cleared_is_new},
        {8, &Trial::any_chunking},
        {9, &Trial::rewinding},
        {14, &Trial::preparing},
        {12, &Trial::saving}};
    for (const auto& [law, test] : attempts) {
      try {
        (this->*test)();
        continue;
      } catch (const Breach& first) {
        report.breaches.push_back(first);
      } catch (const std::exception& error) {
        report.breaches.push_back({law, std::string("an exception came: ") + error.what()});
      }
      report.skipped.push_back("what comes after law " + std::to_string(report.breaches[0].law) +
                               ", which does not hold");
      break;
    }
    return report;
  }

 private:
  template <class... Parts>
  [[noreturn]] void breach(int law, const Parts&... how) const {  // ends the trial
    std::ostringstream text;
    (text << ... << how);
    throw Breach{law, text.str()};
  }
  std::vector<std::string> what_is_skipped() const {
    std::vector<std::string> skipped;
    const Cache cache = make_();
    if (!allocations::counting()) skipped.push_back("law 4, for allocations cannot be counted in this build");
    if (!cache->can_rewind()) skipped.push_back("law 9, for the cache has no rewind()");
    if (!cache->can_save()) skipped.push_back("law 12, for the cache has no save() and load()");
    if (!cache->can_prepare()) skipped.push_back("law 14, for the cache has no prepare()");
    if (!policy_.rows_stand_alone) skipped.push_back("law 13, for Policy::rows_stand_alone is false");
    for (int l = 0; l < shape_.layers; ++l)
      if (const int limit = cache->chunk_limit(l); limit >= tokens_ && limit < kvcache::unlimited) {
        skipped.push_back("whatever happens after " + std::to_string(limit) + " tokens, for the text has " +
                          std::to_string(tokens_) + ": give Policy::tokens more");
        break;
      }
    return skipped;
  }

  /// Feeds tokens [from, to) of a text, in chunks of the given sizes over and over; the attention of each token.
  Outputs feed(Subject& cache, const Text& text, int from, int to, const std::vector<int>& chunks = {1},
               Tiles tiles = {}) {
    Outputs outputs(std::size_t(shape_.layers), Matrix<double>::Zero(to, shape_.row_size() * group));
    std::size_t turn = 0;
    for (int done = from, n; done < to; done += n) {
      n = std::min(to - done, chunks[turn++ % chunks.size()]);
      for (std::size_t l = 0; l < outputs.size(); ++l) {
        const auto rows = [&](const Outputs& side) { return side[l].middleRows(done, n); };
        outputs[l].middleRows(done, n) =
            cache.append_and_attend(int(l), {done, rows(text.keys), rows(text.values), rows(text.queries)}, tiles);
        const kvcache::MemoryUse memory = cache.memory();
        if (memory.used_bytes > memory.reserved_bytes)
          breach(5, memory.used_bytes, " bytes are used, but only ", memory.reserved_bytes, " reserved");
      }
    }
    return outputs;
  }
  Outputs feed(Subject& cache, const Text& text) { return feed(cache, text, 0, tokens_); }

  // Law 13.
  void uses_what_it_shows(const Subject& cache, int tokens) const {
    if (!policy_.rows_stand_alone) return;
    const std::size_t plain = 2 * std::size_t(shape_.head_dim) * (cache.computes_in_double() ? 8 : 4),
                      row = policy_.row_bytes > 0 ? policy_.row_bytes : plain, used = cache.memory().used_bytes;
    std::size_t rows = 0;
    for (int l = 0; l < shape_.layers; ++l)
      for (int h = 0; h < shape_.kv_heads; ++h) rows += std::size_t(cache.rows_visited(l, h));
    if (used != rows * row)
      breach(13, "after ", tokens, " tokens memory().used_bytes is ", used, ", but ", rows,
             " rows are visited, in all heads and layers, of ", row, " bytes for key and value: ", rows * row,
             policy_.row_bytes > 0 ? "" : "; if they are not stored as plain numbers, say so in Policy::row_bytes");
  }

  Rows read(const Subject& cache, int layer, int head) {  // by position
    Rows rows = cache.read(
        layer, head, [&](int law, const std::string& how) { breach(law, how); }, [] {});
    std::sort(rows.begin(), rows.end(), [](const Row& x, const Row& y) { return x.position < y.position; });
    return rows;
  }
  std::vector<Rows> read_all(const Subject& cache) {  // [layers * kv_heads]
    std::vector<Rows> all;
    for (int l = 0; l < shape_.layers; ++l)
      for (int h = 0; h < shape_.kv_heads; ++h) all.push_back(read(cache, l, h));
    return all;
  }
  std::vector<Rows> rows_after(const Text& text, int tokens) {  // of a cache that never saw anything else
    const Cache cache = make_();
    feed(*cache, text, 0, tokens);
    return read_all(*cache);
  }
  void same_rows(int law, const Subject& cache, const std::vector<Rows>& expected, const char* when) {
    if (read_all(cache) != expected) breach(law, "other rows than expected ", when);
  }
  static double worst(const Outputs& x, const Outputs& y) {
    double worst = 0;
    for (std::size_t l = 0; l < x.size(); ++l)
      for (Eigen::Index i = 0; i < x[l].size(); ++i) {
        const double d = std::abs(x[l].data()[i] - y[l].data()[i]);
        if (!(d <= worst)) worst = std::isnan(d) ? HUGE_VAL : d;
      }
    return worst;
  }

  void takes_something() {
    for (int l = 0; l < shape_.layers; ++l)
      if (const int limit = make_()->chunk_limit(l); limit < 1)
        breach(8, "chunk_limit is ", limit, ", so nothing can ever be appended");
  }

  // Laws 1, 2, 3, 6, 11 and 13.
  void token_by_token() {
    const Cache cache = make_();
    for (int p = 0; p < tokens_; ++p) {
      const Outputs outputs = feed(*cache, a_, p, p + 1);
      for (int l = 0; l < shape_.layers; ++l) {
        if (cache->length(l) != p + 1) breach(1, "after ", p + 1, " tokens, length says ", cache->length(l));
        for (int h = 0; h < shape_.kv_heads; ++h) {
          const Rows rows = read(*cache, l, h);
          look(rows, l, h, p, outputs[std::size_t(l)]);
          lie_apart(rows, cache->slots(l));
        }
      }
      uses_what_it_shows(*cache, p + 1);
    }
  }
  void lie_apart(const Rows& rows, int slots) {
    std::map<int, int> position_in;  // [slot]
    for (const Row& row : rows) {
      if (row.slot < 0 || row.slot >= slots)
        breach(11, "position ", row.position, " lies in slot ", row.slot, ", but there are only ", slots);
      const auto [other, is_free] = position_in.try_emplace(row.slot, row.position);
      if (!is_free && other->second != row.position)
        breach(11, "positions ", other->second, " and ", row.position, " both lie in slot ", row.slot);
    }
  }
  void look(const Rows& rows, int layer, int head, int newest, const Matrix<double>& output) {
    const auto at = [&](int position) { return std::string(" at position ") + std::to_string(position); };
    if (std::none_of(rows.begin(), rows.end(), [&](const Row& row) { return row.position == newest; }))
      breach(1, "the token just appended is not visited: position ", newest, ", in layer ", layer, " by head ", head,
             "; visited positions are ", in_words(rows));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const Row& row = rows[r];
      if (r > 0 && rows[r - 1].position == row.position) breach(2, "visited twice: the row", at(row.position));
      if (row.position < 0 || row.position > newest)
        breach(2, "visited, but never appended: a row", at(row.position), " after ", newest + 1, " tokens");
      if (row.gap != policy_.gap(row.position, newest + 1)) breach(6, "position_gap is ", row.gap, at(row.position));
      reads_as_written(3, row, a_, layer, head);
    }
    attends_as_reference(rows, layer, head, newest, output);
  }
  void reads_as_written(int law, const Row& row, const Text& text, int layer, int head, const char* when = "") {
    for (int d = 0; d < shape_.head_dim; ++d) {
      const double key = text.keys[std::size_t(layer)](row.position, head * shape_.head_dim + d),
                   value = text.values[std::size_t(layer)](row.position, head * shape_.head_dim + d);
      const double read_key = row.key[std::size_t(d)], read_value = row.value[std::size_t(d)];
      if (!(std::abs(read_key - key) <= policy_.row_tolerance &&
            std::abs(read_value - value) <= policy_.row_tolerance))
        breach(law, "written ", key, " and ", value, ", read ", read_key, " and ", read_value, " at position ", row.position,
               ", layer ", layer, ", head ", head, when);
    }
  }
  /// Over the rows as they read back, so that the format's rounding is not asked for twice.
  void attends_as_reference(const Rows& rows, int layer, int head, int newest, const Matrix<double>& output) {
    const int dim = shape_.head_dim;
    std::vector<const Row*> kept;
    for (int p = 0; p <= newest; ++p) {
      if (!policy_.keeps(p, newest + 1)) continue;
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.position == p; });
      if (row == rows.end())
        breach(6, "position ", p, " should be kept after ", newest + 1, " tokens, but is not; visited positions are ",
               in_words(rows));
      kept.push_back(&*row);
    }
    if (policy_.how_many) {
      if (const int count = policy_.how_many(newest + 1); std::ssize(rows) != count)
        breach(6, rows.size(), " rows are visited after ", newest + 1, " tokens, but Policy::how_many says ", count);
      kept.clear();
      for (const Row& row : rows) kept.push_back(&row);
    }
    if (kept.size() != rows.size())
      breach(6, rows.size(), " rows are visited after ", newest + 1, " tokens, but Policy::keeps says ", kept.size(),
             "; visited positions are ", in_words(rows));
    for (int g = 0; g < group; ++g) {
      const int column = (head * group + g) * dim;
      const kvcache::Vector<double> query = a_.queries[std::size_t(layer)].row(newest).segment(column, dim);
      Matrix<double> keys(Eigen::Index(kept.size()), dim), values = keys;
      for (Eigen::Index r = 0; r < keys.rows(); ++r) {
        for (int d = 0; d < dim; ++d) {
          keys(r, d) = kept[std::size_t(r)]->key[std::size_t(d)];
          values(r, d) = kept[std::size_t(r)]->value[std::size_t(d)];
        }
        if (const int gap = kept[std::size_t(r)]->gap; gap != 0)  // turning the key on is turning the query back
          kvcache::Rope<double>(dim).turn_all(kvcache::out(keys.middleRows(r, 1)), gap);
      }
      const auto expected = kvcache::reference_attention<double>(query, keys, values);
      for (int d = 0; d < dim; ++d)
        if (const double error = std::abs(output(newest, column + d) - expected[d]);
            !(error <= policy_.attention_tolerance))
          breach(6, "attention at position ", newest, " is off by ", error);
    }
  }

  void reading_allocates_nothing() {
    if (!allocations::counting()) return;
    const Cache cache = make_();
    feed(*cache, a_);
    if (const long count = cache->allocations_of_reading(); count != 0)
      breach(4, "reading allocated ", count, " times");
  }

  void cleared_is_new() {
    const Cache fresh = make_(), cache = make_();
    feed(*cache, b_);
    cache->clear();
    if (cache->memory().used_bytes != 0) breach(5, "after clear(), ", cache->memory().used_bytes, " bytes are used");
    for (int l = 0; l < shape_.layers; ++l) {
      if (cache->length(l) != 0) breach(5, "after clear(), length says ", cache->length(l));
      for (int h = 0; h < shape_.kv_heads; ++h)
        if (!read(*cache, l, h).empty()) breach(5, "after clear(), rows are still visited");
      if (cache->chunk_limit(l) != fresh->chunk_limit(l)) breach(5, "after clear(), chunk_limit is not as new");
    }
    const Outputs expected = feed(*fresh, a_), again = feed(*cache, a_);
    if (!(worst(again, expected) == 0)) breach(5, "a cleared cache attends otherwise than a new one");
    same_rows(5, *cache, read_all(*fresh), "in a cleared cache that was filled again");
    if (cache->memory().used_bytes != fresh->memory().used_bytes)
      breach(5, "a cleared cache that was filled again uses other bytes than a new one");
  }

  void two_caches() {
    const int half = tokens_ / 2;
    const auto rows_a = rows_after(a_, tokens_), rows_b = rows_after(b_, tokens_);
    {
      const Cache first = make_(), second = make_();
      for (int p = 0; p < tokens_; ++p) feed(*first, a_, p, p + 1), feed(*second, b_, p, p + 1);
      same_rows(7, *first, rows_a, "beside another cache");
      same_rows(7, *second, rows_b, "beside another cache");
      same_rows(7, *first->move(), rows_a, "in a cache that was moved");
    }
    const Text mixed = a_.then(half, b_);
    const auto rows_mixed = rows_after(mixed, tokens_);
    for (const bool fork : {false, true}) {
      const Cache origin = make_();
      feed(*origin, a_, 0, half);
      const Cache copy = fork ? origin->fork() : origin->clone();
      if (!copy) continue;
      const char* when = fork ? "after fork()" : "after clone()";
      same_rows(7, *copy, read_all(*origin), when);
      for (int p = half; p < tokens_; ++p) feed(*origin, a_, p, p + 1), feed(*copy, mixed, p, p + 1);
      same_rows(7, *origin, rows_a, when);
      same_rows(7, *copy, rows_mixed, when);
      origin->clear();
      same_rows(7, *copy, rows_mixed, when);
    }
  }

  /// As the model does it: whole chunks, cut where chunk_limit() says. What it says at first, and one more, are among
  /// them: there a ring is full, and begins anew.
  void any_chunking() {
    const Cache slow = make_();
    const Outputs expected = feed(*slow, a_);
    const auto rows = read_all(*slow);
    std::vector<std::vector<int>> ways{{1}, {tokens_}, {2, 3, 5, 7, 11}, {tokens_ - 2, 1}, {16}};
    if (const int limit = make_()->chunk_limit(0); limit < tokens_) ways.insert(ways.end(), {{limit}, {limit + 1}});
    for (const std::vector<int>& chunks : ways)
      for (const Tiles tiles : {Tiles{32, 256}, {5, 7}, {1, 1}}) {
        const Cache cache = make_();
        const Threads threads(chunks[0] == 16 ? 2 : 1);
        const double error = [&] {
          try {
            return worst(feed(*cache, a_, 0, tokens_, chunks, tiles), expected);
          } catch (const std::exception& error) {
            breach(8, "in chunks of ", chunks[0], " tokens an exception came: ", error.what());
          }
        }();
        if (!(error <= policy_.attention_tolerance))
          breach(8, "in chunks of ", chunks[0], ", attention differs by ", error,
                 " from token by token; does chunk_limit() promise too much?");
        same_rows(8, *cache, rows, "after appending in chunks");
        uses_what_it_shows(*cache, tokens_);
      }
  }

  void rewinding() {
    if (!make_()->can_rewind()) return;
    for (const int n : {tokens_, tokens_ - 1, tokens_ / 2, 1, 0}) {
      const Cache cache = make_(), never = make_();
      feed(*cache, a_);
      if (const int least = cache->least_rewind(); least < 0 || least > tokens_)
        breach(9, "least_rewind() says ", least, " after ", tokens_, " tokens");
      else if (n > 0 && n < least) {
        refuses_to_rewind(*cache, n, least);
        continue;
      }
      cache->rewind(n);
      for (int l = 0; l < shape_.layers; ++l)
        if (cache->length(l) != n) breach(9, "after rewind(", n, "), length says ", cache->length(l));
      const Text mixed = a_.then(n, b_);
      feed(*never, mixed, 0, n);
      if (!policy_.rows_stand_alone) {  // what was packed stays so, and would be whole in a text that never went on
        goes_on_like_the_text(*cache, mixed, n);
        continue;
      }
      same_rows(9, *cache, read_all(*never), "after rewind");
      if (cache->memory().used_bytes != never->memory().used_bytes)
        breach(9, "after rewind(", n, "), ", cache->memory().used_bytes, " bytes are used instead of ",
               never->memory().used_bytes);
      const Outputs expected = feed(*never, mixed, n, tokens_, {3}), got = feed(*cache, mixed, n, tokens_, {3});
      if (!(worst(got, expected) == 0)) breach(9, "after rewind(", n, "), attention over other tokens differs");
      same_rows(9, *cache, read_all(*never), "after rewind and other tokens");
    }
  }

  void goes_on_like_the_text(Subject& cache, const Text& text, int n) {
    feed(cache, text, n, tokens_, {1, 2});
    for (int l = 0; l < shape_.layers; ++l)
      for (int h = 0; h < shape_.kv_heads; ++h) {
        const Rows rows = read(cache, l, h);
        if (int(rows.size()) != tokens_) breach(9, "after rewind(", n, ") and other tokens, ", rows.size(), " are kept");
        for (const Row& row : rows) reads_as_written(9, row, text, l, h, ", after rewind and other tokens");
      }
  }

  void refuses_to_rewind(Subject& cache, int n, int least) {
    const auto before = read_all(cache);
    try {
      cache.rewind(n);
    } catch (const kvcache::Error&) {
      for (int l = 0; l < shape_.layers; ++l)
        if (cache.length(l) != tokens_) breach(9, "rewind(", n, ") was refused, but layer ", l, " has changed");
      return same_rows(9, cache, before, "after a rewind that was refused");
    }
    breach(9, "rewind(", n, ") was taken, but least_rewind() says ", least);
  }

  void preparing() {
    if (!make_()->can_prepare()) return;
    for (const int n : {0, 1, tokens_ / 2}) {
      const Cache cache = make_(), never = make_();
      feed(*cache, a_, 0, n), feed(*never, a_, 0, n);
      cache->prepare(tokens_ - n);
      for (int l = 0; l < shape_.layers; ++l)
        if (cache->length(l) != n) breach(14, "after ", n, " tokens and prepare(), length says ", cache->length(l));
      same_rows(14, *cache, read_all(*never), "after prepare");
      const std::size_t room = cache->memory().reserved_bytes;
      const Outputs expected = feed(*never, a_, n, tokens_), got = feed(*cache, a_, n, tokens_);
      if (!(worst(got, expected) == 0)) breach(14, "after prepare(), attention differs");
      if (cache->memory().reserved_bytes != room)
        breach(14, "prepare(", tokens_ - n, ") after ", n, " tokens reserved ", room, " bytes, but with these tokens ",
               cache->memory().reserved_bytes, " are reserved");
    }
  }

  void saving() {
    if (!make_()->can_save()) return;
    for (const int n : {0, 1, tokens_ / 2, tokens_ - 1}) {
      const Cache origin = make_(), loaded = make_();
      feed(*origin, a_, 0, n), feed(*loaded, b_, 0, tokens_ / 3);
      const auto saved = origin->save();
      loaded->load(saved);
      for (int l = 0; l < shape_.layers; ++l)
        if (loaded->length(l) != n) breach(12, "after loading ", n, " tokens, length says ", loaded->length(l));
      same_rows(12, *loaded, read_all(*origin), "after load(save())");
      if (loaded->memory().used_bytes != origin->memory().used_bytes)
        breach(12, "after load(save()), ", loaded->memory().used_bytes, " bytes are used instead of ",
               origin->memory().used_bytes);
      if (loaded->save() != saved) breach(12, "what was loaded is saved as other bytes");
      const Outputs expected = feed(*origin, a_, n, tokens_), got = feed(*loaded, a_, n, tokens_);
      if (!(worst(got, expected) == 0))
        breach(12, "after ", n, " tokens were loaded, attention over those that follow differs by ",
               worst(got, expected));
      same_rows(12, *loaded, read_all(*origin), "after load(save()) and other tokens");
    }
    const Cache origin = make_();
    feed(*origin, a_, 0, tokens_ / 2);
    const auto saved = origin->save();
    refuses_what_was_cut_off(saved);
  }
  void refuses_what_was_cut_off(const std::vector<std::byte>& saved) {
    const Cache cache = make_();
    for (std::size_t part = 0; part < 8; ++part) {  // of eight
      feed(*cache, b_, 0, 3);
      bool refused = false;
      try {
        cache->load(std::span(saved).first(saved.size() * part / 8));
      } catch (const kvcache::Error&) {
        refused = true;
      }
      const bool is_empty = cache->length(0) == 0 && cache->memory().used_bytes == 0;
      if (!refused) breach(12, part, " eighths of the saved bytes were loaded without an error");
      if (!is_empty) breach(12, "after bytes that were cut off, the cache holds ", cache->length(0), " tokens");
    }
  }

  /// Every thread stands inside a block of its own layer and head until all do, then reads it.
  void several_readers() {
    const Cache cache = make_();
    feed(*cache, a_);
    const int heads = shape_.layers * shape_.kv_heads, readers = std::max(2, std::min(heads, 4));
    const auto read = [&](int reader, const std::function<void()>& inside) {
      const int layer = reader % heads / shape_.kv_heads, head = reader % heads % shape_.kv_heads;
      return cache->read(
          layer, head, [](int, const std::string&) {}, inside);
    };
    std::vector<Rows> expected, seen(static_cast<std::size_t>(readers));
    for (int i = 0; i < readers; ++i) expected.push_back(read(i, [] {}));
    std::atomic<int> waiting = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < readers; ++i)
      threads.emplace_back([&, i] {
        bool met = false;
        Rows rows = read(i, [&] {
          if (std::exchange(met, true)) return;
          ++waiting;  // a cache that lets one reader in at a time is slow, not wrong: give up after a while
          const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
          while (waiting < readers && std::chrono::steady_clock::now() < until) std::this_thread::yield();
        });
        for (int again = 0; again < 10; ++again)
          if (read(i, [] {}) != expected[std::size_t(i)]) rows.clear();
        seen[std::size_t(i)] = rows;
      });
    for (std::thread& thread : threads) thread.join();
    if (seen != expected) breach(10, "several threads at once read other rows than one alone");
  }

  const std::function<Cache()>& make_;
  Policy policy_;
  kvcache::CacheShape shape_;
  int tokens_;
  Text a_, b_;
};

}  // namespace

Report trial_of(const std::function<Cache()>& make, Policy policy) { return Trial(make, std::move(policy)).run(); }

void say_skipped(const std::vector<std::string>& skipped) {
  static std::set<std::string> said;
  const auto* test = doctest::getContextOptions()->currentTest;
  std::string all;
  for (const std::string& what : skipped) all += (all.empty() ? "" : "; ") + what;
  if (!all.empty() && said.insert((test ? test->m_name : "") + ("\n" + all)).second) MESSAGE("skipped: " << all);
}

}  // namespace cache_laws
