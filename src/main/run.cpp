// bovila DECK: session, deck, start, inputs, model, then train, --eval or --check.
#include <iostream>

#include "bovila/checkpoint/published.h"
#include "bovila/checkpoint/run_folder.h"
#include "bovila/checkpoint/run_lock.h"
#include "bovila/core/build_info.h"
#include "bovila/core/log.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/placement.h"
#include "bovila/dist/versions.h"
#include "bovila/train/identity.h"
#include "bovila/train/trainer.h"
#include "src/main/check.h"
#include "src/main/commands.h"
#include "src/main/set_up.h"

namespace bovila {
namespace {

/// Collective: rank 0's lock on the output folder; null on the others. Held while a run trains.
std::unique_ptr<RunLock> lock_folder(const Config& config, Communicator& ranks) {
  std::unique_ptr<RunLock> lock;
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    lock = std::make_unique<RunLock>(config.output.folder);
    warn_of_file_system(config);
  });
  return lock;
}

/// Which bovila wrote a checkpoint, when it was another than this one.
std::string writer_text(const TrainState& state) {
  if (state.build.empty()) return ", saved by a bovila before 0.2";
  const auto of = [&](const char* name) {
    const auto found = state.build.find(name);
    return found == state.build.end() ? "unknown" : found->second;
  };
  const BuildInfo now = build_info();
  if (of("version") == now.version && of("git") == now.git) return "";
  return fmt::format(", saved by bovila {} (git {})", of("version"), of("git"));
}

/// Collective: the checkpoint to start from on all ranks, as rank 0 chose it.
std::optional<Checkpoint> find_start(const Config& config, const Start& start,
                                     Communicator& ranks) {
  std::optional<Checkpoint> checkpoint;
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    checkpoint = choose_start(config, start);
    make_run_folder(config);
  });
  const auto folder = ranks.broadcast(checkpoint ? checkpoint->folder.string() : "", 0);
  run_together(ranks, [&] {
    if (folder.empty()) return;
    if (!checkpoint) checkpoint = reopen_start(folder);
    if (ranks.rank() == 0 && !checkpoint->is_published) {
      log::info("going on from {}{}", folder, writer_text(checkpoint->state));
    }
  });
  return checkpoint;
}

/// Collective: the start-up lines.
void report_places(Communicator& ranks, torch::Device device) {
  const auto places = gather_places(ranks, device);
  if (ranks.rank() != 0) return;
  for (const auto& text : start_up_lines(program_text(), places)) log::info("{}", text);
  for (const auto& text : placement_concerns(places)) log::warn("{}", text);
}

/// This rank's parameters from a .pth; rank 0 says what it found.
void take_published(std::string_view doing, const std::string& path, Bovila& model,
                    const Communicator& ranks) {
  const auto contents = load_published(path, model.parameters());
  if (ranks.rank() == 0) report_published(doing, path, contents);
}

/// Collective.
void keep_settings(const Config& config, bool is_eval, Communicator& ranks) {
  run_together(ranks, [&] {
    if (ranks.rank() == 0) write_settings(config, versions_json(versions()), /*keep=*/is_eval);
  });
}

/// Collective: --eval. Scores the checkpoint, or the start values where there is none.
void evaluate_only(const Config& config, const std::optional<Checkpoint>& checkpoint, Bovila& model,
                   Trainer& trainer, Communicator& ranks) {
  if (!checkpoint && config.train.start.empty() && ranks.rank() == 0) {
    log::warn(
        "the output folder has no checkpoint: untrained start values are scored; a trained run "
        "is named with --resume");
  }
  run_together(ranks, [&] {
    if (!checkpoint) return;
    if (!checkpoint->is_published) return from_arrays(checkpoint->state, model.parameters());
    take_published("scoring the published checkpoint", checkpoint->folder, model, ranks);
  });
  keep_settings(config, /*is_eval=*/true, ranks);
  const Accuracy accuracy = trainer.evaluate();
  if (ranks.rank() == 0) log::info("accuracy {}", to_text(accuracy));
}

/// Collective.
void train(const Config& config, const std::optional<Checkpoint>& checkpoint, Trainer& trainer,
           Communicator& ranks) {
  if (checkpoint) trainer.restore(*checkpoint);
  if (trainer.is_done()) {
    if (ranks.rank() != 0) return;
    log::info(
        "this run is complete, {}: --eval scores it, a larger train.epochs goes on, --fresh starts "
        "over",
        config.train.epochs == 1 ? "its epoch" : fmt::format("all {} epochs", config.train.epochs));
    return;
  }
  keep_settings(config, /*is_eval=*/false, ranks);
  const Accuracy accuracy = trainer.run();
  if (ranks.rank() == 0) log::info("accuracy {}", to_text(accuracy));
}

}  // namespace

void run(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  MpiCommunicator host(MPI_COMM_WORLD, RunConfig{}.collective_timeout_s);
  Deck deck = share_deck(line, host);
  const Config& config = deck.config;
  host.set_timeout(config.run.collective_timeout_s);
  preemption.configure(config.run);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), config.run.collective_timeout_s);
  const int threads = set_up_threads(config.run, node);
  if (line.check) return check(config, host, threads, preemption);

  const torch::Device device = set_up_device(config.run, host, node);
  settle_precision(deck, device, host);
  const auto nccl = start_nccl(host, device);
  Communicator& ranks = nccl ? static_cast<Communicator&>(*nccl) : host;
  if (ranks.rank() == 0) std::cerr << deck.resolved << std::flush;
  report_places(ranks, device);
  const bool with_train = !line.start.eval;
  const auto lock = with_train ? lock_folder(config, ranks) : nullptr;
  const auto checkpoint = find_start(config, line.start, ranks);
  std::unique_ptr<Inputs> inputs;
  RunIdentity identity{deck.resolved, {}, ranks.size()};
  for (const auto& [name, text] : versions()) identity.build[name] = text;
  run_together(ranks, [&] {
    inputs = std::make_unique<Inputs>(config, with_train, preemption);
    if (with_train && ranks.rank() == 0) {
      identity.identity = make_identity(config, *inputs, [&] { preemption.check(); });
    }
  });
  if (ranks.rank() == 0) report_missing_videos(*inputs);
  Bovila model = make_model(config, inputs->llama, with_train, device, ranks, node, preemption);
  if (!checkpoint && !config.train.start.empty()) {
    run_together(ranks, [&] { take_published("starting from", config.train.start, model, ranks); });
  }
  Trainer trainer(config, std::move(identity), *inputs, model, ranks, preemption);
  if (line.start.eval) {
    evaluate_only(config, checkpoint, model, trainer, ranks);
  } else {
    train(config, checkpoint, trainer, ranks);
  }
}

}  // namespace bovila
