// Proves core/hash.h against published test vectors, in one piece and in many.
#include "bovila/core/hash.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "bovila/core/error.h"

namespace {

constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("SHA-256 gives the standard's digests, in one piece or in several") {
  CHECK(bovila::sha256_of("") == kEmpty);
  CHECK(bovila::sha256_of("abc") == kAbc);
  bovila::Sha256 hash;
  hash.update("a");
  hash.update("");
  hash.update("bc");
  bovila::Sha256 moved = std::move(hash);
  CHECK(moved.finish_hex() == kAbc);
}

TEST_CASE("SHA-256 after its end is a program error, not a wrong digest") {
  bovila::Sha256 hash;
  (void)hash.finish();
  CHECK_THROWS_AS(hash.update("a"), bovila::ProgramError);
  CHECK_THROWS_AS(hash.finish(), bovila::ProgramError);
}

TEST_CASE("SHA-256 of a file larger than a piece is that of its bytes, and progress adds up") {
  const auto path =
      (std::filesystem::temp_directory_path() / ("bovila-hash-" + std::to_string(getpid())))
          .string();
  const std::string contents(3'000'001, 'x');
  std::ofstream(path) << contents;
  int64_t seen = 0;
  CHECK(bovila::sha256_of_file(path, [&](int64_t size) { seen += size; }) ==
        bovila::sha256_of(contents));
  CHECK(seen == 3'000'001);
  std::ofstream(path, std::ios::trunc).close();
  CHECK(bovila::sha256_of_file(path) == kEmpty);
  std::filesystem::remove(path);
}

TEST_CASE("SHA-256 of a missing file or a folder is an error that names it") {
  CHECK_THROWS_WITH_AS(bovila::sha256_of_file("/no/such/file"),
                       doctest::Contains("/no/such/file: cannot be opened: No such file"),
                       bovila::UserError);
  CHECK_THROWS_WITH_AS(bovila::sha256_of_file("/tmp"), doctest::Contains("/tmp: cannot be read"),
                       bovila::UserError);
}

TEST_CASE("CRC-32 gives zip's check value, in one piece or in several") {
  CHECK(bovila::crc32(bytes("123456789")) == 0xCBF43926U);
  CHECK(bovila::crc32(bytes("56789"), bovila::crc32(bytes("1234"))) == 0xCBF43926U);
  CHECK(bovila::crc32({}) == 0);
}
