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
#include "src/main/set_up.h"
#include "src/main/trained.h"

namespace bovila {
namespace {

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

}  // namespace

void answer(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  if (session.size() > 1) {
    throw AgreedError(ExitCode::kUserError,
                      fmt::format("`bovila answer` is one process, {} were started: leave mpirun "
                                  "out",
                                  session.size()));
  }
  const bool one_video = std::filesystem::is_regular_file(line.features);
  Deck deck = read_deck_to_answer(line, one_video);
  const Config& config = deck.config;
  refuse_probe(config, "this is `bovila answer`");
  MpiCommunicator host(MPI_COMM_WORLD, config.run.collective_timeout_s);
  preemption.stand_down();
  run_together(host, [&] { check_threads(config.run.threads_per_rank, 1, machine_cores()); });
  set_up_threads(config.run, host);
  const torch::Device device = set_up_device(config.run, host, host);
  const Checkpoint checkpoint = settle_trained(deck, line.start);
  settle_precision(deck, device, host);
  const auto abstention = find_abstention(line.abstain, checkpoint);
  const auto tokenizer = load_tokenizer(find_tokenizer(config.model));
  const auto features =
      one_video ? FeatureStore::of_one_video(line.features) : FeatureStore(config.data.features);
  require_same(checkpoint, deck, features, line, preemption);
  const auto llama = read_model_params(config.model, *tokenizer);
  Bovila model = make_model(config, llama, features.dim(), /*for_training=*/false, device, host,
                            host, preemption);
  if (checkpoint.is_published) {
    const std::string file = checkpoint.folder.string();
    report_published("answering with the published checkpoint", file,
                     load_published(file, model.parameters()));
  } else {
    from_arrays(checkpoint.state, model.parameters());
    log::info("answering with {}", checkpoint.folder.string());
  }
  const Answerer answerer(config, features, *tokenizer, model);
  if (!line.query.options.empty()) {
    Query query = line.query;
    const OptionScores scores = answerer.answer(query);
    std::cout << answer_text(query, scores, abstention) << std::endl;
    return;
  }
  if (isatty(STDIN_FILENO) != 0) {
    log::info(
        "each line typed here is a question, {{\"video\": ..., \"question\": ..., \"options\": "
        "[...]}}; Ctrl-D ends");
  }
  const int64_t refused = answer_lines(std::cin, std::cout, answerer, abstention);
  if (refused > 0) throw UserError("{} of the lines could not be answered", refused);
}

}  // namespace bovila
