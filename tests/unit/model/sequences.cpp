// Rows with shared prefixes: places, positions and who may attend to whom.
#include "bovila/model/sequences.h"

#include <doctest/doctest.h>

#include <cmath>

#include "bovila/core/error.h"

using namespace bovila;

namespace {

std::vector<int64_t> seen_by(const Sequences& rows, int64_t row, int64_t query) {
  std::vector<int64_t> keys;
  for (int64_t k = 0; k < rows.length(); ++k) {
    if (rows.mask[row][0][query][k].item<float>() == 0) keys.push_back(k);
  }
  return keys;
}

}  // namespace

TEST_CASE("branches continue the prefix and do not see each other") {
  const std::vector<std::vector<int32_t>> sequences = {{1, 2, 3, 4}, {1, 2, 5}};
  auto row = SequenceTree::shared(sequences, 2, 0);
  row.want(0, 1, 2);
  row.want(1, 1, 2);
  CHECK(row.tokens == std::vector<int64_t>{1, 2, 3, 4, 5});
  CHECK(row.positions == std::vector<int64_t>{0, 1, 2, 3, 2});
  CHECK(row.outputs == std::vector<int64_t>{1, 2, 1, 4});
  const auto rows = lay_out(std::span(&row, 1), 1, torch::kCPU);
  CHECK(seen_by(rows, 0, 3) == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(seen_by(rows, 0, 4) == std::vector<int64_t>{0, 1, 4});
  CHECK(rows.num_tokens == 5);
}

TEST_CASE("shorter rows are padded, padding sees itself and is seen by nobody") {
  const std::vector<int32_t> long_row = {1, 2, 3, 4}, short_row = {1, 2};
  std::vector<SequenceTree> trees = {SequenceTree::chain(long_row, 0),
                                     SequenceTree::chain(short_row, 0)};
  trees[0].want(0, 3, 1);
  trees[1].want(0, 0, 2);
  const auto rows = lay_out(trees, 1, torch::kCPU);
  CHECK(seen_by(rows, 1, 1) == std::vector<int64_t>{0, 1});
  const auto padding = seen_by(rows, 1, 3);
  CHECK(std::ranges::find(padding, 3) != padding.end());
  CHECK(rows.num_tokens == 6);
  CHECK(torch::equal(rows.selected, torch::tensor({0, 2, 3}, torch::kInt64)));
}

TEST_CASE("gate2 applies to the video keys of queries behind the video, by position") {
  const std::vector<std::vector<int32_t>> sequences = {{1, 0, 0, 7, 8}, {1, 0, 0, 9}};
  const auto row = SequenceTree::shared(sequences, 3, /*video_start=*/1);
  const auto rows = lay_out(std::span(&row, 1), /*max_feats=*/2, torch::kCPU);
  const auto region = rows.after_video[0][0];
  for (int64_t q = 0; q < 6; ++q) {
    for (int64_t k = 0; k < 6; ++k) {
      const bool expected = q >= 3 && k >= 1 && k < 3;
      CHECK(region[q][k].item<float>() == (expected ? 1.0F : 0.0F));
    }
  }
}

TEST_CASE("sequences that do not share the prefix are refused") {
  const std::vector<std::vector<int32_t>> sequences = {{1, 2, 3}, {1, 4, 3}};
  CHECK_THROWS_AS(SequenceTree::shared(sequences, 2, 0), ProgramError);
}
