// Row store of KIVI: keys packed per channel, in groups of tokens; values per token; the newest rows stay whole.
// Liu et al., "KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache", 2024.
#pragma once

#include <string>
#include <utility>

#include "kvcache/cache/concept.hpp"
#include "kvcache/cache/rows/kivi_block.hpp"
#include "kvcache/cache/rows/row_block.hpp"
#include "kvcache/cache/rows/row_side.hpp"
#include "kvcache/core/check.hpp"

namespace kvcache {

/// KIVI's own choice, unless asked otherwise: keys per channel, values per token.
struct KiviOptions {
  KiviSide keys{4, true}, values{4, false};
  int group = 32;     // tokens that are packed together
  int residual = 32;  // at least so many of the newest tokens are whole
};

/// Rows come in order. When `residual + group` rows are whole, the next one to come packs the oldest `group`, for good.
/// Bytes of a packed group, a head and a layer: kivi_group_bytes() of both sides; a whole row takes 8 * head_dim.
class KiviRows {
 public:
  using Scalar = float;
  using Block = RowBlock<float, detail::KiviRun>;
  using Options = KiviOptions;

  /// Errors: other bits; a group below 1, a negative residual; a head_dim that does not fill its bytes.
  explicit KiviRows(CacheShape shape, KiviOptions options = {})
      : shape_(shape),
        o_(options),
        packed_keys_(shape.kv_heads, bytes_of(o_.keys)),
        packed_values_(shape.kv_heads, bytes_of(o_.values)),
        whole_keys_(shape.kv_heads, std::size_t(shape.head_dim)),
        whole_values_(whole_keys_) {
    for (const int bits : {o_.keys.bits, o_.values.bits})
      check((bits == 2 || bits == 4 || bits == 8) && o_.group > 0 && o_.residual >= 0 &&
                shape.head_dim % (8 / bits) == 0 && shape.head_dim <= detail::piece_numbers,
            "KiviRows: ", bits, " bits, groups of ", o_.group, " tokens, ", o_.residual,
            " whole rows and a head_dim of ", shape.head_dim, " asked for; give 2, 4 or 8 bits, a group of at least 1 ",
            "and a head_dim that fills its bytes, of at most ", detail::piece_numbers);
    const int ring = (o_.residual + o_.group - 1) / o_.group * o_.group + o_.group;  // so that no group is cut in two
    whole_keys_ = whole_keys_.resized(ring, 0), whole_values_ = whole_values_.resized(ring, 0);
  }

  void resize(int slots, int keep) {
    const int groups = (slots + o_.group - 1) / o_.group, kept = std::min(packed_, keep) / o_.group;
    Packed keys = packed_keys_.resized(groups, kept), values = packed_values_.resized(groups, kept);
    packed_keys_ = std::move(keys), packed_values_ = std::move(values);  // if memory ran out, nothing has changed
  }
  void write(int first_slot, MatrixIn<float> keys, MatrixIn<float> values) {
    if (first_slot == 0) packed_ = 0;  // begin anew
    check(first_slot >= packed_, "KiviRows: slot ", first_slot, " lies in a packed group (slots before ", packed_,
          " do); write after it, or begin at slot 0");
    for (int r = 0; r < keys.rows(); ++r) {
      const int slot = first_slot + r;
      if (slot - packed_ == o_.residual + o_.group) pack_oldest();
      for (int head = 0; head < shape_.kv_heads; ++head)
        for (const auto& [side, rows] : {std::pair{&whole_keys_, &keys}, {&whole_values_, &values}})
          std::copy_n(at(*rows, r, head * shape_.head_dim), shape_.head_dim, side->row(head, slot % ring()));
    }
  }
  Block block(int kv_head, int first_slot, int rows, int first_position) const {
    const auto run = [&](KiviSide side, const Packed& groups, const Whole& whole) {
      return detail::KiviRun{side,     groups.row(kv_head, 0), whole.row(kv_head, 0), first_slot, rows, packed_,
                             o_.group, whole.slots(),          shape_.head_dim};
    };
    return {run(o_.keys, packed_keys_, whole_keys_),
            run(o_.values, packed_values_, whole_values_),
            first_slot,
            {first_position}};
  }
  int slots() const { return packed_keys_.slots() * o_.group; }
  int packed() const { return packed_; }
  int chunk_limit(int written) const {  // up to the next packing; or just after it
    const int room = o_.residual + o_.group - (written == 0 ? 0 : written - packed_);
    return room > 0 ? room : o_.group;
  }
  std::size_t used_bytes(int slots) const {
    const int packed = std::min(packed_, slots);
    return bytes_of_both(packed / o_.group, slots - packed);
  }
  std::size_t reserved_bytes() const { return bytes_of_both(packed_keys_.slots(), whole_keys_.slots()); }

  /// Slots [0, slots), all that were written: how many are packed, the groups, then the whole rows one by one.
  void save(int slots, ByteWriter& to) const {
    const int packed = std::min(packed_, slots);  // fewer, if all were taken back
    to.number(std::int32_t(packed));
    std::byte* end = to.room(used_bytes(slots));
    end = packed_values_.save(0, packed / o_.group, packed_keys_.save(0, packed / o_.group, end));
    for (int slot = packed; slot < slots; ++slot)
      end = whole_values_.save(slot % ring(), 1, whole_keys_.save(slot % ring(), 1, end));
  }
  /// Makes room for `room` slots and reads back what save() wrote. Errors: rows packed otherwise than write() does.
  void load(int slots, int room, ByteReader& from) {
    const int packed = from.number<std::int32_t>(), whole = slots - packed;
    check(packed >= 0 && packed % o_.group == 0 && whole >= 0 && whole <= o_.residual + o_.group, from.name(), ": of ",
          slots, " saved rows ", packed, " are packed, it says; they must be groups of ", o_.group, " and leave 0 to ",
          o_.residual + o_.group, " rows whole");
    const std::byte* end = from.bytes(bytes_of_both(packed / o_.group, whole)).data();
    if (room != this->slots()) resize(room, 0);
    end = packed_values_.load(0, packed / o_.group, packed_keys_.load(0, packed / o_.group, end));
    for (int slot = packed; slot < slots; ++slot)
      end = whole_values_.load(slot % ring(), 1, whole_keys_.load(slot % ring(), 1, end));
    packed_ = packed;
  }
  std::string format() const {
    const auto side = [](KiviSide side) {
      return std::to_string(side.bits) + (side.per_channel ? " bits a channel" : " bits a token");
    };
    return "kivi: " + side(o_.keys) + " and " + side(o_.values) + ", groups of " + std::to_string(o_.group) + ", " +
           std::to_string(o_.residual) + " whole";
  }

 private:
  using Packed = detail::RowSide<std::byte>;
  using Whole = detail::RowSide<float>;
  int ring() const { return whole_keys_.slots(); }
  std::size_t bytes_of(KiviSide side) const { return kivi_group_bytes(side, o_.group, shape_.head_dim); }
  std::size_t bytes_of_both(int groups, int whole) const {
    return std::size_t(groups) * (packed_keys_.bytes_per_slot() + packed_values_.bytes_per_slot()) +
           std::size_t(whole) * (whole_keys_.bytes_per_slot() + whole_values_.bytes_per_slot());
  }
  void pack_oldest() {  // a group lies in one piece of the ring, whose size is a multiple of the group
    const auto pack_side = [&](KiviSide side, const float* whole, std::byte* to) {
      if (side.per_channel) return detail::pack_channels(whole, o_.group, shape_.head_dim, side.bits, to);
      for (int r = 0; r < o_.group; ++r, to += code_row_bytes(shape_.head_dim, side.bits))
        pack_code_row(whole + r * shape_.head_dim, shape_.head_dim, side.bits, to);
    };
    const int from = packed_ % whole_keys_.slots(), to = packed_ / o_.group;
    for (int head = 0; head < shape_.kv_heads; ++head) {
      pack_side(o_.keys, whole_keys_.row(head, from), packed_keys_.row(head, to));
      pack_side(o_.values, whole_values_.row(head, from), packed_values_.row(head, to));
    }
    packed_ += o_.group;
  }

  CacheShape shape_;
  KiviOptions o_;
  int packed_ = 0;                      // slots
  Packed packed_keys_, packed_values_;  // [kv_heads, groups, bytes of a group]
  Whole whole_keys_, whole_values_;     // [kv_heads, ring, head_dim], slot s at s % ring
};

static_assert(SavableGroups<KiviRows> && !SlotRows<KiviRows>);

}  // namespace kvcache
