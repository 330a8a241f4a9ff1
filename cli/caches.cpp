// kvcache caches: which caches and formats there are, what each keeps, what it costs, and where to read it.
#include "common/caches.hpp"

#include <fmt/core.h>

#include <memory>

#include "commands.hpp"
#include "common/model_choice.hpp"
#include "common/readable.hpp"

namespace kvcache::cli {
namespace {

void print_caches(const std::string& model) {
  const ModelChoice chosen = choose_model(model);
  const ModelConfig& c = chosen.config;
  fmt::print("POLICY:OPTION=VALUE,OPTION=VALUE   Options are shown as they are if left out.\n\n");
  std::vector<CacheName> names(cache_names.begin(), cache_names.end());
  names.push_back(cache_of_layers);
  for (const CacheName& cache : names) {
    fmt::print("{:<14} keeps {}\n", cache.name, cache.what);
    if (*cache.options) fmt::print("{:<14}   options: {}\n", "", cache.options);
    fmt::print("{:<14}   include/kvcache/{}\n", "", cache.file);
  }
  fmt::print("\nFormats of keys and values, for every policy: format=F, or keys=F and values=F.\n");
  fmt::print("Bytes a token for {}: {} layers, {} kv heads of {}   COMPUTED\n\n", chosen.name, c.layers, c.kv_heads,
             c.head_dim);
  const auto line = [](const std::string& name, const std::string& bytes, const std::string& what) {
    fmt::print("{:<14} {:>10}  {}\n", name, bytes, what);
  };
  const auto price = [&](const std::string& cache, int tokens) {
    return with_commas(std::int64_t(double(memory_of(cache, c.cache_shape(), tokens).used_bytes) / tokens + 0.5));
  };
  for (const RowFormat* format : row_formats::all)
    line(format->name,
         c.head_dim % format->multiple_of == 0 ? price(std::string("growing:format=") + format->name, 1) : "-",
         format->what);
  fmt::print("{:<14} include/kvcache/cache/rows/row_format.hpp\n\n", "");
  fmt::print("For growing and paged (a page is a group) alone, whose rows come in order and stay:\n");
  for (const int bits : {8, 4, 2})
    line("kivi", price(fmt::format("growing:format=kivi,bits={},residual=0", bits), 321),
         fmt::format("bits={}: keys per channel, values per token, and the newest tokens whole", bits));
  fmt::print(
      "{:<14}   options: bits=4, or key-bits=4,value-bits=4; group=32,residual=32,keys-per=channel,values-per=token\n"
      "{:<14}   include/kvcache/cache/rows/kivi_rows.hpp\n",
      "", "");
}

}  // namespace

void add_caches(CLI::App& app) {
  auto model = std::make_shared<std::string>("tiny");
  CLI::App* command = app.add_subcommand("caches", "List caches and formats: what each keeps, costs, and where it is");
  command->footer("Example: kvcache caches --model smollm2");
  command->add_option("--model", *model, "the model whose bytes are shown")->capture_default_str();
  command->callback([model] { print_caches(*model); });
}

}  // namespace kvcache::cli
