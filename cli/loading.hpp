// Reading a model while a person waits at a terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "common/model_choice.hpp"
#include "terminal.hpp"

namespace kvcache::cli {

/// As kvcache::load, with a line on the terminal meanwhile.
template <class Scalar>
Model<Scalar> load_with_notice(const ModelChoice& choice, std::uint64_t seed, WeightsAs as = WeightsAs::packed) {
  const Notice notice((choice.is_shape() ? "drawing random weights for " : "reading ") + choice.name);
  return load<Scalar>(choice, seed, as);
}

inline constexpr const char* model_help =
    "tiny, smollm2, a Hugging Face folder, a GGUF file, or shape:NAME with random weights";

/// The option --weights, and what it says.
struct WeightsChoice {
  std::string as = "packed";
  WeightsAs value() const { return as == "packed" ? WeightsAs::packed : WeightsAs::unpacked; }
  void add_to(CLI::App& command) {
    command.add_option("--weights", as, "packed: used in the format of the file; f32: turned into floats on loading")
        ->check(CLI::IsMember({"packed", "f32"}))
        ->capture_default_str();
  }
};

/// 0: as many as the environment or the system says. Errors: more than can be, whoever asked for them.
inline void choose_threads(int threads) {
  if (const char* asked = std::getenv("OMP_NUM_THREADS"); threads == 0 && asked)
    threads = int(std::clamp(std::strtol(asked, nullptr, 10), 0L, 1'000'000L));
  if (threads != 0) set_thread_count(threads);
}

}  // namespace kvcache::cli
