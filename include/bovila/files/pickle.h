// A restricted reader of Python pickles as torch.save writes them. Nothing in a pickle is ever run:
// callables are names in a table of what they would build; objects of any other name are opaque:
// their class is known, what they hold is passed over.
// Fed by files/pth.h; feeds the readers of features, LLaMA weights and published checkpoints.
//
// Bytes may be hostile. Memory is at most a constant times the pickle's size, there is no
// recursion, and containers that hold themselves or one another are only links between entries of
// one table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

/// Element types of tensors.
enum class ElementType {
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kBool
};
/// In bytes.
int64_t size_of(ElementType type);
/// PyTorch's name: "float16".
std::string_view name_of(ElementType type);
bool is_floating_point(ElementType type);

/// A tensor as the pickle describes it: a strided window on a storage. As parse_pickle() gives it,
/// shape and strides have one length and no entry is negative; PthFile checks it against the
/// storage.
struct PthTensor {
  std::string name;  ///< key of the dict it stands in; empty elsewhere
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  ///< in elements
  int64_t offset = 0;            ///< of its first element in the storage, in elements
  std::string storage;           ///< the storage's key: entry data/KEY of the file
  int64_t storage_numel = 0;

  int64_t numel() const;
  int64_t num_bytes() const { return numel() * size_of(type); }
  bool is_contiguous() const;  ///< row-major without gaps
};

enum class PickleKind : uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kBytes,
  kList,
  kTuple,
  kDict,
  kTensor,
  kObject,  ///< argparse.Namespace: a dict of its attributes
  kStorage,
  kGlobal,  ///< parts of a tensor; they are values only in a pickle made by hand
  kOpaque   ///< any other object, class or function
};
std::string_view name_of(PickleKind kind);

class PickleTree;

/// One value: a light handle that is valid as long as its tree is. Asking a value for what it is
/// not is a ProgramError: look at kind() first.
class PickleValue {
 public:
  PickleValue(const PickleTree& tree, uint32_t id) : tree_(&tree), id_(id) {}
  PickleKind kind() const;
  bool as_bool() const;
  int64_t as_int() const;
  double as_float() const;
  std::string_view as_text() const;  ///< string (valid UTF-8) or bytes
  PthTensor as_tensor() const;
  /// Of an opaque value: "pathlib.PosixPath".
  std::string class_name() const;
  /// Entries of a list, tuple, dict or object.
  size_t size() const;
  /// Entry of a list or tuple; value of a dict or object, in the order of insertion.
  PickleValue at(size_t index) const;
  /// Key of a dict or object, of any kind but list and dict.
  PickleValue key(size_t index) const;
  /// Looks a string key up, one after another.
  std::optional<PickleValue> find(std::string_view key) const;

 private:
  const PickleTree* tree_;
  uint32_t id_;
};

/// All values of one pickle, by number. Movable; handles stay with the object that made them.
class PickleTree {
 public:
  PickleValue root() const { return {*this, root_}; }
  /// All tensors in the order of the pickle, also those that no dict holds.
  size_t num_tensors() const { return tensors_.size(); }
  PthTensor tensor(size_t index) const;

 private:
  friend class PickleValue;
  friend class Unpickler;
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    PickleKind kind = PickleKind::kNone;
    uint32_t size = 0;   // string, bytes: length; opaque: node of its module's name
    int64_t number = 0;  // value, or place in bytes_, containers_ or tensors_; opaque: its name
  };
  struct TensorParts {  // nodes of proven kinds; a PthTensor is made of them when it is asked for
    uint32_t name = kNone;
    uint32_t storage = 0, offset = 0, shape = 0, strides = 0;
  };
  std::string bytes_;  // the pickle: strings are views of it
  std::vector<Node> nodes_;
  std::vector<std::vector<uint32_t>> containers_;  // dicts: key, value, key, value, ...
  std::vector<TensorParts> tensors_;
  uint32_t root_ = 0;
};

/// Reads a pickle of protocol 2 to 5. `where` names file and entry in messages.
/// @throws UserError with `where`, the byte and what was expected for anything that torch.save does
/// not write: an opcode of another use, a duplicate key, a damaged or truncated pickle.
PickleTree parse_pickle(std::string bytes, const std::string& where);

}  // namespace bovila
