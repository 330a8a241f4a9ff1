// Colours, fonts and spacing: one place for how the program looks.
#pragma once

#include <imgui.h>

namespace kvcache::visualizer {

/// The size of text in pixels, before the scale. ImGui's own style.FontSizeBase follows each PushFont, so sizes
/// relative to it would pile up.
inline constexpr float text_size = 16;

struct Theme {
  // Surfaces, from the back to the front, and text on them.
  ImU32 ground, panel, raised, hover, line, popup, text, muted, accent, on_accent;
  // States of a slot. None is told by hue alone: they differ in lightness, and legends name them.
  ImU32 empty, reserved, prompt, decoded, newest, on_newest, moved;
  // Curves.
  ImU32 with_cache, without_cache, error;
};

/// The theme in use; set by apply_theme.
const Theme& theme();

struct Fonts {
  ImFont *sans = nullptr, *mono = nullptr, *bold = nullptr;
};
const Fonts& fonts();

/// Once for each ImGui context, before the first frame. Where DejaVu is not installed, ImGui's own font serves. For
/// characters that it lacks (Chinese, Thai, Hindi ...), well-known fonts are taken where they are installed.
void load_fonts();
/// Can it be drawn? Not if no font has it, and ImGui as it is built knows no character beyond U+FFFF.
bool can_draw(char32_t character);
/// Sets colours and spacing of ImGui and ImPlot. Scale 1 is made for 16-pixel text.
void apply_theme(bool dark, float scale);

/// The same colour with another opacity, 0 to 1.
ImU32 faded(ImU32 colour, float opacity);
ImVec4 as_vec4(ImU32 colour);
/// A colour of the Viridis map: 0 is dark, 1 is bright. Equal steps look equal, also to the colour-blind.
ImU32 viridis(float value);

}  // namespace kvcache::visualizer
