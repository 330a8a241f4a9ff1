// What is kept between two runs of the program: where the panels stand, and how it looks.
#pragma once

#include <string>
#include <string_view>

#include "view.hpp"

namespace kvcache::visualizer {

/// Where it is kept: kvcache/visualizer.ini in $XDG_CONFIG_HOME or ~/.config. The folder is made. Empty: no place for
/// it.
std::string settings_path();

/// Adds the view's lasting choices to what ImGui keeps, and reads the file, if there is one. Before the first frame;
/// the view must outlive the ImGui context. A file that was cut off or is not ImGui's would end the program there: it
/// is renamed, and view.notice says so.
void load_settings(View& view, const std::string& path);

/// Writes the file if something has changed, as ImGui says from time to time; `now`: in any case. What cannot be
/// written is said in view.message.
void save_settings(View& view, const std::string& path, bool now = false);

/// What is wrong with the text of such a file: "line 12: ...". Empty: ImGui can use it. Panels must be in a place that
/// the file describes, and places that are split must have two halves: ImGui asserts both.
std::string fault_in_settings(std::string_view text);

}  // namespace kvcache::visualizer
