// One table of tensors over two readers.
#include "src/weights/hf_tensors.h"

#include <filesystem>

namespace bovila {

HfTensorFile::HfTensorFile(const std::string& path) : path_(path) {
  if (path.ends_with(".safetensors")) {
    const auto& file = file_.emplace<SafetensorsFile>(path);
    for (const SafeTensor& tensor : file.tensors()) {
      tensors_.push_back({tensor.name, tensor.type, tensor.shape, tensors_.size()});
    }
    return;
  }
  pth_tensors_ = file_.emplace<PthFile>(path).tensors();
  for (const PthTensor& tensor : pth_tensors_) {
    tensors_.push_back({tensor.name, tensor.type, tensor.shape, tensors_.size()});
  }
}

int64_t HfTensorFile::size() const {
  return static_cast<int64_t>(std::filesystem::file_size(path_));
}

void HfTensorFile::read(const HfTensor& tensor, std::span<std::byte> out) const {
  if (const auto* safe = std::get_if<SafetensorsFile>(&file_)) {
    return safe->read(safe->tensors()[tensor.number], out);
  }
  const auto& file = std::get<PthFile>(file_);
  const PthTensor& source = pth_tensors_[tensor.number];
  file.read(source, out);
  if (!file.spans_storage(source)) file.verify_storage(source);
}

std::string HfTensorFile::identity(
    const std::function<std::string(const SafetensorsFile&)>& hash_bytes) const {
  if (const auto* safe = std::get_if<SafetensorsFile>(&file_)) return hash_bytes(*safe);
  return std::get<PthFile>(file_).identity();
}

}  // namespace bovila
