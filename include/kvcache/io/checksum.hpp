// A number of 64 bits that changes when a byte does: XXH3. It finds accidents, not forgeries.
// https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvcache {

inline std::uint64_t checksum(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace kvcache
