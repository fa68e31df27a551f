// Asking on N ranks is asking on one, and what befalls one rank befalls all.
#include "bovila/evaluation/questioner.h"

#include <doctest/doctest.h>

#include <csignal>

#include "tests/mpi/golden_parts.h"

using namespace bovila;

namespace {

void questioner_no_progress(int64_t, int64_t) {}

/// The validation split, asked by `ranks` in batches of so many.
AskedQuestions ask(const StarParts& star, const Bovila& model, Communicator& ranks,
                   int64_t batch_size,
                   const EvaluationProgress& progress = questioner_no_progress) {
  Config config = star.config;
  config.eval.batch_size = batch_size;
  return ask_split(model, *star.parts.val, *star.parts.tokenizer, config, ranks, star.preemption,
                   progress);
}

}  // namespace

TEST_CASE("any number of ranks asks the same questions, each once") {
  const StarParts star;
  const Bovila model = star.model();
  auto ranks = all_ranks();
  auto alone = MpiCommunicator::self();
  for (const int64_t batch_size : {1, 5, 100}) {  // 12 questions: more and fewer batches than ranks
    CAPTURE(batch_size);
    const auto together = ask(star, model, ranks, batch_size);
    CHECK_FALSE(together.stopped);
    CHECK(std::ssize(together.text) == star.parts.val->size());
    CHECK(together.text == ask(star, model, alone, batch_size).text);
  }
}

TEST_CASE("all ranks stop asking when one was told to") {
  const StarParts star;
  const Bovila model = star.model();
  auto ranks = all_ranks();
  const bool last = ranks.rank() == ranks.size() - 1;
  const auto asked = ask(star, model, ranks, 1, [&](int64_t done, int64_t) {
    if (last && done == 2) std::raise(SIGTERM);
  });
  CHECK(asked.stopped.code == SIGTERM);
  CHECK(std::ssize(asked.text) == 2 * ranks.size());
}

TEST_CASE("an error while one rank asks is every rank's") {
  const StarParts star;
  const Bovila model = star.model();
  auto ranks = all_ranks();
  const bool last = ranks.rank() == ranks.size() - 1;
  const auto error = agreed_error_of([&] {
    ask(star, model, ranks, 1, [&](int64_t, int64_t) {
      if (last) throw UserError("video 'S1' is damaged");
    });
  });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
  CHECK(std::string(error->what()).find("video 'S1' is damaged") != std::string::npos);
  ranks.barrier();  // the ranks are still in step
}
