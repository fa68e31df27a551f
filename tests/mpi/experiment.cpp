// What a run is made of, put together by several ranks.
#include "bovila/train/experiment.h"

#include <doctest/doctest.h>

#include <csignal>

#include "bovila/weights/llama_file.h"
#include "tests/mpi/golden_parts.h"
#include "tests/mpi/smaps.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;

TEST_CASE("all ranks have the same frozen weights and the same start values") {
  const StarParts star;
  auto ranks = all_ranks();
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  const auto llama = read_llama_params(star.config.model.llama, star.parts.tokenizer->vocab_size());
  Bovila model = make_model(star.config, llama, kFeatureDim, /*for_training=*/true, torch::kCPU,
                            ranks, node, star.preemption);
  CHECK(same_on_all(ranks, model.parameters().flat()));
  const auto expected = load_llama_weights(star.config.model.llama, llama, torch::kFloat32);
  const auto& weights = model.llama().weights();
  CHECK(torch::equal(weights.tok_embeddings, expected.tok_embeddings));
  CHECK(torch::equal(weights.output, expected.output));
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    CHECK(torch::equal(weights.layers[l].wqkv.values, expected.layers[l].wqkv.values));
    CHECK(torch::equal(weights.layers[l].w2.values, expected.layers[l].w2.values));
  }
}

TEST_CASE("the program's own file is mapped by all ranks of a node and in memory once") {
  const StarParts star;
  auto ranks = all_ranks();
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  const auto llama = read_llama_params(star.config.model.llama, star.parts.tokenizer->vocab_size());
  std::optional<testing::TempFolder> folder;
  if (ranks.rank() == 0) {
    folder.emplace();
    write_llama_file(star.config.model.llama, llama, torch::kFloat32,
                     folder->path() + "/" + kLlamaFileName);
  }
  Config config = star.config;
  config.model.llama = ranks.broadcast(folder ? folder->path() : "", 0);
  const Bovila model = make_model(config, llama, kFeatureDim, /*for_training=*/true, torch::kCPU,
                                  ranks, node, star.preemption);
  const auto& weights = model.llama().weights();
  const auto expected = load_llama_weights(star.config.model.llama, llama, torch::kFloat32);
  CHECK(torch::equal(weights.tok_embeddings, expected.tok_embeddings));
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    CHECK(torch::equal(weights.layers[l].wqkv.values, expected.layers[l].wqkv.values));
    CHECK(torch::equal(weights.layers[l].w13.values, expected.layers[l].w13.values));
    CHECK(torch::equal(weights.layers[l].w2.values, expected.layers[l].w2.values));
  }
  CHECK(torch::equal(weights.output, expected.output));
  ranks.barrier();  // everyone has read every matrix
  const void* at = weights.output.data_ptr();
  const size_t resident = smaps_bytes(at, "Rss");
  CHECK(resident >= weights.output.nbytes());
  constexpr size_t kSlack = 64 << 10;  // pages of norms and padding that not all have touched
  CHECK(smaps_bytes(at, "Pss") <= resident / static_cast<size_t>(node.size()) + kSlack);
  CHECK(smaps_bytes(at, "Anonymous") == 0);
  ranks.barrier();
}

TEST_CASE("weights that do not fit are an error of all ranks before any memory is taken") {
  const StarParts star;
  auto ranks = all_ranks();
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  auto llama = read_llama_params(star.config.model.llama, star.parts.tokenizer->vocab_size());
  llama.dim *= 2;
  const auto error = agreed_error_of([&] {
    make_model(star.config, llama, kFeatureDim, /*for_training=*/true, torch::kCPU, ranks, node,
               star.preemption);
  });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
}

TEST_CASE("a stop while the weights are loaded ends the loading on all ranks") {
  const StarParts star;
  auto ranks = all_ranks();
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  const auto llama = read_llama_params(star.config.model.llama, star.parts.tokenizer->vocab_size());
  if (node.rank() == 0) std::raise(SIGUSR2);
  const auto error = agreed_error_of([&] {
    make_model(star.config, llama, kFeatureDim, /*for_training=*/true, torch::kCPU, ranks, node,
               star.preemption);
  });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kPreempted);
  CHECK(std::string(error->what()) == "stopped by SIGUSR2");
}

TEST_CASE("over-long questions are found by the ranks together and the same for all") {
  StarParts star;
  auto ranks = all_ranks();
  std::vector<int64_t> lengths;
  for (int64_t row = 0; row < star.parts.train->size(); ++row) {
    const Example example = star.parts.train->example(row);
    lengths.push_back(std::max(example.vqa.size(), example.vaq.size()));
  }
  Config config = star.config;
  config.model.max_seq_len = *std::ranges::max_element(lengths) - 1;
  const Dataset data(config, "train", *star.parts.features, *star.parts.tokenizer);
  std::vector<int64_t> expected;
  for (int64_t row = 0; row < data.size(); ++row) {
    if (lengths[static_cast<size_t>(row)] <= config.model.max_seq_len) expected.push_back(row);
  }
  REQUIRE(std::ssize(expected) < data.size());
  CHECK(trainable_rows(data, OverLong::kSkip, ranks, star.preemption) == expected);

  const auto error =
      agreed_error_of([&] { trainable_rows(data, OverLong::kError, ranks, star.preemption); });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
  CHECK(std::string(error->what()).find(" longer than model.max_seq_len, the longest is") !=
        std::string::npos);
}
