// Values of a pickle and the names of their kinds; src/files/unpickler.cpp reads the bytes.
#include "bovila/files/pickle.h"

#include <algorithm>
#include <array>
#include <bit>

#include "bovila/core/error.h"
#include "src/files/unpickler.h"

namespace bovila {
namespace {

struct ElementInfo {
  ElementType type;
  int64_t size;
  std::string_view name;
  bool is_floating_point;
};

constexpr std::array kElements{
    ElementInfo{ElementType::kFloat16, 2, "float16", true},
    ElementInfo{ElementType::kBFloat16, 2, "bfloat16", true},
    ElementInfo{ElementType::kFloat32, 4, "float32", true},
    ElementInfo{ElementType::kFloat64, 8, "float64", true},
    ElementInfo{ElementType::kInt8, 1, "int8", false},
    ElementInfo{ElementType::kInt16, 2, "int16", false},
    ElementInfo{ElementType::kInt32, 4, "int32", false},
    ElementInfo{ElementType::kInt64, 8, "int64", false},
    ElementInfo{ElementType::kUInt8, 1, "uint8", false},
    ElementInfo{ElementType::kBool, 1, "bool", false},
};

constexpr std::array<std::string_view, 14> kKindNames{
    "None",  "bool", "int",    "float",     "str",     "bytes",    "list",
    "tuple", "dict", "tensor", "Namespace", "storage", "callable", "object"};

const ElementInfo& info(ElementType type) {
  const ElementInfo& found = kElements.at(static_cast<size_t>(type));
  BOVILA_CHECK(found.type == type, "kElements is out of order");
  return found;
}

}  // namespace

int64_t size_of(ElementType type) {
  return info(type).size;
}
std::string_view name_of(ElementType type) {
  return info(type).name;
}
bool is_floating_point(ElementType type) {
  return info(type).is_floating_point;
}
std::string_view name_of(PickleKind kind) {
  return kKindNames.at(static_cast<size_t>(kind));
}

int64_t PthTensor::numel() const {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

bool PthTensor::is_contiguous() const {
  if (numel() == 0) return true;
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

PickleKind PickleValue::kind() const {
  return tree_->nodes_[id_].kind;
}

bool PickleValue::as_bool() const {
  BOVILA_CHECK(kind() == PickleKind::kBool, "{} is no bool", name_of(kind()));
  return tree_->nodes_[id_].number != 0;
}

int64_t PickleValue::as_int() const {
  BOVILA_CHECK(kind() == PickleKind::kInt, "{} is no int", name_of(kind()));
  return tree_->nodes_[id_].number;
}

double PickleValue::as_float() const {
  BOVILA_CHECK(kind() == PickleKind::kFloat, "{} is no float", name_of(kind()));
  return std::bit_cast<double>(tree_->nodes_[id_].number);
}

std::string_view PickleValue::as_text() const {
  BOVILA_CHECK(kind() == PickleKind::kString || kind() == PickleKind::kBytes, "{} is no text",
               name_of(kind()));
  const PickleTree::Node& node = tree_->nodes_[id_];
  return std::string_view(tree_->bytes_).substr(static_cast<size_t>(node.number), node.size);
}

PthTensor PickleValue::as_tensor() const {
  BOVILA_CHECK(kind() == PickleKind::kTensor, "{} is no tensor", name_of(kind()));
  return tree_->tensor(static_cast<size_t>(tree_->nodes_[id_].number));
}

std::string PickleValue::class_name() const {
  BOVILA_CHECK(kind() == PickleKind::kOpaque, "{} has no other class", name_of(kind()));
  const PickleTree::Node& node = tree_->nodes_[id_];
  const PickleValue module(*tree_, node.size), name(*tree_, static_cast<uint32_t>(node.number));
  return fmt::format("{}.{}", module.as_text().substr(0, 200), name.as_text().substr(0, 200));
}

size_t PickleValue::size() const {
  const bool has_keys = kind() == PickleKind::kDict || kind() == PickleKind::kObject;
  BOVILA_CHECK(has_keys || kind() == PickleKind::kList || kind() == PickleKind::kTuple,
               "{} has no entries", name_of(kind()));
  const auto& entries = tree_->containers_[static_cast<size_t>(tree_->nodes_[id_].number)];
  return has_keys ? entries.size() / 2 : entries.size();
}

PickleValue PickleValue::at(size_t index) const {
  BOVILA_CHECK(index < size(), "entry {} of {}", index, size());
  const bool has_keys = kind() == PickleKind::kDict || kind() == PickleKind::kObject;
  const auto& entries = tree_->containers_[static_cast<size_t>(tree_->nodes_[id_].number)];
  return {*tree_, entries[has_keys ? 2 * index + 1 : index]};
}

PickleValue PickleValue::key(size_t index) const {
  BOVILA_CHECK(kind() == PickleKind::kDict || kind() == PickleKind::kObject, "{} has no keys",
               name_of(kind()));
  BOVILA_CHECK(index < size(), "entry {} of {}", index, size());
  return {*tree_, tree_->containers_[static_cast<size_t>(tree_->nodes_[id_].number)][2 * index]};
}

std::optional<PickleValue> PickleValue::find(std::string_view wanted) const {
  for (size_t i = 0; i < size(); ++i) {
    const PickleValue found = key(i);
    if (found.kind() == PickleKind::kString && found.as_text() == wanted) return at(i);
  }
  return std::nullopt;
}

PthTensor PickleTree::tensor(size_t index) const {
  const TensorParts& parts = tensors_.at(index);
  const auto value = [this](uint32_t id) { return PickleValue(*this, id); };
  const auto ints = [](const PickleValue& tuple) {
    std::vector<int64_t> numbers(tuple.size());
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = tuple.at(i).as_int();
    return numbers;
  };
  const auto& storage = containers_[static_cast<size_t>(nodes_[parts.storage].number)];
  PthTensor tensor;
  if (parts.name != kNone) tensor.name = value(parts.name).as_text();
  tensor.type = callable_info(nodes_[storage[1]].number).type;
  tensor.storage = value(storage[2]).as_text();
  tensor.storage_numel = value(storage[4]).as_int();
  tensor.offset = value(parts.offset).as_int();
  tensor.shape = ints(value(parts.shape));
  tensor.strides = ints(value(parts.strides));
  return tensor;
}

}  // namespace bovila
