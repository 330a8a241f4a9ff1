// Policy: keep every token, in pages taken from a pool that many texts share.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/page_pool.hpp"
#include "kvcache/cache/saved_cache.hpp"
#include "kvcache/cache/storage_piece.hpp"

namespace kvcache {

/// Token p lies in slot p % page_size of page table()[p / page_size]. A page that stands in several tables is read by
/// all and written by none: who wants to write takes a copy first.
template <RowStore Rows = FloatRows<>, Observer Watch = NoObserver>
class PagedCache {
 public:
  using Block = typename Rows::Block;
  using Scalar = typename Rows::Scalar;
  using Pool = PagePool<Rows>;

  explicit PagedCache(std::shared_ptr<Pool> pool, Watch watch = {})
      : pool_(std::move(pool)), length_(std::size_t(pool_->shape().layers), 0), watch_(watch) {}
  /// With a pool of its own. Errors: those of PagePool.
  PagedCache(CacheShape shape, PageOptions cut, typename Rows::Options options = {}, Watch watch = {})
      : PagedCache(std::make_shared<Pool>(shape, cut.pages, cut.page, options), watch) {}
  PagedCache(PagedCache&& other) noexcept
      : pool_(other.pool_),
        table_(std::exchange(other.table_, {})),
        length_(std::exchange(other.length_, {})),
        copied_bytes_(std::exchange(other.copied_bytes_, 0)),
        watch_(other.watch_) {}
  PagedCache& operator=(PagedCache&& other) noexcept {  // our pages go back when `other` dies
    std::swap(pool_, other.pool_), std::swap(table_, other.table_), std::swap(length_, other.length_);
    std::swap(copied_bytes_, other.copied_bytes_), std::swap(watch_, other.watch_);
    return *this;
  }
  ~PagedCache() {
    for (const int page : table_) pool_->give_back(page);
  }
  /// Pages of its own, with the same rows. Errors: not so many are free.
  PagedCache clone() const {
    PagedCache copy(pool_, watch_);
    pool_->require(int(table_.size()));
    for (const int page : table_) copy.table_.push_back(pool_->take()), copy_page(page, copy.table_.back());
    copy.length_ = length_;
    tell(copy.watch_, Copied{0, length(0), memory().used_bytes});
    return copy;
  }
  /// A second text that goes on from here and shares all pages so far. Takes no memory until one of the two writes into
  /// the last page.
  PagedCache fork() const {
    PagedCache other(pool_, watch_);
    other.length_ = length_;
    for (const int page : table_) other.share(page);
    return other;
  }

  /// Of a cache with a pool of its own, without making either. Errors: those of PagePool; a text longer than all pages.
  static CachePlan plan(int length, CacheShape shape, PageOptions cut, const typename Rows::Options& options = {}) {
    const int slots = Pool::checked_slots_of(shape, cut);
    check(length <= slots, "PagedCache: a text of ", length, " tokens does not fit in ", cut.pages, " pages of ",
          cut.page, "; ask for more pages, or leave pages out");
    const RowSizes<Rows> sizes(shape, options);
    const auto layers = [&](std::size_t bytes) {
      return bytes_product("PagedCache", {std::size_t(shape.layers), bytes});
    };
    const int pages = length / cut.page + (length % cut.page > 0);
    CachePlan plan{.first_bytes = layers(sizes.reserved_bytes(slots)),
                   .saved_kind = saved_kind(sizes.format(), shape, cut.page)};
    plan.memory.used_bytes = layers(sizes.used_bytes(length));
    plan.memory.reserved_bytes = layers(sizes.reserved_bytes(pages * cut.page));
    plan.memory.bookkeeping_bytes = std::size_t(pages) * sizeof(int);
    return plan;
  }

  CacheShape shape() const { return pool_->shape(); }
  int length(int layer) const { return detail::length_at(length_, layer); }
  int slots(int /*layer*/) const { return pool_->pages() * pool_->page_size(); }
  int chunk_limit(int /*layer*/) const { return unlimited; }
  /// The block table: the page of tokens [i * page_size, (i + 1) * page_size).
  const std::vector<int>& table() const { return table_; }
  const Pool& pool() const { return *pool_; }
  std::vector<StoragePiece> pieces(int /*layer*/) const {
    std::vector<StoragePiece> pieces;
    const int size = pool_->page_size();
    for (const int page : table_)
      pieces.push_back({StoragePiece::Kind::page, page * size, size, page, pool_->references(page)});
    return pieces;
  }

  /// Errors: those of check_append; not enough free pages (nothing has changed then).
  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check_append("PagedCache", *this, layer, first_position, keys, values);
    const int size = pool_->page_size(), end = first_position + int(keys.rows());
    int& length = detail::at_layer(length_, layer);
    make_writable(first_position, end);
    for (int position = first_position, next; position < end; position = next) {
      next = std::min(end, (position / size + 1) * size);  // one page at a time
      const auto part = [&](const MatrixIn<Scalar>& side) {
        return in(side.middleRows(position - first_position, next - position));
      };
      pool_->rows(layer).write(slot(position), part(keys), part(values));
    }
    length = end;
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    // Neighbours in the pool could be one block, but then sums would depend on where pages happen to lie.
    for_each_page(length(layer),
                  [&](int first, int count) { visit(pool_->rows(layer).block(kv_head, slot(first), count, first)); });
  }
  /// Errors: not enough free pages.
  void prepare(int tokens) {
    const int length = detail::at_layer(length_, 0);
    make_writable(length, slots_sum("PagedCache", length, tokens));
  }
  bool keeps_every_token() const { return true; }
  /// Errors: those of check_rewind.
  void rewind(int length) {
    check_rewind("PagedCache", *this, length);
    forget_from(length, Reason::rewound);
  }
  int least_rewind() const { return 0; }
  void clear() { forget_from(0, Reason::cleared); }

  /// In the order of the text: which pages of the pool they lie in, and who shares them, is the pool's affair.
  void save(ByteWriter& to) const requires SavableRows<Rows> {
    detail::begin_save(to, *this, saved_kind());
    for (int l = 0; l < shape().layers; ++l)
      for_each_page(length(l),
                    [&](int first, int count) { detail::save_rows(pool_->rows(l), slot(first), count, to); });
  }
  /// Takes pages of its own from the pool. Errors: also that not enough are free.
  void load(ByteReader& from) requires SavableRows<Rows> {
    detail::load_or_clear(*this, [&] {
      detail::at_layer(length_, 0);
      const int length = detail::begin_load(from, saved_kind());
      from.check_left(std::size_t(length), std::size_t(shape().layers) * pool_->rows(0).bytes_per_slot());
      make_writable(0, length);
      for (int l = 0; l < shape().layers; ++l)
        for_each_page(length,
                      [&](int first, int count) { detail::load_rows(pool_->rows(l), slot(first), count, from); });
      std::ranges::fill(length_, length);
    });
  }

  /// Puts a page of `page_size` tokens, in every layer, behind what is there: another text has computed them. Errors:
  /// the last page is not full.
  void append_shared_page(int page) {
    for (int& tokens : length_) {
      check(tokens == int(table_.size()) * pool_->page_size(), "PagedCache: a shared page was given after ", tokens,
            " tokens, which are not whole pages of ", pool_->page_size());
      tokens += pool_->page_size();
    }
    share(page);
  }

  /// Of this text. Pages it shares are counted in full: pool() knows what all texts take together.
  MemoryUse memory() const {
    MemoryUse memory;
    memory.reserved_bytes = table_.size() * pool_->page_bytes();
    memory.bookkeeping_bytes = table_.size() * sizeof(int);
    memory.copied_bytes = copied_bytes_;
    for (const int tokens : length_) memory.used_bytes += used_bytes(pool_->rows(0), tokens);
    return memory;
  }

 private:
  static std::string saved_kind(const std::string& format, CacheShape shape, int page_size) {
    return detail::saved_kind(format, shape, "pages of ", page_size, " tokens");
  }
  std::string saved_kind() const { return saved_kind(pool_->rows(0).format(), shape(), pool_->page_size()); }
  /// visit(first token, tokens) of each page of a text of `length`.
  void for_each_page(int length, auto&& visit) const {
    const int size = pool_->page_size();
    for (int first = 0; first < length; first += size) visit(first, std::min(size, length - first));
  }
  int slot(int position) const {
    const int size = pool_->page_size();
    return table_[std::size_t(position / size)] * size + position % size;
  }
  void share(int page) {
    table_.push_back(page);
    pool_->share(page);
    const int size = pool_->page_size(), first = int(table_.size() - 1) * size;
    tell(watch_, Shared{first, std::min(size, length(0) - first), page, pool_->references(page)});
  }
  void copy_page(int from, int to) const {
    const int size = pool_->page_size();
    for (int l = 0; l < shape().layers; ++l) pool_->rows(l).copy(from * size, to * size, size);
  }
  /// Pages for tokens [first, end) that nobody else reads.
  void make_writable(int first, int end) {
    const int size = pool_->page_size(), needed = end / size + (end % size > 0);
    int missing = std::max(0, needed - int(table_.size()));
    for (int i = first / size; i < std::min(needed, int(table_.size())); ++i)
      missing += pool_->references(table_[std::size_t(i)]) > 1;
    pool_->require(missing);  // before anything changes
    for (int i = first / size; i < std::min(needed, int(table_.size())); ++i) {
      int& page = table_[std::size_t(i)];
      if (pool_->references(page) == 1) continue;
      const int shared = std::exchange(page, pool_->take());  // copy on write
      copy_page(shared, page);
      pool_->give_back(shared);
      copied_bytes_ += pool_->page_bytes();
      tell(watch_, Copied{i * size, std::min(size, length(0) - i * size), pool_->page_bytes()});
    }
    while (int(table_.size()) < needed) table_.push_back(pool_->take());
  }
  void forget_from(int first, Reason reason) {
    for (int l = 0; l < int(length_.size()); ++l) {
      int& tokens = length_[std::size_t(l)];
      if constexpr (Hears<Watch, Evicted>)
        for (int p = first; p < tokens; ++p) tell(watch_, Evicted{l, p, slot(p), reason});
      tokens = std::min(tokens, first);
    }
    const int longest = length_.empty() ? 0 : *std::ranges::max_element(length_), size = pool_->page_size();
    const int pages = longest / size + (longest % size > 0);
    for (; int(table_.size()) > pages; table_.pop_back()) pool_->give_back(table_.back());
  }

  std::shared_ptr<Pool> pool_;
  std::vector<int> table_;   // [pages of this text] -> page of the pool
  std::vector<int> length_;  // [layers]
  std::size_t copied_bytes_ = 0;
  [[no_unique_address]] Watch watch_;
};

static_assert(RewindableCache<PagedCache<>> && SavableCache<PagedCache<>> && ForkableCache<PagedCache<>>);

}  // namespace kvcache
