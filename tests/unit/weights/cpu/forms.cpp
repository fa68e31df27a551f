// Stored forms against their definitions, number by number and to the bit.
#include "src/weights/cpu/forms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/unit/model/cpu/numbers.h"

using namespace bovila::cpu;

namespace {

using Bytes = std::vector<uint8_t>;

struct Nf4 {
  Bytes packed;
  Floats scales;
};

Nf4 nf4_of(const Floats& values) {
  Nf4 out{Bytes(values.size() / 2), Floats((values.size() + kNf4Block - 1) / kNf4Block)};
  quantise_nf4(values.data(), std::ssize(values), out.packed.data(), out.scales.data());
  return out;
}

Floats expanded(const Nf4& from) {
  Floats out(from.packed.size() * 2);
  expand_nf4(from.packed.data(), from.scales.data(), std::ssize(out), out.data());
  return out;
}

int code_of(const Nf4& from, size_t i) {
  return i % 2 == 0 ? from.packed[i / 2] >> 4 : from.packed[i / 2] & 15;
}

}  // namespace

TEST_CASE(
    "an expanded NF4 weight is its value times its block's scale, the even one in high bits") {
  Nf4 stored{Bytes(5 * kNf4Block / 2), numbers("scales", 5)};
  for (size_t i = 0; i < stored.packed.size(); ++i) stored.packed[i] = static_cast<uint8_t>(i * 37);
  const Floats out = expanded(stored);
  for (size_t i = 0; i < out.size(); ++i) {
    CHECK(out[i] == nf4_values()[code_of(stored, i)] * stored.scales[i / kNf4Block]);
  }
}

TEST_CASE("NF4 takes the nearest value, of two the lower, and the largest weight keeps its size") {
  const Floats x = numbers("x", 3 * kNf4Block);
  const Nf4 stored = nf4_of(x);
  const Floats out = expanded(stored);
  for (size_t i = 0; i < x.size(); ++i) {
    const float scale = stored.scales[i / kNf4Block];
    for (int other = 0; other < 16; ++other) {
      CHECK(std::abs(x[i] - out[i]) <= std::abs(x[i] - nf4_values()[other] * scale) + 1e-6F);
    }
  }
  for (size_t block = 0; block < stored.scales.size(); ++block) {
    const auto first = x.begin() + static_cast<int64_t>(block) * kNf4Block;
    const auto largest = std::max_element(
        first, first + kNf4Block, [](float a, float b) { return std::abs(a) < std::abs(b); });
    CHECK(stored.scales[block] == std::abs(*largest));
    CHECK(out[static_cast<size_t>(largest - x.begin())] == *largest);
  }
  Floats halfway(kNf4Block, (nf4_values()[9] + nf4_values()[10]) / 2);
  halfway[5] = -1;
  CHECK(code_of(nf4_of(halfway), 0) == 9);
  CHECK(code_of(nf4_of(halfway), 5) == 0);
}

TEST_CASE("the last block of NF4 may be of any even number of weights") {
  for (const int64_t rest : {2, 8, 14, 32, 62}) {
    CAPTURE(rest);
    Floats x = numbers("x", 2 * kNf4Block + rest), padded = x;
    padded.resize(3 * kNf4Block);
    const Nf4 stored = nf4_of(x), whole = nf4_of(padded);
    CHECK(stored.scales == whole.scales);
    CHECK(std::equal(stored.packed.begin(), stored.packed.end(), whole.packed.begin()));
    const Floats out = expanded(stored);
    CHECK(std::equal(out.begin(), out.end(), expanded(whole).begin()));
  }
}

TEST_CASE("NF4 of expanded NF4 is the same NF4, and zeros remain zeros") {
  const Nf4 stored = nf4_of(numbers("x", 4 * kNf4Block));
  const Nf4 again = nf4_of(expanded(stored));
  CHECK(again.packed == stored.packed);
  CHECK(again.scales == stored.scales);
  CHECK(expanded(nf4_of(Floats(kNf4Block))) == Floats(kNf4Block));
}

TEST_CASE("int8 rounds to the nearest of 127 parts of the largest, halves to even") {
  for (const int64_t count : {1, 16, 37, 100}) {
    CAPTURE(count);
    const Floats x = numbers("x", count);
    std::vector<int8_t> stored(x.size());
    const float scale = quantise_int8(x.data(), count, stored.data());
    Floats out(x.size());
    expand_int8(stored.data(), scale, count, out.data());
    float largest = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      largest = std::max(largest, std::abs(x[i]));
      CHECK(std::abs(x[i] - out[i]) <= scale / 127 / 2 * 1.0001F);
      CHECK(out[i] == static_cast<float>(stored[i]) * scale * 7.874015718698502e-3F);
    }
    CHECK(scale == largest);
  }
  const Floats halves = {-127, 0.5, 1.5, 2.5, -0.5, -1.5};
  std::vector<int8_t> stored(halves.size());
  quantise_int8(halves.data(), std::ssize(halves), stored.data());
  CHECK(stored == std::vector<int8_t>{-127, 0, 2, 2, 0, -2});
}

TEST_CASE("a row of zeros is zeros in int8") {
  std::vector<int8_t> stored(20, 1);
  CHECK(quantise_int8(Floats(20).data(), 20, stored.data()) == 0);
  CHECK(stored == std::vector<int8_t>(20));
}

TEST_CASE("a weight that is not finite makes its scale NaN, and only its own") {
  for (const float wrong : {INFINITY, -INFINITY, NAN}) {
    for (const size_t at : {size_t{64}, size_t{100}, size_t{127}}) {
      Floats x = numbers("x", 3 * kNf4Block);
      x[at] = wrong;
      const Nf4 stored = nf4_of(x);
      CHECK(std::isfinite(stored.scales[0]));
      CHECK(std::isnan(stored.scales[1]));
      CHECK(std::isfinite(stored.scales[2]));
      std::vector<int8_t> bytes(x.size());
      CHECK(std::isnan(quantise_int8(x.data(), std::ssize(x), bytes.data())));
    }
  }
}

TEST_CASE("the map of scales ascends, has both signs, and is as fine as bitsandbytes has it") {
  const Floats map(scale_map(), scale_map() + 256);
  CHECK(std::ranges::is_sorted(map));
  CHECK(map.front() == -0.99296874F);
  CHECK(map[127] == 0);
  CHECK(map[128] == 1e-6F * 0.55F);
  CHECK(map.back() == 1);
  for (size_t i = 0; i < 127; ++i) CHECK(map[i] == -map[254 - i]);
}

TEST_CASE("scales in 8 bits are the nearest of their map, from any of them on") {
  constexpr int64_t kCount = 2 * kScaleBlock + 100;
  const Floats values = numbers("scales", kCount);
  constexpr float kMean = 0.25;
  Bytes codes(values.size());
  Floats scales(3);
  quantise_scales(values.data(), kMean, kCount, codes.data(), scales.data());
  for (const int64_t first : {int64_t{0}, int64_t{250}, kCount - 3}) {
    Floats out(static_cast<size_t>(kCount - first));
    const DoubleScales stored{codes.data() + first, scale_map(), scales.data(), kMean};
    expand_scales(stored, first, std::ssize(out), out.data());
    for (int64_t i = first; i < kCount; ++i) {
      const float unit = scales[static_cast<size_t>(i / kScaleBlock)];
      const float value = values[static_cast<size_t>(i)];
      const float got = out[static_cast<size_t>(i - first)];
      const float product = scale_map()[codes[static_cast<size_t>(i)]] * unit;
      CHECK(got == product + kMean);
      for (int other = 0; other < 256; ++other) {
        const float distance = std::abs(value - kMean - scale_map()[other] * unit);
        CHECK(std::abs(value - kMean - product) <= distance + 1e-6F);
      }
    }
  }
  const Floats equal(300, 0.5);
  Bytes zeros(equal.size(), 1);
  quantise_scales(equal.data(), 0.5, std::ssize(equal), zeros.data(), scales.data());
  CHECK(zeros == Bytes(equal.size(), 127));
  CHECK(scales[0] == 0);
}
