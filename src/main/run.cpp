// bovila DECK: session, deck, start, inputs, model, then train, --eval or --check.
#include <cmath>
#include <utility>

#include "bovila/checkpoint/published.h"
#include "bovila/checkpoint/run_folder.h"
#include "bovila/checkpoint/run_lock.h"
#include "bovila/core/build_info.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/cpu_types.h"
#include "bovila/dist/hang/hang_reporter.h"
#include "bovila/dist/placement.h"
#include "bovila/dist/threads.h"
#include "bovila/dist/versions.h"
#include "bovila/report/ledger.h"
#include "bovila/train/identity.h"
#include "bovila/train/memory_need.h"
#include "bovila/train/step_size.h"
#include "bovila/train/trainer.h"
#include "bovila/train/training_plan.h"
#include "src/main/check.h"
#include "src/main/commands.h"
#include "src/main/run_ranks.h"
#include "src/main/set_up.h"
#include "src/main/summary.h"
#include "src/main/trained.h"

namespace bovila {
namespace {

/// Collective: rank 0's lock on the output folder; null on the others. Held while a run trains, and
/// ears for `bovila stop`.
std::unique_ptr<RunLock> lock_folder(const Config& config, Communicator& ranks) {
  std::unique_ptr<RunLock> lock;
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    lock = std::make_unique<RunLock>(config.output.folder, RunLock::kBeat,
                                     [] { Preemption::request({StopReason::kCommand}); });
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

/// Collective: the checkpoint to start from on all ranks, as rank 0 chose it. Of a .pth, what it
/// tells of its run.
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
    if (checkpoint->is_published) read_origin(folder, checkpoint->state);
    if (ranks.rank() == 0 && !checkpoint->is_published) {
      log::info("{} {}{}", start.eval ? "scoring" : "going on from", folder,
                writer_text(checkpoint->state));
    }
  });
  return checkpoint;
}

/// Collective: the start-up lines.
void report_places(Communicator& ranks, torch::Device device, int64_t tensor_parallel) {
  const auto places = gather_places(ranks, device);
  if (ranks.rank() != 0) return;
  for (const auto& text : start_up_lines(program_text(), places)) log::info("{}", text);
  if (tensor_parallel > 1) log::info("{}", grid_text(ranks.size(), tensor_parallel));
  for (const auto& text : placement_concerns(places)) log::warn("{}", text);
}

/// Adapters that a new run starts from are of the weights that they were trained with.
void warn_of_other_weights(const std::string& path, const RunIdentity& current) {
  TrainState origin;
  read_origin(path, origin);
  for (const char* key : {"model.llama", "model.tokenizer"}) {
    const auto before = std::as_const(origin.identity).find(key), now = current.identity.find(key);
    if (before == origin.identity.end() || now == current.identity.end()) continue;
    if (before->second == now->second) continue;
    log::warn("{} was trained with another {}: {} there, {} here", path, key, before->second,
              now->second);
  }
}

void warn_of_precision(const Config& config) {
  const auto concern = precision_concern(config.model.precision, read_cpu_info());
  if (!concern.empty()) log::warn("{}", concern);
}

/// What the training will do. @throws UserError when that is nothing.
void report_plan(const Config& config, const Inputs& inputs, int64_t ranks) {
  const auto plan = plan_training(config.train, inputs.train->size(), ranks);
  for (const auto& text : find_concerns(plan, config.train)) log::warn("{}", text);
  log::info("{}", to_text(plan));
  log::info("{}", step_size_text(config, ranks));
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

/// Collective: what the command leaves open is as the checkpoint was trained.
void settle_open(const Checkpoint& checkpoint, Deck& deck, Communicator& ranks) {
  std::string resolved;
  run_together(ranks, [&] {
    if (ranks.rank() != 0 || checkpoint.state.deck.empty()) return;
    take_open(checkpoint, deck);
    resolved = deck.resolved;
  });
  resolved = ranks.broadcast(resolved, 0);
  if (ranks.rank() != 0 && !resolved.empty()) deck = parse_deck(resolved, "rank 0's deck");
}

void warn_of_guessing(const Accuracy& accuracy, const std::string& checkpoint) {
  if (!accuracy.is_like_guessing()) return;
  log::warn(
      "{} of {} right is what guessing gives ({:.1f}, give or take {:.1f}). If {} was trained "
      "well, "
      "then not with these weights, features or settings",
      accuracy.total.right, accuracy.total.questions, accuracy.guessed,
      2 * std::sqrt(accuracy.guessed_variance), checkpoint);
}

void report_letters(const Accuracy& accuracy) {
  log::info("letters: {}", letters_text(accuracy));
  if (const auto warning = lopsided_text(accuracy.right); !warning.empty())
    log::warn("{}", warning);
}

/// Collective: --eval. Scores the checkpoint, or the start values where there is none. `record` is
/// rank 0's.
Accuracy evaluate_only(const Config& config, const std::optional<Checkpoint>& checkpoint,
                       const EvalRecord& record, Bovila& model, Trainer& trainer,
                       Communicator& ranks) {
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
  const Accuracy accuracy = trainer.evaluate(record);
  if (ranks.rank() != 0) return accuracy;
  for (const auto& text : probe_lines(config.eval, accuracy)) log::info("{}", text);
  if (checkpoint && config.eval.video == VideoShown::kTrue) {
    warn_of_guessing(accuracy, checkpoint->folder.string());
  }
  return accuracy;
}

/// Collective. Nothing for a run that is complete already.
std::optional<Accuracy> train(const Config& config, const std::optional<Checkpoint>& checkpoint,
                              Trainer& trainer, Communicator& ranks) {
  if (checkpoint) trainer.restore(*checkpoint);
  if (trainer.is_done()) {
    if (ranks.rank() != 0) return std::nullopt;
    log::info(
        "this run is complete, {}: --eval scores it, a larger train.epochs goes on, --fresh starts "
        "over",
        config.train.epochs == 1 ? "its epoch" : fmt::format("all {} epochs", config.train.epochs));
    return std::nullopt;
  }
  keep_settings(config, /*is_eval=*/false, ranks);
  if (ranks.rank() == 0) Ledger(config.output.folder).load();
  return trainer.run();
}

}  // namespace

void run(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  CollectiveRecord record_of_collectives;
  MpiCommunicator host(MPI_COMM_WORLD, RunConfig{}.collective_timeout_s);
  Deck deck = share_deck(line, host);
  const Config& config = deck.config;
  host.set_timeout(config.run.collective_timeout_s);
  preemption.configure(config.run);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), config.run.collective_timeout_s);
  const bool with_train = !line.start.eval;
  // --check of one process tells of the ranks that there will be.
  const int64_t parts = line.check && host.size() == 1 ? 1 : config.run.tensor_parallel;
  RunRanks run_ranks(host, node, parts);
  const int64_t num_groups = host.size() / parts;
  run_together(host, [&] {
    check_threads(config.run.threads_per_rank, node.size(), machine_cores());
    if (with_train) refuse_probe(config, "this is a training");
    if (with_train) check_rates(config.train, num_groups);
    if (host.rank() == 0) check_parts(config);
  });
  const int threads = set_up_threads(config.run, node, run_ranks.grid().tensor());
  if (line.check) return check(config, host, node, threads, preemption);

  const torch::Device device = set_up_device(config.run, host, node);
  const auto scored = with_train ? std::nullopt : find_start(config, line.start, host);
  if (scored) settle_open(*scored, deck, host);
  run_ranks.start_nccl(device);
  run_ranks.note_in(record_of_collectives);
  const RankGrid grid = run_ranks.grid();
  Communicator& ranks = grid.all();
  report_places(ranks, device, parts);
  const auto lock = with_train ? lock_folder(config, ranks) : nullptr;
  const auto checkpoint = with_train ? find_start(config, line.start, ranks) : scored;
  const HangReporter hangs(config.output.folder, record_of_collectives, ranks, device.str(),
                           device.is_cuda());
  settle_precision(deck, device, ranks, checkpoint ? checkpoint->state.deck : "");
  if (ranks.rank() == 0) {
    for (const auto& text : opening_lines(line, config)) log::info("{}", text);
    if (device.is_cpu()) warn_of_precision(config);
  }
  std::unique_ptr<Inputs> inputs;
  RunIdentity identity{deck.resolved, {}, num_groups};
  for (const auto& [name, text] : versions()) identity.build[name] = text;
  EvalRecord record;
  run_together(ranks, [&] {
    inputs = std::make_unique<Inputs>(config, with_train, preemption);
    if (ranks.rank() != 0) return;
    report_coverage(config, *inputs);
    identity.identity = make_identity(config, *inputs, [&] { preemption.check(); });
    if (!with_train) record = make_record(checkpoint, identity, config, line.start.despite);
  });
  run_together(ranks, [&] {
    const auto memory = least_memory(config, *inputs, num_groups, device.is_cuda());
    check_memory(memory, node.size(), machine_memory());
    if (ranks.rank() == 0 && with_train) report_plan(config, *inputs, num_groups);
  });
  const auto concern = with_train ? rate_concern(config.train, inputs->llama) : "";
  if (ranks.rank() == 0 && !concern.empty()) log::warn("{}", concern);
  Bovila model = make_model(config, inputs->llama, inputs->features->dim(), with_train, device,
                            grid, run_ranks.sharers(), preemption);
  if (!checkpoint && !config.train.start.empty()) {
    run_together(ranks, [&] {
      if (ranks.rank() == 0) warn_of_other_weights(config.train.start, identity);
      take_published("starting from", config.train.start, model, ranks);
    });
  }
  Trainer trainer(config, std::move(identity), *inputs, model, grid, preemption);
  const auto accuracy = with_train
                            ? train(config, checkpoint, trainer, ranks)
                            : evaluate_only(config, checkpoint, record, model, trainer, ranks);
  if (!accuracy || ranks.rank() != 0) return;
  report_letters(*accuracy);
  const bool was_better =
      with_train && accuracy->known() && trainer.best_accuracy() > accuracy->total.value();
  const auto best =
      was_better ? BestEvaluation{trainer.best_accuracy(), trainer.best_step()} : BestEvaluation{};
  for (const auto& text :
       closing_lines(line, config, to_text(*accuracy), best, with_train ? trainer.step() : -1)) {
    log::info("{}", text);
  }
}

}  // namespace bovila
