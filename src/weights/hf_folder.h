// The tensors of a Hugging Face folder, of all its files together, floating point or quantised by
// bitsandbytes. Fed by src/weights/hf_tensors.h; used by src/weights/hf_files.cpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bovila/weights/frozen_matrix.h"
#include "src/weights/hf_tensors.h"
#include "src/weights/weight_target.h"

namespace bovila {

/// A tensor and the file that it is in. Both belong to HfFolder.
struct HfPlace {
  const HfTensorFile* file;
  const HfTensor* tensor;
};

/// What is stored under a name has these companions, in the same file or another:
///   X.weight uint8 [n / 2, 1]  X.weight.absmax, .quant_map, .quant_state.bitsandbytes__nf4, and
///   with
///                              scales in 8 bits .nested_absmax, .nested_quant_map
///   X.weight int8 [R, C]       X.SCB, X.weight_format
class HfFolder {
 public:
  /// Opens the files. @throws UserError when a name is in two of them.
  explicit HfFolder(const std::vector<std::string>& paths);

  /// All but the companions, by name.
  const std::map<std::string, HfPlace>& weights() const { return weights_; }

  /// Checks that a tensor has this shape, and where it is quantised that its companions are there
  /// and fit. Reads no values but the text of the quantisation. @throws UserError.
  void check(const std::string& name, const std::vector<int64_t>& shape) const;
  /// The values of a region in memory of their own, after check() with this shape.
  /// @throws UserError.
  FrozenMatrix read(const std::string& name, const std::vector<int64_t>& shape,
                    const Region& region) const;

 private:
  const HfPlace& companion(const HfPlace& of, const std::string& name, ElementType type,
                           const std::vector<int64_t>& shape) const;
  bool has_double_scales(const std::string& name) const;
  /// All that NF4 consists of, with values or without.
  void check_nf4(const HfPlace& weight, const std::vector<int64_t>& shape) const;
  FrozenMatrix read_nf4(const HfPlace& weight, const std::vector<int64_t>& shape,
                        const Region& region) const;

  std::vector<HfTensorFile> files_;
  std::map<std::string, HfPlace> weights_;
  std::map<std::string, HfPlace> companions_;
};

/// @throws UserError for what is neither floating point nor of 8 bits.
torch::ScalarType stored_type(const HfPlace& from);
/// Reads one tensor as it is stored.
torch::Tensor read_tensor(const HfPlace& from);
/// Reads some of a tensor, a band of its rows at a time.
torch::Tensor read_region(const HfPlace& from, const Region& region);

}  // namespace bovila
