// Pages from one pool: what a text takes, what two texts share, and what a known beginning saves.
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/10_pages_forks_and_prefixes.cpp && ./a.out
#include <cstdio>
#include <kvcache/cache/prefix_tree.hpp>
#include <vector>

using Pool = kvcache::PagePool<>;
using Cache = kvcache::PagedCache<>;
const kvcache::CacheShape shape{.layers = 6, .kv_heads = 2, .head_dim = 32};

/// As a model would: reads the tokens of a text that the cache does not hold yet.
int read(Cache& cache, int length) {
  const int first = cache.length(0);
  const auto rows = kvcache::Matrix<float>::Ones(length - first, shape.row_size()).eval();
  for (int layer = 0; layer < shape.layers; ++layer) cache.append(layer, first, kvcache::in(rows), kvcache::in(rows));
  return length - first;
}
void show(const char* name, const Cache& cache) {
  const kvcache::MemoryUse memory = cache.memory();
  std::printf("  %-6s %3d tokens, pages", name, cache.length(0));
  for (const int page : cache.table()) std::printf(" %d(x%d)", page, cache.pool().references(page));
  std::printf("   slack: %zu of %zu bytes\n", memory.reserved_bytes - memory.used_bytes, memory.reserved_bytes);
}

int main() {
  const auto pool = std::make_shared<Pool>(shape, /*pages*/ 32, /*page_size*/ 16);
  std::printf("A pool of %d pages of %d tokens, %zu bytes each.\n", pool->pages(), pool->page_size(),
              pool->page_bytes());
  std::printf("Reserving the longest text, 1,024 tokens, for each of 3 texts would take %d pages.\n\n", 3 * 1024 / 16);

  Cache a(pool), b(pool);
  read(a, 40), read(b, 5);
  std::printf("Two texts (a page, and in how many tables it stands):\n");
  show("a", a), show("b", b);

  Cache fork = a.fork();
  std::printf("\nfork() of a takes no page:\n");
  show("a", a), show("fork", fork);
  read(fork, 42);
  std::printf("The fork writes on. Its last page was shared, so it takes a copy of that page alone:\n");
  show("a", a), show("fork", fork);
  std::printf("%d of %d pages are free.\n\n", pool->free_pages(), pool->pages());

  a.clear(), b.clear(), fork.clear();
  kvcache::PrefixTree<> tree(pool);
  std::vector<int> prompt(50);
  for (int i = 0; i < 50; ++i) prompt[std::size_t(i)] = 1000 + i;  // instructions that every question begins with
  std::printf("Questions that begin with the same 50 tokens, and a tree that remembers full pages:\n");
  for (int question = 0; question < 3; ++question) {
    prompt.resize(50);
    for (int i = 0; i < 10; ++i) prompt.push_back(2000 + 100 * question + i);
    Cache cache(pool);
    const int found = tree.find(prompt, cache), computed = read(cache, int(prompt.size()));
    tree.insert(prompt, cache);
    std::printf("  question %d: %2d tokens found, %2d computed\n", question + 1, found, computed);
  }
}
