// Pictures taken while the program runs: one, or a GIF of the steps as they pass.
#pragma once

#include <string>
#include <vector>

#include "app.hpp"
#include "raster.hpp"

namespace kvcache::visualizer {

/// Does what the view asks for (View::save). Every frame, after ImGui::Render(). Errors are shown in the window.
class Capture {
 public:
  void after_render(Session& session, View& view);

 private:
  std::vector<Image> frames_;  // of the GIF being recorded
  int last_step_ = -1;
};

}  // namespace kvcache::visualizer
