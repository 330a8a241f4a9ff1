// Pictures taken while the program runs: one, or a GIF of the steps as they pass.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app.hpp"
#include "raster.hpp"

namespace kvcache::visualizer {

/// Does what the view asks for (View::save), into files of names that are free: nothing is overwritten. Every frame,
/// after ImGui::Render(). A picture is of the frame after it was asked for, without the dialogs over the panels. Errors
/// are shown in the window.
class Capture {
 public:
  explicit Capture(std::filesystem::path folder = ".") : folder_(std::move(folder)) {}
  void after_render(Session& session, View& view);

 private:
  void save(const Session& session, View& view);
  std::string free_path(const std::string& name) const;

  std::filesystem::path folder_;
  std::vector<Image> frames_;  // of the GIF being recorded
  int last_step_ = -1;
};

}  // namespace kvcache::visualizer
