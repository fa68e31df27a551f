// Proves core/hdf5.h: round trips, files as h5py writes them, and errors that name file and object.
#include "bovila/core/hdf5.h"

#include <doctest/doctest.h>
#include <hdf5.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "bovila/core/error.h"

namespace {

namespace fs = std::filesystem;
namespace hdf5 = bovila::hdf5;
using hdf5::Type;

struct TempFile {
  std::string path =
      (fs::temp_directory_path() / fmt::format("bovila-hdf5-{}.h5", getpid())).string();
  ~TempFile() { fs::remove(path); }
};

const std::string kGolden = BOVILA_SOURCE_DIR "/tests/golden/mini/expected-star.h5";

template <typename T>
std::span<const std::byte> hdf5_bytes(const T& values) {
  return std::as_bytes(std::span(values));
}
template <typename T>
std::span<std::byte> writable_bytes(T& values) {
  return std::as_writable_bytes(std::span(values));
}

template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const bovila::UserError& error) {
    return error.what();
  }
  FAIL("no UserError");
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// An attribute of any HDF5 type, as other programs may write it.
void write_raw_attribute(hid_t file, const char* name, hid_t type, hsize_t count,
                         const void* value) {
  const hid_t space = H5Screate_simple(1, &count, nullptr);
  const hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(H5Awrite(attribute, type, value) >= 0);
  H5Aclose(attribute);
  H5Sclose(space);
}

}  // namespace

TEST_CASE("every type comes back as it was written, in groups made on the way") {
  const TempFile temp;
  const std::array<int64_t, 2> shape{2, 3};
  const std::array<float, 6> floats{1, 2, 3, 4, 5, -0.1F};
  const std::array<int64_t, 6> ints{1, -2, 3, INT64_MAX, INT64_MIN, 0};
  const std::array<uint16_t, 6> halves{0x3C00, 0x8000, 0x7BFF, 0x0001, 0x3555, 0};
  {
    const hdf5::Handle file = hdf5::create_file(temp.path);
    hdf5::write(file.get(), "a/b/floats", Type::kFloat32, shape, hdf5_bytes(floats));
    hdf5::write(file.get(), "a/ints", Type::kInt64, shape, hdf5_bytes(ints));
    hdf5::write(file.get(), "halves", Type::kFloat16, shape, hdf5_bytes(halves));
    hdf5::write(file.get(), "brains", Type::kBFloat16, shape, hdf5_bytes(halves));
    hdf5::flush(file);
  }
  const hdf5::Handle file = hdf5::open_file(temp.path);
  std::array<float, 6> floats_read{};
  hdf5::read(file.get(), "/a/b/floats", Type::kFloat32, writable_bytes(floats_read));
  CHECK(floats_read == floats);
  std::array<int64_t, 6> ints_read{};
  hdf5::read(file.get(), "a/ints", Type::kInt64, writable_bytes(ints_read));
  CHECK(ints_read == ints);
  std::array<uint16_t, 6> halves_read{};
  hdf5::read(file.get(), "halves", Type::kFloat16, writable_bytes(halves_read));
  CHECK(halves_read == halves);
  for (const auto& [name, type] : {std::pair{"a/b/floats", Type::kFloat32},
                                   {"a/ints", Type::kInt64},
                                   {"halves", Type::kFloat16},
                                   {"brains", Type::kBFloat16}}) {
    CHECK(hdf5::describe(file.get(), name).type == type);
    CHECK(hdf5::describe(file.get(), name).shape == std::vector<int64_t>{2, 3});
  }
}

TEST_CASE("equal contents give equal files, with checksums, whenever they are written") {
  const auto written = [] {
    const TempFile temp;
    hdf5::write(hdf5::create_file(temp.path).get(), "a/b/c", Type::kUInt8,
                std::array<int64_t, 1>{2}, hdf5_bytes(std::array<uint8_t, 2>{1, 2}));
    std::ifstream file(temp.path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string first = written();
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 would write seconds
  CHECK(first == written());
  CHECK(first.at(8) == 2);  // the superblock's version
}

TEST_CASE("half and bfloat16 have the IEEE values when HDF5 converts them to float") {
  const TempFile temp;
  const std::array<int64_t, 1> shape{3};
  const std::array<uint16_t, 3> halves{0x3C00, 0xC100, 0x0001};  // 1, -2.5, 2^-24
  const std::array<uint16_t, 3> brains{0x3F80, 0xC020, 0x4049};  // 1, -2.5, 3.140625
  const hdf5::Handle file = hdf5::create_file(temp.path);
  hdf5::write(file.get(), "halves", Type::kFloat16, shape, hdf5_bytes(halves));
  hdf5::write(file.get(), "brains", Type::kBFloat16, shape, hdf5_bytes(brains));
  std::array<float, 3> values{};
  hdf5::read(file.get(), "halves", Type::kFloat32, writable_bytes(values));
  CHECK(values == std::array<float, 3>{1, -2.5F, 0x1p-24F});
  hdf5::read(file.get(), "brains", Type::kFloat32, writable_bytes(values));
  CHECK(values == std::array<float, 3>{1, -2.5F, 3.140625F});
}

TEST_CASE("rows are written and read in pieces, and an empty dataset is no error") {
  const TempFile temp;
  const hdf5::Handle file = hdf5::create_file(temp.path);
  hdf5::create_dataset(file.get(), "rows", Type::kInt64, std::array<int64_t, 2>{5, 2});
  const std::array<int64_t, 4> piece{1, 2, 3, 4};
  hdf5::write_rows(file.get(), "rows", Type::kInt64, 1, 2, hdf5_bytes(piece));
  std::array<int64_t, 4> read{};
  hdf5::read_rows(file.get(), "rows", Type::kInt64, 2, 2, writable_bytes(read));
  CHECK(read == std::array<int64_t, 4>{3, 4, 0, 0});
  hdf5::write(file.get(), "none", Type::kFloat32, std::array<int64_t, 2>{0, 7}, {});
  CHECK(hdf5::describe(file.get(), "none").shape == std::vector<int64_t>{0, 7});
  hdf5::read(file.get(), "none", Type::kFloat32, {});
  hdf5::read_rows(file.get(), "none", Type::kFloat32, 0, 0, {});
}

TEST_CASE("strings with UTF-8, blanks and slashes come back, an empty list too") {
  const TempFile temp;
  const hdf5::Handle file = hdf5::create_file(temp.path);
  const std::vector<std::string> names{"plain", "a/b c", "\xE5\xBD\xB1\xE7\x89\x87", ""};
  hdf5::write_strings(file.get(), "names", names);
  hdf5::write_strings(file.get(), "nobody", {});
  CHECK(hdf5::read_strings(file.get(), "names") == names);
  CHECK(hdf5::read_strings(file.get(), "nobody").empty());
}

TEST_CASE("attributes come back, are replaced, and sit on datasets as on the root") {
  const TempFile temp;
  const hdf5::Handle file = hdf5::create_file(temp.path);
  hdf5::write(file.get(), "d", Type::kUInt8, std::array<int64_t, 1>{1},
              hdf5_bytes(std::array<uint8_t, 1>{7}));
  hdf5::write_attribute(file.get(), "/", "text", std::string("first"));
  hdf5::write_attribute(file.get(), "/", "text", std::string("second \xC3\xA9"));
  hdf5::write_attribute(file.get(), "d", "count", int64_t{-5});
  hdf5::write_attribute(file.get(), "d", "rate", 0.125);
  CHECK(hdf5::read_string_attribute(file.get(), ".", "text") == "second \xC3\xA9");
  CHECK(hdf5::read_int_attribute(file.get(), "d", "count") == -5);
  CHECK(hdf5::read_number_attribute(file.get(), "d", "count") == -5);
  CHECK(hdf5::read_number_attribute(file.get(), "d", "rate") == 0.125);
  CHECK_FALSE(hdf5::has_attribute(file.get(), "d", "text"));
  CHECK_FALSE(hdf5::has_attribute(file.get(), "nothing", "text"));
}

TEST_CASE("integers of any width, booleans and fixed-length strings of other programs are read") {
  const TempFile temp;
  const hdf5::Handle file = hdf5::create_file(temp.path);
  const std::array<int16_t, 3> shorts{1, -2, 3};
  write_raw_attribute(file.get(), "shorts", H5T_STD_I16BE, 0, shorts.data());
  write_raw_attribute(file.get(), "ints", H5T_NATIVE_INT16, 3, shorts.data());
  const uint8_t byte = 200;
  write_raw_attribute(file.get(), "byte", H5T_NATIVE_UINT8, 1, &byte);
  const hid_t boolean = H5Tenum_create(H5T_NATIVE_INT8);  // as h5py writes numpy.bool_
  const int8_t no = 0, yes = 1;
  H5Tenum_insert(boolean, "FALSE", &no);
  H5Tenum_insert(boolean, "TRUE", &yes);
  write_raw_attribute(file.get(), "boolean", boolean, 1, &yes);
  H5Tclose(boolean);
  const hid_t fixed = H5Tcopy(H5T_C_S1);
  H5Tset_size(fixed, 5);
  write_raw_attribute(file.get(), "padded", fixed, 1, "ab\0\0");
  write_raw_attribute(file.get(), "full", fixed, 1, "abcde");
  H5Tset_strpad(fixed, H5T_STR_SPACEPAD);
  write_raw_attribute(file.get(), "blanks", fixed, 1, "ab   ");
  H5Tclose(fixed);
  CHECK(hdf5::read_ints_attribute(file.get(), "/", "ints") == std::vector<int64_t>{1, -2, 3});
  CHECK(hdf5::read_ints_attribute(file.get(), "/", "shorts").empty());
  CHECK(hdf5::read_ints_attribute(file.get(), "/", "byte") == std::vector<int64_t>{200});
  CHECK(hdf5::read_int_attribute(file.get(), "/", "boolean") == 1);
  CHECK(hdf5::read_string_attribute(file.get(), "/", "padded") == "ab");
  CHECK(hdf5::read_string_attribute(file.get(), "/", "full") == "abcde");
  CHECK(hdf5::read_string_attribute(file.get(), "/", "blanks") == "ab");
}

TEST_CASE("a file that h5py wrote is read: attributes, half type, names in order") {
  const hdf5::Handle file = hdf5::open_file(kGolden);
  CHECK(hdf5::list(file.get(), "/") == std::vector<std::string>{"eval", "final", "train"});
  CHECK(hdf5::read_string_attribute(file.get(), "/", "args").front() == '{');
  CHECK(hdf5::read_number_attribute(file.get(), "/", "eval_accuracy") == doctest::Approx(0.416667));
  CHECK(hdf5::read_ints_attribute(file.get(), "train/micro0", "rows").size() == 4);
  CHECK(hdf5::describe(file.get(), "train/micro0/gumbel0").type == Type::kFloat16);
  CHECK(hdf5::describe(file.get(), "eval/prediction").type == Type::kInt64);
}

TEST_CASE("existence is asked along the whole way without an error") {
  const hdf5::Handle file = hdf5::open_file(kGolden);
  CHECK(hdf5::exists(file.get(), "/"));
  CHECK(hdf5::exists(file.get(), "eval/option_loss"));
  CHECK(hdf5::exists(file.get(), "/eval/option_loss"));
  CHECK_FALSE(hdf5::exists(file.get(), "evil/option_loss"));
  CHECK_FALSE(hdf5::exists(file.get(), "eval/option_loss/deeper"));
}

TEST_CASE("a missing file, a foreign file and a truncated file are errors that name it") {
  const TempFile temp;
  std::string message = message_of([&] { hdf5::open_file(temp.path); });
  CHECK(has(message, temp.path));
  CHECK(has(message, "there is none"));
  std::ofstream(temp.path) << "not HDF5";
  message = message_of([&] { hdf5::open_file(temp.path); });
  CHECK(has(message, temp.path));
  CHECK(has(message, "signature"));  // HDF5's own reason
  fs::remove(temp.path);
  fs::copy_file(kGolden, temp.path);
  fs::resize_file(temp.path, fs::file_size(temp.path) / 2);
  CHECK(has(message_of([&] { hdf5::open_file(temp.path); }), "truncated"));
}

TEST_CASE("missing objects and wrong kinds are errors that name file, object and attribute") {
  const hdf5::Handle file = hdf5::open_file(kGolden);
  const hid_t id = file.get();
  std::array<float, 1> out{};
  const std::vector<std::pair<std::string, std::string>> messages{
      {message_of([&] { hdf5::describe(id, "eval/nothing"); }), "eval/nothing"},
      {message_of([&] { hdf5::describe(id, "eval"); }), "expected a dataset"},
      {message_of([&] { hdf5::read(id, "x", Type::kFloat32, writable_bytes(out)); }), "x"},
      {message_of([&] { hdf5::list(id, "nothing"); }), "expected a group"},
      {message_of([&] { hdf5::list(id, "eval/option_loss"); }), "expected a group"},
      {message_of([&] { hdf5::read_strings(id, "eval/option_loss"); }), "list of strings"},
      {message_of([&] { hdf5::read_int_attribute(id, "/", "nobody"); }), "nobody: is missing"},
      {message_of([&] { hdf5::read_int_attribute(id, "/", "args"); }), "expected integers"},
      {message_of([&] { hdf5::read_int_attribute(id, "/", "eval_accuracy"); }), "integers"},
      {message_of([&] { hdf5::read_int_attribute(id, "train/micro0", "rows"); }), "got 4"},
      {message_of([&] { hdf5::read_number_attribute(id, "/", "args"); }), "expected a number"},
      {message_of([&] { hdf5::read_string_attribute(id, "/", "adapter_len"); }), "a string"}};
  for (const auto& [message, part] : messages) {
    CAPTURE(message);
    CHECK(has(message, kGolden));
    CHECK(has(message, part));
  }
}

TEST_CASE("a type outside Type is an error that says which are known") {
  const TempFile temp;
  const hdf5::Handle file = hdf5::create_file(temp.path);
  const hid_t space = H5Screate(H5S_SCALAR);
  H5Dclose(
      H5Dcreate2(file.get(), "i32", H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Sclose(space);
  CHECK(has(message_of([&] { hdf5::describe(file.get(), "i32"); }), "expected half, bfloat16"));
}

TEST_CASE("buffers of the wrong size and rows outside the dataset are program errors") {
  const hdf5::Handle file = hdf5::open_file(kGolden);
  std::array<int64_t, 3> out{};
  const auto rows = [&](int64_t first, int64_t count) {
    hdf5::read_rows(file.get(), "eval/prediction", Type::kInt64, first, count, writable_bytes(out));
  };
  CHECK_NOTHROW(rows(9, 3));
  CHECK_THROWS_AS(rows(10, 3), bovila::ProgramError);
  CHECK_THROWS_AS(rows(-1, 3), bovila::ProgramError);
  CHECK_THROWS_AS(rows(0, 4), bovila::ProgramError);
  CHECK_THROWS_AS(rows(INT64_MAX, 3), bovila::ProgramError);
  CHECK_THROWS_AS(hdf5::read(file.get(), "eval/prediction", Type::kInt64, writable_bytes(out)),
                  bovila::ProgramError);
}

TEST_CASE("writing where it cannot be is a program error with HDF5's reason") {
  CHECK_THROWS_WITH_AS(hdf5::create_file("/nowhere/at/all.h5"),
                       doctest::Contains("unable to create file"), bovila::ProgramError);
  const TempFile temp;
  const hdf5::Handle file = hdf5::create_file(temp.path);
  const std::array<int64_t, 1> shape{1};
  const std::array<uint8_t, 1> value{1};
  hdf5::write(file.get(), "d", Type::kUInt8, shape, hdf5_bytes(value));
  CHECK_THROWS_AS(hdf5::write(file.get(), "d", Type::kUInt8, shape, hdf5_bytes(value)),
                  bovila::ProgramError);
}

TEST_CASE("handles move and close once, and threads share the lock") {
  hdf5::Handle first = hdf5::open_file(kGolden);
  const hid_t id = first.get();
  hdf5::Handle second = std::move(first);
  CHECK_FALSE(static_cast<bool>(first));  // NOLINT(bugprone-use-after-move): that it is empty
  CHECK(second.get() == id);
  const auto work = [&] {
    std::array<int64_t, 12> out{};
    for (int i = 0; i < 50; ++i) {
      hdf5::read(second.get(), "eval/prediction", Type::kInt64, writable_bytes(out));
      (void)hdf5::exists(second.get(), "no/thing");
    }
  };
  std::thread other(work);
  work();
  other.join();
  second.reset();
  CHECK_FALSE(static_cast<bool>(second));
}
