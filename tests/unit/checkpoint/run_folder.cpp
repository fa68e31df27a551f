// Where a run starts: its newest checkpoint, a named one, afresh, and what a restarted job does.
#include "bovila/checkpoint/run_folder.h"

#include <doctest/doctest.h>

#include "bovila/core/error.h"
#include "tests/unit/checkpoint/checkpoint_helpers.h"

using namespace bovila;
using namespace bovila::testing;
namespace fs = std::filesystem;

namespace {

const Start kEval{"", false, true, false};
const Start kFresh{"", true, false, false};
const Start kFreshAgain{"", true, false, true};

struct Folder {
  TemporaryFolder temporary;
  Config config;
  explicit Folder(const std::vector<int64_t>& steps) {
    config.output.folder = temporary / "out";
    for (const int64_t step : steps) save_checkpoint(checkpoint_root(config), make_state(step));
  }
  fs::path operator/(const std::string& name) const {
    return config.output.folder / fs::path(name);
  }
  /// The step to start from, -1 for the start values.
  int64_t step(const Start& start) const {
    const auto checkpoint = choose_start(config, start);
    return checkpoint ? checkpoint->state.step : -1;
  }
};

}  // namespace

TEST_CASE("a run goes on from its newest valid checkpoint, or from the start values") {
  CHECK(Folder({}).step({}) == -1);
  const Folder folder({3, 7});
  CHECK(folder.step({}) == 7);
  CHECK(folder.step(kEval) == 7);
  put(folder / "checkpoints/step-00000007/state.h5", "");
  CHECK(folder.step({}) == 3);
}

TEST_CASE("checkpoints that are all invalid are an error, not a new start") {
  const Folder folder({3});
  fs::remove(folder / "checkpoints/step-00000003/manifest.json");
  CHECK(contains(error_of([&] { folder.step({}); }), "none of its checkpoints is valid"));
}

TEST_CASE("--resume names a checkpoint of this folder, or another's where this one has none") {
  const Folder folder({3, 7}), other({5}), empty({});
  const std::string others = other.config.output.folder;
  CHECK(empty.step({others, false, false, false}) == 5);
  CHECK(folder.step({folder / "checkpoints/step-00000003", false, false, false}) == 3);
  CHECK(contains(error_of([&] {
                   folder.step({"nowhere", false, true, false});
                 }),
                 "nowhere: expected a"));
  CHECK(folder.step({others, false, true, false}) == 5);
  const auto message = error_of([&] { folder.step({others, false, false, false}); });
  CHECK(contains(message, "holds checkpoints already, and --resume names another run's"));
  CHECK(contains(message, "leave --resume out"));
}

TEST_CASE("--resume FILE.pth is scored, not resumed from, and not read here") {
  const Folder folder({3});
  const std::string file = folder / "a.pth";
  put(file, "");
  const auto chosen = choose_start(folder.config, {file, false, true, false});
  REQUIRE(chosen.has_value());
  CHECK(chosen->is_published);
  CHECK(chosen->folder == file);
  CHECK(reopen_start(file).is_published);
  CHECK_FALSE(reopen_start(folder / "checkpoints/step-00000003").is_published);
  const auto message = error_of([&] { folder.step({file, false, false, false}); });
  CHECK(contains(message, file + ": a file is a published checkpoint"));
  CHECK(contains(message, "add --eval"));
  CHECK(folder.step({file, false, false, true}) == 3);  // a restarted job goes on with its own
}

TEST_CASE("checkpoint.resume = never refuses a folder that has checkpoints, but not to score one") {
  Folder folder({3}), empty({});
  folder.config.checkpoint.resume = empty.config.checkpoint.resume = "never";
  const auto message = error_of([&] { folder.step({}); });
  CHECK(contains(message, "holds checkpoints of a run, and checkpoint.resume is \"never\""));
  CHECK(contains(message, "--fresh"));
  CHECK(folder.step(kEval) == 3);
  CHECK(empty.step({}) == -1);
}

TEST_CASE("--fresh moves all that a run left to a folder of its own, and nothing else") {
  const Folder folder({3});
  const std::vector<std::string> moved = {
      "log.txt",         "metrics.jsonl",    "timing.jsonl", "config.json",
      "eval.json",       "epoch0.json",      "epoch12.json", "events.out.tfevents.000001",
      "questions.jsonl", "calibration.json", "ledger.jsonl", "hang-rank0.json"};
  const std::vector<std::string> left = {"epoch.json", "epochs.json", "notes.txt", "events.txt"};
  for (const auto& names : {moved, left}) {
    for (const std::string& name : names) put(folder / name, name);
  }
  CHECK(folder.step(kFresh) == -1);
  for (const std::string& name : moved) {
    CHECK_FALSE(fs::exists(folder / name));
    CHECK(read_text(folder / ("previous-1/" + name)) == name);
  }
  for (const std::string& name : left) CHECK(fs::exists(folder / name));
  CHECK(load_checkpoint(folder / "previous-1/checkpoints/step-00000003").step == 3);

  save_checkpoint(checkpoint_root(folder.config), make_state(1));
  CHECK(folder.step(kFresh) == -1);
  CHECK(fs::exists(folder / "previous-2/checkpoints/step-00000001"));
  CHECK(folder.step(kFresh) == -1);
  CHECK_FALSE(fs::exists(folder / "previous-3"));
}

TEST_CASE(
    "results without a checkpoint are moved aside, not overwritten, unless they are only scored") {
  const Folder folder({}), other({5});
  fs::create_directories(folder.config.output.folder);
  put(folder / "log.txt", "{}\n");
  put(folder / "epoch0.json", "[]");
  CHECK(contains(error_of([&] { folder.step({"nowhere", false, false, false}); }), "nowhere"));
  CHECK(folder.step(kEval) == -1);
  CHECK(read_text(folder / "log.txt") == "{}\n");
  CHECK(folder.step({}) == -1);
  CHECK_FALSE(fs::exists(folder / "log.txt"));
  CHECK(read_text(folder / "previous-1/log.txt") == "{}\n");
  CHECK(fs::exists(folder / "previous-1/epoch0.json"));
  put(folder / "log.txt", "");  // nothing that could be lost
  CHECK(folder.step({}) == -1);
  CHECK_FALSE(fs::exists(folder / "previous-2"));
  put(folder / "log.txt", "{}\n");
  CHECK(folder.step({other.config.output.folder, false, false, false}) == 5);
  CHECK(fs::exists(folder / "previous-2/log.txt"));
}

TEST_CASE("a job that Slurm starts again goes on, whatever its command line said the first time") {
  const Folder folder({3, 7}), other({5});
  CHECK(folder.step(kFreshAgain) == 7);
  CHECK(folder.step({other.config.output.folder, false, false, true}) == 7);
  CHECK_FALSE(fs::exists(folder / "previous-1"));
  const Folder killed_early({});
  CHECK(killed_early.step({other.config.output.folder, false, false, true}) == 5);
  CHECK(killed_early.step(kFreshAgain) == -1);
}

TEST_CASE("settings and build are written to a folder that is made when missing") {
  const Folder folder({});
  make_run_folder(folder.config);
  CHECK_FALSE(fs::exists(folder / "config.json"));
  write_settings(folder.config, "one", true);
  CHECK(contains(read_text(folder / "config.json"), "\"epochs\": 10"));
  CHECK(read_text(folder / "build.json") == "one");
  Config other = folder.config;
  other.train.epochs = 11;
  write_settings(other, "two", true);
  CHECK(contains(read_text(folder / "config.json"), "\"epochs\": 10"));
  CHECK(read_text(folder / "build.json") == "one");
  write_settings(other, "two", false);
  CHECK(contains(read_text(folder / "config.json"), "\"epochs\": 11"));
  CHECK(read_text(folder / "build.json") == "two");
  Config config;
  put(folder / "file", "");
  config.output.folder = (folder / "file/out").string();
  CHECK(contains(error_of([&] { make_run_folder(config); }), "output.folder"));
}

TEST_CASE("a config.json that no run wrote, a language model's, is not written over") {
  const Folder folder({});
  make_run_folder(folder.config);
  for (const char* text : {R"({"model_type": "llama", "vocab_size": 32000})", "not JSON", "[]"}) {
    put(folder / "config.json", text);
    CHECK(contains(error_of([&] { make_run_folder(folder.config); }), "that no run wrote"));
  }
  write_settings(folder.config, "", false);
  make_run_folder(folder.config);
}

TEST_CASE("--resume of a run that was moved aside does not go on among another run's checkpoints") {
  const Folder folder({3});
  Config old = folder.config;
  old.output.folder = folder / "previous-1";
  save_checkpoint(checkpoint_root(old), make_state(9));
  const Start resume{folder / "previous-1", false, false, false};
  CHECK(contains(error_of([&] { folder.step(resume); }), "--resume names another run's"));
  CHECK(folder.step({folder.config.output.folder + "/.", false, false, false}) == 3);
  fs::remove_all(checkpoint_root(folder.config));
  CHECK(folder.step(resume) == 9);
}
