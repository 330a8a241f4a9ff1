// The same as 17_two_layers in a trained model: one token of a text is replaced. By how much does the last key change?
// g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/22_what_a_deeper_key_depends_on.cpp -lpcre2-8 && ./a.out
#include <cstdio>
#include <kvcache/io.hpp>
#include <kvcache/kvcache.hpp>

int main() {
  const auto folder = kvcache::find_model("tiny");
  const auto model = kvcache::load_model<float>(folder);
  const auto tokenizer = kvcache::load_tokenizer(folder);
  const kvcache::CacheShape shape = model.config.cache_shape();
  const std::vector<int> text = tokenizer.encode("To be, or not");
  const auto read = [&](const std::vector<int>& tokens) {
    kvcache::Transformer<float> transformer(model);
    kvcache::GrowingCache<> cache(shape);
    transformer.step(cache, tokens);
    return cache;
  };
  /// The largest difference of two keys of one token in one layer, over all heads.
  const auto difference = [&](const auto& a, const auto& b, int layer, int position) {
    float largest = 0;
    for (int head = 0; head < shape.kv_heads; ++head)
      a.for_each_block(layer, head, [&](const auto& ours) {
        b.for_each_block(layer, head, [&](const auto& theirs) {
          const auto apart = (ours.keys.matrix().row(position) - theirs.keys.matrix().row(position)).eval();
          largest = std::max(largest, apart.cwiseAbs().maxCoeff());
        });
      });
    return largest;
  };
  const auto before = read(text);
  const int last = int(text.size()) - 1;
  std::printf("\"To be, or not\": %d tokens. The largest change of a number in a key, layer by layer:\n\n", last + 1);
  std::printf("replaced   whose key     layer 0  layer 1  layer 2  layer 3  layer 4  layer 5\n");
  for (const auto& [replaced, looked_at] : {std::pair{0, 0}, {0, last}, {last, 0}, {last, last}}) {
    std::vector<int> other = text;
    other[std::size_t(replaced)] = tokenizer.encode(" a").front();
    const auto after = read(other);
    std::printf("token %d    token %d's   ", replaced + 1, looked_at + 1);
    for (int layer = 0; layer < shape.layers; ++layer)
      std::printf(" %8.2f", double(difference(before, after, layer, looked_at)));
    std::printf("\n");
  }
}
