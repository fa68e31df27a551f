// bovila DECK: table of contents of the program. Session, deck, inputs, model, then train, --eval
// or
// --check, and the exit code.
#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>

#include "bovila/config/deck.h"
#include "bovila/config/dump.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/heap.h"
#include "bovila/core/log.h"
#include "bovila/data/report.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/mpi_session.h"
#include "bovila/dist/threads.h"
#include "bovila/train/checkpoint.h"
#include "bovila/train/trainer.h"

namespace bovila {
namespace {

struct CommandLine {
  std::string deck;
  std::vector<std::string> overrides;
  std::string resume;
  bool eval = false;
  bool check = false;
};

/// @throws CLI::ParseError, --help among it.
CommandLine parse(CLI::App& app, int argc, char** argv) {
  CommandLine line;
  std::string output;
  app.add_option("DECK", line.deck, "settings of the run, TOML (see input/README.md)")->required();
  app.add_option("--set", line.overrides, "table.key=value: overrides the deck")
      ->expected(1)
      ->take_all();
  app.add_option("--output", output, "folder for the results: overrides output.folder");
  app.add_option("--resume", line.resume,
                 "checkpoint to go on from: a step-... folder, or the "
                 "output folder of a run");
  app.add_flag("--eval", line.eval, "score the validation split and end");
  app.add_flag("--check", line.check, "check deck, data and weights, report and end");
  app.parse(argc, argv);
  if (!output.empty()) line.overrides.push_back("output.folder=" + output);
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
void check(const Config& config, Communicator& ranks, int num_threads) {
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    const auto start = std::chrono::steady_clock::now();
    const Inputs inputs(config, /*with_train=*/true);
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

void make_output_folder(const Config& config, Communicator& ranks) {
  run_together(ranks, [&] {
    if (ranks.rank() != 0) return;
    std::error_code error;
    std::filesystem::create_directories(config.output.folder, error);
    if (error) throw UserError("output.folder {}: {}", config.output.folder, error.message());
    write_file_durably(config.output.folder + "/config.json", to_json(config) + "\n");
  });
}

void run(const CommandLine& line, const MpiSession& session) {
  MpiCommunicator ranks(MPI_COMM_WORLD, RunConfig{}.collective_timeout_s);
  const Deck deck = share_deck(line, ranks);
  const Config& config = deck.config;
  ranks.set_timeout(config.run.collective_timeout_s);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), config.run.collective_timeout_s);
  const int threads = config.run.threads_per_rank > 0
                          ? static_cast<int>(config.run.threads_per_rank)
                          : choose_threads(node);
  torch::set_num_threads(threads);
  if (line.check) return check(config, ranks, threads);

  if (ranks.rank() == 0) {
    std::cerr << deck.resolved << std::flush;
    log::info("{} rank{} of {} thread{}", ranks.size(), ranks.size() == 1 ? "" : "s", threads,
              threads == 1 ? "" : "s");
  }
  make_output_folder(config, ranks);
  std::unique_ptr<Inputs> inputs;
  run_together(ranks, [&] { inputs = std::make_unique<Inputs>(config, !line.eval); });
  if (ranks.rank() == 0) report_missing_videos(*inputs);
  Bovila model = make_model(config, inputs->llama, !line.eval, ranks, node);
  Trainer trainer(config, deck.resolved, *inputs, model, ranks);
  if (!line.resume.empty()) {
    run_together(ranks, [&] {
      const Checkpoint checkpoint = resolve_checkpoint(line.resume);
      if (line.eval) {
        from_arrays(checkpoint.state, model.parameters());
      } else {
        trainer.restore(checkpoint);
      }
      if (ranks.rank() == 0) log::info("going on from {}", checkpoint.folder.string());
    });
  }
  const Accuracy accuracy =
      line.eval ? trainer.evaluate_now(config.output.folder + "/eval.json") : trainer.run();
  if (ranks.rank() == 0) log::info("accuracy {}", to_text(accuracy));
}

/// Runs the program; errors that all ranks know are reported by rank 0, others end the whole job.
ExitCode guarded(const CommandLine& line, const MpiSession& session) {
  try {
    run(line, session);
    return ExitCode::kSuccess;
  } catch (const AgreedError& error) {
    if (session.rank() == 0) log::error("{}", error.what());
    return error.code;
  } catch (const std::exception& error) {
    const bool users = dynamic_cast<const UserError*>(&error) != nullptr;
    log::error("rank {}: {}", session.name(), error.what());
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
  const bovila::MpiSession session(&argc, &argv);
  bovila::set_up_log(session.rank());
  return static_cast<int>(bovila::guarded(line, session));
}
