// kvcache-visualizer: the command line, and the choice between a window and an exported file.
#include <fmt/core.h>

#include <charconv>

#include "common/program.hpp"
#include "common/text_argument.hpp"
#include "export/export.hpp"
#include "window.hpp"

namespace kvcache::visualizer {
namespace {

struct Arguments {
  Choice choice;
  PromptChoice prompt{.text = Choice().prompt};
  View view;
  ExportChoice exported;
  std::string timeline, size = "1280x720", step;
  bool light = false, dark = false;
  std::optional<float> ui_scale;
  bool without_cache = false;
  int frames = 0;
};

std::pair<int, int> two_numbers(const std::string& text, char between, const char* option, const char* example) {
  int first = 0, second = 0;
  const char *const end = text.data() + text.size(), *at = text.data();
  const auto read = [&](int& number) {  // numbers that an int cannot hold are none
    const auto [rest, error] = std::from_chars(at, end, number);
    at = rest;
    return error == std::errc();
  };
  const bool is_read = read(first) && (at == end || (*at++ == between && read(second) && at == end));
  check(is_read, option, " ", text, ": it must look like ", example);
  return {first, second};
}

void add_options(CLI::App& app, Arguments& a) {
  app.add_option("--model", a.choice.model, "tiny, tiny-mha, tiny-mqa, a Hugging Face folder, or shape:NAME")
      ->capture_default_str();
  a.prompt.add_to(app);
  app.add_option("--prompt-tokens", a.choice.prompt_tokens, "length of the prompt: it is repeated, or cut, to fit");
  app.add_option("--tokens", a.choice.tokens, "how many tokens to write")->capture_default_str();
  app.add_option("--cache", a.choice.cache, "as in kvcache caches, such as growing or window:sinks=4,recent=60")
      ->capture_default_str();
  app.add_option("--device", a.choice.device, "cpu, or cuda: an NVIDIA GPU, whose cache is copied back to be shown")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_flag("--fork", a.choice.fork,
               "another text goes on from the prompt, and shares its pages; for --cache paged");
  app.add_flag("--errors", a.view.inside_errors, "in the panel inside: by how much the cache rounds");
  app.add_option("--select", a.view.opening_selected, "the position, from 0, to select in all panels, as a click does");
  app.add_flag("--without-cache", a.without_cache, "clear the cache before each step");
  app.add_option("--temperature", a.choice.sampling.temperature, "0: greedy")->capture_default_str();
  app.add_option("--top-k", a.choice.sampling.top_k, "only the k likeliest tokens; 0: all")->capture_default_str();
  app.add_option("--top-p", a.choice.sampling.top_p, "only the likeliest that reach this probability")
      ->capture_default_str();
  app.add_option("--seed", a.choice.sampling.seed, "of the sampling")->capture_default_str();
  app.add_option("--repeats", a.choice.repeats, "how often the run is timed with and without the cache; 0: never")
      ->capture_default_str();
  app.add_option("--step", a.step, "show the step after which so many tokens are read; for a GIF a range, such as 5-30")
      ->default_str("5, or the first after the prompt");
  app.add_option("--panel", a.exported.panel,
                 "show one panel large: narration, tokens, work, cache-map, inside, "
                 "attention, timing, memory or proof");
  app.add_option("--export", a.exported.path,
                 "write a file instead of opening a window: .png, .gif, .csv, .json or .safetensors; needs no display");
  app.add_option("--timeline", a.timeline, "open a run that was saved as .safetensors, instead of making one");
  app.add_option("--size", a.size, "of the window or picture")->capture_default_str();
  app.add_option("--ui-scale", a.ui_scale, "size of text and all else, 0.5 to 4; default: the display's");
  CLI::Option* light = app.add_flag("--light", a.light, "a light theme, for bright rooms; else as last time");
  app.add_flag("--dark", a.dark, "a dark theme")->excludes(light);
  app.add_option("--frames", a.frames, "close the window after so many frames, for tests")->group("");
}

int run(Arguments& a) {
  a.choice.use_cache = !a.without_cache;
  if (a.light || a.dark) a.view.dark = a.dark, a.view.theme_is_chosen = true;
  check(!a.ui_scale || (*a.ui_scale >= 0.5f && *a.ui_scale <= 4), "--ui-scale ", a.ui_scale.value_or(0),
        ": from 0.5 to 4 is possible");  // what is no number is in no range
  if (a.ui_scale) a.view.ui_scale = *a.ui_scale, a.view.scale_is_chosen = true;
  std::tie(a.exported.width, a.exported.height) = two_numbers(a.size, 'x', "--size", "1280x720");
  check(a.exported.width >= 320 && a.exported.height >= 200 && a.exported.width <= 7680 && a.exported.height <= 4320,
        "--size ", a.size, ": from 320x200 to 7680x4320 is possible");
  if (!a.step.empty()) {
    std::tie(a.exported.first_token, a.exported.last_token) = two_numbers(a.step, '-', "--step", "5 or 5-30");
    check(a.exported.first_token >= 1, "--step ", a.step, ": tokens are counted from 1");
  }
  a.view.opening_token = a.exported.first_token;
  if (!a.exported.path.empty()) check_export(a.exported);
  a.choice.prompt = a.prompt.read();
  Session session;
  if (a.timeline.empty())
    session.start(a.choice);
  else
    session.open(a.timeline);
  if (!a.exported.path.empty()) {
    export_file(session, a.view, a.exported);
    fmt::print("{} is written\n", printable(a.exported.path));
    return 0;
  }
  return show_window(session, a.view, a.exported.width, a.exported.height, a.frames);
}

}  // namespace
}  // namespace kvcache::visualizer

int main(int argc, char** argv) {
  CLI::App app{"Step through decoding, and watch the key/value cache fill."};
  app.footer(
      "Examples: kvcache-visualizer\n"
      "          kvcache-visualizer --model shape:smollm2-135m --tokens 100\n"
      "          kvcache-visualizer --export fifth.png --step 5\n"
      "          kvcache-visualizer --export filling.gif --step 5-30 --panel cache-map");
  kvcache::visualizer::Arguments arguments;
  kvcache::visualizer::add_options(app, arguments);
  return kvcache::run_program("kvcache-visualizer", app, argc, argv,
                              [&] { return kvcache::visualizer::run(arguments); });
}
