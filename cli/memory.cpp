// kvcache memory: what a cache costs for a model, a length and a batch, and what fits in a budget. All figures
// COMPUTED.
#include <fmt/core.h>

#include <array>
#include <cctype>
#include <memory>
#include <set>

#include "commands.hpp"
#include "common/caches.hpp"
#include "common/model_choice.hpp"
#include "terminal.hpp"

namespace kvcache::cli {
namespace {

/// Bits a cached number takes, its share of the scales included.
struct CacheFormat {
  const char* name;
  double bits;
};
constexpr std::array<CacheFormat, 4> formats{{{"f32", 32}, {"f16", 16}, {"q8_0", 8.5}, {"q4_0", 4.5}}};

struct MemoryChoice {
  std::string model = "tiny", budget, weights;  // weights: empty for those of the model's files
  std::vector<std::string> caches;              // as make_cache reads them
  int tokens = 0, batch = 1;
};

/// "24GiB", "512 MiB", "8e9": bytes. Errors: anything else, or nothing.
double bytes_of_budget(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string unit = end;
  std::erase_if(unit, [](unsigned char c) { return std::isspace(c); });
  const std::vector<std::pair<std::string, double>> units{
      {"", 1},         {"B", 1},    {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30},
      {"TiB", 0x1p40}, {"KB", 1e3}, {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12}};
  for (const auto& [name, factor] : units)
    if (unit == name && end != text.c_str() && number > 0 && number * factor < 1e18) return number * factor;
  fail("--budget ", text, ": not a number of bytes; write it as 24GiB, 512MiB or 8e9");
}

/// A model's own folder, a shape with or without "shape:", whichever knows the name.
ModelChoice choose_config(const std::string& name) {
  for (const NamedShape& shape : named_shapes)
    if (name == shape.name && name != "tiny") return choose_model(std::string(shape_prefix) + name);
  return choose_model(name);
}

double bytes_per_token(const ModelConfig& c, int kv_heads, double bits) {
  return double(CacheShape{c.layers, kv_heads, c.head_dim}.bytes_per_token(1)) * bits / 8;
}

void print_prices(const ModelConfig& c, const MemoryChoice& choice) {
  fmt::print(
      "\nbytes per token = 2 (key, value) x {} layers x {} kv heads x {} numbers x bytes per number   COMPUTED\n\n",
      c.layers, c.kv_heads, c.head_dim);
  fmt::print("{:>8} {:>16} {:>26} {:>26}\n", "format", "a token", fmt::format("{} tokens", with_commas(choice.tokens)),
             fmt::format("a batch of {}", choice.batch));
  for (const auto& format : formats) {
    const double token = bytes_per_token(c, c.kv_heads, format.bits);
    fmt::print("{:>8} {:>14} B {:>26} {:>26}\n", format.name, with_commas(std::int64_t(token)),
               readable_bytes(token * choice.tokens), readable_bytes(token * choice.tokens * choice.batch));
  }
}

void print_heads(const ModelConfig& c) {
  fmt::print("\nthe same model with other kv heads, f32, per token   COMPUTED\n\n");
  const auto line = [&](const char* name, int kv_heads) {
    const double token = bytes_per_token(c, kv_heads, 32);
    fmt::print("{:>8} {:>4} kv heads {:>14} B   1/{} of MHA{}\n", name, kv_heads, with_commas(std::int64_t(token)),
               c.q_heads / kv_heads, kv_heads == c.kv_heads ? "   <- this model" : "");
  };
  line("MHA", c.q_heads);
  if (c.kv_heads != c.q_heads && c.kv_heads != 1)
    line("GQA", c.kv_heads);
  else if (c.q_heads % 2 == 0 && c.q_heads > 2)
    line("GQA", c.q_heads / 2);
  line("MQA", 1);
}

/// As they lie in the model's files, whatever their formats; in f16 for a shape; or as was asked for.
double weight_bytes(const ModelChoice& chosen, const MemoryChoice& choice) {
  if (choice.weights.empty() && !chosen.is_shape()) try {
      return double(chosen.files->weight_bytes());
    } catch (const Error& error) {
      fail(error.what(), "; --weights f16 counts them by the model's config alone");
    }
  return double(chosen.config.parameters()) * (choice.weights == "f32" ? 4 : 2);
}

/// The caches that were named, beside each other.
void print_caches(const ModelChoice& chosen, const MemoryChoice& choice) {
  const ModelConfig& c = chosen.config;
  const bool has_budget = !choice.budget.empty();
  std::size_t width = 5;
  for (const std::string& cache : choice.caches) width = std::max(width, cache.size());
  fmt::print(
      "\na text of {} tokens, as each cache counts its own bytes   COMPUTED\n\n{:<{}} {:>12} {:>12} {:>12} {:>20}{}\n",
      with_commas(choice.tokens), "cache", width, "in use", "reserved", "of it slow",
      fmt::format("reserved, batch of {}", choice.batch), has_budget ? "   texts that fit" : "");
  for (const std::string& cache : choice.caches) {
    const MemoryUse memory = memory_of(cache, c.cache_shape(), choice.tokens);
    fmt::print("{:<{}} {:>12} {:>12} {:>12} {:>20}", cache, width, readable_bytes(double(memory.used_bytes)),
               readable_bytes(double(memory.reserved_bytes)), readable_bytes(double(memory.slow_bytes)),
               readable_bytes(double(memory.reserved_bytes) * choice.batch));
    const double fast = double(memory.reserved_bytes - std::min(memory.reserved_bytes, memory.slow_bytes));
    if (has_budget)
      fmt::print("   {:>15}", with_commas(std::int64_t(
                                  std::max(0., bytes_of_budget(choice.budget) - weight_bytes(chosen, choice)) / fast)));
    fmt::print("\n");
  }
}

void print_capacity(const ModelChoice& chosen, const MemoryChoice& choice) {
  const ModelConfig& c = chosen.config;
  const double budget = bytes_of_budget(choice.budget), weights = weight_bytes(chosen, choice), left = budget - weights;
  const char* as = !choice.weights.empty() ? choice.weights.c_str() : chosen.is_shape() ? "f16" : "as in the file";
  fmt::print("\nin {}: weights ({}, {} parameters) take {}", readable_bytes(budget), as, with_commas(c.parameters()),
             readable_bytes(weights));
  if (left <= 0) {
    fmt::print("; they do not fit, so no sequence does   COMPUTED\n");
    return;
  }
  fmt::print(", {} are left for caches\nsequences that fit at once, by length:   COMPUTED\n\n{:>8}",
             readable_bytes(left), "format");
  std::set<int> lengths{choice.tokens};
  for (int n = 512; n <= c.max_positions && lengths.size() < 8; n *= 4) lengths.insert(n);
  for (const int n : lengths) fmt::print(" {:>11}", with_commas(n));
  fmt::print("  tokens\n");
  for (const auto& format : formats) {
    fmt::print("{:>8}", format.name);
    for (const int n : lengths)
      fmt::print(" {:>11}", with_commas(std::int64_t(left / (bytes_per_token(c, c.kv_heads, format.bits) * n))));
    fmt::print("\n");
  }
}

void run_memory(MemoryChoice choice) {
  const ModelChoice chosen = choose_config(choice.model);
  const ModelConfig& c = chosen.config;
  if (choice.tokens == 0) choice.tokens = c.max_positions;
  check(choice.tokens >= 1, "--tokens ", choice.tokens, ": at least 1 is needed");
  check(choice.batch >= 1, "--batch ", choice.batch, ": at least 1 is needed");
  fmt::print("{}: {} layers, {} query heads, {} kv heads, head_dim {}, {} positions\n", choice.model, c.layers,
             c.q_heads, c.kv_heads, c.head_dim, with_commas(c.max_positions));
  if (choice.tokens > c.max_positions)
    fmt::print("note: {} tokens are more than the model's positions\n", with_commas(choice.tokens));
  if (!choice.caches.empty()) return print_caches(chosen, choice);
  print_prices(c, choice);
  print_heads(c);
  if (!choice.budget.empty()) print_capacity(chosen, choice);
}

}  // namespace

void add_memory(CLI::App& app) {
  auto choice = std::make_shared<MemoryChoice>();
  CLI::App* command = app.add_subcommand("memory", "What a cache costs: per token, sequence and batch, and what fits");
  std::string names;
  for (const NamedShape& shape : named_shapes) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  command->footer("Example: kvcache memory --model llama-3.1-8b --tokens 8192 --batch 8 --budget 24GiB");
  command->add_option("--model", choice->model, "a model's folder, or a shape: " + names)->capture_default_str();
  command->add_option("--cache", choice->caches,
                      "as in kvcache caches, more than once to compare; default: a table of formats");
  command->add_option("--tokens", choice->tokens, "length of the text; default: the model's positions");
  command->add_option("--batch", choice->batch, "texts at the same time")->capture_default_str();
  command->add_option("--budget", choice->budget, "memory for weights and caches, such as 24GiB");
  command
      ->add_option("--weights", choice->weights,
                   "format of the weights beside the caches; default: as they lie in the model's files, f16 for shapes")
      ->check(CLI::IsMember({"f16", "f32"}));
  command->callback([choice] { run_memory(*choice); });
}

}  // namespace kvcache::cli
