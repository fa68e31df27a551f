// Reader of safetensors files: named tensors behind a JSON header, mapped or read at their places.
// Fed by a path; feeds weights/llama_weights.h (Hugging Face's weights, and the program's own
// file).
//
// The file is the header's length (8 bytes, little-endian), the header (a JSON object of name ->
// {dtype, shape, data_offsets}), and the values, row-major, one tensor right behind the other. It
// holds no checksums: what it says can be checked, its values cannot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/files/pickle.h"

namespace bovila {

struct SafeTensor {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> shape;
  int64_t begin = 0;  ///< of its values, in bytes from the file's start
  int64_t num_bytes = 0;
};

/// An open file. Reading is thread-safe. All errors are UserError with the file and the tensor.
class SafetensorsFile {
 public:
  /// Reads the header and proves it: the tensors fill the file without gap or overlap, each as many
  /// bytes as its type and shape ask for.
  explicit SafetensorsFile(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  ///< of the whole file, in bytes
  /// In the order of their places.
  const std::vector<SafeTensor>& tensors() const { return tensors_; }
  /// Null when there is none of that name.
  const SafeTensor* find(std::string_view name) const;
  /// The texts under __metadata__.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// Reads a tensor's values: tensor.num_bytes bytes.
  void read(const SafeTensor& tensor, std::span<std::byte> out) const;
  /// Reads bytes of the file from `first` on. @throws UserError when it has become shorter.
  void read_bytes(int64_t first, std::span<std::byte> out) const;
  /// The whole file, read-only: its pages are shared with every process that maps it, and stay
  /// valid without this object.
  std::shared_ptr<const std::byte> map() const;

 private:
  std::string read_header();
  void list_tensors(const std::string& header, int64_t values_begin);
  void check_places(int64_t values_begin) const;

  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
  std::vector<SafeTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace bovila
