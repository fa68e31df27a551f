// The tiny LLaMA, its two questions and the comparison. The self-made question is the same in every
// precision: its noise names a clear winner for each token.
#include "bovila/train/step_check.h"

#include <ATen/CPUGeneratorImpl.h>

#include <array>
#include <cmath>

#include "bovila/core/error.h"
#include "bovila/core/random.h"
#include "bovila/dist/agreement.h"
#include "bovila/features/feature_store.h"
#include "bovila/model/bovila.h"
#include "bovila/objective/objective.h"
#include "bovila/train/adamw.h"
#include "bovila/weights/llama_copy.h"

namespace bovila {
namespace {

using torch::Tensor;
using Ids = std::vector<int32_t>;

constexpr int64_t kFrames = 4;
constexpr double kWeightDecay = 0.1, kLr = 0.01;
constexpr float kWin = 8;  // above the logits' differences, not so far that no gradient is left
// bf16 on the CPU was found 2.5e-3 and 1.5e-2 away; an update is a difference of parameters a
// hundred times as large, which devices round in the last bit.
constexpr StepErrors kFp32Limits = {1e-4, 1e-3, 1e-4};
constexpr StepErrors kBf16Limits = {2e-2, 1e-1, 1e-4};

LlamaParams tiny_params() {
  LlamaParams params;
  params.dim = 64;
  params.n_layers = 2;
  params.n_heads = params.n_kv_heads = 4;
  params.multiple_of = 32;
  params.vocab_size = 128;
  return params;
}

ModelConfig tiny_config() {
  ModelConfig config;
  config.max_feats = kFrames;
  config.max_seq_len = 64;
  config.adapter_len = 4;
  config.attention_bias = 1;
  return config;
}

LossConfig loss_config() {
  LossConfig config;
  config.edl_reg = 1e-3;  // large enough to be seen in the gradient
  config.qav = 0.5;
  return config;
}

/// Normal numbers of a named stream times `scale`, fp32 on the CPU.
Tensor random(const std::string& name, const std::vector<int64_t>& shape, double scale) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(stream_key(1, name));
  return torch::randn(shape, generator) * scale;
}

/// Such that activations stay near 1.
LlamaWeights random_weights() {
  const LlamaParams p = tiny_params();
  const auto matrix = [&](const std::string& name, int64_t out, int64_t in) {
    return random(name, {out, in}, 1 / std::sqrt(static_cast<double>(in)));
  };
  const auto norm = [&](const std::string& name) { return 1 + random(name, {p.dim}, 0.1); };
  LlamaWeights weights;
  weights.params = p;
  weights.tok_embeddings = random("tok_embeddings", {p.vocab_size, p.dim}, 1);
  for (int64_t l = 0; l < p.n_layers; ++l) {
    const std::string at = fmt::format("layer{}.", l);
    weights.layers.push_back(
        {norm(at + "attention_norm"), matrix(at + "wqkv", p.dim + 2 * p.kv_dim(), p.dim),
         matrix(at + "wo", p.dim, p.dim), norm(at + "ffn_norm"),
         matrix(at + "w13", 2 * p.hidden_dim(), p.dim), matrix(at + "w2", p.dim, p.hidden_dim())});
  }
  weights.norm = norm("norm");
  weights.output = matrix("output", p.vocab_size, p.dim);
  return weights;
}

/// With open gates, so that every part of the method has an effect.
Bovila tiny_bovila(torch::Device device, torch::ScalarType precision) {
  const LlamaParams params = tiny_params();
  AdapterParameters parameters(params, tiny_config(), /*train_scale_proj=*/false, /*seed=*/1,
                               device);
  for (const NamedParameter& entry : parameters.names()) {
    if (entry.name.ends_with("gate1")) parameters.assign(entry.name, torch::full(entry.shape, 0.5));
  }
  return {Llama(copy_of(random_weights(), device, precision)), std::move(parameters)};
}

/// Before, then the video's slots, then after.
Prompt prompt_of(const Ids& before, const Ids& after, int64_t num_labels) {
  Prompt prompt;
  prompt.tokens = before;
  prompt.tokens.insert(prompt.tokens.end(), kFrames, 0);
  prompt.tokens.insert(prompt.tokens.end(), after.begin(), after.end());
  prompt.video_start = std::ssize(before);
  prompt.label_start = prompt.size() - num_labels;
  return prompt;
}

/// A question of `length` tokens and an answer of two; 1 begins, 2 ends a sequence.
Example make_example(int64_t row, int32_t length) {
  Ids question, given = {6, 5}, asked = {6, 7, 20, 21, 5};
  for (int32_t t = 0; t < length; ++t) question.push_back(30 + static_cast<int32_t>(row) + 3 * t);
  for (Ids* ids : {&given, &asked}) ids->insert(ids->end(), question.begin(), question.end());
  given.insert(given.end(), {6, 7, 20, 21, 2});
  asked.push_back(2);
  Example example;
  example.row = row;
  const auto frames = random(fmt::format("frames{}", row), {kFrames * kFeatureDim}, 1);
  example.frames.assign(frames.data_ptr<float>(), frames.data_ptr<float>() + frames.numel());
  example.vqa = prompt_of({1, 3}, given, /*num_labels=*/3);
  example.vqa.question_start = example.vqa.video_start + kFrames + 2;
  example.vqa.question_len = length;
  example.vaq = prompt_of({1, 4}, asked, /*num_labels=*/length + 1);
  Ids told = {1, 8};
  told.insert(told.end(), question.begin(), question.end());
  told.insert(told.end(), {6, 7, 20, 21, 9});
  example.qav = prompt_of(told, {2}, /*num_labels=*/kFrames + 1);
  return example;
}

/// Zeros, but for one token a position.
Tensor clear_noise(const Example& example, int64_t num_tokens) {
  auto noise = torch::zeros({num_tokens, tiny_params().vocab_size});
  for (int64_t t = 0; t < num_tokens; ++t) noise[t][40 + example.row + 5 * t] = kWin;
  return noise;
}

/// What AdamW's first step adds to the start values with this gradient, on the gradient's device.
Tensor update_of(AdapterParameters& parameters, const Tensor& gradient) {
  AdamW optimizer(parameters.num_trained(), parameters.num_decayed(), kWeightDecay,
                  gradient.device());
  auto values = parameters.flat().narrow(0, 0, parameters.num_trained());
  const auto before = values.clone();
  optimizer.step(values, gradient, kLr);
  return (values - before).cpu();
}

double relative_norm(const Tensor& got, const Tensor& expected) {
  return ((got - expected).norm() / expected.norm()).item<double>();
}

}  // namespace

StepErrors compare_steps(const StepNumbers& got, const StepNumbers& expected) {
  const auto scale = expected.losses.abs().clamp_min(1e-12);
  return {((got.losses - expected.losses).abs() / scale).max().item<double>(),
          relative_norm(got.gradient, expected.gradient),
          relative_norm(got.update, expected.update)};
}

void require_close(const StepErrors& errors, const StepErrors& limits, const std::string& what) {
  const auto require = [&](const char* part, double error, double limit) {
    if (error <= limit) return;
    throw ProgramError(
        "{} differs from the CPU's: the relative error of its {} is {}, expected at most {:.0e}. "
        "The device or its libraries compute wrong numbers; run on another one to see which",
        what, part, std::isfinite(error) ? fmt::format("{:.2e}", error) : "not finite", limit);
  };
  require("losses", errors.losses, limits.losses);
  require("gradient", errors.gradient, limits.gradient);
  require("update", errors.update, limits.update);
}

StepErrors step_limits(torch::ScalarType precision) {
  return precision == torch::kFloat32 ? kFp32Limits : kBf16Limits;
}

StepNumbers take_tiny_step(torch::Device device, torch::ScalarType precision) {
  Bovila model = tiny_bovila(device, precision);
  const std::array batch = {make_example(0, 5), make_example(1, 3)};
  const auto losses = add_gradients(model, batch, loss_config(), clear_noise);
  auto& parameters = model.parameters();
  return {losses.values().cpu().to(torch::kFloat64), parameters.gradient().cpu().clone(),
          update_of(parameters, parameters.gradient())};
}

void check_step(Communicator& ranks, torch::Device device, std::ostream& out) {
  if (ranks.rank() == 0) {
    out << "a training step of a tiny random LLaMA against the CPU in fp32, relative errors "
           "(limits)\n";
  }
  StepNumbers reference;
  run_together(ranks, [&] { reference = take_tiny_step(torch::kCPU, torch::kFloat32); });
  for (const auto precision : {torch::kFloat32, torch::kBFloat16}) {
    const char* name = precision == torch::kFloat32 ? "fp32" : "bf16";
    const StepErrors limits = step_limits(precision);
    StepErrors mine;
    run_together(ranks, [&] {
      const StepNumbers got = take_tiny_step(device, precision);
      StepNumbers expected = reference;
      expected.update =
          update_of(tiny_bovila(torch::kCPU, torch::kFloat32).parameters(), got.gradient);
      mine = compare_steps(got, expected);
      require_close(mine, limits, fmt::format("a training step on {} in {}", device.str(), name));
    });
    auto worst = torch::tensor({mine.losses, mine.gradient, mine.update}, torch::kFloat64);
    ranks.all_reduce(worst, ReduceOp::kMax);
    if (ranks.rank() != 0) continue;
    out << fmt::format(
        "  {} on {}  losses {:.1e} ({:.0e})  gradient {:.1e} ({:.0e})  update {:.1e} ({:.0e})\n",
        name, device.is_cuda() ? "CUDA" : "the CPU", worst[0].item<double>(), limits.losses,
        worst[1].item<double>(), limits.gradient, worst[2].item<double>(), limits.update);
  }
}

}  // namespace bovila
