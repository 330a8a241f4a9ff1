// Learned positions: a trained vector for each position is added to the token's embedding, before the first layer.
// Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019.
#pragma once

#include "kvcache/core/check.hpp"
#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// x [hidden] += table [positions, hidden] at `position`. Unlike rope, nothing stands behind the last trained position.
template <class Scalar, class Row>
void add_learned_position(const Matrix<Scalar>& table, int position, Row&& x) {
  check(position >= 0 && position < table.rows(), "position ", position, " asked for, but the model has learned ",
        table.rows(), "; give a shorter text");
  x += table.row(position);
}

}  // namespace kvcache
