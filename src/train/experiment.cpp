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

LlamaPart part_of(const RankGrid& ranks) {
  if (ranks.tensor() == nullptr) return {};
  return {ranks.tensor()->rank(), ranks.tensor()->size()};
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

void check_parts(const Config& config) {
  if (config.run.tensor_parallel == 1) return;
  const auto tokenizer = load_tokenizer(find_tokenizer(config.model));
  const auto llama = read_llama_params(config.model.llama, tokenizer->prompt_vocab_size());
  check_llama_parts(llama, config.model.weights, config.run.tensor_parallel);
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

WeightTypes weight_types(const ModelConfig& config) {
  return {scalar_type(config.precision), config.weights};
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

Bovila make_model(const Config& config, const LlamaParams& llama, int64_t feature_dim,
                  bool for_training, torch::Device device, const RankGrid& ranks,
                  Communicator& sharers, const Preemption& preemption) {
  const LlamaPart part = part_of(ranks);
  const WeightMemory memory{[&](size_t size, const std::function<void(std::byte*)>& fill) {
                              return node_memory(sharers, size, fill);
                            },
                            sharers.rank() * part.ranks + part.rank, sharers.size() * part.ranks,
                            part};
  std::optional<AdapterParameters> parameters;
  run_together(ranks.all(), [&] {
    parameters.emplace(llama, config.model, config.loss.train_scale_proj,
                       static_cast<uint64_t>(config.train.seed), device, feature_dim);
    check_weight_form(llama, config.model.weights);
    check_llama_parts(llama, config.model.weights, part.ranks);
    check_llama_files(config.model.llama, llama);
  });
  std::optional<LlamaWeights> weights;
  // The ranks of a node agree among themselves while they load; here with those of other nodes.
  run_together(ranks.all(), [&] {
    weights = load_llama_weights(config.model.llama, llama, weight_types(config.model), memory,
                                 [&] { preemption.check(); });
    if (!device.is_cpu()) {
      weights = copy_of(*weights, device, weights->norm.scalar_type());  // the node's block goes
    }
  });
  return {Llama(std::move(*weights), config.model.recompute_activations && for_training,
                ranks.tensor()),
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

std::string rate_concern(const TrainConfig& train, const LlamaParams& llama) {
  constexpr double kHigh = 5e-2;               // the published ones are 6e-2 to 9e-2
  constexpr double kFirstEps = 1e-6;           // the first LLaMA's, but for its 65B
  constexpr int64_t kWidest = 8192;            // of that one
  constexpr int64_t kLeast = 1024;             // narrower ones are nobody's LLaMA
  constexpr int64_t kFirstVocabulary = 32000;  // LLaMA-3's is 128256
  const bool is_second =
      llama.norm_eps > 2 * kFirstEps && llama.dim >= kLeast && llama.dim < kWidest;
  const bool is_later =
      is_second || llama.n_kv_heads != llama.n_heads || llama.vocab_size > 2 * kFirstVocabulary;
  if (train.lr || train.blr < kHigh || !is_later) return "";
  return fmt::format(
      "train.blr = {} is for the first LLaMA, and model.llama is a later one: LLaMA-2 and LLaMA-3 "
      "were seen to diverge at it; input/nextqa-llama2.toml has 1e-2",
      train.blr);
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
