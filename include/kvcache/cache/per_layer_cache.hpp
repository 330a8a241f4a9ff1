// Policy: another cache for each layer, for models whose layers differ: some see the whole text, others a window of it.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kvcache/cache/check_append.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/saved_cache.hpp"
#include "kvcache/cache/storage_piece.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// Layer l of the model is layer 0 of part l.
template <KeyValueCache Part>
class PerLayerCache {
 public:
  using Block = typename Part::Block;
  using Scalar = typename Part::Scalar;

  /// Errors: no parts; parts of more than one layer, or of different heads.
  explicit PerLayerCache(std::vector<Part> parts) : parts_(std::move(parts)) {
    check(!parts_.empty(), "PerLayerCache: no parts given; one for each layer is needed");
    for (const Part& part : parts_)
      check(part.shape().layers == 1 && part.shape().kv_heads == parts_[0].shape().kv_heads &&
                part.shape().head_dim == parts_[0].shape().head_dim,
            "PerLayerCache: a part of ", part.shape().layers, " layers with ", part.shape().kv_heads, " kv heads of ",
            part.shape().head_dim,
            " given; each must have 1 layer, and the heads of the first: ", parts_[0].shape().kv_heads, " of ",
            parts_[0].shape().head_dim);
  }
  PerLayerCache(PerLayerCache&&) = default;
  PerLayerCache& operator=(PerLayerCache&&) = default;
  PerLayerCache clone() const {
    std::vector<Part> parts;
    for (const Part& part : parts_) parts.push_back(part.clone());
    return PerLayerCache(std::move(parts));
  }

  CacheShape shape() const {
    CacheShape shape = part(0).shape();
    shape.layers = int(parts_.size());
    return shape;
  }
  const Part& part(int layer) const { return detail::at_layer(parts_, layer); }
  int length(int layer) const { return parts_.empty() ? 0 : part(layer).length(0); }
  int slots(int layer) const { return part(layer).slots(0); }
  int chunk_limit(int layer) const { return part(layer).chunk_limit(0); }

  void append(int layer, int first_position, MatrixIn<Scalar> keys, MatrixIn<Scalar> values) {
    check(layer >= 0 && layer < int(parts_.size()), "PerLayerCache: layer ", layer, " given, but the cache has ",
          parts_.size(), "; build it with the model's shape");
    parts_[std::size_t(layer)].append(0, first_position, keys, values);
  }
  template <class Visitor>
  void for_each_block(int layer, int kv_head, Visitor&& visit) const {
    part(layer).for_each_block(0, kv_head, visit);
  }
  /// All parts, or none. (A part that had room enough, and then another had not, keeps its room.)
  void prepare(int tokens) requires PreparableCache<Part> {
    for (Part& part : parts_) part.prepare(tokens);
  }
  /// All parts, or none: each is asked before one forgets.
  void rewind(int length) requires RewindableCache<Part> {
    check_rewind("PerLayerCache", *this, length);
    for (Part& part : parts_) part.rewind(length);
  }
  int least_rewind() const requires RewindableCache<Part> {
    int least = 0;
    for (const Part& part : parts_) least = std::max(least, part.least_rewind());
    return least;
  }
  PerLayerCache fork() const requires ForkableCache<Part> {
    std::vector<Part> parts;
    for (const Part& part : parts_) parts.push_back(part.fork());
    return PerLayerCache(std::move(parts));
  }
  bool can_fork() const requires ForkableCache<Part> {
    return std::ranges::all_of(parts_, [](const Part& part) { return kvcache::can_fork(part); });
  }
  void clear() {
    for (Part& part : parts_) part.clear();
  }
  /// Each part says for itself what it is.
  void save(ByteWriter& to) const requires SavableCache<Part> {
    detail::begin_save(to, *this, saved_kind());
    for (const Part& part : parts_) part.save(to);
  }
  void load(ByteReader& from) requires SavableCache<Part> {
    detail::load_or_clear(*this, [&] {
      const int length = detail::begin_load(from, saved_kind());
      for (Part& part : parts_) {
        part.load(from);
        check(part.length(0) == length, from.name(), ": the saved cache of one layer holds ", part.length(0),
              " tokens, but all together ", length, "; the bytes are broken");
      }
    });
  }
  bool learns() const requires LearningCache<Part> {
    return std::ranges::any_of(parts_, [](const Part& part) { return part.learns(); });
  }
  void learn(int layer, int kv_head, MatrixIn<Scalar> weights) requires LearningCache<Part> {
    if (part(layer).learns()) parts_[std::size_t(layer)].learn(0, kv_head, weights);
  }
  int reach() const requires BoundedCache<Part> {
    int reach = 0;
    for (const Part& part : parts_) reach = std::max(reach, part.reach());
    return reach;
  }
  bool shifts_positions() const requires BoundedCache<Part> {
    return std::ranges::any_of(parts_, [](const Part& part) { return part.shifts_positions(); });
  }

  std::vector<StoragePiece> pieces(int layer) const requires PiecedCache<Part> { return part(layer).pieces(0); }
  bool keeps_every_token() const requires CompleteCache<Part> {
    return std::ranges::all_of(parts_, [](const Part& part) { return part.keeps_every_token(); });
  }

  /// How what such a cache saves begins.
  static std::string saved_kind(int layers) { return "a cache for each of " + std::to_string(layers) + " layers"; }

  MemoryUse memory() const {
    MemoryUse memory;
    for (const Part& part : parts_) memory += part.memory();
    return memory;
  }

 private:
  std::string saved_kind() const { return saved_kind(int(parts_.size())); }
  std::vector<Part> parts_;  // [layers]
};

}  // namespace kvcache
