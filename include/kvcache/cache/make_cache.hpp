// From "window:sinks=4,recent=252,keys=int8" to a cache: for programs.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
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
    check(n && *n >= 0 && *n < layers, "layers: \"", shortened(digits), "\" is no layer; the model has layers 0 to ",
          layers - 1, ". Write layers:0-9=growing;rest=window");
    return *n;
  };
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    check(equals != std::string_view::npos, "layers: \"", shortened(part),
          "\" has no \"=\"; write layers:0-9=growing;rest=window");
    const std::string spec(part.substr(equals + 1));
    check(!spec.starts_with("layers:"), "layers: \"", shortened(part),
          "\" names layers for a layer; a layer has one cache, such as growing or window");
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

/// Reads a spec, and calls use(std::type_identity<Policy>, what Policy is made with between shape and watcher...). So
/// whoever makes a cache, and whoever asks what it would be, read alike.
template <RowStore Rows, Observer Watch>
auto with_policy(std::string_view text, int capacity, auto&& use) {
  CacheSpec spec(text);
  const std::string policy = spec.policy();
  const auto call = [&]<class Policy>(std::type_identity<Policy> type, const auto&... options) {
    spec.check_all_taken();
    return use(type, options...);
  };
  if constexpr (std::same_as<Rows, AnyRows>)
    if ((policy == "growing" || policy == "paged") && CacheSpec(text).word("format", "f32") == "kivi") {
      const KiviOptions options = kivi_of(spec);
      if (policy == "growing") return call(std::type_identity<GrowingCache<KiviRows, Watch>>(), 0, options);
      const int pages = spec.number("pages", std::max(1, capacity / options.group), 1);
      return call(std::type_identity<PagedKiviCache<Watch>>(), pages, options);
    }
  if (policy == "window") {
    const WindowOptions window = window_of(spec);
    return call(std::type_identity<SlidingWindowCache<Rows, Watch>>(), window, formats_of<Rows>(spec));
  }
  if (policy == "paged") {
    const PageOptions cut = pages_of(spec, capacity);
    return call(std::type_identity<PagedCache<Rows, Watch>>(), cut, formats_of<Rows>(spec));
  }
  if (policy == "heavy-hitter" || policy == "random") {
    EvictionOptions eviction;
    eviction.budget = spec.number("budget", eviction.budget, 2);
    eviction.recent = spec.number("recent", std::max(1, eviction.budget / 2), 1);
    const auto formats = formats_of<Rows>(spec);
    if (policy == "random") return call(std::type_identity<RandomCache<Rows, Watch>>(), eviction, formats);
    return call(std::type_identity<HeavyHitterCache<Rows, Watch>>(), eviction, formats);
  }
  if (policy == "offloaded") {
    OffloadOptions offload;
    offload.block = spec.number("block", offload.block, 1), offload.recent = spec.number("recent", offload.recent, 1);
    offload.cold = spec.word("cold", "no", {"no", "yes"}) == "yes";
    return call(std::type_identity<OffloadedCache<Rows, Watch>>(), offload, formats_of<Rows>(spec));
  }
  const auto contiguous = [&]<class Policy>(std::type_identity<Policy> type, int room) {
    return call(type, room, formats_of<Rows>(spec));
  };
  if (policy == "growing") return contiguous(std::type_identity<GrowingCache<Rows, Watch>>(), 0);
  if (policy == "preallocated") return contiguous(std::type_identity<PreallocatedCache<Rows, Watch>>(), capacity);
  if (policy == "concatenating") return contiguous(std::type_identity<ConcatenatingCache<Rows, Watch>>(), 0);
  std::string known;
  for (const CacheName& cache : cache_names) known += cache.name + std::string(", ");
  fail("cache \"", shortened(policy), "\" is unknown; known are ", known, cache_of_layers.name);
}

inline constexpr std::string_view layers_prefix = "layers:";

}  // namespace detail

/// `capacity`: tokens that a cache which never grows has room for; the others start empty. Formats can be chosen if
/// Rows is AnyRows. Errors: a name that is not in cache_names, options it does not know, values that make no sense.
template <RowStore Rows = AnyRows>
NamedCache<Rows> make_cache(std::string_view text, CacheShape shape, int capacity, MaybeObserver watch = {}) {
  using Any = NamedCache<Rows>;
  if (text.starts_with(detail::layers_prefix)) {
    std::vector<Any> parts;
    for (const std::string& spec : detail::specs_of_layers(text.substr(detail::layers_prefix.size()), shape.layers))
      parts.push_back(make_cache<Rows>(spec, {1, shape.kv_heads, shape.head_dim}, capacity, watch));
    return Any(PerLayerCache<Any>(std::move(parts)));
  }
  return detail::with_policy<Rows, MaybeObserver>(
      text, capacity, [&]<class Policy>(std::type_identity<Policy>, const auto&... options) {
        return Any(Policy(shape, options..., watch));
      });
}

/// What make_cache would make, once it holds `length` tokens. Takes no memory, and no longer for a long text.
/// [COMPUTED] Errors: those of make_cache; a text that does not fit.
template <RowStore Rows = AnyRows>
CachePlan plan_cache(std::string_view text, CacheShape shape, int capacity, int length) {
  checked_slots("a text", length);
  if (!text.starts_with(detail::layers_prefix))
    return detail::with_policy<Rows, NoObserver>(text, capacity,
                                                 [&]<class Policy>(std::type_identity<Policy>, const auto&... options) {
                                                   return Policy::plan(length, shape, options...);
                                                 });
  CachePlan sum{.saved_kind = PerLayerCache<NamedCache<Rows>>::saved_kind(shape.layers)};
  for (const std::string& spec : detail::specs_of_layers(text.substr(detail::layers_prefix.size()), shape.layers)) {
    const CachePlan part = plan_cache<Rows>(spec, {1, shape.kv_heads, shape.head_dim}, capacity, length);
    bytes_sum("layers", sum.memory.reserved_bytes, part.memory.reserved_bytes);
    sum.first_bytes = bytes_sum("layers", sum.first_bytes, part.first_bytes);
    sum.memory += part.memory;
  }
  return sum;
}

/// Of a text of so many tokens, if the cache is made for it. [COMPUTED] Errors: those of plan_cache.
template <RowStore Rows = AnyRows>
MemoryUse memory_of(std::string_view text, CacheShape shape, int tokens) {
  return plan_cache<Rows>(text, shape, tokens, tokens).memory;
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
