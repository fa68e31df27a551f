// The header is a Python dict in text, of which numpy writes one form only.
#include "bovila/features/npy.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/float16.h"
#include "bovila/core/hash.h"
#include "bovila/features/feature_store.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 4096;

struct NpyFile {
  fs::path path;
  size_t element_bytes = 2;  // half, float or double
  int64_t num_frames = 0;
  int64_t data_start = 0;

  bool is_half() const { return element_bytes == 2; }
  size_t num_values() const { return static_cast<size_t>(num_frames * kFeatureDim); }
};

[[noreturn]] void refuse(const fs::path& path, std::string_view what) {
  throw UserError(
      "{}: {}; expected an array [frames, {}] of float16, float32 or float64, as "
      "numpy.save writes it",
      path.string(), what, kFeatureDim);
}

/// Everything before the values.
std::string read_header(const fs::path& path, std::ifstream& file) {
  char start[12] = {};
  file.read(start, sizeof(start));
  if (!file || !std::string_view(start, sizeof(start)).starts_with(kMagic)) {
    refuse(path, "not a .npy file");
  }
  const auto byte = [&](int i) {
    return static_cast<size_t>(static_cast<unsigned char>(start[i]));
  };
  const bool is_first_version = byte(6) == 1;
  const size_t begin = is_first_version ? 10 : 12;
  const size_t size = is_first_version ? byte(8) | byte(9) << 8
                                       : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (size > kMaxHeaderBytes) refuse(path, "its header is too long");
  std::string header(begin + size, '\0');
  file.seekg(0);
  file.read(header.data(), std::ssize(header));
  if (!file) refuse(path, "it is cut short");
  return header;
}

NpyFile open_npy(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UserError("{} cannot be read", path.string());
  const std::string header = read_header(path, file);
  static const std::regex form(
      R"('descr': '<f([248])', 'fortran_order': False, 'shape': \(([0-9]{1,12}), ([0-9]{1,12})\))");
  std::smatch found;
  if (!std::regex_search(header, found, form)) {
    refuse(path, "it holds " + std::string(header.substr(std::min<size_t>(10, header.size()))));
  }
  NpyFile npy{path, std::stoul(found[1]), std::stoll(found[2]), std::ssize(header)};
  if (std::stoll(found[3]) != kFeatureDim) {
    refuse(path, fmt::format("its shape is [{}, {}]", found[2].str(), found[3].str()));
  }
  const auto expected =
      static_cast<uintmax_t>(npy.data_start) + npy.num_values() * npy.element_bytes;
  if (const auto bytes = fs::file_size(path); bytes != expected) {
    refuse(path, fmt::format("it has {} bytes instead of {}", bytes, expected));
  }
  return npy;
}

/// The .npy files of a folder; what else is in it goes to `passed_over`.
std::vector<fs::path> list_npy(const std::string& folder, std::vector<std::string>& passed_over) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.filename().string().starts_with('.')) continue;
    if (path.extension() == ".npy" && entry.is_regular_file()) {
      paths.push_back(path);
    } else {
      passed_over.push_back(path.filename().string());
    }
  }
  if (paths.empty()) {
    throw UserError("{}: there are no .npy files in it{}", folder,
                    passed_over.empty() ? "" : ": " + first_names(passed_over));
  }
  std::ranges::sort(paths);
  std::ranges::sort(passed_over);
  return paths;
}

/// The values as `half` says, from halves, floats or doubles.
void read_values(const NpyFile& npy, bool half, std::span<std::byte> out) {
  std::vector<std::byte> raw(npy.num_values() * npy.element_bytes);
  std::ifstream file(npy.path, std::ios::binary);
  file.seekg(npy.data_start);
  file.read(reinterpret_cast<char*>(raw.data()), std::ssize(raw));
  if (!file) throw UserError("{} cannot be read", npy.path.string());
  const std::span halves(reinterpret_cast<const uint16_t*>(raw.data()), npy.num_values());
  if (half) {
    std::ranges::copy(raw, out.begin());
  } else {
    const std::span floats(reinterpret_cast<float*>(out.data()), npy.num_values());
    if (npy.element_bytes == sizeof(uint16_t)) halves_to_floats(halves, floats);
    if (npy.element_bytes == sizeof(float)) std::ranges::copy(raw, out.begin());
    if (npy.element_bytes == sizeof(double)) {
      doubles_to_floats({reinterpret_cast<const double*>(raw.data()), floats.size()}, floats);
    }
  }
  require_finite_frames(out, half, npy.path.string());
}

}  // namespace

FeatureSource npy_source(const std::string& folder) {
  const auto files = std::make_shared<std::vector<NpyFile>>();
  FeatureSource source;
  std::string identity;
  std::vector<std::string> passed_over, empty;
  for (const fs::path& path : list_npy(folder, passed_over)) {
    const std::string name = path.stem().string();
    const NpyFile npy = open_npy(path);
    identity += fmt::format("{} {}\n", sha256_of_file(path.string()), name);
    if (npy.num_frames == 0) {
      empty.push_back(name);
      continue;
    }
    files->push_back(npy);
    source.videos.push_back({name, npy.num_frames});
  }
  note_left_out(source, empty, folder);
  if (!passed_over.empty()) {
    source.notes.push_back(fmt::format(
        "{} no .npy file and passed over: {}",
        passed_over.size() == 1 ? "1 entry is" : fmt::format("{} entries are", passed_over.size()),
        first_names(passed_over)));
  }
  source.identity = sha256_of(identity);
  source.half = std::ranges::all_of(*files, &NpyFile::is_half);
  source.read = [files, half = source.half](size_t video, std::span<std::byte> out) {
    read_values((*files)[video], half, out);
  };
  return source;
}

}  // namespace bovila
