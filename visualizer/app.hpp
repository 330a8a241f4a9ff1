// One frame of the program: toolbar, status line, panels, keys. It needs ImGui and ImPlot, but no window system.
#pragma once

#include "panels/panels.hpp"
#include "session.hpp"
#include "view.hpp"

namespace kvcache::visualizer {

/// Before ImGui::NewFrame: sizes and colours cannot change within a frame.
void apply_looks(View& view);
/// Between ImGui::NewFrame and ImGui::Render. Plays, draws, and passes on what the user asked for.
void draw_app(Session& session, View& view);

/// The inside of a panel. What goes wrong in it is a sentence in its place, and the window goes on.
void draw_contents(const Panel& panel, const Scene& scene, View& view);

// The pieces of it, each in a file of its own.
void draw_toolbar(const Session& session, View& view);
void draw_status_bar(const Session& session, View& view);
void draw_settings(const Session& session, View& view);
void draw_help(View& view);
void draw_error(Session& session, View& view);
void handle_shortcuts(const Session& session, View& view);
void draw_dock_space(View& view);

/// A file or folder dropped on the window: a timeline is opened, anything else is taken for a model.
void drop_file(View& view, const std::string& path);

/// Moves the view to a step, within what is there.
void go_to_step(const Session& session, View& view, int step);

}  // namespace kvcache::visualizer
