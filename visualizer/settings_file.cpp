#include "settings_file.hpp"

#include <fmt/core.h>
#include <imgui_internal.h>  // ImGuiSettingsHandler

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <span>
#include <sstream>
#include <vector>

#include "free_name.hpp"
#include "kvcache/io/atomic_file.hpp"

namespace kvcache::visualizer {
namespace {

/// The text of a settings file, line by line, and the places for panels that it describes.
class SettingsText {
 public:
  std::string fault(std::string_view text) {
    std::istringstream lines{std::string(text)};
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number)
      if (const std::string wrong = read(line); !wrong.empty()) return fmt::format("line {}: {}", number, wrong);
    return fault_of_places();
  }

 private:
  struct Place {  // ImGui: a dock node
    std::string parent;
    bool is_split = false, is_central = false;
    int halves = 0;
  };

  std::string read(const std::string& line) {
    static const std::regex header(R"(\[(Window|Table|Docking|kvcache)\]\[.*\])");
    static const std::regex window(
        R"((Pos|Size|ViewportPos)=(-?\d{1,5}),(-?\d{1,5})|(Collapsed|IsChild|IsPopup)=[01]|(ViewportId|ClassId)=0x[0-9A-F]{8}|DockId=(0x[0-9A-F]{8})(,-?\d{1,4})?)");
    static const std::regex own(R"([a-z_]{1,40}=-?\d{1,6}(\.\d{1,6})?)");
    std::smatch parts;
    if (line.find_first_not_of(" \t\r") == std::string::npos) return "";
    if (std::regex_match(line, parts, header)) {
      section_ = parts[1];
      return "";
    }
    if (section_ == "Window" && std::regex_match(line, parts, window)) {
      if (parts[6].matched) docked_at_.push_back(parts[6]);
      return "";
    }
    if (section_ == "Docking") return read_place(line);
    if (section_ == "Table" || (section_ == "kvcache" && std::regex_match(line, own))) return "";
    return fmt::format("\"{}\" is not understood", line.substr(0, 60));
  }
  std::string read_place(const std::string& line) {
    static const std::regex pattern(
        R"(\s*(DockNode|DockSpace)\s+ID=(0x[0-9A-F]{8})( Parent=(0x[0-9A-F]{8}))?( Window=0x[0-9A-F]{8})?)"
        R"(( Pos=-?\d{1,5},-?\d{1,5} Size=[1-9]\d{0,4},[1-9]\d{0,4})?( SizeRef=[1-9]\d{0,4},[1-9]\d{0,4})?( Split=[XY])?)"
        R"(( NoResize=1)?( CentralNode=1)?( NoTabBar=1)?( HiddenTabBar=1)?( NoWindowMenuButton=1)?( NoCloseButton=1)?)"
        R"(( Selected=0x[0-9A-F]{8})?\s*)");
    std::smatch parts;
    if (!std::regex_match(line, parts, pattern)) return "the place of a panel is not whole";
    const bool has_parent = parts[4].matched, has_size = has_parent ? parts[7].matched : parts[6].matched;
    if (!has_size) return "a place for panels has no size";
    if (has_parent && !places_.contains(parts[4])) return "a place for panels lies in one that is not described";
    if (has_parent) ++places_.at(parts[4]).halves;
    const bool is_new = places_.emplace(parts[2], Place{parts[4], parts[8].matched, parts[10].matched}).second;
    return is_new ? "" : "a place for panels is described twice";
  }
  std::string fault_of_places() const {
    int central = 0;
    for (const auto& [id, place] : places_) {
      if (place.halves != (place.is_split ? 2 : 0))
        return fmt::format("the place {} for panels has {} parts; it is {}", id, place.halves,
                           place.is_split ? "split, so it must have 2" : "not split, so it can have none");
      central += place.is_central;
      if (central > 1 || (place.is_central && place.is_split)) return "there is more than one place in the middle";
    }
    for (const std::string& id : docked_at_)
      if (const auto place = places_.find(id); place == places_.end() || place->second.is_split)
        return fmt::format("a panel stands in the place {}, which {}", id,
                           place == places_.end() ? "is not described" : "is split");
    return "";
  }

  std::string section_;
  std::map<std::string, Place> places_;  // by ID
  std::vector<std::string> docked_at_;
};

/// The view's lasting choices, as lines of ImGui's file.
void keep_choices(View& view) {
  ImGuiSettingsHandler handler;
  handler.TypeName = "kvcache";
  handler.TypeHash = ImHashStr("kvcache");
  handler.UserData = &view;
  handler.ReadOpenFn = [](ImGuiContext*, ImGuiSettingsHandler*, const char*) -> void* { return (void*)1; };
  handler.ReadLineFn = [](ImGuiContext*, ImGuiSettingsHandler* self, void*, const char* line) {
    View& kept = *static_cast<View*>(self->UserData);
    int flag = 0;
    float number = 0;
    if (std::sscanf(line, "dark=%d", &flag) == 1) kept.chosen_dark = flag != 0;
    if (std::sscanf(line, "log_axis=%d", &flag) == 1) kept.log_axis = flag != 0;
    if (std::sscanf(line, "steps_per_second=%f", &number) == 1 && number >= 0.5f && number <= 60)
      kept.steps_per_second = number;
    if (std::sscanf(line, "chosen_scale=%f", &number) == 1 && number >= 0.5f && number <= 4) kept.chosen_scale = number;
  };
  handler.WriteAllFn = [](ImGuiContext*, ImGuiSettingsHandler* self, ImGuiTextBuffer* text) {
    const View& kept = *static_cast<const View*>(self->UserData);
    text->appendf("[kvcache][view]\nlog_axis=%d\nsteps_per_second=%.3f\n", int(kept.log_axis),
                  double(kept.steps_per_second));
    if (kept.chosen_dark) text->appendf("dark=%d\n", int(*kept.chosen_dark));
    if (kept.chosen_scale) text->appendf("chosen_scale=%.3f\n", double(*kept.chosen_scale));
    text->append("\n");
  };
  ImGui::AddSettingsHandler(&handler);
}

std::string set_aside(const std::string& path, const std::string& wrong) {
  const std::filesystem::path aside =
      free_name(std::filesystem::path(path).parent_path() / "visualizer-unreadable.ini");
  std::error_code error;
  std::filesystem::rename(path, aside, error);
  return fmt::format("{} is not as this program writes it ({}). {}; the panels stand where they stand at first.", path,
                     wrong,
                     error ? "It was not used" : fmt::format("It is set aside as {}", aside.filename().string()));
}

}  // namespace

std::string settings_path() {
  std::filesystem::path folder;
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config && *config)
    folder = config;
  else if (const char* home = std::getenv("HOME"); home && *home)
    folder = std::filesystem::path(home) / ".config";
  else
    return "";
  folder /= "kvcache";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  return error ? "" : (folder / "visualizer.ini").string();
}

std::string fault_in_settings(std::string_view text) { return SettingsText().fault(text); }

void load_settings(View& view, const std::string& path) {
  keep_choices(view);
  std::ifstream file(path, std::ios::binary);
  if (path.empty() || !file) return;
  std::string text(1 << 18, '\0');  // a hundred times what is written
  text.resize(std::size_t(file.read(text.data(), std::streamsize(text.size())).gcount()));
  if (file) text += "\n?";  // it goes on
  if (const std::string wrong = fault_in_settings(text); !wrong.empty()) {
    view.notice = set_aside(path, wrong);
    return;
  }
  ImGui::LoadIniSettingsFromMemory(text.data(), text.size());
  if (view.chosen_dark && !view.theme_is_chosen) view.dark = *view.chosen_dark;
  if (view.chosen_scale && !view.scale_is_chosen) view.ui_scale = *view.chosen_scale;
}

void save_settings(View& view, const std::string& path, bool now) {
  if (path.empty() || !(now || ImGui::GetIO().WantSaveIniSettings)) return;
  ImGui::GetIO().WantSaveIniSettings = false;
  std::size_t size = 0;
  const char* text = ImGui::SaveIniSettingsToMemory(&size);
  try {
    write_atomically(path, std::as_bytes(std::span(text, size)));
  } catch (const std::exception& error) {
    view.message = error.what();
  }
}

}  // namespace kvcache::visualizer
