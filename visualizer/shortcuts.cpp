// Every key, and the page that lists them.
#include <algorithm>

#include "app.hpp"
#include "panels/panels.hpp"
#include "theme.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

struct Key {
  ImGuiKeyChord chord;
  const char* keys;  // in words; null: the same as the line before
  const char* what;
  bool repeats;
  void (*act)(const Session&, View&);
};

constexpr Key keys[] = {
    {ImGuiKey_Space, "Space, Right", "one token on", true,
     [](const Session& s, View& v) { go_to_step(s, v, v.step + 1); }},
    {ImGuiKey_RightArrow, nullptr, nullptr, true, [](const Session& s, View& v) { go_to_step(s, v, v.step + 1); }},
    {ImGuiKey_Backspace, "Backspace, Left", "one token back", true,
     [](const Session& s, View& v) { go_to_step(s, v, v.step - 1); }},
    {ImGuiKey_LeftArrow, nullptr, nullptr, true, [](const Session& s, View& v) { go_to_step(s, v, v.step - 1); }},
    {ImGuiKey_P, "P", "play or pause", false,
     [](const Session&, View& v) { v.playing = !v.playing, v.time_in_step = 0; }},
    {ImGuiKey_Home, "Home", "to the prompt", false, [](const Session& s, View& v) { go_to_step(s, v, 0); }},
    {ImGuiKey_End, "End", "to the last token", false,
     [](const Session& s, View& v) { go_to_step(s, v, s.timeline().steps() - 1); }},
    {ImGuiKey_UpArrow, "Up, Down", "layer before, layer after", true,
     [](const Session&, View& v) { v.layer = std::max(0, v.layer - 1); }},
    {ImGuiKey_DownArrow, nullptr, nullptr, true, [](const Session&, View& v) { ++v.layer; }},
    {ImGuiKey_S, "S", "sub-steps: through one layer, part by part", true,
     [](const Session&, View& v) { v.stage = v.stage + 1 < int(stage_count) ? v.stage + 1 : -1; }},
    {ImGuiKey_L, "L", "logarithmic or linear time", false, [](const Session&, View& v) { v.log_axis = !v.log_axis; }},
    {ImGuiKey_R, "R", "another run: model, prompt, cache, sampling", false,
     [](const Session&, View& v) { v.show_settings = !v.show_settings; }},
    {ImGuiKey_F5, "F5", "presenter mode: one panel, large", false,
     [](const Session&, View& v) { v.presented = v.presented < 0 ? std::max(0, v.last_focus) : -1; }},
    {ImGuiMod_Ctrl | ImGuiKey_S, "Ctrl + S", "save a picture of the window", false,
     [](const Session&, View& v) { v.save = "png"; }},
    {ImGuiMod_Ctrl | ImGuiKey_G, "Ctrl + G", "begin or end a GIF: every step shown is a frame", false,
     [](const Session&, View& v) { v.recording_gif = !v.recording_gif; }},
    {ImGuiKey_T, "T", "dark or light", false, [](const Session&, View& v) { choose_theme(v, !v.dark); }},
    {ImGuiMod_Ctrl | ImGuiKey_Equal, "Ctrl + =, Ctrl + -", "larger, smaller", true,
     [](const Session&, View& v) { choose_scale(v, v.ui_scale * 1.1f); }},
    {ImGuiMod_Ctrl | ImGuiKey_Minus, nullptr, nullptr, true,
     [](const Session&, View& v) { choose_scale(v, v.ui_scale / 1.1f); }},
    {ImGuiMod_Ctrl | ImGuiKey_0, "Ctrl + 0", "panels back to their places", false,
     [](const Session&, View& v) { v.reset_layout = true, v.side_by_side = false, v.presented = -1; }},
    {ImGuiKey_A, "A", "all panels side by side, or in tabs", false,
     [](const Session&, View& v) { v.reset_layout = true, v.side_by_side = !v.side_by_side; }},
    {ImGuiMod_Shift | ImGuiKey_Slash, "?, F1", "this page", false,
     [](const Session&, View& v) { v.show_help = !v.show_help; }},
    {ImGuiKey_F1, nullptr, nullptr, false, [](const Session&, View& v) { v.show_help = !v.show_help; }},
    {ImGuiMod_Ctrl | ImGuiKey_Q, "Ctrl + Q", "leave", false, [](const Session&, View& v) { v.quit = true; }},
};

void show_panel(View& view, int index) {
  view.last_focus = index;
  if (view.presented >= 0)
    view.presented = index;
  else
    view.focus = index;
}

}  // namespace

void handle_shortcuts(const Session& session, View& view) {
  if (ImGui::Shortcut(ImGuiKey_Escape, ImGuiInputFlags_RouteGlobal)) {
    if (view.show_help || view.show_settings)
      view.show_help = view.show_settings = false;
    else if (view.presented >= 0)
      view.presented = -1;
    else
      view.selected_position = -1, view.stage = -1;
  }
  if (ImGui::GetIO().WantTextInput) return;
  for (const Key& key : keys)
    if (ImGui::Shortcut(key.chord, ImGuiInputFlags_RouteGlobal | (key.repeats ? ImGuiInputFlags_Repeat : 0)))
      key.act(session, view);
  for (int i = 0; i < int(panels.size()); ++i)
    if (ImGui::Shortcut(ImGuiKey(ImGuiKey_1 + i), ImGuiInputFlags_RouteGlobal)) show_panel(view, i);
}

void draw_help(View& view) {
  if (!view.show_help || view.hides_dialogs) return;
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  ImGui::SetNextWindowPos(viewport.GetCenter(), ImGuiCond_Appearing, {0.5f, 0.5f});
  ImGui::SetNextWindowSizeConstraints({0, 0}, viewport.WorkSize);  // it scrolls where it is too high
  if (ImGui::Begin("Keys", &view.show_help,
                   ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_AlwaysAutoResize)) {
    if (ImGui::BeginTable("keys", 2)) {
      const auto line = [](const char* keys, const char* what) {
        ImGui::TableNextColumn();
        ImGui::TextUnformatted(keys);
        ImGui::TableNextColumn();
        muted(what);
      };
      for (const Key& key : keys)
        if (key.keys) line(key.keys, key.what);
      line("Escape", "close what is open; select nothing");
      for (std::size_t i = 0; i < panels.size(); ++i) line(std::to_string(i + 1).c_str(), panels[i].title);
      ImGui::EndTable();
    }
    muted("Drop a model's folder, a GGUF file or a saved timeline on the window to open it.");
  }
  ImGui::End();
}

}  // namespace kvcache::visualizer
