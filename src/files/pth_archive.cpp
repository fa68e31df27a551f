// Opening and reading the zip of a .pth file with libzip.
// Entries are stored, not compressed, so any byte of one is reached with a seek (several tensors
// may share one storage of many GB, and each is read at its place).
#include "src/files/pth_archive.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <vector>

#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

constexpr std::string_view kAdvice =
    "Load it with a recent PyTorch and save it again: torch.save(torch.load(FILE), FILE)";

std::string first_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(16, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

/// What a file that libzip does not open is.
std::string describe_foreign(const std::string& path, const std::string& zip_reason) {
  const std::string start = first_bytes(path);
  if (start.empty()) return "the file is empty";
  if (start.starts_with("PK\x03\x04")) {
    return fmt::format(
        "the file is cut short or damaged: it starts as a .pth but its directory "
        "cannot be read ({}). Copy or download it again",
        zip_reason);
  }
  if (start.starts_with("\x80\x02\x8a\x0a")) {  // the magic number of the format before zips
    return fmt::format("this is the legacy format of PyTorch before 1.6. {}", kAdvice);
  }
  if (start.starts_with("\x89HDF\r\n"))
    return "this is an HDF5 file, expected a .pth of torch.save";
  if (start.starts_with("version https://")) {
    return "this is a Git LFS pointer, not the file: run git lfs pull";
  }
  if (start.size() > 8 && start[8] == '{') {
    return "this is a safetensors file, expected a .pth of torch.save";
  }
  if (start.front() == '\x80') return fmt::format("this is a bare pickle, not a .pth. {}", kAdvice);
  return fmt::format("expected a .pth of torch.save, this is another kind of file ({})",
                     zip_reason);
}

}  // namespace

PthEntryReader::PthEntryReader(zip_t* zip, const PthEntry& entry, std::string where)
    : where_(std::move(where)), file_(zip_fopen_index(zip, entry.index, 0)) {
  if (!file_) throw UserError("{}: cannot be read: {}", where_, zip_strerror(zip));
}

std::string PthEntryReader::reason() const {
  return zip_file_strerror(file_.get());
}

void PthEntryReader::seek(int64_t byte) {
  if (zip_fseek(file_.get(), byte, SEEK_SET) != 0) {
    throw UserError("{}: cannot be read at byte {}: {}", where_, byte, reason());
  }
}

void PthEntryReader::read(std::span<std::byte> out) {
  while (!out.empty()) {
    const zip_int64_t size = zip_fread(file_.get(), out.data(), out.size());
    if (size < 0) throw UserError("{}: the file is damaged or cut short: {}", where_, reason());
    if (size == 0) throw UserError("{}: the entry ends too early: the file is damaged", where_);
    out = out.subspan(static_cast<size_t>(size));
  }
}

void PthEntryReader::finish() {
  std::byte beyond{};
  if (zip_fread(file_.get(), &beyond, 1) < 0) {
    throw UserError("{}: the file is damaged: {}", where_, reason());
  }
}

PthArchive::PthArchive(const std::string& path) : path_(path) {
  std::error_code reason;
  const auto status = std::filesystem::status(path, reason);
  if (!std::filesystem::exists(status)) {
    throw UserError("{}: expected a .pth file, there is none", path);
  }
  if (std::filesystem::is_directory(status)) {
    throw UserError("{}: expected a .pth file, this is a folder", path);
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw UserError("{}: expected a .pth file, this is no regular file", path);
  }
  if (!std::ifstream(path))
    throw UserError("{}: cannot be opened: {}", path, system_message(errno));
  int code = 0;
  zip_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!zip_) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw UserError("{}: {}", path, describe_foreign(path, text));
  }
  list_entries();
  find_prefix();
}

void PthArchive::list_entries() {
  const auto file_bytes = static_cast<zip_uint64_t>(std::filesystem::file_size(path_));
  const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    zip_stat_t stat;
    if (zip_stat_index(zip_.get(), i, 0, &stat) != 0) {
      throw UserError("{}: entry {}: {}", path_, i, zip_strerror(zip_.get()));
    }
    const std::string name = stat.name;
    if (stat.comp_method != ZIP_CM_STORE || stat.encryption_method != ZIP_EM_NONE) {
      throw UserError(
          "{}: entry {}: expected a stored entry, as torch.save writes, got a compressed "
          "or encrypted one. {}",
          path_, name, kAdvice);
    }
    if (stat.size != stat.comp_size || stat.size > file_bytes) {
      throw UserError("{}: entry {}: {} bytes in a file of {}: the file is damaged or cut short",
                      path_, name, stat.size, file_bytes);
    }
    if (!entries_.emplace(name, PthEntry{i, static_cast<int64_t>(stat.size), stat.crc}).second) {
      throw UserError("{}: entry {} is there twice: the file is damaged", path_, name);
    }
  }
}

void PthArchive::find_prefix() {
  constexpr std::string_view kPickle = "/data.pkl";
  std::vector<std::string> found;
  for (const auto& [name, entry] : entries_) {
    if (name.ends_with(kPickle)) found.push_back(name.substr(0, name.size() - kPickle.size() + 1));
  }
  if (found.size() != 1) {
    throw UserError(
        "{}: expected a .pth of torch.save, this is a zip with {} entries NAME/data.pkl", path_,
        found.size());
  }
  prefix_ = found.front();
  if (const PthEntry* order = find("byteorder"); order != nullptr) {
    const std::string text = read_all("byteorder", 64);
    if (text != "little") {
      throw UserError(
          "{}: expected little-endian data, got byte order \"{}\". Save it again on a "
          "little-endian machine",
          place("byteorder"), text);
    }
  }
  if (find("constants.pkl") != nullptr) {
    throw UserError("{}: expected tensors saved by torch.save, this is a TorchScript program",
                    path_);
  }
}

const PthEntry* PthArchive::find(const std::string& name) const {
  const auto found = entries_.find(prefix_ + name);
  return found == entries_.end() ? nullptr : &found->second;
}

std::string PthArchive::place(const std::string& name) const {
  return fmt::format("{}: entry {}{}", path_, prefix_, name);
}

PthEntryReader PthArchive::open(const std::string& name) const {
  const PthEntry* entry = find(name);
  if (entry == nullptr) throw UserError("{}: is missing: the file is damaged", place(name));
  return {zip_.get(), *entry, place(name)};
}

std::string PthArchive::read_all(const std::string& name, int64_t max_bytes) const {
  PthEntryReader reader = open(name);
  const int64_t size = find(name)->size;
  if (size > max_bytes) {
    throw UserError("{}: expected at most {} bytes, got {}", place(name), max_bytes, size);
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  reader.read(std::as_writable_bytes(std::span(bytes)));
  reader.finish();
  return bytes;
}

std::string PthArchive::identity() const {
  std::vector<std::string> lines;
  for (const auto& [name, entry] : entries_) {  // without the prefix: it follows the file's name
    lines.push_back(fmt::format("{}\t{}\t{:08x}\n",
                                name.starts_with(prefix_) ? name.substr(prefix_.size()) : name,
                                entry.size, entry.crc));
  }
  std::sort(lines.begin(), lines.end());
  Sha256 hash;
  for (const std::string& line : lines) hash.update(line);
  return hash.finish_hex();
}

}  // namespace bovila
