// What one frame of the visualizer costs, apart from its pixels: the median time of ImGui for a still picture, and for
// a new step in each frame, with every panel drawn.
//   frame_cost 2040        (tokens in the prompt; random weights of SmolLM2's shape)
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "export/headless.hpp"
#include "kvcache/core/statistics.hpp"
#include "panels/panels.hpp"

using namespace kvcache;
using namespace kvcache::visualizer;

namespace {

double milliseconds_of_frame(Headless& window) {
  const auto start = std::chrono::steady_clock::now();
  window.frame();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  Choice choice;
  choice.model = "shape:smollm2-135m";
  choice.prompt_tokens = argc > 1 ? std::atoi(argv[1]) : 2040;
  choice.tokens = 8;
  choice.repeats = 0;
  Session session;
  View view;
  Headless window(session, view, 1920, 1080);
  session.start(choice);
  session.wait();
  if (!session.error().empty()) return std::printf("%s\n", session.error().c_str()), 1;
  window.settle();
  view.side_by_side = view.reset_layout = true;  // tabs hide panels: here all are to be seen
  window.settle();
  std::vector<double> still, moving;
  for (int i = 0; i < 100; ++i) still.push_back(milliseconds_of_frame(window));
  for (int i = 0; i < 100; ++i) {
    view.step = i % 2 == 0 ? 6 : 7;
    moving.push_back(milliseconds_of_frame(window));
  }
  std::printf("%d layers x %d tokens, %zu panels: a still frame %.2f ms, a new step %.2f ms (medians of 100)\n",
              session.timeline().about().config.layers, session.timeline().length_after(7), panels.size(),
              median(still), median(moving));
  std::printf("the timeline takes %.1f MB\n", double(session.timeline().bytes()) / 1e6);
}
