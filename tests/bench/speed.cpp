// Seconds a question, tokens a second, memory: the program's training step and option scoring, or
// the naive forms of tests/naive/, on a random LLaMA and questions of STAR's lengths.
// Called by tests/bench/speed.py and tools/gpu-first-light, which set shapes, ranks and threads and
// print tables.
//
//   speed prepare FOLDER --dim 512 --layers 8    writes the LLaMA in Meta's form
//   speed peak --threads 2                       GFLOP/s of the frozen layers' matrix products
//   speed peak --device cuda                     GFLOP/s of a large product in bf16
//   speed notes                                  microseconds that a collective's note takes
//   speed run FOLDER --work train [--naive] ...  one JSON line
//   speed run --dim 4096 --layers 32 --heads 32 --hidden 11008 --bf16 --device cuda ...
//                                                the same with a LLaMA that is written in memory
#define DOCTEST_CONFIG_IMPLEMENT  // the builders of test files check with it
#include <doctest/doctest.h>

#include <ATen/record_function.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "bovila/config/keys.h"
#include "bovila/core/error.h"
#include "bovila/core/random.h"
#include "bovila/dist/device.h"
#include "bovila/dist/gpu_checks.h"
#include "bovila/dist/hang/collective_record.h"
#include "bovila/dist/mpi_session.h"
#include "bovila/dist/nccl_communicator.h"
#include "bovila/dist/threads.h"
#include "bovila/evaluation/evaluator.h"
#include "bovila/features/feature_store.h"
#include "bovila/model/frozen_linear.h"
#include "bovila/train/train_step.h"
#include "tests/bench/product_count.h"
#include "tests/naive/naive_bovila.h"
#include "tests/unit/model/tiny_llama.h"
#include "tests/unit/weights/stored.h"

using namespace bovila;
using Clock = std::chrono::steady_clock;
using nlohmann::json;
using torch::Tensor;

namespace {

constexpr int64_t kFrames = 10, kSlots = 10;
constexpr int32_t kEos = 2, kNewline = 13;

struct Settings {
  std::string folder, work = "train", device = "cpu";
  bool naive = false, recompute = false, bf16 = false;
  bool together = false;  // the ranks hold the model together, on CPUs
  WeightForm weights = WeightForm::kComputed;
  int64_t dim = 512, layers = 8, adapters = 0, batch = 8, options = 4, steps = 4;
  int64_t heads = 0;    // 0: of width 64
  int64_t hidden = 0;   // SwiGLU's width; 0: LLaMA's rule
  int64_t threads = 1;  // 0: the program's choice
  int64_t vocab = 32000, max_seq_len = 160, tokens_at_once = -1;
  double length = 1;  // factor on the texts' lengths
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LlamaParams params_of(const Settings& s) {
  LlamaParams params;
  params.dim = s.dim;
  params.n_layers = s.layers;
  params.n_heads = params.n_kv_heads = s.heads > 0 ? s.heads : s.dim / 64;
  params.multiple_of = 32;
  params.given_hidden_dim = s.hidden;
  params.vocab_size = s.vocab;
  return params;
}

void prepare(const Settings& s) {
  const LlamaParams p = params_of(s);
  testing::write_parts(s.folder, testing::meta_tensors(p));
  std::ofstream(s.folder + "/params.json")
      << json{{"dim", p.dim},      {"n_layers", p.n_layers}, {"n_heads", p.n_heads},
              {"multiple_of", 32}, {"vocab_size", -1},       {"norm_eps", p.norm_eps}};
}

/// Random texts of STAR's form: an instruction, the video, a question, its options, the answer.
class Questions {
 public:
  explicit Questions(const Settings& settings) : s_(settings) {}

  Example example() {
    const Texts texts = make_texts();
    Example example;
    example.row = row_++;
    example.frames = frames();
    example.vqa = vqa(texts, 0);
    example.vaq = vaq(texts);
    return example;
  }

  OptionExample options() {
    const Texts texts = make_texts();
    OptionExample example;
    example.row = row_++;
    example.frames = frames();
    for (int64_t k = 0; k < s_.options; ++k) {
      example.options.push_back(vqa(texts, static_cast<int32_t>(k)));
    }
    return example;
  }

 private:
  using Ids = std::vector<int32_t>;
  struct Texts {
    Ids question, choices;
  };

  Ids words(int64_t shortest, int64_t longest) {
    Ids ids(static_cast<size_t>(std::uniform_int_distribution(
        static_cast<int64_t>(static_cast<double>(shortest) * s_.length),
        static_cast<int64_t>(static_cast<double>(longest) * s_.length))(random_)));
    for (int32_t& id : ids)
      id = std::uniform_int_distribution<int32_t>(100, static_cast<int32_t>(s_.vocab) - 1)(random_);
    return ids;
  }

  Texts make_texts() {
    Texts texts{words(10, 18), {20, 21, kNewline}};
    texts.question.push_back(kNewline);
    for (int64_t k = 0; k < s_.options; ++k) {
      const Ids option = words(4, 9);
      texts.choices.insert(texts.choices.end(), {22, static_cast<int32_t>(30 + k), 23});
      texts.choices.insert(texts.choices.end(), option.begin(), option.end());
      texts.choices.push_back(kNewline);
    }
    return texts;
  }

  static Prompt start() {
    Prompt prompt;
    prompt.tokens = {1};
    for (int32_t id = 40; id < 58; ++id) prompt.tokens.push_back(id);
    prompt.video_start = prompt.size();
    prompt.tokens.insert(prompt.tokens.end(), kFrames, 0);
    prompt.tokens.push_back(kNewline);
    return prompt;
  }
  static void append(Prompt& prompt, const Ids& ids) {
    prompt.tokens.insert(prompt.tokens.end(), ids.begin(), ids.end());
  }

  Prompt vqa(const Texts& texts, int32_t option) {
    Prompt prompt = start();
    append(prompt, {60, 61});
    prompt.question_start = prompt.size();
    prompt.question_len = std::ssize(texts.question);
    append(prompt, texts.question);
    append(prompt, texts.choices);
    append(prompt, {62, 61, 63, 64, 65});
    prompt.label_start = prompt.size();
    append(prompt, {22, 30 + option, 23, kEos});
    return prompt;
  }

  Prompt vaq(const Texts& texts) {
    Prompt prompt = start();
    append(prompt, texts.choices);
    append(prompt, {62, 61, 63, 64, 65, 22, 30, 23, kNewline, 60, 61});
    prompt.label_start = prompt.size();
    append(prompt, texts.question);
    prompt.tokens.back() = kEos;
    return prompt;
  }

  std::vector<float> frames() {
    std::vector<float> values(kFrames * kFeatureDim);
    for (float& value : values) value = std::normal_distribution<float>()(random_);
    return values;
  }

  const Settings& s_;
  std::mt19937 random_{7};
  int64_t row_ = 0;
};

/// Weights that no file holds: norms of one, matrices such that activations stay near 1.
LlamaWeights random_weights(const LlamaParams& p, const torch::TensorOptions& options,
                            WeightForm form, const LlamaPart& part) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(11);
  const auto matrix = [&](int64_t rows, int64_t columns) {
    return torch::randn({rows, columns}, options).mul_(1 / std::sqrt(static_cast<double>(columns)));
  };
  LlamaWeights weights;
  weights.params = p;
  weights.part = part;
  const int64_t q_dim = part.size_of(p.dim), kv_dim = part.size_of(p.kv_dim());
  const int64_t hidden_dim = part.size_of(p.hidden_dim());
  weights.tok_embeddings = torch::randn({p.vocab_size, p.dim}, options);
  for (int64_t l = 0; l < p.n_layers; ++l) {
    const auto frozen = [&](int64_t rows, int64_t columns) {
      return testing::stored(matrix(rows, columns), form);
    };
    weights.layers.push_back({torch::ones({p.dim}, options), frozen(q_dim + 2 * kv_dim, p.dim),
                              frozen(p.dim, q_dim), torch::ones({p.dim}, options),
                              frozen(2 * hidden_dim, p.dim), frozen(p.dim, hidden_dim)});
  }
  weights.norm = torch::ones({p.dim}, options);
  weights.output = matrix(p.vocab_size, p.dim);
  return weights;
}

Bovila make_model(const Settings& s, const LlamaParams& p, torch::Device device,
                  Communicator* group) {
  const auto precision = s.bf16 ? torch::kBFloat16 : torch::kFloat32;
  ModelConfig config;
  config.max_feats = kFrames;
  config.max_seq_len = s.max_seq_len;
  config.adapter_len = kSlots;
  config.adapter_layers = s.adapters;
  AdapterParameters parameters(p, config, false, /*seed=*/1, device);
  for (const NamedParameter& entry : parameters.names()) {
    if (entry.name.ends_with("gate1")) parameters.assign(entry.name, torch::full(entry.shape, 0.3));
  }
  WeightMemory memory;
  if (group != nullptr) memory.part = {group->rank(), group->size()};
  auto weights = s.folder.empty() ? random_weights(p, torch::TensorOptions(device).dtype(precision),
                                                   s.weights, memory.part)
                                  : load_llama_weights(s.folder, p, {precision, s.weights}, memory);
  return {Llama(std::move(weights), s.recompute, group), std::move(parameters)};
}

/// Of all threads of this process, the kernel's time for it too.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// Seconds by part of a step: the program's RECORD_USER_SCOPEs, without those inside them.
class PartTimes {
 public:
  PartTimes()
      : handle_(at::addGlobalCallback(
            at::RecordFunctionCallback(&begin, &end).scopes({at::RecordScope::USER_SCOPE}))) {}
  ~PartTimes() { at::removeCallback(handle_); }
  PartTimes(const PartTimes&) = delete;
  PartTimes& operator=(const PartTimes&) = delete;

  static std::map<std::string, double>& seconds() {
    static std::map<std::string, double> all;
    return all;
  }

 private:
  struct Begun : at::ObserverContext {
    explicit Begun(Begun* parent) : outer(parent) {}
    Clock::time_point start = Clock::now();
    double inside = 0;
    Begun* outer;
  };

  static Begun*& innermost() {
    static thread_local Begun* begun = nullptr;
    return begun;
  }
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
    auto begun = std::make_unique<Begun>(innermost());
    innermost() = begun.get();
    return begun;
  }
  static void end(const at::RecordFunction& part, at::ObserverContext* context) {
    auto* begun = static_cast<Begun*>(context);
    const double took = seconds_since(begun->start);
    seconds()[part.name()] += took - begun->inside;
    if (begun->outer != nullptr) begun->outer->inside += took;
    innermost() = begun->outer;
  }

  at::CallbackHandle handle_;
};

/// What one measured run did.
struct Work {
  int64_t questions = 0;
  int64_t tokens = 0;  // of all prompts (in training: of VQA, VAQ and AQA), padding not counted
  std::vector<double> numbers;  // the losses or scores of the first step, to compare two modes by
};

Work train(const Settings& s, Bovila& model, const RankGrid& ranks) {
  Questions questions(s);
  auto& parameters = model.parameters();
  AdamW optimizer(parameters.num_trained(), parameters.num_decayed(), 0.1, model.llama().device());
  LossConfig config;
  if (s.tokens_at_once >= 0) config.tokens_at_once = s.tokens_at_once;
  const auto noise = named_noise(1, 0, s.vocab);
  const testing::NaiveBovila naive(model, s.max_seq_len);
  const Preemption preemption;
  StepPlan plan;
  plan.num_questions = s.batch * ranks.data().size();
  plan.num_local_losses = ranks.data().size();
  plan.micro_batches = {std::vector<int64_t>(static_cast<size_t>(s.batch))};
  Work work;
  for (int64_t step = 0; step < s.steps; ++step) {
    std::vector<Example> batch;
    for (int64_t i = 0; i < s.batch; ++i) {
      batch.push_back(questions.example());
      work.tokens += 2 * batch.back().vqa.size() + batch.back().vaq.size();
    }
    work.questions += s.batch;
    if (s.naive) {
      parameters.gradient().zero_();
      const auto losses = naive.losses(batch, config, noise);
      losses.total.backward();
      optimizer.step(parameters.flat().narrow(0, 0, parameters.num_trained()),
                     parameters.gradient(), 1e-4);
      const auto values = losses.values().to(torch::kFloat64);
      if (step == 0) {
        work.numbers.assign(values.data_ptr<double>(), values.data_ptr<double>() + values.numel());
      }
    } else {
      const auto report = train_step(
          model, optimizer, plan, [&] { return batch; }, config, noise, 1e-4, ranks, preemption);
      if (step == 0) work.numbers.assign(report.losses.begin(), report.losses.end());
    }
  }
  return work;
}

Work evaluate(const Settings& s, const Bovila& model) {
  Questions questions(s);
  const testing::NaiveBovila naive(model, s.max_seq_len);
  Work work;
  for (int64_t step = 0; step < s.steps; ++step) {
    std::vector<OptionExample> batch;
    for (int64_t i = 0; i < s.batch; ++i) {
      batch.push_back(questions.options());
      for (const Prompt& prompt : batch.back().options) work.tokens += prompt.size();
    }
    work.questions += s.batch;
    const auto scores =
        s.naive ? naive.scores(batch, LossConfig()) : score_options(model, batch, LossConfig());
    if (step > 0) continue;
    for (const OptionScores& score : scores) {
      work.numbers.insert(work.numbers.end(), score.loss.begin(), score.loss.end());
    }
  }
  return work;
}

/// Shares of the run's time, what no part claims among them.
json shares_of(std::map<std::string, double> parts, double seconds) {
  json shares;
  double rest = 1;
  for (const auto& [name, part] : parts) {
    shares[name] = part / seconds;
    rest -= part / seconds;
  }
  shares["other"] = rest;
  return shares;
}

std::string name_of(torch::Device device) {
  if (!device.is_cuda()) return "CPU";
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, device.index()));
  return properties.name;
}

/// What LibTorch's allocator had of the GPU at most, and what there is of it.
json device_memory(torch::Device device) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  size_t left = 0, all = 0;
  CUDA_CHECK(cudaMemGetInfo(&left, &all));
  return {{"allocated_peak_bytes", stats.allocated_bytes[0].peak},
          {"reserved_peak_bytes", stats.reserved_bytes[0].peak},
          {"bytes", all}};
}

void run(Settings s, int argc, char** argv) {
  const MpiSession session(&argc, &argv);
  MpiCommunicator host(MPI_COMM_WORLD, /*timeout_s=*/600);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), /*timeout_s=*/600);
  if (s.threads == 0) s.threads = choose_threads(node);
  torch::set_num_threads(static_cast<int>(s.threads));
  const auto device =
      choose_device(s.device == "cuda" ? DeviceRequest::kCuda : DeviceRequest::kCpu, host, node);
  const auto nccl = device.is_cuda() ? std::make_unique<NcclCommunicator>(host, device) : nullptr;
  Communicator& ranks = nccl ? static_cast<Communicator&>(*nccl) : host;
  auto alone = MpiCommunicator::self();
  const bool is_group = s.together && ranks.size() > 1;
  if (is_group && device.is_cuda()) throw UserError("--together is for --device cpu");
  const RankGrid grid = is_group ? RankGrid(ranks, alone, ranks) : RankGrid(ranks);
  const LlamaParams p = s.folder.empty() ? params_of(s) : read_llama_params(s.folder, s.vocab);
  if (s.adapters == 0) s.adapters = p.n_layers;
  Bovila model = make_model(s, p, device, grid.tensor());
  const int64_t loaded = peak_memory_bytes();
  const auto work = [&](int64_t steps) {
    Settings some = s;
    some.steps = steps;
    return s.work == "train" ? train(some, model, grid) : evaluate(some, model);
  };
  // Threads, kernels and memory are there from here on, and no parameter has changed before.
  const auto [first, operations_first] = [&] {
    const testing::ProductCount products;
    auto done = work(1);
    return std::pair(std::move(done), products.operations());
  }();
  const PartTimes parts;
  ranks.barrier();
  const auto start = Clock::now();
  const double cpu_start = cpu_seconds();
  const Work done = work(s.steps);
  const double cpu = cpu_seconds() - cpu_start;
  ranks.barrier();
  const double seconds = seconds_since(start);
  const double operations = s.work == "train" ? 4 : 2;
  if (ranks.rank() != 0) return;
  const auto questions = static_cast<double>(done.questions * grid.data().size());
  const double products = static_cast<double>(operations_first) * static_cast<double>(done.tokens) /
                          static_cast<double>(first.tokens);
  json line{
      {"dim", p.dim},
      {"layers", p.n_layers},
      {"device", name_of(device)},
      {"work", s.work},
      {"precision", s.bf16 ? "bf16" : "fp32"},
      {"mode", s.naive       ? "naive"
               : s.recompute ? "recompute"
                             : "fast"},
      {"weights", to_string(s.weights)},
      {"ranks", ranks.size()},
      {"ranks_a_model", is_group ? ranks.size() : 1},
      {"threads", s.threads},
      {"batch", s.batch},
      {"options", s.options},
      {"length", s.length},
      {"adapter_layers", s.adapters},
      {"tokens_a_prompt", static_cast<double>(done.tokens) / static_cast<double>(done.questions) /
                              (s.work == "train" ? 3.0 : static_cast<double>(s.options))},
      {"seconds_a_question", seconds / questions},
      {"cpu_seconds_a_question", cpu / static_cast<double>(done.questions)},
      {"questions_a_second", questions / seconds},
      {"tokens_a_second", static_cast<double>(done.tokens * grid.data().size()) / seconds},
      {"layer_gflops", operations * static_cast<double>(p.num_in_layers()) *
                           static_cast<double>(done.tokens * grid.data().size()) / seconds / 1e9},
      {"products_a_question", products / static_cast<double>(done.questions)},
      {"product_gflops_a_rank", products / seconds / 1e9},
      {"loaded_bytes", loaded},
      {"peak_bytes", peak_memory_bytes()},
      {"numbers", first.numbers}};
  if (device.is_cuda()) {
    line["device_memory"] = device_memory(device);
  } else {  // a part of a step on a GPU ends before the GPU does
    line["parts"] = shares_of(PartTimes::seconds(), seconds);
  }
  std::cout << line.dump() << "\n";
}

/// GFLOP/s of a product of two matrices, the best of 12 times `rounds` of them.
double measure_peak(const std::function<void()>& multiply, double operations, int rounds,
                    const std::function<void()>& wait) {
  double best = 1e9;
  for (int i = 0; i < 12; ++i) {
    wait();
    const auto start = Clock::now();
    for (int round = 0; round < rounds; ++round) multiply();
    wait();
    best = std::min(best, seconds_since(start));
  }
  return rounds * operations / best / 1e9;
}

/// On the CPU 640 rows times a 4096 x 4096 matrix, on the first GPU 8192 rows and 8192 x 8192 in
/// bf16.
void peak(const Settings& s) {
  torch::set_num_threads(static_cast<int>(s.threads));
  const torch::NoGradGuard no_grad;
  if (s.device == "cpu") {
    const auto x = torch::randn({640, 4096});
    const auto matrix = torch::randn({4096, 4096});
    const double gflops = measure_peak([&] { frozen_linear(x, matrix); }, 2 * 640 * 4096.0 * 4096,
                                       /*rounds=*/1, [] {});
    std::cout << json{{"threads", s.threads}, {"peak_gflops", gflops}}.dump() << "\n";
    return;
  }
  const RankView view = view_devices("");
  if (view.devices.empty()) throw UserError("no CUDA device: {}", view.why_none);
  load_cuda();
  const torch::Device device(torch::kCUDA, 0);
  const auto options = torch::TensorOptions(device).dtype(torch::kBFloat16);
  const auto x = torch::randn({8192, 8192}, options);
  const auto matrix = torch::randn({8192, 8192}, options);
  const double gflops = measure_peak([&] { frozen_linear(x, matrix); }, 2 * 8192.0 * 8192 * 8192,
                                     /*rounds=*/20, [] { c10::cuda::device_synchronize(); });
  std::cout << json{{"device", name_of(device)}, {"peak_gflops", gflops}}.dump() << "\n";
}

/// What noting a collective takes beside the collective: the median of rounds.
void notes() {
  constexpr int kRounds = 21, kCollectives = 100'000;
  CollectiveRecord record;
  const GroupNotes group(record, {"all ranks over NCCL", {0, 1}});
  const std::string what = describe("an all-reduce", torch::empty({1000}));
  std::vector<double> microseconds;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    for (int i = 0; i < kCollectives; ++i) {
      const uint64_t note = group.begin(what);
      group.turn();
      group.end(note);
    }
    microseconds.push_back(1e6 * seconds_since(start) / kCollectives);
  }
  std::ranges::sort(microseconds);
  std::cout << json{{"note_us", microseconds[kRounds / 2]}}.dump() << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  CLI::App app;
  app.require_subcommand(1);
  auto* prepare_command = app.add_subcommand("prepare");
  auto* peak_command = app.add_subcommand("peak");
  auto* notes_command = app.add_subcommand("notes");
  auto* run_command = app.add_subcommand("run");
  prepare_command->add_option("FOLDER", s.folder)->required();
  run_command->add_option("FOLDER", s.folder);
  for (auto* command : {prepare_command, run_command}) {
    command->add_option("--vocab", s.vocab);
    command->add_option("--dim", s.dim);
    command->add_option("--layers", s.layers);
  }
  run_command->add_option("--heads", s.heads);
  run_command->add_option("--hidden", s.hidden);
  for (auto* command : {peak_command, run_command}) {
    command->add_option("--threads", s.threads);
    command->add_option("--device", s.device)->check(CLI::IsMember({"cpu", "cuda"}));
  }
  run_command->add_option("--work", s.work)->check(CLI::IsMember({"train", "eval"}));
  run_command->add_flag("--naive", s.naive);
  run_command->add_flag("--recompute", s.recompute);
  run_command->add_flag("--together", s.together);
  run_command->add_flag("--bf16", s.bf16);
  std::map<std::string, WeightForm> forms;
  for (const auto& [form, name] : names_of(WeightForm{})) forms.emplace(name, form);
  run_command
      ->add_option_function<std::string>(
          "--weights", [&](const std::string& name) { s.weights = forms.at(name); })
      ->check(CLI::IsMember(forms));
  run_command->add_option("--batch", s.batch);
  run_command->add_option("--options", s.options);
  run_command->add_option("--steps", s.steps);
  run_command->add_option("--length", s.length);
  run_command->add_option("--max-seq-len", s.max_seq_len);
  run_command->add_option("--adapters", s.adapters);
  run_command->add_option("--tokens-at-once", s.tokens_at_once);
  CLI11_PARSE(app, argc, argv);
  doctest::Context checks;
  checks.setAsDefaultForAssertsOutOfTestCases();
  try {
    if (*prepare_command) prepare(s);
    if (*peak_command) peak(s);
    if (*notes_command) notes();
    if (*run_command) run(s, argc, argv);
  } catch (const c10::Error& error) {
    std::cerr << "speed: error: " << error.what_without_backtrace() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "speed: error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
