// Pages of slots that many texts share.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "kvcache/cache/cache_plan.hpp"
#include "kvcache/cache/cache_spec.hpp"
#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/rows/float_rows.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// How a pool is cut, as people write it: page=16,pages=64; as many pages as `capacity` tokens need, unless given.
struct PageOptions {
  int page = 16, pages = 1;
};
inline PageOptions pages_of(CacheSpec& spec, int capacity) {
  const int page = spec.number("page", 16, 1);
  return {page, spec.number("pages", std::max(1, capacity / page + (capacity % page > 0)), 1)};
}

/// The rows of all pages, who needs which page, and the list of free ones. A page holds the same slots in every layer.
/// Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention", 2023.
template <RowStore Rows = FloatRows<>>
class PagePool {
  static_assert(SlotRows<Rows>,
                "PagePool shares its slots between texts, but these rows are packed in groups and must come in order: "
                "use GrowingCache, or rows that stand alone (FloatRows, PackedRows)");

 public:
  /// Takes all its memory now. Errors: sizes below 1; more than most_slots slots.
  PagePool(CacheShape shape, int pages, int page_size, typename Rows::Options options = {})
      : shape_(shape), page_size_(page_size) {
    const int slots = checked_slots_of(shape, {page_size, pages});
    rows_.assign(std::size_t(shape.layers), Rows(shape, options));
    for (Rows& layer : rows_) layer.resize(slots, 0);
    references_.assign(std::size_t(pages), 0);
    for (int page = pages; page-- > 0;) free_.push_back(page);
  }
  PagePool(const PagePool&) = delete;  // caches refer to it
  PagePool& operator=(const PagePool&) = delete;
  /// Of all pages together. Errors: those of the constructor.
  static int checked_slots_of(CacheShape shape, PageOptions cut) {
    check_shape("PagePool", shape);
    check(cut.pages > 0 && cut.page > 0, "PagePool: ", cut.pages, " pages of ", cut.page,
          " tokens asked for; each must be at least 1");
    return slots_product("PagePool, pages and tokens of a page", cut.pages, cut.page);
  }

  CacheShape shape() const { return shape_; }
  int pages() const { return int(references_.size()); }
  int page_size() const { return page_size_; }  // tokens
  int free_pages() const { return int(free_.size()); }
  /// In how many tables a page stands.
  int references(int page) const { return references_[std::size_t(page)]; }
  std::size_t page_bytes() const {
    return bytes_product("PagePool", {std::size_t(shape_.layers), std::size_t(page_size_), rows_[0].bytes_per_slot()});
  }
  Rows& rows(int layer) { return rows_[std::size_t(layer)]; }  // slots [pages * page_size]
  const Rows& rows(int layer) const { return rows_[std::size_t(layer)]; }

  /// Sees to it that so many pages are free. Errors: they are not, even after whoever can spare some was asked.
  void require(int pages) {
    if (free_pages() < pages && reclaim) reclaim(pages - free_pages());
    check(free_pages() >= pages, "PagePool: ", pages, " more pages of ", page_size_, " tokens are needed, but of ",
          this->pages(), " only ", free_pages(), " are free; clear a cache, or build the pool with more pages");
  }
  /// A page for one table. Errors: none is free.
  int take() {
    require(1);
    const int page = free_.back();
    free_.pop_back();
    references_[std::size_t(page)] = 1;
    return page;
  }
  void share(int page) { ++references_[std::size_t(page)]; }
  void give_back(int page) {
    if (--references_[std::size_t(page)] == 0) free_.push_back(page);
  }

  /// Called when pages run out, with how many are missing: a prefix tree gives back what nobody reads at the moment.
  std::function<void(int)> reclaim;

 private:
  CacheShape shape_;
  int page_size_;
  std::vector<Rows> rows_;       // [layers]
  std::vector<int> references_;  // [pages]
  std::vector<int> free_;        // the next to take is the last
};

}  // namespace kvcache
