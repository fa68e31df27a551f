// Layout of the flat buffer and its start values.
#include "bovila/model/adapters.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "bovila/core/error.h"
#include "bovila/core/random.h"

namespace bovila {
namespace {

constexpr size_t kNumBeforeGates = 3;  // adapter_query, visual_proj, temporal_emb
constexpr size_t kGatesPerLayer = 2;

std::string gate_name(int64_t layer, int gate) {
  return fmt::format("layers.{}.attention.gate{}", layer, gate);
}

int64_t num_adapted_layers(const LlamaParams& llama, const ModelConfig& model) {
  return model.adapter_layers == 0 ? llama.n_layers : model.adapter_layers;
}

}  // namespace

AdapterParameters::AdapterParameters(const LlamaParams& llama, const ModelConfig& model,
                                     bool train_scale_proj, uint64_t seed, torch::Device device,
                                     int64_t feature_dim)
    : first_adapted_layer_(llama.n_layers - num_adapted_layers(llama, model)) {
  if (first_adapted_layer_ < 0) {
    throw UserError("model.adapter_layers is {}, but the LLaMA has {} layers; set it to {} or less",
                    model.adapter_layers, llama.n_layers, llama.n_layers);
  }
  add("adapter_query.weight", {model.adapter_len * num_adapted_layers(llama, model), llama.dim});
  add("visual_proj.weight", {llama.dim, feature_dim});
  add("temporal_emb.weight", {model.max_feats, llama.dim});
  for (int64_t layer = first_adapted_layer_; layer < llama.n_layers; ++layer) {
    add(gate_name(layer, 1), {1, llama.n_heads, 1, 1});
    add(gate_name(layer, 2), {1, llama.n_heads, 1, 1});
  }
  num_decayed_ = num_trained_ = entries_.back().offset + entries_.back().numel;
  add("scale_proj.weight", {1, llama.vocab_size});
  add("scale_proj.bias", {1});
  if (train_scale_proj) {
    num_decayed_ += llama.vocab_size;
    num_trained_ = num_decayed_ + 1;
  }
  make_leaves();
  set_start_values(model, seed);
  if (device.is_cuda()) {
    flat_ = flat_.to(device);
    make_leaves();
  }
}

void AdapterParameters::add(std::string name, std::vector<int64_t> shape) {
  NamedParameter entry{std::move(name), std::move(shape), 0, 1};
  for (const int64_t size : entry.shape) entry.numel *= size;
  if (!entries_.empty()) entry.offset = entries_.back().offset + entries_.back().numel;
  entries_.push_back(std::move(entry));
}

void AdapterParameters::make_leaves() {
  if (!flat_.defined()) flat_ = torch::zeros({entries_.back().offset + entries_.back().numel});
  gradient_ = torch::zeros({num_trained_}, flat_.options());
  leaves_.clear();
  for (const NamedParameter& entry : entries_) {
    auto leaf = flat_.narrow(0, entry.offset, entry.numel).view(entry.shape).detach();
    if (entry.offset < num_trained_) {
      leaf.requires_grad_(true);
      // Autograd adds into an existing gradient in place, so this slice is where it stays.
      leaf.mutable_grad() = gradient_.narrow(0, entry.offset, entry.numel).view(entry.shape);
    }
    leaves_.push_back(std::move(leaf));
  }
}

void AdapterParameters::set_start_values(const ModelConfig& model, uint64_t seed) {
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const std::string& name = entries_[i].name;
    const bool is_scale = name.starts_with("scale_proj");
    const uint64_t its_seed =
        is_scale && model.scale_proj_seed ? static_cast<uint64_t>(*model.scale_proj_seed) : seed;
    auto random = at::make_generator<at::CPUGeneratorImpl>(stream_key(its_seed, name));
    auto values = leaves_[i].detach();
    if (name.ends_with("gate1")) {
      values.zero_();
    } else if (name.ends_with("gate2")) {
      values.fill_(-model.attention_bias);
    } else if (name.starts_with("visual_proj") || is_scale) {
      const int64_t inputs = (is_scale ? scale_weight() : visual_proj()).size(1);
      const double bound = 1 / std::sqrt(static_cast<double>(inputs));
      values.uniform_(-bound, bound, random);
    } else {
      values.normal_(0, model.init_std, random);
    }
  }
}

const NamedParameter& AdapterParameters::entry(const std::string& name) const {
  const auto found = std::ranges::find(entries_, name, &NamedParameter::name);
  BOVILA_CHECK(found != entries_.end(), "there is no parameter '{}'", name);
  return *found;
}

const torch::Tensor& AdapterParameters::at(const std::string& name) const {
  return leaves_[static_cast<size_t>(&entry(name) - entries_.data())];
}

void AdapterParameters::assign(const std::string& name, const torch::Tensor& values) {
  const auto found = std::ranges::find(entries_, name, &NamedParameter::name);
  if (found == entries_.end()) {
    throw UserError("the parameter '{}' is not one of this model's", name);
  }
  if (values.sizes() != torch::IntArrayRef(found->shape)) {
    throw UserError("the parameter '{}' has shape [{}], this model's has [{}]", name,
                    fmt::join(values.sizes(), ", "), fmt::join(found->shape, ", "));
  }
  at(name).detach().copy_(values);
}

torch::Tensor AdapterParameters::gate1(int64_t layer) const {
  return leaves_[kNumBeforeGates +
                 kGatesPerLayer * static_cast<size_t>(layer - first_adapted_layer_)];
}

torch::Tensor AdapterParameters::gate2(int64_t layer) const {
  return leaves_[kNumBeforeGates +
                 kGatesPerLayer * static_cast<size_t>(layer - first_adapted_layer_) + 1];
}

torch::Tensor AdapterParameters::gates() const {
  const int64_t begin = entries_[kNumBeforeGates].offset;
  const int64_t end = entries_[entries_.size() - 2].offset;  // where scale_proj starts
  return flat_.detach()
      .narrow(0, begin, end - begin)
      .view({-1, kGatesPerLayer, gate1(first_adapted_layer_).numel()});
}

std::array<torch::Tensor, 2> AdapterParameters::gradients_of_heads() const {
  const int64_t begin = entries_[kNumBeforeGates].offset;
  const int64_t end = entries_[entries_.size() - 2].offset;
  return {gradient_.narrow(0, 0, entries_.front().numel), gradient_.narrow(0, begin, end - begin)};
}

}  // namespace bovila
