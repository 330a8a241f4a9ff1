// Learned positions: a trained vector for each position is added to the token's embedding, before the first layer.
// Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019.
#pragma once

#include "kvcache/core/check.hpp"
#include "kvcache/core/matrix.hpp"

namespace kvcache {

/// x [hidden] += row of the table [positions, hidden] at `position`. Unlike rope, nothing stands behind the last
/// trained position.
template <class Scalar>
void add_learned_position(const Matrix<Scalar>& table, int position, Scalar* x) {
  check(position >= 0 && position < table.rows(), "position ", position, " asked for, but the model has learned ",
        table.rows(), "; give a shorter text");
  ArrayOut<Scalar>(x, table.cols()) += ArrayIn<Scalar>(at(table, position, 0), table.cols());
}

}  // namespace kvcache
