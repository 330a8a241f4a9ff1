// What is drawn is what was read: pictures against the records, and the records' states from either side.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <sstream>

#include "export/tables.hpp"
#include "kvcache/cache/cache_names.hpp"
#include "panels/heat.hpp"
#include "panels/panels.hpp"
#include "panels/row_in_numbers.hpp"
#include "theme.hpp"
#include "user.hpp"

using namespace kvcache;
using namespace kvcache::visualizer;

namespace {

std::uint64_t hash_of(const Image& image) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const std::uint32_t pixel : image.pixels) hash = (hash ^ pixel) * 1099511628211u;
  return hash;
}

}  // namespace

TEST_CASE("the picture of a step is the same from either side, for every cache") {
  for (const CacheName& cache : cache_names)
    for (const bool use_cache : {true, false}) {
      CAPTURE(std::string(cache.name));
      CAPTURE(use_cache);
      Choice choice = short_run();
      choice.cache = cache.name, choice.use_cache = use_cache;
      User user(choice);
      const auto look_at = [&](int step) {
        while (user.view.step != step) user.press(user.view.step < step ? ImGuiKey_Space : ImGuiKey_Backspace);
        return hash_of(user.look());
      };
      look_at(0);
      const auto from_before = look_at(6);
      look_at(11);
      CHECK(look_at(7) != from_before);
      CHECK(look_at(6) == from_before);
      user.press(ImGuiKey_End);
      user.press(ImGuiKey_Home);
      CHECK(look_at(6) == from_before);
    }
}

TEST_CASE("the cache map shows the states of the slots") {
  User user;
  user.view.presented = 3;
  user.press(ImGuiKey_End);
  const Image picture = user.look();
  const Timeline& timeline = user.session.timeline();
  const StepRecord& step = timeline.step(user.view.step);
  const LayerLayout& layout = step.layout(0);
  const int layers = timeline.about().config.layers;
  REQUIRE(layout.slots > layout.rows());  // some room is left over, so all states are there
  for (int layer = 0; layer < layers; ++layer)
    for (int slot = 0; slot < layout.slots; ++slot) {
      const ImVec2 at = user.place("cache-map-grid", (float(slot) + 0.1f) / float(layout.slots),
                                   (float(layer) + 0.85f) / float(layers));  // beside the token
      const int position = layout.position_in(slot);
      const ImU32 expected = position < 0                                            ? theme().reserved
                             : position == timeline.length_after(user.view.step) - 1 ? theme().newest
                             : position < timeline.prompt_length()                   ? theme().prompt
                                                                                     : theme().decoded;
      CAPTURE(slot);
      CHECK((picture.at(int(at.x), int(at.y)) & 0xFFFFFF) == (expected & 0xFFFFFF));
    }
}

TEST_CASE("the work panel draws as many reused values as there were, and tables say the same number") {
  for (const char* cache : {"growing", "window:sinks=2,recent=6", "window:sinks=0,recent=1",
                            "heavy-hitter:budget=8,recent=4", "layers:0=growing;rest=window:sinks=0,recent=5"})
    for (const bool use_cache : {true, false}) {
      CAPTURE(std::string(cache));
      CAPTURE(use_cache);
      Choice choice = short_run();
      choice.cache = cache, choice.use_cache = use_cache;
      User user(choice);
      user.view.presented = 2;
      user.press(ImGuiKey_End);
      const Timeline& timeline = user.session.timeline();
      const int last = user.view.step, length = timeline.length_after(last);
      const StepRecord& step = timeline.step(last);
      const Work with = use_cache ? step.work : user.session.comparison().runs(true, last)[0];
      std::int64_t keys = 0, most = 0;
      for (user.view.layer = 0; user.view.layer < timeline.about().config.layers; ++user.view.layer) {
        const Image picture = user.look();
        const ImVec2 left = user.place("work-without", 0, 0), right = user.place("work-without", 1, 0);
        const float cell = (right.x - left.x) / 3;  // of three columns; the values are the last
        std::int64_t drawn = -1;                    // but the new one
        for (int p = 0; p < length; ++p) {
          const ImVec2 end =
              user.place("work-with", 1, (float(p) + 0.3f) / float(length));  // a line in the middle crosses out
          drawn += (picture.at(int(end.x - cell + 5), int(end.y)) & 0xFFFFFF) != (theme().panel & 0xFFFFFF);
        }
        keys += drawn * timeline.about().config.kv_heads, most = std::max(most, drawn);
      }
      CHECK(keys == with.keys_reused);
      CHECK(most == with.tokens_reused);
      const std::string csv = to_csv(timeline, user.session.comparison());
      const std::string line = csv.substr(csv.find("\n" + std::to_string(last) + ",") + 1);
      std::istringstream fields(line);
      std::string field;
      std::vector<std::string> all;
      while (std::getline(fields, field, ',')) all.push_back(field);
      CHECK(all.at(4) == std::to_string(step.tokens_reused));
      CHECK(all.at(6) == std::to_string(step.work.keys_reused));
      if (use_cache) CHECK(step.tokens_reused == most);
    }
}

TEST_CASE("hovering over the map points at the token in every panel") {
  User user;
  const LayerLayout& layout = user.session.timeline().step(user.view.step).layout(0);
  user.move(user.place("cache-map-grid", 2.5f / float(layout.slots), 0.5f));
  CHECK(user.view.highlighted_position == 2);
  user.click(user.place("cache-map-grid", 3.5f / float(layout.slots), 0.9f));
  CHECK(user.view.selected_position == 3);
  CHECK(user.view.layer == user.session.timeline().about().config.layers - 1);
}

TEST_CASE("the heat maps of keys and values show the numbers that attention reads") {
  User user;
  user.view.presented = 4;
  user.press(ImGuiKey_End);
  user.view.layer = 2, user.view.kv_head = 1;
  const Image picture = user.look();
  const Timeline& timeline = user.session.timeline();
  const int length = timeline.length_after(user.view.step), dim = timeline.about().config.head_dim;
  for (const bool keys : {true, false}) {
    const auto number = [&](int position, int d) {
      const auto row = keys ? timeline.key(2, 1, position) : timeline.value(2, 1, position);
      return row[std::size_t(d)];
    };
    float largest = 0;
    for (int p = 0; p < length; ++p)
      for (int d = 0; d < dim; ++d) largest = std::max(largest, std::abs(number(p, d)));
    int off = 0;
    for (int p = 0; p < length; ++p)
      for (int d = 0; d < dim; ++d) {
        const ImVec2 at = user.place(keys ? "inside-keys" : "inside-values", (float(d) + 0.15f) / float(dim),
                                     (float(p) + 0.85f) / float(length));  // beside the number written in it
        off += (picture.at(int(at.x), int(at.y)) & 0xFFFFFF) != (diverging(number(p, d) / largest) & 0xFFFFFF);
      }
    CHECK(off == 0);
  }
}

TEST_CASE("where a cache rounds, the heat maps can show by how much") {
  Choice choice = short_run();
  choice.cache = "growing:format=int4";
  User user(choice);
  user.view.presented = 4;
  user.press(ImGuiKey_End);
  user.click("inside-errors");
  CHECK(user.view.inside_errors);
  const Image picture = user.look();
  const Timeline& timeline = user.session.timeline();
  const int length = timeline.length_after(user.view.step), dim = timeline.about().config.head_dim;
  const auto error = [&](int position, int d) {
    return timeline.key(0, 0, position)[std::size_t(d)] - timeline.written_key(0, 0, position)[std::size_t(d)];
  };
  float largest = 0;
  for (int p = 0; p < length; ++p)
    for (int d = 0; d < dim; ++d) largest = std::max(largest, std::abs(error(p, d)));
  CHECK(largest > 0.001f);
  int off = 0;
  for (int p = 0; p < length; ++p)
    for (int d = 0; d < dim; ++d) {
      const ImVec2 at = user.place("inside-keys", (float(d) + 0.15f) / float(dim), (float(p) + 0.85f) / float(length));
      off += (picture.at(int(at.x), int(at.y)) & 0xFFFFFF) != (diverging(error(p, d) / largest) & 0xFFFFFF);
    }
  CHECK(off == 0);
  user.click("inside-errors");
  CHECK(!user.view.inside_errors);
}

TEST_CASE("the codes of the selected row are those that were recorded, and say how a number comes from its code") {
  struct Expected {
    const char *cache, *key, *value;  // how the formula begins
  };
  for (const Expected& expected : {Expected{"growing:keys=int8,values=int4", "[0] int8: ", "[0] int4: "},
                                   Expected{"growing:keys=f16,values=q4_0", "[0] f16: the bits ", "[0] q4_0: "},
                                   Expected{"growing:format=kivi,bits=2,group=4,residual=2",
                                            "[0] kivi, 2 bits a channel: ", "[0] kivi, 2 bits a token: "}}) {
    const char *cache = expected.cache, *key = expected.key, *value = expected.value;
    CAPTURE(std::string(cache));
    Choice choice = short_run();
    choice.cache = cache;
    User user(choice);
    user.view.presented = 4;
    user.press(ImGuiKey_End);
    user.view.layer = 1, user.view.kv_head = 1, user.view.selected_position = 5;
    user.view.marks.clear();
    user.look();
    const Timeline& timeline = user.session.timeline();
    /// Is there a line of text that holds these words, with any number of spaces between them?
    const auto is_said = [&](std::vector<std::string> words) {
      return std::ranges::any_of(user.view.marks, [&](const auto& mark) {
        std::istringstream text(mark.first);
        const std::vector<std::string> said{std::istream_iterator<std::string>(text), {}};
        return std::search(said.begin(), said.end(), words.begin(), words.end()) != said.end();
      });
    };
    const auto words_of = [](const RowCodes& row) {
      std::vector<std::string> words{"code"};
      for (int d = 0; d < 6; ++d) {
        char text[16];
        std::snprintf(text, sizeof text, row.format.share == 0 ? "%04x" : "%d",
                      unsigned(int(row.codes[std::size_t(d)])));
        words.push_back(text);
      }
      return words;
    };
    const RowCodes keys = timeline.key_codes(1, 1, 5), values = timeline.value_codes(1, 1, 5);
    REQUIRE(keys.format.has_codes());
    REQUIRE(values.format.has_codes());
    REQUIRE(keys.codes != values.codes);
    CHECK(is_said(words_of(keys)));
    CHECK(is_said(words_of(values)));
    for (const char* formula : {key, value})
      CHECK(std::ranges::any_of(user.view.marks,
                                [&](const auto& mark) { return mark.first.find(formula) != std::string::npos; }));
    if (std::string(cache).find("kivi") == std::string::npos) continue;
    user.press(ImGuiKey_Home);  // then the first group is packed, and the row is whole
    user.view.step = 3, user.view.selected_position = 5;
    user.view.marks.clear();
    user.look();
    CHECK(!is_said(words_of(keys)));
    CHECK(is_said({"whole:", "32-bit", "floats,", "as", "they", "were", "given"}));
  }
}

TEST_CASE("how a number comes from its code, by hand") {
  const std::vector<float> read{1.5f, -0.25f}, given{1.4f, -0.25f};
  RowInNumbers row{"K", 3, read, given, {{"int4", 32}, {7, 0}, {0.25f}, {-0.25f}}};
  CHECK(formula_of(row, 0) == "int4: -0.25 + 7 * 0.25 = 1.50000");
  const CodesInLines lines = codes_in_lines(row, 0, 0, 80);
  CHECK(lines.read == "K[3] read    1.500  -0.250");
  CHECK(lines.codes == "     code        7       0");
  CHECK(lines.errors == "     error +0.1000 +0.0000");
  CHECK(lines.formula == "     [0] int4: -0.25 + 7 * 0.25 = 1.50000; given 1.40000");
  CHECK(codes_in_lines(row, 0, 0, 22).codes == "     code        7 ...");
  CHECK(codes_in_lines(row, 1, 1, 80).codes == "           code        0");
  row.codes = {{"bf16", 0}, {16320, 48768}, {}, {}};
  CHECK(formula_of(row, 1) == "bf16: the bits be80 are -0.25000");
  row.codes = {};
  CHECK(formula_of(row, 1) == "");
  CHECK(codes_in_lines(row, 0, 0, 80).codes == "     whole: 32-bit floats, as they were given");
}

TEST_CASE("a cache that keeps numbers as they are has no errors and no codes to show") {
  User user;
  user.view.presented = 4;
  user.look();
  CHECK(user.view.marks.count("inside-errors") == 0);
  CHECK(
      std::ranges::none_of(user.view.marks, [](const auto& m) { return m.first.find("code ") != std::string::npos; }));
}

TEST_CASE("lines under the cells tell what the cache says of its storage: pages and who reads them, blocks in a file") {
  const auto check_lines = [](const char* cache, bool fork, const auto& colour_of) {
    CAPTURE(std::string(cache));
    Choice choice = short_run();
    choice.cache = cache, choice.fork = fork;
    User user(choice);
    REQUIRE(user.session.error() == "");
    user.view.presented = 3;
    user.press(ImGuiKey_End);
    const Image picture = user.look();
    const LayerLayout& layout = user.session.timeline().step(user.view.step).layout(0);
    REQUIRE(!layout.pieces.empty());
    for (const StoragePiece& piece : layout.pieces) {
      const ImVec2 at =
          user.place("cache-map-grid", (float(piece.first_slot) + 0.6f * float(piece.slots)) / float(layout.slots),
                     1 / float(user.session.timeline().about().config.layers));
      CHECK((picture.at(int(at.x), int(at.y) - 2) & 0xFFFFFF) == (colour_of(piece) & 0xFFFFFF));
    }
  };
  check_lines("paged:page=2,pages=20", true,
              [](const StoragePiece& piece) { return piece.references > 1 ? theme().newest : theme().muted; });
  check_lines("offloaded:block=2,recent=2", false, [](const StoragePiece&) { return theme().without_cache; });
  check_lines("window:sinks=2,recent=6", false, [](const StoragePiece&) { return theme().accent; });
}

TEST_CASE("the brighter a cell of the attention matrix, the larger its weight") {
  User user;
  user.view.presented = 5;
  user.press(ImGuiKey_End);
  user.view.layer = 3, user.view.q_head = 4;
  const Image picture = user.look();
  const Timeline& timeline = user.session.timeline();
  const int length = timeline.length_after(user.view.step);
  std::vector<std::pair<float, float>> cells;  // weight, brightness
  for (int query = 0; query < length; ++query)
    for (int key = 0; key <= query; ++key) {
      const ImVec2 at =
          user.place("attention-matrix", (float(key) + 0.5f) / float(length), (float(query) + 0.5f) / float(length));
      const ImVec4 colour = as_vec4(picture.at(int(at.x), int(at.y)));
      cells.emplace_back(timeline.attention(3, 4, query)[std::size_t(key)],
                         0.2126f * colour.x + 0.7152f * colour.y + 0.0722f * colour.z);
    }
  std::sort(cells.begin(), cells.end());
  for (std::size_t i = 1; i < cells.size(); ++i) CHECK(cells[i].second >= cells[i - 1].second - 0.01f);
  CHECK(cells.back().second > cells.front().second + 0.3f);
}

TEST_CASE("a layer that was not recorded is recorded when it is looked at, and shows what a full record shows") {
  std::vector<float> expected;
  {
    User full;
    const auto row = full.session.timeline().attention(3, 2, 10);
    expected.assign(row.begin(), row.end());
  }
  REQUIRE(expected.size() == 11);
  Choice choice = short_run();
  choice.most_trace_bytes = 0;
  User user(choice);
  const Timeline& timeline = user.session.timeline();
  CHECK_FALSE(timeline.attention(0, 2, 10).empty());
  CHECK(timeline.attention(3, 2, 10).empty());
  for (int i = 0; i < 3; ++i) user.press(ImGuiKey_DownArrow);
  user.session.wait();
  const auto row = timeline.attention(3, 2, 10);
  CHECK(std::vector<float>(row.begin(), row.end()) == expected);
  CHECK(user.session.comparison().steps() == 12);
}

TEST_CASE("what the memory panel computes for every cache is what that cache's own run used, step by step") {
  for (const CacheName& cache : cache_names) {
    Choice choice = short_run();
    choice.cache = cache.name, choice.repeats = 0;
    User user(choice);
    user.view.presented = 7, user.view.memory = MemoryPart::over_time, user.view.show_all_caches = true;
    user.look();
    const auto& curves = user.view.curves.caches;
    const auto curve =
        std::find_if(curves.begin(), curves.end(), [&](const auto& c) { return std::string(c.name) == cache.name; });
    REQUIRE(curve != curves.end());
    for (int step = 0; step < user.session.timeline().steps(); ++step) {
      const MemoryUse& memory = user.session.timeline().step(step).memory;
      CHECK(curve->used[std::size_t(step)] == double(memory.used_bytes));
      CHECK(curve->reserved[std::size_t(step)] == double(memory.reserved_bytes));
      CHECK(curve->copied[std::size_t(step)] == double(memory.copied_bytes));
    }
  }
}
