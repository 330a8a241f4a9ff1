// Prompts that begin alike share the pages of their common beginning: the second one need not compute it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/core/random.hpp"

namespace kvcache {

/// Full pages by the text that leads to them. A page's key is a hash of its parent's key and its own tokens, so one
/// lookup a page finds the longest known beginning; tokens are compared, so a collision shares nothing wrongly.
/// Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs", 2024 (RadixAttention).
template <RowStore Rows = FloatRows<>>
class PrefixTree {
 public:
  struct Use {  // since the beginning
    std::int64_t tokens_asked = 0, tokens_found = 0;
    int pages_dropped = 0;
  };

  /// While it lives, the pool may ask it for pages. Errors: the pool asks somebody else already.
  explicit PrefixTree(std::shared_ptr<PagePool<Rows>> pool) : pool_(std::move(pool)) {
    check(!pool_->reclaim, "PrefixTree: this pool of pages has a prefix tree already, which gives back what nobody ",
          "reads; use that one, or a pool for each");
    pool_->reclaim = [this](int missing) { drop(missing); };
  }
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;
  ~PrefixTree() {
    pool_->reclaim = {};
    for (const auto& [key, page] : pages_) pool_->give_back(page.page);
  }

  /// Gives an empty cache the pages of the longest known beginning of `prompt`, and returns how many tokens that are.
  /// At least the last token is left to compute: its logits say what comes next. Errors: a cache that is not empty, or
  /// of another pool.
  template <Observer Watch>
  int find(std::span<const int> prompt, PagedCache<Rows, Watch>& cache) {
    check_pool(cache);
    check(cache.length(0) == 0, "PrefixTree: the cache holds ", cache.length(0), " tokens already; give an empty one");
    use_.tokens_asked += std::ssize(prompt);
    ++now_;
    int found = 0;
    for (std::uint64_t parent = 0; found + page_size() < int(prompt.size()); found += page_size()) {
      Page* page = look_up(parent, prompt.subspan(std::size_t(found), std::size_t(page_size())));
      if (page == nullptr) break;
      page->last_used = now_;
      cache.append_shared_page(page->page);
      parent = page->key;
    }
    use_.tokens_found += found;
    return found;
  }
  /// Remembers the full pages of a cache that holds `text`. Errors: a cache of another pool or length.
  template <Observer Watch>
  void insert(std::span<const int> text, const PagedCache<Rows, Watch>& cache) {
    check_pool(cache);
    for (int l = 0; l < cache.shape().layers; ++l)
      check(cache.length(l) == int(text.size()), "PrefixTree: a text of ", text.size(),
            " tokens given with a cache of ", cache.length(l), " in layer ", l);
    ++now_;
    std::uint64_t parent = 0;
    for (int i = 0; (i + 1) * page_size() <= int(text.size()); ++i) {
      const auto tokens = text.subspan(std::size_t(i * page_size()), std::size_t(page_size()));
      Page* known = look_up(parent, tokens);
      const std::uint64_t key = hash(parent, tokens);
      if (known == nullptr) {
        if (pages_.contains(key)) return;  // a collision: this beginning is not remembered further
        known = &pages_[key];
        *known = {key, parent, cache.table()[std::size_t(i)], 0, now_, {tokens.begin(), tokens.end()}};
        pool_->share(known->page);
        if (parent != 0) ++pages_.at(parent).children;
      }
      known->last_used = now_;
      parent = key;
    }
  }

  int pages() const { return int(pages_.size()); }
  const Use& use() const { return use_; }

 private:
  struct Page {
    std::uint64_t key = 0, parent = 0;
    int page = 0, children = 0;
    std::int64_t last_used = 0;
    std::vector<int> tokens;
  };

  int page_size() const { return pool_->page_size(); }
  template <Observer Watch>
  void check_pool(const PagedCache<Rows, Watch>& cache) const {
    check(&cache.pool() == pool_.get(), "PrefixTree: the cache belongs to another pool of pages");
  }
  static std::uint64_t hash(std::uint64_t parent, std::span<const int> tokens) {
    for (const int token : tokens) parent = Random(parent ^ std::uint64_t(token)).bits();
    return parent != 0 ? parent : 1;  // 0 is the root
  }
  Page* look_up(std::uint64_t parent, std::span<const int> tokens) {
    const auto found = pages_.find(hash(parent, tokens));
    const bool is_it =
        found != pages_.end() && found->second.parent == parent && std::ranges::equal(found->second.tokens, tokens);
    return is_it ? &found->second : nullptr;
  }
  /// Gives back pages that no text reads, leaves first: the one that was not asked for for the longest time.
  void drop(int missing) {
    while (missing > 0) {
      const Page* oldest = nullptr;
      for (const auto& [key, page] : pages_)
        if (page.children == 0 && pool_->references(page.page) == 1 && (!oldest || page.last_used < oldest->last_used))
          oldest = &page;
      if (oldest == nullptr) return;
      if (oldest->parent != 0) --pages_.at(oldest->parent).children;
      pool_->give_back(oldest->page);
      pages_.erase(oldest->key);
      ++use_.pages_dropped, --missing;
    }
  }

  std::shared_ptr<PagePool<Rows>> pool_;
  std::unordered_map<std::uint64_t, Page> pages_;  // by key
  std::int64_t now_ = 0;                           // counts calls
  Use use_;
};

}  // namespace kvcache
