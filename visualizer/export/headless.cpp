#include "headless.hpp"

#include <implot.h>

#include <cfloat>

#include "kvcache/core/check.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {

Headless::Headless(Session& session, View& view, int width, int height) : session_(session), view_(view) {
  check(!ImGui::GetCurrentContext(), "Headless: ImGui is in use already; there can be one window at a time");
  imgui_ = ImGui::CreateContext();
  implot_ = ImPlot::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.BackendFlags |= ImGuiBackendFlags_RendererHasTextures | ImGuiBackendFlags_RendererHasVtxOffset;
  io.ConfigFlags |= ImGuiConfigFlags_DockingEnable;
  io.DisplaySize = {float(width), float(height)};
  io.AddMousePosEvent(-FLT_MAX, -FLT_MAX);
  io.AddFocusEvent(true);
  load_fonts();
  view_.theme_dark_applied = -1;
}

Headless::~Headless() {
  for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {  // what a renderer's shutdown does
    texture->SetTexID(ImTextureID_Invalid);
    texture->SetStatus(ImTextureStatus_Destroyed);
  }
  view_.pictures.clear();
  ImGui::GetIO().BackendFlags &= ~ImGuiBackendFlags_RendererHasTextures;
  ImPlot::DestroyContext(implot_);
  ImGui::DestroyContext(imgui_);
}

void Headless::frame(float seconds) {
  ImGui::GetIO().DeltaTime = seconds;
  apply_looks(view_);
  ImGui::NewFrame();
  draw_app(session_, view_);
  ImGui::Render();
  serve_textures(*ImGui::GetDrawData());
}

void Headless::settle() {
  for (int i = 0; i < 5; ++i) frame();
}

void Headless::resize(int width, int height) {
  ImGui::GetIO().DisplaySize = {float(width), float(height)};
  view_.reset_layout = true;
}

Image Headless::picture() const { return rasterise(*ImGui::GetDrawData(), theme().ground); }

}  // namespace kvcache::visualizer
