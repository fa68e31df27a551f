// What the checkpoint tests share: a state whose every value follows from its step, and tampering.
// Fed by checkpoint/train_state.h.
#pragma once

#include <bit>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/core/hash.h"
#include "tests/unit/config/helpers.h"

namespace bovila::testing {

/// Another state for every step; `size` is the number of elements of each moment.
inline TrainState make_state(int64_t step, int64_t size = 12) {
  TrainState state;
  state.step = step;
  state.epoch = step / 10;
  state.position = step % 10 * 32;
  state.adamw_steps = step - 1 < 0 ? 0 : step - 1;
  state.loss_scale = 65536;
  state.loss_scale_good_steps = 17;
  state.num_ranks = 4;
  state.loss_sums = {0.1 * static_cast<double>(step), -0.0, 5e-324, 1e300 / 3};
  state.num_micro_batches = step * 2;
  state.num_skipped = step % 7 + 1;
  state.skipped_in_a_row = step % 3 + 1;
  state.scores = {{3, {0.1, -0.0}, {1.0 / 3, 0.5}}, {7, {5e-324, 1, 2}, {0, 1, 0.25}}};
  state.best_accuracy = 1.0 / 3;
  state.best_step = step / 2;
  state.deck = "[train]\nseed = " + std::to_string(step) + "\n";
  state.identity = {{"model.llama", "123 abc"}, {"data.train_split", "9 \"\xc3\xa9\""}};
  state.build = {{"version", "0.2.0"}, {"git", "1a2b3c4d5e6f-dirty"}};
  const auto fill = [&](NamedArray array) {
    array.values.resize(static_cast<size_t>(size));
    for (size_t i = 0; i < array.values.size(); ++i) {
      array.values[i] = static_cast<float>(step) + 0.1F * static_cast<float>(i % 1000);
    }
    state.arrays.push_back(std::move(array));
  };
  fill({"layers.0.attention.gate1", {1, size, 1, 1}, {}});
  fill({"adamw/first_moment", {size}, {}});
  fill({"adamw/second_moment", {size}, {}});
  return state;
}

/// Bit for bit: -0 is not 0, and a NaN is itself.
template <typename Bits, typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::equal(
      a, b, [](T x, T y) { return std::bit_cast<Bits>(x) == std::bit_cast<Bits>(y); });
}

inline bool same(const TrainState& a, const TrainState& b) {
  const auto numbers = [](const TrainState& state) {
    std::vector<double> all = state.loss_sums;
    all.insert(all.end(), {state.loss_scale, state.best_accuracy});
    for (const OptionScores& scores : state.scores) {
      all.push_back(static_cast<double>(scores.row));
      all.insert(all.end(), scores.loss.begin(), scores.loss.end());
      all.insert(all.end(), scores.uncertainty.begin(), scores.uncertainty.end());
    }
    return all;
  };
  const auto integers = [](const TrainState& s) {
    return std::vector<int64_t>{
        s.step,      s.epoch,     s.position,          s.adamw_steps, s.loss_scale_good_steps,
        s.num_ranks, s.best_step, s.num_micro_batches, s.num_skipped, s.skipped_in_a_row};
  };
  return integers(a) == integers(b) && same_bits<uint64_t>(numbers(a), numbers(b)) &&
         a.deck == b.deck && a.identity == b.identity && a.build == b.build &&
         std::ranges::equal(a.arrays, b.arrays, [](const NamedArray& x, const NamedArray& y) {
           return x.name == y.name && x.shape == y.shape && same_bits<uint32_t>(x.values, y.values);
         });
}

inline void put(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// Changes a file's text, and the manifest with it, as a program would that writes nonsense.
inline void reseal(const std::filesystem::path& folder, const std::string& name,
                   const std::string& text) {
  put(folder / name, text);
  auto manifest = nlohmann::json::parse(read_text(folder / "manifest.json"));
  manifest["files"][name] = {{"size", text.size()}, {"sha256", sha256_of(text)}};
  put(folder / "manifest.json", manifest.dump());
}

/// The number of entries of a folder, hidden ones too.
inline size_t num_entries(const std::filesystem::path& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace bovila::testing
