// Rows with shared prefixes: places, positions and who may attend to whom.
#include "bovila/model/sequences.h"

#include <doctest/doctest.h>

#include <numeric>

#include "bovila/core/error.h"
#include "tests/unit/model/layouts.h"

using namespace bovila;

namespace {

constexpr int64_t kFrames = 1;

/// Tokens that a query of a ragged scope sees; those where gate2 is added, when asked for.
std::vector<int64_t> seen_by(const AttentionScope& scope, int64_t query, bool biased = false) {
  std::vector<int64_t> seen;
  for (const AttentionSegment& segment : *scope.segments) {
    const int64_t row = query - segment.queries.first;
    if (row < 0 || row >= segment.queries.count) continue;
    int64_t column = 0;
    for (const IndexRange& range : segment.keys) {
      for (int64_t token = range.first; token < range.end(); ++token, ++column) {
        const bool is_video = column >= segment.video.first && column < segment.video.end();
        const bool is_seen = segment.mask[row][column].item<float>() == 0;
        if (is_seen && (!biased || (is_video && row >= segment.first_after))) seen.push_back(token);
      }
    }
  }
  return seen;
}

std::vector<int64_t> values(const torch::Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(), tensor.data_ptr<int64_t>() + tensor.numel()};
}

using SequencesIds = std::vector<int64_t>;

}  // namespace

TEST_CASE("branches continue the prefix and do not see each other") {
  const std::vector<std::vector<int32_t>> sequences = {{1, 2, 3, 4}, {1, 2, 5}};
  auto row = SequenceTree::shared(sequences, 2, 0);
  row.want(0, 1, 2);
  row.want(1, 1, 2);
  CHECK(row.tokens == SequencesIds{1, 2, 3, 4, 5});
  CHECK(row.positions == SequencesIds{0, 1, 2, 3, 2});
  CHECK(row.outputs == SequencesIds{1, 2, 1, 4});
  const auto pass = lay_out(std::span(&row, 1), kFrames, torch::kCPU);
  CHECK(seen_by(pass.every, 1) == SequencesIds{0, 1});
  CHECK(seen_by(pass.every, 3) == SequencesIds{0, 1, 2, 3});
  CHECK(seen_by(pass.every, 4) == SequencesIds{0, 1, 4});
}

TEST_CASE("a group's branches see its stem, and no other group's") {
  const std::vector<std::vector<int32_t>> one = {{1, 2, 3, 7, 5}, {1, 2, 3, 7, 6}},
                                          two = {{1, 2, 4}};
  const std::vector<SequenceGroup> groups = {{one, 4}, {two, 2}};
  auto row = SequenceTree::grouped(groups, 2, 0);
  CHECK(row.tokens == SequencesIds{1, 2, 3, 7, 5, 6, 4});
  CHECK(row.positions == SequencesIds{0, 1, 2, 3, 4, 4, 2});
  CHECK(row.index(1, 1) == 1);
  CHECK(row.index(1, 3) == 3);
  CHECK(row.index(1, 4) == 5);
  CHECK(row.index(2, 2) == 6);
  const auto pass = lay_out(std::span(&row, 1), kFrames, torch::kCPU);
  CHECK(seen_by(pass.every, 3) == SequencesIds{0, 1, 2, 3});
  CHECK(seen_by(pass.every, 4) == SequencesIds{0, 1, 2, 3, 4});
  CHECK(seen_by(pass.every, 5) == SequencesIds{0, 1, 2, 3, 5});
  CHECK(seen_by(pass.every, 6) == SequencesIds{0, 1, 6});
  const std::vector<SequenceGroup> not_shared = {{two, 2}, {one, 5}};
  CHECK_THROWS_AS(SequenceTree::grouped(not_shared, 2, 0), ProgramError);
}

TEST_CASE("a token that is wanted twice is computed once") {
  const std::vector<std::vector<int32_t>> sequences = {{1, 2, 3, 4}, {1, 2, 5}};
  auto row = SequenceTree::shared(sequences, 2, 0);
  row.want(1, 1, 2);
  row.want(0, 1, 2);
  const auto pass = lay_out(std::span(&row, 1), kFrames, torch::kCPU);
  CHECK(values(pass.outputs) == SequencesIds{1, 2, 4});
  CHECK(values(pass.selected) == SequencesIds{0, 2, 0, 1});
  CHECK(seen_by(pass.wanted, 0) == SequencesIds{0, 1});
  CHECK(seen_by(pass.wanted, 1) == SequencesIds{0, 1, 2});
  CHECK(seen_by(pass.wanted, 2) == SequencesIds{0, 1, 4});
}

TEST_CASE("rows share what they have in common before their videos, and nothing else") {
  const std::vector<int32_t> first = {1, 2, 3, 0, 4, 5}, second = {1, 2, 9, 0, 4},
                             third = {1, 2, 3, 0, 4};
  std::vector<SequenceTree> rows;
  for (const auto& ids : {first, second, third}) rows.push_back(SequenceTree::chain(ids, 3));
  rows[1].want(0, 4, 1);
  rows[0].want(0, 0, 1);
  const auto pass = lay_out(rows, kFrames, torch::kCPU);
  CHECK(pass.num_shared == 2);
  CHECK(values(pass.tokens) == SequencesIds{1, 2, 3, 0, 4, 5, 9, 0, 4, 3, 0, 4});
  CHECK(values(pass.positions) == SequencesIds{0, 1, 2, 3, 4, 5, 2, 3, 4, 2, 3, 4});
  CHECK(values(pass.video_slots) == SequencesIds{3, 7, 10});
  CHECK(values(pass.outputs) == SequencesIds{0, 8});
  CHECK(pass.token(1, 1) == 1);
  CHECK(pass.token(1, 4) == 8);
  CHECK(seen_by(pass.every, 1) == SequencesIds{0, 1});
  CHECK(seen_by(pass.every, 8) == SequencesIds{0, 1, 6, 7, 8});
  CHECK(seen_by(pass.wanted, 1) == SequencesIds{0, 1, 6, 7, 8});
}

TEST_CASE("rows with one video start share no more than comes before it") {
  const std::vector<int32_t> ids = {1, 0, 2};
  const std::vector<SequenceTree> rows(2, SequenceTree::chain(ids, 1));
  const auto pass = lay_out(rows, kFrames, torch::kCPU);
  CHECK(pass.num_shared == 1);
  CHECK(pass.num_tokens() == 5);
}

TEST_CASE("gate2 applies to the video keys of queries behind the video, by position") {
  const std::vector<std::vector<int32_t>> sequences = {{1, 0, 0, 7, 8}, {1, 0, 0, 9}};
  const auto row = SequenceTree::shared(sequences, 3, /*video_start=*/1);
  CHECK_THROWS_AS(lay_out(std::span(&row, 1), /*max_feats=*/3, torch::kCPU), ProgramError);
  const auto pass = lay_out(std::span(&row, 1), /*max_feats=*/2, torch::kCPU);
  for (int64_t q = 0; q < 5; ++q) {
    CHECK(seen_by(pass.every, q, /*biased=*/true) ==
          (q >= 3 ? SequencesIds{1, 2} : SequencesIds{}));
  }
}

TEST_CASE("padded rows see what ragged ones see") {
  const std::vector<std::vector<int32_t>> branches = {{1, 2, 0, 7, 3, 4}, {1, 2, 0, 7, 5}};
  const std::vector<int32_t> chain = {1, 2, 9, 0, 8};
  const std::vector<SequenceGroup> groups = {{branches, 4}, {{&branches[0], 1}, 5}, {branches, 4}};
  std::vector<SequenceTree> rows = {SequenceTree::shared(branches, 4, 2),
                                    SequenceTree::chain(chain, 3),
                                    SequenceTree::grouped(groups, 4, 2)};
  rows[0].want(1, 3, 2);
  const auto pass = lay_out(rows, kFrames, torch::kCPU);
  const auto layouts = testing::layouts_of(rows, pass, kFrames);
  const auto compare = [&](const AttentionScope& ragged, const SequencesIds& queries) {
    const auto padded = padded_scope(layouts, pass.num_shared, queries, torch::kCPU);
    const int64_t width = padded.mask.size(2), keys = padded.mask.size(3);
    const auto key_tokens = values(padded.keys.places);
    for (int64_t q = 0; q < std::ssize(queries); ++q) {
      const int64_t home = values(padded.queries.homes)[static_cast<size_t>(q)];
      CHECK(values(padded.queries.places)[static_cast<size_t>(home)] == q);
      SequencesIds seen, biased;
      for (int64_t k = 0; k < keys; ++k) {
        const auto at = [&](const torch::Tensor& x) {
          return x[home / width][0][home % width][k].item<float>();
        };
        const int64_t token = key_tokens[static_cast<size_t>(home / width * keys + k)];
        if (at(padded.mask) == 0) seen.push_back(token);
        if (at(padded.mask) == 0 && at(padded.after_video) == 1) biased.push_back(token);
      }
      CHECK(seen == seen_by(ragged, q));
      CHECK(biased == seen_by(ragged, q, true));
    }
  };
  SequencesIds every(static_cast<size_t>(pass.num_tokens()));
  std::iota(every.begin(), every.end(), 0);
  compare(pass.every, every);
  compare(pass.wanted, values(pass.outputs));
}

TEST_CASE("sequences that do not share the prefix are refused") {
  const std::vector<std::vector<int32_t>> sequences = {{1, 2, 3}, {1, 4, 3}};
  CHECK_THROWS_AS(SequenceTree::shared(sequences, 2, 0), ProgramError);
}
