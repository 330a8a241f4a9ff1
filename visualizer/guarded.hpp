// Drawing that may fail without taking the window with it.
#pragma once

#include <functional>
#include <string>

namespace kvcache::visualizer {

/// Calls draw(), between ImGui::NewFrame and ImGui::Render. If it throws, all that it had begun in ImGui and ImPlot
/// (windows, tables, plots, styles) is ended, so that the frame can go on, and the sentence is returned. Empty: it was
/// drawn.
std::string guarded(const std::function<void()>& draw);

}  // namespace kvcache::visualizer
