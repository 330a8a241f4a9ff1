# The libraries of the visualizer: targets imgui::imgui (with the glfw and opengl3 backends), implot::implot and glfw.
# First as CMake packages of these names (vcpkg has them), else from a folder with include/imgui.h and lib/libimgui.a,
# which scripts/fetch_gui.sh fetches. ImPlot must be 0.18 or newer.
include(FindPackageHandleStandardArgs)

set(KVCACHE_IMGUI_PREFIX "${PROJECT_SOURCE_DIR}/build/imgui" CACHE PATH
    "Folder with include/imgui.h and lib/libimgui.a: Dear ImGui (docking), ImPlot and GLFW")

find_package(imgui CONFIG QUIET)
find_package(implot CONFIG QUIET)
find_package(glfw3 3.4 CONFIG QUIET)
if(TARGET imgui::imgui AND TARGET implot::implot AND TARGET glfw)
  set(GuiStack_SOURCE "CMake packages")
  get_target_property(GuiStack_INCLUDE_DIR implot::implot INTERFACE_INCLUDE_DIRECTORIES)
else()
  # Looked for anew each time: the folder may have come since.
  unset(GuiStack_INCLUDE_DIR CACHE)
  unset(GuiStack_IMGUI_LIBRARY CACHE)
  unset(GuiStack_GLFW_LIBRARY CACHE)
  find_path(GuiStack_INCLUDE_DIR imgui.h PATHS ${KVCACHE_IMGUI_PREFIX}/include NO_DEFAULT_PATH)
  find_library(GuiStack_IMGUI_LIBRARY imgui PATHS ${KVCACHE_IMGUI_PREFIX}/lib NO_DEFAULT_PATH)
  find_library(GuiStack_GLFW_LIBRARY glfw3 PATHS ${KVCACHE_IMGUI_PREFIX}/lib NO_DEFAULT_PATH)
  mark_as_advanced(GuiStack_INCLUDE_DIR GuiStack_IMGUI_LIBRARY GuiStack_GLFW_LIBRARY)
  if(GuiStack_INCLUDE_DIR AND GuiStack_IMGUI_LIBRARY AND GuiStack_GLFW_LIBRARY)
    find_package(Threads REQUIRED)
    if(NOT TARGET glfw)
      add_library(glfw STATIC IMPORTED GLOBAL)
      set_target_properties(glfw PROPERTIES IMPORTED_LOCATION ${GuiStack_GLFW_LIBRARY}
                                            INTERFACE_INCLUDE_DIRECTORIES ${GuiStack_INCLUDE_DIR})
      target_link_libraries(glfw INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
    endif()
    if(NOT TARGET imgui::imgui)  # its backends lie in the same archive, and are linked only where they are called
      add_library(imgui::imgui STATIC IMPORTED GLOBAL)
      set_target_properties(imgui::imgui PROPERTIES IMPORTED_LOCATION ${GuiStack_IMGUI_LIBRARY}
                                                    INTERFACE_INCLUDE_DIRECTORIES ${GuiStack_INCLUDE_DIR})
      target_link_libraries(imgui::imgui INTERFACE glfw ${CMAKE_DL_LIBS})
    endif()
    if(NOT TARGET implot::implot)
      add_library(implot::implot INTERFACE IMPORTED GLOBAL)
      target_link_libraries(implot::implot INTERFACE imgui::imgui)
    endif()
    set(GuiStack_SOURCE "${KVCACHE_IMGUI_PREFIX}")
  endif()
endif()

if(GuiStack_SOURCE)
  set(GuiStack_IMPLOT_IS_NEW FALSE)
  foreach(folder ${GuiStack_INCLUDE_DIR})
    if(EXISTS ${folder}/implot.h)
      file(STRINGS ${folder}/implot.h implot_version REGEX "define IMPLOT_VERSION_NUM")
      string(REGEX MATCH "[0-9]+$" implot_version "${implot_version}")
      if(implot_version GREATER_EQUAL 1801)
        set(GuiStack_IMPLOT_IS_NEW TRUE)
      endif()
    endif()
  endforeach()
endif()
find_package_handle_standard_args(GuiStack REQUIRED_VARS GuiStack_SOURCE GuiStack_IMPLOT_IS_NEW)
