// The program without a window: ImGui on a made-up display, drawn by the CPU. For exported pictures and for tests.
#pragma once

#include <imgui.h>

#include "app.hpp"
#include "raster.hpp"

struct ImPlotContext;

namespace kvcache::visualizer {

/// One at a time: ImGui's context, and the fonts and colours in use, are the process's. Errors: there is one already.
class Headless {
 public:
  Headless(Session& session, View& view, int width, int height);
  ~Headless();
  Headless(const Headless&) = delete;
  Headless& operator=(const Headless&) = delete;

  /// Draws one frame, as if so many seconds had passed.
  void frame(float seconds = 1 / 60.f);
  /// Frames until every panel has found its size.
  void settle();
  void resize(int width, int height);
  /// The last frame.
  Image picture() const;

 private:
  Session& session_;
  View& view_;
  ImGuiContext* imgui_;
  ImPlotContext* implot_;
};

}  // namespace kvcache::visualizer
