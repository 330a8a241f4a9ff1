// The line at the top, by which one moves through the run, and the line at the bottom, which sums up the step.
#include <fmt/core.h>
#include <imgui_internal.h>  // BeginViewportSideBar

#include <algorithm>
#include <initializer_list>

#include "app.hpp"
#include "common/readable.hpp"
#include "panels/time_ratio.hpp"
#include "theme.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

constexpr ImGuiWindowFlags bar_flags = ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoSavedSettings |
                                       ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoNav;

/// Draws what follows at the right edge, if it fits beside what is there.
bool begin_right(float width) {
  ImGui::SameLine();
  const float x = ImGui::GetWindowWidth() - width - em() * 0.75f;
  if (x < ImGui::GetCursorPosX() + em()) return false;
  ImGui::SetCursorPosX(x);
  return true;
}

/// The first of some wordings that fits at the right edge; else the last, cut off, with all of it when the mouse is
/// over it. A wording that is empty is for less room than the others.
void right_text(View& view, const char* id, std::initializer_list<std::string> wordings) {
  ImGui::SameLine();
  const float room = ImGui::GetWindowWidth() - em() * 0.75f - ImGui::GetCursorPosX() - em();
  std::string shown;
  for (const std::string& words : wordings) {
    shown = words;
    if (ImGui::CalcTextSize(words.c_str()).x <= room) break;
  }
  shown = cut_to_fit(shown, room);
  if (shown.empty() || !begin_right(ImGui::CalcTextSize(shown.c_str()).x)) return;
  muted(shown);
  mark(view, id);
  ImGui::SetItemTooltip("%s", wordings.begin()->c_str());
}

/// What the line at the top needs beside its two sliders, the cache's name among it; where the window is narrow, they
/// are short, or one is left out.
struct SliderWidths {
  float scrub = 12, speed = 5;  // in em; 0: left out
};
SliderWidths slider_widths(float name) {
  const float icons = 5 * (ImGui::GetFrameHeight() * 1.35f + ImGui::GetStyle().ItemSpacing.x);
  const float words = ImGui::CalcTextSize("Step000Run ...?").x + 4 * ImGui::GetStyle().FramePadding.x + 5 * em();
  const float speed = ImGui::CalcTextSize("Speed00.0/s").x + 7 * em();
  const float room = (ImGui::GetContentRegionAvail().x - icons - words - std::min(name, 14 * em())) / em();
  if (room - speed / em() < 6) return {std::clamp(room, 2.f, 12.f), 0};
  return {std::clamp(room - speed / em(), 6.f, 12.f), 5};
}

}  // namespace

void draw_toolbar(const Session& session, View& view) {
  const int last = std::max(0, session.timeline().steps() - 1);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {em() * 0.75f, em() * 0.5f});
  ImGui::PushStyleColor(ImGuiCol_WindowBg, theme().ground);
  if (ImGui::BeginViewportSideBar("##toolbar", ImGui::GetMainViewport(), ImGuiDir_Up, ImGui::GetFrameHeight() + em(),
                                  bar_flags)) {
    const TimelineAbout& about = session.timeline().about();
    const std::string cache = about.use_cache ? about.cache : "no cache";
    const SliderWidths sliders = slider_widths(ImGui::CalcTextSize(cache.c_str()).x + em());
    if (icon_button(view, "start", Icon::start, "To the prompt (Home)", false, view.step > 0))
      go_to_step(session, view, 0);
    ImGui::SameLine();
    if (icon_button(view, "back", Icon::back, "One token back (Backspace or Left)", false, view.step > 0))
      go_to_step(session, view, view.step - 1);
    ImGui::SameLine();
    if (icon_button(view, "play", view.playing ? Icon::pause : Icon::play, view.playing ? "Pause (P)" : "Play (P)",
                    true))
      view.playing = !view.playing, view.time_in_step = 0;
    ImGui::SameLine();
    if (icon_button(view, "step", Icon::step, "One token on (Space or Right)", false, view.step < last))
      go_to_step(session, view, view.step + 1);
    ImGui::SameLine();
    if (icon_button(view, "end", Icon::end, "To the last token (End)", false, view.step < last))
      go_to_step(session, view, last);
    ImGui::SameLine(0, em());
    int step = view.step;
    if (int_slider(view, "scrub", "Step", step, 0, last, sliders.scrub)) go_to_step(session, view, step);
    ImGui::SameLine(0, em());
    if (sliders.speed > 0) {
      float_slider(view, "speed", "Speed", view.steps_per_second, 0.5f, 60, sliders.speed, "%.1f/s", true);
      ImGui::SameLine(0, em());
    }
    if (button(view, "settings", "Run ...", "Model, prompt, cache and sampling (R)", view.show_settings))
      view.show_settings = !view.show_settings;
    ImGui::SameLine();
    if (button(view, "help", "?", "Keys (?)", view.show_help)) view.show_help = !view.show_help;
    const std::string model = fmt::format("{}{}{}", about.model, about.random_weights ? " (RANDOM weights)" : "",
                                          about.device.empty() ? "" : "  ·  " + about.device);
    right_text(view, "run-in-words",
               {fmt::format("{}  ·  {}  ·  {} layers  ·  {} query and {} kv heads of {}", model, cache,
                            about.config.layers, about.config.q_heads, about.config.kv_heads, about.config.head_dim),
                model + "  ·  " + cache, cache});
  }
  ImGui::End();
  ImGui::PopStyleColor();
  ImGui::PopStyleVar();
}

void draw_status_bar(const Session& session, View& view) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {em() * 0.75f, em() * 0.25f});
  ImGui::PushStyleColor(ImGuiCol_WindowBg, theme().ground);
  ImGui::PushFont(fonts().sans, ImGui::GetStyle().FontSizeBase * 0.86f);
  if (ImGui::BeginViewportSideBar("##status", ImGui::GetMainViewport(), ImGuiDir_Down, em() * 1.5f, bar_flags)) {
    const Timeline& timeline = session.timeline();
    if (timeline.steps() > 0) {
      const StepRecord& step = timeline.step(view.step);
      const TimelineAbout& about = timeline.about();
      const std::string brief = fmt::format("{} tokens   ·   {}: {}", timeline.length_after(view.step),
                                            about.use_cache ? cut_to_fit(about.cache, 16 * em()) : "no cache",
                                            readable_bytes(double(step.memory.used_bytes)));
      std::string text = brief;
      if (view.step < session.comparison().steps()) {
        const double with = session.comparison().seconds(true, view.step),
                     without = session.comparison().seconds(false, view.step);
        text += fmt::format("   ·   this step {:.2f} ms with, {:.2f} ms without the cache: {}  MEASURED", 1e3 * with,
                            1e3 * without, time_ratio(session.comparison(), view.step));
      }
      muted(ImGui::CalcTextSize(text.c_str()).x <= ImGui::GetContentRegionAvail().x ? text : brief);
    }
    const Progress& progress = session.progress();
    if (view.recording_gif || !view.message.empty()) {
      right_text(view, "message", {view.recording_gif ? "recording a GIF: Ctrl + G ends it" : view.message});
    } else if (!progress.what.empty()) {
      const std::string what = progress.what + " ...";
      const float bar = em() * 8, width = ImGui::CalcTextSize(what.c_str()).x + bar + em();
      if (begin_right(width)) {
        muted(what);
        ImGui::SameLine();
        ImGui::ProgressBar(progress.total > 0 ? float(progress.done) / float(progress.total) : -float(ImGui::GetTime()),
                           {bar, em()}, "");
      }
    } else {
      right_text(view, "hint", {"Space step   Backspace back   P play   1-9 panels   ? help", "? help", ""});
    }
  }
  ImGui::End();
  ImGui::PopFont();
  ImGui::PopStyleColor();
  ImGui::PopStyleVar();
}

}  // namespace kvcache::visualizer
