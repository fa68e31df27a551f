// Proves the rules between keys, the warnings, and the checks of files and folders.
#include "bovila/config/validate.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "tests/unit/config/helpers.h"

namespace bovila {
namespace {

using testing::contains;
using testing::error_of;
using testing::kMinimal;
using testing::problems_of;
using testing::TemporaryFolder;

TEST_CASE("the warm-up must be shorter than the training") {
  CHECK(problems_of(kMinimal + "[train]\nepochs = 3\nwarmup_epochs = 3\n") ==
        "d.toml:8:17: train.warmup_epochs must be less than train.epochs, got 3 and 3");
  CHECK(problems_of(kMinimal + "[train]\nepochs = 3\nwarmup_epochs = 2.99\n") == "no error");
  CHECK(problems_of(kMinimal + "[train]\nepochs = 1\n") ==
        "d.toml:7:10: train.warmup_epochs must be less than train.epochs, got 2 and 1");
  CHECK(problems_of(kMinimal, {"train.epochs=1"}) ==
        "--set train.epochs=1: train.warmup_epochs must be less than train.epochs, got 2 and 1");
}

TEST_CASE("the learning rate must not end above its peak") {
  CHECK(problems_of(kMinimal + "train.min_lr = 0.2\ntrain.lr = 0.1\n") ==
        "d.toml:6:16: train.min_lr must not be above train.lr, got 0.2 and 0.1");
  CHECK(problems_of(kMinimal + "train.min_lr = 0.1\ntrain.lr = 0.1\n") == "no error");
  CHECK(problems_of(kMinimal + "train.min_lr = 0.1\n") == "no error");
}

TEST_CASE("questions_per_step takes the place of accum_iter and is whole micro-batches") {
  CHECK(problems_of(kMinimal + "train.accum_iter = 2\ntrain.questions_per_step = 128\n") ==
        "d.toml:7:28: train.questions_per_step takes the place of train.accum_iter, got 128 and 2: "
        "expected one of them (--set train.accum_iter=1 undoes a deck's)");
  CHECK(problems_of(kMinimal + "train.questions_per_step = 100\n") ==
        "d.toml:6:28: train.questions_per_step must be a multiple of train.batch_size, got 100 and "
        "8: ranks take whole micro-batches");
  CHECK(problems_of(kMinimal + "train.accum_iter = 2\ntrain.questions_per_step = 128\n",
                    {"train.accum_iter=1"}) == "no error");
}

TEST_CASE("the video tokens must fit into the prompt") {
  CHECK(
      problems_of(kMinimal + "model.max_seq_len = 10\n") ==
      "d.toml:6:21: model.max_feats must be less than model.max_seq_len, got 10 and 10: the video "
      "tokens are part of the prompt");
  CHECK(problems_of(kMinimal + "model.max_seq_len = 11\n") == "no error");
}

TEST_CASE("only data sets with subtitles may use them") {
  const std::string subtitles = kMinimal + "data.subtitles = true\n";
  for (const char* dataset : {"star", "dramaqa", "how2qa"}) {
    CHECK(problems_of(subtitles, {fmt::format("data.dataset={}", dataset)}) ==
          fmt::format("d.toml:6:18: data.subtitles = true needs a data set with subtitles (vlep, "
                      "tvqa, jsonl, mixture), got {}",
                      dataset));
  }
  CHECK(problems_of(subtitles, {"data.dataset=vlep"}) == "no error");
  CHECK(problems_of(subtitles, {"data.dataset=tvqa"}) == "no error");
  CHECK(problems_of(subtitles, {"data.dataset=jsonl"}) == "no error");
}

TEST_CASE("only one's own data sets may have a frame rate of its own") {
  const std::string rate = kMinimal + "data.frames_per_second = 2\n";
  CHECK(problems_of(rate, {"data.dataset=tvqa"}) ==
        "d.toml:6:26: data.frames_per_second is for data.dataset = \"jsonl\" and \"mixture\"; tvqa "
        "has its own");
  CHECK(problems_of(rate, {"data.dataset=jsonl"}) == "no error");
  CHECK(problems_of(rate, {"data.dataset=mixture"}) == "no error");
}

TEST_CASE("the answers' cross-entropy has a weight beside the evidential loss only") {
  CHECK(
      problems_of(kMinimal + "loss.edl_ce = 0.5\nloss.edl_mse = 0\n") ==
      "d.toml:6:15: loss.edl_ce = 0.5 stands beside loss.edl_mse; without it, 0, the answers' loss "
      "is their cross-entropy, with weight 1");
  CHECK(problems_of(kMinimal + "loss.edl_ce = 0.5\n") == "no error");
}

TEST_CASE("a key that is wrong in itself is not blamed a second time") {
  const std::string problems =
      problems_of(kMinimal + "train.warmup_epochs = 20\ntrain.epochs = \"\"\n");
  CHECK(problems ==
        "d.toml:7:16: train.epochs: expected an integer (1 .. 1000000), got string \"\"");
}

TEST_CASE("training the evidence scale with the published weights warns") {
  CHECK(parse_deck(kMinimal, "d.toml").warnings.empty());
  const auto warnings = [](const std::vector<std::string>& overrides) {
    return parse_deck(kMinimal, "d.toml", overrides).warnings;
  };
  REQUIRE(warnings({"loss.train_scale_proj=true"}).size() == 1);
  CHECK(contains(warnings({"loss.train_scale_proj=true"})[0], "collapse to one answer"));
  CHECK(warnings({"loss.train_scale_proj=true", "loss.edl_reg=1e-3"}).empty());
  CHECK(warnings({"loss.train_scale_proj=true", "loss.edl_mse=0"}).empty());
  const auto unused = warnings({"loss.train_scale_proj=true", "loss.uncertainty=softmax"});
  REQUIRE(unused.size() == 1);
  CHECK(contains(unused[0], "trains nothing"));
}

TEST_CASE("a split that is trained on and scored warns") {
  const auto deck = parse_deck(kMinimal, "d.toml", {"data.val_split=train"});
  REQUIRE(deck.warnings.size() == 1);
  CHECK(contains(deck.warnings[0], "data.train_split and data.val_split are both \"train\""));
}

/// Overrides that name four things of a folder; tests break one of them.
std::vector<std::string> paths_in(const TemporaryFolder& folder) {
  for (const char* name : {"llama", "star", "features"}) {
    std::filesystem::create_directory(folder / name);
  }
  return {"model.llama=" + (folder / "llama"), "data.folder=" + (folder / "star"),
          "data.features=" + (folder / "features"), "output.folder=" + (folder / "new/output"),
          "model.tokenizer=" + folder.write("t.model", "")};
}

TEST_CASE("a deck whose files are there is accepted, its output folder need not exist") {
  const TemporaryFolder folder;
  const auto paths = paths_in(folder);
  const std::string deck = folder.write("d.toml", kMinimal);
  CHECK(error_of([&] { read_deck(deck, paths); }) == "no error");
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
}

TEST_CASE("missing files and folders are reported together, with what belongs there") {
  const TemporaryFolder folder;
  const std::string deck = folder.write("d.toml", kMinimal + "model.tokenizer = \"/no/t.model\"\n");
  const std::string problems = error_of([&] { read_deck(deck); });
  CHECK(
      contains(problems, ":1:15: folder 'llama' of model.llama is not there (folder with LLaMA's"));
  CHECK(contains(problems, ":3:15: folder 'star' of data.folder is not there"));
  CHECK(contains(problems,
                 ":4:17: folder 'features' of data.features is not there (feature set made "
                 "by tools/pth2h5; relative paths start in /"));
  CHECK(contains(problems, ":6:19: file '/no/t.model' of model.tokenizer is not there"));
  CHECK(std::ranges::count(problems, '\n') == 3);
}

TEST_CASE("a file in a folder's place and a folder in a file's are reported") {
  const TemporaryFolder folder;
  auto paths = paths_in(folder);
  const std::string deck = folder.write("d.toml", kMinimal);
  paths.push_back("data.features=" + deck);
  paths.push_back("model.tokenizer=" + (folder / "llama"));
  const std::string problems = error_of([&] { read_deck(deck, paths); });
  CHECK(contains(problems, "data.features needs a folder, '" + deck + "' is a file"));
  CHECK(
      contains(problems, "model.tokenizer needs a file, '" + (folder / "llama") + "' is a folder"));
}

TEST_CASE("an output folder below a file is reported") {
  const TemporaryFolder folder;
  auto paths = paths_in(folder);
  const std::string deck = folder.write("d.toml", kMinimal);
  for (const std::string& path : {deck, deck + "/a/b"}) {
    paths.push_back("output.folder=" + path);
    CHECK(contains(
        error_of([&] { read_deck(deck, paths); }),
        fmt::format("'{}' of output.folder cannot be a folder: '{}' is a file", path, deck)));
  }
}

TEST_CASE("an output folder where nothing can be written is reported") {
  const TemporaryFolder folder;
  auto paths = paths_in(folder);
  const std::string deck = folder.write("d.toml", kMinimal);
  std::filesystem::create_directory(folder / "closed");
  std::filesystem::permissions(folder / "closed", std::filesystem::perms(0555));
  std::filesystem::permissions(folder / "", std::filesystem::perms(0755));
  paths.push_back("output.folder=" + (folder / "closed/new"));
  const bool is_root = geteuid() == 0;  // whom no permission binds
  if (is_root) REQUIRE(seteuid(65534) == 0);
  const std::string problems = error_of([&] { read_deck(deck, paths); });
  if (is_root) REQUIRE(seteuid(0) == 0);
  CHECK(contains(problems, "of output.folder cannot be written: '" + (folder / "closed") +
                               "': Permission denied"));
}

TEST_CASE("a path that the system refuses is reported, not thrown out of the check") {
  const TemporaryFolder folder;
  auto paths = paths_in(folder);
  const std::string deck = folder.write("d.toml", kMinimal);
  paths.push_back("data.folder=" + std::string(5000, 'x'));
  paths.push_back("output.folder=" + std::string(5000, 'y'));
  const std::string problems = error_of([&] { read_deck(deck, paths); });
  CHECK(contains(problems, "of data.folder: File name too long"));
  CHECK(contains(problems, "of output.folder: File name too long"));
}

TEST_CASE("reading from text looks at no file") {
  CHECK(problems_of(kMinimal) == "no error");
}

}  // namespace
}  // namespace bovila
