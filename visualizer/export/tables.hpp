// A run as figures: for spreadsheets, for scripts, and to be opened again.
#pragma once

#include <string>

#include "session.hpp"

namespace kvcache::visualizer {

/// One line for each step. Times that were not measured both ways are left empty.
std::string to_csv(const Timeline& timeline, const Comparison& comparison);
/// The same figures, and what the run was.
std::string to_json(const Timeline& timeline, const Comparison& comparison);

/// Writes a .csv, .json or .safetensors file. Errors: another kind of file; a path that cannot be written.
void write_run(const Session& session, const std::string& path);

}  // namespace kvcache::visualizer
