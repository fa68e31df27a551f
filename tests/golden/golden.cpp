// Reading golden folders.
#include "tests/golden/golden.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "bovila/core/error.h"
#include "bovila/files/pth.h"
#include "bovila/weights/llama_copy.h"

namespace golden {

using namespace bovila;
namespace fs = std::filesystem;

std::string folder() {
  const char* named = std::getenv("BOVILA_GOLDEN");
  return named != nullptr && *named != '\0' ? named : BOVILA_SOURCE_DIR "/tests/golden/mini";
}

std::vector<std::string> runs_of(const std::string& first) {
  std::vector<std::string> runs;
  for (const auto& entry : fs::directory_iterator(folder())) {
    const std::string name = entry.path().stem();
    if (!name.starts_with("expected-")) continue;
    const std::string run = name.substr(std::string("expected-").size());
    if (run == first || run.starts_with(first + "-")) runs.push_back(run);
  }
  std::ranges::sort(runs);
  return runs;
}

namespace {

/// Where this program and the tools beside it lie.
std::string program_folder() {
  return fs::read_symlink("/proc/self/exe").parent_path();
}

/// Features of a data set, converted once a process by the tool that users have.
std::string feature_folder(const std::string& dataset) {
  const std::string out =
      fmt::format("{}/bovila-golden-{}-{}", fs::temp_directory_path().string(), getpid(), dataset);
  if (fs::exists(out)) return out;
  const std::string source =
      fmt::format("{}/data/{}/{}", folder(), dataset,
                  dataset == "how2qa" ? "clipvitl14_split.pth" : "clipvitl14.pth");
  const std::string command =
      fmt::format("'{}/pth2h5' '{}' '{}' --shards 2 2>/dev/null", program_folder(), source, out);
  BOVILA_CHECK(std::system(command.c_str()) == 0, "{}", command);
  static const struct Cleaner {
    ~Cleaner() {
      std::error_code ignored;
      const auto mine = fmt::format("bovila-golden-{}-", getpid());
      for (const auto& entry : fs::directory_iterator(fs::temp_directory_path(), ignored)) {
        if (entry.path().filename().string().starts_with(mine)) {
          fs::remove_all(entry.path(), ignored);
        }
      }
    }
  } cleaner;
  return out;
}

std::string micro_path(int64_t micro) {
  return fmt::format("/train/micro{}", micro);
}
std::string step_path(int64_t step) {
  return fmt::format("/train/step{}", step);
}

/// The folder of weights under llama/: the one that has params.json.
std::string llama_folder() {
  for (const auto& entry : fs::directory_iterator(folder() + "/llama")) {
    if (fs::exists(entry.path() / "params.json")) return entry.path();
  }
  throw ProgramError("no folder with params.json under {}/llama", folder());
}

Config config_of(hid_t file) {
  const auto args = nlohmann::json::parse(hdf5::read_string_attribute(file, "/", "args"));
  Config config;
  config.model.llama = llama_folder();
  config.model.tokenizer = folder() + "/llama/tokenizer.model";
  config.model.precision = Precision::kFp32;
  config.model.max_feats = args.at("max_feats");
  config.model.max_seq_len = args.at("max_seq_len");
  config.model.attention_bias = args.at("bias");
  config.model.adapter_len = hdf5::read_int_attribute(file, "/", "adapter_len");
  config.model.adapter_layers = hdf5::read_int_attribute(file, "/", "adapter_layer");
  config.data.dataset = args.at("dataset");
  config.data.folder = fmt::format("{}/data/{}", folder(), config.data.dataset);
  config.data.features = feature_folder(config.data.dataset);
  config.data.subtitles = args.at("sub");
  config.data.val_split = config.data.dataset == "how2qa" ? "public_val" : "val";
  config.train.epochs = args.at("epochs");
  config.train.warmup_epochs = args.at("warmup_epochs");
  config.train.min_lr = args.at("min_lr");
  config.train.lr = args.at("lr").get<double>();
  config.train.weight_decay = args.at("weight_decay");
  config.train.accum_iter = args.at("accum_iter");
  config.train.batch_size = args.at("batch_size");
  if (args.contains("qav")) {  // Flipped-VQA's: passes are on or off
    config.loss.vaq = args.at("vaq").get<bool>() ? 1 : 0;
    config.loss.qav = args.at("qav").get<bool>() ? 1 : 0;
    config.loss.qav_tau = args.at("tau");
    config.loss.aqa = config.loss.edl_mse = config.loss.edl_reg = 0;
    return config;
  }
  config.loss.vaq = args.at("vaq");
  config.loss.aqa = args.at("aqa");
  config.loss.edl_mse = args.at("edl_mse");
  config.loss.edl_reg = args.at("edl_reg");
  config.loss.aqa_gate = args.at("aqa_gate");
  return config;
}

}  // namespace

Run::Run(const std::string& name)
    : name_(name),
      file_(hdf5::open_file(fmt::format("{}/expected-{}.h5", folder(), name))),
      config_(config_of(file_.get())) {}

int64_t Run::num_micro_batches() const {
  int64_t count = 0;
  while (has(micro_path(count))) ++count;
  return count;
}

int64_t Run::num_steps() const {
  int64_t count = 0;
  while (has(step_path(count))) ++count;
  return count;
}

std::vector<int64_t> Run::rows(int64_t micro) const {
  return hdf5::read_ints_attribute(file_.get(), micro_path(micro), "rows");
}

std::optional<double> Run::loss(int64_t micro, const std::string& name) const {
  if (!has_attribute(micro_path(micro), name)) return std::nullopt;
  return attribute(micro_path(micro), name);
}

double Run::step_number(int64_t step, const std::string& name) const {
  return attribute(step_path(step), name);
}

bool Run::has(const std::string& path) const {
  return hdf5::exists(file_.get(), path);
}

bool Run::has_attribute(const std::string& path, const std::string& name) const {
  return hdf5::has_attribute(file_.get(), path, name);
}

torch::Tensor Run::read(const std::string& path) const {
  const auto info = hdf5::describe(file_.get(), path);
  const bool whole = info.type == hdf5::Type::kInt64;
  auto out = torch::empty(info.shape, whole ? torch::kInt64 : torch::kFloat32);
  hdf5::read(file_.get(), path, whole ? hdf5::Type::kInt64 : hdf5::Type::kFloat32,
             {static_cast<std::byte*>(out.data_ptr()), out.nbytes()});
  return out;
}

std::vector<std::string> Run::list(const std::string& path) const {
  return hdf5::list(file_.get(), path);
}

double Run::attribute(const std::string& path, const std::string& name) const {
  return hdf5::read_number_attribute(file_.get(), path, name);
}

Parts make_parts(const Run& run) {
  Parts parts;
  parts.tokenizer = load_tokenizer(run.config().model.tokenizer);
  parts.features = std::make_unique<FeatureStore>(run.config().data.features);
  parts.train = std::make_unique<Dataset>(run.config(), "train", *parts.features, *parts.tokenizer);
  parts.val = std::make_unique<Dataset>(run.config(), run.config().data.val_split, *parts.features,
                                        *parts.tokenizer);
  return parts;
}

Bovila make_model(const Run& run, const Tokenizer& tokenizer, const WeightTypes& types,
                  torch::Device device, Communicator* group) {
  const Config& config = run.config();
  const auto params = read_llama_params(config.model.llama, tokenizer.vocab_size());
  AdapterParameters parameters(params, config.model, config.loss.train_scale_proj, 0, device);
  const PthFile start(folder() + "/adapter_init.pth");
  for (const PthTensor& tensor : start.tensors("model")) {
    auto values = torch::empty(tensor.shape);
    BOVILA_CHECK(tensor.type == ElementType::kFloat32, "{} is not fp32", tensor.name);
    start.read(tensor, {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
    parameters.assign(tensor.name, values);
  }
  WeightMemory memory;
  if (group != nullptr) memory.part = {group->rank(), group->size()};
  auto weights = load_llama_weights(config.model.llama, params, types, memory);
  if (!device.is_cpu()) weights = copy_of(weights, device, types.compute);
  return {Llama(std::move(weights), /*recompute=*/false, group), std::move(parameters)};
}

}  // namespace golden
