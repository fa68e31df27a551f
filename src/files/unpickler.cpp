// The pickle machine's bytes, stack, memo and containers.
#include "src/files/unpickler.h"

#include <unicode/utf8.h>

#include <array>
#include <bit>

namespace bovila {
namespace {

/// Opcodes that push a constant: their argument is its value, or the length of its text.
struct Constant {
  uint8_t opcode;
  PickleKind kind;
  int argument_bytes;
  int64_t value = 0;
};

constexpr std::array kConstants{
    Constant{'N', PickleKind::kNone, 0},     Constant{0x88, PickleKind::kBool, 0, 1},
    Constant{0x89, PickleKind::kBool, 0, 0}, Constant{'K', PickleKind::kInt, 1},
    Constant{'M', PickleKind::kInt, 2},      Constant{0x8C, PickleKind::kString, 1},
    Constant{'X', PickleKind::kString, 4},   Constant{0x8D, PickleKind::kString, 8},
    Constant{'C', PickleKind::kBytes, 1},    Constant{'B', PickleKind::kBytes, 4},
    Constant{0x8E, PickleKind::kBytes, 8},
};

bool is_utf8(std::string_view text) {
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t i = 0; i < size;) {
    UChar32 character = 0;
    U8_NEXT(text.data(), i, size, character);
    if (character < 0) return false;
  }
  return true;
}

}  // namespace

PickleTree Unpickler::run() {
  if (tree_.bytes_.size() > kMaxPickleBytes) {
    throw UserError("{}: expected at most {} bytes, got {}", where_, kMaxPickleBytes,
                    tree_.bytes_.size());
  }
  while (!stopped_) {
    opcode_at_ = position_;
    step(static_cast<uint8_t>(take(1).front()));
  }
  return std::move(tree_);
}

std::string_view Unpickler::take(uint64_t count) {
  if (count > tree_.bytes_.size() - position_) {
    fail(fmt::format("the pickle ends here, {} more bytes were expected: it is cut short",
                     count - (tree_.bytes_.size() - position_)));
  }
  const std::string_view taken = std::string_view(tree_.bytes_).substr(position_, count);
  position_ += count;
  return taken;
}

uint64_t Unpickler::take_uint(int num_bytes) {
  uint64_t value = 0;
  int shift = 0;
  for (const char byte : take(static_cast<uint64_t>(num_bytes))) {
    value |= uint64_t{static_cast<uint8_t>(byte)} << shift;
    shift += 8;
  }
  return value;
}

/// A line of text: the module or the name of a callable.
Unpickler::Id Unpickler::add_name() {
  const size_t start = position_, end = tree_.bytes_.find('\n', start);
  expect(end != std::string::npos, "a name has no end: the pickle is cut short");
  expect(is_utf8(take(end - start)), "expected a name in UTF-8");
  position_ = end + 1;
  return add(
      {PickleKind::kString, static_cast<uint32_t>(end - start), static_cast<int64_t>(start)});
}

int64_t Unpickler::take_long(uint64_t num_bytes) {
  expect(num_bytes <= 8, "expected an integer of at most 64 bits");
  if (num_bytes == 0) return 0;
  const int unused_bits = 64 - 8 * static_cast<int>(num_bytes);
  const uint64_t value = take_uint(static_cast<int>(num_bytes)) << unused_bits;
  return std::bit_cast<int64_t>(value) >> unused_bits;  // extends the sign
}

void Unpickler::step(uint8_t opcode) {
  if (step_constant(opcode) || step_container(opcode) || step_memo(opcode)) return;
  switch (opcode) {
    case 0x80: {  // PROTO
      const uint64_t protocol = take_uint(1);
      expect(protocol >= 2 && protocol <= 5,
             fmt::format("expected pickle protocol 2 to 5, got {}", protocol));
      return;
    }
    case 0x95:  // FRAME: a hint for reading ahead
      take(8);
      return;
    case 'c': {  // GLOBAL
      const Id module = add_name();
      return push_callable(module, add_name());
    }
    case 0x93:  // STACK_GLOBAL
      return push_stack_callable();
    case 'R':   // REDUCE
    case 0x81:  // NEWOBJ
      return call();
    case 'b':  // BUILD
      return build();
    case 'Q':  // BINPERSID
      return push_storage();
    case '.':  // STOP
      tree_.root_ = pop();
      expect(stack_.empty() && marks_.empty(), "the pickle ends with values left over");
      stopped_ = true;
      return;
    default:
      fail(fmt::format("expected an opcode that torch.save writes, got 0x{:02x}", opcode));
  }
}

bool Unpickler::step_constant(uint8_t opcode) {
  for (const Constant& constant : kConstants) {
    if (constant.opcode != opcode) continue;
    const uint64_t argument = take_uint(constant.argument_bytes);
    if (constant.kind == PickleKind::kString || constant.kind == PickleKind::kBytes) {
      push_text(constant.kind, argument);
    } else {
      push(add({constant.kind, 0, static_cast<int64_t>(argument) + constant.value}));
    }
    return true;
  }
  switch (opcode) {
    case 'J':  // BININT, the only one with a sign
      push_int(static_cast<int32_t>(take_uint(4)));
      return true;
    case 0x8A:  // LONG1
      push_int(take_long(take_uint(1)));
      return true;
    case 0x8B:  // LONG4
      push_int(take_long(take_uint(4)));
      return true;
    case 'G':
      push_float();
      return true;
    default:
      return false;
  }
}

bool Unpickler::step_container(uint8_t opcode) {
  switch (opcode) {
    case '(':
      marks_.push_back(stack_.size());
      return true;
    case '0':  // POP takes a mark when one is on top
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        pop();
      }
      return true;
    case '1':
      pop_to_mark();
      return true;
    case ')':
      push(add_container(PickleKind::kTuple, {}));
      return true;
    case ']':
      push(add_container(PickleKind::kList, {}));
      return true;
    case '}':
      push(add_container(PickleKind::kDict, {}));
      return true;
    case 't':
      push(add_container(PickleKind::kTuple, pop_to_mark()));
      return true;
    case 'l':
      push(add_container(PickleKind::kList, pop_to_mark()));
      return true;
    case 0x85:
    case 0x86:
    case 0x87:  // TUPLE1 to TUPLE3
      push(add_container(PickleKind::kTuple, pop_many(opcode - 0x84U)));
      return true;
    case 'd': {
      const std::vector<Id> values = pop_to_mark();
      push(add_container(PickleKind::kDict, {}));
      set_items(peek(), values);
      return true;
    }
    case 'a':
    case 'e': {
      const std::vector<Id> values = opcode == 'a' ? pop_many(1) : pop_to_mark();
      append(peek(), values);
      return true;
    }
    case 's':
    case 'u': {
      const std::vector<Id> items = opcode == 's' ? pop_many(2) : pop_to_mark();
      set_items(peek(), items);
      return true;
    }
    default:
      return false;
  }
}

bool Unpickler::step_memo(uint8_t opcode) {
  switch (opcode) {
    case 'h':
    case 'j':
      get(take_uint(opcode == 'h' ? 1 : 4));
      return true;
    case 'q':
    case 'r':
      put(take_uint(opcode == 'q' ? 1 : 4));
      return true;
    case 0x94:
      put(memo_.size());
      return true;
    default:
      return false;
  }
}

Unpickler::Id Unpickler::add(Node value) {
  tree_.nodes_.push_back(value);
  return static_cast<Id>(tree_.nodes_.size() - 1);
}

Unpickler::Id Unpickler::add_container(PickleKind kind, std::vector<Id> values) {
  tree_.containers_.push_back(std::move(values));
  return add({kind, 0, static_cast<int64_t>(tree_.containers_.size() - 1)});
}

void Unpickler::push_float() {
  uint64_t bits = 0;  // big-endian
  for (const char byte : take(8)) bits = bits << 8 | static_cast<uint8_t>(byte);
  push(add({PickleKind::kFloat, 0, std::bit_cast<int64_t>(bits)}));
}

void Unpickler::push_text(PickleKind kind, uint64_t size) {
  const std::string_view taken = take(size);
  expect(kind == PickleKind::kBytes || is_utf8(taken), "expected a text in UTF-8");
  push(add({kind, static_cast<uint32_t>(size), static_cast<int64_t>(position_ - size)}));
}

Unpickler::Id Unpickler::peek() {
  expect(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "a value is missing");
  return stack_.back();
}

Unpickler::Id Unpickler::pop() {
  const Id top = peek();
  stack_.pop_back();
  return top;
}

std::vector<Unpickler::Id> Unpickler::pop_to_mark() {
  expect(!marks_.empty(), "a mark is missing");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<Id> values(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return values;
}

std::vector<Unpickler::Id> Unpickler::pop_many(size_t count) {
  std::vector<Id> values(count);
  for (size_t i = count; i-- > 0;) values[i] = pop();
  return values;
}

void Unpickler::get(uint64_t key) {
  const auto found = memo_.find(key);
  expect(found != memo_.end(), fmt::format("memo entry {} was never set", key));
  push(found->second);
}

void Unpickler::put(uint64_t key) {
  memo_[key] = peek();
}

void Unpickler::append(Id list, const std::vector<Id>& values) {
  if (node(list).kind == PickleKind::kOpaque) return;
  expect(node(list).kind == PickleKind::kList, "expected a list to append to");
  entries(list).insert(entries(list).end(), values.begin(), values.end());
}

void Unpickler::set_items(Id dict, const std::vector<Id>& keys_and_values) {
  if (node(dict).kind == PickleKind::kOpaque) return;
  expect(node(dict).kind == PickleKind::kDict, "expected a dict to put items into");
  expect(keys_and_values.size() % 2 == 0, "a dict's key has no value");
  for (size_t i = 0; i < keys_and_values.size(); i += 2) {
    const Node& key = node(keys_and_values[i]);
    const bool is_string = key.kind == PickleKind::kString;
    expect(key.kind != PickleKind::kList && key.kind != PickleKind::kDict,
           fmt::format("expected a hashable value as a dict's key, got {}", name_of(key.kind)));
    if (!is_string && key.kind != PickleKind::kInt) continue;  // nobody asks for such a key
    expect(key.size <= kMaxKeyBytes,
           fmt::format("a dict's key has {} bytes, expected at most {}", key.size, kMaxKeyBytes));
    const std::string_view name = is_string ? text(keys_and_values[i]) : std::string_view();
    if (!keys_.insert({dict, key.kind, is_string ? 0 : key.number, name}).second) {
      fail(fmt::format("the name \"{}\" is there twice",
                       is_string ? std::string(name) : std::to_string(key.number)));
    }
  }
  entries(dict).insert(entries(dict).end(), keys_and_values.begin(), keys_and_values.end());
}

PickleTree parse_pickle(std::string bytes, const std::string& where) {
  return Unpickler(std::move(bytes), where).run();
}

}  // namespace bovila
