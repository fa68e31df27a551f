// Opening what a deck names.
#include "bovila/train/experiment.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/data/coverage.h"
#include "bovila/data/prompt_limits.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/node_memory.h"
#include "bovila/weights/llama_copy.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

/// Rows as text, for the exchange between ranks: "12:170 40:181 ".
std::string to_text(const std::vector<OverLongPrompt>& prompts) {
  std::string text;
  for (const OverLongPrompt& prompt : prompts) {
    text += fmt::format("{}:{} ", prompt.row, prompt.length);
  }
  return text;
}

/// Row to length, of all ranks.
std::map<int64_t, int64_t> from_texts(const std::vector<std::string>& texts) {
  std::map<int64_t, int64_t> rows;
  for (const std::string& text : texts) {
    for (size_t at = 0; at < text.size(); at = text.find(' ', at) + 1) {
      rows[std::stoll(text.substr(at))] = std::stoll(text.substr(text.find(':', at) + 1));
    }
  }
  return rows;
}

std::string describe_limits(const std::map<int64_t, int64_t>& rows, int64_t limit) {
  std::vector<int64_t> lengths;
  for (const auto& [row, length] : rows) lengths.push_back(length);
  return limits_text(lengths, limit);
}

std::string describe_over_long(const Dataset& data, const std::map<int64_t, int64_t>& rows) {
  const auto longest = std::ranges::max_element(
      rows, {}, [](const auto& row_and_length) { return row_and_length.second; });
  return fmt::format(
      "{} of {} of the split '{}' {} longer than "
      "model.max_seq_len, the longest is question '{}' with {} tokens",
      rows.size(), counted(data.size(), "question"), data.split(),
      rows.size() == 1 ? "has a prompt" : "have prompts", data.sample(longest->first).question_id,
      longest->second);
}

/// This rank's share of the split, measured by all its threads.
std::vector<OverLongPrompt> find_over_long(const Dataset& data, const Communicator& ranks,
                                           const Preemption& preemption) {
  const int64_t threads = torch::get_num_threads();
  std::vector<std::vector<OverLongPrompt>> found(static_cast<size_t>(threads));
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      found[static_cast<size_t>(t)] = data.find_over_long(
          ranks.rank() + t * ranks.size(), threads * ranks.size(), [&] { preemption.check(); });
    }
  });
  std::vector<OverLongPrompt> all;
  for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

std::string find_tokenizer(const ModelConfig& config) {
  if (!config.tokenizer.empty()) return config.tokenizer;
  const std::string beside = (fs::path(config.llama).lexically_normal() / "..").lexically_normal();
  for (const std::string& folder : {config.llama, beside}) {
    if (auto file = find_tokenizer_file(folder); !file.empty()) return file;
  }
  throw UserError(
      "no tokenizer.model or tokenizer.json in {} or beside it; copy it there or set "
      "model.tokenizer",
      config.llama);
}

LlamaParams read_model_params(const ModelConfig& config, const Tokenizer& tokenizer) {
  const LlamaParams llama = read_llama_params(config.llama, tokenizer.prompt_vocab_size());
  if (llama.vocab_size < tokenizer.vocab_size()) {
    log::info("the tokenizer has {} pieces, the LLaMA {}: the others are special, no text has them",
              tokenizer.vocab_size(), llama.vocab_size);
  }
  if (llama.max_length > 0 && config.max_seq_len > llama.max_length) {
    throw UserError(
        "model.max_seq_len is {}, but {} is computed as LLaMA up to {} tokens only "
        "(sliding_window, "
        "or dynamic scaling of its rotary frequencies): lower it",
        config.max_seq_len, config.llama, llama.max_length);
  }
  return llama;
}

torch::ScalarType scalar_type(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return torch::kBFloat16;
    case Precision::kFp16:
      return torch::kFloat16;
    case Precision::kFp32:
      return torch::kFloat32;
    case Precision::kAuto:
      break;
  }
  BOVILA_CHECK(false, "model.precision is not settled");
  return torch::kFloat32;
}

Inputs::Inputs(const Config& config, bool with_train, const Preemption& preemption)
    : tokenizer(load_tokenizer(find_tokenizer(config.model))),
      features(std::make_unique<FeatureStore>(config.data.features)),
      llama(read_model_params(config.model, *tokenizer)) {
  preemption.check();
  if (with_train) train.emplace(config, config.data.train_split, *features, *tokenizer);
  preemption.check();
  val.emplace(config, config.data.val_split, *features, *tokenizer);
}

Bovila make_model(const Config& config, const LlamaParams& llama, bool for_training,
                  torch::Device device, Communicator& ranks, Communicator& node,
                  const Preemption& preemption) {
  const WeightMemory memory{[&](size_t size, const std::function<void(std::byte*)>& fill) {
                              return node_memory(node, size, fill);
                            },
                            node.rank(), node.size()};
  std::optional<AdapterParameters> parameters;
  run_together(ranks, [&] {
    parameters.emplace(llama, config.model, config.loss.train_scale_proj,
                       static_cast<uint64_t>(config.train.seed), device);
    check_llama_files(config.model.llama, llama);
  });
  std::optional<LlamaWeights> weights;
  // The ranks of a node agree among themselves while they load; here with those of other nodes.
  run_together(ranks, [&] {
    weights = load_llama_weights(config.model.llama, llama, scalar_type(config.model.precision),
                                 memory, [&] { preemption.check(); });
    if (!device.is_cpu()) {
      weights = copy_of(*weights, device, weights->norm.scalar_type());  // the node's block goes
    }
  });
  return {Llama(std::move(*weights), config.model.recompute_activations && for_training),
          std::move(*parameters)};
}

std::vector<int64_t> trainable_rows(const Dataset& data, OverLong over_long, Communicator& ranks,
                                    const Preemption& preemption) {
  std::vector<OverLongPrompt> mine;
  run_together(ranks, [&] {
    for (const Sample& sample : data.samples()) {
      if (!sample.answer) {
        throw UserError(
            "question '{}' of the split '{}' has no answer: a split that hides its "
            "answers can be scored with --eval, not trained on",
            sample.question_id, data.split());
      }
    }
    mine = find_over_long(data, ranks, preemption);
  });
  const auto over_long_rows = from_texts(ranks.all_gather(to_text(mine)));
  run_together(ranks, [&] {
    if (over_long_rows.empty() || over_long == OverLong::kSkip) return;
    throw UserError("{}; raise model.max_seq_len or set data.over_long = \"skip\"; {}",
                    describe_over_long(data, over_long_rows),
                    describe_limits(over_long_rows, data.max_seq_len()));
  });
  if (!over_long_rows.empty() && ranks.rank() == 0) {
    log::warn("{}; {} not trained on; {}", describe_over_long(data, over_long_rows),
              over_long_rows.size() == 1 ? "it is" : "they are",
              describe_limits(over_long_rows, data.max_seq_len()));
  }
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < data.size(); ++row) {
    if (!over_long_rows.contains(row)) rows.push_back(row);
  }
  return rows;
}

void report_coverage(const Config& config, const Inputs& inputs) {
  for (const auto* data : {&inputs.train, &inputs.val}) {
    if (!data->has_value()) continue;
    const Coverage coverage = measure_coverage((*data)->split(), (*data)->samples(),
                                               inputs.features.get(), config.data.subtitles);
    require_features(coverage, *inputs.features, config.data.max_missing, config.data.features);
    for (const std::string& gap : gaps_text(coverage)) log::warn("{}: {}", coverage.split, gap);
  }
}

std::vector<NamedArray> to_arrays(const AdapterParameters& parameters) {
  std::vector<NamedArray> arrays;
  const auto flat = parameters.flat().cpu();
  const float* values = flat.data_ptr<float>();
  for (const NamedParameter& entry : parameters.names()) {
    const float* first = values + entry.offset;
    arrays.push_back({entry.name, entry.shape, {first, first + entry.numel}});
  }
  return arrays;
}

void from_arrays(const TrainState& state, AdapterParameters& parameters) {
  for (const NamedParameter& entry : parameters.names()) {
    const NamedArray* array = state.find(entry.name);
    if (array == nullptr) throw UserError("the checkpoint lacks the parameter '{}'", entry.name);
    const auto spoilt =
        std::ranges::count_if(array->values, [](float v) { return !std::isfinite(v); });
    if (spoilt > 0) {
      throw UserError(
          "the checkpoint of step {} holds numbers that are not finite, {} of the parameter '{}': "
          "its "
          "run had diverged. Name an earlier one with --resume",
          state.step, spoilt, entry.name);
    }
    parameters.assign(entry.name, torch::tensor(array->values).view(array->shape));
  }
}

}  // namespace bovila
