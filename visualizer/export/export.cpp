#include "export.hpp"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

#include <filesystem>

#include "kvcache/core/check.hpp"
#include "kvcache/io/atomic_file.hpp"
#include "panels/panels.hpp"
#include "tables.hpp"

namespace kvcache::visualizer {
namespace {

int panel_index(const std::string& name) {
  std::string known;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    if (name == panels[i].name) return int(i);
    known += (known.empty() ? "" : ", ") + std::string(panels[i].name);
  }
  fail("panel \"", name, "\" is unknown; known are ", known);
}

/// The step in which token `token` of the text (from 1) is read; 0: `otherwise`.
int step_of_token(const Timeline& timeline, int token, int otherwise) {
  const int last = timeline.steps() - 1;
  if (token == 0) return otherwise;
  check(token >= 1 && timeline.step_of(token - 1) <= last, "--step ", token, ": the text read has ",
        timeline.length_after(last), " tokens");
  return timeline.step_of(token - 1);
}

/// Errors: a panel could not be drawn. In the window its sentence stands in its place, and is marked; a file with the
/// sentence in it is not what was asked for.
Image picture_at(Headless& window, View& view, int step, const std::string& panel) {
  view.step = step;
  view.is_opening = false;
  view.playing = false;
  view.presented = panel.empty() ? -1 : panel_index(panel);
  view.record_marks = true;
  window.settle();
  for (const Panel& drawn : panels)
    check(view.marks.count(std::string("wrong-") + drawn.name) == 0, "step ", step, ": the panel \"", drawn.title,
          "\" cannot be drawn, so no picture is written; open the window without --export to read why");
  return window.picture();
}

}  // namespace

void write_png(const std::string& path, const Image& image) {
  std::string file;
  const auto add = [](void* to, void* bytes, int count) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), std::size_t(count));
  };
  check(stbi_write_png_to_func(add, &file, image.width, image.height, 4, image.pixels.data(), image.width * 4) != 0,
        path, ": there is not enough memory for a picture of ", image.width, " x ", image.height);
  write_atomically(path, std::string_view(file));
}

void check_export(const ExportChoice& choice) {
  const std::string kind = std::filesystem::path(choice.path).extension().string();
  check(kind == ".png" || kind == ".gif" || kind == ".csv" || kind == ".json" || kind == ".safetensors", choice.path,
        ": files of kind \"", kind, "\" cannot be written; .png, .gif, .csv, .json and .safetensors can");
  if (!choice.panel.empty()) panel_index(choice.panel);
  const FileToWrite tried(choice.path);
}

void export_file(Session& session, View& view, const ExportChoice& choice) {
  check_export(choice);
  const std::string kind = std::filesystem::path(choice.path).extension().string();
  const bool is_picture = kind == ".png" || kind == ".gif";
  session.wait();
  check(session.error().empty(), session.error());
  if (!is_picture) return write_run(session, choice.path);
  Headless window(session, view, choice.width, choice.height);
  window.settle();
  const int first = step_of_token(session.timeline(), choice.first_token, view.step);
  if (kind == ".png") return write_png(choice.path, picture_at(window, view, first, choice.panel));
  const int last = step_of_token(session.timeline(), choice.last_token, session.timeline().steps() - 1);
  std::vector<Image> frames;
  for (int step = first; step <= last; ++step) frames.push_back(picture_at(window, view, step, choice.panel));
  write_gif(choice.path, frames, choice.seconds_per_step);
}

}  // namespace kvcache::visualizer
