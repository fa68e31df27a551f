// Sizes of what is in memory at once, added up.
#include "bovila/train/memory_need.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bovila/train/experiment.h"
#include "src/weights/llama_block.h"

namespace bovila {
namespace {

constexpr int64_t kCpuProgram = 230'000'000;     // measured: LibTorch, MPI, HDF5
constexpr int64_t kGpuProgram = 1'000'000'000;   // a CUDA context, NCCL's buffers, cuBLAS's space
constexpr int64_t kGpuHost = 4'000'000'000;      // of a process that uses CUDA
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
  const int64_t kept = element * (8 * p.dim + 2 * p.hidden_dim());
  // Attention weights in fp32; on CPUs they are computed again.
  return kept + (on_gpu ? 4 * p.n_heads * (longest + config.model.adapter_len) : 0);
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

}  // namespace

int64_t MemoryNeed::node(int64_t ranks) const {
  return weights + ranks * (host > 0 ? host : activations + state + program);
}

MemoryNeed memory_need(const Config& config, const MemoryInputs& inputs, bool on_gpu) {
  const auto type = type_on(on_gpu, config.model.precision);
  const auto element = static_cast<int64_t>(c10::elementSize(type));
  MemoryNeed need;
  need.weights = static_cast<int64_t>(llama_block_size(inputs.llama, type));
  need.activations = activation_bytes(config, inputs, on_gpu, element);
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
    lines.push_back(
        fmt::format("memory, estimated: a node with {} {} on {} {} GB: sbatch --mem={}G", ranks,
                    ranks == 1 ? "rank" : "ranks", on_gpu ? "GPUs" : "CPUs", node, node));
  }
  return lines;
}

}  // namespace bovila
