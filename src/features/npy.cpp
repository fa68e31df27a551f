// The header is a Python dict in text, of which numpy writes one form only.
#include "bovila/features/npy.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>

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
  bool half = true;
  int64_t num_frames = 0;
  int64_t dim = 0;
  int64_t data_start = 0;

  size_t num_values() const { return static_cast<size_t>(num_frames * dim); }
};

[[noreturn]] void refuse(const fs::path& path, std::string_view what) {
  throw UserError(
      "{}: {}; expected an array [frames, width] of float16 or float32, as numpy.save "
      "writes it",
      path.string(), what);
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
      R"('descr': '<f([24])', 'fortran_order': False, 'shape': \(([0-9]{1,12}), ([0-9]{1,12})\))");
  std::smatch found;
  if (!std::regex_search(header, found, form)) {
    refuse(path, "it holds " + std::string(header.substr(std::min<size_t>(10, header.size()))));
  }
  NpyFile npy{path, found[1] == "2", std::stoll(found[2]), std::stoll(found[3]),
              std::ssize(header)};
  if (npy.num_frames < 1 || npy.dim < 1 || npy.dim > kMaxFeatureDim) {
    refuse(path, fmt::format("its shape is [{}, {}]", found[2].str(), found[3].str()));
  }
  const auto expected =
      static_cast<uintmax_t>(npy.data_start) + npy.num_values() * (npy.half ? 2 : 4);
  if (const auto bytes = fs::file_size(path); bytes != expected) {
    refuse(path, fmt::format("it has {} bytes instead of {}", bytes, expected));
  }
  return npy;
}

std::vector<fs::path> list_npy(const std::string& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.filename().string().starts_with('.')) continue;
    if (path.extension() != ".npy" || !entry.is_regular_file()) {
      throw UserError("{}: expected NAME.npy files and nothing else in this folder", path.string());
    }
    paths.push_back(path);
  }
  if (paths.empty()) throw UserError("{}: there are no .npy files in it", folder);
  std::ranges::sort(paths);
  return paths;
}

/// The values as `half` says, from halves or floats.
void read_values(const NpyFile& npy, bool half, std::span<std::byte> out) {
  std::vector<std::byte> raw(npy.num_values() * (npy.half ? 2 : 4));
  std::ifstream file(npy.path, std::ios::binary);
  file.seekg(npy.data_start);
  file.read(reinterpret_cast<char*>(raw.data()), std::ssize(raw));
  if (!file) throw UserError("{} cannot be read", npy.path.string());
  const std::span halves(reinterpret_cast<const uint16_t*>(raw.data()), raw.size() / 2);
  const std::span floats(reinterpret_cast<const float*>(raw.data()), raw.size() / 4);
  if (!(npy.half ? all_finite_halves(halves) : all_finite_floats(floats))) {
    throw UserError(
        "{} has a value that is not finite (infinite or NaN); extract its features again",
        npy.path.string());
  }
  if (npy.half == half) {
    std::ranges::copy(raw, out.begin());
  } else {
    halves_to_floats(halves, {reinterpret_cast<float*>(out.data()), npy.num_values()});
  }
}

}  // namespace

FeatureSource npy_source(const std::string& folder) {
  const auto files = std::make_shared<std::vector<NpyFile>>();
  FeatureSource source;
  std::string identity;
  for (const fs::path& path : list_npy(folder)) {
    files->push_back(open_npy(path));
    if (files->back().dim != files->front().dim) {
      refuse(path, fmt::format("a frame of it has {} numbers, one of {} {}", files->back().dim,
                               files->front().path.filename().string(), files->front().dim));
    }
    source.videos.push_back({path.stem().string(), files->back().num_frames});
    identity += fmt::format("{} {}\n", sha256_of_file(path.string()), source.videos.back().name);
  }
  source.identity = sha256_of(identity);
  source.dim = files->front().dim;
  source.half = std::ranges::all_of(*files, &NpyFile::half);
  source.read = [files, half = source.half](size_t video, std::span<std::byte> out) {
    read_values((*files)[video], half, out);
  };
  return source;
}

}  // namespace bovila
