// Proves that decks are read strictly: each kind of mistake, its place, and all of them at once.
#include "bovila/config/deck.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "tests/unit/config/helpers.h"

namespace bovila {
namespace {

using testing::contains;
using testing::error_of;
using testing::kMinimal;
using testing::problems_of;
using testing::TemporaryFolder;

TEST_CASE("a misspelt key, a wrong type and a missing file are reported with their lines") {
  const TemporaryFolder folder;
  const std::string deck = folder.write("star.toml",
                                        "[model]\n"
                                        "llama = \"/no/such/llama\"\n"
                                        "[data]\n"
                                        "dataset = \"star\"\n"
                                        "folder = \"/\"\n"
                                        "features = \"/\"\n"
                                        "[train]\n"
                                        "batchsize = 8\n"
                                        "epochs = \"10\"\n"
                                        "[output]\n"
                                        "folder = \"/tmp/out\"\n");
  const std::string problems = error_of([&] { read_deck(deck); });
  CHECK(problems.starts_with(deck + ":2:9: folder '/no/such/llama' of model.llama is not there ("));
  CHECK(problems.ends_with(
      fmt::format("\n{0}:8:1: unknown key 'batchsize' in [train]; did you mean 'batch_size'?\n"
                  "{0}:9:10: train.epochs: expected an integer (1 .. 1000000), got string \"10\"",
                  deck)));
  CHECK(std::ranges::count(problems, '\n') == 2);
}

TEST_CASE("a smallest deck has the defaults everywhere else") {
  const Deck deck = parse_deck(kMinimal, "d.toml");
  CHECK(deck.config.model.llama == "llama");
  CHECK(deck.config.train.epochs == TrainConfig{}.epochs);
  CHECK(deck.config.model.precision == Precision::kAuto);
  CHECK_FALSE(deck.config.train.lr.has_value());
  CHECK(deck.warnings.empty());
}

TEST_CASE(
    "tables, dotted keys, inline tables, comments, CRLF and a byte-order mark are read alike") {
  const std::string rest =
      "[output]\nfolder = 'o'\n[data]\ndataset='star'\nfolder='d'\nfeatures='f'\n";
  for (const std::string& text :
       {"model.llama = 'a' # c\n" + rest, "[model]\r\nllama = 'a'\r\n" + rest,
        "model = {llama = 'a'}\n" + rest, "\xef\xbb\xbf[model]\nllama = \"\"\"a\"\"\"\n" + rest}) {
    CHECK(parse_deck(text, "d.toml").config.model.llama == "a");
  }
}

TEST_CASE("a whole number is a number") {
  CHECK(parse_deck(kMinimal + "loss.edl_mse = 2\n", "d.toml").config.loss.edl_mse == 2.0);
}

TEST_CASE("unknown keys name the nearest known key, its table, or all that there are") {
  const auto unknown = [](const std::string& key) { return problems_of(kMinimal + key + "\n"); };
  CHECK(unknown("train.epoch = 1") ==
        "d.toml:6:7: unknown key 'epoch' in [train]; did you mean 'epochs'?");
  CHECK(unknown("model.epochs = 1") ==
        "d.toml:6:7: unknown key 'epochs' in [model]; did you mean 'epochs' in [train]?");
  CHECK(unknown("model.bias = 1") ==
        "d.toml:6:7: unknown key 'bias' in [model]; did you mean 'attention_bias' in [model]?");
  CHECK(unknown("output.colour = 1") ==
        "d.toml:6:8: unknown key 'colour' in [output]; [output] has folder, log_every_steps, "
        "tensorboard");
  CHECK(contains(unknown("train.\"a\\nb\" = 1"), "unknown key 'a\\x0ab' in [train]"));
  CHECK(contains(unknown("train.epochs.x = 1"),
                 "train.epochs: expected an integer (1 .. 1000000), got a table"));
}

TEST_CASE("unknown tables and keys outside a table are errors") {
  CHECK(problems_of(kMinimal + "[trian]\nepochs = 1\n") ==
        "d.toml:6:2: unknown table 'trian'; did you mean [train]?");
  CHECK(problems_of(kMinimal + "[optimizer]\n") ==
        "d.toml:6:2: unknown table 'optimizer'; the tables are model, data, prompt, train, loss, "
        "eval, "
        "run, checkpoint, output");
  CHECK(problems_of("epochs = 3\n" + kMinimal) ==
        "d.toml:1:1: unknown key outside a table 'epochs'; did you mean 'epochs' in [train]?");
  CHECK(problems_of("train = 3\n" + kMinimal) ==
        "d.toml:1:9: expected a table [train], got integer 3");
  CHECK(contains(problems_of(kMinimal + "[[train]]\nepochs = 1\n"),
                 "expected a table [train], got an array"));
}

TEST_CASE("values of another type are errors, without any conversion") {
  const auto problem = [](const std::string& value) {
    const std::string problems = problems_of(kMinimal + value + "\n");
    return problems.substr(std::min(problems.find(' ') + 1, problems.size()));
  };
  const std::string epochs = "train.epochs: expected an integer (1 .. 1000000), got ";
  CHECK(problem("train.epochs = \"8\"") == epochs + "string \"8\"");
  CHECK(problem("train.epochs = 8.0") == epochs + "float 8.0");
  CHECK(problem("train.epochs = 0.1") == epochs + "float 0.1");
  CHECK(problem("train.epochs = true") == epochs + "boolean true");
  CHECK(problem("train.epochs = [8]") == epochs + "an array");
  CHECK(problem("train.epochs = {}") == epochs + "a table");
  CHECK(problem("train.epochs = 1979-05-27") == epochs + "a date or time");
  CHECK(problem("train.blr = \"0.1\"") ==
        "train.blr: expected a number (> 0, <= 100), got string \"0.1\"");
  CHECK(problem("train.lr = false") ==
        "train.lr: expected a number (> 0, <= 100), got boolean false");
  CHECK(problem("loss.aqa_gate = 1") == "loss.aqa_gate: expected true or false, got integer 1");
  CHECK(problem("loss.aqa_gate = \"true\"") ==
        "loss.aqa_gate: expected true or false, got string \"true\"");
  CHECK(problem("data.val_split = 1") ==
        "data.val_split: expected a string (not empty), got integer 1");
  CHECK(problem("model.precision = 32") ==
        "model.precision: expected a string (auto, fp32, bf16, fp16), got integer 32");
}

TEST_CASE("a list of strings has known words only") {
  const auto problem = [](const std::string& value) {
    const std::string problems = problems_of(kMinimal + "run.stop_signals = " + value + "\n");
    return problems.substr(std::min(problems.find(' ') + 1, problems.size()));
  };
  const std::string expected =
      "run.stop_signals: expected a list of strings (each of TERM, USR1, USR2, HUP, XCPU), got ";
  CHECK(problems_of(kMinimal + "run.stop_signals = []\n") == "no error");
  CHECK(problems_of(kMinimal + "run.stop_signals = [\"HUP\", \"USR1\"]\n") == "no error");
  CHECK(problem("[\"KILL\"]") == expected + "an array");
  CHECK(problem("[1]") == expected + "an array");
  CHECK(problem("\"USR1\"") == expected + "string \"USR1\"");
}

TEST_CASE("values out of range are errors") {
  for (const char* value : {"train.epochs = 0",
                            "train.batch_size = -1",
                            "train.accum_iter = 1000001",
                            "model.adapter_layers = -1",
                            "train.seed = -1",
                            "train.blr = 0.0",
                            "train.blr = inf",
                            "train.lr = 0",
                            "train.lr = nan",
                            "train.min_lr = -1e-9",
                            "train.warmup_epochs = -1",
                            "train.weight_decay = -0.1",
                            "loss.vaq = -1",
                            "loss.aqa = -inf",
                            "loss.edl_mse = nan",
                            "loss.edl_reg = -1e-9",
                            "model.attention_bias = inf",
                            "run.threads_per_rank = -1",
                            "run.prefetch_batches = 0",
                            "output.log_every_steps = 0",
                            "eval.batch_size = 0",
                            "model.max_feats = 9223372036854775807"}) {
    CAPTURE(value);
    CHECK(contains(problems_of(kMinimal + value + "\n"), ": expected a"));
  }
  CHECK(problems_of(kMinimal + "train.blr = nan\n") ==
        "d.toml:6:13: train.blr: expected a number (> 0, <= 100), got float nan");
}

TEST_CASE("words that are none of the allowed ones are errors with a guess") {
  CHECK(problems_of(kMinimal + "model.precision = \"double\"\n") ==
        "d.toml:6:19: model.precision: expected a string (auto, fp32, bf16, fp16), got string "
        "\"double\"");
  CHECK(contains(problems_of(kMinimal, {"model.precision=bf-16"}), "did you mean \"bf16\"?"));
  CHECK(contains(problems_of(kMinimal, {"model.precision=FP32"}), "did you mean \"fp32\"?"));
  CHECK(problems_of(kMinimal, {"data.dataset=dramqa"}) ==
        "--set data.dataset=dramqa: data.dataset: expected a string (star, dramaqa, vlep, tvqa, "
        "how2qa, nextqa, intentqa, egoschema, perceptiontest, mvbench, jsonl, mixture), got "
        "string \"dramqa\"; did you mean \"dramaqa\"?");
  CHECK(contains(problems_of(kMinimal + "data.over_long = \"ERROR\"\n"), "(error, skip)"));
}

TEST_CASE("strings that cannot be meant are errors") {
  CHECK(contains(problems_of(kMinimal, {"data.folder="}), "got string \"\""));
  CHECK(contains(problems_of(kMinimal, {"data.val_split=\"\""}), "got string \"\""));
  CHECK(contains(problems_of(kMinimal, {"data.folder=\"a\\u0000b\""}), "got string \"a\\u0000b\""));
  CHECK(contains(problems_of(kMinimal, {"data.folder=\"a\\nb\""}), "got string \"a\\u000Ab\""));
  CHECK(problems_of(kMinimal, {"model.tokenizer="}) == "no error");
}

TEST_CASE("a long string in a message is cut between characters") {
  std::string text = "x";
  for (int i = 0; i < 100; ++i) text += "\xc3\xa4";
  CHECK(contains(problems_of(kMinimal + "train.epochs = \"" + text + "\"\n"),
                 "\xc3\xa4\xc3\xa4\"..."));
}

TEST_CASE("missing required keys are reported where their table starts") {
  CHECK(problems_of("[data]\nfolder = 'd'\nfeatures = 'f'\n[model]\n[output]\nfolder = 'o'\n") ==
        "d.toml:1:2: [data] lacks the key 'dataset', a string (star, dramaqa, vlep, tvqa, how2qa, "
        "nextqa, intentqa, egoschema, perceptiontest, mvbench, jsonl, mixture) "
        "(whose annotations data.folder holds)\n"
        "d.toml:4:2: [model] lacks the key 'llama', a string (folder) (folder with LLaMA's "
        "weights: Meta's, Hugging Face's or bovila's own files)");
}

TEST_CASE("an empty deck lacks every required key") {
  for (const char* text : {"", "\n\n", "# nothing\n", "[train]\n"}) {
    const std::string problems = problems_of(text);
    for (const char* key : {"'llama'", "'dataset'", "'folder'", "'features'", "[output]"}) {
      CHECK(contains(problems, key));
    }
    CHECK(std::ranges::count(problems, '\n') == 4);
  }
}

TEST_CASE("text that is not TOML is reported at its place") {
  CHECK(problems_of(kMinimal + "train.epochs = \n").starts_with("d.toml:6:16: not TOML: "));
  CHECK(problems_of("[model\n").starts_with("d.toml:1:7: not TOML: "));
  // Texts that toml++ takes for a fault of its own.
  CHECK(problems_of("[=\n") == "d.toml:1:1: not TOML: expected a key or the name of a table");
  CHECK(problems_of(kMinimal + "\n[ ]\n[\xc3\xa9]\n").starts_with("d.toml:7:"));
  CHECK(contains(problems_of(kMinimal, {"train.epochs={=}"}), "train.epochs: expected an integer"));
  CHECK(problems_of(kMinimal + "train.epochs = 99999999999999999999\n").starts_with("d.toml:6:"));
}

TEST_CASE("a text without quotes and quotes of printed text are named as what they are") {
  CHECK(contains(problems_of(kMinimal + "model.precision = fp32\n"),
                 "; a text needs quotes: model.precision = \"fp32\""));
  CHECK(contains(problems_of(kMinimal + "model.tokenizer = /a/b.model\r\n"),
                 "; a text needs quotes: model.tokenizer = \"/a/b.model\""));
  CHECK(contains(problems_of(kMinimal + "model.precision = \xe2\x80\x9c"
                                        "fp32\xe2\x80\x9d\n"),
                 "; \xe2\x80\x9c is a quote of printed text, TOML's are \" and '"));
  CHECK_FALSE(contains(problems_of(kMinimal + "train.epochs = \n"), "quotes"));
  CHECK_FALSE(contains(problems_of(kMinimal + "model.precision = \"fp32\n"), "needs quotes"));
}

TEST_CASE("letters of any script outside of strings are reported at their place") {
  for (const char* letter : {"\xc2\xa1", "\xc3\xa9", "\xcf\x9f", "\xd0\x96", "\xe4\xb8\xad"}) {
    CAPTURE(letter);
    CHECK(problems_of(kMinimal + letter).starts_with("d.toml:6:1: not TOML: "));
    CHECK(problems_of(kMinimal + "a" + letter + " = 1\n").starts_with("d.toml:6:2: not TOML: "));
    CHECK_NOTHROW(parse_deck(kMinimal + "# " + letter + "\n", "d.toml"));
  }
}

TEST_CASE("duplicate keys and tables are errors") {
  CHECK(contains(problems_of(kMinimal + "[train]\nepochs = 1\nepochs = 2\n"), "d.toml:8:"));
  CHECK(contains(problems_of(kMinimal + "[train]\n[train]\n"), "d.toml:7:"));
}

TEST_CASE("bytes that are not UTF-8 are errors in decks and in --set") {
  CHECK(contains(problems_of("[model]\nllama = \"\xff\"\n"), "d.toml:2:9: not TOML: "));
  CHECK(contains(problems_of("# \xc3\x28\n" + kMinimal), "not TOML: "));
  CHECK(contains(problems_of(kMinimal, {"data.folder=\xff"}), "data.folder: expected a string"));
}

TEST_CASE("--set replaces what the deck says, the last one of a key wins") {
  const std::string deck = kMinimal + "train.epochs = 5\n";
  CHECK(parse_deck(deck, "d.toml", {"train.epochs=7"}).config.train.epochs == 7);
  CHECK(parse_deck(deck, "d.toml", {"train.epochs=7", "train.epochs = 9 "}).config.train.epochs ==
        9);
  CHECK(parse_deck(deck, "d.toml", {"train.lr=1e-2"}).config.train.lr == 1e-2);
  CHECK(parse_deck(deck, "d.toml", {"loss.aqa_gate=false"}).config.loss.aqa_gate == false);
}

TEST_CASE("--set takes strings with and without quotes") {
  const auto folder = [](const std::string& value) {
    return parse_deck(kMinimal, "d.toml", {"data.folder=" + value}).config.data.folder;
  };
  CHECK(folder("a/b") == "a/b");
  CHECK(folder("\"a/b\"") == "a/b");
  CHECK(folder("'a\\b'") == "a\\b");
  CHECK(folder("a b#c=d\\e\"f") == "a b#c=d\\e\"f");
  CHECK(folder("12") == "12");
  CHECK(folder("\xc3\xa4") == "\xc3\xa4");
}

TEST_CASE("--set can give what the deck lacks, and hides no mistake of the deck") {
  CHECK(problems_of("", {"model.llama=a", "data.dataset=star", "data.folder=b", "data.features=c",
                         "output.folder=d"}) == "no error");
  CHECK(contains(problems_of(kMinimal + "train.epochs = true\n", {"train.epochs=5"}),
                 "d.toml:6:16:"));
}

TEST_CASE("--set without a value, of an unknown key or of a wrong value is an error at its place") {
  CHECK(problems_of(kMinimal, {"train.epochs"}) == "--set train.epochs: expected table.key=value");
  CHECK(problems_of(kMinimal, {""}) == "--set : expected table.key=value");
  CHECK(problems_of(kMinimal, {"train.epoch=3"}) ==
        "--set train.epoch=3: unknown key 'train.epoch'; did you mean 'train.epochs'?");
  CHECK(problems_of(kMinimal, {"epochs=3"}) ==
        "--set epochs=3: unknown key 'epochs'; did you mean 'train.epochs'?");
  CHECK(problems_of(kMinimal, {"bias=3"}) ==
        "--set bias=3: unknown key 'bias'; did you mean 'model.attention_bias'?");
  CHECK(problems_of(kMinimal, {"model.bias=3"}) ==
        "--set model.bias=3: unknown key 'model.bias'; did you mean 'attention_bias' in [model]?");
  CHECK(contains(problems_of(kMinimal, {"=3"}), "unknown key ''"));
  CHECK(problems_of(kMinimal, {"train.epochs=abc"}) ==
        "--set train.epochs=abc: train.epochs: expected an integer (1 .. 1000000), got 'abc'");
  CHECK(contains(problems_of(kMinimal, {"train.epochs="}), "got ''"));
  CHECK(contains(problems_of(kMinimal, {"train.epochs=1.5"}), "got float 1.5"));
  CHECK(contains(problems_of(kMinimal, {"train.epochs=3\n[x]"}), "expected an integer"));
  CHECK(contains(problems_of(kMinimal, {"data.folder=\"a"}),
                 "expected a string (folder), got '\"a'"));
}

TEST_CASE("problems of the deck and of --set are reported together") {
  const std::string problems =
      problems_of(kMinimal + "train.epochs = 0\nmodel.x = 1\n", {"a", "train.lr=x"});
  CHECK(std::ranges::count(problems, '\n') == 3);
}

TEST_CASE("a deck that is missing, a folder or far too large is an error that names it") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { read_deck(folder / "no.toml"); }) ==
        (folder / "no.toml") + ": cannot read the deck: No such file or directory");
  CHECK(error_of([&] { read_deck(folder / ""); }) ==
        (folder / "") + ": expected a deck (a TOML file), got a folder");
  CHECK(contains(error_of([&] { read_deck(""); }), "cannot read the deck"));
  const std::string large = folder.write("large.toml", std::string((1 << 20) + 1, '\n'));
  CHECK(contains(error_of([&] { read_deck(large); }), "more than 1048576 bytes"));
}

TEST_CASE("a deck with any bytes changed or cut is read or refused, never more") {
  const std::string deck = testing::read_text(BOVILA_SOURCE_DIR "/input/star.toml");
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text = deck.substr(0, i % 2 == 0 ? deck.size() : random() % deck.size());
    for (int k = 0; k < 3 && !text.empty(); ++k) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    CHECK_NOTHROW(problems_of(text));
  }
}

}  // namespace
}  // namespace bovila
