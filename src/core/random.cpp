// SplitMix64 as generator and as mixer of key parts.
#include "bovila/core/random.h"

#include "bovila/core/error.h"

namespace bovila {
namespace {

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr uint64_t kGoldenGamma = 0x9e3779b97f4a7c15ULL;

}  // namespace

uint64_t stream_key(uint64_t seed, std::string_view purpose, uint64_t epoch, uint64_t index) {
  uint64_t key = mix(seed + kGoldenGamma);
  for (const char c : purpose) key = mix(key ^ (static_cast<unsigned char>(c) + kGoldenGamma));
  key = mix(key ^ (epoch + kGoldenGamma));
  return mix(key ^ (index + kGoldenGamma));
}

uint64_t RandomStream::next() {
  return mix(state_ += kGoldenGamma);
}

uint64_t RandomStream::below(uint64_t bound) {
  BOVILA_CHECK(bound > 0, "a random number below 0 was asked for");
  const uint64_t first_fair =
      (0 - bound) % bound;  // 2^64 mod bound: values below it are one too many
  uint64_t value = next();
  while (value < first_fair) value = next();
  return value % bound;
}

}  // namespace bovila
