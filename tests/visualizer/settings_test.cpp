// What is kept between two runs: the settings file, also one that was cut off or changed; and what an option does to
// it.
#include <filesystem>
#include <fstream>
#include <string>

#include "kvcache/core/random.hpp"
#include "settings_file.hpp"
#include "theme.hpp"
#include "user.hpp"

using namespace kvcache;
using namespace kvcache::visualizer;

namespace {

const std::filesystem::path cut_off_files = std::filesystem::path(KVCACHE_PICTURES).parent_path() / "settings";

class Folder {
 public:
  Folder() {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() / "kvcache-settings-test";
};

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// The program from its start to its end with one settings file.
struct Start {
  Session session;
  View view;
  Headless window{session, view, 1280, 720};
  std::string path;

  explicit Start(const std::string& file, const View& options = {}) : path(file) {
    view.dark = options.dark, view.ui_scale = options.ui_scale;
    view.theme_is_chosen = options.theme_is_chosen, view.scale_is_chosen = options.scale_is_chosen;
    load_settings(view, path);
    window.frame(), window.frame(), window.frame();
  }
  ~Start() { save_settings(view, path, /*now*/ true); }
};

std::string settings_of_a_first_run(const Folder& folder) {
  const std::string path = folder.file("first.ini");
  { const Start first(path); }
  return content(path);
}

}  // namespace

TEST_CASE("a settings file is read as it was written") {
  const Folder folder;
  const std::string path = folder.file("visualizer.ini"), written = settings_of_a_first_run(folder);
  CHECK(fault_in_settings(written) == "");
  CHECK(written.find("DockSpace") != std::string::npos);
  write(path, written);
  {
    Start second(path);
    CHECK(second.view.notice == "");
    second.view.log_axis = true, second.view.steps_per_second = 7;
  }
  const Start third(path);
  CHECK(third.view.log_axis);
  CHECK(third.view.steps_per_second == 7);
}

TEST_CASE("a settings file that was cut off is set aside, and the window says so") {
  const Folder folder;
  for (const char* name : {"cut_off_1189.ini", "cut_off_1276.ini"}) {
    const std::string path = folder.file("visualizer.ini"), cut_off = content(cut_off_files / name);
    REQUIRE(cut_off.size() > 1000);
    write(path, cut_off);
    {
      const Start start(path);  // ImGui would end the program here
      CHECK(start.view.notice.find("is set aside as visualizer-unreadable") != std::string::npos);
      CHECK_FALSE(std::filesystem::exists(path));
    }
    CHECK(fault_in_settings(content(path)) == "");  // written anew
  }
  CHECK(content(folder.file("visualizer-unreadable.ini")) == content(cut_off_files / "cut_off_1189.ini"));
  CHECK(content(folder.file("visualizer-unreadable-2.ini")) == content(cut_off_files / "cut_off_1276.ini"));
}

TEST_CASE("a settings file that is cut off anywhere, or changed in a byte, harms nothing") {
  const Folder folder;
  const std::string path = folder.file("visualizer.ini"), whole = settings_of_a_first_run(folder);
  int used = 0, refused = 0;
  const auto try_text = [&](const std::string& text) {
    if (!fault_in_settings(text).empty()) return void(++refused);
    if (++used % 8 != 0) return;  // a start takes its time
    write(path, text);
    const Start start(path);
    CHECK(start.view.notice == "");
  };
  for (std::size_t size = 0; size < whole.size(); ++size) try_text(whole.substr(0, size));
  CHECK(refused > int(whole.size()) / 3);
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    std::string text = whole;
    for (int changes = 1 + random.below(3); changes > 0; --changes)
      text[std::size_t(random.below(int(text.size())))] = "0123456789ABCDEFx=,-[]XY \n\xFF"[random.below(28)];
    try_text(text);
  }
  CHECK(used > 50);
  std::string long_text(1 << 19, 'x');
  write(path, long_text);
  const Start start(path);
  CHECK(start.view.notice.find("line 1") != std::string::npos);
}

TEST_CASE("what is wrong with a settings file is said with its line") {
  const std::string node = "[Docking][Data]\nDockSpace ID=0x00000001 Window=0x1BBC0F80 Pos=0,42 Size=1280,657";
  CHECK(fault_in_settings("") == "");
  CHECK(fault_in_settings(node + "\n") == "");
  CHECK(fault_in_settings(node + " Split=X\n").find("has 0 parts; it is split, so it must have 2") !=
        std::string::npos);
  CHECK(fault_in_settings(node + " Split=X\n  DockNode ID=0x00000002 Parent=0x00000001 SizeRef=80,7\n")
            .find("has 1 parts") != std::string::npos);
  CHECK(fault_in_settings(node + "\n  DockNode ID=0x00000002 Parent=0x00000009 SizeRef=80,7\n")
            .find("line 3: a place for panels lies in one that is not described") != std::string::npos);
  CHECK(fault_in_settings("[Window][Tokens]\nPos=0,1\nSize=2,3\nDockId=0x00000007,0\n")
            .find("0x00000007, which is not described") != std::string::npos);
  CHECK(fault_in_settings("[Window][Tokens]\nPos=0,1\nSize=1e9,3\n") == "line 3: \"Size=1e9,3\" is not understood");
}

TEST_CASE("an option of the command line is for this run; what is chosen in the window is kept") {
  const Folder folder;
  const std::string path = folder.file("visualizer.ini");
  View options;
  options.ui_scale = 2.5f, options.scale_is_chosen = true;
  options.dark = false, options.theme_is_chosen = true;
  {
    const Start with_options(path, options);
    CHECK(with_options.view.ui_scale == 2.5f);
    CHECK_FALSE(with_options.view.dark);
  }
  {
    Start without(path);
    CHECK(without.view.ui_scale == 1);
    CHECK(without.view.dark);
    choose_scale(without.view, 1.5f);
    choose_theme(without.view, false);
  }
  {
    const Start with_options(path, options);  // goes before what is kept, and leaves it as it is
    CHECK(with_options.view.ui_scale == 2.5f);
  }
  const Start later(path);
  CHECK(later.view.ui_scale == 1.5f);
  CHECK_FALSE(later.view.dark);
}
