// What a pickle's callables stand for: dicts, namespaces, storages and tensors. None is called.
// One that is not in the table, and whatever is made with it, is an opaque value without contents.
#include <array>

#include "src/files/unpickler.h"

namespace bovila {
namespace {

constexpr std::array kCallables{
    CallableInfo{"collections.OrderedDict", Callable::kOrderedDict},
    CallableInfo{"torch._utils._rebuild_tensor_v2", Callable::kRebuildTensor},
    CallableInfo{"torch._utils._rebuild_parameter", Callable::kRebuildParameter},
    CallableInfo{"torch._utils._rebuild_parameter_with_state", Callable::kRebuildParameter},
    CallableInfo{"torch.nn.parameter.Parameter", Callable::kParameter},
    CallableInfo{"torch.Size", Callable::kSize},
    CallableInfo{"argparse.Namespace", Callable::kNamespace},
    CallableInfo{"torch.HalfStorage", Callable::kStorage, ElementType::kFloat16},
    CallableInfo{"torch.BFloat16Storage", Callable::kStorage, ElementType::kBFloat16},
    CallableInfo{"torch.FloatStorage", Callable::kStorage, ElementType::kFloat32},
    CallableInfo{"torch.DoubleStorage", Callable::kStorage, ElementType::kFloat64},
    CallableInfo{"torch.CharStorage", Callable::kStorage, ElementType::kInt8},
    CallableInfo{"torch.ShortStorage", Callable::kStorage, ElementType::kInt16},
    CallableInfo{"torch.IntStorage", Callable::kStorage, ElementType::kInt32},
    CallableInfo{"torch.LongStorage", Callable::kStorage, ElementType::kInt64},
    CallableInfo{"torch.ByteStorage", Callable::kStorage, ElementType::kUInt8},
    CallableInfo{"torch.BoolStorage", Callable::kStorage, ElementType::kBool},
};

}  // namespace

const CallableInfo& callable_info(int64_t index) {
  return kCallables.at(static_cast<size_t>(index));
}

void Unpickler::push_callable(Id module_id, Id name_id) {
  const std::string_view module = text(module_id), name = text(name_id);
  for (size_t i = 0; i < kCallables.size(); ++i) {
    const std::string_view known = kCallables[i].name;
    if (known.size() == module.size() + 1 + name.size() && known.starts_with(module) &&
        known.ends_with(name) && known[module.size()] == '.') {
      push(add({PickleKind::kGlobal, 0, static_cast<int64_t>(i)}));
      return;
    }
  }
  push(add({PickleKind::kOpaque, module_id, name_id}));
}

void Unpickler::push_stack_callable() {
  const std::vector<Id> names = pop_many(2);
  for (const Id id : names) {
    expect(node(id).kind == PickleKind::kString, "expected a module's and a callable's name");
  }
  push_callable(names[0], names[1]);
}

const CallableInfo& Unpickler::callable_at(Id id) {
  expect(node(id).kind == PickleKind::kGlobal,
         fmt::format("expected a callable, got {}", name_of(node(id).kind)));
  return callable_info(node(id).number);
}

/// Whether the first argument is.
bool Unpickler::is_opaque(const std::vector<Id>& arguments) const {
  return !arguments.empty() && tree_.nodes_[arguments[0]].kind == PickleKind::kOpaque;
}

void Unpickler::call() {
  const Id arguments_id = pop(), callable_id = pop();
  expect(node(arguments_id).kind == PickleKind::kTuple, "expected a tuple of arguments");
  if (node(callable_id).kind == PickleKind::kOpaque) return push(callable_id);
  const CallableInfo& callable = callable_at(callable_id);
  const std::vector<Id>& arguments = entries(arguments_id);
  const auto expect_first = [&](PickleKind kind) {
    expect(!arguments.empty() && node(arguments[0]).kind == kind,
           fmt::format("expected a {} for {}", name_of(kind), callable.name));
  };
  switch (callable.callable) {
    case Callable::kOrderedDict:
    case Callable::kNamespace:
      expect(arguments.empty(), fmt::format("expected no arguments for {}", callable.name));
      return push(add_container(
          callable.callable == Callable::kNamespace ? PickleKind::kObject : PickleKind::kDict, {}));
    case Callable::kRebuildTensor:
      return push_tensor(arguments);
    case Callable::kRebuildParameter:
    case Callable::kParameter: {
      if (is_opaque(arguments)) return push(arguments[0]);
      expect_first(PickleKind::kTensor);
      auto& tensor = tree_.tensors_[static_cast<size_t>(node(arguments[0]).number)];
      if (tensor.name == PickleTree::kNone) tensor.name = name_on_stack();
      return push(arguments[0]);
    }
    case Callable::kSize:
      expect_first(PickleKind::kTuple);
      return push(arguments[0]);
    case Callable::kStorage:
      fail(fmt::format("{} cannot be called here", callable.name));
  }
}

Unpickler::Id Unpickler::name_on_stack() const {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) return PickleTree::kNone;
  const Node& top = tree_.nodes_[stack_.back()];
  const bool is_name = top.kind == PickleKind::kString && top.size <= kMaxKeyBytes;
  return is_name ? stack_.back() : PickleTree::kNone;
}

void Unpickler::build() {
  const Id state = pop();
  const Id target = peek();
  if (node(target).kind == PickleKind::kOpaque) return;
  expect(node(state).kind == PickleKind::kDict, "expected a dict as an object's state");
  // A state dict of a module carries `_metadata` in this way, which nothing here needs.
  if (node(target).kind == PickleKind::kDict) return;
  expect(node(target).kind == PickleKind::kObject && entries(target).empty(),
         "expected a new object to give a state to");
  node(target).number = node(state).number;
}

void Unpickler::push_storage() {
  const Id id = pop();
  expect(node(id).kind == PickleKind::kTuple && entries(id).size() == 5,
         "expected a storage of five parts");
  const std::vector<Id>& parts = entries(id);
  expect(node(parts[0]).kind == PickleKind::kString && text(parts[0]) == "storage",
         "expected a storage");
  if (node(parts[1]).kind == PickleKind::kOpaque) return push(parts[1]);  // of an unknown type
  const CallableInfo& type = callable_at(parts[1]);
  expect(type.callable == Callable::kStorage, fmt::format("{} is no storage's type", type.name));
  expect(node(parts[2]).kind == PickleKind::kString && text(parts[2]).size() <= kMaxKeyBytes,
         "expected a storage's key");
  check_int(parts[4], "a storage's size");
  push(add({PickleKind::kStorage, 0, node(id).number}));
}

void Unpickler::check_int(Id id, const char* what) {
  const Node& value = node(id);
  if (value.kind == PickleKind::kInt && value.number >= 0) return;
  fail(fmt::format("expected {} of 0 or more, got {}", what,
                   value.kind == PickleKind::kInt ? std::to_string(value.number)
                                                  : std::string(name_of(value.kind))));
}

void Unpickler::check_ints(Id id, const char* what) {
  expect(node(id).kind == PickleKind::kTuple && entries(id).size() <= kMaxDimensions,
         fmt::format("expected a tuple of at most {} numbers as {}", kMaxDimensions, what));
  for (const Id entry : entries(id)) check_int(entry, what);
}

void Unpickler::push_tensor(const std::vector<Id>& arguments) {
  if (is_opaque(arguments)) return push(arguments[0]);
  expect(arguments.size() >= 4 && node(arguments[0]).kind == PickleKind::kStorage,
         "expected storage, offset, size and stride of a tensor");
  check_int(arguments[1], "a tensor's offset");
  check_ints(arguments[2], "a tensor's size");
  check_ints(arguments[3], "a tensor's stride");
  expect(entries(arguments[2]).size() == entries(arguments[3]).size(),
         "a tensor's size and stride differ in length");
  tree_.tensors_.push_back(
      {name_on_stack(), arguments[0], arguments[1], arguments[2], arguments[3]});
  push(add({PickleKind::kTensor, 0, static_cast<int64_t>(tree_.tensors_.size() - 1)}));
}

}  // namespace bovila
