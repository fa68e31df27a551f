// The frozen LLaMA against SPEC 2 written out, and what must not change its results.
#include "bovila/model/llama.h"

#include <doctest/doctest.h>

#include "bovila/core/error.h"
#include "tests/unit/model/plain_bovila.h"

using namespace bovila;
using testing::meta_tensors;
using testing::PlainBovila;
using testing::tiny_params;
using testing::weights_of;
using torch::Tensor;

namespace {

using LlamaIds = std::vector<int32_t>;

const LlamaIds kLlamaIds = {1, 7, 3, 9, 2, 4, 5, 6};

Llama llama_make(const LlamaParams& params, torch::ScalarType type = torch::kFloat32) {
  return Llama(weights_of(params, meta_tensors(params), type));
}

/// Hidden states of the wanted positions, as asked for, of rows without video and adapters.
Tensor llama_run(const Llama& llama, std::span<const SequenceTree> rows) {
  const auto sequences = lay_out(rows, /*max_feats=*/1, torch::kCPU);
  const std::vector<AdapterSlots> none(static_cast<size_t>(llama.params().n_layers));
  return llama.forward(llama.embed(sequences.tokens), sequences, none)
      .index_select(0, sequences.selected);
}

SequenceTree llama_whole(const LlamaIds& ids) {
  auto row = SequenceTree::chain(ids, 0);
  row.want(0, 0, row.size());
  return row;
}

void llama_check_close(const Tensor& got, const Tensor& expected) {
  REQUIRE(got.sizes() == expected.sizes());
  CHECK((got - expected).abs().max().item<double>() < 1e-5);
}

void llama_check_against_plain(const LlamaParams& params) {
  const auto row = llama_whole(kLlamaIds);
  llama_check_close(llama_run(llama_make(params), std::span(&row, 1)),
                    PlainBovila(params, meta_tensors(params), nullptr).hidden(kLlamaIds));
}

}  // namespace

TEST_CASE("hidden states are those of the definition") {
  llama_check_against_plain(tiny_params());
}

TEST_CASE("grouped key and value heads are those of the definition") {
  llama_check_against_plain(tiny_params(2));
  llama_check_against_plain(tiny_params(1));
}

TEST_CASE("grouped heads equal the same heads repeated in full weights") {
  const auto grouped = tiny_params(2), full = tiny_params(4);
  auto tensors = meta_tensors(grouped);
  for (auto& [name, tensor] : tensors) {
    if (!name.ends_with("wk.weight") && !name.ends_with("wv.weight")) continue;
    tensor = tensor.view({2, 4, 16}).repeat_interleave(2, 0).view({16, 16});
  }
  const auto row = llama_whole(kLlamaIds);
  llama_check_close(llama_run(llama_make(grouped), std::span(&row, 1)),
                    llama_run(Llama(weights_of(full, tensors)), std::span(&row, 1)));
}

TEST_CASE("another rotary base and another norm epsilon are used") {
  auto params = tiny_params();
  params.rope_theta = 50;
  params.norm_eps = 0.1;
  llama_check_against_plain(params);
}

TEST_CASE("linear scaling divides every rotary frequency") {
  auto params = tiny_params();
  params.rope_theta = 50;
  params.rope_scaling = {.kind = RopeScaling::Kind::kLinear, .factor = 3};
  llama_check_against_plain(params);
}

TEST_CASE("LLaMA-3.1's scaling keeps fast frequencies, divides slow ones and blends between") {
  auto params = tiny_params();
  params.dim = 64;  // 8 frequencies a head
  params.rope_theta = 500;
  params.rope_scaling = {.kind = RopeScaling::Kind::kLlama3, .factor = 8, .original_length = 64};
  llama_check_against_plain(params);
}

TEST_CASE("only wanted positions come out, in the order they were asked for") {
  const auto params = tiny_params();
  const auto expected = PlainBovila(params, meta_tensors(params), nullptr).hidden(kLlamaIds);
  auto row = SequenceTree::chain(kLlamaIds, 0);
  row.want(0, 6, 2);
  row.want(0, 1, 1);
  const auto got = llama_run(llama_make(params), std::span(&row, 1));
  llama_check_close(got, torch::stack({expected[6], expected[7], expected[1]}));
}

TEST_CASE("rows of other lengths in the batch do not change a row") {
  const auto params = tiny_params();
  const Llama llama = llama_make(params);
  const LlamaIds ids[] = {{1, 5}, kLlamaIds, {3}, {2, 2, 2, 2}};
  std::vector<SequenceTree> rows;
  std::vector<Tensor> alone;
  for (const LlamaIds& one : ids) {
    rows.push_back(llama_whole(one));
    alone.push_back(llama_run(llama, std::span(&rows.back(), 1)));
  }
  llama_check_close(llama_run(llama, rows), torch::cat(alone));
}

TEST_CASE("branches on a shared prefix get what they get as rows of their own") {
  const auto params = tiny_params();
  const Llama llama = llama_make(params);
  const std::vector<LlamaIds> branches = {{1, 7, 3, 9, 4, 5, 6}, {1, 7, 3, 8}, {1, 7, 3, 9, 9}};
  auto tree = SequenceTree::shared(branches, 3, 0);
  std::vector<Tensor> alone;
  for (size_t k = 0; k < branches.size(); ++k) {
    tree.want(static_cast<int64_t>(k), 0, std::ssize(branches[k]));
    const auto row = llama_whole(branches[k]);
    alone.push_back(llama_run(llama, std::span(&row, 1)));
  }
  llama_check_close(llama_run(llama, std::span(&tree, 1)), torch::cat(alone));
}

TEST_CASE("embeddings are the table's rows, logits fp32 products with the output matrix") {
  const auto params = tiny_params();
  const auto tensors = meta_tensors(params);
  const Llama llama = llama_make(params);
  const auto ids = torch::tensor({{3, 0}, {23, 3}}, torch::kInt64);
  CHECK(torch::equal(llama.embed(ids)[1][0], tensors.at("tok_embeddings.weight")[23]));
  CHECK_FALSE(llama.embed(ids).requires_grad());
  const auto hidden = torch::randn({5, 16});
  llama_check_close(llama.logits(hidden), hidden.matmul(tensors.at("output.weight").t()));
}

TEST_CASE("bf16 weights compute in bf16 and give fp32 logits near the fp32 ones") {
  const auto params = tiny_params();
  const Llama wide = llama_make(params), narrow = llama_make(params, torch::kBFloat16);
  const auto row = llama_whole(kLlamaIds);
  const auto hidden = llama_run(narrow, std::span(&row, 1));
  CHECK((hidden.scalar_type() == torch::kBFloat16));
  const auto logits = narrow.logits(hidden);
  CHECK((logits.scalar_type() == torch::kFloat32));
  const auto expected = wide.logits(llama_run(wide, std::span(&row, 1)));
  CHECK((logits - expected).norm().item<double>() < 0.03 * expected.norm().item<double>());
}

TEST_CASE("a part of the weights is used by its rank of a group alone") {
  auto weights = weights_of(tiny_params(), meta_tensors(tiny_params()));
  auto alone = MpiCommunicator::self();
  CHECK_NOTHROW(Llama(weights, false, &alone));
  weights.part = {1, 2};
  for (Communicator* group :
       {static_cast<Communicator*>(nullptr), static_cast<Communicator*>(&alone)}) {
    std::string message;
    try {
      Llama(weights, false, group);
    } catch (const ProgramError& error) {
      message = error.what();
    }
    CHECK(message.find("part 1 of 2 of a LLaMA's weights is not that of its rank") !=
          std::string::npos);
  }
}
