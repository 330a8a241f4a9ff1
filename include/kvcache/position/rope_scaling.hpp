// How Llama 3.1 and later stretch rope to longer texts than they were first trained on.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

namespace kvcache {

/// Fast pairs stay as they are, slow ones are slowed by `factor`, and those between go over smoothly. The rule, given
/// once in Meta's llama-models (models/llama3/model.py, apply_scaling), is the same in Hugging Face's "llama3".
struct Llama3Scaling {
  double factor = 1;
  double low = 1, high = 4;     // turns within old_positions: fewer than low is slow, more than high is fast
  double old_positions = 8192;  // of the first training

  /// What each pair's frequency is divided by: [head_dim / 2].
  std::vector<double> divisors(int head_dim, double theta) const {
    std::vector<double> result;
    for (int d = 0; d < head_dim / 2; ++d) {
      const double turns = old_positions * std::pow(theta, -2.0 * d / head_dim) / (2 * std::numbers::pi);
      const double fast = turns <= low ? 0 : turns >= high ? 1 : (turns - low) / (high - low);
      result.push_back(1 / ((1 - fast) / factor + fast));
    }
    return result;
  }
};

}  // namespace kvcache
