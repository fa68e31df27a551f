// Tensors of a .pth file: checked against their storages, read whatever their strides are.
// Fed by src/files/pth_archive.h (bytes) and files/pickle.h (what they mean).
#include "bovila/files/pth.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_set>

#include "bovila/core/error.h"
#include "src/files/pth_archive.h"
#include "src/files/unpickler.h"

namespace bovila {
namespace {

std::string entry_of(const PthTensor& tensor) {
  return "data/" + tensor.storage;
}

std::string shape_of(const PthTensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.shape, ", "));
}

/// Elements from the tensor's first to its last in the storage; none when that has no int64.
std::optional<int64_t> extent_of(const PthTensor& tensor) {
  int64_t last = 0;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    int64_t step = 0;
    if (tensor.shape[i] == 0) return 0;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last)) {
      return std::nullopt;
    }
  }
  if (last == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return last + 1;
}

std::optional<int64_t> checked_numel(const PthTensor& tensor) {
  int64_t count = 1;
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return 0;
  for (const int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(count, size, &count)) return std::nullopt;
  }
  return count;
}

}  // namespace

struct PthFile::Impl {
  PthArchive archive;
  PickleTree tree;

  explicit Impl(const std::string& path)
      : archive(path),
        tree(parse_pickle(archive.read_all("data.pkl", kMaxPickleBytes),
                          archive.place("data.pkl"))) {
    for (size_t i = 0; i < tree.num_tensors(); ++i) check(tree.tensor(i));
  }

  [[noreturn]] void fail(const PthTensor& tensor, const std::string& problem) const {
    throw UserError("{}: tensor \"{}\": {}. The file is damaged or was made by hand",
                    archive.place(entry_of(tensor)), tensor.name, problem);
  }
  void check(const PthTensor& tensor) const;
  void gather(const PthTensor& tensor, std::span<std::byte> out) const;
  void gather_runs(const PthTensor& tensor, std::span<std::byte> out) const;
  void read_range(const PthTensor& tensor, int64_t first, std::span<std::byte> out) const;
};

void PthFile::Impl::check(const PthTensor& tensor) const {
  const PthEntry* storage = archive.find(entry_of(tensor));
  if (storage == nullptr) fail(tensor, "its data are missing");
  const int64_t size = size_of(tensor.type);
  if (storage->size % size != 0 || storage->size / size != tensor.storage_numel) {
    fail(tensor, fmt::format("expected {} elements of {}, got {} bytes", tensor.storage_numel,
                             name_of(tensor.type), storage->size));
  }
  const std::optional<int64_t> extent = extent_of(tensor);
  const std::optional<int64_t> numel = checked_numel(tensor);
  if (!extent || !numel || tensor.offset > tensor.storage_numel ||
      *extent > tensor.storage_numel - tensor.offset) {
    fail(tensor, fmt::format("shape {} with strides [{}] at {} leaves its storage of {} elements",
                             shape_of(tensor), fmt::join(tensor.strides, ", "), tensor.offset,
                             tensor.storage_numel));
  }
  if (*numel > tensor.storage_numel) {
    throw UserError(
        "{}: tensor \"{}\": {} elements in a storage of {}: it was expanded. Save "
        "tensor.contiguous()",
        archive.place(entry_of(tensor)), tensor.name, *numel, tensor.storage_numel);
  }
}

/// Elements of the storage from `first` on, with the checksum when that is all of it.
void PthFile::Impl::read_range(const PthTensor& tensor, int64_t first,
                               std::span<std::byte> out) const {
  PthEntryReader reader = archive.open(entry_of(tensor));
  const int64_t start = first * size_of(tensor.type);
  if (start != 0) reader.seek(start);
  reader.read(out);
  const auto end = start + static_cast<int64_t>(out.size());
  if (start == 0 && end == archive.find(entry_of(tensor))->size) reader.finish();
}

/// Calls `visit` with the place, relative to the tensor's first element, of every run of
/// shape.back() elements, in row-major order.
template <typename Visit>
void for_each_run(const PthTensor& tensor, Visit visit) {
  const size_t outer = tensor.shape.size() - 1;
  std::vector<int64_t> index(outer, 0);
  int64_t place = 0;
  while (true) {
    visit(place);
    size_t dimension = outer;
    while (dimension-- > 0) {
      if (tensor.shape[dimension] == 1) continue;  // its stride says nothing and may be anything
      place += tensor.strides[dimension];
      if (++index[dimension] < tensor.shape[dimension]) break;
      place -= tensor.strides[dimension] * tensor.shape[dimension];
      index[dimension] = 0;
    }
    if (dimension == std::numeric_limits<size_t>::max()) return;
  }
}

/// A tensor with gaps or in another order: all that it spans is read, and its elements picked out.
void PthFile::Impl::gather(const PthTensor& tensor, std::span<std::byte> out) const {
  const auto size = static_cast<size_t>(size_of(tensor.type));
  const int64_t extent = *extent_of(tensor);
  // Tensors spread thinly over a large storage would take its memory.
  constexpr int64_t kMaxWaste = 4;
  if (extent / kMaxWaste > tensor.numel()) return gather_runs(tensor, out);
  std::vector<std::byte> spanned(static_cast<size_t>(extent) * size);
  read_range(tensor, tensor.offset, spanned);
  std::byte* to = out.data();
  for_each_run(tensor, [&](int64_t place) {
    for (int64_t i = 0; i < tensor.shape.back(); ++i, to += size) {
      const auto at = static_cast<size_t>(place + i * tensor.strides.back());
      std::memcpy(to, spanned.data() + at * size, size);
    }
  });
}

void PthFile::Impl::gather_runs(const PthTensor& tensor, std::span<std::byte> out) const {
  const int64_t size = size_of(tensor.type);
  PthEntryReader reader = archive.open(entry_of(tensor));
  const bool is_dense = tensor.strides.back() == 1;
  const int64_t reads = is_dense ? 1 : tensor.shape.back();
  const auto read_bytes = static_cast<size_t>((is_dense ? tensor.shape.back() : 1) * size);
  for_each_run(tensor, [&](int64_t place) {
    for (int64_t i = 0; i < reads; ++i) {
      reader.seek((tensor.offset + place + i * tensor.strides.back()) * size);
      reader.read(out.first(read_bytes));
      out = out.subspan(read_bytes);
    }
  });
}

PthFile::PthFile(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
PthFile::~PthFile() = default;
PthFile::PthFile(PthFile&&) noexcept = default;
PthFile& PthFile::operator=(PthFile&&) noexcept = default;

const std::string& PthFile::path() const {
  return impl_->archive.path();
}
PickleValue PthFile::root() const {
  return impl_->tree.root();
}
std::string PthFile::identity() const {
  return impl_->archive.identity();
}

namespace {

std::string describe(const PickleValue& value) {
  if (value.kind() != PickleKind::kOpaque) return std::string(name_of(value.kind()));
  return fmt::format(
      "an object of {}, which is not read; nothing was executed. Save a plain dict of tensors",
      value.class_name());
}

}  // namespace

std::vector<PthTensor> PthFile::tensors(std::string_view key) const {
  PickleValue dict = root();
  const auto expect_dict = [&](const std::string& what) {
    if (dict.kind() == PickleKind::kDict) return;
    throw UserError("{}: expected {} of name -> tensor, got {}", path(), what, describe(dict));
  };
  expect_dict("a dict");
  if (!key.empty()) {
    const std::optional<PickleValue> inner = dict.find(key);
    if (!inner)
      throw UserError("{}: expected a dict under the key \"{}\", there is none", path(), key);
    dict = *inner;
    expect_dict(fmt::format("a dict under the key \"{}\"", key));
  }
  std::vector<PthTensor> found;
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < dict.size(); ++i) {
    const PickleValue label = dict.key(i);
    if (label.kind() != PickleKind::kString && label.kind() != PickleKind::kInt) {
      throw UserError("{}: expected a name as key {} of the dict, got {}", path(), i,
                      describe(label));
    }
    const bool is_number = label.kind() == PickleKind::kInt;
    std::string name = is_number ? std::to_string(label.as_int()) : std::string(label.as_text());
    if (!names.insert(name).second) {  // the pickle's own keys differ
      throw UserError("{}: the dict has {} as a number and as a text: one name for two entries",
                      path(), name);
    }
    if (dict.at(i).kind() != PickleKind::kTensor) {
      throw UserError("{}: entry \"{}\": expected a tensor, got {}", path(), name,
                      describe(dict.at(i)));
    }
    found.push_back(dict.at(i).as_tensor());
    found.back().name = std::move(name);
  }
  return found;
}

void PthFile::read(const PthTensor& tensor, std::span<std::byte> out) const {
  BOVILA_CHECK(static_cast<int64_t>(out.size()) == tensor.num_bytes(), "{}: {} bytes for {}",
               tensor.name, out.size(), tensor.num_bytes());
  if (out.empty()) return;
  if (tensor.is_contiguous()) {
    impl_->read_range(tensor, tensor.offset, out);
  } else {
    impl_->gather(tensor, out);
  }
}

void PthFile::read_in_pieces(const PthTensor& tensor, size_t piece_bytes,
                             const std::function<void(std::span<const std::byte>)>& consume) const {
  const auto size = static_cast<size_t>(size_of(tensor.type));
  const size_t step = std::max(piece_bytes / size, size_t{1}) * size;
  auto left = static_cast<size_t>(tensor.num_bytes());
  if (!tensor.is_contiguous()) {
    std::vector<std::byte> whole(left);
    read(tensor, whole);
    for (std::span<const std::byte> rest = whole; !rest.empty();) {
      consume(rest.first(std::min(step, rest.size())));
      rest = rest.subspan(std::min(step, rest.size()));
    }
    return;
  }
  std::vector<std::byte> buffer(std::min(step, left));
  PthEntryReader reader = impl_->archive.open(entry_of(tensor));
  if (tensor.offset != 0) reader.seek(tensor.offset * size_of(tensor.type));
  while (left > 0) {
    const std::span<std::byte> piece = std::span(buffer).first(std::min(step, left));
    reader.read(piece);
    left -= piece.size();
    if (left == 0 && spans_storage(tensor)) reader.finish();
    consume(piece);
  }
}

void PthFile::verify_storage(const PthTensor& tensor) const {
  PthEntryReader reader = impl_->archive.open(entry_of(tensor));
  auto left = static_cast<size_t>(impl_->archive.find(entry_of(tensor))->size);
  std::vector<std::byte> piece(std::min(left, size_t{1} << 20));
  while (left > 0) {
    const size_t count = std::min(left, piece.size());
    reader.read(std::span(piece).first(count));
    left -= count;
  }
  reader.finish();
}

bool PthFile::spans_storage(const PthTensor& tensor) const {
  return tensor.offset == 0 && tensor.numel() == tensor.storage_numel;
}

}  // namespace bovila
