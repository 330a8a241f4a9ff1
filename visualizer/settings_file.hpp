// What is kept between two runs of the program: where the panels stand, and how it looks.
#pragma once

#include <string>

#include "view.hpp"

namespace kvcache::visualizer {

/// Where it is kept: kvcache/visualizer.ini in $XDG_CONFIG_HOME or ~/.config. The folder is made. Empty: no place for
/// it.
std::string settings_path();

/// Adds the view's lasting choices to what ImGui itself keeps in its .ini file. Before the first frame; the view must
/// outlive the ImGui context.
void keep_settings(View& view);

}  // namespace kvcache::visualizer
