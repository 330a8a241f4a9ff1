// Where the panels stand at first. The only file beside pixel_picture.cpp that needs ImGui's internals.
#include <imgui_internal.h>  // DockBuilder

#include <algorithm>
#include <array>

#include "app.hpp"
#include "panels/panels.hpp"
#include "widgets.hpp"

namespace kvcache::visualizer {
namespace {

ImGuiID split(ImGuiID node, ImGuiDir direction, float part, ImGuiID& rest) {
  ImGuiID cut = 0;
  ImGui::DockBuilderSplitNode(node, direction, part, &cut, &rest);
  return cut;
}

using Places = std::array<ImGuiID, panels.size()>;  // the node of each panel

/// The main sentence has room for its lines in a size that can be read, however large letters are.
float part_of_narration(float usual) {
  return std::clamp(8.2f * em() / ImGui::GetMainViewport()->WorkSize.y, usual, 0.4f);
}

/// What belongs together on one screen: the text and the cache at the left, the inside and the figures in tabs.
Places tabbed_layout(ImGuiID rest) {
  const ImGuiID right = split(rest, ImGuiDir_Right, 0.37f, rest);
  ImGuiID right_bottom = right;
  const ImGuiID right_top = split(right_bottom, ImGuiDir_Up, 0.56f, right_bottom);
  const ImGuiID narration = split(rest, ImGuiDir_Up, part_of_narration(0.16f), rest);
  const ImGuiID tokens = split(rest, ImGuiDir_Up, 0.21f, rest);
  const ImGuiID work = split(rest, ImGuiDir_Up, 0.5f, rest);
  return {narration, tokens, work, rest, right_top, right_top, right_bottom, right_bottom, right_bottom};
}

/// Where little fits: what happens, and all else in tabs.
Places small_layout(ImGuiID rest) {
  Places places;
  const ImGuiID narration = split(rest, ImGuiDir_Up, part_of_narration(0.28f), rest);
  places.fill(rest);
  places[0] = narration;
  return places;
}

/// Three columns of three.
Places side_by_side_layout(ImGuiID rest) {
  const ImGuiID left = split(rest, ImGuiDir_Left, 1 / 3.f, rest), middle = split(rest, ImGuiDir_Left, 0.5f, rest);
  Places places{};
  std::size_t panel = 0;
  for (ImGuiID column : {left, middle, rest}) {
    places[panel++] = split(column, ImGuiDir_Up, 1 / 3.f, column);
    places[panel++] = split(column, ImGuiDir_Up, 0.5f, column);
    places[panel++] = column;
  }
  return places;
}

void build_layout(ImGuiID root, bool side_by_side) {
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  ImGui::DockBuilderRemoveNode(root);
  ImGui::DockBuilderAddNode(root, ImGuiDockNodeFlags_DockSpace);
  ImGui::DockBuilderSetNodePos(root, viewport.WorkPos);  // before any split
  ImGui::DockBuilderSetNodeSize(root, viewport.WorkSize);
  const bool is_small = viewport.WorkSize.x < 56 * em() || viewport.WorkSize.y < 28 * em();
  const Places place = side_by_side ? side_by_side_layout(root) : is_small ? small_layout(root) : tabbed_layout(root);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    ImGui::DockBuilderDockWindow(panels[i].title, place[i]);
    if (ImGuiDockNode* node = ImGui::DockBuilderGetNode(place[i]))
      node->LocalFlags |= ImGuiDockNodeFlags_NoWindowMenuButton | ImGuiDockNodeFlags_NoCloseButton;
  }
  ImGui::DockBuilderFinish(root);
}

}  // namespace

void draw_dock_space(View& view) {
  const ImGuiID root = ImGui::GetID("panels");
  if (view.reset_layout || !ImGui::DockBuilderGetNode(root)) {
    build_layout(root, view.side_by_side);
    view.reset_layout = false;
    view.frames_of_layout = 0;
  }
  ImGui::DockSpaceOverViewport(root, ImGui::GetMainViewport());
}

}  // namespace kvcache::visualizer
