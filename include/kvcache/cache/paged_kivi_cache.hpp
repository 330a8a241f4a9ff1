// Policy: KIVI's rows in pages. What is packed lies in pages of one group each, which many texts share; the newest rows
// are whole, and this text's own.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "kvcache/cache/cache_plan.hpp"
#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/observer.hpp"
#include "kvcache/cache/page_pool.hpp"
#include "kvcache/cache/rows/kivi_parts.hpp"
#include "kvcache/cache/saved_cache.hpp"
#include "kvcache/cache/storage_piece.hpp"

namespace kvcache {

/// Groups [i * group, (i + 1) * group) of every layer lie in page table()[i]. A group is packed for good, so nobody
/// ever writes into a page that two texts share: a fork copies the whole rows, and no page. Slots are those of the
/// pool, then those of the ring of whole rows.
template <Observer Watch = NoObserver>
class PagedKiviCache {
 public:
  using Block = KiviGroups::Block;
  using Scalar = float;
  using Pool = PagePool<KiviGroups>;

  /// Errors: a pool whose pages are not single groups.
  PagedKiviCache(std::shared_ptr<Pool> pool, Watch watch = {})
      : pool_(std::move(pool)),
        options_(pool_->rows(0).options()),
        tails_(std::size_t(pool_->shape().layers), detail::KiviTail(pool_->shape(), options_)),
        length_(tails_.size(), 0),
        watch_(watch) {
    check(pool_->page_size() == 1, "PagedKiviCache: pages of ", pool_->page_size(),
          " groups given; a page must be one group of ", options_.group, " tokens");
    checked_slots_of(pool_->shape(), pool_->pages(), options_);
  }
  /// With a pool of its own, of so many groups. Errors: those of PagePool and KiviGroups.
  PagedKiviCache(CacheShape shape, int groups, KiviOptions options = {}, Watch watch = {})
      : PagedKiviCache((checked_slots_of(shape, groups, options), std::make_shared<Pool>(shape, groups, 1, options)),
                       watch) {}
  PagedKiviCache(PagedKiviCache&& other) noexcept
      : pool_(other.pool_),
        options_(other.options_),
        table_(std::exchange(other.table_, {})),
        spare_(std::exchange(other.spare_, {})),
        tails_(std::move(other.tails_)),
        length_(std::exchange(other.length_, {})),
        watch_(other.watch_) {}
  PagedKiviCache& operator=(PagedKiviCache&& other) noexcept {  // our pages go back when `other` dies
    std::swap(pool_, other.pool_), std::swap(options_, other.options_), std::swap(table_, other.table_);
    std::swap(spare_, other.spare_), std::swap(tails_, other.tails_), std::swap(length_, other.length_), std::swap(watch_, other.watch_);
    return *this;
  }
  ~PagedKiviCache() {
    for (const int page : table_) pool_->give_back(page);
    for (const int page : spare_) pool_->give_back(page);
  }
  /// Pages of its own, with the same rows. Errors: not so many are free.
  PagedKiviCache clone() const {
    PagedKiviCache copy(pool_, watch_);
    pool_->require(int(table_.size()));
    for (const int page : table_) {
      copy.table_.push_back(pool_->take());
      for (int l = 0; l < shape().layers; ++l) pool_->rows(l).copy(page, copy.table_.back(), 1);
    }
    copy.tails_ = tails_, copy.length_ = length_;
    tell(copy.watch_, Copied{0, length(0), memory().used_bytes});
    return copy;
  }
  /// A second text that goes on from here, shares all pages so far and has whole rows of its own.
  PagedKiviCache fork() const {
    PagedKiviCache other(pool_, watch_);
    other.tails_ = tails_, other.length_ = length_;
    for (const int page : table_) {
      other.table_.push_back(page);
      pool_->share(page);
      tell(other.watch_,
           Shared{int(other.table_.size() - 1) * options_.group, options_.group, page, pool_->references(page)});
    }
    return other;
  }

  /// Of a cache with a pool of its own, without making either. Errors: those of PagePool and KiviGroups; a text whose
  /// packed rows are more than all groups.
  static CachePlan plan(int length, CacheShape shape, int groups, const KiviOptions& options = {}) {
    checked_slots_of(shape, groups, options);
    const KiviSizes sizes(shape, options);
    const int packed = sizes.packed(length);
    check(packed / options.group <= groups, "PagedKiviCache: a text of ", length, " tokens needs ",
          packed / options.group, " pages of one group of ", options.group, ", but there are ", groups,
          "; ask for more pages, or leave pages out");
    const auto layers = [&](std::size_t bytes) {
      return bytes_product("PagedKiviCache", {std::size_t(shape.layers), bytes});
    };
    CachePlan plan{.first_bytes = layers(sizes.reserved_bytes(groups * options.group)),
                   .saved_kind = saved_kind(shape, options)};
    plan.memory.used_bytes = layers(sizes.used_bytes(length));
    plan.memory.reserved_bytes = layers(sizes.reserved_bytes(packed));
    plan.memory.bookkeeping_bytes = std::size_t(packed / options.group) * sizeof(int);
    return plan;
  }

  CacheShape shape() const { return pool_->shape(); }
  int length(int layer) const { return detail::length_at(length_, layer); }
  int slots(int /*layer*/) const { return pool_->pages() * options_.group + detail::kivi_ring(options_); }
  int chunk_limit(int layer) const { return tail(layer).chunk_limit(length(layer)); }
  /// The block table: the page of tokens [i * group, (i + 1) * group).
  const std::vector<int>& table() const { return table_; }
  const Pool& pool() const { return *pool_; }
  std::vector<StoragePiece> pieces(int layer) const {
    std::vector<StoragePiece> pieces;
    for (int i = 0; i < packed(layer) / options_.group; ++i) {
      const int page = table_[std::size_t(i)];
      pieces.push_back(
          {StoragePiece::Kind::page, page * options_.group, options_.group, page, pool_->references(page)});
    }
    return pieces;
  }

  /// Errors: those of check_append; no page is free (nothing has changed then: only the first row of a chunk packs).
  void append(int layer, int first_position, MatrixIn<float> keys, MatrixIn<float> values) {
    check_append("PagedKiviCache", *this, layer, first_position, keys, values);
    detail::KiviTail& tail = detail::at_layer(tails_, layer);
    const int before = packed(layer);
    tail.write(first_position, keys, values, [&](int group) {
      if (group == int(table_.size())) table_.push_back(take_page());  // for all layers: this one is the first
      pool_->rows(layer).write(table_[std::size_t(group)], tail);
    });
    length_[std::size_t(layer)] = first_position + int(keys.rows());
    if (packed(layer) > before) tell(watch_, Packed{layer, before, packed(layer) - before});
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    const KiviGroups& groups = pool_->rows(layer);
    const detail::KiviTail& tail = this->tail(layer);
    const int size = options_.group, end = length(layer);
    for (int i = 0; i < packed(layer) / size; ++i) {
      Block block = groups.block(kv_head, table_[std::size_t(i)], size, i * size);
      block.first_slot = table_[std::size_t(i)] * size;
      visit(block);
    }
    for (int first = packed(layer), next; first < end; first = next) {  // up to where the ring begins anew
      next = std::min(end, (first / tail.ring() + 1) * tail.ring());
      Block block = groups.block(kv_head, 0, &tail, first, next - first, packed(layer), first);
      block.first_slot = pool_->pages() * size + first % tail.ring();
      visit(block);
    }
  }
  /// Errors: not enough free pages for the groups that will be packed.
  void prepare(int tokens) {
    const int end = slots_sum("PagedKiviCache", detail::at_layer(length_, 0), tokens);
    const int missing = detail::kivi_packed(options_, end) / options_.group - int(table_.size() + spare_.size());
    if (missing > 0) pool_->require(missing);
    for (int i = 0; i < missing; ++i) spare_.push_back(pool_->take());
  }
  bool keeps_every_token() const { return true; }
  /// Errors: those of check_rewind.
  void rewind(int length) {
    check_rewind("PagedKiviCache", *this, length);
    forget_from(length, Reason::rewound);
  }
  int least_rewind() const {
    int least = 0;
    for (int l = 0; l < int(length_.size()); ++l) least = std::max(least, packed(l));
    return least;
  }
  void clear() { forget_from(0, Reason::cleared); }

  /// In the order of the text: groups, then whole rows.
  void save(ByteWriter& to) const {
    detail::begin_save(to, *this, saved_kind());
    for (int l = 0; l < shape().layers; ++l) {
      to.number(std::int32_t(packed(l)));
      for (int i = 0; i < packed(l) / options_.group; ++i)
        pool_->rows(l).save(table_[std::size_t(i)], 1, to.room(pool_->rows(l).bytes_per_slot()));
      tail(l).save(length(l), to.room(std::size_t(length(l) - packed(l)) * tail(l).bytes_per_slot()));
    }
  }
  /// Takes pages of its own from the pool. Errors: also that not enough are free.
  void load(ByteReader& from) {
    detail::load_or_clear(*this, [&] {
      detail::at_layer(length_, 0);
      const int length = detail::begin_load(from, saved_kind());
      for (int l = 0; l < shape().layers; ++l) {
        const int packed = from.number<std::int32_t>();
        tail(l).check_packed(packed, length, from.name());
        for (int i = 0; i < packed / options_.group; ++i) {
          const std::byte* saved = from.bytes(pool_->rows(l).bytes_per_slot()).data();
          if (i == int(table_.size())) table_.push_back(pool_->take());
          pool_->rows(l).load(table_[std::size_t(i)], 1, saved);
        }
        tails_[std::size_t(l)].load(packed, length,
                                    from.bytes(std::size_t(length - packed), tail(l).bytes_per_slot()).data());
        length_[std::size_t(l)] = length;
      }
    });
  }

  /// Of this text. Pages it shares are counted in full: pool() knows what all texts take together.
  MemoryUse memory() const {
    MemoryUse memory;
    memory.reserved_bytes = (table_.size() + spare_.size()) * pool_->page_bytes();
    memory.bookkeeping_bytes = table_.size() * sizeof(int);
    for (int l = 0; l < int(length_.size()); ++l) {
      const std::size_t groups = std::size_t(packed(l) / options_.group);
      memory.used_bytes +=
          groups * pool_->rows(l).bytes_per_slot() + std::size_t(length(l) - packed(l)) * tail(l).bytes_per_slot();
      memory.reserved_bytes += std::size_t(tail(l).ring()) * tail(l).bytes_per_slot();
    }
    return memory;
  }

 private:
  /// With the ring behind the pool.
  static int checked_slots_of(CacheShape shape, int groups, const KiviOptions& options) {
    check_shape("PagedKiviCache", shape);
    check_kivi(shape, options);
    check(groups > 0, "PagedKiviCache: ", groups, " pages of one group asked for; at least 1 is needed");
    return slots_sum("PagedKiviCache, packed and whole rows",
                     slots_product("PagedKiviCache, pages and tokens of a group", groups, options.group),
                     detail::kivi_ring(options));
  }
  static std::string saved_kind(CacheShape shape, const KiviOptions& options) {
    return detail::saved_kind(detail::in_words(options), shape, "pages of one group");
  }
  std::string saved_kind() const { return saved_kind(shape(), options_); }
  const detail::KiviTail& tail(int layer) const { return detail::at_layer(tails_, layer); }
  int packed(int layer) const { return std::min(tail(layer).packed(), length(layer)); }  // 0 after clear()
  void forget_from(int first, Reason reason) {
    for (int l = 0; l < int(length_.size()); ++l) {
      int& tokens = length_[std::size_t(l)];
      if constexpr (Hears<Watch, Evicted>)
        for (int p = first; p < tokens; ++p) tell(watch_, Evicted{l, p, /*slot*/ p, reason});
      tokens = std::min(tokens, first);
    }
    const int pages = (first == 0 || length_.empty() ? 0 : *std::ranges::max_element(length_) / options_.group);
    for (; int(table_.size()) > pages; table_.pop_back()) pool_->give_back(table_.back());
    for (; !spare_.empty(); spare_.pop_back()) pool_->give_back(spare_.back());
  }
  int take_page() {
    if (spare_.empty()) return pool_->take();
    const int page = spare_.back();
    spare_.pop_back();
    return page;
  }

  std::shared_ptr<Pool> pool_;
  KiviOptions options_;
  std::vector<int> table_;               // [groups of this text] -> page of the pool
  std::vector<int> spare_;               // pages that prepare() took and no group lies in yet
  std::vector<detail::KiviTail> tails_;  // [layers]
  std::vector<int> length_;              // [layers]
  [[no_unique_address]] Watch watch_;
};

static_assert(RewindableCache<PagedKiviCache<>> && SavableCache<PagedKiviCache<>> && ForkableCache<PagedKiviCache<>> &&
              PiecedCache<PagedKiviCache<>>);

}  // namespace kvcache
