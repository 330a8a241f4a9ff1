// The textbook's softmax over one row of numbers. Attention uses the online form (attention/online_softmax.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace kvcache {

/// In place: numbers become positive and sum to 1. The largest is subtracted first, so that exp cannot overflow.
/// Minus infinity becomes 0; at least one number must be finite.
template <class Scalar>
void softmax(std::span<Scalar> numbers) {
  const Scalar largest = *std::max_element(numbers.begin(), numbers.end());
  Scalar sum = 0;
  for (Scalar& x : numbers) sum += x = std::exp(x - largest);
  for (Scalar& x : numbers) x /= sum;
}

}  // namespace kvcache
