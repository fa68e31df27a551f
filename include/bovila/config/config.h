// The deck as plain structs: every setting of a run with its default.
// Fed by config/deck.h (TOML file and --set), read by every later stage. What a member means, its
// range and its unit stand in one place, the table of src/config/keys.cpp: `train.batch_size`
// there, in a deck and in input/keys.md is Config::train.batch_size here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bovila {

/// Compute type of the frozen LLaMA; trained parameters are always fp32 (SPEC 1). kAuto: bf16 on a
/// GPU, the faster of the two on a CPU, settled where the device is known.
enum class Precision { kAuto, kFp32, kBf16, kFp16 };

/// How the matrices of the frozen LLaMA's layers are stored (SPEC 13). kComputed: in the compute
/// type; all others are expanded to it where they are used.
enum class WeightForm { kComputed, kBf16, kFp16, kInt8, kNf4, kNf4Dq };

/// What happens to a prompt that stays longer than model.max_seq_len (SPEC D6).
enum class OverLong { kError, kSkip };

/// What happens at a step whose loss or gradient is not finite.
enum class NonFinite { kStop, kSkip };

/// What an evaluation shows in the place of a question's video (data/probes.h). kTrue: the video.
enum class VideoShown { kTrue, kNone, kShuffled, kOther };

/// In which orders an evaluation puts a question's options (data/probes.h). kGiven: in one.
enum class OptionTurns { kGiven, kRotations };

/// What an answer's uncertainty is read off: the logits by scale_proj, or their softmax
/// (objective/evidence.h).
enum class UncertaintySource { kScaleProj, kSoftmax };

/// Whom the loss of answering self-made questions teaches: whoever answers, who asked, or both.
enum class AqaGradient { kBoth, kAsking, kAnswering };

/// Where ranks compute. kAuto: on the GPUs, or on the CPU when no rank sees one.
enum class DeviceRequest { kAuto, kCuda, kCpu };

struct ModelConfig {
  std::string llama;
  std::string tokenizer;
  Precision precision = Precision::kAuto;
  WeightForm weights = WeightForm::kComputed;
  int64_t max_feats = 10;  // F
  int64_t max_seq_len = 160;
  int64_t adapter_len = 10;  // A
  int64_t adapter_layers = 0;
  double attention_bias = 3.5;             // SPEC 1, gate2
  double init_std = 1;                     // of adapter_query and temporal_emb; SPEC 1: 1
  std::optional<int64_t> scale_proj_seed;  // of its start values; none: train.seed
  bool recompute_activations = false;
};

struct DataConfig {
  std::string dataset;
  std::string folder;
  std::string features;
  std::string train_split = "train";
  std::string val_split = "val";
  bool subtitles = false;
  std::optional<int64_t> frames_per_second;  // jsonl only; none: 1
  bool normalize_frames = false;
  bool shuffle_options = false;
  OverLong over_long = OverLong::kError;
  double max_missing = 0.5;  // of a split's videos
};

/// The first lines of the prompts (SPEC 3, 11). "{dialogue}" is "dialogue, " in questions about
/// one.
struct PromptConfig {
  std::string vqa = "Instruction: Predict the answer based on the {dialogue}video and question.";
  std::string vaq = "Instruction: Predict the question based on the {dialogue}video and answer.";
  std::string qav = "Instruction: Predict the video based on the {dialogue}question and answer.";
};

struct TrainConfig {
  std::string start;  // a .pth of trained parameters; "": random
  int64_t epochs = 10;
  int64_t batch_size = 8;
  int64_t accum_iter = 1;
  int64_t questions_per_step = 0;  // on all ranks; 0: batch_size * accum_iter * ranks
  double blr = 9e-2;
  std::optional<double> lr;    // overrides blr
  double visual_lr_scale = 1;  // of visual_proj; SPEC 6: 1
  double min_lr = 0;
  double warmup_epochs = 2;
  double weight_decay = 0.14;
  double clip_norm = 0;
  NonFinite non_finite = NonFinite::kStop;
  int64_t max_skipped_steps = 10;
  int64_t seed = 0;
};

struct LossConfig {
  double vaq = 0.5;
  double aqa = 0.25;
  double edl_mse = 1;
  double edl_reg = 1e-9;
  double qav = 0;        // SPEC 11; 0: as published by BoViLA
  double qav_tau = 100;  // SPEC 11
  double edl_ce = 0;     // beside edl_mse; 0: as published
  UncertaintySource uncertainty = UncertaintySource::kScaleProj;
  bool aqa_gate = true;
  bool gate_gradient = true;
  AqaGradient aqa_gradient = AqaGradient::kBoth;
  double aqa_warmup_epochs = 0;
  bool aqa_align = false;         // SPEC D7
  bool train_scale_proj = false;  // SPEC D3
  int64_t tokens_at_once = 1024;

  /// Whether anything gives answers an uncertainty: scale_proj, which only edl_mse makes mean
  /// something, or the softmax.
  bool has_uncertainty() const { return edl_mse > 0 || uncertainty == UncertaintySource::kSoftmax; }
  /// Whether a micro-batch adds up its questions' gated AQA losses; else it is their mean.
  bool gates_aqa() const { return aqa_gate && has_uncertainty(); }
};

struct EvalConfig {
  int64_t batch_size = 16;
  bool ask = false;
  VideoShown video = VideoShown::kTrue;
  OptionTurns options = OptionTurns::kGiven;
  double temperature = 1;

  /// Whether other questions are asked than the data set's.
  bool is_probe() const { return video != VideoShown::kTrue || options != OptionTurns::kGiven; }
};

struct RunConfig {
  DeviceRequest device = DeviceRequest::kAuto;
  bool deterministic = false;
  bool tf32 = false;
  int64_t tensor_parallel = 1;  // T of SPEC 14
  int64_t threads_per_rank = 0;
  int64_t prefetch_batches = 4;
  double collective_timeout_s = 1800;
  std::vector<std::string> stop_signals = {"TERM", "USR1", "USR2", "HUP"};
  double time_limit_minutes = 0;
  double stop_before_limit_s = 120;
  int64_t profile_steps = 0;
  double peak_tflops = 0;
  bool self_check = false;
};

struct CheckpointConfig {
  int64_t every_steps = 0;
  double every_minutes = 10;
  int64_t keep = 2;
  std::string resume = "auto";
};

struct OutputConfig {
  std::string folder;
  int64_t log_every_steps = 10;
  bool tensorboard = true;
};

struct Config {
  ModelConfig model;
  DataConfig data;
  PromptConfig prompt;
  TrainConfig train;
  LossConfig loss;
  EvalConfig eval;
  RunConfig run;
  CheckpointConfig checkpoint;
  OutputConfig output;
};

}  // namespace bovila
