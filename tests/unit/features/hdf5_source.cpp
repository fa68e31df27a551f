// HDF5 files with one dataset a video: names, types, what is left out and what is refused.
#include "bovila/features/hdf5_source.h"

#include "bovila/core/hdf5.h"
#include "bovila/features/feature_store.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

template <typename Value>
void put(const hdf5::Handle& file, const std::string& path, hdf5::Type type, int64_t frames,
         Value value, int64_t columns = kFeatureDim) {
  const std::vector<Value> values(static_cast<size_t>(frames * columns), value);
  hdf5::write(file.get(), path, type, std::vector{frames, columns},
              std::as_bytes(std::span(values)));
}

std::vector<std::string> names_of(const FeatureSource& source) {
  std::vector<std::string> names;
  for (const VideoFrames& video : source.videos) names.push_back(video.name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a dataset a video becomes a feature set, whatever its floating point type") {
  const TempFolder folder;
  const std::string path = folder.path() + "/all.h5";
  {
    const auto file = hdf5::create_file(path);
    put<uint16_t>(file, "half", hdf5::Type::kFloat16, 2, 0x3800);
    put<float>(file, "show/float", hdf5::Type::kFloat32, 1, 0.5F);
    put<double>(file, "double", hdf5::Type::kFloat64, 1, 0.5);
    put<float>(file, "none", hdf5::Type::kFloat32, 0, 0.5F);
  }
  CHECK(is_hdf5_file(path));
  const FeatureSource source = hdf5_source(path);
  CHECK(names_of(source) == Names{"double", "half", "show/float"});
  CHECK(source.notes == Names{"1 video has no frames and is left out: none"});
  CHECK_FALSE(source.half);
  write_feature_set(folder.path() + "/set", source, 2, false, [](int64_t) {});
  const FeatureStore store(folder.path() + "/set");
  for (const char* name : {"double", "half", "show/float"}) {
    std::vector<float> row(kFeatureDim);
    store.read(name, std::vector<int64_t>{0}, row);
    CHECK(row == std::vector<float>(kFeatureDim, 0.5F));
  }
}

TEST_CASE("frames are as wide as the first video's, whatever the encoder") {
  const TempFolder folder;
  const std::string path = folder.path() + "/all.h5";
  {
    const auto file = hdf5::create_file(path);
    put<uint16_t>(file, "a", hdf5::Type::kFloat16, 2, 0x3800, 1152);
    put<uint16_t>(file, "b", hdf5::Type::kFloat16, 1, 0x3800, 1152);
  }
  write_feature_set(folder.path() + "/set", hdf5_source(path), 1, false, [](int64_t) {});
  const FeatureStore store(folder.path() + "/set");
  CHECK(store.dim() == 1152);
  std::vector<float> row(1152);
  store.read("a", std::vector<int64_t>{1}, row);
  CHECK(row == std::vector<float>(1152, 0.5F));
}

TEST_CASE("a group a video, each with a dataset of the same name, has the groups' names") {
  const TempFolder folder;
  const auto source_of = [&](const Names& paths) {
    const std::string file_name = folder.path() + "/all.h5";
    {
      const auto file = hdf5::create_file(file_name);
      for (const std::string& path : paths) {
        put<uint16_t>(file, path, hdf5::Type::kFloat16, 1, 0);
      }
    }
    return hdf5_source(file_name);
  };
  CHECK(names_of(source_of({"a/features"})) == Names{"a/features"});
  CHECK(names_of(source_of({"a/features", "b/features"})) == Names{"a", "b"});
  CHECK(names_of(source_of({"a/features", "b/frames"})) == Names{"a/features", "b/frames"});
  CHECK(source_of({"a/features", "b/features"}).half);
}

TEST_CASE("an HDF5 file of something else is refused with the dataset") {
  const auto problem_with = [](auto fill) {
    const TempFolder folder;
    const std::string path = folder.path() + "/all.h5";
    {
      const auto file = hdf5::create_file(path);
      fill(file);
    }
    return error_of([&] {
      const FeatureSource source = hdf5_source(path);
      std::vector<std::byte> out(static_cast<size_t>(source.videos[0].num_frames) * kFeatureDim *
                                 (source.half ? 2 : 4));
      source.read(0, out);
    });
  };
  CHECK(contains(problem_with([](auto&) {}), "there are no videos in it"));
  CHECK(contains(
      problem_with([](auto& file) {
        put<float>(file, "u", hdf5::Type::kFloat32, 2, 0.5F);
        put<float>(file, "v", hdf5::Type::kFloat32, 2, 0.5F, 512);
      }),
      "'v' has floating point of shape [2, 512], expected a video's frames [frames, 768]"));
  CHECK(contains(
      problem_with([](auto& file) { put<float>(file, "v", hdf5::Type::kFloat32, 1, 0.5F, 65537); }),
      "'v' has floating point of shape [1, 65537], expected a video's frames [frames, width]"));
  CHECK(
      contains(problem_with([](auto& file) { put<int64_t>(file, "v", hdf5::Type::kInt64, 2, 1); }),
               "'v' has whole numbers of shape [2, 768]"));
  CHECK(contains(
      problem_with([](auto& file) { put<double>(file, "v", hdf5::Type::kFloat64, 1, 1e300); }),
      "'v' has a value that is not finite"));
  CHECK(contains(problem_with([](auto& file) {
                   hdf5::write_strings(file.get(), "v", Names{"a", "b"});
                 }),
                 "expected half, bfloat16, float"));
  const TempFolder folder;
  CHECK_FALSE(is_hdf5_file(folder.write("short", "\x89HDF")));
  CHECK_FALSE(is_hdf5_file(folder.path() + "/nowhere"));
}
