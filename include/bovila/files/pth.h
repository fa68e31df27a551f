// Reader of PyTorch's .pth files in the zip format (torch.save since 1.6), without PyTorch.
// Fed by a path; feeds pth2h5 (features), the weights of LLaMA (SPEC 8) and starting adapters.
//
// The file is a zip of stored entries: NAME/data.pkl (a pickle, see files/pickle.h) and
// NAME/data/KEY (a storage's raw little-endian bytes). Opening reads the directory and the pickle
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/files/pickle.h"

namespace bovila {

/// An open .pth file. Not thread-safe: each thread opens its own. All errors are UserError with the
/// file and the entry; a file that is none of ours (legacy format, safetensors, cut short, ...) is
/// told apart. Every tensor is checked against its storage when the file is opened: it lies within,
/// has no more elements than it, and the storage has the size that the pickle says.
class PthFile {
 public:
  explicit PthFile(const std::string& path);
  ~PthFile();
  PthFile(PthFile&&) noexcept;
  PthFile& operator=(PthFile&&) noexcept;

  const std::string& path() const;
  /// What was saved. Handles are valid as long as this object is and is not moved.
  PickleValue root() const;
  /// The tensors of the dict that was saved, or, with `key`, of the dict under that key in it; in
  /// file order and named by their keys, a whole number in digits. @throws UserError when there is
  /// no such dict, or naming the first entry that is not a tensor or whose key is something else.
  std::vector<PthTensor> tensors(std::string_view key = {}) const;

  /// Reads a tensor row-major without gaps, whatever its strides: tensor.num_bytes() bytes. A
  /// contiguous tensor goes straight into `out`. A tensor that spans its whole storage is read with
  /// the zip's checksum verified; for a window on one see verify_storage().
  void read(const PthTensor& tensor, std::span<std::byte> out) const;
  /// The same in pieces of at most `piece_bytes` (whole elements), given in order. A tensor that is
  /// not contiguous is held in memory.
  void read_in_pieces(const PthTensor& tensor, size_t piece_bytes,
                      const std::function<void(std::span<const std::byte>)>& consume) const;
  /// Reads the tensor's whole storage once and verifies the zip's checksum. For tensors that share
  /// a storage: they are read at their place in it, which checks nothing.
  void verify_storage(const PthTensor& tensor) const;
  /// True when the tensor takes up its whole storage, so that reading it verifies it.
  bool spans_storage(const PthTensor& tensor) const;

  /// SHA-256 over names, sizes and checksums of all entries: equal for equal contents, wherever the
  /// file lies. Costs nothing.
  std::string identity() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bovila
