// All panels, in one table. A panel is one function in one file of this folder: it reads the scene, and changes nothing
// but the view.
#pragma once

#include <array>

#include "scene.hpp"
#include "view.hpp"

namespace kvcache::visualizer {

/// Draws the inside of a panel; the window around it is there already.
using DrawPanel = void (*)(const Scene& scene, View& view);

void draw_narration(const Scene& scene, View& view);
void draw_tokens(const Scene& scene, View& view);
void draw_work(const Scene& scene, View& view);
void draw_cache_map(const Scene& scene, View& view);
void draw_inside(const Scene& scene, View& view);
void draw_attention(const Scene& scene, View& view);
void draw_timing(const Scene& scene, View& view);
void draw_memory(const Scene& scene, View& view);
void draw_proof(const Scene& scene, View& view);

struct Panel {
  const char* title;  // also its name for the window, for --panel and in tests
  const char* name;   // in file names and options
  DrawPanel draw;
  int front_in_frame = 0;  // of a new layout: then it comes before the tabs beside it. One a frame: there is one focus
};

/// In the order of the keys 1 to 9.
inline constexpr std::array<Panel, 9> panels{{
    {"What happens", "narration", draw_narration},
    {"Tokens", "tokens", draw_tokens},
    {"Work in this step", "work", draw_work},
    {"Cache map", "cache-map", draw_cache_map},
    {"Inside", "inside", draw_inside},
    {"Attention", "attention", draw_attention, 2},
    {"Time per token", "timing", draw_timing, 3},
    {"Memory", "memory", draw_memory},
    {"Proof", "proof", draw_proof},
}};

}  // namespace kvcache::visualizer
