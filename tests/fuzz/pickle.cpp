// The pickle reader: every value that it gives is looked at, as the readers of .pth files do.
#include "bovila/files/pickle.h"

#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {
namespace {

constexpr int kMaxDepth = 4;  // values may hold themselves
constexpr size_t kMaxEntries = 50;

void look_at(const PickleValue& value, int depth) {
  const PickleKind kind = value.kind();
  const bool has_keys = kind == PickleKind::kDict || kind == PickleKind::kObject;
  const bool has_entries = has_keys || kind == PickleKind::kList || kind == PickleKind::kTuple;
  if (kind == PickleKind::kString || kind == PickleKind::kBytes) value.as_text();
  if (kind == PickleKind::kInt) value.as_int();
  if (kind == PickleKind::kBool) value.as_bool();
  if (kind == PickleKind::kFloat) value.as_float();
  if (kind == PickleKind::kOpaque) value.class_name();
  if (has_keys) value.find("model");
  for (size_t i = 0; has_entries && depth < kMaxDepth && i < value.size() && i < kMaxEntries; ++i) {
    if (has_keys) look_at(value.key(i), depth + 1);
    look_at(value.at(i), depth + 1);
  }
}

}  // namespace

void fuzz_pickle(std::string_view bytes) {
  const PickleTree tree = parse_pickle(std::string(bytes), "input");
  look_at(tree.root(), 0);
  for (size_t i = 0; i < tree.num_tensors(); ++i) tree.tensor(i);
}

}  // namespace bovila::fuzz
