// A cache of your own, recorded step by step: the ready-built visualizer opens the file. Nothing in kvcache is changed.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/23_your_cache_in_the_visualizer.cpp -lpcre2-8 && ./a.out
#include <cstdio>
#include <kvcache/io.hpp>
#include <kvcache/observe.hpp>
#include <kvcache/observe/timeline_file.hpp>

#include "strided_cache.hpp"  // here goes your own

int main(int argc, char** argv) {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<float>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  kvcache::Transformer<float> transformer(model);
  const std::vector<int> prompt = tokenizer.encode("To be, or not to be");
  const int tokens = 40;

  kvcache::TimelineAbout about;  // what the file will say of the run
  about.model = "tiny", about.config = model.config, about.cache = "every 4th, and the newest 8";
  about.prompt = prompt, about.tokens = tokens;
  for (const int id : prompt) about.spelling[id] = tokenizer.bytes_of(id);
  kvcache::Timeline timeline(about);
  kvcache::TracedDecoding<float, StridedCache<>> decoding(
      transformer, StridedCache<>(model.config.cache_shape(), /*recent*/ 8, /*stride*/ 4), prompt, {.tokens = tokens},
      {.all_layers = true});
  while (!decoding.done()) {
    kvcache::StepRecord step = decoding.next();
    step.spelling[step.token] = tokenizer.bytes_of(step.token);
    timeline.add(std::move(step));
  }
  if (argc > 1) kvcache::save_timeline(timeline, argv[1]);  // then: kvcache-visualizer --timeline run.safetensors

  const kvcache::StepRecord& last = timeline.step(timeline.steps() - 1);
  std::printf("%d steps; at the end layer 0 keeps %d of %d tokens\n", timeline.steps(), last.layout(0).rows(),
              timeline.length_after(last.index));
}
