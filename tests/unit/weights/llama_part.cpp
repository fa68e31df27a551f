// Parts of a LLaMA, read one by one: put together they are the whole's numbers, to the bit,
// whatever form the files and the memory have.
#include "bovila/weights/llama_part.h"

#include "bovila/weights/llama_file.h"
#include "bovila/weights/llama_weights.h"
#include "tests/unit/weights/hf_llama.h"

using namespace bovila;
using testing::block_params;
using testing::contains;
using testing::error_of;
using testing::hf_tensors;
using testing::meta_tensors;
using testing::TempFolder;
using testing::tiny_params;
using testing::write_hf;
using testing::write_parts;
using torch::Tensor;

namespace {

/// Four heads, two of keys, 128 wide, SwiGLU's width 256: halves have whole blocks of NF4.
LlamaParams wide_params() {
  auto params = block_params(2);
  params.dim = 128;
  params.given_hidden_dim = 256;
  return params;
}

std::vector<WeightTypes> types_of(torch::ScalarType compute) {
  std::vector<WeightTypes> all = {compute};
  for (const WeightForm form : testing::kSmallForms) all.push_back({compute, form});
  return all;
}

LlamaWeights load_part(const std::string& folder, const LlamaParams& params,
                       const WeightTypes& types, const LlamaPart& part) {
  WeightMemory memory;
  memory.part = part;
  return load_llama_weights(folder, params, types, memory);
}

Tensor numbers(const FrozenMatrix& matrix) {
  return matrix.expanded(torch::kFloat32);
}

/// Matrices of so many rows, one under the other, of which each part has some rows.
Tensor join_rows(const std::vector<LlamaWeights>& parts, size_t layer,
                 FrozenMatrix LlamaLayerWeights::*member, const std::vector<int64_t>& stacked) {
  std::vector<Tensor> rows;
  int64_t first = 0;
  for (const int64_t count : stacked) {
    const int64_t own = count / std::ssize(parts);
    for (const LlamaWeights& part : parts) {
      rows.push_back(numbers(part.layers[layer].*member).narrow(0, first, own));
    }
    first += own;
  }
  return torch::cat(rows);
}

Tensor join_columns(const std::vector<LlamaWeights>& parts, size_t layer,
                    FrozenMatrix LlamaLayerWeights::*member) {
  std::vector<Tensor> columns;
  for (const LlamaWeights& part : parts) columns.push_back(numbers(part.layers[layer].*member));
  return torch::cat(columns, 1);
}

void check_together(const std::string& folder, const LlamaParams& p, const WeightTypes& types,
                    int64_t count) {
  CAPTURE(int(types.form));
  CAPTURE(count);
  const auto whole = load_llama_weights(folder, p, types);
  std::vector<LlamaWeights> parts;
  for (int64_t t = 0; t < count; ++t) parts.push_back(load_part(folder, p, types, {t, count}));
  for (const LlamaWeights& part : parts) {
    CHECK(torch::equal(part.tok_embeddings, whole.tok_embeddings));
    CHECK(torch::equal(part.norm, whole.norm));
    CHECK(torch::equal(part.output, whole.output));
  }
  for (size_t l = 0; l < whole.layers.size(); ++l) {
    const LlamaLayerWeights& layer = whole.layers[l];
    CHECK(torch::equal(parts.back().layers[l].attention_norm, layer.attention_norm));
    CHECK(torch::equal(parts.back().layers[l].ffn_norm, layer.ffn_norm));
    CHECK(
        torch::equal(join_rows(parts, l, &LlamaLayerWeights::wqkv, {p.dim, p.kv_dim(), p.kv_dim()}),
                     numbers(layer.wqkv)));
    CHECK(torch::equal(join_columns(parts, l, &LlamaLayerWeights::wo), numbers(layer.wo)));
    CHECK(
        torch::equal(join_rows(parts, l, &LlamaLayerWeights::w13, {p.hidden_dim(), p.hidden_dim()}),
                     numbers(layer.w13)));
    CHECK(torch::equal(join_columns(parts, l, &LlamaLayerWeights::w2), numbers(layer.w2)));
  }
}

}  // namespace

TEST_CASE("parts of Meta's files are the whole's, whatever number of files there are") {
  const auto params = wide_params();
  for (const int64_t files : {1, 2, 4}) {
    CAPTURE(files);
    const TempFolder folder;
    write_parts(folder.path(), meta_tensors(params), files);
    for (const auto& types : types_of(torch::kFloat32)) {
      check_together(folder.path(), params, types, 2);
    }
    check_together(folder.path(), params, torch::kBFloat16, 2);
  }
}

TEST_CASE("four parts of a LLaMA with four heads of keys are the whole's") {
  const auto params = tiny_params();
  for (const int64_t files : {1, 2, 4}) {
    const TempFolder folder;
    write_parts(folder.path(), meta_tensors(params), files);
    check_together(folder.path(), params, torch::kFloat32, 4);
    check_together(folder.path(), params, {torch::kFloat32, WeightForm::kInt8}, 4);
  }
}

TEST_CASE("parts of Hugging Face's files are the whole's, quantised ones too") {
  const auto params = wide_params();
  const auto tensors = hf_tensors(params);
  std::vector<testing::Tensors> all = {tensors};
  for (const auto form : {WeightForm::kInt8, WeightForm::kNf4, WeightForm::kNf4Dq}) {
    all.push_back(testing::quantised(tensors, form));
  }
  for (const auto& stored : all) {
    const TempFolder folder;
    write_hf(folder, params, stored);
    for (const auto& types : types_of(torch::kFloat32)) {
      check_together(folder.path(), params, types, 2);
    }
  }
  const TempFolder bin;
  bin.write("config.json", testing::config_of(params).dump());
  testing::write_tensors(bin.path() + "/pytorch_model.bin", tensors);
  check_together(bin.path(), params, torch::kFloat32, 2);
}

TEST_CASE("parts of the program's own file are the whole's, in its types and in others") {
  const auto params = wide_params();
  const TempFolder source;
  write_parts(source.path(), meta_tensors(params), 1);
  source.write("params.json", "{}");
  for (const auto& stored : types_of(torch::kFloat32)) {
    CAPTURE(int(stored.form));
    const TempFolder folder;
    write_llama_file(source.path(), params, stored, folder.path() + "/" + kLlamaFileName);
    for (const auto& types : types_of(torch::kFloat32)) {
      check_together(folder.path(), params, types, 2);
    }
    check_together(folder.path(), params, {torch::kBFloat16, stored.form}, 2);
  }
}

TEST_CASE("a part has a part's bytes, but for what all parts have") {
  const auto params = wide_params();
  const int64_t common = 4 * (2 * params.vocab_size + 7) * params.dim;
  for (const auto form : {WeightForm::kComputed, WeightForm::kBf16}) {
    const WeightTypes types{torch::kFloat32, form};
    const auto whole = llama_weight_bytes(params, types),
               half = llama_weight_bytes(params, types, 2);
    CHECK(2 * (half - common) == whole - common);
  }
}

TEST_CASE("a LLaMA that cannot be shared out evenly is refused with what it has") {
  const auto problem = [](const LlamaParams& params, WeightForm form, int64_t parts) {
    return error_of([&] { check_llama_parts(params, form, parts); });
  };
  const auto heads = tiny_params(2);
  CHECK(problem(heads, WeightForm::kComputed, 3) ==
        "run.tensor_parallel is 3, but this LLaMA has 4 heads, which cannot be shared out evenly: "
        "expected a divisor of its 4 heads, 2 heads of keys and values and SwiGLU's width 48");
  CHECK(
      contains(problem(heads, WeightForm::kComputed, 4), "has 2 heads of keys and values, which"));
  auto odd = tiny_params();
  odd.given_hidden_dim = 46;
  CHECK(contains(problem(odd, WeightForm::kComputed, 4), "SwiGLU's width 46, which"));
  CHECK(problem(heads, WeightForm::kComputed, 2).empty());
  CHECK(problem(heads, WeightForm::kInt8, 2).empty());
  CHECK(problem(heads, WeightForm::kNf4, 1).empty());
  for (const auto& [form, name] :
       {std::pair(WeightForm::kNf4, "nf4"), {WeightForm::kNf4Dq, "nf4-dq"}}) {
    CHECK(problem(heads, form, 2) ==
          fmt::format("model.weights = \"{}\" stores blocks of 64 weights of a row, and with "
                      "run.tensor_parallel = 2 a part of a row has 8: use \"int8\" or fewer ranks "
                      "a group",
                      name));
  }
  CHECK(problem(wide_params(), WeightForm::kNf4Dq, 2).empty());
}

TEST_CASE("a part that cannot be is refused before anything is read") {
  const TempFolder nowhere;
  nowhere.write("params.json", "{}");
  CHECK(contains(error_of([&] {
                   load_part(nowhere.path(), tiny_params(), torch::kFloat32, {0, 3});
                 }),
                 "run.tensor_parallel is 3"));
}
