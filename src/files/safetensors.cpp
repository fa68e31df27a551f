// The header of a safetensors file, checked before anything in it is believed, and plain reads.
#include "bovila/files/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "bovila/core/error.h"
#include "bovila/core/system.h"
#include "src/files/json_node.h"

namespace bovila {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read as they lie in files");

/// The format's own limit.
constexpr int64_t kMaxHeaderBytes = 100'000'000;
constexpr int64_t kLengthBytes = 8;
constexpr std::string_view kMetadata = "__metadata__";

struct TypeName {
  std::string_view name;
  ElementType type;
};
constexpr TypeName kTypes[] = {
    {"F16", ElementType::kFloat16}, {"BF16", ElementType::kBFloat16},
    {"F32", ElementType::kFloat32}, {"F64", ElementType::kFloat64},
    {"I8", ElementType::kInt8},     {"I16", ElementType::kInt16},
    {"I32", ElementType::kInt32},   {"I64", ElementType::kInt64},
    {"U8", ElementType::kUInt8},    {"BOOL", ElementType::kBool},
};

ElementType type_of(const JsonNode& dtype) {
  for (const TypeName& known : kTypes) {
    if (known.name == dtype.text()) return known.type;
  }
  dtype.fail("an element type that weights have: F16, BF16, F32 or F64");
}

/// Bytes of a tensor; none when they have no int64.
std::optional<int64_t> bytes_of(const SafeTensor& tensor) {
  int64_t bytes = size_of(tensor.type);
  if (std::ranges::find(tensor.shape, 0) != tensor.shape.end()) return 0;
  for (const int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return bytes;
}

int64_t size_at(const JsonNode& node) {
  const int64_t size = node.integer();
  if (size < 0) node.fail("a number that is not negative");
  return size;
}

/// A tensor of the header with offsets that are still from `values_begin` on.
SafeTensor read_tensor(const std::string& name, const JsonNode& node, int64_t values_begin,
                       int64_t file_size) {
  node.allow_only({"dtype", "shape", "data_offsets"});
  SafeTensor tensor;
  tensor.name = name;
  tensor.type = type_of(node["dtype"]);
  if (node["shape"].is_null()) node["shape"].fail("a list of sizes");
  for (const JsonNode& size : node["shape"].items()) tensor.shape.push_back(size_at(size));
  const auto offsets = node["data_offsets"].items();
  if (offsets.size() != 2) node["data_offsets"].fail("a begin and an end");
  const int64_t begin = size_at(offsets[0]), end = size_at(offsets[1]);
  if (begin > end || end > file_size - values_begin) {
    throw UserError(
        "the tensor '{}' lies at [{}, {}) in {} bytes of values: the file is damaged or "
        "cut short, copy or download it again",
        name, begin, end, file_size - values_begin);
  }
  tensor.begin = values_begin + begin;
  tensor.num_bytes = end - begin;
  const auto expected = bytes_of(tensor);
  if (!expected || *expected != tensor.num_bytes) {
    throw UserError("the tensor '{}' of shape [{}] and type {} has {} bytes: the file is damaged",
                    name, fmt::join(tensor.shape, ", "), name_of(tensor.type), tensor.num_bytes);
  }
  return tensor;
}

std::string describe_foreign(std::string_view start) {
  if (start.empty()) return "the file is empty";
  if (start.starts_with("version ")) {
    return "this is a Git LFS pointer, not the file: run git lfs pull";
  }
  if (start.starts_with("PK\x03\x04")) return "this is a zip (a .pth?), expected safetensors";
  return "expected a safetensors file: it is another kind of file, damaged or cut short";
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) throw UserError("{} cannot be opened: {}", path, system_message(errno));
  try {
    struct stat status {};
    if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
      throw UserError("expected a safetensors file, this is no regular file");
    }
    size_ = status.st_size;
    const std::string header = read_header();
    const auto values_begin = kLengthBytes + static_cast<int64_t>(header.size());
    list_tensors(header, values_begin);
    check_places(values_begin);
  } catch (const UserError& error) {
    close(descriptor_);
    const std::string problem = error.what();
    if (problem.starts_with(path)) throw;
    throw UserError("{}: {}", path, problem);
  }
}

SafetensorsFile::~SafetensorsFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      tensors_(std::move(other.tensors_)),
      metadata_(std::move(other.metadata_)) {}

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(tensors_, other.tensors_);
  std::swap(metadata_, other.metadata_);
  return *this;
}

std::string SafetensorsFile::read_header() {
  std::string start(static_cast<size_t>(std::min<int64_t>(size_, kLengthBytes)), '\0');
  read_bytes(0, std::as_writable_bytes(std::span(start)));
  if (size_ < kLengthBytes) throw UserError("{}", describe_foreign(start));
  uint64_t length = 0;
  std::memcpy(&length, start.data(), sizeof length);
  if (length > static_cast<uint64_t>(std::min(size_ - kLengthBytes, kMaxHeaderBytes))) {
    throw UserError("{} (a header of {} bytes in a file of {})", describe_foreign(start), length,
                    size_);
  }
  std::string header(length, '\0');
  read_bytes(kLengthBytes, std::as_writable_bytes(std::span(header)));
  return header;
}

void SafetensorsFile::list_tensors(const std::string& header, int64_t values_begin) {
  const nlohmann::json document = parse_json_object(path_, header);
  for (const auto& [name, value] : document.items()) {
    const JsonNode node = JsonNode(path_, document)[name];
    if (name != kMetadata) {
      tensors_.push_back(read_tensor(name, node, values_begin, size_));
      continue;
    }
    if (!value.is_object()) node.fail("an object of texts");
    for (const auto& [key, text] : value.items()) metadata_[key] = node[key].text();
  }
  std::ranges::sort(tensors_, {}, [](const SafeTensor& tensor) {
    return std::pair(tensor.begin, tensor.begin + tensor.num_bytes);
  });
}

void SafetensorsFile::check_places(int64_t values_begin) const {
  int64_t end = values_begin;
  for (const SafeTensor& tensor : tensors_) {
    if (tensor.begin != end) {
      throw UserError("the tensor '{}' {} the one before it: the file is damaged", tensor.name,
                      tensor.begin < end ? "overlaps" : "does not follow right behind");
    }
    end = tensor.begin + tensor.num_bytes;
  }
  if (end != size_) {
    throw UserError(
        "{} bytes follow the last tensor, expected none: the file is damaged or still "
        "being written",
        size_ - end);
  }
}

const SafeTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors_, name, &SafeTensor::name);
  return found == tensors_.end() ? nullptr : &*found;
}

void SafetensorsFile::read(const SafeTensor& tensor, std::span<std::byte> out) const {
  BOVILA_CHECK(static_cast<int64_t>(out.size()) == tensor.num_bytes, "{}: {} bytes for {}",
               tensor.name, out.size(), tensor.num_bytes);
  read_bytes(tensor.begin, out);
}

void SafetensorsFile::read_bytes(int64_t first, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = pread(descriptor_, out.data(), out.size(), first);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw UserError("{} cannot be read: {}", path_, system_message(errno));
    if (got == 0) throw UserError("{} ends at byte {}: it is being changed", path_, first);
    first += got;
    out = out.subspan(static_cast<size_t>(got));
  }
}

std::shared_ptr<const std::byte> SafetensorsFile::map() const {
  const auto size = static_cast<size_t>(size_);
  void* at = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor_, 0);
  if (at == MAP_FAILED) {
    throw ProgramError("{}: {} bytes cannot be mapped: {}", path_, size, system_message(errno));
  }
  return {static_cast<const std::byte*>(at),
          [size](const std::byte* p) { munmap(const_cast<std::byte*>(p), size); }};
}

}  // namespace bovila
