// Hugging Face's files: config.json and model.safetensors or pytorch_model.bin, or the shards of an
// index.
#include <ATen/Parallel.h>

#include <filesystem>
#include <map>

#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/core/log.h"
#include "bovila/files/safetensors.h"
#include "bovila/weights/weight_type.h"
#include "src/weights/hf_tensors.h"
#include "src/weights/llama_block.h"
#include "src/weights/llama_files.h"
#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

using torch::Tensor;
namespace fs = std::filesystem;

constexpr int64_t kPieceBytes = int64_t{32} << 20;

/// One of Hugging Face's tensors and where its values go. `heads` is not 0 where rows of each head
/// stand in two halves, as its rotary embedding pairs them, and not in pairs, as Meta's does.
struct HfTarget {
  Tensor values;
  int64_t heads = 0;
};
using HfTargets = std::map<std::string, HfTarget>;

void add_layer(const LlamaLayerWeights& layer, const LlamaParams& p, size_t number,
               HfTargets& targets) {
  const auto add = [&](const char* name, const Tensor& values, int64_t heads = 0) {
    targets[fmt::format("model.layers.{}.{}.weight", number, name)] = {values, heads};
  };
  const Tensor &wqkv = layer.wqkv, &w13 = layer.w13;
  add("input_layernorm", layer.attention_norm);
  add("post_attention_layernorm", layer.ffn_norm);
  add("self_attn.q_proj", wqkv.narrow(0, 0, p.dim), p.n_heads);
  add("self_attn.k_proj", wqkv.narrow(0, p.dim, p.kv_dim()), p.n_kv_heads);
  add("self_attn.v_proj", wqkv.narrow(0, p.dim + p.kv_dim(), p.kv_dim()));
  add("self_attn.o_proj", layer.wo);
  add("mlp.gate_proj", w13.narrow(0, 0, p.hidden_dim()));
  add("mlp.up_proj", w13.narrow(0, p.hidden_dim(), p.hidden_dim()));
  add("mlp.down_proj", layer.w2);
}

HfTargets hf_targets(const LlamaWeights& weights) {
  HfTargets targets = {{"model.embed_tokens.weight", {weights.tok_embeddings}},
                       {"model.norm.weight", {weights.norm}}};
  if (!weights.params.tied_embeddings) targets["lm_head.weight"] = {weights.output};
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    add_layer(weights.layers[l], weights.params, l, targets);
  }
  return targets;
}

/// Computed from config.json instead, or a copy of the embeddings.
bool is_passed_over(const std::string& name, bool tied) {
  return name.ends_with(".rotary_emb.inv_freq") || (tied && name == "lm_head.weight");
}

void check_tensor(const HfTensor& tensor, const HfTargets& targets, const std::string& path) {
  const auto target = targets.find(tensor.name);
  if (target == targets.end()) {
    throw UserError("{}: '{}' is no tensor of the LLaMA that config.json beside it describes", path,
                    tensor.name);
  }
  const auto expected = target->second.values.sizes();
  if (torch::IntArrayRef(tensor.shape) != expected) {
    throw UserError(
        "{}: '{}' has shape [{}], config.json asks for [{}]; the files belong to another model",
        path, tensor.name, fmt::join(tensor.shape, ", "), fmt::join(expected, ", "));
  }
  weight_type(tensor.type, tensor.name, path);
}

/// [heads * d, in] with each head's rows in two halves to the same with its rows in pairs.
Tensor to_pairs(const Tensor& rows, int64_t heads) {
  return rows.unflatten(0, {heads, 2, -1}).transpose(1, 2).flatten(0, 2);
}

void fill_tensor(const HfTensorFile& file, const HfTensor& tensor, const HfTarget& target) {
  const auto& to = target.values;
  const auto type = weight_type(tensor.type, tensor.name, file.path());
  const bool fits = target.heads == 0 && to.scalar_type() == type && to.is_contiguous();
  const auto values = fits ? to : torch::empty(tensor.shape, type);  // no copy on the way then
  file.read(tensor, {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
  if (!fits) to.copy_(target.heads == 0 ? values : to_pairs(values, target.heads));
}

/// SHA-256 over the SHA-256 of each piece, which threads compute side by side: 13 GB take a few
/// seconds once they are in the page cache, where loading finds them.
std::string hash_of(const SafetensorsFile& file, const Interrupt& interrupt) {
  const int64_t pieces = (file.size() + kPieceBytes - 1) / kPieceBytes;
  std::vector<Sha256::Digest> digests(static_cast<size_t>(pieces));
  at::parallel_for(0, pieces, 1, [&](int64_t first, int64_t last) {
    std::vector<std::byte> bytes(static_cast<size_t>(std::min(kPieceBytes, file.size())));
    for (int64_t piece = first; piece < last; ++piece) {
      interrupt();
      const int64_t begin = piece * kPieceBytes;
      const auto part =
          std::span(bytes).first(static_cast<size_t>(std::min(kPieceBytes, file.size() - begin)));
      file.read_bytes(begin, part);
      Sha256 hash;
      hash.update(part);
      digests[static_cast<size_t>(piece)] = hash.finish();
    }
  });
  Sha256 hash;
  for (const auto& digest : digests) hash.update(std::as_bytes(std::span(digest)));
  return hash.finish_hex();
}

class HuggingFaceFiles : public LlamaFiles {
 public:
  explicit HuggingFaceFiles(std::string folder) : folder_(std::move(folder)) {}

  LlamaParams params(int64_t tokenizer_vocab_size) const override {
    if (const auto note = hf_files_note(folder_); !note.empty()) log::info("{}", note);
    const std::string path = folder_ + "/config.json";
    return read_hf_config(read_params_json(path), tokenizer_vocab_size);
  }

  /// Of safetensors, which have no checksums, all bytes are hashed.
  std::string identity(torch::ScalarType, const Interrupt& interrupt) const override {
    const std::string config = folder_ + "/config.json";
    std::string text = sha256_of_file(config);
    auto bytes = static_cast<int64_t>(fs::file_size(config));
    for (const std::string& path : paths()) {
      const HfTensorFile file(path);
      text += file.identity(
          [&](const SafetensorsFile& safetensors) { return hash_of(safetensors, interrupt); });
      bytes += file.size();
    }
    return fmt::format("{} bytes, SHA-256 {}", bytes, sha256_of(text));
  }

  void check(const LlamaParams& params) const override {
    const auto targets = hf_targets(llama_tensors(params, torch::kFloat32, nullptr));
    std::map<std::string, std::string> found;  // where each tensor stands
    for (const std::string& path : paths()) {
      const HfTensorFile file(path);
      for (const HfTensor& tensor : file.tensors()) {
        if (is_passed_over(tensor.name, params.tied_embeddings)) continue;
        check_tensor(tensor, targets, path);
        const auto [other, is_first] = found.emplace(tensor.name, path);
        if (!is_first) {
          throw UserError("{}: '{}' is in {} too", path, tensor.name, other->second);
        }
      }
    }
    for (const auto& [name, target] : targets) {
      if (found.contains(name)) continue;
      throw UserError("{}: the tensor '{}' is missing{}", folder_, name,
                      name == "lm_head.weight" ? ", and config.json does not say "
                                                 "\"tie_word_embeddings\": true"
                                               : "");
    }
  }

  void fill(const LlamaWeights& weights, const Interrupt& interrupt) const override {
    const auto targets = hf_targets(weights);
    for (const std::string& path : paths()) {
      const HfTensorFile file(path);
      for (const HfTensor& tensor : file.tensors()) {
        interrupt();
        const auto target = targets.find(tensor.name);
        if (target != targets.end()) fill_tensor(file, tensor, target->second);
      }
    }
  }

 private:
  std::vector<std::string> paths() const { return hf_tensor_files(folder_); }

  std::string folder_;
};

}  // namespace

std::unique_ptr<LlamaFiles> open_hf_files(const std::string& folder) {
  return std::make_unique<HuggingFaceFiles>(folder);
}

}  // namespace bovila
