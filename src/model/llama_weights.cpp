// One block of memory, its tensors, and Meta's files read into them part by part.
#include "bovila/model/llama_weights.h"

#include <filesystem>
#include <map>
#include <new>

#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/data/pth.h"

namespace bovila {
namespace {

using torch::Tensor;
namespace fs = std::filesystem;

constexpr size_t kAlignment = 64;

/// How a tensor is cut into the parts of a large model (SPEC 8).
enum class Cut { kNone, kRows, kColumns };

/// One of Meta's tensors and where its values go.
struct Target {
  Tensor values;
  Cut cut;
};

size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Hands out tensors of one block, in order. With a null block they have shapes but no memory.
class Arena {
 public:
  Arena(std::shared_ptr<std::byte> block, torch::ScalarType type)
      : block_(std::move(block)), type_(type) {}

  Tensor take(std::vector<int64_t> shape) {
    auto bytes = static_cast<size_t>(c10::elementSize(type_));
    for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
    std::byte* at = block_ ? block_.get() + used_ : nullptr;
    used_ += aligned(bytes);
    if (at == nullptr) return torch::empty(shape, torch::TensorOptions(type_).device(torch::kMeta));
    return torch::from_blob(
        at, shape, [keep = block_](void*) {}, type_);
  }

  size_t used() const { return used_; }

 private:
  std::shared_ptr<std::byte> block_;
  torch::ScalarType type_;
  size_t used_ = 0;
};

FrozenMatrix take_matrix(Arena& arena, int64_t out, int64_t in, bool with_transposed) {
  FrozenMatrix matrix{arena.take({out, in}), {}};
  if (with_transposed) matrix.transposed = arena.take({in, out});
  return matrix;
}

LlamaWeights make_tensors(Arena& arena, const LlamaParams& p, bool with_transposed) {
  LlamaWeights weights;
  weights.params = p;
  weights.tok_embeddings = arena.take({p.vocab_size, p.dim});
  for (int64_t l = 0; l < p.n_layers; ++l) {
    const auto matrix = [&](int64_t out, int64_t in) {
      return take_matrix(arena, out, in, with_transposed);
    };
    LlamaLayerWeights layer;
    layer.attention_norm = arena.take({p.dim});
    layer.wqkv = matrix(p.dim + 2 * p.kv_dim(), p.dim);
    layer.wo = matrix(p.dim, p.dim);
    layer.ffn_norm = arena.take({p.dim});
    layer.w13 = matrix(2 * p.hidden_dim(), p.dim);
    layer.w2 = matrix(p.dim, p.hidden_dim());
    weights.layers.push_back(std::move(layer));
  }
  weights.norm = arena.take({p.dim});
  weights.output = arena.take({p.vocab_size, p.dim});
  return weights;
}

void fill_transposed(const LlamaWeights& weights) {
  for (const LlamaLayerWeights& layer : weights.layers) {
    for (const FrozenMatrix* matrix : {&layer.wqkv, &layer.wo, &layer.w13, &layer.w2}) {
      if (matrix->transposed.defined()) matrix->transposed.copy_(matrix->weight.t());
    }
  }
}

/// Meta's names for the parts of our tensors.
std::map<std::string, Target> meta_targets(const LlamaWeights& weights) {
  const LlamaParams& p = weights.params;
  std::map<std::string, Target> targets = {
      {"tok_embeddings.weight", {weights.tok_embeddings, Cut::kColumns}},
      {"norm.weight", {weights.norm, Cut::kNone}},
      {"output.weight", {weights.output, Cut::kRows}},
  };
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    const LlamaLayerWeights& layer = weights.layers[l];
    const auto add = [&](const char* name, const Tensor& values, Cut cut) {
      targets[fmt::format("layers.{}.{}.weight", l, name)] = {values, cut};
    };
    add("attention_norm", layer.attention_norm, Cut::kNone);
    add("ffn_norm", layer.ffn_norm, Cut::kNone);
    const Tensor &wqkv = layer.wqkv.weight, &w13 = layer.w13.weight;
    add("attention.wq", wqkv.narrow(0, 0, p.dim), Cut::kRows);
    add("attention.wk", wqkv.narrow(0, p.dim, p.kv_dim()), Cut::kRows);
    add("attention.wv", wqkv.narrow(0, p.dim + p.kv_dim(), p.kv_dim()), Cut::kRows);
    add("attention.wo", layer.wo.weight, Cut::kColumns);
    add("feed_forward.w1", w13.narrow(0, 0, p.hidden_dim()), Cut::kRows);
    add("feed_forward.w3", w13.narrow(0, p.hidden_dim(), p.hidden_dim()), Cut::kRows);
    add("feed_forward.w2", layer.w2.weight, Cut::kColumns);
  }
  return targets;
}

/// consolidated.00.pth, consolidated.01.pth, ... up to the first that is not there.
std::vector<std::string> part_paths(const std::string& folder) {
  std::vector<std::string> paths;
  for (;;) {
    auto path = fmt::format("{}/consolidated.{:02}.pth", folder, paths.size());
    if (!fs::exists(path)) break;
    paths.push_back(std::move(path));
  }
  if (paths.empty()) {
    throw UserError(
        "{}/consolidated.00.pth is missing; model.llama must be a folder with Meta's "
        "weights",
        folder);
  }
  return paths;
}

/// Where part `part` of `parts` stands in a target.
Tensor part_of(const Target& target, int64_t part, int64_t parts) {
  if (target.cut == Cut::kNone) return target.values;
  const int64_t dim = target.cut == Cut::kRows ? 0 : 1;
  const int64_t size = target.values.size(dim) / parts;
  return target.values.narrow(dim, part * size, size);
}

torch::ScalarType scalar_type(const PthTensor& tensor, const std::string& path) {
  switch (tensor.type) {
    case ElementType::kFloat16:
      return torch::kFloat16;
    case ElementType::kBFloat16:
      return torch::kBFloat16;
    case ElementType::kFloat32:
      return torch::kFloat32;
    case ElementType::kFloat64:
      return torch::kFloat64;
    default:
      throw UserError("{}: '{}' has elements of type {}, weights are floating point", path,
                      tensor.name, name_of(tensor.type));
  }
}

/// The tensors of one part by name, each checked against its target. `parts` is how many files
/// there are.
std::map<std::string, PthTensor> checked_tensors(const PthFile& file,
                                                 const std::map<std::string, Target>& targets,
                                                 int64_t part, int64_t parts) {
  std::map<std::string, PthTensor> tensors;
  for (PthTensor& tensor : file.tensors()) {
    if (tensor.name == "rope.freqs") continue;  // computed from params.json instead
    const auto target = targets.find(tensor.name);
    if (target == targets.end()) {
      throw UserError("{}: '{}' is no tensor of the LLaMA that params.json beside it describes",
                      file.path(), tensor.name);
    }
    const auto expected = part_of(target->second, part, parts).sizes();
    if (torch::IntArrayRef(tensor.shape) != expected) {
      throw UserError(
          "{}: '{}' has shape [{}], params.json and {} file{} ask for [{}]; a consolidated.NN.pth "
          "is "
          "missing, or the files belong to another model",
          file.path(), tensor.name, fmt::join(tensor.shape, ", "), parts, parts == 1 ? "" : "s",
          fmt::join(expected, ", "));
    }
    scalar_type(tensor, file.path());
    tensors.emplace(tensor.name, std::move(tensor));
  }
  for (const auto& [name, target] : targets) {
    if (!tensors.contains(name))
      throw UserError("{}: the tensor '{}' is missing", file.path(), name);
  }
  return tensors;
}

void fill_from(const PthFile& file, const std::map<std::string, Target>& targets, int64_t part,
               int64_t parts, const Interrupt& interrupt) {
  for (const auto& [name, tensor] : checked_tensors(file, targets, part, parts)) {
    interrupt();
    const Target& target = targets.at(name);
    if (target.cut == Cut::kNone && part > 0) continue;  // every part holds the whole tensor
    auto values = torch::empty(tensor.shape, scalar_type(tensor, file.path()));
    file.read(tensor, {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
    part_of(target, part, parts).copy_(values);
  }
}

void require_divisible(const LlamaParams& p, const std::string& folder, int64_t parts) {
  for (const int64_t size : {p.dim, p.kv_dim(), p.hidden_dim(), p.vocab_size}) {
    if (size % parts != 0) {
      throw UserError(
          "{}: a LLaMA of width {} cannot lie in {} parts; a consolidated.NN.pth is "
          "missing, or one too many is there",
          folder, p.dim, parts);
    }
  }
}

}  // namespace

std::shared_ptr<std::byte> private_memory(size_t size,
                                          const std::function<void(std::byte*)>& fill) {
  const std::align_val_t alignment{kAlignment};
  std::shared_ptr<std::byte> block(static_cast<std::byte*>(::operator new(size, alignment)),
                                   [=](std::byte* p) { ::operator delete(p, alignment); });
  fill(block.get());
  return block;
}

std::string llama_identity(const std::string& folder) {
  const std::string params = folder + "/params.json";
  std::string text = sha256_of_file(params);
  auto bytes = fs::file_size(params);
  for (const std::string& path : part_paths(folder)) {
    text += PthFile(path).identity();
    bytes += fs::file_size(path);
  }
  return fmt::format("{} bytes, SHA-256 {}", bytes, sha256_of(text));
}

void check_llama_files(const std::string& folder, const LlamaParams& params) {
  const auto paths = part_paths(folder);
  const auto parts = static_cast<int64_t>(paths.size());
  require_divisible(params, folder, parts);
  Arena shapes(nullptr, torch::kFloat32);
  const auto expected = meta_targets(make_tensors(shapes, params, false));
  for (int64_t part = 0; part < parts; ++part) {
    checked_tensors(PthFile(paths[static_cast<size_t>(part)]), expected, part, parts);
  }
}

LlamaWeights load_llama_weights(const std::string& folder, const LlamaParams& params,
                                torch::ScalarType precision, bool for_training,
                                const WeightMemory& memory, const Interrupt& interrupt) {
  const torch::NoGradGuard no_grad;
  check_llama_files(folder, params);  // before any memory is taken
  const bool transposed = for_training && precision == torch::kFloat32 && uses_onednn();
  const auto paths = part_paths(folder);
  const auto parts = static_cast<int64_t>(paths.size());
  const auto fill = [&](std::byte* block) {
    Arena arena({std::shared_ptr<void>(), block}, precision);
    const auto weights = make_tensors(arena, params, transposed);
    const auto targets = meta_targets(weights);
    for (int64_t part = 0; part < parts; ++part) {
      fill_from(PthFile(paths[static_cast<size_t>(part)]), targets, part, parts, interrupt);
    }
    fill_transposed(weights);
  };
  Arena shapes(nullptr, precision);
  make_tensors(shapes, params, transposed);
  Arena arena(memory(shapes.used(), fill), precision);
  return make_tensors(arena, params, transposed);
}

}  // namespace bovila
