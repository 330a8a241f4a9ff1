// A picture made of pixels, for what would be too many rectangles: heat maps of any size, drawn one pixel to one.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kvcache::visualizer {

class PixelPicture {
 public:
  PixelPicture() = default;
  PixelPicture(const PixelPicture&) = delete;
  PixelPicture& operator=(const PixelPicture&) = delete;
  ~PixelPicture();

  /// Pixels [height, width], as IM_COL32. Transparent at first.
  using Paint = std::function<void(std::span<ImU32> pixels, int width, int height)>;

  /// Draws into the window's draw list with the top left corner at `at`. paint is called only if the key or the size
  /// differ from the last call's, or the theme does: let the key tell all else that the picture depends on.
  void draw(ImVec2 at, ImVec2 size, std::uint64_t key, const Paint& paint);

 private:
  ImTextureData* texture_ = nullptr;
  std::vector<ImTextureData*> retired_;  // too small; the renderer may still know them
  std::vector<ImU32> pixels_;
  std::uint64_t key_ = 0;
  int width_ = 0, height_ = 0;
};

/// Mixes numbers into one key.
template <class... Numbers>
std::uint64_t key_of(const Numbers&... numbers) {
  std::uint64_t key = 0xcbf29ce484222325;
  const auto mix = [&](std::uint64_t number) {
    key ^= number + 0x9e3779b97f4a7c15 + (key << 6) + (key >> 2);
    key *= 0xff51afd7ed558ccd;
  };
  (mix(std::uint64_t(std::int64_t(numbers))), ...);
  return key;
}

}  // namespace kvcache::visualizer
