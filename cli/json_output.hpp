// What several commands write to their JSON files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "kvcache/core/memory_use.hpp"
#include "kvcache/core/work.hpp"

namespace kvcache::cli {

inline nlohmann::json to_json(const MemoryUse& memory, std::size_t formula_bytes) {
  return {{"used_bytes", memory.used_bytes},
          {"reserved_bytes", memory.reserved_bytes},
          {"slow_bytes", memory.slow_bytes},
          {"bookkeeping_bytes", memory.bookkeeping_bytes},
          {"formula_bytes", formula_bytes}};
}

/// Seconds and multiplications of each part, per run.
inline nlohmann::json to_json(const Work& work, std::int64_t runs = 1) {
  nlohmann::json parts;
  for (const Part part : all_parts)
    parts[name(part)] = {{"seconds", work.seconds[std::size_t(part)] / double(runs)},
                         {"multiplications", work.multiplications[std::size_t(part)] / runs}};
  return parts;
}

/// The text of a file. What is not valid UTF-8 is written with U+FFFD in its place.
inline std::string json_text(const nlohmann::json& json) {
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace kvcache::cli
