// Index bookkeeping of rows with shared prefixes, and their attention masks.
#include "bovila/model/sequences.h"

#include <algorithm>
#include <limits>

#include "bovila/core/error.h"
#include "bovila/model/device_copy.h"

namespace bovila {
namespace {

torch::Tensor padded(std::span<const SequenceTree> rows, int64_t width, int64_t fill,
                     std::vector<int64_t> SequenceTree::*member) {
  auto out = torch::full({static_cast<int64_t>(rows.size()), width}, fill, torch::kInt64);
  int64_t* at = out.data_ptr<int64_t>();
  for (const SequenceTree& row : rows) {
    std::ranges::copy(row.*member, at);
    at += width;
  }
  return out;
}

/// Places of the real outputs in the flattened [B, Q].
torch::Tensor real_outputs(std::span<const SequenceTree> rows, int64_t width) {
  std::vector<int64_t> selected;
  for (size_t b = 0; b < rows.size(); ++b) {
    for (size_t q = 0; q < rows[b].outputs.size(); ++q) {
      selected.push_back(static_cast<int64_t>(b) * width + static_cast<int64_t>(q));
    }
  }
  return torch::tensor(selected, torch::kInt64);
}

}  // namespace

SequenceTree SequenceTree::chain(std::span<const int32_t> tokens, int64_t video_start) {
  const std::vector<int32_t> only(tokens.begin(), tokens.end());
  return shared(std::span(&only, 1), static_cast<int64_t>(only.size()), video_start);
}

SequenceTree SequenceTree::shared(std::span<const std::vector<int32_t>> sequences,
                                  int64_t prefix_len, int64_t video_start) {
  SequenceTree row;
  row.video_start = video_start;
  row.prefix_len = prefix_len;
  const auto append = [&](const std::vector<int32_t>& sequence, int64_t first, int64_t last,
                          int64_t branch) {
    for (int64_t p = first; p < last; ++p) {
      row.tokens.push_back(sequence[static_cast<size_t>(p)]);
      row.positions.push_back(p);
      row.branches.push_back(branch);
    }
  };
  append(sequences.front(), 0, prefix_len, 0);
  for (size_t k = 0; k < sequences.size(); ++k) {
    BOVILA_CHECK(static_cast<int64_t>(sequences[k].size()) >= prefix_len &&
                     std::equal(sequences[k].begin(), sequences[k].begin() + prefix_len,
                                sequences.front().begin()),
                 "sequence {} does not share the prefix of {} tokens", k, prefix_len);
    row.branch_start_.push_back(row.size());
    append(sequences[k], prefix_len, static_cast<int64_t>(sequences[k].size()),
           static_cast<int64_t>(k) + 1);
  }
  return row;
}

int64_t SequenceTree::index(int64_t branch, int64_t position) const {
  if (position < prefix_len) return position;
  return branch_start_[static_cast<size_t>(branch)] + position - prefix_len;
}

void SequenceTree::want(int64_t branch, int64_t first, int64_t count) {
  for (int64_t p = first; p < first + count; ++p) outputs.push_back(index(branch, p));
}

Sequences lay_out(std::span<const SequenceTree> rows, int64_t max_feats, torch::Device device) {
  BOVILA_CHECK(!rows.empty(), "a pass needs at least one row");
  int64_t length = 0;
  int64_t num_outputs = 0;
  Sequences out;
  std::vector<int64_t> video_start;
  for (const SequenceTree& row : rows) {
    length = std::max(length, row.size());
    num_outputs = std::max(num_outputs, static_cast<int64_t>(row.outputs.size()));
    out.num_tokens += row.size();
    video_start.push_back(row.video_start);
  }
  constexpr int64_t kPadding = -1;
  const auto move = [&](const torch::Tensor& tensor) { return copy_to(tensor, device); };
  out.max_feats = max_feats;
  out.tokens = move(padded(rows, length, 0, &SequenceTree::tokens));
  out.positions = move(padded(rows, length, 0, &SequenceTree::positions));
  out.video_start = move(torch::tensor(video_start, torch::kInt64));
  out.outputs = move(padded(rows, num_outputs, 0, &SequenceTree::outputs));
  out.selected = move(real_outputs(rows, num_outputs));

  const auto branch = move(padded(rows, length, kPadding, &SequenceTree::branches));
  const auto place = torch::arange(length, torch::TensorOptions(torch::kInt64).device(device));
  const auto query = branch.unsqueeze(2);  // [B, S, 1]
  const auto key = branch.unsqueeze(1);    // [B, 1, S]
  // Padding attends to itself, which keeps its softmax finite; nobody attends to padding.
  const auto allowed = (place.unsqueeze(1) >= place.unsqueeze(0)) & ((key == 0) | (key == query));
  out.mask = torch::zeros(allowed.sizes(), torch::TensorOptions(torch::kFloat32).device(device))
                 .masked_fill_(~allowed, -std::numeric_limits<float>::infinity())
                 .unsqueeze(1);
  const auto start = out.video_start.view({-1, 1, 1});
  const auto video_key = (place >= start) & (place < start + max_feats);     // [B, 1, S]
  const auto later_query = out.positions.unsqueeze(2) >= start + max_feats;  // [B, S, 1]
  out.after_video = (video_key & later_query).to(torch::kFloat32).unsqueeze(1);
  return out;
}

}  // namespace bovila
