// What is looked at, and how: all that the user can change without computing anything anew. Panels write to it; nothing
// here is a copy of what was measured.
#pragma once

#include <imgui.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "choice.hpp"
#include "panels/curves.hpp"
#include "pixel_picture.hpp"

namespace kvcache::visualizer {

/// How the slots of the cache map are coloured.
enum class MapColour { state, age, attention, key_norm };
/// What the timing panel shows.
enum class TimingCurve { per_token, cumulative, ratio, parts };
/// What the memory panel shows where there is no room for all.
enum class MemoryPart { now, over_time, calculator };

/// Where the tokens of a text stand in their panel: measured once, so that a long text costs nothing in later frames.
struct TokenLayout {
  int run = 0;  // of which text, how wide and in which size: another makes a new layout
  float width = 0, em = 0;
  struct Place {
    int line = 0;
    float x = 0, width = 0;
  };
  std::vector<Place> places;  // by position
  int step_in_view = -1;      // the step whose newest token was last brought into view
};

struct View {
  // What is looked at. Selecting a token in one panel selects it in all.
  int step = 0;
  int layer = 0, kv_head = 0, q_head = 0;
  int selected_position = -1;     // -1: none
  int opening_selected = -1;      // selected when a run is opened
  int hovered_position = -1;      // a panel sets it when the mouse is over a token; cleared before each frame
  int highlighted_position = -1;  // what was hovered in the last frame: every panel marks it
  int stage = -1;                 // a sub-step within the step, by Stage; -1: the whole step

  // How it moves.
  bool playing = false;
  float steps_per_second = 4;
  float time_in_step = 0;  // seconds since it last moved
  int opening_token = 0;   // the token of the text to open on, from 1; 0: the fifth, or the first after the prompt
  bool is_opening = true;  // the opening scene is not there yet
  int run_shown = 0;       // Session::run_number of the run that the view belongs to

  // How it looks.
  MapColour map_colour = MapColour::state;
  bool inside_errors = false;  // where a cache rounds: how far its numbers are from those that it was given
  bool map_heads = false;      // rows of the map are the heads of the layer, instead of the layers
  float map_zoom = 1;          // 1: all slots fit
  float map_first_slot = 0;    // left edge of the map
  TimingCurve timing = TimingCurve::per_token;
  bool log_axis = false;
  bool parts_with_cache = true;  // whose parts the timing panel shows over the text
  MemoryPart memory = MemoryPart::now;
  bool show_copied = false;      // in the memory panel, over time
  bool show_all_caches = false;  // there too: what the other caches would take
  bool dark = true;
  float ui_scale = 1;
  bool scale_is_chosen = false, theme_is_chosen = false;  // on the command line: for this run; what was kept stays kept
  std::optional<bool> chosen_dark;                        // in the window, now or the last time: this is kept
  std::optional<float> chosen_scale;
  int presented = -1;  // a panel shown alone and large, by its place in the table; -1: all
  bool show_help = false, show_settings = false;
  bool reset_layout = false;
  int frames_of_layout = 0;   // drawn since it was made
  bool side_by_side = false;  // the layout to reset to: every panel seen at once, instead of tabs
  int last_focus = 3;         // the panel last asked for by its key
  int focus = -1;             // a panel to bring to the front, by its place in the table

  // The memory calculator.
  std::string calculator_shape = "llama-3.1-8b";
  int calculator_tokens = 4096, calculator_batch = 1, calculator_bytes = 2;
  float calculator_budget_gib = 24;

  // What the user wants to be computed anew; taken by the program after the frame.
  Choice draft;                     // being edited in the settings
  std::optional<Choice> start;      // a new run
  std::optional<std::string> open;  // a timeline file to replay
  bool quit = false;

  // Pictures and files while the program runs.
  std::optional<std::string> save;  // "png", "csv", "json" or "safetensors": what is shown, or the run
  bool recording_gif = false;       // every step that is shown becomes a frame
  bool hides_dialogs = false;       // for one frame: a picture shows the panels, not what lies over them
  std::string message;              // what was done last, for the status line
  std::string notice;               // a sentence that stands over the panels until it is closed

  // Drawing state that outlives a frame.
  int theme_dark_applied = -1;
  float scale_applied = 0;
  std::map<std::string, PixelPicture> pictures;
  Curves curves;  // derived from the scene, so that no frame makes them anew
  TokenLayout token_layout;

  // For tests: where the widgets of the last frame were, by name; a line of text by what it says.
  struct Rectangle {
    ImVec2 min, max;
  };
  bool record_marks = false;
  std::map<std::string, Rectangle> marks;
};

/// What the user chooses in the window is kept for the next time.
inline void choose_theme(View& view, bool dark) { view.dark = dark, view.chosen_dark = dark; }
inline void choose_scale(View& view, float scale) {
  view.ui_scale = scale < 0.5f ? 0.5f : scale > 4 ? 4 : scale;
  view.chosen_scale = view.ui_scale;
}

/// Remembers where the widget just drawn is, for tests.
inline void mark(View& view, const std::string& name) {
  if (view.record_marks) view.marks[name] = {ImGui::GetItemRectMin(), ImGui::GetItemRectMax()};
}

}  // namespace kvcache::visualizer
