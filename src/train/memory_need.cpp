// Sizes of what is in memory at once, added up; the least of them with what a few prompts tell.
#include "bovila/train/memory_need.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/weights/llama_weights.h"

namespace bovila {
namespace {

constexpr double kGigabyte = 1e9;
constexpr int64_t kCpuProgram = 230'000'000;     // measured: LibTorch, MPI, HDF5
constexpr int64_t kGpuProgram = 1'000'000'000;   // a CUDA context, NCCL's buffers, cuBLAS's space
constexpr int64_t kGpuHost = 4'000'000'000;      // of a process that uses CUDA
constexpr int64_t kExpanding = 170'000'000;      // what expanding a part of a matrix takes
constexpr int64_t kTrainedBytes = 4 * 4;         // a parameter's value, gradient and two moments
constexpr int64_t kCheckpointBytes = 3 * 4 * 3;  // being saved: as arrays, as a file, being copied

torch::ScalarType type_on(bool gpu, Precision precision) {
  if (precision == Precision::kAuto) precision = gpu ? Precision::kBf16 : Precision::kFp32;
  return scalar_type(precision);
}

/// Tokens whose activations are in memory together: VQA's of a micro-batch, or those of VAQ and
/// AQA, which come in parts.
int64_t tokens_at_once(const Config& config, int64_t longest) {
  const int64_t answers = config.train.batch_size * longest;
  if (config.loss.vaq <= 0 && config.loss.aqa <= 0) return answers;
  const int64_t limit = config.loss.tokens_at_once;
  const int64_t asked =
      limit == 0 ? 2 * answers : std::min(2 * answers, std::max(limit, 2 * longest));
  return std::max(answers, asked);
}

/// What a layer keeps of a token for its backward pass.
int64_t bytes_of_a_token(const LlamaParams& p, const Config& config, int64_t longest, bool on_gpu,
                         int64_t element) {
  // The layer's inputs are whole on each rank, what its heads and columns give is shared out.
  const int64_t parts = config.run.tensor_parallel;
  const int64_t kept = element * (3 * p.dim + (5 * p.dim + 2 * p.hidden_dim()) / parts);
  // Attention weights in fp32; on CPUs they are computed again.
  return kept + (on_gpu ? 4 * p.n_heads / parts * (longest + config.model.adapter_len) : 0);
}

int64_t activation_bytes(const Config& config, const MemoryInputs& inputs, bool on_gpu,
                         int64_t element) {
  const LlamaParams& p = inputs.llama;
  const int64_t tokens = tokens_at_once(config, inputs.longest_prompt);
  const int64_t layer =
      tokens * bytes_of_a_token(p, config, inputs.longest_prompt, on_gpu, element);
  const int64_t before = std::max<int64_t>(1, p.n_layers - 1);  // the last one has few outputs
  const int64_t layers = config.model.recompute_activations
                             ? layer + before * tokens * element * p.dim
                             : before * layer;
  // A quarter of the tokens are labels; of their logits there are about four copies in fp32.
  return layers + tokens / 4 * p.vocab_size * 4 * 4;
}

double gigabytes(int64_t bytes) {
  return static_cast<double>(bytes) / kGigabyte;
}

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/// Tokens of a question's prompt with one option, the mean over some questions all over the split.
double mean_length(const Dataset& data) {
  constexpr int64_t kMeasured = 32;
  const int64_t stride = std::max<int64_t>(1, data.size() / kMeasured);
  double tokens = 0, measured = 0;
  for (int64_t row = 0; row < data.size(); row += stride) {
    tokens += static_cast<double>(data.prompts().vqa(data.sample(row), 0).size());
    ++measured;
  }
  return tokens / measured;
}

/// Questions of a rank's largest batch.
double batch_of(const Dataset& data, int64_t batch_size, int64_t ranks) {
  return static_cast<double>(std::min(batch_size, divide_up(data.size(), ranks)));
}

}  // namespace

int64_t MemoryNeed::node(int64_t ranks) const {
  return parts * weights + ranks * (host > 0 ? host : activations + state + program);
}

MemoryNeed memory_need(const Config& config, const MemoryInputs& inputs, bool on_gpu) {
  const auto type = type_on(on_gpu, config.model.precision);
  const auto element = static_cast<int64_t>(c10::elementSize(type));
  MemoryNeed need;
  const WeightTypes types(type, config.model.weights);
  need.parts = config.run.tensor_parallel;
  need.weights = llama_weight_bytes(inputs.llama, types, need.parts);
  need.activations = activation_bytes(config, inputs, on_gpu, element);
  if (on_gpu && types.form != WeightForm::kComputed) {  // the largest matrix, expanded
    need.activations +=
        2 * inputs.llama.hidden_dim() / need.parts * inputs.llama.dim * element + kExpanding;
  }
  need.state = inputs.num_trained * (kTrainedBytes + (on_gpu ? 0 : kCheckpointBytes));
  need.program = on_gpu ? kGpuProgram : kCpuProgram;
  need.host = on_gpu ? kGpuHost : 0;
  return need;
}

std::vector<std::string> format_memory(const Config& config, const MemoryInputs& inputs,
                                       int64_t ranks) {
  std::vector<std::string> lines;
  for (const bool on_gpu : {true, false}) {
    const auto other = on_gpu ? DeviceRequest::kCpu : DeviceRequest::kCuda;
    if (config.run.device == other) continue;
    const MemoryNeed need = memory_need(config, inputs, on_gpu);
    lines.push_back(fmt::format(
        "memory, estimated: a rank on a {} {:.2f} GB (weights {:.2f}, activations {:.2f}, trained "
        "state {:.2f}, {} {:.2f})",
        on_gpu ? "GPU" : "CPU", gigabytes(need.total()), gigabytes(need.weights),
        gigabytes(need.activations), gigabytes(need.state), on_gpu ? "CUDA and NCCL" : "program",
        gigabytes(need.program)));
    const auto node = static_cast<int64_t>(std::ceil(gigabytes(need.node(ranks))));
    lines.push_back(fmt::format("memory, estimated: a node with {} on {} {} GB: sbatch --mem={}G",
                                counted(ranks, "rank"), on_gpu ? "GPUs" : "CPUs", node, node));
  }
  return lines;
}

LeastMemory least_memory(const Config& config, const Inputs& inputs, int64_t ranks, bool on_gpu) {
  constexpr double kFloat = sizeof(float);
  constexpr double kCopies = 4;  // a parameter, its gradient, its two moments
  const LlamaParams& llama = inputs.llama;
  const ModelConfig& model = config.model;
  const auto dim = static_cast<double>(llama.dim), frames = static_cast<double>(model.max_feats);
  const auto adapted =
      static_cast<double>(model.adapter_layers == 0 ? llama.n_layers : model.adapter_layers);
  const auto width = static_cast<double>(inputs.features->dim());
  const double trained = dim * (static_cast<double>(model.adapter_len) * adapted + width + frames);
  const auto value = static_cast<double>(c10::elementSize(type_on(on_gpu, model.precision)));
  LeastMemory memory;
  memory.parameters = trained * kFloat * (inputs.train ? kCopies : 1);
  const auto ahead = [&](const Dataset& data, int64_t batch_size) {
    const auto batches =
        std::min(config.run.prefetch_batches, divide_up(divide_up(data.size(), ranks), batch_size));
    return static_cast<double>(batches) * batch_of(data, batch_size, ranks) * frames * width *
           kFloat;
  };
  const double batch = batch_of(*inputs.val, config.eval.batch_size, ranks);
  memory.batches = ahead(*inputs.val, config.eval.batch_size);
  if (!on_gpu) memory.evaluation = batch * mean_length(*inputs.val) * dim * value;
  if (!inputs.train) return memory;
  memory.batches = std::max(memory.batches, ahead(*inputs.train, config.train.batch_size));
  if (!on_gpu) {
    memory.layers = batch_of(*inputs.train, config.train.batch_size, ranks) *
                    mean_length(*inputs.train) * dim * value * static_cast<double>(llama.n_layers);
  }
  return memory;
}

void check_memory(const LeastMemory& memory, int64_t node_ranks, double node_bytes) {
  const double needed = memory.total() * static_cast<double>(node_ranks);
  if (needed <= node_bytes) return;
  throw UserError(
      "{} of this machine would need {:.1f} GB at least beside the weights, and it has {:.1f} GB. "
      "Of each rank: {:.1f} GB for trained parameters (model.adapter_len, model.max_feats), {:.1f} "
      "for batches that are read ahead (run.prefetch_batches times train.batch_size or "
      "eval.batch_size times model.max_feats), {:.1f} for a micro-batch in all layers "
      "(train.batch_size), {:.1f} for a batch that is scored (eval.batch_size)",
      counted(node_ranks, "rank"), needed / kGigabyte, node_bytes / kGigabyte,
      memory.parameters / kGigabyte, memory.batches / kGigabyte, memory.layers / kGigabyte,
      memory.evaluation / kGigabyte);
}

}  // namespace bovila
