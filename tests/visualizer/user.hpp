// A user without a window: opens the program, presses keys, clicks, and looks at the picture.
#pragma once

#include <doctest/doctest.h>
#include <imgui_internal.h>  // the queue of events not yet handled

#include <string>

#include "export/headless.hpp"

namespace kvcache::visualizer {

/// A short run of the embedded model.
inline Choice short_run() {
  Choice choice;
  choice.tokens = 12;
  choice.repeats = 1;
  return choice;
}

class User {
 public:
  Session session;
  View view;
  Headless window;

  explicit User(const Choice& choice = short_run(), int width = 1280, int height = 720)
      : window(session, view, width, height) {
    view.record_marks = true;
    session.start(choice);
    session.wait();
    window.settle();
  }

  /// Frames until ImGui has handled every event. (A press and a release are seen in frames of their own.)
  void settle() {
    do window.frame();
    while (ImGui::GetCurrentContext()->InputEventsQueue.Size > 0);
    window.frame();
  }
  void press(ImGuiKey key, ImGuiKey with = ImGuiKey_None) {
    ImGuiIO& io = ImGui::GetIO();
    if (with != ImGuiKey_None) io.AddKeyEvent(with, true);
    io.AddKeyEvent(key, true);
    io.AddKeyEvent(key, false);
    if (with != ImGuiKey_None) io.AddKeyEvent(with, false);
    settle();
  }
  /// Where a widget is: by its name and a place within it, from 0 to 1.
  ImVec2 place(const std::string& widget, float x = 0.5f, float y = 0.5f) const {
    REQUIRE_MESSAGE(view.marks.count(widget) == 1, "there is no widget \"" << widget << "\"");
    const auto& [min, max] = view.marks.at(widget);
    return {min.x + (max.x - min.x) * x, min.y + (max.y - min.y) * y};
  }
  void move(ImVec2 to) {
    ImGui::GetIO().AddMousePosEvent(to.x, to.y);
    settle();
  }
  void click(ImVec2 at) {
    ImGuiIO& io = ImGui::GetIO();
    move(at);  // a widget takes a click only where the mouse was before
    io.AddMouseButtonEvent(0, true);
    io.AddMouseButtonEvent(0, false);
    settle();
  }
  void click(const std::string& widget) { click(place(widget)); }
  /// Drags from one place of a widget to another.
  void drag(const std::string& widget, float from, float to) {
    ImGuiIO& io = ImGui::GetIO();
    move(place(widget, from));
    io.AddMouseButtonEvent(0, true);
    settle();
    move(place(widget, to));
    io.AddMouseButtonEvent(0, false);
    settle();
  }
  /// With the mouse out of the way.
  Image look() {
    ImGui::GetIO().AddMousePosEvent(-FLT_MAX, -FLT_MAX);
    settle();
    window.settle();
    return window.picture();
  }
};

}  // namespace kvcache::visualizer
