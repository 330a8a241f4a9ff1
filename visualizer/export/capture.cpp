#include "capture.hpp"

#include <fmt/core.h>

#include <utility>

#include "export.hpp"
#include "free_name.hpp"
#include "tables.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {
namespace {

Image picture() { return rasterise(*ImGui::GetDrawData(), theme().ground); }

}  // namespace

void Capture::after_render(Session& session, View& view) {
  if (view.recording_gif && view.step != last_step_) {
    frames_.push_back(picture());
    last_step_ = view.step;
  }
  try {
    if (!view.recording_gif && !frames_.empty()) {
      const std::vector<Image> frames = std::exchange(frames_, {});
      last_step_ = -1;
      const std::string path = free_path(fmt::format("kvcache-steps-{}.gif", frames.size()));
      write_gif(path, frames, 1 / view.steps_per_second);
      view.message = fmt::format("{} steps are written to {}", frames.size(), path);
    }
    if (view.save) save(session, view);
  } catch (const std::exception& error) {
    view.save.reset();
    session.show_error(error.what());
  }
}

void Capture::save(const Session& session, View& view) {
  const bool is_picture = *view.save == "png";
  if (is_picture && !std::exchange(view.hides_dialogs, !view.hides_dialogs)) return;  // of the next frame
  const std::string path =
      free_path(is_picture ? fmt::format("kvcache-step-{}.png", view.step) : "kvcache-run." + *view.save);
  view.save.reset();
  if (is_picture)
    write_png(path, picture());
  else
    write_run(session, path);
  view.message = path + " is written";
}

std::string Capture::free_path(const std::string& name) const {
  std::error_code error;  // then the name alone must do
  const std::filesystem::path free = free_name(folder_ / name), whole = std::filesystem::absolute(free, error);
  return error ? free.string() : whole.lexically_normal().string();
}

}  // namespace kvcache::visualizer
