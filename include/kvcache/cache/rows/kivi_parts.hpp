// The two parts of KIVI's storage: groups of packed rows, and the newest rows, which are whole.
// Liu et al., "KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache", 2024.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "kvcache/cache/check_slots.hpp"
#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/rows/kivi_block.hpp"
#include "kvcache/cache/rows/row_block.hpp"
#include "kvcache/cache/rows/row_side.hpp"
#include "kvcache/core/check.hpp"
#include "kvcache/core/checked_size.hpp"
#include "kvcache/math/quantise.hpp"

namespace kvcache {

/// KIVI's own choice, unless asked otherwise: keys per channel, values per token.
struct KiviOptions {
  KiviSide keys{4, true}, values{4, false};
  int group = 32;     // tokens that are packed together
  int residual = 32;  // at least so many of the newest tokens are whole
};

/// Errors: other bits; a group below 1, a negative residual, more of either than can be counted; a head_dim that does
/// not fill its bytes.
inline void check_kivi(CacheShape shape, const KiviOptions& o) {
  for (const int bits : {o.keys.bits, o.values.bits})
    check((bits == 2 || bits == 4 || bits == 8) && o.group > 0 && o.residual >= 0 && shape.head_dim % (8 / bits) == 0 &&
              shape.head_dim <= detail::piece_numbers,
          "KiviRows: ", bits, " bits, groups of ", o.group, " tokens, ", o.residual, " whole rows and a head_dim of ",
          shape.head_dim, " asked for; give 2, 4 or 8 bits, a group of at least 1 ",
          "and a head_dim that fills its bytes, of at most ", detail::piece_numbers);
  slots_product("KiviRows, tokens of a group and head_dim", o.group, shape.head_dim);
  slots_sum("KiviRows, whole rows and two groups", o.residual, slots_product("KiviRows, two groups", 2, o.group));
}

namespace detail {

inline std::string in_words(const KiviOptions& o) {
  return "kivi: " + kvcache::in_words(o.keys) + " and " + kvcache::in_words(o.values) + ", groups of " +
         std::to_string(o.group) + ", " + std::to_string(o.residual) + " whole";
}

/// Whole rows there is room for: so many that no group is cut in two where the ring begins anew.
inline int kivi_ring(const KiviOptions& o) { return (o.residual + o.group - 1) / o.group * o.group + o.group; }
/// Of the first `length` tokens, those that are packed.
inline int kivi_packed(const KiviOptions& o, int length) {
  const int too_many = length - o.residual - o.group;
  return too_many <= 0 ? 0 : (too_many + o.group - 1) / o.group * o.group;
}
/// The newest rows of one layer, in a ring: slot s at s % ring. When `residual + group` of them are whole, the next one
/// to come has the oldest `group` packed, for good.
class KiviTail {
 public:
  KiviTail(CacheShape shape, KiviOptions options)
      : o_(options),
        head_dim_(shape.head_dim),
        kv_heads_(shape.kv_heads),
        keys_(shape.kv_heads, std::size_t(shape.head_dim)),
        values_(keys_) {
    check_kivi(shape, options);
    keys_ = keys_.resized(kivi_ring(o_), 0), values_ = values_.resized(kivi_ring(o_), 0);
  }
  int ring() const { return keys_.slots(); }
  int packed() const { return packed_; }  // slots before this one are not here any more
  int chunk_limit(int written) const {    // up to the next packing; or just after it
    const int room = o_.residual + o_.group - (written == 0 ? 0 : written - packed_);
    return room > 0 ? room : o_.group;
  }
  /// Calls pack(group) before the oldest rows, keys(head) and values(head), make room.
  void write(int first_slot, MatrixIn<float> keys, MatrixIn<float> values, auto&& pack) {
    if (first_slot == 0) packed_ = 0;  // begin anew
    check(first_slot >= packed_, "KiviRows: slot ", first_slot, " lies in a packed group (slots before ", packed_,
          " do); write after it, or begin at slot 0");
    check(first_slot - packed_ <= o_.residual + o_.group, "KiviRows: slot ", first_slot, " given, but only ",
          o_.residual + o_.group, " rows after the ", packed_, " packed ones are whole; write rows in order");
    for (int r = 0; r < keys.rows(); ++r) {
      const int slot = first_slot + r;
      if (slot - packed_ == o_.residual + o_.group) pack(packed_ / o_.group), packed_ += o_.group;
      for (int head = 0; head < kv_heads_; ++head)
        for (const auto& [side, rows] : {std::pair{&keys_, &keys}, {&values_, &values}})
          std::copy_n(at(*rows, r, head * head_dim_), head_dim_, side->row(head, slot % ring()));
    }
  }
  /// [group, head_dim]: the next to be packed. They lie in one piece, for the ring is a multiple of the group.
  const float* oldest_keys(int head) const { return keys_.row(head, packed_ % ring()); }
  const float* oldest_values(int head) const { return values_.row(head, packed_ % ring()); }
  const float* keys(int head) const { return keys_.row(head, 0); }  // [ring, head_dim]
  const float* values(int head) const { return values_.row(head, 0); }

  std::size_t bytes_per_slot() const { return keys_.bytes_per_slot() + values_.bytes_per_slot(); }
  void save(int slots, std::byte* to) const {
    for (int slot = packed_; slot < slots; ++slot)
      to = values_.save(slot % ring(), 1, keys_.save(slot % ring(), 1, to));
  }
  /// Errors: rows packed otherwise than write() does.
  void check_packed(int packed, int slots, const std::string& where) const {
    const int whole = slots - packed;
    check(packed >= 0 && packed % o_.group == 0 && whole >= 0 && whole <= o_.residual + o_.group, where, ": of ", slots,
          " saved rows ", packed, " are packed, it says; they must be groups of ", o_.group, " and leave 0 to ",
          o_.residual + o_.group, " rows whole");
  }
  void load(int packed, int slots, const std::byte* from) {
    for (int slot = packed; slot < slots; ++slot)
      from = values_.load(slot % ring(), 1, keys_.load(slot % ring(), 1, from));
    packed_ = packed;
  }

 private:
  KiviOptions o_;
  int head_dim_, kv_heads_;
  int packed_ = 0;                // slots
  RowSide<float> keys_, values_;  // [kv_heads, ring, head_dim]
};

}  // namespace detail

/// Packed groups of one layer. A slot of this store is a group of tokens: it stands alone, so a pool may share it.
/// Bytes of one, for each head: kivi_group_bytes() of both sides.
class KiviGroups {
 public:
  using Scalar = float;
  using Block = RowBlock<float, detail::KiviRun>;
  using Options = KiviOptions;

  /// Errors: those of check_kivi.
  explicit KiviGroups(CacheShape shape, KiviOptions options = {})
      : shape_(shape),
        o_(options),
        keys_(shape.kv_heads, kivi_group_bytes(checked(shape, o_).keys, o_.group, shape.head_dim)),
        values_(shape.kv_heads, kivi_group_bytes(o_.values, o_.group, shape.head_dim)) {}

  // Errors of all that follow: groups that are not there (cache/check_slots.hpp).
  void resize(int groups, int keep) {
    check_resize("KiviGroups", slots(), groups, keep);
    Side keys = keys_.resized(groups, keep), values = values_.resized(groups, keep);
    keys_ = std::move(keys), values_ = std::move(values);  // if memory ran out, nothing has changed
  }
  int slots() const { return keys_.slots(); }
  std::size_t bytes_per_slot() const { return keys_.bytes_per_slot() + values_.bytes_per_slot(); }
  void copy(int from, int to, int groups) {
    check_copy("KiviGroups", slots(), from, to, groups);
    keys_.copy(from, to, groups), values_.copy(from, to, groups);
  }

  /// Packs keys and values [group, kv_heads * head_dim]. Errors: also NaN and infinities, which have no code.
  void write(int group, MatrixIn<float> keys, MatrixIn<float> values) {
    check_slots("KiviGroups", slots(), group, 1);
    check(keys.rows() == o_.group && values.rows() == o_.group && keys.cols() == shape_.row_size() &&
              values.cols() == shape_.row_size(),
          "KiviGroups: keys [", keys.rows(), ", ", keys.cols(), "] and values [", values.rows(), ", ", values.cols(),
          "] given; a group is ", o_.group, " tokens of ", shape_.row_size(), " numbers");
    const auto of_head = [&](const MatrixIn<float>& rows, int head) {
      return MatrixIn<float>(at(rows, 0, head * shape_.head_dim), o_.group, shape_.head_dim,
                             Eigen::OuterStride<>(rows.outerStride()));
    };
    for (int head = 0; head < shape_.kv_heads; ++head) {
      pack(o_.keys, of_head(keys, head), keys_.row(head, group));
      pack(o_.values, of_head(values, head), values_.row(head, group));
    }
  }
  /// Packs the oldest whole rows.
  void write(int group, const detail::KiviTail& tail) {
    check_slots("KiviGroups", slots(), group, 1);
    const auto rows = [&](const float* whole) {
      return MatrixIn<float>(whole, o_.group, shape_.head_dim, Eigen::OuterStride<>(shape_.head_dim));
    };
    for (int head = 0; head < shape_.kv_heads; ++head) {
      pack(o_.keys, rows(tail.oldest_keys(head)), keys_.row(head, group));
      pack(o_.values, rows(tail.oldest_values(head)), values_.row(head, group));
    }
  }
  /// Slots [first, first + rows), of which those before `packed` lie in groups from `group` on, the others in the tail.
  Block block(int kv_head, int group, const detail::KiviTail* tail, int first, int rows, int packed,
              Positions positions) const {
    const auto run = [&](KiviSide side, const Side& groups, const float* whole) {
      return detail::KiviRun{side,     groups.row(kv_head, group), whole,          first, rows, packed,
                             o_.group, tail ? tail->ring() : 1,    shape_.head_dim};
    };
    return {run(o_.keys, keys_, tail ? tail->keys(kv_head) : nullptr),
            run(o_.values, values_, tail ? tail->values(kv_head) : nullptr),
            first,
            positions};
  }
  /// The first rows of one group.
  Block block(int kv_head, int group, int rows, Positions positions) const {
    check_slots("KiviGroups", slots(), group, 1);
    return block(kv_head, group, nullptr, 0, rows, o_.group, positions);
  }
  std::byte* save(int first, int count, std::byte* to) const {
    check_slots("KiviGroups", slots(), first, count);
    return values_.save(first, count, keys_.save(first, count, to));
  }
  const std::byte* load(int first, int count, const std::byte* from) {
    check_slots("KiviGroups", slots(), first, count);
    return values_.load(first, count, keys_.load(first, count, from));
  }
  CacheShape shape() const { return shape_; }
  const KiviOptions& options() const { return o_; }

 private:
  using Side = detail::RowSide<std::byte>;
  static const KiviOptions& checked(CacheShape shape, const KiviOptions& o) {
    check_kivi(shape, o);
    return o;
  }
  static void pack(KiviSide side, MatrixIn<float> rows, std::byte* to) {
    for (Eigen::Index r = 0; r < rows.rows(); ++r)
      if (const auto d = find_not_finite(at(rows, r, 0), rows.cols()))
        fail("KiviRows: a row to be packed holds ", rows(r, *d),
             ", which has no code; the model's weights are broken, ",
             "or its numbers grow too large: rows in f32 show what comes of it");
    if (side.per_channel) return detail::pack_channels(rows, side.bits, to);
    const int head_dim = int(rows.cols());
    for (int r = 0; r < rows.rows(); ++r, to += code_row_bytes(head_dim, side.bits))
      pack_code_row(at(rows, r, 0), head_dim, side.bits, to);
  }

  CacheShape shape_;
  KiviOptions o_;
  Side keys_, values_;  // [kv_heads, groups, bytes of a group]
};

static_assert(SlotRows<KiviGroups>);

/// What KIVI's rows of one layer take without being there, when tokens come in order.
class KiviSizes {
 public:
  /// Errors: those of check_kivi.
  KiviSizes(CacheShape shape, const KiviOptions& options) : o_(options), groups_(shape, options) {
    whole_bytes_ = 2 * std::size_t(shape.row_size()) * sizeof(float);
  }
  /// Tokens of the first `length` that are packed.
  int packed(int length) const { return detail::kivi_packed(o_, length); }
  int slots(int room) const { return room / o_.group * o_.group + (room % o_.group > 0 ? o_.group : 0); }
  std::size_t used_bytes(int length) const {
    const int packed = this->packed(length);
    return group_bytes(packed) + std::size_t(length - packed) * whole_bytes_;
  }
  std::size_t reserved_bytes(int slots) const { return group_bytes(slots) + ring_bytes(); }
  std::size_t group_bytes(int tokens) const { return std::size_t(tokens / o_.group) * groups_.bytes_per_slot(); }
  std::size_t ring_bytes() const { return std::size_t(detail::kivi_ring(o_)) * whole_bytes_; }
  std::string format() const { return detail::in_words(o_); }

 private:
  KiviOptions o_;
  KiviGroups groups_;  // none
  std::size_t whole_bytes_;
};

}  // namespace kvcache
