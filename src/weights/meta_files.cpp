// Meta's files: params.json and consolidated.00.pth, consolidated.01.pth, ... put together (SPEC
// 8).
#include <filesystem>
#include <map>

#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/files/pth.h"
#include "bovila/weights/weight_type.h"
#include "src/weights/llama_block.h"
#include "src/weights/llama_files.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

using torch::Tensor;
namespace fs = std::filesystem;

/// How a tensor is cut into the parts of a large model (SPEC 8).
enum class Cut { kNone, kRows, kColumns };

/// One of Meta's tensors and where its values go.
struct MetaTarget {
  Tensor values;
  Cut cut;
};

/// Meta's names for the parts of our tensors.
std::map<std::string, MetaTarget> meta_targets(const LlamaWeights& weights) {
  const LlamaParams& p = weights.params;
  std::map<std::string, MetaTarget> targets = {
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
    const Tensor &wqkv = layer.wqkv, &w13 = layer.w13;
    add("attention.wq", wqkv.narrow(0, 0, p.dim), Cut::kRows);
    add("attention.wk", wqkv.narrow(0, p.dim, p.kv_dim()), Cut::kRows);
    add("attention.wv", wqkv.narrow(0, p.dim + p.kv_dim(), p.kv_dim()), Cut::kRows);
    add("attention.wo", layer.wo, Cut::kColumns);
    add("feed_forward.w1", w13.narrow(0, 0, p.hidden_dim()), Cut::kRows);
    add("feed_forward.w3", w13.narrow(0, p.hidden_dim(), p.hidden_dim()), Cut::kRows);
    add("feed_forward.w2", layer.w2, Cut::kColumns);
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

/// LLaMA-1 and 2 have the embedding table cut by columns, LLaMA-3 by rows.
void settle_embeddings_cut(const std::string& first_path, int64_t parts,
                           std::map<std::string, MetaTarget>& targets) {
  const std::string name = "tok_embeddings.weight";
  MetaTarget& target = targets.at(name);
  const int64_t rows = target.values.size(0), columns = target.values.size(1);
  for (const PthTensor& tensor : PthFile(first_path).tensors()) {
    if (tensor.name == name && tensor.shape == std::vector<int64_t>{rows / parts, columns}) {
      target.cut = Cut::kRows;
    }
  }
}

/// Where part `part` of `parts` stands in a target.
Tensor part_of(const MetaTarget& target, int64_t part, int64_t parts) {
  if (target.cut == Cut::kNone) return target.values;
  const int64_t dim = target.cut == Cut::kRows ? 0 : 1;
  const int64_t size = target.values.size(dim) / parts;
  return target.values.narrow(dim, part * size, size);
}

/// The tensors of one part by name, each checked against its target. `parts` is how many files
/// there are.
std::map<std::string, PthTensor> checked_tensors(const PthFile& file,
                                                 const std::map<std::string, MetaTarget>& targets,
                                                 int64_t part, int64_t parts) {
  std::map<std::string, PthTensor> tensors;
  for (PthTensor& tensor : file.tensors()) {
    if (tensor.name == "rope.freqs") continue;  // computed from params.json instead
    const auto target = targets.find(tensor.name);
    if (target == targets.end()) {
      throw UserError("{}: '{}' is no tensor of the LLaMA that params.json beside it describes",
                      file.path(), tensor.name);
    }
    const auto of_this_part = part_of(target->second, part, parts);
    const auto expected = of_this_part.sizes();
    if (torch::IntArrayRef(tensor.shape) != expected) {
      throw UserError(
          "{}: '{}' has shape [{}], params.json and {} file{} ask for [{}]; a consolidated.NN.pth "
          "is "
          "missing, or the files belong to another model",
          file.path(), tensor.name, fmt::join(tensor.shape, ", "), parts, parts == 1 ? "" : "s",
          fmt::join(expected, ", "));
    }
    weight_type(tensor.type, tensor.name, file.path());
    tensors.emplace(tensor.name, std::move(tensor));
  }
  for (const auto& [name, target] : targets) {
    if (!tensors.contains(name))
      throw UserError("{}: the tensor '{}' is missing", file.path(), name);
  }
  return tensors;
}

void fill_from(const PthFile& file, const std::map<std::string, MetaTarget>& targets, int64_t part,
               int64_t parts, const Interrupt& interrupt) {
  for (const auto& [name, tensor] : checked_tensors(file, targets, part, parts)) {
    interrupt();
    const MetaTarget& target = targets.at(name);
    if (target.cut == Cut::kNone && part > 0) continue;  // every part holds the whole tensor
    const auto to = part_of(target, part, parts);
    const auto type = weight_type(tensor.type, tensor.name, file.path());
    const bool fits = to.scalar_type() == type && to.is_contiguous();  // no copy on the way then
    const auto values = fits ? to : torch::empty(tensor.shape, type);
    file.read(tensor, {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
    if (!fits) to.copy_(values);
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

class MetaFiles : public LlamaFiles {
 public:
  explicit MetaFiles(std::string folder) : folder_(std::move(folder)) {}

  LlamaParams params(int64_t tokenizer_vocab_size) const override {
    return read_meta_params(folder_, tokenizer_vocab_size);
  }

  /// The zips' own checksums stand for the values: fill() proves them.
  std::string identity(torch::ScalarType, const Interrupt&) const override {
    const std::string params = folder_ + "/params.json";
    std::string text = sha256_of_file(params);
    auto bytes = fs::file_size(params);
    for (const std::string& path : part_paths(folder_)) {
      text += PthFile(path).identity();
      bytes += fs::file_size(path);
    }
    return fmt::format("{} bytes, SHA-256 {}", bytes, sha256_of(text));
  }

  void check(const LlamaParams& params) const override {
    const auto paths = part_paths(folder_);
    const auto parts = static_cast<int64_t>(paths.size());
    require_divisible(params, folder_, parts);
    auto expected = meta_targets(llama_tensors(params, torch::kFloat32, nullptr));
    settle_embeddings_cut(paths.front(), parts, expected);
    for (int64_t part = 0; part < parts; ++part) {
      checked_tensors(PthFile(paths[static_cast<size_t>(part)]), expected, part, parts);
    }
  }

  void fill(const LlamaWeights& weights, const Interrupt& interrupt) const override {
    const auto paths = part_paths(folder_);
    const auto parts = static_cast<int64_t>(paths.size());
    auto targets = meta_targets(weights);
    settle_embeddings_cut(paths.front(), parts, targets);
    for (int64_t part = 0; part < parts; ++part) {
      fill_from(PthFile(paths[static_cast<size_t>(part)]), targets, part, parts, interrupt);
    }
  }

 private:
  std::string folder_;
};

}  // namespace

std::unique_ptr<LlamaFiles> open_meta_files(const std::string& folder) {
  return std::make_unique<MetaFiles>(folder);
}

}  // namespace bovila
