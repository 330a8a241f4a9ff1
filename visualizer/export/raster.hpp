// Draws what ImGui asks for on the CPU: pictures without a window, a display or a graphics card, the same everywhere.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <vector>

namespace kvcache::visualizer {

/// Pixels [height, width], as IM_COL32: red in the lowest byte.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint32_t> pixels;

  std::uint32_t& at(int x, int y) { return pixels[std::size_t(y) * std::size_t(width) + std::size_t(x)]; }
  std::uint32_t at(int x, int y) const { return pixels[std::size_t(y) * std::size_t(width) + std::size_t(x)]; }
  /// A part of it; what lies outside is left out.
  Image cut(int x, int y, int width, int height) const;
};

/// What a renderer answers to ImGui's requests for textures; here a texture is its own pixels. After ImGui::Render(),
/// each frame.
void serve_textures(const ImDrawData& data);
Image rasterise(const ImDrawData& data, std::uint32_t background);

}  // namespace kvcache::visualizer
