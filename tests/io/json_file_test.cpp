#include "kvcache/io/json_file.hpp"

#include <doctest/doctest.h>

#include "kvcache/io/json_fields.hpp"
#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::TemporaryFolder;

TEST_CASE("a JSON file that cannot be read is an error that names it") {
  const TemporaryFolder folder;
  const auto refused = [](const std::filesystem::path& path, const char* sentence) {
    CHECK_THROWS_WITH_AS(read_json(path), doctest::Contains(sentence), Error);
    CHECK_THROWS_WITH(read_json(path), doctest::Contains(path.string().c_str()));
  };
  refused(folder.path() / "none.json", "there is no such file");
  refused(folder.path(), "is a folder; give the path of a JSON file in it");
  refused(folder.write("empty.json", ""), "is not JSON: byte 1 of 0");
  refused(folder.write("half.json", "{\"a\": [1, 2"), "is not JSON: byte 12 of 11");
  refused(folder.write("comma.json", "{\"a\": 1,}"), "is not JSON: byte 9 of 9");
  refused(folder.write("bytes.json", "{\"a\": \"\xFF\"}"), "is not JSON: byte 8");
  refused(folder.write("number.json", "[1e999]"), "is not JSON");
  refused(folder.write("deep.json", std::string(100'000, '[')), "nested more than 100 deep");
  const auto huge = folder.write("huge.json", "[]");
  std::filesystem::resize_file(huge, (256u << 20) + 1);  // a hole: no disk is needed
  refused(huge, "has 268435457 bytes; a JSON file may have at most 268435456 (256 MiB)");
  CHECK(read_json(folder.write("good.json", " {\"a\": [1, null]} ")) == nlohmann::json{{"a", {1, nullptr}}});
  CHECK(read_json(folder.write("nested.json", std::string(99, '[') + std::string(99, ']'))).is_array());
}

TEST_CASE("a field has the type one asks for, or the error says what it is") {
  const auto object = nlohmann::json::parse(
      R"({"yes": true, "four": 4, "half": 0.5, "word": "w", "none": null, "list": [1], "big": 3000000000, "low": -1,
          "huge": 18446744073709551615})");
  CHECK(get_field_as<bool>(object, "yes", "f"));
  CHECK(get_field_as<int>(object, "four", "f") == 4);
  CHECK(get_field_as<double>(object, "four", "f") == 4);
  CHECK(get_field_as<std::string>(object, "word", "f") == "w");
  CHECK(get_field_as<std::int64_t>(object, "big", "f") == 3'000'000'000);
  CHECK(get_field_or(object, "none", 7, "f") == 7);
  CHECK(get_field_or(object, "absent", 7, "f") == 7);
  CHECK(get_field_or(object, "low", 7, "f") == -1);

  CHECK_THROWS_WITH_AS(get_field_as<int>(object, "half", "f"),
                       "f: 'half' must be a whole number, but is a number (0.5)", Error);
  CHECK_THROWS_WITH(get_field_as<bool>(object, "four", "f"), "f: 'four' must be true or false, but is a number (4)");
  CHECK_THROWS_WITH(get_field_as<double>(object, "word", "f"), "f: 'word' must be a number, but is a string (\"w\")");
  CHECK_THROWS_WITH(get_field_as<std::string>(object, "list", "f"), "f: 'list' must be a string, but is an array");
  CHECK_THROWS_WITH(get_field_as<int>(object, "big", "f"),
                    "f: 'big' is 3000000000; it must be -2147483648 to 2147483647");
  CHECK_THROWS_WITH(get_field_as<std::int64_t>(object, "huge", "f"),
                    doctest::Contains("'huge' is 18446744073709551615"));
  CHECK_THROWS_WITH(get_field_as<std::uint64_t>(object, "low", "f"), doctest::Contains("'low' is -1; it must be 0 to"));
  CHECK_THROWS_WITH(get_field(object, "absent", "f"), "f has no 'absent'");
  CHECK_THROWS_WITH(get_field(object, "none", "f"), "f has no 'none'");
  CHECK_THROWS_WITH(get_field(object["list"], "a", "f"), "f must be an object, {...}, but is of type array");
  CHECK_THROWS_WITH(json_array(object, "f"), "f must be an array, [...], but is of type object");
}
