// Folders of NumPy's files as feature sources: good ones of all versions, and each thing that can
// be wrong. Files that numpy itself wrote are in tests/cli/extract_features.sh.
#include "bovila/features/npy.h"

#include <cstring>

#include "bovila/features/feature_store.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

/// The bytes before the values, as numpy.save writes them.
std::string header(const std::string& type, const std::string& shape, int version = 1,
                   const std::string& fortran = "False") {
  std::string text =
      "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
  text.resize(117, ' ');
  text += '\n';
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  out += static_cast<char>(text.size());
  out.append(version == 1 ? 1 : 3, '\0');
  return out + text;
}

/// `count` values 0.5.
std::string halves(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += std::string("\0\x38", 2);
  return out;
}
std::string floats(size_t count, float value = 0.5F) {
  std::string out(count * sizeof(float), '\0');
  for (size_t i = 0; i < count; ++i) std::memcpy(&out[i * sizeof(float)], &value, sizeof(float));
  return out;
}

std::string problem_with(const std::string& bytes) {
  const TempFolder folder;
  folder.write("clip.npy", bytes);
  return error_of([&] {
    const FeatureSource source = npy_source(folder.path());
    std::vector<std::byte> out(static_cast<size_t>(source.videos[0].num_frames) * 768 * 4);
    source.read(0, out);
  });
}

}  // namespace

TEST_CASE("a folder of .npy files becomes a feature set, hidden files left out") {
  const TempFolder folder;
  folder.write("in/b.npy", header("<f2", "(2, 768)") + halves(2 * 768));
  folder.write("in/a.npy", header("<f2", "(1, 768)", 2) + halves(768));
  folder.write("in/.settings.json", "{}");
  const FeatureSource source = npy_source(folder.path() + "/in");
  CHECK(source.half);
  write_feature_set(folder.path() + "/set", source, 2, false, [](int64_t) {});
  CHECK(verify_feature_set(folder.path() + "/set") == 2);
  const FeatureStore store(folder.path() + "/set");
  CHECK(store.num_frames("a") == 1);
  CHECK(store.num_frames("b") == 2);
  std::vector<float> row(768);
  store.read("b", std::vector<int64_t>{1}, row);
  CHECK(row == std::vector<float>(768, 0.5F));
}

TEST_CASE("where halves and floats occur, all become floats") {
  const TempFolder folder;
  folder.write("a.npy", header("<f2", "(1, 768)") + halves(768));
  folder.write("b.npy", header("<f4", "(1, 768)") + floats(768));
  const FeatureSource source = npy_source(folder.path());
  CHECK_FALSE(source.half);
  for (size_t video : {0, 1}) {
    std::vector<float> row(768);
    source.read(video, std::as_writable_bytes(std::span(row)));
    CHECK(row == std::vector<float>(768, 0.5F));
  }
}

TEST_CASE("the identity follows contents and names") {
  const auto identity = [](const std::string& name, float value) {
    const TempFolder folder;
    folder.write(name, header("<f4", "(1, 768)") + floats(768, value));
    return npy_source(folder.path()).identity;
  };
  CHECK(identity("a.npy", 1) == identity("a.npy", 1));
  CHECK(identity("a.npy", 1) != identity("b.npy", 1));
  CHECK(identity("a.npy", 1) != identity("a.npy", 2));
}

TEST_CASE("a .npy file that is no video's features is refused by name") {
  CHECK(contains(problem_with(""), "clip.npy: not a .npy file"));
  CHECK(contains(problem_with("PK\3\4 something else"), "clip.npy: not a .npy file"));
  CHECK(contains(problem_with(header("<f2", "(1, 768)").substr(0, 60)), "it is cut short"));
  CHECK(contains(problem_with(header("<f2", "(1, 768)") + halves(767)),
                 "it has 1662 bytes instead of 1664"));
  CHECK(contains(problem_with(header("<f2", "(1, 768)") + halves(769)), "it has 1666 bytes"));
  CHECK(contains(problem_with(header("<f2", "(1, 512)") + halves(512)), "its shape is [1, 512]"));
  CHECK(contains(problem_with(header("<f2", "(0, 768)")),
                 "there are no videos in it that have frames: clip"));
  CHECK(contains(problem_with(header("<f8", "(1, 768)")), "bytes instead of 6272"));
  CHECK(contains(problem_with(header("<i8", "(1, 768)")), "it holds {'descr': '<i8'"));
  CHECK(contains(problem_with(header(">f4", "(1, 768)")), "it holds {'descr': '>f4'"));
  CHECK(contains(problem_with(header("<f4", "(768,)")), "expected an array [frames, 768]"));
  CHECK(contains(problem_with(header("<f2", "(2, 768)", 1, "True") + halves(2 * 768)),
                 "'fortran_order': True"));
  CHECK(contains(problem_with(header("<f4", "(1, 768)") + floats(768, 1.0F / 0.0F)),
                 "clip.npy has a value that is not finite"));
}

TEST_CASE("a folder with no .npy files is refused") {
  const TempFolder folder;
  CHECK(contains(error_of([&] { npy_source(folder.path()); }), "there are no .npy files in it"));
  folder.write("notes.txt", "");
  CHECK(contains(error_of([&] { npy_source(folder.path()); }),
                 "there are no .npy files in it: notes.txt"));
}

TEST_CASE("what is no .npy file and videos without frames are left out and noted") {
  const TempFolder folder;
  folder.write("README.md", "");
  folder.write("sub/c.npy", "");
  folder.write("a.npy", header("<f2", "(1, 768)") + halves(768));
  folder.write("b.npy", header("<f2", "(0, 768)"));
  const FeatureSource source = npy_source(folder.path());
  REQUIRE(source.videos.size() == 1);
  CHECK(source.videos[0].name == "a");
  CHECK(source.notes ==
        std::vector<std::string>{"1 video has no frames and is left out: b",
                                 "2 entries are no .npy file and passed over: README.md, sub"});
}

TEST_CASE("doubles become floats, and none of them may be too large for one") {
  const auto doubles = [](double value) {
    std::string out(768 * sizeof(double), '\0');
    for (size_t i = 0; i < 768; ++i) std::memcpy(&out[i * sizeof(double)], &value, sizeof(double));
    return out;
  };
  const TempFolder folder;
  folder.write("a.npy", header("<f8", "(1, 768)") + doubles(0.25));
  folder.write("b.npy", header("<f2", "(1, 768)") + halves(768));
  const FeatureSource source = npy_source(folder.path());
  CHECK_FALSE(source.half);
  std::vector<float> row(768);
  source.read(0, std::as_writable_bytes(std::span(row)));
  CHECK(row == std::vector<float>(768, 0.25F));
  CHECK(contains(problem_with(header("<f8", "(1, 768)") + doubles(1e300)),
                 "clip.npy has a value that is not finite"));
}
