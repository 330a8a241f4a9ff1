// The command kvcache. Exit status: 0, 1 (bad input: the sentence on standard error says what to do), 2 (usage).
#include <fmt/core.h>

#include <new>

#include "commands.hpp"
#include "kvcache/core/check.hpp"
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const kvcache::Error& error) {
    fmt::print(stderr, "kvcache: {}\n", error.what());
    return 1;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "kvcache: there is not enough memory for this; choose a smaller model or fewer tokens\n");
    return 1;
  }
  return 0;
}
