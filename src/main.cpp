// bovila DECK: table of contents of the program. Session, deck, start, inputs, model, then train,
// --eval, --check or answer, and the exit code.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "bovila/config/deck.h"
#include "bovila/config/dump.h"
#include "bovila/core/heap.h"
#include "bovila/core/log.h"
#include "bovila/data/report.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/determinism.h"
#include "bovila/dist/device.h"
#include "bovila/dist/mpi_session.h"
#include "bovila/dist/nccl_communicator.h"
#include "bovila/dist/threads.h"
#include "bovila/train/answerer.h"
#include "bovila/train/identity.h"
#include "bovila/train/published.h"
#include "bovila/train/run_folder.h"
#include "bovila/train/run_lock.h"
#include "bovila/train/self_check.h"
#include "bovila/train/trainer.h"

namespace bovila {
namespace {

struct CommandLine {
  std::string deck;
  std::vector<std::string> overrides;
  Start start;
  bool check = false;
  bool self_check = false;
  bool answer = false;
  std::string features;  ///< of `answer`: a feature set, or the file of one video
  Query query;           ///< of `answer`: without options they are read from standard input
};

/// `bovila answer`.
void add_answer(CLI::App& app, CommandLine& line) {
  auto* answer = app.add_subcommand(
      "answer",
      "answer questions with a trained model: the one of --option, or of each line of standard "
      "input, {\"video\": ..., \"question\": ..., \"options\": [...]}");
  answer->add_option("DECK", line.deck, "settings of the trained run")->required();
  answer->add_option("--set", line.overrides, "table.key=value: overrides the deck")
      ->expected(1)
      ->take_all();
  answer->add_option("--resume", line.start.resume,
                     "checkpoint: a step-... folder, or the output folder of a run (default: "
                     "output.folder's newest valid one)");
  answer->add_option("--features", line.features,
                     "feature set, or an HDF5 file with one video's /frames (default: the deck's)");
  Query& query = line.query;
  auto* options = answer->add_option("--option", query.options, "one of the answers to choose from")
                      ->expected(1)
                      ->take_all();
  const auto of_one_question = [&](const char* name, auto& value, const char* what) {
    return answer->add_option(name, value, what)->needs(options)->expected(1);
  };
  of_one_question("--video", query.videos, "name of the video; several are shown in a row")
      ->take_all();
  of_one_question("--question", query.question, "what is asked");
  of_one_question("--start", query.start_s, "where the clip begins, in seconds");
  of_one_question("--end", query.end_s, "where it ends");
  of_one_question("--dialogue", query.dialogue, "what is said in it");
}

/// @throws CLI::ParseError, --help among it.
CommandLine parse(CLI::App& app, int argc, char** argv) {
  CommandLine line;
  std::string output;
  app.add_option("DECK", line.deck, "settings of the run, TOML (see input/README.md)");
  app.add_option("--set", line.overrides, "table.key=value: overrides the deck")
      ->expected(1)
      ->take_all();
  app.add_option("--output", output, "folder for the results: overrides output.folder");
  auto* resume = app.add_option("--resume", line.start.resume,
                                "checkpoint to go on from: a step-... folder, or the output folder "
                                "of a run (default: output.folder's newest valid one); with --eval "
                                "also a published .pth");
  auto* fresh = app.add_flag("--fresh", line.start.fresh,
                             "start over: what an old run left in output.folder is moved to "
                             "previous-N/ in it");
  auto* eval = app.add_flag("--eval", line.start.eval, "score the validation split and end");
  app.add_flag("--check", line.check, "check deck, data and weights, report and end");
  app.add_flag("--self-check", line.self_check,
               "without a deck: check that libraries, devices and ranks work, report and end");
  fresh->excludes(resume)->excludes(eval);
  add_answer(app, line);
  app.parse(argc, argv);
  line.answer = app.got_subcommand("answer");
  if (line.deck.empty() && !line.self_check) throw CLI::RequiredError("DECK");
  const char* restarts = std::getenv("SLURM_RESTART_COUNT");
  line.start.is_restarted = restarts != nullptr && std::string_view(restarts) != "0";
  if (!output.empty()) line.overrides.push_back("output.folder=" + quote(output));
  return line;
}

/// Collective: rank 0 reads the deck, the others get its resolved text.
Deck share_deck(const CommandLine& line, Communicator& ranks) {
  Deck deck;
  run_together(ranks, [&] {
    if (ranks.rank() == 0) deck = read_deck(line.deck, line.overrides);
  });
  const std::string resolved = ranks.broadcast(deck.resolved, 0);
  if (ranks.rank() != 0) deck = parse_deck(resolved, line.deck);
  if (ranks.rank() == 0) {
    for (const std::string& warning : deck.warnings) log::warn("{}", warning);
  }
  return deck;
}

/// --check: everything that can be known before training, as a report on standard output.
void check(const Config& config, Communicator& ranks, int num_threads,
           const Preemption& preemption) {
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    const auto start = std::chrono::steady_clock::now();
    const Inputs inputs(config, /*with_train=*/true, preemption);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    log::info("tokenizer, features and annotations opened in {:.1f} s", taken.count());
    AdapterParameters(inputs.llama, config.model, config.loss.train_scale_proj, 0, torch::kCPU);
    check_llama_files(config.model.llama, inputs.llama);
    const Dataset* over_long = nullptr;
    for (const Dataset* data : {&*inputs.train, &*inputs.val}) {
      const auto report =
          make_data_report(data->split(), data->samples(), data->prompts(), inputs.features.get(),
                           config.model.max_seq_len, num_threads);
      for (const std::string& text : format_report(report)) std::cout << text << "\n";
      if (report.num_over_long > 0 && config.data.over_long == OverLong::kError) over_long = data;
    }
    if (over_long != nullptr) {
      throw UserError(
          "the split '{}' has over-long prompts; raise model.max_seq_len or set "
          "data.over_long = \"skip\"",
          over_long->split());
    }
    std::cout << "the deck, its data and the weights' files fit together\n";
  });
}

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

/// Collective: the checkpoint to start from on all ranks, as rank 0 chose it.
std::optional<Checkpoint> find_start(const Config& config, const Start& start,
                                     Communicator& ranks) {
  std::optional<Checkpoint> checkpoint;
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    checkpoint = choose_start(config, start);
    make_run_folder(config, /*keep_settings=*/start.eval);
  });
  const auto folder = ranks.broadcast(checkpoint ? checkpoint->folder.string() : "", 0);
  run_together(ranks, [&] {
    if (folder.empty()) return;
    if (!checkpoint) checkpoint = reopen_start(folder);
    if (ranks.rank() == 0 && !checkpoint->is_published) log::info("going on from {}", folder);
  });
  return checkpoint;
}

/// Collective: --eval. Scores the checkpoint, or the start values where there is none.
void evaluate_only(const std::optional<Checkpoint>& checkpoint, Bovila& model, Trainer& trainer,
                   Communicator& ranks) {
  run_together(ranks, [&] {
    if (!checkpoint) return;
    if (!checkpoint->is_published) return from_arrays(checkpoint->state, model.parameters());
    const auto contents = load_published(checkpoint->folder, model.parameters());
    if (ranks.rank() == 0) report_published(checkpoint->folder, contents);
  });
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
        "this run is complete, all {} epochs: --eval scores it, a larger train.epochs goes "
        "on, --fresh starts over",
        config.train.epochs);
    return;
  }
  const Accuracy accuracy = trainer.run();
  if (ranks.rank() == 0) log::info("accuracy {}", to_text(accuracy));
}

/// Collective: the device of this rank, with what the deck says about its numbers in force.
torch::Device set_up_device(const RunConfig& config, Communicator& ranks, Communicator& node) {
  if (config.deterministic) make_deterministic();  // before the first use of a GPU
  at::globalContext().setAllowTF32CuBLAS(config.tf32);
  return choose_device(config.device, ranks, node);
}

/// Collective. Null on the CPU, where `host` does everything.
std::unique_ptr<NcclCommunicator> start_nccl(MpiCommunicator& host, torch::Device device) {
  return device.is_cuda() ? std::make_unique<NcclCommunicator>(host, device) : nullptr;
}

/// Collective: --self-check.
void check_machine(const MpiSession& session) {
  constexpr double kTimeout_s = 60;
  MpiCommunicator host(MPI_COMM_WORLD, kTimeout_s);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), kTimeout_s);
  torch::set_num_threads(choose_threads(node));
  const torch::Device device = choose_device(DeviceRequest::kAuto, host, node);
  const auto nccl = start_nccl(host, device);
  self_check(session, nccl ? static_cast<Communicator&>(*nccl) : host, device, std::cout);
}

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
  throw UserError(
      "no checkpoint in {}: train first, or name another run's with --resume or --set "
      "output.folder=...",
      checkpoint_root(config).string());
}

/// bovila answer: one process, no collective work.
void answer(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  if (session.size() > 1) {
    throw AgreedError(ExitCode::kUserError,
                      fmt::format("`bovila answer` is one process, {} were started: leave mpirun "
                                  "out",
                                  session.size()));
  }
  const bool one_video = std::filesystem::is_regular_file(line.features);
  const Config config = read_deck_to_answer(line, one_video).config;
  MpiCommunicator host(MPI_COMM_WORLD, config.run.collective_timeout_s);
  preemption.stand_down();
  torch::set_num_threads(config.run.threads_per_rank > 0
                             ? static_cast<int>(config.run.threads_per_rank)
                             : choose_threads(host));
  const torch::Device device = set_up_device(config.run, host, host);
  const Checkpoint checkpoint = find_trained(config, line.start);
  const auto tokenizer = load_tokenizer(find_tokenizer(config.model));
  const auto features =
      one_video ? FeatureStore::of_one_video(line.features) : FeatureStore(config.data.features);
  const auto llama = read_llama_params(config.model.llama, tokenizer->vocab_size());
  Bovila model = make_model(config, llama, /*for_training=*/false, device, host, host, preemption);
  from_arrays(checkpoint.state, model.parameters());
  log::info("answering with {}", checkpoint.folder.string());
  const Answerer answerer(config, features, *tokenizer, model);
  if (!line.query.options.empty()) {
    Query query = line.query;
    const OptionScores scores = answerer.answer(query);
    std::cout << answer_text(query, scores) << std::endl;
    return;
  }
  const int64_t refused = answer_lines(std::cin, std::cout, answerer);
  if (refused > 0) throw UserError("{} of the lines could not be answered", refused);
}

void run(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  MpiCommunicator host(MPI_COMM_WORLD, RunConfig{}.collective_timeout_s);
  const Deck deck = share_deck(line, host);
  const Config& config = deck.config;
  host.set_timeout(config.run.collective_timeout_s);
  preemption.configure(config.run);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), config.run.collective_timeout_s);
  const int threads = config.run.threads_per_rank > 0
                          ? static_cast<int>(config.run.threads_per_rank)
                          : choose_threads(node);
  torch::set_num_threads(threads);
  if (line.check) return check(config, host, threads, preemption);

  const torch::Device device = set_up_device(config.run, host, node);
  const auto nccl = start_nccl(host, device);
  Communicator& ranks = nccl ? static_cast<Communicator&>(*nccl) : host;
  if (ranks.rank() == 0) {
    std::cerr << deck.resolved << std::flush;
    log::info("{} rank{} of {} thread{} on {}", ranks.size(), ranks.size() == 1 ? "" : "s", threads,
              threads == 1 ? "" : "s", device.is_cuda() ? "a GPU each" : "the CPU");
  }
  const bool with_train = !line.start.eval;
  const auto lock = with_train ? lock_folder(config, ranks) : nullptr;
  const auto checkpoint = find_start(config, line.start, ranks);
  std::unique_ptr<Inputs> inputs;
  RunIdentity identity{deck.resolved, {}, ranks.size()};
  run_together(ranks, [&] {
    inputs = std::make_unique<Inputs>(config, with_train, preemption);
    if (with_train && ranks.rank() == 0) {
      identity.identity = make_identity(config, *inputs, [&] { preemption.check(); });
    }
  });
  if (ranks.rank() == 0) report_missing_videos(*inputs);
  Bovila model = make_model(config, inputs->llama, with_train, device, ranks, node, preemption);
  Trainer trainer(config, std::move(identity), *inputs, model, ranks, preemption);
  if (line.start.eval) {
    evaluate_only(checkpoint, model, trainer, ranks);
  } else {
    train(config, checkpoint, trainer, ranks);
  }
}

/// Runs the program; errors that all ranks know are reported by rank 0, others end the whole job.
ExitCode guarded(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  try {
    if (line.self_check) {
      check_machine(session);
    } else if (line.answer) {
      answer(line, session, preemption);
    } else {
      run(line, session, preemption);
    }
    return ExitCode::kSuccess;
  } catch (const AgreedError& error) {
    if (session.rank() != 0) return error.code;
    if (error.code == ExitCode::kPreempted) {
      log::warn("{}: exit code {}, run me again", error.what(), static_cast<int>(error.code));
    } else {
      log::error("{}", error.what());
    }
    return error.code;
  } catch (const std::exception& error) {
    const bool users = dynamic_cast<const UserError*>(&error) != nullptr;
    log::error("{}{}", session.size() > 1 ? fmt::format("rank {}: ", session.name()) : "",
               error.what());
    const auto code = users ? ExitCode::kUserError : ExitCode::kFailure;
    if (session.size() > 1) session.abort(static_cast<int>(code));
    return code;
  }
}

}  // namespace
}  // namespace bovila

int main(int argc, char** argv) {
  CLI::App app("BoViLA: answers multiple-choice questions about videos with a frozen LLaMA");
  bovila::CommandLine line;
  try {
    line = bovila::parse(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = app.exit(error) == 0;
    return static_cast<int>(asked_for_help ? bovila::ExitCode::kSuccess
                                           : bovila::ExitCode::kUserError);
  }
  bovila::keep_freed_memory();
  // Never destroyed: a signal while the process ends must not take its exit code's place.
  static auto* const preemption = new bovila::Preemption();
  const bovila::MpiSession session(&argc, &argv);
  bovila::set_up_log(session.rank());
  return static_cast<int>(bovila::guarded(line, session, *preemption));
}
