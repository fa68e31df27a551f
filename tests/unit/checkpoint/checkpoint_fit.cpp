// Proves src/checkpoint/checkpoint_fit.cpp: what a deck may change between two parts of one run.
#include "bovila/checkpoint/checkpoint_fit.h"

#include <doctest/doctest.h>

#include "tests/unit/config/helpers.h"

using namespace bovila;
using namespace bovila::testing;

namespace {

std::string resolved(const std::string& more = "") {
  return parse_deck(kMinimal + more, "d.toml").resolved;
}

std::vector<std::string> keys_of(const std::vector<Difference>& differences) {
  std::vector<std::string> keys;
  for (const Difference& difference : differences) keys.push_back(difference.key);
  return keys;
}

using Keys = std::vector<std::string>;

}  // namespace

TEST_CASE("a deck is flattened to its keys, with values as TOML") {
  const KeyValues values = flatten_deck(resolved("train.lr = 1e-3\n"), "d.toml");
  CHECK(values.at("train.lr") == "0.001");
  CHECK(values.at("train.epochs") == "10");
  CHECK(values.at("model.llama") == "'llama'");
  CHECK(values.at("loss.aqa_gate") == "true");
  CHECK_FALSE(flatten_deck(resolved(), "d.toml").contains("train.lr"));
}

TEST_CASE("what is not TOML is an error that names it") {
  CHECK(contains(error_of([] { flatten_deck("a = ", "deck"); }), "deck: expected a deck"));
  CHECK(contains(error_of([] { compare_decks("\xff", ""); }), "the checkpoint's deck.toml: "));
  CHECK(contains(error_of([] { compare_decks("", "[["); }), "the resolved deck: "));
}

TEST_CASE("equal decks have no differences") {
  const Fit fit = compare_decks(resolved(), resolved());
  CHECK(fit.allowed.empty());
  CHECK(fit.forbidden.empty());
}

TEST_CASE("epochs, output, run, evaluation, paths and the handling of errors may change") {
  const std::string now =
      "model.llama = \"7B\"\ndata.dataset = \"star\"\ndata.folder = \"f\"\ndata.features = \"g\"\n"
      "output.folder = \"o\"\ntrain.epochs = 3\ntrain.warmup_epochs = 2\ndata.val_split = "
      "\"test\"\n"
      "run.prefetch_batches = 9\neval.batch_size = 3\nmodel.tokenizer = \"t\"\n"
      "output.log_every_steps = 1\ntrain.non_finite = \"skip\"\ntrain.max_skipped_steps = 3\n";
  const Fit fit = compare_decks(resolved(), parse_deck(now, "d.toml").resolved);
  CHECK(fit.forbidden.empty());
  CHECK(keys_of(fit.allowed) ==
        Keys{"data.features", "data.folder", "data.val_split", "eval.batch_size", "model.llama",
             "model.tokenizer", "output.folder", "output.log_every_steps", "run.prefetch_batches",
             "train.epochs", "train.max_skipped_steps", "train.non_finite"});
}

TEST_CASE("everything else may not, also an optional key that was not set") {
  const Fit fit = compare_decks(
      resolved(),
      resolved("train.seed = 1\ntrain.lr = 0.5\nloss.vaq = 0\ndata.train_split = \"a\"\n"
               "model.precision = \"bf16\"\ntrain.batch_size = 4\n"));
  CHECK(fit.allowed.empty());
  CHECK(keys_of(fit.forbidden) == Keys{"data.train_split", "loss.vaq", "model.precision",
                                       "train.batch_size", "train.lr", "train.seed"});
  CHECK(fit.forbidden[4].text() == "train.lr: not set in the checkpoint, 0.5 now");
  CHECK(fit.forbidden[5].text() == "train.seed: 0 in the checkpoint, 1 now");
  CHECK(compare_decks("[train]\nmin_lr = 0.1\n", "").forbidden.at(0).text() ==
        "train.min_lr: 0.1 in the checkpoint, 0.0 now");
}

TEST_CASE("a key that an older deck did not have counts with its default") {
  std::string old = resolved();
  const std::string line = "seed = 0\n";
  REQUIRE(contains(old, line));
  old.erase(old.find(line), line.size());
  CHECK(compare_decks(old, resolved()).forbidden.empty());
  CHECK(keys_of(compare_decks(old, resolved("train.seed = 5\n")).forbidden) == Keys{"train.seed"});
}

TEST_CASE("a key that is not known any more is shown, and must not have been there") {
  const Fit fit = compare_decks(resolved() + "[old]\nkey = [1]\n", resolved());
  REQUIRE(fit.forbidden.size() == 1);
  CHECK(fit.forbidden[0].text() == "old.key: [ 1 ] in the checkpoint, not set now");
}

TEST_CASE("files' contents may not change, but for the split that is evaluated") {
  const Fit fit = compare_identities({{"model.llama", "1 a"}, {"data.val_split", "2 b"}},
                                     {{"model.llama", "1 c"}, {"data.features", "3 d"}});
  CHECK(keys_of(fit.allowed) == Keys{"data.val_split"});
  CHECK(keys_of(fit.forbidden) == Keys{"data.features", "model.llama"});
}

TEST_CASE("a run that fits gives what has changed, the number of ranks among it") {
  TrainState saved;
  saved.deck = resolved();
  saved.num_ranks = 2;
  saved.identity = {{"data.val_split", "1 a"}};
  const auto changed = require_fit(
      "step-1", saved, {resolved("train.epochs = 20\n"), {{"data.val_split", "1 b"}}, 4});
  CHECK(keys_of(changed) == Keys{"train.epochs", "data.val_split (contents)", "number of ranks"});
  CHECK(changed[2].text() == "number of ranks: 2 in the checkpoint, 4 now");
}

TEST_CASE("max_seq_len may change where no prompt is cut or left out") {
  const auto with = [](std::vector<std::string> overrides, const char* limit) {
    overrides.push_back(limit);
    return parse_deck(kMinimal, "d.toml", overrides).resolved;
  };
  const auto changed = [&](const std::vector<std::string>& before,
                           const std::vector<std::string>& now) {
    TrainState saved;
    saved.deck = with(before, "model.max_seq_len=160");
    saved.num_ranks = 1;
    return require_fit("step-1", saved, {with(now, "model.max_seq_len=512"), {}, 1});
  };
  CHECK(keys_of(changed({}, {})) == Keys{"model.max_seq_len"});
  const std::vector<std::string> skip = {"data.over_long=skip"};
  const std::vector<std::string> dialogues = {"data.dataset=vlep", "data.subtitles=true"};
  const std::string other = "model.max_seq_len: 160 in the checkpoint, 512 now";
  CHECK(contains(error_of([&] { changed(skip, skip); }), other));
  CHECK(contains(error_of([&] { changed({}, skip); }), other));
  CHECK(contains(error_of([&] { changed(dialogues, dialogues); }), other));
}

TEST_CASE("accum_iter may change with the number of ranks when steps stay what they are") {
  TrainState saved;
  saved.deck = resolved("train.accum_iter = 2\n");
  saved.num_ranks = 8;
  const RunIdentity same{resolved("train.accum_iter = 4\n"), {}, 4};
  const auto changes = require_fit("step-1", saved, same);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].text() == "train.accum_iter: 2 in the checkpoint, 4 now");
  const RunIdentity other{resolved("train.accum_iter = 4\n"), {}, 8};
  CHECK(contains(error_of([&] { require_fit("step-1", saved, other); }), "train.accum_iter: 2"));
}

TEST_CASE("smaller micro-batches may go on where a step's questions and their weights stay") {
  TrainState saved;
  saved.deck = resolved("train.batch_size = 8\ntrain.accum_iter = 2\nloss.aqa = 0.25\n");
  saved.num_ranks = 2;
  const auto changes = [&](const std::string& now, int64_t ranks = 2) {
    return keys_of(require_fit("step-1", saved, {resolved(now), {}, ranks}));
  };
  const auto refusal = [&](const std::string& now, int64_t ranks = 2) {
    return error_of([&] { changes(now, ranks); });
  };
  const std::string half = "train.batch_size = 4\ntrain.accum_iter = 4\n";
  // The gate adds up a micro-batch's AQA losses.
  CHECK(changes(half + "loss.aqa = 0.5\n") ==
        Keys{"loss.aqa", "train.accum_iter", "train.batch_size"});
  CHECK(contains(refusal(half + "loss.aqa = 0.25\n"),
                 "with loss.aqa_gate a micro-batch adds up their AQA losses: the same steps have "
                 "loss.aqa = 0.5\nGive the old values"));
  CHECK(changes("train.batch_size = 4\ntrain.accum_iter = 2\nloss.aqa = 0.5\n", 4) ==
        Keys{"loss.aqa", "train.batch_size", "number of ranks"});
  // So it does with the softmax's uncertainty, without an evidential loss.
  const std::string softmax = "loss.edl_mse = 0\nloss.uncertainty = \"softmax\"\n";
  saved.deck = resolved("train.batch_size = 8\ntrain.accum_iter = 2\n" + softmax);
  CHECK(contains(refusal(half + softmax), "the same steps have loss.aqa = 0.5"));
  // Without it each micro-batch is a mean.
  for (const char* mean : {"loss.aqa_gate = false\n", "loss.edl_mse = 0\n", "loss.aqa = 0\n"}) {
    CAPTURE(mean);
    saved.deck = resolved(std::string("train.batch_size = 8\ntrain.accum_iter = 2\n") + mean);
    CHECK(changes(half + mean) == Keys{"train.accum_iter", "train.batch_size"});
    CHECK(contains(refusal("train.batch_size = 4\ntrain.accum_iter = 3\n" + std::string(mean)),
                   "train.batch_size: 8 in the checkpoint, 4 now"));
    CHECK(contains(refusal(half + mean, 4), "train.accum_iter: 2 in the checkpoint, 4 now"));
  }
}

TEST_CASE("questions_per_step may take the place of accum_iter where steps stay what they are") {
  TrainState saved;
  saved.deck = resolved("train.accum_iter = 2\n");
  saved.num_ranks = 8;
  const RunIdentity same{resolved("train.questions_per_step = 128\n"), {}, 6};
  CHECK(keys_of(require_fit("step-1", saved, same)) ==
        Keys{"train.accum_iter", "train.questions_per_step", "number of ranks"});
  const RunIdentity other{resolved("train.questions_per_step = 64\n"), {}, 8};
  CHECK(contains(error_of([&] { require_fit("step-1", saved, other); }),
                 "train.questions_per_step: 0 in the checkpoint, 64 now"));
  saved.deck = same.deck;
  saved.num_ranks = 6;
  const RunIdentity fewer{same.deck, {}, 5};
  CHECK(keys_of(require_fit("step-1", saved, fewer)) == Keys{"number of ranks"});
}

TEST_CASE("an accum_iter that no run has written is another run's") {
  TrainState saved;
  const RunIdentity current{resolved(), {}, 4};
  for (const char* value : {"\"two\"", "\"2x\"", "9223372036854775807", "1.5", "true"}) {
    saved.deck = fmt::format("[train]\naccum_iter = {}\n", value);
    saved.num_ranks = 8;
    CHECK(contains(error_of([&] { require_fit("step-1", saved, current); }), "train.accum_iter: "));
  }
}

TEST_CASE("a run that does not fit is an error that lists every key with both values") {
  TrainState saved;
  saved.deck = resolved();
  saved.identity = {{"model.llama", "1 a"}};
  CHECK(error_of([&] {
          require_fit("step-1", saved, {resolved("train.seed = 1\n"), {{"model.llama", "1 b"}}, 1});
        }) ==
        "step-1: this checkpoint is of another run:\n"
        "  train.seed: 0 in the checkpoint, 1 now\n"
        "  model.llama (contents): 1 a in the checkpoint, 1 b now\n"
        "Give the old values, or start over with --fresh or another output.folder");
}
