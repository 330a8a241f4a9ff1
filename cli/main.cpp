// The command kvcache. Exit status: 0, 1 (bad input, or output that cannot be written: the sentence on standard error
// says what to do), 2 (usage), 128 + the number of the signal that stopped it.
#include "commands.hpp"
#include "common/program.hpp"
#include "kvcache/core/version.hpp"

int main(int argc, char** argv) {
  CLI::App app{
      "Key/value caches of transformers: what they save, what they cost, and the proof that they change nothing."};
  app.set_version_flag("--version", std::string("kvcache ") + KVCACHE_VERSION);
  app.require_subcommand(1);
  app.footer("Example: kvcache race            (kvcache COMMAND --help tells more)");
  kvcache::cli::add_race(app);
  kvcache::cli::add_generate(app);
  kvcache::cli::add_info(app);
  kvcache::cli::add_memory(app);
  kvcache::cli::add_caches(app);
  kvcache::cli::add_quality(app);
  kvcache::cli::add_plot(app);
  kvcache::cli::add_tokenize(app);
  return kvcache::run_program("kvcache", app, argc, argv, [] { return 0; });
}
