// Numbers as people read them.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace kvcache {

/// "1,536"
inline std::string with_commas(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (int at = int(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) digits.insert(std::size_t(at), ",");
  return digits;
}
/// "1.50 KiB"
inline std::string readable_bytes(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 5) bytes /= 1024, ++unit;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : bytes < 10 ? 2 : 1, units[unit]);
}
/// Decimals that give three significant digits at least: 21.7, 1.23, 0.0456.
inline int decimals_for(double seconds) { return seconds >= 10 ? 1 : seconds >= 1 ? 2 : seconds >= 0.1 ? 3 : 4; }

/// "1 row", "12 rows"; "1 query", "2 queries".
inline std::string counted(std::int64_t count, const char* noun) {
  const bool plural_ies = std::string_view(noun) == "query" && count != 1;
  return plural_ies ? with_commas(count) + " queries"
                    : fmt::format("{} {}{}", with_commas(count), noun, count == 1 ? "" : "s");
}

}  // namespace kvcache
