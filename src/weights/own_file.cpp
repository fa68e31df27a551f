// bovila.safetensors: mapped where its types are the ones wanted, converted elsewhere.
#include <ATen/Parallel.h>

#include <set>

#include "bovila/config/keys.h"
#include "bovila/core/error.h"
#include "bovila/files/safetensors.h"
#include "bovila/weights/llama_file.h"
#include "bovila/weights/weight_type.h"
#include "src/weights/llama_block.h"
#include "src/weights/llama_files.h"
#include "src/weights/own_file_format.h"
#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"
#include "src/weights/weight_target.h"

namespace bovila {
namespace {

constexpr const char* kConverter = "make it again with tools/llama2bovila";

class OwnFile : public LlamaFiles {
 public:
  explicit OwnFile(const std::string& folder) : file_(folder + "/" + kLlamaFileName) {
    if (text("format") != kOwnFormat)
      fail("its format is '{}', expected '{}'", text("format"), kOwnFormat);
    if (file_.tensors().empty()) fail("there are no tensors in it");
    values_begin_ = file_.tensors().front().begin;
    const auto whole = file_.map();
    // Nobody writes to frozen weights, but a tensor's memory is never const.
    values_ = {whole, const_cast<std::byte*>(whole.get()) + values_begin_};
  }

  LlamaParams params(int64_t tokenizer_vocab_size) const override {
    return read_hf_config({file_.path() + ": config", text("config")}, tokenizer_vocab_size);
  }

  std::string identity(const WeightTypes& types, const Interrupt&) const override {
    return has(types) ? text("source")
                      : fmt::format("{}, as {}", text("source"), own_types_text(own_types()));
  }

  void check(const LlamaParams& params) const override {
    const auto expected = block_tensors(params, own_types());
    std::set<std::string> names;
    for (const BlockTensor& tensor : expected) names.insert(tensor.name);
    for (const SafeTensor& tensor : file_.tensors()) {
      if (names.contains(tensor.name) || tensor.name.starts_with(kPadding)) continue;
      fail("'{}' is no tensor of the LLaMA that its config describes", tensor.name);
    }
    for (const BlockTensor& tensor : expected) check_tensor(named(tensor.name), tensor);
    const auto digits = static_cast<size_t>(num_crc_pieces(num_bytes())) * kCrcDigits;
    if (text("crc32").size() != digits || num_bytes() != bytes_of(params)) {
      fail("it has {} bytes of values and {} digits of checksums, expected {} and {}", num_bytes(),
           text("crc32").size(), bytes_of(params), digits);
    }
  }

  std::shared_ptr<std::byte> map(const WeightTypes& types) const override {
    return has(types) ? values_ : nullptr;
  }

  void fill(const LlamaWeights& weights, const WeightTypes& types,
            const Interrupt& interrupt) const override {
    const auto from = llama_tensors(weights.params, own_types(), values_);
    const auto copy = [&](const FrozenMatrix& to, const FrozenMatrix& values) {
      interrupt();
      if (to.is_floating() && values.is_floating()) {
        to.values.copy_(values.values);
      } else if (to.has_form_of(values)) {
        to.copy_stored(values);
      } else {
        MatrixFiller(to).set(0, values, file_.path());
      }
    };
    copy(weights.tok_embeddings, from.tok_embeddings);
    for (size_t l = 0; l < weights.layers.size(); ++l) {
      const LlamaLayerWeights &to = weights.layers[l], &layer = from.layers[l];
      copy(to.attention_norm, layer.attention_norm);
      if (!weights.part.is_whole()) {
        interrupt();
        copy(to.ffn_norm, layer.ffn_norm);
        fill_part(weights, l, layer, types);
        continue;
      }
      copy(to.wqkv, layer.wqkv);
      copy(to.wo, layer.wo);
      copy(to.ffn_norm, layer.ffn_norm);
      copy(to.w13, layer.w13);
      copy(to.w2, layer.w2);
    }
    copy(weights.norm, from.norm);
    if (!weights.params.tied_embeddings) copy(weights.output, from.output);
  }

  /// The ranks of a node prove every so manieth piece each.
  void verify(const WeightMemory& memory, const Interrupt& interrupt) const override {
    const std::string& crcs = text("crc32");
    const int64_t mine =
        (num_crc_pieces(num_bytes()) + memory.ranks - 1 - memory.rank) / memory.ranks;
    at::parallel_for(0, mine, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        interrupt();
        const int64_t piece = i * memory.ranks + memory.rank;
        if (crc_of(values_.get(), num_bytes(), piece) ==
            crcs.substr(static_cast<size_t>(piece) * kCrcDigits, kCrcDigits)) {
          continue;
        }
        fail("the values of bytes {} to {} are damaged", piece * kCrcPieceBytes,
             std::min((piece + 1) * kCrcPieceBytes, num_bytes()));
      }
    });
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw UserError("{}: {}; {}", file_.path(), fmt::format(format, std::forward<Args>(args)...),
                    kConverter);
  }

  const std::string& text(const char* key) const {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end()) fail("its metadata lack '{}'", key);
    return found->second;
  }

  const SafeTensor& named(const std::string& name) const {
    const SafeTensor* tensor = file_.find(name);
    if (tensor == nullptr) fail("the tensor '{}' is missing", name);
    return *tensor;
  }

  /// Of its tensors, once check() has passed. A file without a word of its form has none.
  WeightTypes own_types() const {
    const SafeTensor& table = named("tok_embeddings.weight");
    const auto compute = weight_type(table.type, table.name, file_.path());
    const auto found = file_.metadata().find("weights");
    if (found == file_.metadata().end()) return compute;
    for (const auto& [form, name] : names_of(WeightForm{})) {
      if (name == found->second) return {compute, form};
    }
    fail("its weights are '{}', which this program does not know", found->second);
  }

  /// The matrices of a layer of which a part is wanted. What is stored as NF4-dq stays so: its part
  /// is NF4 with the same scales.
  void fill_part(const LlamaWeights& weights, size_t number, const LlamaLayerWeights& from,
                 WeightTypes types) const {
    const bool stays = own_types().form == types.form && types.form == WeightForm::kNf4Dq;
    if (stays) types.form = WeightForm::kNf4;
    const LayerTargets to(weights.layers[number], weights.params, weights.part, types);
    const auto set = [&](const WeightTarget& target, const FrozenMatrix& matrix, int64_t first) {
      const Region& region = target.region();
      target.set(matrix.row_range(first + region.first_row, region.rows)
                     .column_range(region.first_column, region.columns),
                 file_.path());
    };
    const int64_t q = from.q_dim(), hidden = from.w2.columns();
    set(to.wq, from.wqkv, 0);
    set(to.wk, from.wqkv, q);
    set(to.wv, from.wqkv, q + from.kv_dim());
    set(to.wo, from.wo, 0);
    set(to.w1, from.w13, 0);
    set(to.w3, from.w13, hidden);
    set(to.w2, from.w2, 0);
  }

  bool has(const WeightTypes& types) const {
    const auto own = own_types();
    return own.compute == types.compute && own.form == types.form;
  }

  int64_t num_bytes() const { return file_.size() - values_begin_; }

  int64_t bytes_of(const LlamaParams& params) const {
    return static_cast<int64_t>(llama_block_size(params, own_types()));
  }

  torch::ScalarType stored_type(const SafeTensor& tensor) const {
    if (tensor.type == ElementType::kUInt8) return torch::kUInt8;
    if (tensor.type == ElementType::kInt8) return torch::kInt8;
    return weight_type(tensor.type, tensor.name, file_.path());
  }

  void check_tensor(const SafeTensor& tensor, const BlockTensor& expected) const {
    if (torch::IntArrayRef(tensor.shape) != expected.values.sizes()) {
      fail("'{}' has shape [{}], its config asks for [{}]", tensor.name,
           fmt::join(tensor.shape, ", "), fmt::join(expected.values.sizes(), ", "));
    }
    const auto offset = static_cast<size_t>(tensor.begin - values_begin_);
    if (stored_type(tensor) != expected.values.scalar_type() || offset != expected.offset ||
        tensor.begin % static_cast<int64_t>(kWeightAlignment) != 0) {
      fail("'{}' is not of the type or at the place that it must have", tensor.name);
    }
  }

  SafetensorsFile file_;
  int64_t values_begin_ = 0;
  std::shared_ptr<std::byte> values_;  // as they lie in the file
};

}  // namespace

std::unique_ptr<LlamaFiles> open_own_file(const std::string& folder) {
  return std::make_unique<OwnFile>(folder);
}

}  // namespace bovila
