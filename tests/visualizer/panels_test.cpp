// Every panel with every cache and prompts of any length; and what panels say of caches that forget, round or share.
#include "panels/panels.hpp"

#include <implot.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kvcache/cache/cache_names.hpp"
#include "panels/plots.hpp"
#include "panels/time_ratio.hpp"
#include "theme.hpp"
#include "user.hpp"

using namespace kvcache;
using namespace kvcache::visualizer;

namespace {

Choice with_prompt(int tokens, const std::string& cache) {
  Choice choice;
  choice.cache = cache, choice.prompt_tokens = tokens, choice.tokens = 3, choice.repeats = tokens < 500 ? 1 : 0;
  return choice;
}

/// The panels that could not be drawn, each with the memory panel's curves of all caches.
std::string broken_panels(User& user) {
  std::string broken;
  user.view.memory = MemoryPart::over_time, user.view.show_all_caches = true;
  for (int i = 0; i < int(panels.size()); ++i) {
    user.view.presented = i;
    user.window.frame(), user.window.frame();
    if (const std::string name = panels[std::size_t(i)].name; user.view.marks.count("wrong-" + name) > 0)
      broken += name + " ";
  }
  for (const Curves::OfCache& cache : user.view.curves.caches) broken += cache.error;
  return broken;
}

Scene scene_of(const User& user) {
  const Session& s = user.session;
  return {s.choice(), s.timeline(), s.comparison(), s.progress(), user.view.step, s.can_record(), s.will_compare()};
}

bool says(const User& user, const std::string& words) {
  return std::ranges::any_of(user.view.marks, [&](const auto& m) { return m.first.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("every panel shows a prompt of any length, with every cache") {
  for (const int tokens : {8, 257, 1000})
    for (const CacheName& cache : cache_names) {
      CAPTURE(tokens);
      CAPTURE(std::string(cache.name));
      User user(with_prompt(tokens, cache.name));
      REQUIRE(user.session.error() == "");
      REQUIRE(user.session.timeline().steps() == 3);
      CHECK(broken_panels(user) == "");
      REQUIRE(user.view.curves.caches.size() == cache_names.size());
      CHECK(user.view.curves.caches[0].tokens.front() == tokens);
    }
  for (const char* cache : {"layers:0-2=growing;rest=window:sinks=2,recent=6", "growing:format=kivi,bits=2",
                            "window:sinks=4,recent=60,positions=shifted,format=int8"}) {
    CAPTURE(std::string(cache));
    User user(with_prompt(257, cache));
    CHECK(user.session.error() == "");
    CHECK(broken_panels(user) == "");
  }
}

TEST_CASE("a prompt longer than the model's positions is a sentence") {
  User too_long(with_prompt(4000, "growing"));
  CHECK(too_long.session.error().find("4000 tokens") != std::string::npos);
  CHECK(too_long.session.error().find("1024") != std::string::npos);
  CHECK(too_long.session.timeline().steps() == 0);
  CHECK(too_long.view.marks.count("dismiss") == 1);
}

TEST_CASE("every panel shows a text of 4,000 tokens, with a cache that shifts positions") {
  User user(with_prompt(4000, "window:sinks=4,recent=60,positions=shifted"));
  REQUIRE(user.session.error() == "");
  CHECK(user.session.timeline().length_after(2) == 4002);
  CHECK(broken_panels(user) == "");
}

TEST_CASE("a panel that throws shows its sentence in its place, and the frame goes on") {
  User user;
  user.view.presented = 5;  // tabs would come to the front when the docked panels come back
  const Image before = user.look();
  const Panel broken{"Broken", "broken", [](const Scene& scene, View&) {
                       const SmallText small;
                       ImGui::PushID("never popped");
                       ImGui::PushStyleColor(ImGuiCol_Text, IM_COL32_WHITE);
                       ImGui::BeginDisabled();
                       ImGui::BeginChild("never ended", {200, 100});
                       if (ImGui::BeginTable("never ended", 2)) ImGui::TableNextColumn();
                       ImGui::PushFont(fonts().bold, 20);
                       ImGui::BeginChild("plot", {300, 200});
                       if (!begin_plot("##never ended", axes_over_tokens(scene))) throw std::logic_error("no plot");
                       ImPlot::PushStyleColor(ImPlotCol_InlayText, IM_COL32_WHITE);
                       ImGui::BeginTooltip();
                       throw std::runtime_error("seven numbers came, eight were expected");
                     }};
  for (int frame = 0; frame < 3; ++frame) {
    apply_looks(user.view);
    ImGui::NewFrame();
    ImGui::SetNextWindowSize({500, 400});
    ImGui::Begin("Broken");
    const ImGuiID id = ImGui::GetID("here");
    const float size = ImGui::GetFontSize();
    draw_contents(broken, scene_of(user), user.view);
    CHECK(std::string(ImGui::GetCurrentWindow()->Name) == "Broken");
    CHECK(ImGui::GetID("here") == id);
    CHECK(ImGui::GetFontSize() == size);
    ImGui::End();
    ImGui::Render();
    serve_textures(*ImGui::GetDrawData());
  }
  CHECK(user.view.marks.count("wrong-broken") == 1);
  CHECK(user.look().pixels == before.pixels);
}

TEST_CASE("a figure of each layer is said only where layers are alike") {
  CHECK(rows_in_words({{0, 8}, {1, 8}}, 2) == "8 rows in each of 2 layers");
  CHECK(rows_in_words({{1, 1}, {3, 1}}, 6) == "1 row in each of 2 of the 6 layers");
  CHECK(rows_in_words({{0, 4}, {1, 8}}, 2) == "12 rows in 2 layers together");  // 6 on average, which is true of none
  CHECK(rows_in_words({{0, 1}, {4, 3}}, 6) == "4 rows in 2 of the 6 layers together");

  Choice choice = short_run();
  choice.cache = "layers:0-2=growing;rest=window:sinks=2,recent=6";
  User user(choice);
  user.view.presented = 0;
  user.press(ImGuiKey_Home);
  CHECK(scene_of(user).layers_are_alike());
  CHECK(says(user, "per head and layer"));
  user.press(ImGuiKey_End);
  CHECK_FALSE(scene_of(user).layers_are_alike());
  CHECK_FALSE(says(user, "per head and layer"));
  CHECK(says(user, "in all heads and layers together"));
  CHECK(says(user, "forgot 1 row in each of 3 of the 6 layers"));
}

TEST_CASE("memory and proof blame no cache for what it is for, and the others for anything") {
  struct Expected {
    const char *cache, *memory, *proof;
  };
  for (const Expected& e : {Expected{"growing", "memory-explained", "proof-same"},
                            {"paged:page=4", "memory-explained", "proof-same"},
                            {"offloaded:block=2,recent=2", "memory-explained", "proof-same"},
                            {"window:sinks=2,recent=6", "memory-explained", "proof-expected"},
                            {"window:sinks=4,recent=200", "memory-explained", "proof-same"},
                            {"heavy-hitter:budget=6,recent=3", "memory-explained", "proof-expected"},
                            {"random:budget=6,recent=3", "memory-explained", "proof-expected"},
                            {"layers:0-2=growing;rest=window:sinks=2,recent=6", "memory-explained", "proof-expected"},
                            {"growing:format=int4", "memory-explained", "proof-expected"},
                            {"growing:format=kivi,bits=2,group=4,residual=2", "memory-explained", "proof-expected"}}) {
    CAPTURE(std::string(e.cache));
    Choice choice = short_run();
    choice.cache = e.cache;
    User user(choice);
    REQUIRE(user.session.error() == "");
    user.press(ImGuiKey_End);
    user.view.presented = 7;
    user.look();
    CHECK(user.view.marks.count(e.memory) == 1);
    user.view.presented = 8;
    user.look();
    CHECK(user.view.marks.count(e.proof) == 1);
  }
}

TEST_CASE("another text's page is not drawn as free") {
  Choice choice = short_run();
  choice.cache = "paged:page=3,pages=20", choice.fork = true;  // four tokens: the second page is copied before a write
  User user(choice);
  REQUIRE(user.session.error() == "");
  user.view.presented = 3;
  user.press(ImGuiKey_End);
  const Image picture = user.look();
  const Timeline& timeline = user.session.timeline();
  const LayerLayout& before = timeline.step(0).layout(0);
  const LayerLayout& now = timeline.step(user.view.step).layout(0);
  const auto colour_in = [&](int slot) {
    const ImVec2 at = user.place("cache-map-grid", (float(slot) + 0.5f) / float(now.slots), 0.05f);
    return picture.at(int(at.x), int(at.y)) & 0xFFFFFF;
  };
  const StoragePiece copied = before.pieces[1];
  REQUIRE(now.piece_of(copied.first_slot) == nullptr);
  std::uint32_t other = 0;
  for (int i = 0; i < copied.slots; ++i) {
    other = colour_in(copied.first_slot + i);
    CHECK(other != (theme().reserved & 0xFFFFFF));
    CHECK(other != (theme().empty & 0xFFFFFF));
    CHECK(other != (theme().decoded & 0xFFFFFF));
  }
  CHECK(colour_in(now.slots - 1) == (theme().empty & 0xFFFFFF));  // a free page: nobody's
  user.press(ImGuiKey_Home);                                      // before the fork there is no other text
  user.look();
}

TEST_CASE("why there is no comparison: it is to come, it goes on, or nobody asked for it") {
  User user;
  Progress progress{"decoding", 3, 12};
  Scene scene = scene_of(user);
  const auto why = [&](bool will_compare) {
    return why_not_compared({scene.choice, scene.timeline, scene.comparison, progress, 0, true, will_compare}).sentence;
  };
  CHECK(why(true).find("being written") != std::string::npos);
  progress.what = "timing with and without the cache";
  CHECK(why(true).find("Being done") != std::string::npos);
  progress.what = "";
  CHECK(why(false).find("Not done both ways") != std::string::npos);

  Choice untimed = short_run();
  untimed.repeats = 0;
  user.view.start = untimed;
  user.window.frame();
  user.session.wait();
  user.view.presented = 6;
  user.look();
  CHECK(user.view.marks.count("timing-not-asked") == 1);
}
