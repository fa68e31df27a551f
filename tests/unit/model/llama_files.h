// Meta's files of a tiny LLaMA, in one part or several, right or spoilt.
// Fed by tests/unit/model/tiny_llama.h; for the tests of model/llama_weights.h and what reads it.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/data/pth_builder.h"
#include "tests/unit/model/tiny_llama.h"

namespace bovila::testing {

inline const char* storage_name(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat16:
      return "HalfStorage";
    case torch::kBFloat16:
      return "BFloat16Storage";
    case torch::kFloat64:
      return "DoubleStorage";
    case torch::kInt64:
      return "LongStorage";
    default:
      return "FloatStorage";
  }
}

/// A .pth with a dict of these tensors.
inline void write_tensors(const std::string& path, const Tensors& tensors) {
  std::vector<std::pair<std::string, std::string>> items;
  std::vector<std::string> storages;
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.contiguous();
    items.emplace_back(name, test::tensor({.shape = values.sizes().vec(),
                                           .type = storage_name(values.scalar_type()),
                                           .key = std::to_string(storages.size())}));
    storages.emplace_back(static_cast<const char*>(values.data_ptr()), values.nbytes());
  }
  test::write_pth(path, test::dict(items), storages);
}

/// Part `part` of `parts` of a tensor, cut as SPEC 8 says.
inline torch::Tensor part_of(const std::string& name, const torch::Tensor& tensor, int64_t part,
                             int64_t parts) {
  if (name.find("norm") != std::string::npos) return tensor;
  const auto ends = [&](const char* end) { return name.ends_with(std::string(end) + ".weight"); };
  const bool columns = ends("tok_embeddings") || ends("wo") || ends("w2");
  return tensor.chunk(parts, columns ? 1 : 0)[static_cast<size_t>(part)];
}

inline std::string part_path(const std::string& folder, int64_t part) {
  return fmt::format("{}/consolidated.{:02}.pth", folder, part);
}

inline void write_parts(const std::string& folder, const Tensors& tensors, int64_t parts = 1) {
  for (int64_t part = 0; part < parts; ++part) {
    Tensors own;
    for (const auto& [name, tensor] : tensors) own[name] = part_of(name, tensor, part, parts);
    write_tensors(part_path(folder, part), own);
  }
}

}  // namespace bovila::testing
