// The pickle machine: a stack, a memo and the opcodes that torch.save writes.
// Fed by parse_pickle(); fills a PickleTree. src/files/unpickler.cpp has the machine,
// src/files/unpickler_calls.cpp the callables. Every length is checked against the bytes that
// are left before it is used, and each opcode adds at most one value, so memory follows the
// pickle's size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "bovila/core/error.h"
#include "bovila/files/pickle.h"

namespace bovila {

inline constexpr size_t kMaxPickleBytes = size_t{64} << 20;  // some 400,000 tensors
inline constexpr size_t kMaxKeyBytes = 4096;
inline constexpr size_t kMaxDimensions = 64;  // PyTorch's own limit

/// What a callable's name would build.
enum class Callable : uint8_t {
  kOrderedDict,
  kRebuildTensor,
  kRebuildParameter,
  kParameter,
  kSize,
  kNamespace,
  kStorage
};

struct CallableInfo {
  std::string_view name;
  Callable callable;
  ElementType type = ElementType::kFloat32;  // kStorage only
};

/// The callable that a kGlobal node's number stands for.
const CallableInfo& callable_info(int64_t index);

/// A key of one dict, by value.
struct DictKey {
  uint32_t dict;
  PickleKind kind;
  int64_t number;         // int
  std::string_view text;  // string
  bool operator==(const DictKey&) const = default;
};

struct DictKeyHash {
  size_t operator()(const DictKey& key) const {
    const size_t value = key.kind == PickleKind::kInt ? std::hash<int64_t>()(key.number)
                                                      : std::hash<std::string_view>()(key.text);
    return value ^ (size_t{key.dict} * 0x9E3779B97F4A7C15U);
  }
};

class Unpickler {
 public:
  Unpickler(std::string bytes, const std::string& where) : where_(where) {
    tree_.bytes_ = std::move(bytes);
  }
  PickleTree run();

 private:
  using Node = PickleTree::Node;
  using Id = uint32_t;

  [[noreturn]] void fail(const std::string& problem) const {
    throw UserError("{}: byte {}: {}", where_, opcode_at_, problem);
  }

  std::string_view take(uint64_t count);
  uint64_t take_uint(int num_bytes);
  int64_t take_long(uint64_t num_bytes);

  void step(uint8_t opcode);
  bool step_constant(uint8_t opcode);
  bool step_container(uint8_t opcode);
  bool step_memo(uint8_t opcode);

  Id add(Node node);
  Id add_container(PickleKind kind, std::vector<Id> entries);
  void push(Id id) { stack_.push_back(id); }
  void push_int(int64_t value) { push(add({PickleKind::kInt, 0, value})); }
  void push_text(PickleKind kind, uint64_t size);
  Id add_name();
  void push_float();
  Id pop();
  Id peek();
  std::vector<Id> pop_to_mark();
  std::vector<Id> pop_many(size_t count);
  Node& node(Id id) { return tree_.nodes_[id]; }
  std::vector<Id>& entries(Id id) {
    return tree_.containers_[static_cast<size_t>(node(id).number)];
  }
  std::string_view text(Id id) const { return PickleValue(tree_, id).as_text(); }

  void get(uint64_t key);
  void put(uint64_t key);
  void append(Id list, const std::vector<Id>& values);
  void set_items(Id dict, const std::vector<Id>& keys_and_values);
  void push_callable(Id module, Id name);
  void push_stack_callable();
  void call();
  void build();
  void push_storage();
  Id name_on_stack() const;
  bool is_opaque(const std::vector<Id>& arguments) const;
  void push_tensor(const std::vector<Id>& arguments);
  void expect(bool condition, const std::string& problem) const {
    if (!condition) fail(problem);
  }
  void check_int(Id id, const char* what);
  void check_ints(Id id, const char* what);
  const CallableInfo& callable_at(Id id);

  const std::string& where_;  // file and entry, for messages
  PickleTree tree_;
  size_t position_ = 0;
  size_t opcode_at_ = 0;
  bool stopped_ = false;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;  // sizes of the stack where a mark was set
  std::unordered_map<uint64_t, Id> memo_;
  std::unordered_set<DictKey, DictKeyHash> keys_;
};

}  // namespace bovila
