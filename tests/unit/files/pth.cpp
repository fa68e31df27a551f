// Proves files/pth.h on files of PyTorch, on tensors of all strides, and on bad files of every
// kind.
#include "bovila/files/pth.h"

#include <doctest/doctest.h>

#include <fstream>
#include <numeric>
#include <sstream>

#include "tests/unit/files/pth_builder.h"

namespace {

namespace fs = std::filesystem;
using namespace bovila::test;
using bovila::PthFile;
using bovila::PthTensor;

const std::string kMini = BOVILA_SOURCE_DIR "/tests/golden/mini/";

std::vector<float> count_up(size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

std::vector<float> read_floats(const PthFile& file, const PthTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.numel()));
  file.read(tensor, std::as_writable_bytes(std::span(values)));
  return values;
}

std::vector<float> read_in_pieces(const PthFile& file, const PthTensor& tensor, size_t bytes) {
  std::string all;
  file.read_in_pieces(tensor, bytes, [&](std::span<const std::byte> piece) {
    CHECK(piece.size() <= std::max(bytes, sizeof(float)));
    all.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  std::vector<float> values(all.size() / sizeof(float));
  if (!all.empty()) std::memcpy(values.data(), all.data(), all.size());
  return values;
}

/// Error of opening a file with these bytes.
std::string error_of_bytes(const Playground& playground, std::string_view bytes) {
  const std::string path = playground / "bad.pth";
  std::ofstream(path, std::ios::binary) << bytes;
  const std::string message = user_error_of([&] { PthFile{path}; });
  CHECK(has(message, path));
  return message;
}

/// Error of opening a .pth whose one tensor is `spec` and whose storage has `num_floats` elements.
std::string error_of_tensor(const Playground& playground, const TensorSpec& spec,
                            size_t num_floats) {
  const std::string path = playground / "bad.pth";
  write_pth(path, dict({{"clip", tensor(spec)}}), {raw(count_up(num_floats))});
  const std::string message = user_error_of([&] { PthFile{path}; });
  CHECK(has(message, path + ": entry archive/data/"));
  CHECK(has(message, "tensor \"clip\""));
  return message;
}

std::string slurp(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

}  // namespace

TEST_CASE("LLaMA weights that PyTorch wrote are read by name, shape and type") {
  const PthFile file(kMini + "llama/mini/consolidated.00.pth");
  const std::vector<PthTensor> tensors = file.tensors();
  REQUIRE(tensors.size() == 30);
  CHECK(tensors[0].name == "tok_embeddings.weight");
  CHECK(tensors[0].shape == std::vector<int64_t>{640, 48});
  CHECK(bovila::name_of(tensors[0].type) == "float32");
  const std::vector<float> values = read_floats(file, tensors[0]);
  CHECK(values == read_in_pieces(file, tensors[0], 1000));
  CHECK(std::abs(std::accumulate(values.begin(), values.end(), 0.0)) < 1e4);
}

TEST_CASE("a dict inside the dict is found by its key") {
  const PthFile file(kMini + "adapter_init.pth");
  CHECK(file.tensors("model").front().name == "adapter_query.weight");
  CHECK(
      has(user_error_of([&] { file.tensors(); }), "entry \"model\": expected a tensor, got dict"));
  CHECK(has(user_error_of([&] { file.tensors("nope"); }), "under the key \"nope\", there is none"));
}

TEST_CASE("tensors of any strides come out row-major, whole and in pieces") {
  const Playground playground;
  const std::string path = playground / "a.pth";
  write_pth(
      path,
      dict({{"plain", tensor({.shape = {3, 4}, .storage_numel = 1200})},
            {"window", tensor({.shape = {2, 3}, .storage_numel = 1200, .offset = 7})},
            {"turned", tensor({.shape = {2, 3}, .storage_numel = 1200, .strides = {1, 2}})},
            {"columns",
             tensor({.shape = {2, 2}, .storage_numel = 1200, .offset = 1, .strides = {4, 2}})},
            {"sparse rows", tensor({.shape = {3, 2}, .storage_numel = 1200, .strides = {500, 1}})},
            {"sparse",
             tensor({.shape = {2, 2}, .storage_numel = 1200, .offset = 99, .strides = {300, 700}})},
            {"three",
             tensor({.shape = {2, 1, 2}, .storage_numel = 1200, .strides = {2, INT64_MAX, 1}})},
            {"one", tensor({.shape = {}, .storage_numel = 1200, .offset = 1199})},
            {"odd", tensor({.shape = {1, 2, 1},
                            .storage_numel = 1200,
                            .strides = {INT64_MAX, 3, INT64_MAX}})},
            {"empty", tensor({.shape = {0, 768}, .storage_numel = 1200, .offset = 1200})}}),
      {raw(count_up(1200))});
  const PthFile file(path);
  const std::vector<std::vector<float>> expected{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
                                                 {7, 8, 9, 10, 11, 12},
                                                 {0, 2, 4, 1, 3, 5},
                                                 {1, 3, 5, 7},
                                                 {0, 1, 500, 501, 1000, 1001},
                                                 {99, 799, 399, 1099},
                                                 {0, 1, 2, 3},
                                                 {1199},
                                                 {0, 3},
                                                 {}};
  const std::vector<PthTensor> tensors = file.tensors();
  REQUIRE(tensors.size() == expected.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    CAPTURE(tensors[i].name);
    CHECK(read_floats(file, tensors[i]) == expected[i]);
    for (const size_t bytes : {1, 8, 20, 4096}) {
      CHECK(read_in_pieces(file, tensors[i], bytes) == expected[i]);
    }
    CHECK_FALSE(file.spans_storage(tensors[i]));
  }
}

TEST_CASE("a flipped byte is found when a storage is read whole, and by verify_storage otherwise") {
  const Playground playground;
  const std::string path = playground / "a.pth";
  write_pth(path,
            dict({{"whole", tensor({.shape = {5000}})},
                  {"turned", tensor({.shape = {50, 100}, .strides = {1, 50}})},
                  {"part", tensor({.shape = {10}, .storage_numel = 5000})}}),
            {raw(count_up(5000))});
  std::string bytes = slurp(path);
  const std::string mark = raw(std::vector<float>{4000, 4001, 4002});
  bytes[bytes.find(mark)] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  const PthFile file(path);
  const std::vector<PthTensor> tensors = file.tensors();
  for (size_t i = 0; i < 2; ++i) {
    CHECK(file.spans_storage(tensors[i]));
    const std::string message = user_error_of([&] { read_floats(file, tensors[i]); });
    CHECK(has(message, path + ": entry archive/data/0: the file is damaged"));
    CHECK(has(message, "CRC"));
  }
  CHECK(has(user_error_of([&] { read_in_pieces(file, tensors[0], 64); }), "CRC"));
  CHECK(read_floats(file, tensors[2]) == count_up(10));
  CHECK(has(user_error_of([&] { file.verify_storage(tensors[2]); }), "CRC"));
}

TEST_CASE("equal contents have equal identities under any name, other contents have not") {
  const Playground playground;
  write_pth(playground / "a.pth", dict({{"v", tensor({.shape = {2}})}}), {raw(count_up(2))});
  fs::copy_file(playground / "a.pth", playground / "b.pth");
  write_pth(playground / "c.pth", dict({{"v", tensor({.shape = {2}})}}),
            {raw(std::vector<float>{0, 2})});
  CHECK(PthFile(playground / "a.pth").identity() == PthFile(playground / "b.pth").identity());
  CHECK(PthFile(playground / "a.pth").identity() != PthFile(playground / "c.pth").identity());
}

TEST_CASE("a missing file, a folder and a device are errors that say so") {
  const Playground playground;
  CHECK(has(user_error_of([&] { PthFile{playground / "no.pth"}; }),
            "no.pth: expected a .pth file, there is none"));
  CHECK(has(user_error_of([&] { PthFile{playground / "."}; }), "this is a folder"));
  CHECK(has(user_error_of([&] { PthFile{"/dev/null"}; }), "no regular file"));
}

TEST_CASE("foreign files are told apart") {
  const Playground playground;
  const std::string filler(200, 'x');
  CHECK(has(error_of_bytes(playground, ""), "the file is empty"));
  CHECK(has(error_of_bytes(playground, "hello, world" + filler), "another kind of file"));
  CHECK(has(error_of_bytes(playground, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46" + filler),
            "legacy format"));
  CHECK(has(error_of_bytes(playground, "\x80\x04]." + filler), "a bare pickle"));
  CHECK(has(error_of_bytes(playground, little(90, 8) + "{\"a\":{}}" + filler), "safetensors"));
  CHECK(has(error_of_bytes(playground, "\x89HDF\r\n\x1a\n" + filler), "an HDF5 file"));
  CHECK(has(error_of_bytes(playground, "version https://git-lfs.github.com/spec/v1" + filler),
            "Git LFS pointer"));
}

TEST_CASE("a truncated file is an error at every length, a damaged byte an error or harmless") {
  const Playground playground;
  const std::string path = playground / "a.pth";
  write_pth(path, dict({{"v", tensor({.shape = {4}})}}), {raw(count_up(4))});
  const std::string whole = slurp(path);
  for (size_t size = 4; size < whole.size(); ++size) {
    CHECK(has(error_of_bytes(playground, std::string_view(whole).substr(0, size)), "cut short"));
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] ^= 0x41;
    std::ofstream(path, std::ios::binary) << changed;
    try {
      const PthFile file(path);
      for (const PthTensor& found : file.tensors()) (void)read_floats(file, found);
    } catch (const bovila::UserError&) {
    }
  }
}

TEST_CASE("entries whose names leave the folder are read in the zip and written nowhere") {
  const Playground playground;
  const std::string path = playground / "a/b.pth", key = "../../../outside";
  fs::create_directory(playground.path / "a");
  const std::string body = dict({{"v", tensor({.shape = {2}, .key = key})}});
  write_zip(path, {{"../a/data.pkl", pickle(body)}, {"../a/data/" + key, raw(count_up(2))}});
  const PthFile file(path);
  CHECK(read_floats(file, file.tensors().front()) == count_up(2));
  for (const auto& entry : fs::recursive_directory_iterator(playground.path)) {
    CHECK((entry.is_directory() || entry.path() == path));
  }
  CHECK_FALSE(fs::exists(playground.path.parent_path() / "outside"));
}

TEST_CASE("zips that torch.save does not write are errors that name the entry") {
  const Playground playground;
  const std::string path = playground / "bad.pth";
  const std::string body = dict({{"v", tensor({.shape = {1000}})}});
  const std::string data = raw(std::vector<float>(1000, 0.0F));
  const auto error = [&](const std::vector<Entry>& entries) {
    write_zip(path, entries);
    return user_error_of([&] { PthFile{path}; });
  };
  CHECK(has(error({{"word/document.xml", "x"}}), "a zip with 0 entries NAME/data.pkl"));
  CHECK(has(error({{"a/data.pkl", pickle(body)}, {"b/data.pkl", pickle(body)}}), "with 2 entries"));
  CHECK(has(error({{"a/data.pkl", pickle(body)}, {"a/data/0", data, true}}),
            "entry a/data/0: expected a stored entry"));
  CHECK(has(error({{"a/data.pkl", pickle(body)}}),
            "entry a/data/0: tensor \"v\": its data are missing"));
  CHECK(has(error({{"a/data.pkl", pickle(body)}, {"a/data/0", data}, {"a/byteorder", "big"}}),
            "entry a/byteorder: expected little-endian data, got byte order \"big\""));
  CHECK(has(error({{"a/data.pkl", pickle(body)}, {"a/data/0", data}, {"a/constants.pkl", ""}}),
            "TorchScript"));
  write_zip(path, {{"a/data.pkl", pickle(body)}, {"a/data/0", data}, {"a/byteorder", "little"}});
  CHECK(PthFile(path).tensors().size() == 1);
  CHECK(has(error({{"a/data.pkl", pickle("i")}}),
            "entry a/data.pkl: byte 2: expected an opcode that torch.save writes"));
  std::string twice = slurp(path);
  for (size_t at = twice.find("a/byteorder"); at != std::string::npos;
       at = twice.find("a/byteorder")) {
    twice.replace(at, 11, "a/data/0\0\0\0", 11);
  }
  CHECK_FALSE(error_of_bytes(playground, twice).empty());
}

TEST_CASE("tensors that leave their storage are errors, with every way to overflow") {
  const Playground playground;
  const int64_t huge = INT64_MAX;
  const std::vector<TensorSpec> specs{
      {.shape = {5}, .storage_numel = 4},
      {.shape = {4}, .storage_numel = 4, .offset = 1},
      {.shape = {2}, .storage_numel = 4, .offset = huge},
      {.shape = {2}, .storage_numel = 4, .strides = {4}},
      {.shape = {2, 2}, .storage_numel = 4, .strides = {2, 2}},
      {.shape = {2}, .storage_numel = 4, .strides = {huge}},
      {.shape = {huge}, .storage_numel = 4, .strides = {huge}},
      {.shape = {3, 3}, .storage_numel = 4, .strides = {huge / 2, huge / 2}},
      {.shape = {int64_t{1} << 32, int64_t{1} << 32}, .storage_numel = 4, .strides = {0, 0}},
      {.shape = {int64_t{1} << 62, 4}, .storage_numel = 4, .strides = {1, 1}}};
  for (const TensorSpec& spec : specs) {
    CHECK(has(error_of_tensor(playground, spec, 4), "leaves its storage of 4 elements"));
  }
  CHECK(has(error_of_tensor(playground,
                            {.shape = {3, 768}, .storage_numel = 768, .strides = {0, 1}}, 768),
            "2304 elements in a storage of 768: it was expanded"));
  CHECK(has(error_of_tensor(playground, {.shape = {huge}, .storage_numel = 4, .strides = {0}}, 4),
            "it was expanded"));
}

TEST_CASE("a storage of another size than the pickle says is an error") {
  const Playground playground;
  CHECK(has(error_of_tensor(playground, {.shape = {4}}, 3),
            "expected 4 elements of float32, got 12 bytes"));
  CHECK(has(error_of_tensor(playground, {.shape = {4}}, 5), "got 20 bytes"));
  CHECK(has(error_of_tensor(playground, {.shape = {4}, .type = "DoubleStorage"}, 4), "of float64"));
  CHECK(has(error_of_tensor(playground, {.shape = {4}, .storage_numel = INT64_MAX}, 4),
            "got 16 bytes"));
  CHECK(has(error_of_tensor(playground, {.shape = {1}, .key = "../data.pkl"}, 1),
            "data are missing"));
}

TEST_CASE("files that hold no dict of tensors are errors that name the entry") {
  const Playground playground;
  const std::string path = playground / "a.pth";
  const auto error = [&](const std::string& body) {
    write_pth(path, body, {raw(count_up(2))});
    const PthFile file(path);
    const std::string message = user_error_of([&] { (void)file.tensors(); });
    CHECK(has(message, path));
    return message;
  };
  CHECK(has(error("]"), "expected a dict of name -> tensor, got list"));
  CHECK(has(error(tensor({.shape = {2}})), "got tensor"));
  CHECK(has(error(dict({{"v", tensor({.shape = {2}})}, {"epoch", "K\x03"}})),
            "entry \"epoch\": expected a tensor, got int"));
  CHECK(has(error(global("os", "system") + tuple({text("x")}) + "R"),
            "got an object of os.system, which is not read; nothing was executed"));
  CHECK(has(error(dict({{"v", global("numpy", "dtype") + ")R"}})),
            "entry \"v\": expected a tensor, got an object of numpy.dtype"));
  CHECK(has(error("}(N" + tensor({.shape = {2}}) + "u"), "expected a name as key 0"));
  CHECK(has(error("}(K\x05" + tensor({.shape = {2}}) + text("5") + tensor({.shape = {2}}) + "u"),
            "has 5 as a number and as a text"));
}

TEST_CASE("whole numbers as keys are names in digits") {
  const Playground playground;
  const std::string path = playground / "a.pth";
  write_pth(path, "}(K\x05" + tensor({.shape = {2}}) + "K\x07" + tensor({.shape = {2}}) + "u",
            {raw(count_up(2))});
  const auto tensors = PthFile(path).tensors();
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[0].name == "5");
  CHECK(tensors[1].name == "7");
}

TEST_CASE("reading into a buffer of the wrong size is a program error") {
  const PthFile file(kMini + "llama/mini/consolidated.00.pth");
  std::vector<std::byte> small(3);
  CHECK_THROWS_AS(file.read(file.tensors().front(), small), bovila::ProgramError);
}
