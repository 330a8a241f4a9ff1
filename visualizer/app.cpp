#include "app.hpp"

#include <algorithm>
#include <utility>

#include "guarded.hpp"
#include "panels/panels.hpp"
#include "theme.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

/// The opening scene: the fifth token. A longer prompt opens on the first token after it.
int opening_step(const Timeline& timeline) { return timeline.step_of(std::max(4, timeline.prompt_length())); }

void keep_in_range(const Session& session, View& view) {
  const Timeline& timeline = session.timeline();
  const ModelConfig& config = timeline.about().config;
  view.step = std::clamp(view.step, 0, std::max(0, timeline.steps() - 1));
  view.layer = std::clamp(view.layer, 0, std::max(0, config.layers - 1));
  view.kv_head = std::clamp(view.kv_head, 0, std::max(0, config.kv_heads - 1));
  view.q_head = std::clamp(view.q_head, 0, std::max(0, config.q_heads - 1));
  if (view.selected_position >= timeline.length_after(view.step)) view.selected_position = -1;
}

/// Follows a new run to its opening scene as its steps arrive.
void follow_new_run(const Session& session, View& view) {
  if (session.run_number() != view.run_shown) {
    view.run_shown = session.run_number();
    view.is_opening = true;
    view.playing = false;
    view.selected_position = -1;
    view.draft = session.choice();
  }
  if (!view.is_opening || session.timeline().steps() == 0) return;
  const int wanted =
      view.opening_token > 0 ? session.timeline().step_of(view.opening_token - 1) : opening_step(session.timeline());
  view.step = std::min(wanted, session.timeline().steps() - 1);
  if (view.step != wanted && session.progress().what == "decoding") return;
  view.is_opening = false;
  if (view.opening_selected >= 0) view.selected_position = view.opening_selected;
}

void play(const Session& session, View& view) {
  if (!view.playing) return;
  view.time_in_step += ImGui::GetIO().DeltaTime;
  const float seconds = 1 / view.steps_per_second;
  while (view.time_in_step >= seconds) {
    view.time_in_step -= seconds;
    if (view.step + 1 < session.timeline().steps())
      ++view.step;
    else if (session.progress().what != "decoding")
      view.playing = false;  // the end
  }
}

void draw_panel(int index, const Scene& scene, View& view) {
  const Panel& panel = panels[std::size_t(index)];
  const bool comes_to_front = panel.front_in_frame > 0 && view.frames_of_layout == panel.front_in_frame;
  if (view.focus == index || comes_to_front) ImGui::SetNextWindowFocus();
  if (view.focus == index) view.focus = -1;
  if (ImGui::Begin(panel.title)) {
    draw_contents(panel, scene, view);
    if (view.record_marks)
      view.marks[panel.name] = {
          ImGui::GetWindowPos(),
          {ImGui::GetWindowPos().x + ImGui::GetWindowSize().x, ImGui::GetWindowPos().y + ImGui::GetWindowSize().y}};
  }
  ImGui::End();
}

/// For the back of the room: the narration, and one panel as large as the window.
void draw_presenter(const Scene& scene, View& view) {
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float height = viewport.WorkSize.y;
  const float top = view.presented == 0 ? 0 : std::max(height * 0.2f, std::min(height * 0.4f, em() * 7));
  const auto draw_at = [&](int index, float y, float height) {
    ImGui::SetNextWindowPos({viewport.WorkPos.x, viewport.WorkPos.y + y});
    ImGui::SetNextWindowSize({viewport.WorkSize.x, height});
    const Panel& panel = panels[std::size_t(index)];
    if (ImGui::Begin((std::string(panel.title) + "##presented").c_str(), nullptr,
                     ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoDocking |
                         ImGuiWindowFlags_NoBringToFrontOnFocus))
      draw_contents(panel, scene, view);
    ImGui::End();
  };
  if (top > 0) draw_at(0, 0, top);
  draw_at(view.presented, top, viewport.WorkSize.y - top);
}

void carry_out(Session& session, View& view) {
  try {
    if (const auto start = std::exchange(view.start, {})) session.start(*start);
    if (const auto open = std::exchange(view.open, {})) session.open(*open);
    session.want_layer(view.layer);
  } catch (const std::exception& error) {
    session.show_error(error.what());
  }
}

}  // namespace

void draw_contents(const Panel& panel, const Scene& scene, View& view) {
  if (scene.timeline.steps() == 0)
    return muted(scene.progress.what.empty() ? "Nothing to show yet." : scene.progress.what + " ...");
  const ImVec2 corner = ImGui::GetCursorScreenPos();
  const std::string wrong = guarded([&] { panel.draw(scene, view); });
  if (wrong.empty()) return;
  ImGui::SetCursorScreenPos(corner);  // over what was drawn of it
  ImGui::PushStyleColor(ImGuiCol_ChildBg, theme().panel);
  if (ImGui::BeginChild("what went wrong", ImGui::GetContentRegionAvail())) {
    ImGui::PushStyleColor(ImGuiCol_Text, theme().error);
    wrapped("This panel cannot be drawn: " + wrong);
    ImGui::PopStyleColor();
    if (view.record_marks) view.marks[std::string("wrong-") + panel.name] = {corner, ImGui::GetItemRectMax()};
  }
  ImGui::EndChild();
  ImGui::PopStyleColor();
}

void drop_file(View& view, const std::string& path) {
  if (path.ends_with(".safetensors")) {
    view.open = path;
  } else {
    view.draft.model = path;
    view.start = view.draft;
  }
}

void go_to_step(const Session& session, View& view, int step) {
  view.step = std::clamp(step, 0, std::max(0, session.timeline().steps() - 1));
  view.playing = false;
  view.is_opening = false;
  view.stage = -1;
  view.message.clear();
}

void apply_looks(View& view) {
  if (view.theme_dark_applied == int(view.dark) && view.scale_applied == view.ui_scale) return;
  apply_theme(view.dark, view.ui_scale);
  view.theme_dark_applied = int(view.dark), view.scale_applied = view.ui_scale;
}

void draw_app(Session& session, View& view) {
  if (view.record_marks) view.marks.clear();
  session.poll();
  follow_new_run(session, view);
  handle_shortcuts(session, view);
  play(session, view);
  keep_in_range(session, view);

  draw_toolbar(session, view);
  draw_status_bar(session, view);
  const Scene scene{session.choice(), session.timeline(),   session.comparison(),  session.progress(),
                    view.step,        session.can_record(), session.will_compare()};
  const int hovered_before = view.hovered_position;
  view.hovered_position = -1;
  view.highlighted_position = hovered_before;  // what the mouse was over in the last frame, in any panel
  if (view.presented >= 0) {
    draw_presenter(scene, view);
  } else {
    draw_dock_space(view);
    ++view.frames_of_layout;
    for (int i = 0; i < int(panels.size()); ++i) draw_panel(i, scene, view);
  }
  draw_settings(session, view);
  draw_help(view);
  draw_error(session, view);
  keep_in_range(session, view);
  carry_out(session, view);
}

}  // namespace kvcache::visualizer
