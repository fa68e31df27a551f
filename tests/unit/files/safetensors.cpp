// What a safetensors file says is proved before it is believed.
#include "bovila/files/safetensors.h"

#include "tests/unit/data/read_as.h"
#include "tests/unit/files/safetensors_builder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::safetensors;
using testing::TempFolder;
using testing::with_header;

namespace {

/// What opening a file of these bytes says, without the file's path.
std::string problem(const std::string& bytes) {
  const TempFolder folder;
  const auto path = folder.write("model.safetensors", bytes);
  const auto message = error_of([&] { SafetensorsFile file(path); });
  CHECK((message.empty() || message.starts_with(path)));
  return message.substr(std::min(message.size(), path.size()));
}

/// The same for a header with one tensor `a` and so many bytes of values.
std::string problem_of(const std::string& tensor, size_t bytes) {
  return problem(with_header("{\"a\": " + tensor + "}", std::string(bytes, 'v')));
}

std::string read(const SafetensorsFile& file, const SafeTensor& tensor) {
  std::string bytes(static_cast<size_t>(tensor.num_bytes), '\0');
  file.read(tensor, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace

TEST_CASE("tensors come in the order of their places, with type, shape and values") {
  const TempFolder folder;
  const auto path = folder.write("x.safetensors", safetensors({{"z", "F16", {2, 3}, "abcdefghijkl"},
                                                               {"scalar", "F32", {}, "0123"},
                                                               {"none", "BF16", {4, 0}, ""},
                                                               {"a", "I64", {1}, "87654321"}},
                                                              {{"format", "pt"}}));
  const SafetensorsFile file(path);
  REQUIRE(file.tensors().size() == 4);
  CHECK(file.tensors()[0].name == "z");
  CHECK((file.tensors()[0].type == ElementType::kFloat16));
  CHECK(file.tensors()[0].shape == std::vector<int64_t>{2, 3});
  CHECK(read(file, file.tensors()[0]) == "abcdefghijkl");
  CHECK(read(file, *file.find("scalar")) == "0123");
  CHECK(file.find("none")->num_bytes == 0);
  CHECK(read(file, *file.find("a")) == "87654321");
  CHECK(file.find("b") == nullptr);
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.size() == static_cast<int64_t>(std::filesystem::file_size(path)));
}

TEST_CASE("a mapped file has the file's bytes, also after the file object is gone") {
  const TempFolder folder;
  const auto bytes = safetensors({{"a", "U8", {5}, "hello"}});
  const auto path = folder.write("x.safetensors", bytes);
  const auto mapped = SafetensorsFile(path).map();
  CHECK(std::memcmp(mapped.get(), bytes.data(), bytes.size()) == 0);
}

TEST_CASE("a header may be padded with blanks, and a file may hold no tensors") {
  CHECK(problem(with_header("{}      ")).empty());
}

TEST_CASE("other kinds of files are told apart") {
  CHECK(contains(problem(""), "the file is empty"));
  CHECK(contains(problem("abc"), "another kind of file, damaged or cut short"));
  CHECK(contains(problem("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
                 "Git LFS pointer, not the file: run git lfs pull"));
  CHECK(contains(problem("PK\x03\x04" + std::string(90, '\0')), "this is a zip"));
  const TempFolder folder;
  CHECK(contains(error_of([&] { SafetensorsFile file(folder.path()); }), "no regular file"));
  CHECK(contains(error_of([&] { SafetensorsFile file(folder.path() + "/no"); }),
                 "/no cannot be opened: No such file"));
}

TEST_CASE("a header that leaves the file is refused before memory is taken for it") {
  CHECK(contains(problem(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}"),
                 "a header of 9223372036854775807 bytes in a file of 10"));
  CHECK(contains(problem(with_header("{}").substr(0, 9)), "a header of 2 bytes in a file of 9"));
}

TEST_CASE("a header that is no JSON object is refused") {
  for (const char* text : {"", "{\"a\": ", "\xff"}) {
    CAPTURE(text);
    CHECK(contains(problem(with_header(text)), "is not valid JSON"));
  }
  CHECK(contains(problem(with_header("[1]")), "expected a JSON object"));
}

TEST_CASE(
    "a header with objects without end in one another is refused, and the stack does not end") {
  std::string header;
  for (int i = 0; i < 100'000; ++i) header += "{\"a\":";
  CHECK(contains(problem(with_header(header)),
                 "has lists or objects more than 64 deep in one another"));
}

TEST_CASE("a tensor's entry of another form is shown with its place") {
  CHECK(contains(problem_of("7", 0), "a is 7, expected an object"));
  CHECK(contains(problem_of(R"({"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]})", 1),
                 "a.dtype is \"F8_E4M3\", expected an element type that weights have"));
  CHECK(contains(problem_of(R"({"shape": [1], "data_offsets": [0, 1]})", 1), "a.dtype is null"));
  CHECK(contains(problem_of(R"({"dtype": "U8", "data_offsets": [0, 1]})", 1),
                 "a.shape is null, expected a list of sizes"));
  CHECK(contains(problem_of(R"({"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]})", 1),
                 "a.shape[0] is -1, expected a number that is not negative"));
  CHECK(contains(problem_of(R"({"dtype": "U8", "shape": [1.5], "data_offsets": [0, 1]})", 1),
                 "a.shape[0] is 1.5, expected a whole number"));
  CHECK(contains(problem_of(R"({"dtype": "U8", "shape": [1], "data_offsets": [0]})", 1),
                 "a.data_offsets is a list, expected a begin and an end"));
  CHECK(contains(problem_of(R"({"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "x": 1})", 1),
                 "a.x is 1, expected nothing there"));
  CHECK(contains(problem(with_header(R"({"__metadata__": {"format": 1}})")),
                 "__metadata__.format is 1, expected a text"));
}

TEST_CASE("a tensor outside the file, or with more or fewer bytes than its shape asks for") {
  CHECK(contains(problem_of(R"({"dtype": "U8", "shape": [4], "data_offsets": [0, 4]})", 3),
                 "the tensor 'a' lies at [0, 4) in 3 bytes of values"));
  CHECK(contains(problem_of(R"({"dtype": "U8", "shape": [1], "data_offsets": [1, 0]})", 1),
                 "the tensor 'a' lies at [1, 0)"));
  CHECK(contains(problem_of(R"({"dtype": "F32", "shape": [1], "data_offsets": [0, 3]})", 3),
                 "the tensor 'a' of shape [1] and type float32 has 3 bytes"));
  CHECK(contains(
      problem_of(R"({"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]})",
                 0),
      "of shape [4611686018427387904, 4] and type float32 has 0 bytes"));
}

TEST_CASE("tensors that overlap, leave a gap or leave bytes over are refused") {
  const auto two = [](int begin, int end, const std::string& values) {
    return problem(
        with_header(fmt::format(R"({{"a": {{"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}},
                         "b": {{"dtype": "U8", "shape": [{}], "data_offsets": [{}, {}]}}}})",
                                end - begin, begin, end),
                    values));
  };
  CHECK(two(4, 6, "aaaabb").empty());
  CHECK(contains(two(3, 6, "aaaabb"), "the tensor 'b' overlaps the one before it"));
  CHECK(contains(two(5, 6, "aaaa.b"), "the tensor 'b' does not follow right behind"));
  CHECK(contains(two(4, 6, "aaaabb..."), "3 bytes follow the last tensor, expected none"));
}

TEST_CASE("a file that becomes shorter while it is open is an error, not a crash") {
  const TempFolder folder;
  const auto path = folder.write("x.safetensors", safetensors({{"a", "U8", {5}, "hello"}}));
  const SafetensorsFile file(path);
  std::filesystem::resize_file(path, 20);
  CHECK(contains(error_of([&] { read(file, file.tensors()[0]); }), "it is being changed"));
}
