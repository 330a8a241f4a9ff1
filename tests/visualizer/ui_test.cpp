// What the user does, and what it changes: every key, button and slider, errors, sizes, and a thousand random events.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>

#include "export/capture.hpp"
#include "export/tables.hpp"
#include "font_files.hpp"
#include "kvcache/cache/cache_names.hpp"
#include "kvcache/core/random.hpp"
#include "panels/panels.hpp"
#include "theme.hpp"
#include "user.hpp"
#include "widgets.hpp"

using namespace kvcache;
using namespace kvcache::visualizer;

namespace {

/// All that a user can change, as words: two views with the same words look the same.
std::map<std::string, std::string> words_of(const View& v) {
  const auto word = [](auto value) { return std::to_string(value); };
  return {{"step", word(v.step)},
          {"layer", word(v.layer)},
          {"kv_head", word(v.kv_head)},
          {"q_head", word(v.q_head)},
          {"selected", word(v.selected_position)},
          {"stage", word(v.stage)},
          {"playing", word(v.playing)},
          {"speed", word(v.steps_per_second)},
          {"map_colour", word(int(v.map_colour))},
          {"map_heads", word(v.map_heads)},
          {"timing", word(int(v.timing))},
          {"log", word(v.log_axis)},
          {"dark", word(v.dark)},
          {"scale", word(v.ui_scale)},
          {"presented", word(v.presented)},
          {"help", word(v.show_help)},
          {"settings", word(v.show_settings)},
          {"quit", word(v.quit)},
          {"gif", word(v.recording_gif)},
          {"save", v.save.value_or("")},
          {"memory", word(int(v.memory))},
          {"copied", word(v.show_copied)},
          {"all_caches", word(v.show_all_caches)},
          {"draft.model", v.draft.model},
          {"draft.cache", v.draft.cache},
          {"draft.use_cache", word(v.draft.use_cache)}};
}

/// The names of what an action changed.
std::string changed_by(User& user, const std::function<void()>& act) {
  const auto before = words_of(user.view);
  act();
  std::string changed;
  for (const auto& [name, word] : words_of(user.view))
    if (word != before.at(name)) changed += (changed.empty() ? "" : " ") + name;
  return changed;
}

}  // namespace

TEST_CASE("it opens on the fifth token") {
  User user;
  CHECK(user.session.error() == "");
  CHECK(user.session.timeline().prompt_length() == 4);
  CHECK(user.view.step == 1);
  CHECK(user.session.timeline().length_after(user.view.step) == 5);
  CHECK(user.session.timeline().step(1).tokens_fed == 1);
  CHECK(user.session.timeline().step(1).tokens_reused == 4);
}

TEST_CASE("every key changes what it should, and nothing else") {
  User user;
  struct Press {
    ImGuiKey key, with;
    const char* changes;
  };
  user.press(ImGuiKey_End);  // so that every step can be left in both directions
  user.press(ImGuiKey_Backspace);
  user.press(ImGuiKey_DownArrow);
  constexpr ImGuiKey none = ImGuiKey_None, ctrl = ImGuiMod_Ctrl, shift = ImGuiMod_Shift;
  for (const Press& p : {Press{ImGuiKey_Space, none, "step"},
                         {ImGuiKey_Backspace, none, "step"},
                         {ImGuiKey_RightArrow, none, "step"},
                         {ImGuiKey_LeftArrow, none, "step"},
                         {ImGuiKey_Home, none, "step"},
                         {ImGuiKey_End, none, "step"},
                         {ImGuiKey_P, none, "playing"},
                         {ImGuiKey_P, none, "playing"},
                         {ImGuiKey_UpArrow, none, "layer"},
                         {ImGuiKey_DownArrow, none, "layer"},
                         {ImGuiKey_S, none, "stage"},
                         {ImGuiKey_L, none, "log"},
                         {ImGuiKey_R, none, "settings"},
                         {ImGuiKey_R, none, "settings"},
                         {ImGuiKey_T, none, "dark"},
                         {ImGuiKey_Equal, ctrl, "scale"},
                         {ImGuiKey_Minus, ctrl, "scale"},
                         {ImGuiKey_Slash, shift, "help"},
                         {ImGuiKey_F1, none, "help"},
                         {ImGuiKey_G, ctrl, "gif"},
                         {ImGuiKey_G, ctrl, "gif"},
                         {ImGuiKey_S, ctrl, "save"},
                         {ImGuiKey_F5, none, "presented"},
                         {ImGuiKey_1, none, "presented"},
                         {ImGuiKey_F5, none, "presented"},
                         {ImGuiKey_F2, none, ""},
                         {ImGuiKey_Z, none, ""},
                         {ImGuiKey_Q, ctrl, "quit"}}) {
    user.view.playing = false;
    user.view.step = std::min(user.view.step, user.session.timeline().steps() - 1);
    CAPTURE(std::string(ImGui::GetKeyName(p.key)));
    const bool may_play_on = p.key == ImGuiKey_P;
    std::string changed = changed_by(user, [&] { user.press(p.key, p.with); });
    if (may_play_on && changed == "playing step") changed = "playing";  // it moved on at once
    CHECK(changed == p.changes);
  }
}

TEST_CASE("a number brings its panel to the front") {
  User user;
  for (int i = 0; i < int(panels.size()); ++i) {
    user.press(ImGuiKey(ImGuiKey_1 + i));
    const ImGuiWindow* panel = ImGui::FindWindowByName(panels[std::size_t(i)].title);
    REQUIRE(panel != nullptr);
    CHECK(panel->DockTabIsVisible);
  }
}

TEST_CASE("the buttons move through the run") {
  User user;
  CHECK(changed_by(user, [&] { user.click("step"); }) == "step");
  CHECK(user.view.step == 2);
  user.click("step");
  user.click("back");
  CHECK(user.view.step == 2);
  user.click("end");
  CHECK(user.view.step == 11);
  user.click("step");  // there is nothing after the last
  CHECK(user.view.step == 11);
  user.click("start");
  CHECK(user.view.step == 0);
  user.click("back");
  CHECK(user.view.step == 0);
}

TEST_CASE("the scrub bar reaches the first and the last step") {
  User user;
  user.drag("scrub", 0.2f, 0.99f);
  CHECK(user.view.step == 11);
  user.drag("scrub", 0.9f, 0.01f);
  CHECK(user.view.step == 0);
}

TEST_CASE("every control of the panels changes what it should, and nothing else") {
  User user;
  struct Control {
    const char* panel;  // brought to the front first
    const char* widget;
    const char* changes;
  };
  const auto panel_named = [](const std::string& name) {
    for (std::size_t i = 0; i < panels.size(); ++i)
      if (name == panels[i].name) return int(i);
    return -1;
  };
  for (const Control& c : {Control{"narration", "stages", "stage"},
                           {"narration", "stage-3", "stage"},
                           {"narration", "stages", "stage"},
                           {"cache-map", "map-age", "map_colour"},
                           {"cache-map", "map-attention", "map_colour"},
                           {"cache-map", "map-norm", "map_colour"},
                           {"cache-map", "map-state", "map_colour"},
                           {"cache-map", "map-heads", "map_heads"},
                           {"cache-map", "map-heads", "map_heads"},
                           {"timing", "timing-cumulative", "timing"},
                           {"timing", "timing-ratio", "timing"},
                           {"timing", "timing-parts", "timing"},
                           {"timing", "timing-per-token", "timing"},
                           {"timing", "timing-log", "log"},
                           {"memory", "memory-over-time", "memory"},
                           {"memory", "memory-copied", "copied"},
                           {"memory", "memory-all-caches", "all_caches"},
                           {"memory", "memory-calculator", "memory"},
                           {"memory", "memory-now", "memory"}}) {
    CAPTURE(std::string(c.widget));
    user.view.focus = panel_named(c.panel);
    user.window.settle();
    CHECK(changed_by(user, [&] { user.click(c.widget); }) == c.changes);
  }
  for (const Control& c : {Control{"", "speed", "speed"},
                           {"attention", "attention-layer", "layer"},
                           {"attention", "attention-head", "kv_head q_head"},
                           {"inside", "inside-layer", "layer"},
                           {"inside", "inside-head", "kv_head q_head"}}) {
    CAPTURE(std::string(c.widget));
    if (*c.panel) user.view.focus = panel_named(c.panel);
    user.window.settle();
    user.drag(c.widget, 0.5f, 0.02f);
    CHECK(changed_by(user, [&] { user.drag(c.widget, 0.1f, 0.98f); }) == c.changes);
  }
}

TEST_CASE("playing takes the time that was chosen, and ends at the last step") {
  User user;
  user.view.steps_per_second = 10;
  user.press(ImGuiKey_Home);
  user.press(ImGuiKey_P);
  for (int i = 0; i < 30; ++i) user.window.frame(1 / 60.f);  // half a second
  CHECK(user.view.step >= 4);
  CHECK(user.view.step <= 7);
  for (int i = 0; i < 120; ++i) user.window.frame(1 / 60.f);
  CHECK(user.view.step == 11);
  CHECK_FALSE(user.view.playing);
}

TEST_CASE("another run: what is chosen in the settings is what is decoded") {
  User user;
  user.click("settings");
  REQUIRE(user.view.show_settings);
  user.window.settle();
  user.click("tiny-mqa");
  user.click("concatenating");
  user.click("run");
  CHECK_FALSE(user.view.show_settings);
  user.session.wait();
  user.window.settle();
  CHECK(user.session.timeline().about().model == "tiny-mqa");
  CHECK(user.session.timeline().about().cache == "concatenating");
  CHECK(user.session.timeline().about().config.kv_heads == 1);
  CHECK(user.session.timeline().steps() == 12);
}

TEST_CASE("a cache with options, and another text that shares its pages, are chosen in the settings") {
  User user;
  user.view.show_settings = true;
  user.settle();
  CHECK(user.view.marks.count("fork") == 0);  // nothing is shared without pages
  user.click("paged");
  user.click("fork");
  CHECK(user.view.draft.fork);
  user.click("run");
  user.session.wait();
  user.window.settle();
  REQUIRE(user.session.error() == "");
  const auto copied = [](const CacheEvent& event) { return event.kind == CacheEvent::Kind::copied; };
  CHECK(std::ranges::count_if(user.session.timeline().step(1).events, copied) == 1);
  CHECK(user.session.choice().fork);
  user.view.show_settings = true;
  user.settle();
  user.click("growing");
  user.settle();
  CHECK(!user.view.draft.fork);
}

TEST_CASE("every control of the settings stands within their window, at every size") {
  struct Size {
    int width, height;
    float scale;
  };
  for (const Size& size : {Size{1280, 720, 1}, {1280, 720, 1.5f}, {640, 360, 1}}) {
    const int width = size.width, height = size.height;
    User user(short_run(), width, height);
    user.view.ui_scale = size.scale, user.view.show_settings = true;
    user.view.draft.cache = "paged";
    user.window.settle();
    const ImGuiWindow* window = ImGui::FindWindowByName("Another run");
    REQUIRE(window != nullptr);
    CHECK(window->Size.y <= float(height));
    std::vector<std::string> controls{"use-cache", "cache-spec",        "fork", "run",  "cancel", "save-safetensors",
                                      "tiny",      "shape:gpt2-medium", "seed", "top-k"};
    for (const CacheName& cache : cache_names) controls.push_back(cache.name);
    for (const std::string& control : controls) {
      CAPTURE(width);
      CAPTURE(control);
      REQUIRE(user.view.marks.count(control) == 1);
      CHECK(user.view.marks.at(control).min.x >= window->Pos.x);
      CHECK(user.view.marks.at(control).max.x <= window->InnerClipRect.Max.x + 1);
    }
  }
}

TEST_CASE("the line at the top always names the cache, and leaves room for its buttons") {
  for (const auto& size : {std::pair{1280, 1.f}, {1280, 1.5f}, {800, 1.f}, {640, 1.f}}) {
    const int width = size.first;
    const float scale = size.second;
    Choice choice = short_run();
    choice.cache = "layers:0-2=growing:format=int8;rest=window:sinks=2,recent=6,format=int4,positions=shifted";
    User user(choice, width, 720);
    user.view.ui_scale = scale;
    user.window.settle();
    CAPTURE(width);
    CAPTURE(scale);
    for (const char* control : {"scrub", "settings", "help"}) {
      REQUIRE(user.view.marks.count(control) == 1);
      CHECK(user.view.marks.at(control).max.x <= float(width));
    }
    if (width >= 800) {
      REQUIRE(user.view.marks.count("run-in-words") == 1);
      CHECK(user.view.marks.at("run-in-words").max.x <= float(width));
    }
  }
}

TEST_CASE("another theme reaches every picture") {
  const auto look_of = [](bool dark, bool changed_by_key) {
    User user;
    user.view.presented = 3;
    user.view.dark = changed_by_key ? !dark : dark;
    user.window.settle();
    if (changed_by_key) user.press(ImGuiKey_T);
    CHECK(user.view.dark == dark);
    std::vector<std::vector<std::uint32_t>> pictures;
    for (const int panel : {3, 4, 5, 0}) {
      user.view.presented = panel;
      if (panel == 0) user.view.stage = 1;
      pictures.push_back(user.look().pixels);
      if (changed_by_key) user.press(ImGuiKey_T), user.press(ImGuiKey_T), user.look();
      if (changed_by_key) CHECK(user.look().pixels == pictures.back());
    }
    return pictures;
  };
  for (const bool dark : {false, true}) {
    const auto expected = look_of(dark, false), changed = look_of(dark, true);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      std::size_t other = 0;  // times differ from run to run: digits of the status line
      for (std::size_t p = 0; p < expected[i].size(); ++p) other += expected[i][p] != changed[i][p];
      CHECK(other < expected[i].size() / 100);
    }
  }
}

namespace {
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "kvcache-ui-test";
};
std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
}  // namespace

TEST_CASE("a picture is of the panels, not of the dialog it was asked for in; and no file is overwritten") {
  const TemporaryFolder folder;
  User user;
  Capture capture(folder.path);
  const auto frames = [&] {
    for (int i = 0; i < 4; ++i) user.window.frame(), capture.after_render(user.session, user.view);
  };
  user.view.show_settings = true;
  frames();
  user.click("save-png");
  CHECK(user.view.save == "png");
  user.view.show_help = true;
  user.session.show_error("an error over the panels");
  frames();
  CHECK(user.view.show_settings);
  CHECK_FALSE(user.view.hides_dialogs);
  CHECK(user.view.message.find("kvcache-step-1.png is written") != std::string::npos);
  user.view.show_settings = user.view.show_help = false, user.session.dismiss_error(), user.view.message.clear();
  user.look();
  user.view.save = "png";
  frames();
  CHECK(user.view.message.find("kvcache-step-1-2.png is written") != std::string::npos);
  const std::string first = content(folder.path / "kvcache-step-1.png");
  CHECK(first.size() > 10'000);
  CHECK(std::abs(double(first.size()) / double(content(folder.path / "kvcache-step-1-2.png").size()) - 1) < 0.02);
  for (int i = 0; i < 2; ++i) user.view.save = "csv", frames();
  CHECK(content(folder.path / "kvcache-run.csv") == to_csv(user.session.timeline(), user.session.comparison()));
  CHECK(content(folder.path / "kvcache-run-2.csv") == content(folder.path / "kvcache-run.csv"));
}

TEST_CASE("a run that opens well takes the last error away") {
  const TemporaryFolder folder;
  User user;
  const std::string saved = (folder.path / "run.safetensors").string();
  write_run(user.session, saved);
  drop_file(user.view, "/no/such/file.safetensors");
  user.window.frame();
  CHECK(user.session.error() != "");
  drop_file(user.view, saved);
  user.window.settle();
  CHECK(user.session.error() == "");
  CHECK(user.view.marks.count("dismiss") == 0);
}

TEST_CASE("characters: what no font has is told by its number, and never drawn as broken bytes are") {
  const User user;  // its fonts are loaded
  CHECK(visible(" be\n") == "·be⏎");
  CHECK(visible("é") == "é");
  CHECK(visible("\xE4\xB8") == "\\xE4\\xB8");         // a part of a character
  CHECK(visible("\xF0\x9F\x98\x80") == "<U+1F600>");  // beyond what ImGui can draw
  CHECK(visible("a\xC2\xA0"
                "b\xE2\x80\x8B") == "a<U+00A0>b<U+200B>");  // they leave no ink
  CHECK(visible("\xEF\xBF\xBD") == "\xEF\xBF\xBD");         // the sign itself, where the text has it
  for (const auto& [text, number] : {std::pair{"中", 0x4E2D}, {"日", 0x65E5}, {"ก", 0x0E01}, {"क", 0x0915}}) {
    char name[16];
    std::snprintf(name, sizeof name, "<U+%04X>", unsigned(number));
    CHECK(visible(text) == (can_draw(char32_t(number)) ? std::string(text) : std::string(name)));
  }
}

TEST_CASE("fonts for other scripts are found by their names, the preferred one first") {
  const TemporaryFolder folder;
  namespace fs = std::filesystem;
  fs::create_directories(folder.path / "a/deep"), fs::create_directories(folder.path / "b");
  for (const char* name : {"a/deep/wqy-microhei.ttc", "b/NotoSansCJK-Regular.ttc", "a/Loma.ttf", "b/Other.ttf"})
    std::ofstream(folder.path / name) << "a font";
  const std::vector<fs::path> folders{folder.path / "a", folder.path / "missing", folder.path / "b"};
  CHECK(find_fallback_fonts(folders) ==
        std::vector<fs::path>{folder.path / "b/NotoSansCJK-Regular.ttc", folder.path / "a/Loma.ttf"});
}

TEST_CASE("a font file that was cut off is not read") {
  const std::filesystem::path path = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf";
  const std::string whole = content(path);
  if (whole.empty()) {
    MESSAGE("skipped: there is no " << path.string());
    return;
  }
  CHECK(is_whole_font(std::as_bytes(std::span(whole))));
  for (std::size_t size = 0; size < whole.size(); size += size < 2000 ? 1 : 4999)
    CHECK_FALSE(is_whole_font(std::as_bytes(std::span(whole).first(size))));
  const User user;
  const TemporaryFolder folder;
  std::ofstream(folder.path / "half.ttf", std::ios::binary) << whole.substr(0, whole.size() / 2);
  CHECK(add_font(*ImGui::GetIO().Fonts, folder.path / "half.ttf", true) == nullptr);
  CHECK(add_font(*ImGui::GetIO().Fonts, folder.path / "none.ttf", true) == nullptr);
}

TEST_CASE("typing into a field is no shortcut") {
  User user;
  user.click("settings");
  user.window.settle();
  user.click("prompt");
  ImGui::GetIO().AddInputCharactersUTF8(" pP1");
  const std::string changed = changed_by(user, [&] { user.press(ImGuiKey_P); });
  CHECK(changed == "");
  CHECK(user.view.draft.prompt.find("pP1") != std::string::npos);
}

TEST_CASE("what goes wrong is a sentence in the window, and the last run stays") {
  User user;
  Choice wrong = short_run();
  const auto try_run = [&] {
    user.view.start = wrong;
    user.window.frame();
    user.session.wait();
    user.window.settle();
  };
  wrong.model = "no-such-model";
  try_run();
  CHECK(user.session.error().find("no-such-model") != std::string::npos);
  CHECK(user.session.timeline().about().model == "tiny");
  CHECK(user.session.timeline().steps() == 12);
  CHECK(user.view.marks.count("dismiss") == 1);
  user.click("dismiss");
  CHECK(user.session.error() == "");
  wrong = short_run();
  wrong.prompt = "";
  try_run();
  CHECK(user.session.error().find("the prompt is empty") != std::string::npos);
  wrong = short_run();
  wrong.tokens = 5000;
  try_run();
  CHECK(user.session.error().find("positions") != std::string::npos);
  user.click("dismiss");
  drop_file(user.view, "/no/such/folder");
  user.window.frame();
  user.session.wait();
  user.window.settle();
  CHECK(user.session.error().find("/no/such/folder") != std::string::npos);
  drop_file(user.view, "/no/such/file.safetensors");
  user.window.frame();
  user.window.settle();
  CHECK(user.session.error().find("/no/such/file.safetensors") != std::string::npos);
  user.press(ImGuiKey_Home);  // the program goes on
  CHECK(user.view.step == 0);
}

TEST_CASE("a run that replaces another while it goes on") {
  User user;
  for (int i = 0; i < 5; ++i) {
    Choice choice = short_run();
    choice.tokens = 30 + i;
    choice.repeats = 5;
    user.view.start = choice;
    user.window.frame();
  }
  user.session.wait();
  user.window.settle();
  CHECK(user.session.timeline().steps() == 34);
  CHECK(user.session.comparison().steps() == 34);
  CHECK(user.session.error() == "");
}

TEST_CASE("the default layout fills the window, at every size from 640 x 360 to 3840 x 2160") {
  User user;
  for (const auto& size : {std::pair{640, 360}, {1024, 600}, {1280, 720}, {1920, 1080}, {3840, 2160}}) {
    const int width = size.first, height = size.second;
    CAPTURE(width);
    user.window.resize(width, height);
    user.window.settle();
    user.window.settle();
    float area = 0;
    std::map<ImGuiID, bool> counted;
    for (const Panel& panel : panels) {
      const ImGuiWindow* window = ImGui::FindWindowByName(panel.title);
      REQUIRE(window != nullptr);
      REQUIRE(window->DockNode != nullptr);
      CHECK(window->Pos.x >= 0);
      CHECK(window->Pos.x + window->Size.x <= float(width));
      CHECK(window->Pos.y + window->Size.y <= float(height));
      if (!std::exchange(counted[window->DockNode->ID], true)) area += window->Size.x * window->Size.y;
    }
    CHECK(area > float(width * height) * (height < 500 ? 0.7f : 0.8f));
    CHECK(area <= float(width * height));
    const Image picture = user.window.picture();
    CHECK(picture.width == width);
  }
}

TEST_CASE("presenter mode shows one panel large, and Escape ends it") {
  User user;
  for (int i = 0; i < int(panels.size()); ++i) {
    user.view.presented = i;
    user.window.settle();
    CHECK(user.look().pixels.size() == std::size_t(1280 * 720));
  }
  user.press(ImGuiKey_Escape);
  CHECK(user.view.presented == -1);
}

TEST_CASE("a thousand random clicks and keys do no harm") {
  User user;
  Random random(1);
  ImGuiIO& io = ImGui::GetIO();
  for (int i = 0; i < 1000; ++i) {
    io.AddMousePosEvent(float(random.below(1280)), float(random.below(720)));
    const int what = random.below(10);
    if (what < 5) {
      const int mouse_button = random.below(3);
      io.AddMouseButtonEvent(mouse_button, true);
      user.window.frame();
      if (random.below(3) == 0) io.AddMousePosEvent(float(random.below(1280)), float(random.below(720)));
      io.AddMouseButtonEvent(mouse_button, false);
    } else if (what < 8) {
      const ImGuiKey key = ImGuiKey(ImGuiKey_NamedKey_BEGIN + random.below(ImGuiKey_Oem102 - ImGuiKey_NamedKey_BEGIN));
      io.AddKeyEvent(key, true);
      user.window.frame();
      io.AddKeyEvent(key, false);
    } else {
      io.AddMouseWheelEvent(float(random.below(3) - 1), float(random.below(5) - 2));
    }
    user.window.frame(0.05f);
    if (user.view.start && user.view.start->tokens > 60) user.view.start->tokens = 60;  // keep it short
    user.view.save.reset();                                                             // and write no files
    user.view.presented = std::min(user.view.presented, int(panels.size()) - 1);
  }
  user.session.wait();
  user.window.settle();
  CHECK(user.session.timeline().steps() > 0);
  CHECK(user.view.step < user.session.timeline().steps());
}
