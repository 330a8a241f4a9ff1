#include "pixel_picture.hpp"

#include <imgui_internal.h>  // RegisterUserTexture

#include <algorithm>
#include <cstring>

#include "theme.hpp"

namespace kvcache::visualizer {
namespace {

/// The renderer is asked to free its copy; ours of the pixels goes at once.
void retire(ImTextureData* texture) {
  texture->DestroyPixels();
  texture->UnusedFrames = 1;
  texture->WantDestroyNextFrame = true;
  texture->SetStatus(ImTextureStatus_WantDestroy);
}

}  // namespace

PixelPicture::~PixelPicture() {
  if (texture_) retired_.push_back(texture_);
  for (ImTextureData* texture : retired_) {
    if (ImGui::GetCurrentContext() && texture->RefCount > 0) ImGui::UnregisterUserTexture(texture);
    IM_DELETE(texture);
  }
}

void PixelPicture::draw(ImVec2 at, ImVec2 size, std::uint64_t key, const Paint& paint) {
  key = key_of(key, theme().panel, theme().text);  // colours are the theme's in use, which is not yet the one chosen
  const int width = int(size.x), height = int(size.y);
  if (width < 1 || height < 1) return;
  const bool is_new = !texture_ || texture_->Width < width || texture_->Height < height;
  if (is_new) {  // room to grow, so that resizing a window seldom needs a new texture
    const auto room = [](int wanted, int had) { return std::max(had, (wanted + 511) / 512 * 512); };
    const int w = room(width, texture_ ? texture_->Width : 0), h = room(height, texture_ ? texture_->Height : 0);
    if (texture_) {
      retire(texture_);
      retired_.push_back(texture_);
    }
    texture_ = IM_NEW(ImTextureData)();
    texture_->Create(ImTextureFormat_RGBA32, w, h);
    texture_->UseColors = true;
    ImGui::RegisterUserTexture(texture_);
  }
  if (is_new || key != key_ || width != width_ || height != height_) {
    key_ = key, width_ = width, height_ = height;
    pixels_.assign(std::size_t(width) * std::size_t(height), 0);
    paint(pixels_, width, height);
    for (int y = 0; y < height; ++y)
      std::memcpy(texture_->GetPixelsAt(0, y), pixels_.data() + std::size_t(y) * std::size_t(width),
                  std::size_t(width) * sizeof(ImU32));
    if (texture_->Status == ImTextureStatus_OK || texture_->Status == ImTextureStatus_WantUpdates) {
      const ImTextureRect all{0, 0, (unsigned short)width, (unsigned short)height};
      texture_->UpdateRect = texture_->UsedRect = all;
      texture_->Updates.resize(0);
      texture_->Updates.push_back(all);
      texture_->SetStatus(ImTextureStatus_WantUpdates);
    }
  }
  ImGui::GetWindowDrawList()->AddImage(
      texture_->GetTexRef(), at, {at.x + float(width), at.y + float(height)}, {0, 0},
      {float(width) / float(texture_->Width), float(height) / float(texture_->Height)});
}

}  // namespace kvcache::visualizer
