// The desktop window: GLFW and OpenGL. Nothing else in the program knows them.
#pragma once

#include "app.hpp"

namespace kvcache::visualizer {

/// Shows the program until the user leaves; `frames` above 0: for so many frames. Returns the exit status. Errors: no
/// display, no OpenGL 3.3.
int show_window(Session& session, View& view, int width, int height, int frames);

}  // namespace kvcache::visualizer
