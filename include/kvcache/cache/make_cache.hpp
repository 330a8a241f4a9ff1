// From "window:sinks=4,recent=252,keys=int8" to a cache: for programs.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvcache/cache/any_cache.hpp"
#include "kvcache/cache/cache_names.hpp"
#include "kvcache/cache/cache_spec.hpp"
#include "kvcache/cache/contiguous_cache.hpp"
#include "kvcache/cache/evicting_cache.hpp"
#include "kvcache/cache/offloaded_cache.hpp"
#include "kvcache/cache/paged_cache.hpp"
#include "kvcache/cache/paged_kivi_cache.hpp"
#include "kvcache/cache/per_layer_cache.hpp"
#include "kvcache/cache/rows/kivi_rows.hpp"
#include "kvcache/cache/rows/packed_rows.hpp"
#include "kvcache/cache/sliding_window_cache.hpp"

namespace kvcache {

namespace detail {
template <RowStore Rows>
struct NamedCacheOf {
  using type = AnyCache<typename Rows::Block>;
};
template <>
struct NamedCacheOf<AnyRows> {  // KIVI's rows are packed in groups, so they are no choice within AnyRows
  using type = AnyCache<AnyRows::Block, KiviRows::Block>;
};
}  // namespace detail

/// What make_cache makes.
template <RowStore Rows = AnyRows>
using NamedCache = typename detail::NamedCacheOf<Rows>::type;

namespace detail {

/// The options keys, values and format, if the rows leave a choice.
template <RowStore Rows>
typename Rows::Options formats_of(CacheSpec& spec) {
  if constexpr (std::same_as<typename Rows::Options, ChosenFormats>) {
    const std::string both = spec.word("format", "f32");
    check(both != "kivi", spec.where(),
          "kivi packs rows in groups and for good, while this policy writes single slots ",
          "again or moves them; take growing:format=kivi, paged:format=kivi, or another format");
    return {&find_row_format(spec.word("keys", both)), &find_row_format(spec.word("values", both))};
  } else {
    return {};
  }
}

inline KiviOptions kivi_of(CacheSpec& spec) {
  KiviOptions options;
  spec.word("format", "kivi");
  const int bits = spec.number("bits", 4, 2);
  options.keys.bits = spec.number("key-bits", bits, 2), options.values.bits = spec.number("value-bits", bits, 2);
  options.keys.per_channel = spec.word("keys-per", "channel", {"channel", "token"}) == "channel";
  options.values.per_channel = spec.word("values-per", "token", {"channel", "token"}) == "channel";
  options.group = spec.number("group", options.group, 1),
  options.residual = spec.number("residual", options.residual, 0);
  return options;
}

/// The cache of each layer, from "0-9=SPEC;10,12=SPEC;rest=SPEC".
inline std::vector<std::string> specs_of_layers(std::string_view text, int layers) {
  std::vector<std::string> specs(static_cast<std::size_t>(layers));
  const auto number = [&](std::string_view digits) {
    const std::optional<int> n = whole_number(digits);
    check(n && *n >= 0 && *n < layers, "layers: \"", digits, "\" is no layer; the model has layers 0 to ", layers - 1,
          ". Write layers:0-9=growing;rest=window");
    return *n;
  };
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    check(equals != std::string_view::npos, "layers: \"", part,
          "\" has no \"=\"; write layers:0-9=growing;rest=window");
    const std::string spec(part.substr(equals + 1));
    for (std::string_view which = part.substr(0, equals); !which.empty();) {
      const std::string_view range = which.substr(0, which.find(','));
      which.remove_prefix(std::min(which.size(), range.size() + 1));
      const bool is_rest = range == "rest";
      const std::size_t dash = range.find('-');
      const int first = is_rest ? 0 : number(range.substr(0, dash));
      const int last = is_rest ? layers - 1 : dash == std::string_view::npos ? first : number(range.substr(dash + 1));
      for (int l = first; l <= last; ++l) {
        std::string& layer = specs[std::size_t(l)];
        check(is_rest || layer.empty(), "layers: layer ", l, " is named twice");
        if (layer.empty()) layer = spec;
      }
    }
  }
  for (int l = 0; l < layers; ++l)
    check(!specs[std::size_t(l)].empty(), "layers: no cache is named for layer ", l, "; add rest=growing");
  return specs;
}

}  // namespace detail

/// `capacity`: tokens that a cache which never grows has room for; the others start empty. Formats can be chosen if
/// Rows is AnyRows. Errors: a name that is not in cache_names, options it does not know, values that make no sense.
template <RowStore Rows = AnyRows>
NamedCache<Rows> make_cache(std::string_view text, CacheShape shape, int capacity, MaybeObserver watch = {}) {
  using Any = NamedCache<Rows>;
  using Watch = MaybeObserver;
  if (text.starts_with("layers:")) {
    std::vector<Any> parts;
    for (const std::string& spec : detail::specs_of_layers(text.substr(7), shape.layers))
      parts.push_back(make_cache<Rows>(spec, {1, shape.kv_heads, shape.head_dim}, capacity, watch));
    return Any(PerLayerCache<Any>(std::move(parts)));
  }
  CacheSpec spec(text);
  const std::string policy = spec.policy();
  const auto finished = [&](auto cache) {
    spec.check_all_taken();
    return Any(std::move(cache));
  };
  if constexpr (std::same_as<Rows, AnyRows>)
    if ((policy == "growing" || policy == "paged") && CacheSpec(text).word("format", "f32") == "kivi") {
      const KiviOptions options = detail::kivi_of(spec);
      if (policy == "growing") return finished(GrowingCache<KiviRows, Watch>(shape, 0, options, watch));
      const int pages = spec.number("pages", std::max(1, capacity / options.group), 1);
      return finished(PagedKiviCache<Watch>(std::make_shared<PagePool<KiviGroups>>(shape, pages, 1, options), watch));
    }
  const auto formats = [&] { return detail::formats_of<Rows>(spec); };
  if (policy == "growing") return finished(GrowingCache<Rows, Watch>(shape, 0, formats(), watch));
  if (policy == "preallocated") return finished(PreallocatedCache<Rows, Watch>(shape, capacity, formats(), watch));
  if (policy == "concatenating") return finished(ConcatenatingCache<Rows, Watch>(shape, 0, formats(), watch));
  if (policy == "window") {
    const WindowOptions window = window_of(spec);
    return finished(SlidingWindowCache<Rows, Watch>(shape, window, formats(), watch));
  }
  if (policy == "paged") {
    const auto [page, pages] = pages_of(spec, capacity);
    const auto pool = std::make_shared<PagePool<Rows>>(shape, pages, page, formats());
    return finished(PagedCache<Rows, Watch>(pool, watch));
  }
  if (policy == "heavy-hitter" || policy == "random") {
    EvictionOptions eviction;
    eviction.budget = spec.number("budget", eviction.budget, 2);
    eviction.recent = spec.number("recent", std::max(1, eviction.budget / 2), 1);
    if (policy == "random") return finished(RandomCache<Rows, Watch>(shape, eviction, formats(), watch));
    return finished(HeavyHitterCache<Rows, Watch>(shape, eviction, formats(), watch));
  }
  if (policy == "offloaded") {
    OffloadOptions offload;
    offload.block = spec.number("block", offload.block, 1), offload.recent = spec.number("recent", offload.recent, 1);
    offload.cold = spec.word("cold", "no", {"no", "yes"}) == "yes";
    return finished(OffloadedCache<Rows, Watch>(shape, offload, formats(), watch));
  }
  std::string known;
  for (const CacheName& cache : cache_names) known += cache.name + std::string(", ");
  fail("cache \"", policy, "\" is unknown; known are ", known, cache_of_layers.name);
}

/// True if the cache of that name keeps numbers in another format than they are computed in.
inline bool rounds(std::string_view text) {
  for (const std::string_view option : {"format=", "keys=", "values="})
    for (std::size_t at = text.find(option); at != std::string_view::npos; at = text.find(option, at + 1)) {
      const std::string_view value = text.substr(at + option.size());
      if (value.substr(0, value.find_first_of(",;")) != "f32") return true;
    }
  return false;
}

static_assert(RewindableCache<NamedCache<>> && LearningCache<NamedCache<>> && BoundedCache<NamedCache<>> &&
              SavableCache<NamedCache<>>);

}  // namespace kvcache
