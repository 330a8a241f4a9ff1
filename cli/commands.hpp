// The commands of the program kvcache. Each adds itself to the command line, with its options and an example.
#pragma once

#include <CLI/CLI.hpp>

namespace kvcache::cli {

void add_caches(CLI::App& app);
void add_generate(CLI::App& app);
void add_race(CLI::App& app);
void add_info(CLI::App& app);
void add_memory(CLI::App& app);
void add_plot(CLI::App& app);
void add_quality(CLI::App& app);
void add_tokenize(CLI::App& app);

}  // namespace kvcache::cli
