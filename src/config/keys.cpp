// The table of keys itself, and what follows from it alone.
#include "bovila/config/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

#include "bovila/config/datasets.h"

namespace bovila {
namespace {

constexpr EnumName<Precision> kPrecisions[] = {{Precision::kAuto, "auto"},
                                               {Precision::kFp32, "fp32"},
                                               {Precision::kBf16, "bf16"},
                                               {Precision::kFp16, "fp16"}};
constexpr EnumName<WeightForm> kWeightForms[] = {
    {WeightForm::kComputed, "computed"}, {WeightForm::kBf16, "bf16"},
    {WeightForm::kFp16, "fp16"},         {WeightForm::kInt8, "int8"},
    {WeightForm::kNf4, "nf4"},           {WeightForm::kNf4Dq, "nf4-dq"}};
constexpr EnumName<DeviceRequest> kDevices[] = {
    {DeviceRequest::kAuto, "auto"}, {DeviceRequest::kCuda, "cuda"}, {DeviceRequest::kCpu, "cpu"}};
constexpr EnumName<OverLong> kOverLongs[] = {{OverLong::kError, "error"},
                                             {OverLong::kSkip, "skip"}};
constexpr EnumName<VideoShown> kVideosShown[] = {{VideoShown::kTrue, "true"},
                                                 {VideoShown::kNone, "none"},
                                                 {VideoShown::kShuffled, "shuffled"},
                                                 {VideoShown::kOther, "other"}};
constexpr EnumName<OptionTurns> kOptionTurns[] = {{OptionTurns::kGiven, "given"},
                                                  {OptionTurns::kRotations, "rotations"}};
constexpr EnumName<UncertaintySource> kUncertaintySources[] = {
    {UncertaintySource::kScaleProj, "scale_proj"}, {UncertaintySource::kSoftmax, "softmax"}};
constexpr EnumName<AqaGradient> kAqaGradients[] = {{AqaGradient::kBoth, "both"},
                                                   {AqaGradient::kAsking, "asking"},
                                                   {AqaGradient::kAnswering, "answering"}};
constexpr EnumName<NonFinite> kNonFinites[] = {{NonFinite::kStop, "stop"},
                                               {NonFinite::kSkip, "skip"}};

constexpr std::string_view kStopSignals[] = {"TERM", "USR1", "USR2", "HUP", "XCPU"};
constexpr std::string_view kResumes[] = {"auto", "never"};

#define DATASET_KIND(name, options, has_subtitles) {#name, has_subtitles},
constexpr DatasetKind kDatasets[] = {BOVILA_DATASETS(DATASET_KIND)};
#undef DATASET_KIND

constexpr auto kDatasetNames = [] {
  std::array<std::string_view, std::size(kDatasets)> names;
  for (size_t i = 0; i < names.size(); ++i) names[i] = kDatasets[i].name;
  return names;
}();

// Upper ends are what some machine can bear, and what arithmetic can: products of counts stay in 64
// bits, times in nanoseconds do too. What a machine cannot bear of several keys together is judged
// where its size is known (train/training_plan.h).
constexpr Range kCount{1, 1e6};
constexpr Range kCountOrZero{0, 1e6};
constexpr Range kBatch{1, 65536};
constexpr Range kRate{0, 100, true};  // a step of AdamW moves a parameter by about so much
constexpr Range kWeight{0, 1e6};
constexpr Range kMinutes{0, 1e7};  // 19 years
constexpr Range kSeed{0};

// A macro for the member's text: the name in the deck cannot differ from the member's.
#define KEY(member, ...)                                                                \
  Key {                                                                                 \
    .path = #member, .field = [](Config& c) -> Field { return &c.member; }, __VA_ARGS__ \
  }

// clang-format off
constexpr Key kKeys[] = {
    KEY(model.llama, .required = true, .text = Text::kFolder,
        .doc = "folder with LLaMA's weights: Meta's, Hugging Face's or bovila's own files",
        .published = "llama_model_path"),
    KEY(model.tokenizer, .text = Text::kFile,
        .doc = "tokenizer file; \"\" = tokenizer.model or tokenizer.json in model.llama or beside that folder"),
    KEY(model.precision,
        .doc = "compute type of the frozen LLaMA, auto: bf16 on a GPU, the faster of fp32 and bf16 on a CPU; trained parameters are always fp32"),
    KEY(model.weights,
        .doc = "how the matrices of the LLaMA's layers are stored, computed: in model.precision; the others take less memory and are expanded where they are used"),
    KEY(model.max_feats, .range = {1, 10000}, .unit = "frames",
        .doc = "frames sampled from a clip, each one video token of the prompt",
        .published = "max_feats"),
    KEY(model.max_seq_len, .range = kCount, .unit = "tokens",
        .doc = "longest prompt; see data.over_long", .published = "max_seq_len"),
    KEY(model.adapter_len, .range = {1, 10000}, .unit = "slots",
        .doc = "adapter prompts a layer", .published = "adapter_len"),
    KEY(model.adapter_layers, .range = {0, 1000}, .unit = "layers",
        .doc = "how many of LLaMA's last layers are adapted, 0 = all; all layers run",
        .published = "adapter_layer"),
    KEY(model.attention_bias, .range = {-1000, 1000},
        .doc = "gate2, the extra attention on video tokens, starts at minus this",
        .published = "bias"),
    KEY(model.init_std, .range = {0, 1000, true},
        .doc = "standard deviation of the start values of adapter_query and temporal_emb; published: 1"),
    KEY(model.scale_proj_seed, .range = kSeed,
        .doc = "start values of scale_proj follow from it, not set: from train.seed, as published; see below"),
    KEY(model.recompute_activations,
        .doc = "keep each layer's input only and compute the layer again in the backward pass"),

    KEY(data.dataset, .required = true, .words = kDatasetNames,
        .doc = "whose annotations data.folder holds", .published = "dataset"),
    KEY(data.folder, .required = true, .text = Text::kFolder,
        .doc = "annotation files under their official names"),
    KEY(data.features, .required = true, .text = Text::kFolder,
        .doc = "feature set made by tools/pth2h5"),
    KEY(data.train_split, .doc = "split that is trained on"),
    KEY(data.val_split, .doc = "split that is evaluated"),
    KEY(data.subtitles, .doc = "put the clip's dialogue into the prompt; vlep, tvqa, jsonl and mixture only",
        .published = "sub"),
    KEY(data.frames_per_second, .range = {1, 1000}, .unit = "frames",
        .doc = "a second of the feature set's videos; jsonl and mixture only, not set: 1"),
    KEY(data.normalize_frames, .doc = "scale the features of each frame to length 1; published: not"),
    KEY(data.shuffle_options,
        .doc = "each question's options get letters by chance, the same in every epoch and evaluation; false is as published"),
    KEY(data.over_long,
        .doc = "a training prompt that stays longer than model.max_seq_len: stop, or skip and count it"),
    KEY(data.max_missing, .range = {0, 1},
        .doc = "share of a split's videos that may have no features; zeros stand for those, more are an error"),

    KEY(prompt.vqa,
        .doc = "first line of the prompt that asks for the answer; {dialogue} = \"dialogue, \" in questions about one"),
    KEY(prompt.vaq, .doc = "the same where the question is asked for"),
    KEY(prompt.qav, .doc = "the same where the frames' order is asked for"),

    KEY(train.start, .text = Text::kFile,
        .doc = ".pth with trained parameters that a new run starts from, published or by tools/ckpt2pth; \"\" = random start values"),
    KEY(train.epochs, .range = kCount, .unit = "epochs", .doc = "length of the training",
        .published = "epochs"),
    KEY(train.batch_size, .range = kBatch, .unit = "questions",
        .doc = "questions of a rank in one micro-batch", .published = "batch_size"),
    KEY(train.accum_iter, .range = kBatch, .unit = "micro-batches",
        .doc = "micro-batches of one optimizer step", .published = "accum_iter"),
    KEY(train.questions_per_step, .range = kCountOrZero, .unit = "questions",
        .doc = "of an optimizer step, on any number of ranks; takes the place of accum_iter; 0 = batch_size * accum_iter * ranks"),
    KEY(train.blr, .range = kRate,
        .doc = "lr for 256 questions a step: lr = blr * batch_size * accum_iter * ranks / 256, or blr * questions_per_step / 256",
        .published = "blr"),
    KEY(train.lr, .range = kRate, .doc = "peak learning rate; overrides train.blr",
        .published = "lr"),
    KEY(train.visual_lr_scale, .range = {0, 1000},
        .doc = "visual_proj's learning rate in units of the others'; published: 1; 0 = it stays as it starts"),
    KEY(train.min_lr, .range = {0, 100}, .doc = "learning rate at the end of the cosine",
        .published = "min_lr"),
    KEY(train.warmup_epochs, .range = kCountOrZero, .unit = "epochs",
        .doc = "linear warm-up from 0; less than train.epochs, fractions allowed",
        .published = "warmup_epochs"),
    KEY(train.weight_decay, .range = {0, 1000},
        .doc = "AdamW's, on parameters with two or more dimensions", .published = "weight_decay"),
    KEY(train.clip_norm, .range = {0, 1e9},
        .doc = "a longer gradient is scaled down to this norm, 0 = never, as published"),
    KEY(train.non_finite,
        .doc = "a step whose loss or gradient is not finite: stop, or skip and count it"),
    KEY(train.max_skipped_steps, .range = kCount, .unit = "steps",
        .doc = "with non_finite = \"skip\": so many in a row are skipped, one more stops the run"),
    KEY(train.seed, .range = kSeed,
        .doc = "start values, order of the questions and Gumbel noise follow from it",
        .published = "seed"),

    KEY(loss.vaq, .range = kWeight,
        .doc = "weight of asking the question from video and answer; 0 leaves the pass out",
        .published = "vaq"),
    KEY(loss.aqa, .range = kWeight,
        .doc = "weight of answering the self-made question; 0 leaves the pass out",
        .published = "aqa"),
    KEY(loss.qav, .range = kWeight,
        .doc = "weight of telling the frames' order from question and answer, Flipped-VQA's third pass; 0 leaves it out",
        .published = "qav"),
    KEY(loss.qav_tau, .range = {0, 1e6, true},
        .doc = "temperature: frames are told apart by products divided by this",
        .published = "tau"),
    KEY(loss.edl_mse, .range = kWeight,
        .doc = "weight of the evidential squared error; 0 = plain cross-entropy, no EDL term",
        .published = "edl_mse"),
    KEY(loss.edl_reg, .range = kWeight, .doc = "weight of the evidential regulariser",
        .published = "edl_reg"),
    KEY(loss.edl_ce, .range = kWeight,
        .doc = "weight of the answers' cross-entropy beside the evidential terms; published: 0"),
    KEY(loss.uncertainty,
        .doc = "what tells how uncertain an answer is: scale_proj, as published, or softmax, 1 minus the largest probability"),
    KEY(loss.aqa_gate, .doc = "weigh each self-made question by 1 - uncertainty",
        .published = "aqa_gate"),
    KEY(loss.gate_gradient,
        .doc = "the gate is differentiated too, as published; false: it is a weight and nothing more"),
    KEY(loss.aqa_gradient,
        .doc = "whom answering self-made questions teaches: both, as published, the one who asks or the one who answers"),
    KEY(loss.aqa_warmup_epochs, .range = kCountOrZero, .unit = "epochs",
        .doc = "loss.aqa rises to its value over these, linearly from 0; fractions allowed; published: 0"),
    KEY(loss.aqa_align,
        .doc = "self-made questions keep their first token; false is as published"),
    KEY(loss.train_scale_proj,
        .doc = "train the evidence scale; false, frozen at its random start, is as published"),
    KEY(loss.tokens_at_once, .range = kCountOrZero, .unit = "tokens",
        .doc = "VAQ, AQA and QAV prompts of a micro-batch computed at once: less needs less memory; "
               "0 = all"),

    KEY(eval.batch_size, .range = kBatch, .unit = "questions",
        .doc = "questions of a rank in one forward pass"),
    KEY(eval.ask, .doc = "also write down the question that the model asks itself, one pass more"),
    KEY(eval.video,
        .doc = "with --eval, what is shown in the video's place: no frames, its frames in a random order, "
               "or those of a question about another video"),
    KEY(eval.options,
        .doc = "with --eval, rotations: each question also with its options moved on by 1, 2, ... letters"),
    KEY(eval.temperature, .range = {0, 1e6, true},
        .doc = "divides the scores before the softmax that gives options their probabilities"),

    KEY(run.device,
        .doc = "where ranks compute; auto = one rank a GPU, or the CPU where no rank sees a GPU"),
    KEY(run.deterministic,
        .doc = "the same bits from the same run on GPUs too: slower algorithms, fixed NCCL algorithm"),
    KEY(run.tf32, .doc = "fp32 products on GPUs may round their factors to 10 bits"),
    KEY(run.tensor_parallel, .range = {1, 1024}, .unit = "ranks",
        .doc = "neighbouring ranks of a node that hold the LLaMA's layers together, each its part of every matrix; 1 = each rank holds all"),
    KEY(run.threads_per_rank, .range = {0, 1024}, .unit = "threads",
        .doc = "0 = the node's cores shared out among its ranks"),
    KEY(run.prefetch_batches, .range = {1, 1000}, .unit = "batches",
        .doc = "batches read and tokenised ahead of the step"),
    KEY(run.collective_timeout_s, .range = {0, 1e8, true}, .unit = "seconds",
        .doc = "longest wait for the other ranks before a rank gives up"),
    KEY(run.stop_signals, .words = kStopSignals,
        .doc = "signals that mean: save a checkpoint and end with exit code 75"),
    KEY(run.time_limit_minutes, .range = kMinutes, .unit = "minutes",
        .doc = "the run stops itself in time for this limit; 0 = only for the Slurm job's own"),
    KEY(run.stop_before_limit_s, .range = {0, 1e6}, .unit = "seconds",
        .doc = "how long before a time limit it stops: one micro-step and a checkpoint must fit"),
    KEY(run.profile_steps, .range = {0, 1000}, .unit = "steps",
        .doc = "so many steps are traced into output.folder/profile-rankN.json, from the third on"),
    KEY(run.peak_tflops, .range = {0, 1e6}, .unit = "TFLOP/s of a rank",
        .doc = "what a rank's device does at most in model.precision, dense; timing.jsonl gives each step's share of it; 0 = not stated"),
    KEY(run.self_check,
        .doc = "jobs/run.sh and jobs/supervise.sh have --self-check pass before each start, and leave a host out that fails it"),

    KEY(checkpoint.every_steps, .range = kCountOrZero, .unit = "steps",
        .doc = "optimizer steps between two checkpoints, 0 = not by steps"),
    KEY(checkpoint.every_minutes, .range = kMinutes, .unit = "minutes",
        .doc = "time between two checkpoints, 0 = not by time"),
    KEY(checkpoint.keep, .range = {2, 1e6}, .unit = "checkpoints",
        .doc = "newest checkpoints that are kept; the best is kept besides"),
    KEY(checkpoint.resume, .words = kResumes,
        .doc = "go on from output.folder's newest valid checkpoint, or never: then it may have none"),

    KEY(output.folder, .required = true, .text = Text::kNewFolder,
        .doc = "results go here; made when missing", .published = "output_dir"),
    KEY(output.log_every_steps, .range = kCount, .unit = "steps",
        .doc = "optimizer steps between two progress lines of a job's log"),
    KEY(output.tensorboard, .doc = "write the metrics as TensorBoard events too"),
};
// clang-format on
#undef KEY

/// Calls `visitor` with a pointer to the member's default, for what depends on type and default.
template <typename Visitor>
auto with_default(const Key& key, Visitor&& visitor) {
  Config defaults;
  return std::visit(visitor, key.field(defaults));
}

}  // namespace

std::span<const Key> keys() {
  return kKeys;
}
std::span<const DatasetKind> dataset_kinds() {
  return kDatasets;
}
std::span<const EnumName<Precision>> names_of(Precision) {
  return kPrecisions;
}
std::span<const EnumName<WeightForm>> names_of(WeightForm) {
  return kWeightForms;
}
std::span<const EnumName<OverLong>> names_of(OverLong) {
  return kOverLongs;
}
std::span<const EnumName<NonFinite>> names_of(NonFinite) {
  return kNonFinites;
}
std::span<const EnumName<VideoShown>> names_of(VideoShown) {
  return kVideosShown;
}
std::span<const EnumName<OptionTurns>> names_of(OptionTurns) {
  return kOptionTurns;
}
std::span<const EnumName<UncertaintySource>> names_of(UncertaintySource) {
  return kUncertaintySources;
}
std::span<const EnumName<AqaGradient>> names_of(AqaGradient) {
  return kAqaGradients;
}
std::span<const EnumName<DeviceRequest>> names_of(DeviceRequest) {
  return kDevices;
}

bool Range::contains(double value) const {
  return std::isfinite(value) && (open ? value > low : value >= low) && value <= high;
}

std::vector<std::string_view> table_names() {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) {
    if (names.empty() || names.back() != key.table()) names.push_back(key.table());
  }
  return names;
}

const Key* find_key(std::string_view path) {
  const auto found = std::ranges::find(kKeys, path, &Key::path);
  return found == std::end(kKeys) ? nullptr : found;
}

const Key* find_key_of_option(std::string_view option) {
  std::string name(option);
  std::ranges::replace(name, '-', '_');
  const auto published = std::ranges::find(kKeys, std::string_view(name), &Key::published);
  if (!name.empty() && published != std::end(kKeys)) return published;
  const auto named = std::ranges::find(kKeys, std::string_view(name), &Key::name);
  return named == std::end(kKeys) ? nullptr : named;
}

std::string type_text(const Key& key) {
  return with_default(key, []<typename T>(T*) -> std::string {
    if constexpr (std::is_same_v<T, bool>) return "boolean";
    if constexpr (std::is_same_v<T, int64_t>) return "integer";
    if constexpr (std::is_same_v<T, std::optional<int64_t>>) return "integer";
    if constexpr (std::is_same_v<T, std::string> || std::is_enum_v<T>) return "string";
    if constexpr (std::is_same_v<T, std::vector<std::string>>) return "list of strings";
    return "number";
  });
}

std::vector<std::string_view> choices(const Key& key) {
  return with_default(key, [&]<typename T>(T* value) -> std::vector<std::string_view> {
    std::vector<std::string_view> words;
    if constexpr (std::is_same_v<T, bool>) {
      words = {"true", "false"};
    } else if constexpr (std::is_enum_v<T>) {
      for (const auto& entry : names_of(*value)) words.push_back(entry.name);
    } else if constexpr (std::is_same_v<T, std::string>) {
      words.assign(key.words.begin(), key.words.end());
    }
    return words;
  });
}

std::string range_text(const Key& key) {
  if (const auto words = choices(key); !words.empty()) {
    return fmt::format("{}", fmt::join(words, ", "));
  }
  return with_default(key, [&]<typename T>(T*) -> std::string {
    if constexpr (std::is_same_v<T, bool> || std::is_enum_v<T>) {
      return "";  // has choices
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      return fmt::format("each of {}", fmt::join(key.words, ", "));
    } else if constexpr (std::is_same_v<T, std::string>) {
      return key.text == Text::kWord ? "not empty" : key.text == Text::kFile ? "file" : "folder";
    } else if (key.range.open) {
      return fmt::format("> {}, <= {}", key.range.low, int64_t(key.range.high));
    } else if (std::isfinite(key.range.high)) {
      return fmt::format("{} .. {}", int64_t(key.range.low), int64_t(key.range.high));
    } else {
      return fmt::format(">= {}", key.range.low);
    }
  });
}

std::string expected_text(const Key& key) {
  const std::string type = type_text(key);
  if (type == "boolean") return "true or false";
  return fmt::format("{} {} ({})", type == "integer" ? "an" : "a", type, range_text(key));
}

bool may_be_empty(const Key& key) {
  return with_default(key, [&]<typename T>(T* value) {
    if constexpr (std::is_same_v<T, std::string>) return value->empty() && !key.required;
    return false;
  });
}

}  // namespace bovila
