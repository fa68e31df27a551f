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
#include "src/weights/weight_target.h"

namespace bovila {
namespace {

using torch::Tensor;
namespace fs = std::filesystem;

/// How a tensor is cut into the parts of a large model (SPEC 8).
enum class Cut { kNone, kRows, kColumns };

/// Where the values of one of Meta's tensors go.
struct MetaTarget {
  WeightTarget to;
  Cut cut;
};

/// Meta's names for the parts of our tensors.
std::map<std::string, MetaTarget> meta_targets(const LlamaWeights& weights,
                                               const WeightTypes& types) {
  std::map<std::string, MetaTarget> targets = {
      {"tok_embeddings.weight", {weights.tok_embeddings, Cut::kColumns}},
      {"norm.weight", {weights.norm, Cut::kNone}},
      {"output.weight", {weights.output, Cut::kRows}},
  };
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    const LlamaLayerWeights& layer = weights.layers[l];
    const auto add = [&](const char* name, const WeightTarget& to, Cut cut) {
      targets[fmt::format("layers.{}.{}.weight", l, name)] = {to, cut};
    };
    const LayerTargets to(layer, weights.params, weights.part, types);
    add("attention_norm", to.attention_norm, Cut::kNone);
    add("ffn_norm", to.ffn_norm, Cut::kNone);
    add("attention.wq", to.wq, Cut::kRows);
    add("attention.wk", to.wk, Cut::kRows);
    add("attention.wv", to.wv, Cut::kRows);
    add("attention.wo", to.wo, Cut::kColumns);
    add("feed_forward.w1", to.w1, Cut::kRows);
    add("feed_forward.w3", to.w3, Cut::kRows);
    add("feed_forward.w2", to.w2, Cut::kColumns);
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
  const int64_t rows = target.to.shape()[0], columns = target.to.shape()[1];
  for (const PthTensor& tensor : PthFile(first_path).tensors()) {
    if (tensor.name == name && tensor.shape == std::vector<int64_t>{rows / parts, columns}) {
      target.cut = Cut::kRows;
    }
  }
}

/// What file `part` of `parts` has of a tensor: a vector is whole in the first.
Region region_of_file(const MetaTarget& target, int64_t part, int64_t parts) {
  Region region = target.to.whole();
  if (target.cut == Cut::kRows) {
    region.rows /= parts;
    region.first_row = part * region.rows;
  } else if (target.cut == Cut::kColumns) {
    region.columns /= parts;
    region.first_column = part * region.columns;
  } else if (part > 0) {
    region.rows = 0;
  }
  return region;
}

std::vector<int64_t> part_shape(const MetaTarget& target, int64_t parts) {
  auto shape = target.to.shape();
  if (target.cut != Cut::kNone) shape[target.cut == Cut::kRows ? 0 : 1] /= parts;
  return shape;
}

/// The tensors of one part by name, each checked against its target. `parts` is how many files
/// there are.
std::map<std::string, PthTensor> checked_tensors(const PthFile& file,
                                                 const std::map<std::string, MetaTarget>& targets,
                                                 int64_t parts) {
  std::map<std::string, PthTensor> tensors;
  for (PthTensor& tensor : file.tensors()) {
    if (tensor.name == "rope.freqs") continue;  // computed from params.json instead
    const auto target = targets.find(tensor.name);
    if (target == targets.end()) {
      throw UserError("{}: '{}' is no tensor of the LLaMA that params.json beside it describes",
                      file.path(), tensor.name);
    }
    const auto expected = part_shape(target->second, parts);
    if (tensor.shape != expected) {
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

/// One of the files.
struct MetaPart {
  PthFile file;
  std::map<std::string, PthTensor> tensors;
};

/// Reads what is wanted of one file's tensor, which has the numbers of `region`, without a copy on
/// the way where it fits. The checksum is that of all its bytes: they are read whole.
void read_part(const MetaPart& part, const std::string& name, const Region& region,
               const Region& wanted, const Tensor& to) {
  const PthTensor& tensor = part.tensors.at(name);
  const auto type = weight_type(tensor.type, tensor.name, part.file.path());
  const bool fits = to.scalar_type() == type && to.is_contiguous() && wanted == region;
  const auto values = fits ? to : torch::empty(tensor.shape, type);
  part.file.read(tensor, {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
  if (!fits) to.copy_(cut(values, region, wanted));
}

/// Reads the target's region into `to` from the files that have some of it.
void put_together(const std::vector<MetaPart>& files, const std::string& name,
                  const MetaTarget& target, const Tensor& to) {
  const Region& wanted = target.to.region();
  for (size_t part = 0; part < files.size(); ++part) {
    const Region region = region_of_file(target, static_cast<int64_t>(part), std::ssize(files));
    const Region both = region.within(wanted);
    if (!both.is_empty()) read_part(files[part], name, region, both, cut(to, wanted, both));
  }
}

/// Memory for the target's region, in the type of the first file.
Tensor memory_for(const std::vector<MetaPart>& files, const std::string& name,
                  const MetaTarget& target) {
  const PthTensor& first = files.front().tensors.at(name);
  const Region& region = target.to.region();
  return torch::empty({region.rows, region.columns},
                      weight_type(first.type, first.name, files.front().file.path()));
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
  std::string identity(const WeightTypes&, const Interrupt&) const override {
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
    auto expected = meta_targets(llama_tensors(params, torch::kFloat32, nullptr), torch::kFloat32);
    settle_embeddings_cut(paths.front(), parts, expected);
    for (const std::string& path : paths) checked_tensors(PthFile(path), expected, parts);
  }

  void fill(const LlamaWeights& weights, const WeightTypes& types,
            const Interrupt& interrupt) const override {
    const auto paths = part_paths(folder_);
    const auto parts = static_cast<int64_t>(paths.size());
    auto targets = meta_targets(weights, types);
    settle_embeddings_cut(paths.front(), parts, targets);
    std::vector<MetaPart> files;
    for (const std::string& path : paths) {
      PthFile file(path);
      auto tensors = checked_tensors(file, targets, parts);
      files.push_back({std::move(file), std::move(tensors)});
    }
    for (const auto& [name, target] : targets) {
      interrupt();
      const bool is_floating = target.to.floats().defined();
      const auto values = is_floating ? target.to.floats() : memory_for(files, name, target);
      put_together(files, name, target, values);
      if (!is_floating) target.to.set(values, fmt::format("{}: '{}'", paths.front(), name));
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
