// Row store of KIVI: keys packed per channel, in groups of tokens; values per token; the newest rows stay whole.
// Liu et al., "KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache", 2024.
#pragma once

#include <algorithm>
#include <string>

#include "kvcache/cache/rows/kivi_parts.hpp"

namespace kvcache {

/// Rows come in order. When `residual + group` rows are whole, the next one to come packs the oldest `group`, for good.
/// Bytes of a packed group, a head and a layer: kivi_group_bytes() of both sides; a whole row takes 8 * head_dim.
class KiviRows {
 public:
  using Scalar = float;
  using Block = KiviGroups::Block;
  using Options = KiviOptions;
  using Sizes = KiviSizes;

  /// Errors: those of KiviGroups.
  explicit KiviRows(CacheShape shape, KiviOptions options = {}) : groups_(shape, options), tail_(shape, options) {}

  // Errors of all that follow: slots that are not there (cache/check_slots.hpp).
  void resize(int slots, int keep) {
    check_resize("KiviRows", this->slots(), slots, keep);
    groups_.resize((slots + group() - 1) / group(), std::min(tail_.packed(), keep) / group());
  }
  /// Errors: also rows out of order, and NaN or infinities in rows that are packed now, for there is no code for them.
  void write(int first_slot, MatrixIn<float> keys, MatrixIn<float> values) {
    check_write("KiviRows", groups_.shape(), slots(), first_slot, keys, values);
    tail_.write(first_slot, keys, values, [&](int group) { groups_.write(group, tail_); });
  }
  Block block(int kv_head, int first_slot, int rows, Positions positions) const {
    check_slots("KiviRows", slots(), first_slot, rows);
    return groups_.block(kv_head, 0, &tail_, first_slot, rows, tail_.packed(), positions);
  }
  int slots() const { return groups_.slots() * group(); }
  int packed() const { return tail_.packed(); }
  int chunk_limit(int written) const { return tail_.chunk_limit(written); }
  std::size_t used_bytes(int slots) const {
    const int packed = std::min(tail_.packed(), slots);
    return bytes_of_both(packed / group(), slots - packed);
  }
  std::size_t reserved_bytes() const { return bytes_of_both(groups_.slots(), tail_.ring()); }

  void save(int slots, ByteWriter& to) const {
    const int packed = std::min(tail_.packed(), slots);
    to.number(std::int32_t(packed));
    tail_.save(slots, groups_.save(0, packed / group(), to.room(used_bytes(slots))));
  }
  /// Makes room for `room` slots and reads back what save() wrote. Errors: rows packed otherwise than write() does.
  void load(int slots, int room, ByteReader& from) {
    const int packed = from.number<std::int32_t>();
    tail_.check_packed(packed, slots, from.name());
    const std::byte* saved = from.bytes(bytes_of_both(packed / group(), slots - packed)).data();
    if (room != this->slots()) resize(room, 0);
    tail_.load(packed, slots, groups_.load(0, packed / group(), saved));
  }
  std::string format() const { return detail::in_words(groups_.options()); }

 private:
  int group() const { return groups_.options().group; }
  std::size_t bytes_of_both(int groups, int whole) const {
    return std::size_t(groups) * groups_.bytes_per_slot() + std::size_t(whole) * tail_.bytes_per_slot();
  }

  KiviGroups groups_;
  detail::KiviTail tail_;
};

static_assert(SavableGroups<KiviRows> && !SlotRows<KiviRows> && CodedBlock<KiviRows::Block>);

}  // namespace kvcache
