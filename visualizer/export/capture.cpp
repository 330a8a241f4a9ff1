#include "capture.hpp"

#include <fmt/core.h>

#include "export.hpp"
#include "kvcache/observe/timeline_file.hpp"
#include "tables.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {

void Capture::after_render(Session& session, View& view) {
  const auto picture = [] { return rasterise(*ImGui::GetDrawData(), theme().ground); };
  if (view.recording_gif && view.step != last_step_) {
    frames_.push_back(picture());
    last_step_ = view.step;
  }
  try {
    if (!view.recording_gif && !frames_.empty()) {
      const std::string path = fmt::format("kvcache-steps-{}.gif", frames_.size());
      write_gif(path, frames_, 1 / view.steps_per_second);
      view.message = fmt::format("{} steps are written to {}", frames_.size(), path);
      frames_.clear();
      last_step_ = -1;
    }
    if (view.save) {
      const std::string path = fmt::format("kvcache-step-{}.{}", view.step, *view.save);
      view.save.reset();
      if (path.ends_with(".png"))
        write_png(path, picture());
      else
        write_run(session, path);
      view.message = path + " is written";
    }
  } catch (const std::exception& error) {
    view.save.reset();
    frames_.clear();
    session.show_error(error.what());
  }
}

}  // namespace kvcache::visualizer
