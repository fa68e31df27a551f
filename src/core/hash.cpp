// SHA-256 by OpenSSL and CRC-32 by zlib, both of which use the processor's instructions for them.
#include "bovila/core/hash.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "bovila/core/error.h"
#include "bovila/core/system.h"

namespace bovila {

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(md); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  BOVILA_CHECK(EVP_DigestInit_ex(context_->md, EVP_sha256(), nullptr) == 1, "SHA-256: no OpenSSL");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> data) {
  BOVILA_CHECK(context_ != nullptr, "SHA-256: update after finish");
  BOVILA_CHECK(EVP_DigestUpdate(context_->md, data.data(), data.size()) == 1, "SHA-256: OpenSSL");
}

void Sha256::update(std::string_view text) {
  update(std::as_bytes(std::span(text)));
}

Sha256::Digest Sha256::finish() {
  BOVILA_CHECK(context_ != nullptr, "SHA-256: finished twice");
  Digest digest{};
  BOVILA_CHECK(EVP_DigestFinal_ex(context_->md, digest.data(), nullptr) == 1, "SHA-256: OpenSSL");
  context_.reset();
  return digest;
}

std::string Sha256::finish_hex() {
  return to_hex(finish());
}

std::string to_hex(std::span<const uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::string sha256_of(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.finish_hex();
}

std::string sha256_of_file(const std::string& path, const std::function<void(int64_t)>& progress) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw UserError("{}: cannot be opened: {}", path, system_message(errno));
  Sha256 hash;
  std::vector<std::byte> piece(size_t{1} << 20);
  while (const size_t size = std::fread(piece.data(), 1, piece.size(), file.get())) {
    hash.update(std::span(piece).first(size));
    if (progress) progress(static_cast<int64_t>(size));
  }
  if (std::ferror(file.get()))
    throw UserError("{}: cannot be read: {}", path, system_message(errno));
  return hash.finish_hex();
}

uint32_t crc32(std::span<const std::byte> data, uint32_t previous) {
  return static_cast<uint32_t>(
      crc32_z(previous, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

}  // namespace bovila
