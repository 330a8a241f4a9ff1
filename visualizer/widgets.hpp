// Pieces that several panels are made of.
#pragma once

#include <imgui.h>

#include <string>
#include <string_view>

#include "view.hpp"

namespace kvcache::visualizer {

/// Where a figure comes from. Every panel says it.
enum class Source { measured, computed, simulated };

/// A small label, MEASURED, COMPUTED or SIMULATED, with a sentence on what exactly when the mouse is over it.
void badge(Source source, const char* what);

float badge_width();
/// At the right end of the line of the item before it, or of the next line if it does not fit. `line` is the line's
/// height.
void badge_at_end(Source source, const char* what, float line = ImGui::GetFrameHeight());

/// Text in the muted colour.
void muted(std::string_view text);
/// Text that wraps at the panel's edge.
void wrapped(std::string_view text);

/// As much of a text as fits, then "..."; nothing, if not even a few letters do.
std::string cut_to_fit(const std::string& text, float width);

/// A square of colour and its name, in a row with the next one.
void legend(const char* name, ImU32 colour, bool outlined = false);

/// A slider with its value as text beside it, where the grab does not hide it. True while it is being moved.
bool int_slider(View& view, const char* id, const char* label, int& value, int least, int most, float width_em);
bool float_slider(View& view, const char* id, const char* label, float& value, float least, float most, float width_em,
                  const char* format, bool logarithmic = false);

enum class Icon { start, back, play, pause, step, end };
bool icon_button(View& view, const char* id, Icon icon, const char* tip, bool primary = false, bool enabled = true);
/// A text button, known to tests by its id.
bool button(View& view, const char* id, const char* label, const char* tip = nullptr, bool selected = false);

/// A token as it can be seen: a space as a raised dot, a line break as an arrow, bytes that are no UTF-8 as \xNN, and
/// whole characters that leave no ink or that no font here has by their number: <U+4E2D>.
std::string visible(std::string_view bytes);

/// The size of one em of the current font.
inline float em() { return ImGui::GetFontSize(); }

}  // namespace kvcache::visualizer
