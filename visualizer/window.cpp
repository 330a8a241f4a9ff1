#include "window.hpp"

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>
#include <implot.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "export/capture.hpp"
#include "guarded.hpp"
#include "kvcache/core/check.hpp"
#include "settings_file.hpp"
#include "theme.hpp"

namespace kvcache::visualizer {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

std::string last_glfw_error;

/// The OpenGL functions that the program itself calls, by name: no OpenGL headers or libraries are needed to build.
struct Gl {
  void (*viewport)(int, int, int, int);
  void (*clear_color)(float, float, float, float);
  void (*clear)(unsigned);

  Gl() {
    const auto load = [](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(glfwGetProcAddress(name));
      check(function != nullptr, "OpenGL has no ", name);
    };
    load(viewport, "glViewport"), load(clear_color, "glClearColor"), load(clear, "glClear");
  }
};

struct Window {
  GLFWwindow* handle = nullptr;

  Window(int width, int height) {
    glfwSetErrorCallback([](int, const char* sentence) { last_glfw_error = sentence; });
    check(glfwInit() == GLFW_TRUE, "there is no display to open a window on (", last_glfw_error,
          "); write a picture instead: kvcache-visualizer --export picture.png");
    glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
    glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
    glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
    glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
    handle = glfwCreateWindow(width, height, "kvcache", nullptr, nullptr);
    if (!handle) {
      glfwTerminate();
      fail("no window can be opened (", last_glfw_error,
           "); OpenGL 3.3 is needed. Write a picture instead: kvcache-visualizer --export picture.png");
    }
    glfwMakeContextCurrent(handle);
    glfwSwapInterval(1);
  }
  ~Window() {
    glfwDestroyWindow(handle);
    glfwTerminate();
  }
};

struct ImGuiLife {
  View& view;
  const std::string kept_in = settings_path();

  ImGuiLife(GLFWwindow* window, View& of) : view(of) {
    ImGui::CreateContext();
    ImPlot::CreateContext();
    ImGui::GetIO().IniFilename = nullptr;  // read and written below, so that a broken file ends nothing
    ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_DockingEnable;
    load_fonts();
    check(ImGui_ImplGlfw_InitForOpenGL(window, true) && ImGui_ImplOpenGL3_Init("#version 330"),
          "OpenGL 3.3 cannot be used here");
    if (!view.scale_is_chosen) view.ui_scale = ImGui_ImplGlfw_GetContentScaleForWindow(window);
    load_settings(view, kept_in);  // what was kept goes before the display's scale
    if (!view.notice.empty()) std::fprintf(stderr, "kvcache-visualizer: %s\n", view.notice.c_str());
  }
  ~ImGuiLife() {
    save_settings(view, kept_in, /*now*/ true);
    ImGui_ImplOpenGL3_Shutdown();
    view.pictures.clear();
    ImGui_ImplGlfw_Shutdown();
    ImPlot::DestroyContext();
    ImGui::DestroyContext();
  }
};

/// Something moves without the user: frames must come by themselves.
bool is_lively(const Session& session, const View& view) {
  return view.playing || view.is_opening || view.save || !session.progress().what.empty() || ImGui::IsAnyMouseDown();
}

}  // namespace

int show_window(Session& session, View& view, int width, int height, int frames) {
  std::signal(SIGTERM, [](int) { asked_to_stop = 1; });
  std::signal(SIGINT, [](int) { asked_to_stop = 1; });
  const Window window(width, height);
  glfwSetWindowUserPointer(window.handle, &view);
  glfwSetDropCallback(window.handle, [](GLFWwindow* w, int count, const char** paths) {
    View& dropped_on = *static_cast<View*>(glfwGetWindowUserPointer(w));
    if (count > 0) drop_file(dropped_on, paths[0]);
  });
  const ImGuiLife life(window.handle, view);
  const Gl gl;
  Capture capture;
  for (int frame = 0, calm = 0; !glfwWindowShouldClose(window.handle) && !asked_to_stop && !view.quit; ++frame) {
    if (frames > 0 && frame >= frames) break;
    calm = is_lively(session, view) ? 0 : calm + 1;
    if (calm > 3)
      glfwWaitEventsTimeout(0.25);  // nothing changes by itself: no frame, no work
    else
      glfwPollEvents();
    apply_looks(view);
    ImGui_ImplOpenGL3_NewFrame();
    ImGui_ImplGlfw_NewFrame();
    ImGui::NewFrame();
    if (const std::string wrong = guarded([&] { draw_app(session, view); }); !wrong.empty()) session.show_error(wrong);
    ImGui::Render();
    capture.after_render(session, view);
    save_settings(view, life.kept_in);
    int w = 0, h = 0;
    glfwGetFramebufferSize(window.handle, &w, &h);
    const ImVec4 ground = as_vec4(theme().ground);
    gl.viewport(0, 0, w, h);
    gl.clear_color(ground.x, ground.y, ground.z, 1);
    gl.clear(0x4000);  // GL_COLOR_BUFFER_BIT
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
    glfwSwapBuffers(window.handle);
  }
  return 0;
}

}  // namespace kvcache::visualizer
