#include "settings_file.hpp"

#include <imgui_internal.h>  // ImGuiSettingsHandler

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace kvcache::visualizer {

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

void keep_settings(View& view) {
  ImGuiSettingsHandler handler;
  handler.TypeName = "kvcache";
  handler.TypeHash = ImHashStr("kvcache");
  handler.UserData = &view;
  handler.ReadOpenFn = [](ImGuiContext*, ImGuiSettingsHandler*, const char*) -> void* { return (void*)1; };
  handler.ReadLineFn = [](ImGuiContext*, ImGuiSettingsHandler* self, void*, const char* line) {
    View& kept = *static_cast<View*>(self->UserData);
    int flag = 0;
    float number = 0;
    if (std::sscanf(line, "dark=%d", &flag) == 1 && !kept.theme_is_chosen) kept.dark = flag != 0;
    if (std::sscanf(line, "log_axis=%d", &flag) == 1) kept.log_axis = flag != 0;
    if (std::sscanf(line, "steps_per_second=%f", &number) == 1 && number >= 0.5f && number <= 60)
      kept.steps_per_second = number;
    if (std::sscanf(line, "ui_scale=%f", &number) == 1 && number >= 0.5f && number <= 4 && !kept.scale_is_chosen)
      kept.ui_scale = number;
  };
  handler.WriteAllFn = [](ImGuiContext*, ImGuiSettingsHandler* self, ImGuiTextBuffer* text) {
    const View& kept = *static_cast<const View*>(self->UserData);
    text->appendf("[kvcache][view]\ndark=%d\nlog_axis=%d\nsteps_per_second=%.3f\nui_scale=%.3f\n\n", int(kept.dark),
                  int(kept.log_axis), double(kept.steps_per_second), double(kept.ui_scale));
  };
  ImGui::AddSettingsHandler(&handler);
}

}  // namespace kvcache::visualizer
