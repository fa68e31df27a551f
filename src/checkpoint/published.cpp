// Reading with our own restricted reader, writing with LibTorch's pickler and zip writer.
#include "bovila/checkpoint/published.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/pickler.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/dist/libtorch.h"
#include "bovila/files/pth.h"
#include "bovila/weights/weight_type.h"

namespace bovila {
namespace {

constexpr const char* kModel = "model";

/// Settings of the published code that a model's shapes follow from, and what it was trained on.
constexpr std::array<std::string_view, 7> kSettings{
    "dataset", "model", "max_feats", "adapter_len", "adapter_layer", "bias", "max_seq_len"};

std::string to_text(const PickleValue& value) {
  switch (value.kind()) {
    case PickleKind::kBool:
      return value.as_bool() ? "true" : "false";
    case PickleKind::kInt:
      return std::to_string(value.as_int());
    case PickleKind::kFloat:
      return fmt::format("{}", value.as_float());
    case PickleKind::kString:
      return std::string(value.as_text().substr(0, 100));
    default:
      return std::string(name_of(value.kind()));
  }
}

std::string settings_of(const PthFile& file) {
  const std::optional<PickleValue> args = file.root().find("args");
  if (!args || args->kind() != PickleKind::kObject) return "";
  std::vector<std::string> settings;
  for (const std::string_view name : kSettings) {
    const auto value = args->find(name);
    if (value) settings.push_back(fmt::format("{} {}", name, to_text(*value)));
  }
  return fmt::format("{}", fmt::join(settings, ", "));
}

torch::Tensor read(const PthFile& file, const PthTensor& tensor) {
  auto values = torch::empty(tensor.shape, weight_type(tensor.type, tensor.name, file.path()));
  file.read(tensor, {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
  return values;
}

void check_shape(const PthFile& file, const PthTensor& tensor, const NamedParameter& ours,
                 const std::string& settings) {
  if (tensor.shape == ours.shape) return;
  throw UserError(
      "{}: the parameter '{}' has shape [{}], this model's has [{}]; give model.llama, "
      "model.adapter_len, model.adapter_layers and model.max_feats as it was trained with{}{}",
      file.path(), tensor.name, fmt::join(tensor.shape, ", "), fmt::join(ours.shape, ", "),
      settings.empty() ? "" : ", it says: ", settings);
}

}  // namespace

PublishedContents load_published(const std::string& path, AdapterParameters& parameters) {
  const PthFile file(path);
  const std::vector<PthTensor> tensors = file.tensors(kModel);
  PublishedContents contents{settings_of(file), {}, {}};
  for (const NamedParameter& ours : parameters.names()) {
    const auto found = std::ranges::find(tensors, ours.name, &PthTensor::name);
    if (found != tensors.end()) {
      check_shape(file, *found, ours, contents.settings);
    } else if (ours.name.starts_with("scale_proj.")) {
      contents.missing.push_back(ours.name);
    } else {
      throw UserError(
          "{}: the parameter '{}' is not in its dict \"model\"; expected a checkpoint of BoViLA or "
          "Flipped-VQA",
          path, ours.name);
    }
  }
  for (const PthTensor& tensor : tensors) {
    if (std::ranges::count(parameters.names(), tensor.name, &NamedParameter::name) > 0) {
      const torch::Tensor values = read(file, tensor);
      if (!values.isfinite().all().item<bool>()) {
        throw UserError(
            "{}: the parameter '{}' holds numbers that are not finite: the training that "
            "it is of had diverged",
            path, tensor.name);
      }
      parameters.assign(tensor.name, values);
    } else {
      contents.foreign.push_back(tensor.name);
    }
  }
  return contents;
}

void report_published(std::string_view doing, const std::string& path,
                      const PublishedContents& contents) {
  log::info("{} {}{}{}", doing, path, contents.settings.empty() ? "" : ": ", contents.settings);
  if (!contents.missing.empty()) {
    log::warn(
        "{} lacks {}: their start values stay, of model.scale_proj_seed or else train.seed. "
        "Uncertainties follow from them, answers do not",
        path, fmt::join(contents.missing, ", "));
  }
  if (!contents.foreign.empty()) {
    log::warn("{}: {} tensors are not this model's and are left out, '{}' the first", path,
              contents.foreign.size(), contents.foreign.front());
  }
}

bool read_origin(const std::string& path, TrainState& state) {
  const PthFile file(path);
  const auto text = [&](const PickleValue& value) {
    return value.kind() == PickleKind::kString ? std::string(value.as_text()) : "";
  };
  if (file.root().kind() != PickleKind::kDict) return false;
  const auto step = file.root().find("step"), deck = file.root().find("deck"),
             identity = file.root().find("identity");
  if (!step || step->kind() != PickleKind::kInt || !deck || text(*deck).empty()) return false;
  state.step = step->as_int();
  state.deck = text(*deck);
  if (!identity || identity->kind() != PickleKind::kDict) return true;  // bovila before 0.2
  for (size_t i = 0; i < identity->size(); ++i) {
    state.identity[text(identity->key(i))] = text(identity->at(i));
  }
  return true;
}

std::vector<std::string> compare_published_args(const std::string& path, const Config& config) {
  const PthFile file(path);
  const auto args =
      file.root().kind() == PickleKind::kDict ? file.root().find("args") : std::nullopt;
  std::vector<std::string> texts;
  if (!args || args->kind() != PickleKind::kObject) return texts;
  const auto compare = [&](const char* name, const std::string& ours, const std::string& key,
                           const char* why) {
    const auto value = args->find(name);
    if (!value || to_text(*value) == ours) return;
    texts.push_back(fmt::format("it was trained with {} {}, {} is {} here: {}", name,
                                to_text(*value), key, ours, why));
  };
  compare("dataset", config.data.dataset, "data.dataset", "other questions than it has learned");
  compare("sub", config.data.subtitles ? "true" : "false", "data.subtitles",
          "its prompts had dialogues, or these have");
  compare("max_seq_len", std::to_string(config.model.max_seq_len), "model.max_seq_len",
          "longer prompts lost their ends there, and dialogues are cut to it");
  const std::filesystem::path llama = config.model.llama;
  compare("model", (llama.has_filename() ? llama : llama.parent_path()).filename(), "model.llama",
          "other weights of the same shapes give answers like guessing");
  return texts;
}

std::string to_published(const TrainState& state) {
  c10::impl::GenericDict model(c10::StringType::get(), c10::TensorType::get());
  for (const NamedArray& array : state.arrays) {
    if (array.name.find('/') != std::string::npos) continue;  // the optimizer's
    model.insert(array.name, torch::tensor(array.values).view(array.shape));
  }
  c10::impl::GenericDict all(c10::StringType::get(), c10::AnyType::get());
  all.insert(kModel, model);
  all.insert("step", state.step);
  all.insert("deck", state.deck);
  c10::impl::GenericDict identity(c10::StringType::get(), c10::StringType::get());
  for (const auto& [key, text] : state.identity) identity.insert(key, text);
  all.insert("identity", identity);

  // torch::pickle_save would tag the dicts with their types, which weights_only=True refuses.
  std::string pickle, bytes;
  torch::jit::Pickler pickler([&](const char* data, size_t size) { pickle.append(data, size); },
                              nullptr, nullptr, nullptr, nullptr, /*tag_aggregates=*/false);
  pickler.protocol();
  pickler.pushIValue(all);
  pickler.stop();
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, size_t size) {
    bytes.append(static_cast<const char*>(data), size);
    return size;
  });
  writer.writeRecord("data.pkl", pickle.data(), pickle.size());
  for (size_t i = 0; i < pickler.tensorData().size(); ++i) {
    const at::Tensor& values = pickler.tensorData()[i];
    writer.writeRecord("data/" + std::to_string(i), values.data_ptr(), values.nbytes());
  }
  writer.writeEndOfFile();
  return bytes;
}

}  // namespace bovila
