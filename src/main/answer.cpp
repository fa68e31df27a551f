// bovila answer: a trained model, and questions from the command line or standard input.
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "bovila/checkpoint/published.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/threads.h"
#include "bovila/evaluation/answerer.h"
#include "bovila/train/experiment.h"
#include "bovila/train/identity.h"
#include "src/main/commands.h"
#include "src/main/run_ranks.h"
#include "src/main/set_up.h"
#include "src/main/shared_input.h"
#include "src/main/trained.h"

namespace bovila {
namespace {

constexpr double kBeat_s = 60;

/// The deck of `bovila answer`: it reads no annotations, and perhaps other features.
Deck read_deck_to_answer(const CommandLine& line, bool one_video) {
  auto overrides = line.overrides;
  overrides.push_back("data.folder=.");
  if (!line.features.empty()) {
    overrides.push_back("data.features=" + (one_video ? "." : line.features));
  }
  return read_deck(line.deck, overrides);
}

/// The trained parameters to answer with. @throws UserError when there are none.
Checkpoint find_trained(const Config& config, Start start) {
  start.eval = true;  // the run itself is not touched
  if (auto checkpoint = choose_start(config, start)) return std::move(*checkpoint);
  if (!config.train.start.empty()) return {config.train.start, {}, /*is_published=*/true};
  throw UserError(
      "no checkpoint in {}: train first, or name another run's with --resume or --set "
      "output.folder=...",
      checkpoint_root(config).string());
}

/// Of --abstain, by the calibration of the run that the checkpoint is of.
std::optional<Abstention> find_abstention(std::optional<double> risk,
                                          const Checkpoint& checkpoint) {
  if (!risk) return std::nullopt;
  if (checkpoint.is_published) {
    throw UserError(
        "--abstain takes its threshold from a run's calibration.json, which {} has not: name a run "
        "with --resume",
        checkpoint.folder.string());
  }
  const auto run = checkpoint.folder.parent_path().parent_path();
  const auto& state = checkpoint.state;
  const auto contents = state.identity.find("data.val_split");
  const std::string split =
      parse_deck(state.deck, checkpoint.folder.string()).config.data.val_split;
  const Abstention found =
      read_abstention(run / "calibration.json", *risk, split,
                      contents == state.identity.end() ? "" : contents->second);
  log::info("{}", to_text(found));
  if (found.step != state.step) {
    log::warn(
        "the threshold is of the parameters after step {}, the answers are of step {}: "
        "`bovila DECK --eval` makes one of these",
        found.step, state.step);
  }
  return found;
}

/// Of a file, with what it tells of its run; and what the deck leaves open as it was trained.
Checkpoint settle_trained(Deck& deck, const Start& start) {
  Checkpoint checkpoint = find_trained(deck.config, start);
  if (checkpoint.is_published) read_origin(checkpoint.folder.string(), checkpoint.state);
  take_open(checkpoint, deck);
  return checkpoint;
}

/// @throws UserError when the model would answer under other settings, or with other files, than it
/// was trained with. Other features are asked for by --features.
void require_same(const Checkpoint& checkpoint, const Deck& deck, const FeatureStore& features,
                  const CommandLine& line, const Preemption& preemption) {
  RunIdentity current{deck.resolved, {}};
  if (!checkpoint.state.deck.empty()) {  // a published one knows no contents to compare
    current.identity = model_identity(deck.config, [&] { preemption.check(); });
    if (line.features.empty()) current.identity["data.features"] = features_identity(features);
  }
  compare_with_training(checkpoint, current, deck.config, line.start.despite);
}

/// The processes of `bovila answer` are one group.
void require_processes(const RunConfig& run, int started) {
  if (started == run.tensor_parallel) return;
  if (run.tensor_parallel == 1) {
    throw UserError("`bovila answer` is one process, {} were started: leave mpirun out", started);
  }
  throw UserError(
      "`bovila answer` with run.tensor_parallel = {0} is {0} processes, {1} started: put `mpirun "
      "-np {0}` before it, or --set run.tensor_parallel=1 where a process can hold the model alone",
      run.tensor_parallel, started == 1 ? "1 was" : fmt::format("{} were", started));
}

void take_parameters(const Checkpoint& checkpoint, AdapterParameters& parameters) {
  const std::string path = checkpoint.folder.string();
  if (checkpoint.is_published) {
    report_published("answering with the published checkpoint", path,
                     load_published(path, parameters));
  } else {
    from_arrays(checkpoint.state, parameters);
    log::info("answering with {}", path);
  }
}

/// The question of the command line, or those of standard input; the first process alone is heard.
void answer_all(Query query, const Answerer& answerer, const std::optional<Abstention>& abstention,
                MpiCommunicator& ranks) {
  NoOutput nothing;
  std::ostream nowhere(&nothing);
  std::ostream& out = ranks.rank() == 0 ? std::cout : nowhere;
  if (!query.options.empty()) {
    const OptionScores scores = answerer.answer(query);
    out << answer_text(query, scores, abstention) << std::endl;
    return;
  }
  if (isatty(STDIN_FILENO) != 0) {
    log::info(
        "each line typed here is a question, {{\"video\": ..., \"question\": ..., \"options\": "
        "[...]}}; Ctrl-D ends");
  }
  SharedInput shared(ranks, STDIN_FILENO, std::min(kBeat_s, ranks.timeout_s() / 4));
  std::istream lines(&shared);
  std::istream& in = ranks.size() == 1 ? std::cin : lines;
  const int64_t refused = answer_lines(in, out, answerer, abstention);
  if (refused > 0) throw UserError("{} of the lines could not be answered", refused);
}

}  // namespace

void answer(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  const bool one_video = std::filesystem::is_regular_file(line.features);
  MpiCommunicator host(MPI_COMM_WORLD, RunConfig{}.collective_timeout_s);
  Deck deck;
  run_together(host, [&] {
    deck = read_deck_to_answer(line, one_video);
    require_processes(deck.config.run, session.size());
    refuse_probe(deck.config, "this is `bovila answer`");
  });
  const Config& config = deck.config;
  host.set_timeout(config.run.collective_timeout_s);
  preemption.stand_down();
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), config.run.collective_timeout_s);
  RunRanks ranks(host, node, config.run.tensor_parallel);
  run_together(host,
               [&] { check_threads(config.run.threads_per_rank, node.size(), machine_cores()); });
  set_up_threads(config.run, node, ranks.grid().tensor());
  const torch::Device device = set_up_device(config.run, host, node);
  ranks.start_nccl(device);
  Checkpoint checkpoint;
  run_together(host, [&] { checkpoint = settle_trained(deck, line.start); });
  settle_precision(deck, device, host);
  std::optional<Abstention> abstention;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<FeatureStore> features;
  LlamaParams llama;
  run_together(host, [&] {
    abstention = find_abstention(line.abstain, checkpoint);
    tokenizer = load_tokenizer(find_tokenizer(config.model));
    features.emplace(one_video ? FeatureStore::of_one_video(line.features)
                               : FeatureStore(config.data.features));
    require_same(checkpoint, deck, *features, line, preemption);
    llama = read_model_params(config.model, *tokenizer);
  });
  Bovila model = make_model(config, llama, features->dim(), /*for_training=*/false, device,
                            ranks.grid(), ranks.sharers(), preemption);
  run_together(host, [&] { take_parameters(checkpoint, model.parameters()); });
  const Answerer answerer(config, *features, *tokenizer, model);
  // All processes have the same questions, and fail alike.
  run_together(host, [&] { answer_all(line.query, answerer, abstention, host); });
}

}  // namespace bovila
