#include "guarded.hpp"

#include <imgui_internal.h>  // ImGuiErrorRecoveryState
#include <implot.h>
#include <implot_internal.h>

#include <exception>
#include <new>
#include <utility>

namespace kvcache::visualizer {
namespace {

/// What is open in ImGui and ImPlot, so that one can come back to it.
class OpenThings {
 public:
  OpenThings()
      : plot_(GImPlot->CurrentPlot),
        plot_styles_(GImPlot->StyleModifiers.Size),
        plot_colours_(GImPlot->ColorModifiers.Size) {
    ImGui::ErrorRecoveryStoreState(&imgui_);
  }
  /// Ends whatever was begun since.
  void come_back() const {
    ImGuiIO& io = ImGui::GetIO();
    const auto asserts = std::exchange(io.ConfigErrorRecoveryEnableAssert, false);  // nobody forgot to end these
    const auto log = std::exchange(io.ConfigErrorRecoveryEnableDebugLog, false);
    const auto tooltip = std::exchange(io.ConfigErrorRecoveryEnableTooltip, false);
    if (!plot_ && GImPlot->CurrentPlot) ImPlot::ResetCtxForNextPlot(GImPlot);  // its windows are ended below
    ImPlot::PopStyleVar(GImPlot->StyleModifiers.Size - plot_styles_);
    ImPlot::PopStyleColor(GImPlot->ColorModifiers.Size - plot_colours_);
    ImGui::ErrorRecoveryTryToRecoverState(&imgui_);
    io.ConfigErrorRecoveryEnableAssert = asserts;
    io.ConfigErrorRecoveryEnableDebugLog = log;
    io.ConfigErrorRecoveryEnableTooltip = tooltip;
  }

 private:
  ImGuiErrorRecoveryState imgui_;
  const ImPlotPlot* plot_;
  int plot_styles_, plot_colours_;
};

}  // namespace

std::string guarded(const std::function<void()>& draw) {
  const OpenThings before;
  std::string sentence;
  try {
    draw();
    return "";
  } catch (const std::bad_alloc&) {
    sentence = "there is not enough memory for this";
  } catch (const std::exception& error) {
    sentence = error.what();
  }
  before.come_back();
  return sentence.empty() ? "it cannot be drawn, and nothing is known of why" : sentence;
}

}  // namespace kvcache::visualizer
