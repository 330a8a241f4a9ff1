#include "kvcache/core/checked_size.hpp"

#include <doctest/doctest.h>

#include <climits>

using namespace kvcache;

TEST_CASE("products and sums of slots are right, or refused with their numbers") {
  CHECK(slots_product("pages", 1 << 15, 1 << 15) == 1 << 30);
  CHECK(slots_product("pages", 0, INT_MAX) == 0);
  CHECK(slots_sum("window", 1 << 29, 1 << 29) == 1 << 30);
  CHECK(checked_slots("rows", most_slots) == most_slots);
  CHECK_THROWS_WITH_AS(slots_product("pages", 16777217, 256),
                       "pages: 16777217 x 256 make 4294967552 slots, but at most 1073741824 can be counted; ask for "
                       "fewer",
                       Error);
  CHECK_THROWS_WITH_AS(slots_product("pages", INT_MAX, INT_MAX), doctest::Contains("make 4611686014132420609 slots"),
                       Error);
  CHECK_THROWS_WITH_AS(slots_product("pages", -1, 3), doctest::Contains("make -3 slots"), Error);
  CHECK_THROWS_WITH_AS(slots_sum("window", 1 << 30, 1), doctest::Contains("1073741824 + 1 make 1073741825 slots"),
                       Error);
  CHECK_THROWS_WITH_AS(checked_slots("rows", -1), doctest::Contains("-1 slots asked for"), Error);
}

TEST_CASE("products and sums of bytes are right, or refused with their numbers") {
  constexpr std::size_t large = std::size_t(1) << 40;
  CHECK(bytes_product("rows", {large, 1 << 20, 3}) == 3 * (large << 20));
  CHECK(bytes_product("rows", {}) == 1);
  CHECK(bytes_product("rows", {large, large, 0}) == 0);  // nothing, whatever the others are
  CHECK(bytes_product("rows", {0, large, large}) == 0);
  CHECK_THROWS_WITH_AS(
      bytes_product("rows", {large, large, 4}),
      "rows: 1099511627776 x 1099511627776 x 4 bytes asked for, more than any memory has; ask for less", Error);
  CHECK_THROWS_AS(bytes_product("rows", {std::size_t(1) << 63}), Error);
  CHECK(bytes_sum("rows", large, 1) == large + 1);
  CHECK_THROWS_AS(bytes_sum("rows", std::size_t(1) << 62, std::size_t(1) << 62), Error);
}
