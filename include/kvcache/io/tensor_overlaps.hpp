// Whether the tensors of a file lie apart.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "kvcache/core/check.hpp"
#include "kvcache/core/tensor.hpp"

namespace kvcache {

/// Errors: two tensors that share bytes.
inline void check_overlaps(const std::map<std::string, Tensor>& tensors, const std::string& path) {
  std::vector<const Tensor*> in_order;
  for (const auto& [name, tensor] : tensors)
    if (!tensor.bytes.empty()) in_order.push_back(&tensor);
  std::ranges::sort(in_order, {}, [](const Tensor* tensor) { return tensor->bytes.data(); });
  for (std::size_t i = 1; i < in_order.size(); ++i)
    check(in_order[i - 1]->bytes.data() + in_order[i - 1]->bytes.size() <= in_order[i]->bytes.data(), path,
          ": tensors \"", in_order[i - 1]->name, "\" and \"", in_order[i]->name, "\" overlap; the file is broken");
}

}  // namespace kvcache
