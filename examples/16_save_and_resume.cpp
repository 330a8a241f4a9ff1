// A text is saved with its cache and taken up again: the same logits bit for bit, and no prompt to compute anew.
// Then two ways to copy a cache: clone() copies the rows, fork() shares the pages.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/16_save_and_resume.cpp -lpcre2-8 && ./a.out
#include <unistd.h>

#include <cstdio>
#include <kvcache/cache/paged_cache.hpp>
#include <kvcache/cache/sliding_window_cache.hpp>
#include <kvcache/io.hpp>
#include <kvcache/io/model_fingerprint.hpp>
#include <kvcache/io/session.hpp>
#include <kvcache/kvcache.hpp>

/// Writes 20 tokens; the logits of all steps, one after another.
template <class Cache>
std::vector<float> write_on(const kvcache::Model<float>& model, Cache& cache, std::span<const int> text) {
  kvcache::Transformer<float> transformer(model);
  std::vector<float> logits;
  kvcache::generate(transformer, cache, text, {.tokens = 20}, [&](const kvcache::Step<float>& step) {
    if (step.index == 0) std::printf("  %d tokens reused, %d computed\n", step.tokens_reused, step.tokens_fed);
    logits.insert(logits.end(), step.logits.begin(), step.logits.end());
  });
  return logits;
}
const char* same(const std::vector<float>& a, const std::vector<float>& b) { return a == b ? "yes" : "no"; }

int main() {
  const kvcache::Checkpoint checkpoint(kvcache::find_model("tiny"));
  const auto model = checkpoint.model<float>();
  const kvcache::CacheShape shape = model.config.cache_shape();
  const auto fingerprint = kvcache::model_fingerprint(checkpoint.config(), checkpoint.tensors().tensors);
  kvcache::Transformer<float> transformer(model);
  std::vector<int> text = checkpoint.tokenizer().encode("ROMEO.\nShe speaks.\nO, speak again, bright angel!");

  kvcache::GrowingCache<> cache(shape);
  for (const int token : kvcache::generate(transformer, cache, text, {.tokens = 20})) text.push_back(token);
  // The last token was chosen, but not read: the cache holds one less than the text.
  const auto path = std::filesystem::temp_directory_path() / ("kvcache-" + std::to_string(getpid()) + ".kv");
  kvcache::save_session(path, {"tiny", fingerprint, "growing", text}, cache);
  std::printf("A text of %zu tokens is saved, with %zu bytes of keys and values: a file of %ju bytes.\n", text.size(),
              cache.memory().used_bytes, std::filesystem::file_size(path));

  std::printf("Going on without having stopped:\n");
  const auto without_stop = write_on(model, cache, text);
  std::printf("Going on with a new cache, from the file:\n");
  const kvcache::SavedSession session = kvcache::load_session(path, fingerprint);
  std::filesystem::remove(path);  // it stays mapped as long as the session lives
  kvcache::GrowingCache<> resumed(shape);
  session.restore(resumed);
  const auto from_file = write_on(model, resumed, session.session().tokens);
  std::printf("The same logits bit for bit: %s\n", same(without_stop, from_file));

  std::printf("\nA cache that was made otherwise refuses the bytes, and is left empty:\n");
  kvcache::ByteWriter to;
  resumed.save(to);
  kvcache::SlidingWindowCache<> window(shape);
  try {
    kvcache::ByteReader from(to.written());
    window.load(from);
  } catch (const kvcache::Error& error) {
    std::printf("  %s\n  %d tokens\n", error.what(), window.length(0));
  }

  const auto pool = std::make_shared<kvcache::PagePool<>>(shape, /*pages*/ 16, /*page size*/ 16);
  kvcache::PagedCache<> paged(pool);
  transformer.step(paged, std::span(text).first(text.size() - 1));
  std::printf("\nThe same text in a pool: %d of %d pages are free.\n", pool->free_pages(), pool->pages());
  kvcache::PagedCache<> clone = paged.clone();
  std::printf("  clone() has pages of its own: %d free\n", pool->free_pages());
  kvcache::PagedCache<> fork = paged.fork();
  std::printf("  fork() takes none: %d free\n", pool->free_pages());

  std::vector<int> other_text = text;
  other_text.back() = text.front();
  std::printf("The fork goes on with another token:\n");
  const auto of_fork = write_on(model, fork, other_text);
  std::printf("The cache it came from, and the clone, go on with their own text:\n");
  const auto of_paged = write_on(model, paged, text), of_clone = write_on(model, clone, text);
  std::printf("The same logits in both, bit for bit: %s. So the fork's text left no trace in the pages it shares.\n",
              same(of_paged, of_clone));
  std::printf("The fork wrote another text, with other logits: %s. %d pages are free.\n",
              of_fork != of_paged ? "yes" : "no", pool->free_pages());
}
