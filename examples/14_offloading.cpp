// A cache whose older tokens lie in a file: the same logits, less memory, and more to fetch in every step.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/14_offloading.cpp -lpcre2-8 && ./a.out
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <kvcache/cache/offloaded_cache.hpp>
#include <kvcache/cache/paged_cache.hpp>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

int main() {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<float>(folder);
  const kvcache::CacheShape shape = model.config.cache_shape();
  const std::vector<int> prompt = kvcache::load_tokenizer(folder).encode("ROMEO.\nShe speaks.\n");

  kvcache::Transformer<float> transformer(model);
  using Logits = std::vector<std::vector<float>>;  // of each step
  const auto write = [&](auto& cache, auto&& on_step) {
    Logits logits;
    kvcache::generate(transformer, cache, prompt, {.tokens = 200}, [&](const kvcache::Step<float>& step) {
      logits.emplace_back(step.logits.begin(), step.logits.end());
      on_step(step.memory);
    });
    return logits;
  };
  const auto nothing = [](const kvcache::MemoryUse&) {};
  kvcache::GrowingCache<> growing(shape);
  const Logits in_one_piece = write(growing, nothing);
  kvcache::PagedCache<> paged(std::make_shared<kvcache::PagePool<>>(shape, /*pages*/ 16, /*page size*/ 16));
  const Logits in_blocks = write(paged, nothing);

  std::printf("Blocks of 16 tokens, %zu bytes each in all %d layers. The newest 2 stay in memory.\n\n",
              16 * shape.bytes_per_token(sizeof(float)), shape.layers);
  std::printf("        growing cache        offloaded cache\n");
  std::printf("tokens  bytes in memory      bytes in memory  bytes in the file  hits    misses\n");
  kvcache::OffloadedCache<> offloaded(shape, {.block = 16, .recent = 2});
  auto before = offloaded.traffic();
  const Logits from_file = write(offloaded, [&](const kvcache::MemoryUse& memory) {
    const auto now = offloaded.traffic();
    const double hits = double(now.hits - before.hits), misses = double(now.misses - before.misses);
    before = now;
    if (const int length = offloaded.length(0); length % 32 == 0)
      std::printf("%6d %16zu %20zu %18zu %5.1f %% %7.1f %%\n", length, memory.used_bytes,
                  memory.used_bytes - memory.slow_bytes, memory.slow_bytes, 100 * hits / (hits + misses),
                  100 * misses / (hits + misses));
  });
  std::printf("\nA hit is a visit of attention to a block in memory, a miss one to a block in the file. [counted]\n\n");

  std::printf("Steps with the same logits, bit for bit:\n");
  const auto compare = [&](const char* with_what, const Logits& others) {
    int same = 0;
    double largest = 0;
    for (std::size_t step = 0; step < others.size(); ++step) {
      same += from_file[step] == others[step];
      for (std::size_t i = 0; i < others[step].size(); ++i)
        largest = std::max(largest, std::abs(double(from_file[step][i]) - double(others[step][i])));
    }
    std::printf("  %-38s %3d of %zu\n", with_what, same, others.size());
    std::printf("  %-38s %.1e   MEASURED\n", "largest difference", largest);
  };
  compare("pages of 16 tokens, all in memory", in_blocks);
  compare("all tokens in one piece of memory", in_one_piece);
  std::printf("Where a row lies changes no bit: a step adds the rows in the order of the text.\n");
}
