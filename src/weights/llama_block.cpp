// Where each tensor of a LLaMA lies in its block.
#include "src/weights/llama_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "bovila/core/error.h"
#include "src/weights/cpu/forms.h"
#include "src/weights/quant_state.h"

namespace bovila {
namespace {

using torch::Tensor;

/// Of the text under quant_state, padded with blanks: no LLaMA's is longer.
constexpr int64_t kQuantStateBytes = 256;

/// Hears of every tensor when it is taken, as it is in a file.
using Visit = std::function<void(const std::string& name, const Tensor& values, size_t offset)>;

/// Hands out tensors of one block, in order. With a null block they have shapes but no memory.
class Arena {
 public:
  Arena(std::shared_ptr<std::byte> block, Visit visit)
      : block_(std::move(block)), visit_(std::move(visit)) {}

  Tensor take(const std::string& name, const std::vector<int64_t>& shape, torch::ScalarType type) {
    const size_t offset = used_;
    auto bytes = static_cast<size_t>(c10::elementSize(type));
    for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
    used_ += (bytes + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
    auto values = block_ ? torch::from_blob(
                               block_.get() + offset, shape, [keep = block_](void*) {}, type)
                         : torch::empty(shape, torch::TensorOptions(type).device(torch::kMeta));
    visit_(name, values, offset);
    return values;
  }

  size_t used() const { return used_; }

 private:
  std::shared_ptr<std::byte> block_;
  Visit visit_;
  size_t used_ = 0;
};

/// Whether it has the same blocks, or else must not be told of any.
bool is_known_to_bitsandbytes(const FrozenMatrix& matrix) {
  return matrix.is_nf4() && matrix.columns() % kNf4BlockSize == 0;
}

/// `name`.weight and what its form has besides, under bitsandbytes' names.
FrozenMatrix take_matrix(Arena& arena, const std::string& name, int64_t rows, int64_t columns,
                         const WeightTypes& types) {
  const std::string weight = name + ".weight";
  const auto floats = [&](torch::ScalarType type) {
    return FrozenMatrix(arena.take(weight, {rows, columns}, type));
  };
  switch (types.form) {
    case WeightForm::kComputed:
      return floats(types.compute);
    case WeightForm::kBf16:
      return floats(torch::kBFloat16);
    case WeightForm::kFp16:
      return floats(torch::kFloat16);
    case WeightForm::kInt8: {
      FrozenMatrix matrix(arena.take(weight, {rows, columns}, torch::kInt8));
      matrix.scales = arena.take(name + ".SCB", {rows}, torch::kFloat32);
      arena.take(name + ".weight_format", {}, torch::kUInt8);
      return matrix;
    }
    case WeightForm::kNf4:
    case WeightForm::kNf4Dq:
      break;
  }
  const bool is_double = types.form == WeightForm::kNf4Dq;
  const int64_t blocks = rows * nf4_blocks(columns);
  FrozenMatrix matrix(
      arena.take(weight, {rows * columns / 2, 1}, torch::kUInt8).view({rows, columns / 2}));
  matrix.scales =
      arena.take(weight + ".absmax", {blocks}, is_double ? torch::kUInt8 : torch::kFloat32)
          .view({rows, nf4_blocks(columns)});
  arena.take(weight + ".quant_map", {16}, torch::kFloat32);
  if (is_double) {
    matrix.scale_scales =
        arena.take(weight + ".nested_absmax", {(blocks + kScaleBlockSize - 1) / kScaleBlockSize},
                   torch::kFloat32);
    matrix.scale_map = arena.take(weight + ".nested_quant_map", {256}, torch::kFloat32);
    matrix.scale_mean = arena.take(weight + ".nested_offset", {}, torch::kFloat32);
  }
  if (is_known_to_bitsandbytes(matrix)) {
    arena.take(weight + ".quant_state.bitsandbytes__nf4", {kQuantStateBytes}, torch::kUInt8);
  }
  return matrix;
}

LlamaWeights take_tensors(Arena& arena, const LlamaParams& p, WeightTypes types,
                          const LlamaPart& part) {
  if (!part.is_whole() && types.form == WeightForm::kNf4Dq) types.form = WeightForm::kNf4;
  const int64_t q_dim = part.size_of(p.dim), kv_dim = part.size_of(p.kv_dim());
  const int64_t hidden_dim = part.size_of(p.hidden_dim());
  const auto take = [&](const std::string& name, const std::vector<int64_t>& shape) {
    return arena.take(name + ".weight", shape, types.compute);
  };
  LlamaWeights weights;
  weights.params = p;
  weights.part = part;
  weights.tok_embeddings = take("tok_embeddings", {p.vocab_size, p.dim});
  for (int64_t l = 0; l < p.n_layers; ++l) {
    const std::string at = fmt::format("layers.{}.", l);
    const auto matrix = [&](const char* name, int64_t rows, int64_t columns) {
      return take_matrix(arena, at + name, rows, columns, types);
    };
    LlamaLayerWeights layer;
    layer.attention_norm = take(at + "attention_norm", {p.dim});
    layer.wqkv = matrix("attention.wqkv", q_dim + 2 * kv_dim, p.dim);
    layer.wo = matrix("attention.wo", p.dim, q_dim);
    layer.ffn_norm = take(at + "ffn_norm", {p.dim});
    layer.w13 = matrix("feed_forward.w13", 2 * hidden_dim, p.dim);
    layer.w2 = matrix("feed_forward.w2", p.dim, hidden_dim);
    weights.layers.push_back(std::move(layer));
  }
  weights.norm = take("norm", {p.dim});
  weights.output =
      p.tied_embeddings ? weights.tok_embeddings : take("output", {p.vocab_size, p.dim});
  return weights;
}

LlamaWeights visit_tensors(const LlamaParams& params, const WeightTypes& types,
                           const LlamaPart& part, std::shared_ptr<std::byte> block,
                           const Visit& visit) {
  Arena arena(std::move(block), visit);
  return take_tensors(arena, params, types, part);
}

void hear_nothing(const std::string&, const Tensor&, size_t) {}

void write(const Tensor& to, const float* values) {
  std::copy_n(values, to.numel(), to.data_ptr<float>());
}

void describe(const FrozenMatrix& matrix, torch::ScalarType compute, const Tensor& to) {
  const std::string text = quant_state_text(
      {.rows = matrix.rows(),
       .columns = matrix.columns(),
       .type = compute == torch::kFloat32    ? "float32"
               : compute == torch::kBFloat16 ? "bfloat16"
                                             : "float16",
       .nested_offset = matrix.has_double_scales() ? std::optional(matrix.scale_mean.item<float>())
                                                   : std::nullopt});
  BOVILA_CHECK(std::ssize(text) <= to.numel(), "{} is too long", text);
  auto* bytes = to.data_ptr<uint8_t>();
  std::fill_n(bytes, to.numel(), static_cast<uint8_t>(' '));
  std::ranges::copy(text, bytes);
}

}  // namespace

size_t llama_block_size(const LlamaParams& params, const WeightTypes& types,
                        const LlamaPart& part) {
  Arena arena(nullptr, hear_nothing);
  take_tensors(arena, params, types, part);
  return arena.used();
}

LlamaWeights llama_tensors(const LlamaParams& params, const WeightTypes& types,
                           std::shared_ptr<std::byte> block, const LlamaPart& part) {
  return visit_tensors(params, types, part, std::move(block), hear_nothing);
}

FrozenMatrix empty_matrix(int64_t rows, int64_t columns, const WeightTypes& types) {
  Arena size(nullptr, hear_nothing);
  take_matrix(size, "", rows, columns, types);
  auto block = private_memory(size.used(), [](std::byte*) {});
  Arena arena(std::move(block), hear_nothing);
  auto matrix = take_matrix(arena, "", rows, columns, types);
  if (matrix.has_double_scales()) write(matrix.scale_map, cpu::scale_map());
  return matrix;
}

std::vector<BlockTensor> block_tensors(const LlamaParams& params, const WeightTypes& types) {
  std::vector<BlockTensor> tensors;
  visit_tensors(params, types, LlamaPart(), nullptr,
                [&](const std::string& name, const Tensor& values, size_t offset) {
                  tensors.push_back({name, values, offset});
                });
  return tensors;
}

void describe_forms(const LlamaParams& params, const WeightTypes& types,
                    std::shared_ptr<std::byte> block, const LlamaPart& part) {
  std::vector<Tensor> texts;
  const auto visit = [&](const std::string& name, const Tensor& values, size_t) {
    if (name.ends_with(".nested_quant_map")) write(values, cpu::scale_map());
    if (name.ends_with(".weight.quant_map")) write(values, cpu::nf4_values());
    if (name.ends_with(".weight_format")) values.zero_();  // bitsandbytes': row by row
    if (name.ends_with(".bitsandbytes__nf4")) texts.push_back(values);
  };
  const auto weights = visit_tensors(params, types, part, std::move(block), visit);
  size_t next = 0;
  for (const LlamaLayerWeights& layer : weights.layers) {
    for (const FrozenMatrix* matrix : {&layer.wqkv, &layer.wo, &layer.w13, &layer.w2}) {
      if (is_known_to_bitsandbytes(*matrix)) describe(*matrix, types.compute, texts.at(next++));
    }
  }
}

}  // namespace bovila
