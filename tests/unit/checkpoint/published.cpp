// Published checkpoints in memory: exact round trip, what is said of them, and mutated bytes. What
// PyTorch writes and reads is tests/cli/published.sh's.
#include "bovila/checkpoint/published.h"

#include <filesystem>
#include <limits>
#include <random>

#include "bovila/train/experiment.h"
#include "tests/unit/checkpoint/checkpoint_helpers.h"
#include "tests/unit/model/tiny_llama.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::put;
using testing::TempFolder;

namespace {

AdapterParameters make_parameters(uint64_t seed) {
  return {testing::tiny_params(), testing::tiny_model(), false, seed, torch::kCPU};
}

TrainState make_trained(const AdapterParameters& parameters) {
  TrainState state;
  state.step = 7;
  state.deck = "[model]\n# \xc3\xa9\n";
  state.arrays = to_arrays(parameters);
  state.arrays.push_back({"adamw/first_moment", {2}, {1, 2}});
  return state;
}

}  // namespace

TEST_CASE(
    "parameters come back from an exported file bit for bit, and the optimizer stays behind") {
  const TempFolder folder;
  auto first = make_parameters(1), second = make_parameters(2);
  auto odd = first.flat().narrow(0, 0, 4);
  const std::vector<float> values{-0.0F, std::numeric_limits<float>::denorm_min(),
                                  std::numeric_limits<float>::max(), 1.0F / 3};
  odd.copy_(torch::tensor(values));
  put(folder.path() + "/a.pth", to_published(make_trained(first)));
  const auto contents = load_published(folder.path() + "/a.pth", second);
  CHECK(torch::equal(first.flat().view(torch::kInt32), second.flat().view(torch::kInt32)));
  CHECK(contents.missing.empty());
  CHECK(contents.foreign.empty());
  CHECK(contents.settings.empty());
}

TEST_CASE("a file without scale_proj leaves its start values and says so; others must be there") {
  const TempFolder folder;
  const std::string path = folder.path() + "/a.pth";
  const auto first = make_parameters(1);
  auto second = make_parameters(2);
  const auto start = second.scale_weight().clone();
  TrainState state = make_trained(first);
  std::erase_if(state.arrays,
                [](const NamedArray& array) { return contains(array.name, "scale"); });
  put(path, to_published(state));
  CHECK(load_published(path, second).missing ==
        std::vector<std::string>{"scale_proj.weight", "scale_proj.bias"});
  CHECK(torch::equal(second.scale_weight(), start));
  CHECK(torch::equal(second.query(), first.query()));
  state.arrays.erase(state.arrays.begin());
  put(path, to_published(state));
  CHECK(contains(error_of([&] { load_published(path, second); }),
                 path + ": the parameter 'adapter_query.weight' is not in its dict \"model\""));
}

TEST_CASE("a parameter of another shape is named with both before anything is changed") {
  const TempFolder folder;
  const std::string path = folder.path() + "/a.pth";
  const auto first = make_parameters(1);
  auto second = make_parameters(2);
  const auto before = second.flat().clone();
  TrainState state = make_trained(first);
  state.arrays[2].shape = {16, 3};
  put(path, to_published(state));
  CHECK(
      contains(error_of([&] { load_published(path, second); }),
               "the parameter 'temporal_emb.weight' has shape [16, 3], this model's has [3, 16]"));
  CHECK(torch::equal(second.flat(), before));
}

TEST_CASE("a mutated published checkpoint is read or refused") {
  const TempFolder folder;
  const std::string path = folder.path() + "/a.pth";
  auto parameters = make_parameters(1);
  const std::string whole = to_published(make_trained(parameters));
  std::mt19937 random(1);
  int num_read = 0;
  for (int i = 0; i < 1500; ++i) {
    CAPTURE(i);
    std::string bytes = whole;
    for (int left = 3; left > 0; --left) bytes[random() % bytes.size()] ^= 1 << (random() % 8);
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    std::filesystem::remove(path);
    put(path, bytes);
    try {
      load_published(path, parameters);
      ++num_read;
    } catch (const UserError& error) {
      CHECK(contains(error.what(), path));
    }
  }
  CHECK(num_read < 750);
}
