// Sizes that are known, and what they add up to. (tests/cli/memory.sh compares with a run's peak.)
#include "bovila/train/memory_need.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;

namespace {

LlamaParams llama_7b() {
  LlamaParams params;
  params.dim = 4096;
  params.n_layers = 32;
  params.n_heads = params.n_kv_heads = 32;
  params.vocab_size = 32000;
  return params;
}

/// input/star.toml's settings and its longest prompt.
Config star_config() {
  Config config;
  config.model.precision = Precision::kBf16;
  config.train.batch_size = 8;
  return config;
}
const MemoryInputs kStar{llama_7b(), 4'500'000, 120};

}  // namespace

TEST_CASE("7B on GPUs takes what jobs/README.md says") {
  const MemoryNeed need = memory_need(star_config(), kStar, /*on_gpu=*/true);
  CHECK(need.weights == doctest::Approx(13.48e9).epsilon(0.01));  // 6.74 billion in two bytes
  CHECK(need.activations == doctest::Approx(4.1e9).epsilon(0.1));
  CHECK(need.state == 16 * 4'500'000);
  CHECK(need.total() < int64_t{24'000'000'000});
  Config config = star_config();
  config.model.recompute_activations = true;
  CHECK(memory_need(config, kStar, true).activations == doctest::Approx(0.5e9).epsilon(0.2));
}

TEST_CASE("7B in smaller forms takes what jobs/README.md says, and a matrix that is expanded") {
  Config config = star_config();
  const MemoryNeed whole = memory_need(config, kStar, /*on_gpu=*/true);
  for (const auto& [form, gigabytes] :
       {std::pair(WeightForm::kInt8, 7.0), std::pair(WeightForm::kNf4, 4.2),
        std::pair(WeightForm::kNf4Dq, 3.9)}) {
    config.model.weights = form;
    const MemoryNeed need = memory_need(config, kStar, true);
    CHECK(need.weights == doctest::Approx(gigabytes * 1e9).epsilon(0.02));
    CHECK(need.activations - whole.activations == doctest::Approx(0.35e9).epsilon(0.1));
    CHECK(memory_need(config, kStar, false).activations <= whole.activations);
  }
}

TEST_CASE("33B and 65B shared out over cards take what jobs/README.md says") {
  LlamaParams p33 = llama_7b(), p65 = llama_7b();
  p33.dim = 6656, p33.n_heads = p33.n_kv_heads = 52, p33.n_layers = 60;
  p65.dim = 8192, p65.n_heads = p65.n_kv_heads = 64, p65.n_layers = 80;
  const auto gigabytes = [](const LlamaParams& llama, int64_t parts, WeightForm form,
                            bool recompute) {
    Config config = star_config();
    config.run.tensor_parallel = parts;
    config.model.weights = form;
    config.model.recompute_activations = recompute;
    return static_cast<double>(memory_need(config, {llama, 10 * 60 * 6656, 120}, true).total()) /
           1e9;
  };
  CHECK(gigabytes(p33, 4, WeightForm::kNf4, false) == doctest::Approx(11.8).epsilon(0.01));
  CHECK(gigabytes(p33, 2, WeightForm::kComputed, true) == doctest::Approx(35.1).epsilon(0.01));
  CHECK(gigabytes(p65, 8, WeightForm::kComputed, false) == doctest::Approx(24.5).epsilon(0.01));
}

TEST_CASE("a node of CPUs has each part once, and a rank the activations of its heads") {
  Config config = star_config();
  const MemoryNeed whole = memory_need(config, kStar, false);
  config.run.tensor_parallel = 4;
  const MemoryNeed part = memory_need(config, kStar, false);
  CHECK(part.node(8) - part.node(4) == 4 * (part.total() - part.weights));
  CHECK(part.node(4) == 4 * part.total());
  const double common = 2 * 2.0 * 32000 * 4096;  // embeddings and head in bf16
  CHECK(4 * (static_cast<double>(part.weights) - common) ==
        doctest::Approx(static_cast<double>(whole.weights) - common).epsilon(0.001));
  CHECK(part.activations < whole.activations / 2);
  CHECK(part.activations > whole.activations / 4);
}

TEST_CASE(
    "activations grow with the micro-batch, and with what of VAQ and AQA is computed at once") {
  const auto activations = [](int64_t batch, int64_t at_once, double asked) {
    Config config = star_config();
    config.train.batch_size = batch;
    config.loss.tokens_at_once = at_once;
    config.loss.vaq = config.loss.aqa = asked;
    return static_cast<double>(memory_need(config, kStar, true).activations);
  };
  CHECK(activations(16, 1024, 0) == doctest::Approx(2 * activations(8, 1024, 0)).epsilon(0.01));
  CHECK(activations(8, 0, 1) == doctest::Approx(2 * activations(8, 0, 0)).epsilon(0.01));
  CHECK(activations(32, 1024, 1) == activations(32, 1024, 0));  // the answers' are more
  CHECK(activations(1, 1, 1) == doctest::Approx(2 * activations(1, 1, 0)).epsilon(0.01));
}

TEST_CASE("the weights stand in a node's memory once, also on CPUs") {
  const MemoryNeed gpu = memory_need(star_config(), kStar, true);
  CHECK(gpu.node(8) - gpu.node(1) == 7 * gpu.host);
  const MemoryNeed cpu = memory_need(star_config(), kStar, false);
  CHECK(cpu.node(1) == cpu.total());
  CHECK(cpu.node(3) - cpu.node(1) == 2 * (cpu.total() - cpu.weights));
}

TEST_CASE("auto is bf16 on a GPU and fp32 on a CPU, and a deck's device is the only one shown") {
  Config config = star_config();
  config.model.precision = Precision::kAuto;
  CHECK(memory_need(config, kStar, false).weights == 2 * memory_need(config, kStar, true).weights);
  CHECK(format_memory(config, kStar, 8).size() == 4);
  config.run.device = DeviceRequest::kCuda;
  const auto lines = format_memory(config, kStar, 8);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("memory, estimated: a rank on a GPU 1"));
  CHECK(lines[1] == "memory, estimated: a node with 8 ranks on GPUs 46 GB: sbatch --mem=46G");
  config.run.device = DeviceRequest::kCpu;
  CHECK(format_memory(config, kStar, 1)[1].starts_with(
      "memory, estimated: a node with 1 rank on CPUs "));
}

TEST_CASE("every job asks for the memory that its deck needs with LLaMA-7B") {
  const auto needed = memory_need(star_config(), kStar, true).node(8);
  int jobs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(BOVILA_SOURCE_DIR "/jobs")) {
    if (entry.path().extension() != ".slurm") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::string job = text.str();
    if (job.find("DECK=") == std::string::npos) continue;  // extract.slurm loads no LLaMA
    std::smatch asked;
    REQUIRE(std::regex_search(job, asked, std::regex("#SBATCH --mem=([0-9]+)G\n")));
    CHECK(std::stoll(asked[1]) * 1'000'000'000 >= needed);
    ++jobs;
  }
  CHECK(jobs == 10);
}

TEST_CASE("memory is judged for all ranks of a machine together") {
  LeastMemory memory;
  memory.parameters = 1e9;
  memory.batches = 2e9;
  memory.layers = 3e9;
  memory.evaluation = 4e9;
  CHECK(memory.total() ==
        7e9);  // a micro-batch and a batch that is scored are never there together
  CHECK_NOTHROW(check_memory(memory, 2, 14e9));
  CHECK(
      contains(error_of([&] { check_memory(memory, 2, 13.9e9); }),
               "2 ranks of this machine would need 14.0 GB at least beside the weights, and it has "
               "13.9 GB. Of each rank: 1.0 GB for trained parameters"));
}
