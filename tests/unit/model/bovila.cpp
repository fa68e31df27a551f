// LLaMA, adapters and video together: SPEC 2 written out, shared rows, which layers are adapted.
#include "bovila/model/bovila.h"

#include <doctest/doctest.h>
#include <torch/autograd.h>

#include "tests/unit/model/plain_bovila.h"

using namespace bovila;
using testing::meta_tensors;
using testing::PlainBovila;
using testing::tiny_bovila;
using testing::tiny_params;
using torch::Tensor;

namespace {

using Ids = std::vector<int32_t>;

constexpr int64_t kVideoStart = 2;
const Ids kIds = {1, 7, 0, 0, 0, 9, 2, 4, 5};  // F = 3 slots at 2

SequenceTree whole(const Ids& ids, int64_t video_start = kVideoStart) {
  auto row = SequenceTree::chain(ids, video_start);
  row.want(0, 0, row.size());
  return row;
}

/// Video tokens of `rows` clips.
Tensor video_of(const Bovila& model, int64_t rows) {
  torch::manual_seed(6);
  return model.video(torch::randn({rows, 3, 768}));
}

Tensor run(const Bovila& model, std::span<const SequenceTree> rows, const Tensor& video,
           const Overlay& overlay = {}) {
  const auto sequences = lay_out(rows, 3, torch::kCPU);
  return model.hidden(sequences, video, model.adapter_slots(), overlay)
      .index_select(0, sequences.selected);
}

Tensor run_one(const Bovila& model, const Ids& ids, const Tensor& video) {
  const auto row = whole(ids);
  return run(model, std::span(&row, 1), video);
}

void check_close(const Tensor& got, const Tensor& expected) {
  REQUIRE(got.sizes() == expected.sizes());
  CHECK((got - expected).abs().max().item<double>() < 1e-5);
}

void check_against_plain(const LlamaParams& params, int64_t adapter_layers) {
  const Bovila model = tiny_bovila(params, adapter_layers);
  const auto video = video_of(model, 1);
  const PlainBovila plain(params, meta_tensors(params), &model.parameters());
  check_close(run_one(model, kIds, video), plain.hidden(kIds, {video[0], kVideoStart}));
}

}  // namespace

TEST_CASE("hidden states with adapters, gates and video are those of the definition") {
  check_against_plain(tiny_params(), 3);
}

TEST_CASE("adapters share grouped key and value heads as the text does") {
  check_against_plain(tiny_params(2), 3);
  check_against_plain(tiny_params(1), 3);
}

TEST_CASE("with fewer adapter layers than layers all layers run and the last are adapted") {
  check_against_plain(tiny_params(), 2);
  check_against_plain(tiny_params(), 1);
  const Bovila model = tiny_bovila(tiny_params(), 1);
  const auto slots = model.adapter_slots();
  REQUIRE(slots.size() == 3);
  CHECK_FALSE(slots[0].defined());
  CHECK_FALSE(slots[1].defined());
  CHECK(slots[2].defined());
}

TEST_CASE("with all gates closed the adapters change nothing") {
  Bovila model = tiny_bovila();
  for (const NamedParameter& entry : model.parameters().names()) {
    if (entry.name.find("gate") == std::string::npos) continue;
    model.parameters().assign(entry.name, torch::zeros(entry.shape));
  }
  const auto video = video_of(model, 1);
  const PlainBovila plain(tiny_params(), meta_tensors(tiny_params()), nullptr);
  check_close(run_one(model, kIds, video), plain.hidden(kIds, {video[0], kVideoStart}));
}

TEST_CASE("a batch of rows with their own video places and lengths equals the rows alone") {
  const Bovila model = tiny_bovila();
  const auto video = video_of(model, 3);
  const std::vector<std::pair<Ids, int64_t>> prompts = {
      {kIds, 2}, {{1, 0, 0, 0, 8}, 1}, {{1, 4, 4, 4, 0, 0, 0, 8, 9, 10, 11, 12}, 4}};
  std::vector<SequenceTree> rows;
  std::vector<Tensor> alone;
  for (size_t i = 0; i < prompts.size(); ++i) {
    rows.push_back(whole(prompts[i].first, prompts[i].second));
    alone.push_back(
        run(model, std::span(&rows.back(), 1), video.narrow(0, static_cast<int64_t>(i), 1)));
  }
  check_close(run(model, rows, video), torch::cat(alone));
}

TEST_CASE("branches on a shared prefix get what separate rows get, the video bias too") {
  const Bovila model = tiny_bovila();
  const auto video = video_of(model, 1);
  const std::vector<Ids> branches = {
      kIds, {1, 7, 0, 0, 0, 9, 3}, {1, 7, 0, 0, 0, 9, 2, 4, 6, 8, 1}};
  auto tree = SequenceTree::shared(branches, 6, kVideoStart);
  std::vector<Tensor> alone;
  for (size_t k = 0; k < branches.size(); ++k) {
    tree.want(static_cast<int64_t>(k), 0, std::ssize(branches[k]));
    alone.push_back(run_one(model, branches[k], video));
  }
  check_close(run(model, std::span(&tree, 1), video), torch::cat(alone));
}

TEST_CASE("an overlay stands in place of tokens' embeddings, and gradients reach it") {
  const Bovila model = tiny_bovila();
  const auto video = video_of(model, 1);
  // The embeddings of other tokens, laid over kIds, are the sequence of those tokens.
  const Ids other = {1, 7, 0, 0, 0, 9, 11, 12, 5};
  auto values = model.llama().embed(torch::tensor({11, 12}, torch::kInt64)).clone();
  values.requires_grad_(true);
  const auto row = whole(kIds);
  const auto got =
      run(model, std::span(&row, 1), video, {torch::tensor({6, 7}, torch::kInt64), values});
  check_close(got, run_one(model, other, video));
  const auto gradient = torch::autograd::grad({got.square().sum()}, {values}).at(0);
  CHECK((gradient.abs().sum(1) > 0).all().item<bool>());
}

TEST_CASE("every trained parameter gets a gradient, every frozen weight none") {
  Bovila model = tiny_bovila();
  run_one(model, kIds, video_of(model, 1)).square().sum().backward();
  for (const NamedParameter& entry : model.parameters().names()) {
    if (entry.offset >= model.parameters().num_trained()) continue;
    CAPTURE(entry.name);
    CHECK(model.parameters().at(entry.name).grad().abs().sum().item<double>() > 0);
  }
  CHECK_FALSE(model.llama().weights().layers[0].wqkv.values.requires_grad());
  CHECK_FALSE(model.llama().weights().tok_embeddings.requires_grad());
}

TEST_CASE("bf16 computes near fp32 and keeps fp32 gradients") {
  Bovila wide = tiny_bovila(), narrow = tiny_bovila(tiny_params(), 3, false, torch::kBFloat16);
  const auto expected = run_one(wide, kIds, video_of(wide, 1));
  const auto got = run_one(narrow, kIds, video_of(narrow, 1));
  CHECK((got.scalar_type() == torch::kBFloat16));
  CHECK((got - expected).norm().item<double>() < 0.05 * expected.norm().item<double>());
  got.to(torch::kFloat32).square().sum().backward();
  CHECK((narrow.parameters().gradient().scalar_type() == torch::kFloat32));
  CHECK(narrow.parameters().gradient().isfinite().all().item<bool>());
}
