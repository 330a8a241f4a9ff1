// Pictures and tables of a run, as files.
#pragma once

#include <string>
#include <vector>

#include "headless.hpp"

namespace kvcache::visualizer {

struct ExportChoice {
  std::string path = {};  // .png, .gif, .csv, .json, or .safetensors for the timeline itself
  int width = 1280, height = 720;
  int first_token = 0, last_token = 0;  // of the text, from 1; 0: the opening scene, and the end (of a .gif)
  std::string panel = {};               // by name; empty: the whole window
  float seconds_per_step = 0.5f;        // of a .gif
};

/// Errors, of both: those of write_atomically.
void write_png(const std::string& path, const Image& image);
/// 256 colours for all frames together, chosen by how often they occur.
void write_gif(const std::string& path, const std::vector<Image>& frames, float seconds_per_frame);

/// To be asked before anybody waits for the run. Errors: a kind of file or a panel that is unknown; a path that cannot
/// be written.
void check_export(const ExportChoice& choice);
/// Draws what the session shows, and writes it. Errors: those of check_export; nothing to show; a full disk.
void export_file(Session& session, View& view, const ExportChoice& choice);

}  // namespace kvcache::visualizer
