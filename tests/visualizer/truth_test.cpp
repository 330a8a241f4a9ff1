// What is drawn is what was read: pictures against the records, and the records' states from either side.
#include <cstring>

#include "kvcache/cache/cache_names.hpp"
#include "panels/panels.hpp"
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

TEST_CASE("hovering over the map points at the token in every panel") {
  User user;
  const LayerLayout& layout = user.session.timeline().step(user.view.step).layout(0);
  user.move(user.place("cache-map-grid", 2.5f / float(layout.slots), 0.5f));
  CHECK(user.view.highlighted_position == 2);
  user.click(user.place("cache-map-grid", 3.5f / float(layout.slots), 0.9f));
  CHECK(user.view.selected_position == 3);
  CHECK(user.view.layer == user.session.timeline().about().config.layers - 1);
}
