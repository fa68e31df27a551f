// Two checksums: SHA-256 where a file's identity counts, CRC-32 where every frame is checked.
// Fed by the feature store, pth2h5 and checkpoints, which write them into their manifests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace bovila {

/// SHA-256 of bytes that come in pieces. Not thread-safe; movable.
class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> data);
  void update(std::string_view text);
  /// Ends the message; nothing may be added after it.
  Digest finish();
  /// finish() as 64 lower-case hexadecimal digits.
  std::string finish_hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string to_hex(std::span<const uint8_t> bytes);
/// SHA-256 of a text in hexadecimal.
std::string sha256_of(std::string_view text);
/// SHA-256 of a file in hexadecimal. `progress`, when given, hears how many bytes each piece had.
/// @throws UserError naming the file and the system's reason when it cannot be read.
std::string sha256_of_file(const std::string& path,
                           const std::function<void(int64_t)>& progress = {});

/// CRC-32 as zlib, zip and PNG have it (Python: zlib.crc32). Detects every error of up to 32 bits
/// in a row; no protection against intent. `previous` is the CRC of the bytes before, for pieces.
uint32_t crc32(std::span<const std::byte> data, uint32_t previous = 0);

}  // namespace bovila
