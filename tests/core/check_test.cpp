#include "kvcache/core/check.hpp"

#include <doctest/doctest.h>

using namespace kvcache;

TEST_CASE("an error is a sentence made of its parts") {
  CHECK_THROWS_WITH_AS(fail("cache: ", 3, " tokens, ", 0.5, " of them ", "lost"), "cache: 3 tokens, 0.5 of them lost",
                       Error);
  CHECK_THROWS_AS(fail("caught as what it is"), std::runtime_error);
}

TEST_CASE("check throws only when the condition does not hold") {
  CHECK_NOTHROW(check(true, "never said"));
  CHECK_THROWS_WITH_AS(check(1 > 2, "one is ", 1), "one is 1", Error);
}

TEST_CASE("who knows the file puts it in front of the sentence") {
  CHECK_THROWS_WITH_AS(say_where("a.json", [] { fail("no layers"); }), "a.json: no layers", Error);
  CHECK(say_where("a.json", [] { return 3; }) == 3);
}
