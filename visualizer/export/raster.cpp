#include "raster.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace kvcache::visualizer {
namespace {

using Colour = std::array<float, 4>;  // red, green, blue, alpha; each 0 to 1

Colour colour_of(std::uint32_t packed) {
  Colour colour;
  for (int c = 0; c < 4; ++c) colour[std::size_t(c)] = float((packed >> (8 * c)) & 255) / 255;
  return colour;
}

struct Texture {
  const ImTextureData* data;

  Colour texel(int x, int y) const {
    x = std::clamp(x, 0, data->Width - 1), y = std::clamp(y, 0, data->Height - 1);
    const unsigned char* p = data->Pixels + (y * data->Width + x) * data->BytesPerPixel;
    if (data->BytesPerPixel == 1) return {1, 1, 1, float(p[0]) / 255};
    return {float(p[0]) / 255, float(p[1]) / 255, float(p[2]) / 255, float(p[3]) / 255};
  }
  /// Bilinear, as graphics cards do it.
  Colour sample(float u, float v) const {
    const float x = u * float(data->Width) - 0.5f, y = v * float(data->Height) - 0.5f;
    const int x0 = int(std::floor(x)), y0 = int(std::floor(y));
    const float ax = x - float(x0), ay = y - float(y0);
    const Colour a = texel(x0, y0), b = texel(x0 + 1, y0), c = texel(x0, y0 + 1), d = texel(x0 + 1, y0 + 1);
    Colour mixed;
    for (std::size_t i = 0; i < 4; ++i)
      mixed[i] = (a[i] * (1 - ax) + b[i] * ax) * (1 - ay) + (c[i] * (1 - ax) + d[i] * ax) * ay;
    return mixed;
  }
};

void blend(std::uint32_t& pixel, const Colour& colour) {
  std::uint32_t mixed = 0xFF000000u;
  for (int c = 0; c < 3; ++c) {
    const float below = float((pixel >> (8 * c)) & 255);
    const float value = 255 * colour[std::size_t(c)] * colour[3] + below * (1 - colour[3]);
    mixed |= std::uint32_t(std::clamp(value, 0.f, 255.f) + 0.5f) << (8 * c);
  }
  pixel = mixed;
}

struct Clip {
  int left, top, right, bottom;
};

void draw_triangle(Image& image, const Clip& clip, const Texture& texture, std::array<const ImDrawVert*, 3> v) {
  const auto twice_area = [](const ImVec2& a, const ImVec2& b, float x, float y) {
    return (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x);
  };
  float area = twice_area(v[0]->pos, v[1]->pos, v[2]->pos.x, v[2]->pos.y);
  if (area == 0) return;
  if (area < 0) std::swap(v[1], v[2]), area = -area;
  const auto [left, right] = std::minmax({v[0]->pos.x, v[1]->pos.x, v[2]->pos.x});
  const auto [top, bottom] = std::minmax({v[0]->pos.y, v[1]->pos.y, v[2]->pos.y});
  const int x0 = std::max(clip.left, int(std::floor(left - 0.5f))),
            x1 = std::min(clip.right, int(std::ceil(right + 0.5f)));
  const int y0 = std::max(clip.top, int(std::floor(top - 0.5f))),
            y1 = std::min(clip.bottom, int(std::ceil(bottom + 0.5f)));

  std::array<Colour, 3> corner;
  std::array<bool, 3> owns_edge;  // a pixel on a shared edge is drawn once: by the triangle to its right or below
  for (std::size_t k = 0; k < 3; ++k) {
    corner[k] = colour_of(v[k]->col);
    const ImVec2 &a = v[(k + 1) % 3]->pos, &b = v[(k + 2) % 3]->pos;
    owns_edge[k] = (a.y == b.y && b.x > a.x) || b.y < a.y;
  }
  const bool one_colour = v[0]->col == v[1]->col && v[1]->col == v[2]->col;
  const auto same_place = [](const ImVec2& a, const ImVec2& b) { return a.x == b.x && a.y == b.y; };
  const bool one_texel = same_place(v[0]->uv, v[1]->uv) && same_place(v[1]->uv, v[2]->uv);
  const Colour texel = one_texel ? texture.sample(v[0]->uv.x, v[0]->uv.y) : Colour{};

  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) {
      std::array<float, 3> weight;
      bool inside = true;
      for (std::size_t k = 0; k < 3 && inside; ++k) {
        weight[k] = twice_area(v[(k + 1) % 3]->pos, v[(k + 2) % 3]->pos, float(x) + 0.5f, float(y) + 0.5f) / area;
        inside = weight[k] > 0 || (weight[k] == 0 && owns_edge[k]);
      }
      if (!inside) continue;
      const auto mix = [&](float a, float b, float c) { return a * weight[0] + b * weight[1] + c * weight[2]; };
      const Colour tint =
          one_texel ? texel
                    : texture.sample(mix(v[0]->uv.x, v[1]->uv.x, v[2]->uv.x), mix(v[0]->uv.y, v[1]->uv.y, v[2]->uv.y));
      Colour colour;
      for (std::size_t c = 0; c < 4; ++c)
        colour[c] = tint[c] * (one_colour ? corner[0][c] : mix(corner[0][c], corner[1][c], corner[2][c]));
      if (colour[3] > 0) blend(image.at(x, y), colour);
    }
}

}  // namespace

Image Image::cut(int x, int y, int w, int h) const {
  const int left = std::clamp(x, 0, width), top = std::clamp(y, 0, height);
  Image part{std::clamp(x + w, left, width) - left, std::clamp(y + h, top, height) - top, {}};
  for (int row = 0; row < part.height; ++row) {
    const auto first = pixels.begin() + std::ptrdiff_t(top + row) * width + left;
    part.pixels.insert(part.pixels.end(), first, first + part.width);
  }
  return part;
}

void serve_textures(const ImDrawData& data) {
  if (!data.Textures) return;
  for (ImTextureData* texture : *data.Textures) {
    if (texture->Status == ImTextureStatus_WantCreate || texture->Status == ImTextureStatus_WantUpdates) {
      texture->SetTexID(ImTextureID(reinterpret_cast<std::uintptr_t>(texture)));  // anything but 0
      texture->SetStatus(ImTextureStatus_OK);
    } else if (texture->Status == ImTextureStatus_WantDestroy) {
      texture->SetTexID(ImTextureID_Invalid);
      texture->SetStatus(ImTextureStatus_Destroyed);
    }
  }
}

Image rasterise(const ImDrawData& data, std::uint32_t background) {
  Image image{int(data.DisplaySize.x), int(data.DisplaySize.y), {}};
  image.pixels.assign(std::size_t(image.width) * std::size_t(image.height), background);
  for (const ImDrawList* list : data.CmdLists)
    for (const ImDrawCmd& command : list->CmdBuffer) {
      if (command.UserCallback) continue;
      const Texture texture{command.TexRef._TexData};  // ImGui keeps the pixels, whichever renderer shows them
      if (!texture.data || !texture.data->Pixels) continue;
      const Clip clip{std::max(0, int(command.ClipRect.x)), std::max(0, int(command.ClipRect.y)),
                      std::min(image.width, int(command.ClipRect.z)), std::min(image.height, int(command.ClipRect.w))};
      const auto vertex = [&](unsigned i) {
        return &list->VtxBuffer[int(command.VtxOffset + list->IdxBuffer[int(command.IdxOffset + i)])];
      };
      for (unsigned i = 0; i + 2 < command.ElemCount; i += 3)
        draw_triangle(image, clip, texture, {vertex(i), vertex(i + 1), vertex(i + 2)});
    }
  return image;
}

}  // namespace kvcache::visualizer
