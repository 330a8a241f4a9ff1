// kvcache info: what a model on disk is, before anybody waits for its weights.
#include <fmt/core.h>

#include <map>
#include <memory>
#include <optional>

#include "commands.hpp"
#include "common/device_model.hpp"
#include "common/printable.hpp"
#include "common/readable.hpp"
#include "json_output.hpp"
#include "loading.hpp"
#include "outputs.hpp"

namespace kvcache::cli {
namespace {

struct FormatShare {
  int tensors = 0;
  std::size_t numbers = 0, bytes = 0;
};

/// What the tensors are stored in, by format.
std::map<std::string, FormatShare> formats_of(const TensorFiles& files) {
  std::map<std::string, FormatShare> shares;
  const auto count = [&](const std::string& format, const std::vector<std::size_t>& shape, std::size_t bytes) {
    FormatShare& share = shares[format];
    std::size_t numbers = 1;
    for (const std::size_t length : shape) numbers *= length;
    ++share.tensors, share.numbers += numbers, share.bytes += bytes;
  };
  for (const auto& [key, tensor] : files.tensors) count(name(tensor.format), tensor.shape, tensor.bytes.size());
  for (const auto& [key, tensor] : files.unread) count(tensor.type + " (cannot be read)", tensor.shape, tensor.bytes);
  return shares;
}

/// What the files of a model hold beside its config.
struct Contents {
  std::map<std::string, FormatShare> formats;
  int tokenizer_size = 0;
  std::string chat_format = "none";
};

/// What its chat template writes, in words: a known format, one of its own, or why it cannot be followed.
std::string chat_format_of(const Checkpoint& files) {
  try {
    const std::optional<ChatTemplate> chat = files.chat_template();
    return chat ? std::string(chat->name()) : "none";
  } catch (const Error& error) {
    return std::string("cannot be followed: ") + error.what();
  }
}

std::string positions_in_words(const ModelConfig& c) {
  if (c.position == PositionKind::learned) return "learned";
  std::string words = fmt::format("rope, base {:g}", c.rope_theta);
  if (c.rope_pairs == RopePairs::interleaved) words += ", neighbouring pairs";
  if (!c.rope_divisors.empty()) words += ", stretched";
  return words;
}

std::string extras_in_words(const ModelConfig& c) {
  std::string words = c.tied_output ? "output layer tied to the embedding" : "output layer of its own";
  if (c.qkv_bias) words += ", biases on q, k and v";
  if (c.attention_out_bias) words += ", bias after attention";
  if (c.ffn_bias) words += ", biases in the feed-forward network";
  if (c.qk_norm) words += ", norms of queries and keys";
  return words;
}

/// Reads while it prints: of a model whose tokenizer cannot be used, all else is shown. Returns what it read.
Contents print_info(const ModelChoice& chosen) {
  Contents contents;
  const ModelConfig& c = chosen.config;
  const auto line = [](const char* what, const std::string& words) {
    fmt::print("{:<12} {}\n", what, printable(words));
  };
  line("model",
       chosen.is_shape() ? chosen.name + " (a shape: RANDOM weights, no tokenizer)" : chosen.files->path().string());
  line("family", c.family);
  line("layers", fmt::format("{}, {} wide, feed-forward {}", c.layers, c.hidden, c.ffn));
  line("attention", fmt::format("{} query heads, {} kv heads of {} ({})", c.q_heads, c.kv_heads, c.head_dim,
                                c.kv_heads == c.q_heads ? "MHA"
                                : c.kv_heads == 1       ? "MQA"
                                                        : "GQA"));
  line("positions", fmt::format("{}, {}", with_commas(c.max_positions), positions_in_words(c)));
  line("extras", extras_in_words(c));
  line("parameters", with_commas(c.parameters()));
  if (!chosen.is_shape()) {
    contents.formats = formats_of(chosen.files->tensors());
    for (const auto& [format, share] : contents.formats)
      line("weights", fmt::format("{}: {} tensors, {} numbers, {}", format, share.tensors,
                                  with_commas(std::int64_t(share.numbers)), readable_bytes(double(share.bytes))));
    contents.tokenizer_size = chosen.files->tokenizer().vocab_size();
    line("vocabulary",
         fmt::format("{} tokens; the tokenizer has {}", with_commas(c.vocab), with_commas(contents.tokenizer_size)));
    contents.chat_format = chat_format_of(*chosen.files);
    line("chat format", contents.chat_format);
  }
  const double per_token = double(c.cache_shape().bytes_per_token(1));  // with one byte a number
  line("cache", fmt::format("{} B a token in f32, {} B in f16: 2 x {} layers x {} kv heads x {} x bytes   COMPUTED",
                            with_commas(std::int64_t(4 * per_token)), with_commas(std::int64_t(2 * per_token)),
                            c.layers, c.kv_heads, c.head_dim));
  line("", fmt::format("{} for a text of {} tokens in f32", readable_bytes(4 * per_token * c.max_positions),
                       with_commas(c.max_positions)));
  return contents;
}

/// The machine's GPUs.
void print_devices(const std::vector<DeviceInfo>& devices) {
  if (devices.empty()) fmt::print("{:<12} none that can be used\n", "GPU");
  for (const DeviceInfo& d : devices)
    fmt::print("{:<12} {}: {} of memory, {} free; {:.0f} GB/s by its clock   COMPUTED\n", "GPU", d.name,
               readable_bytes(double(d.memory_bytes)), readable_bytes(double(d.free_bytes)), d.gigabytes_per_second);
}

nlohmann::json to_json(const ModelChoice& chosen, const Contents& contents) {
  const ModelConfig& c = chosen.config;
  nlohmann::json json{{"model", chosen.name},
                      {"family", c.family},
                      {"layers", c.layers},
                      {"hidden", c.hidden},
                      {"q_heads", c.q_heads},
                      {"kv_heads", c.kv_heads},
                      {"head_dim", c.head_dim},
                      {"ffn", c.ffn},
                      {"vocab", c.vocab},
                      {"max_positions", c.max_positions},
                      {"parameters", c.parameters()},
                      {"cache_bytes_per_token_f32", c.cache_shape().bytes_per_token(4)}};
  if (chosen.is_shape()) return json;
  for (const auto& [format, share] : contents.formats)
    json["weights"][format] = {{"tensors", share.tensors}, {"numbers", share.numbers}, {"bytes", share.bytes}};
  json["tokenizer_size"] = contents.tokenizer_size;
  json["chat_format"] = contents.chat_format;
  return json;
}

}  // namespace

void add_info(CLI::App& app) {
  struct Choice {
    std::string model = "tiny", json;
  };
  auto choice = std::make_shared<Choice>();
  CLI::App* command = app.add_subcommand("info", "Say what a model is: family, shapes, formats, cache bytes per token");
  command->footer("Example: kvcache info --model smollm2");
  command->add_option("--model", choice->model, model_help)->capture_default_str();
  command->add_option("--json", choice->json, "write it to this file too");
  command->callback([choice] {
    Outputs outputs({choice->json});
    const ModelChoice chosen = choose_model(choice->model);
    const Contents contents = print_info(chosen);
    print_devices(list_devices());
    outputs.write(choice->json, [&] { return json_text(to_json(chosen, contents)); });
    outputs.finish();
  });
}

}  // namespace kvcache::cli
