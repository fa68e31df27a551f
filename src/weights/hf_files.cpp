// Hugging Face's files: config.json and model.safetensors or pytorch_model.bin, or the shards of an
// index.
#include <ATen/Parallel.h>

#include <filesystem>
#include <map>

#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/core/log.h"
#include "bovila/files/safetensors.h"
#include "src/weights/hf_folder.h"
#include "src/weights/llama_block.h"
#include "src/weights/llama_files.h"
#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"
#include "src/weights/weight_target.h"

namespace bovila {
namespace {

using torch::Tensor;
namespace fs = std::filesystem;

constexpr int64_t kPieceBytes = int64_t{32} << 20;

/// Where the values of one of Hugging Face's tensors go. `heads` is not 0 where rows of each head
/// stand in two halves, as its rotary embedding pairs them, and not in pairs, as Meta's does.
struct HfTarget {
  WeightTarget to;
  int64_t heads = 0;
};
using HfTargets = std::map<std::string, HfTarget>;

void add_layer(const LlamaWeights& weights, const WeightTypes& types, size_t number,
               HfTargets& targets) {
  const LlamaParams& p = weights.params;
  const auto add = [&](const char* name, const WeightTarget& to, int64_t heads = 0) {
    targets[fmt::format("model.layers.{}.{}.weight", number, name)] = {to, heads};
  };
  const LayerTargets to(weights.layers[number], p, weights.part, types);
  add("input_layernorm", to.attention_norm);
  add("post_attention_layernorm", to.ffn_norm);
  add("self_attn.q_proj", to.wq, p.n_heads);
  add("self_attn.k_proj", to.wk, p.n_kv_heads);
  add("self_attn.v_proj", to.wv);
  add("self_attn.o_proj", to.wo);
  add("mlp.gate_proj", to.w1);
  add("mlp.up_proj", to.w3);
  add("mlp.down_proj", to.w2);
}

HfTargets hf_targets(const LlamaWeights& weights, const WeightTypes& types) {
  HfTargets targets = {{"model.embed_tokens.weight", {weights.tok_embeddings}},
                       {"model.norm.weight", {weights.norm}}};
  if (!weights.params.tied_embeddings) targets["lm_head.weight"] = {weights.output};
  for (size_t l = 0; l < weights.layers.size(); ++l) add_layer(weights, types, l, targets);
  return targets;
}

/// Computed from config.json instead, or a copy of the embeddings.
bool is_passed_over(const std::string& name, bool tied) {
  return name.ends_with(".rotary_emb.inv_freq") || (tied && name == "lm_head.weight");
}

/// [heads * d, in] with each head's rows in two halves to the same with its rows in pairs.
Tensor to_pairs(const Tensor& rows, int64_t heads) {
  return rows.unflatten(0, {heads, 2, -1}).transpose(1, 2).flatten(0, 2);
}

/// Rows are stored one by one, so in any form they change places as they are.
FrozenMatrix to_pairs(const FrozenMatrix& rows, int64_t heads) {
  FrozenMatrix out(to_pairs(rows.values, heads));
  if (rows.scales.defined()) out.scales = to_pairs(rows.plain_scales(), heads);
  return out;
}

void fill_tensor(const HfFolder& tensors, const std::string& name, const HfPlace& from,
                 const HfTarget& target) {
  const Tensor& floats = target.to.floats();
  const Region &region = target.to.region(), whole = target.to.whole();
  const bool fits = target.heads == 0 && floats.defined() && floats.is_contiguous() &&
                    region == whole && stored_type(from) == floats.scalar_type();
  if (fits) {  // no copy on the way
    from.file->read(*from.tensor, {static_cast<std::byte*>(floats.data_ptr()), floats.nbytes()});
    return;
  }
  const auto values = tensors.read(name, target.to.shape(), region);
  const int64_t heads = target.heads * region.rows / whole.rows;
  target.to.set(heads == 0 ? values : to_pairs(values, heads),
                fmt::format("{}: '{}'", from.file->path(), name));
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
  std::string identity(const WeightTypes&, const Interrupt& interrupt) const override {
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
    const auto targets =
        hf_targets(llama_tensors(params, torch::kFloat32, nullptr), torch::kFloat32);
    const HfFolder tensors(paths());
    for (const auto& [name, from] : tensors.weights()) {
      if (is_passed_over(name, params.tied_embeddings)) continue;
      const auto target = targets.find(name);
      if (target == targets.end()) {
        throw UserError("{}: '{}' is no tensor of the LLaMA that config.json beside it describes",
                        from.file->path(), name);
      }
      tensors.check(name, target->second.to.shape());
    }
    for (const auto& [name, target] : targets) {
      if (tensors.weights().contains(name)) continue;
      throw UserError("{}: the tensor '{}' is missing{}", folder_, name,
                      name == "lm_head.weight" ? ", and config.json does not say "
                                                 "\"tie_word_embeddings\": true"
                                               : "");
    }
  }

  void fill(const LlamaWeights& weights, const WeightTypes& types,
            const Interrupt& interrupt) const override {
    const HfFolder tensors(paths());
    for (const auto& [name, target] : hf_targets(weights, types)) {
      interrupt();
      fill_tensor(tensors, name, tensors.weights().at(name), target);
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
