// Fuzz target: a GGUF file, its tensors, its tokenizer and its weights.
#pragma once

#include "fuzz/use_tokenizer.hpp"
#include "fuzz/use_weights.hpp"
#include "kvcache/io/gguf_config.hpp"
#include "kvcache/io/gguf_tokenizer.hpp"
#include "kvcache/io/make_tokenizer.hpp"

namespace kvcache_test {

inline void fuzz_gguf(std::string_view bytes) {
  const InputFile input(bytes);
  std::shared_ptr<const kvcache::Gguf> file;
  if (!attempt([&] { file = std::make_shared<kvcache::Gguf>(input.path()); })) return;
  for (const auto& [name, tensor] : file->tensors()) touch(tensor);
  attempt([&] {
    const kvcache::TokenizerData data = kvcache::read_gguf_tokenizer(*file);
    use_tokenizer(kvcache::make_tokenizer(data, file->path()), bytes, 200);
  });
  attempt([&] {
    const kvcache::ModelConfig config = kvcache::read_gguf_config(*file);
    use_weights(config, {file->path(), file->tensors(), file}, kvcache::gguf_names(config));
  });
}

}  // namespace kvcache_test
