// A file of Hugging Face's tensors in either form: safetensors, or a .bin of torch.save.
// Fed by files/safetensors.h and files/pth.h; used by src/weights/hf_files.cpp.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "bovila/files/pth.h"
#include "bovila/files/safetensors.h"

namespace bovila {

struct HfTensor {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> shape;
  size_t number = 0;  ///< in its file
};

/// An open file; errors are UserError with the file and the tensor.
class HfTensorFile {
 public:
  explicit HfTensorFile(const std::string& path);
  const std::string& path() const { return path_; }
  const std::vector<HfTensor>& tensors() const { return tensors_; }
  int64_t size() const;  ///< of the whole file, in bytes
  void read(const HfTensor& tensor, std::span<std::byte> out) const;
  /// The file, some of whose tensors' bytes can be read; null for a .bin, whose checksums are of
  /// all bytes of a tensor.
  const SafetensorsFile* safetensors() const { return std::get_if<SafetensorsFile>(&file_); }
  /// A hash of the contents. A .bin has checksums, which read() proves; of safetensors
  /// `hash_bytes` hashes all.
  std::string identity(const std::function<std::string(const SafetensorsFile&)>& hash_bytes) const;

 private:
  std::string path_;
  std::variant<std::monostate, SafetensorsFile, PthFile> file_;
  std::vector<PthTensor> pth_tensors_;
  std::vector<HfTensor> tensors_;
};

}  // namespace bovila
