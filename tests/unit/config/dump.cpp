// Proves that a written Config reads back as the same one, and what config.json holds.
#include "bovila/config/dump.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/unit/config/helpers.h"

namespace bovila {
namespace {

using testing::kMinimal;

Config reread(const Config& config) {
  return parse_deck(to_toml(config), "dump").config;
}

void check_equal(const Config& a, const Config& b) {
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    CHECK(value_text(key, a) == value_text(key, b));
  }
}

TEST_CASE("every key is written, one without a value as a comment") {
  const std::string text = to_toml(parse_deck(kMinimal, "d.toml").config);
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    const bool is_optional = key.path == "train.lr" || key.path == "model.scale_proj_seed" ||
                             key.path == "data.frames_per_second";
    CHECK(testing::contains(text, is_optional ? fmt::format("# {} is not set\n", key.name())
                                              : fmt::format("\n{} = ", key.name())));
  }
}

TEST_CASE("writing and reading gives the same Config for values that differ from every default") {
  const Config config = parse_deck(kMinimal, "d.toml",
                                   {"model.tokenizer=t.model",
                                    "model.precision=bf16",
                                    "model.max_feats=6",
                                    "model.max_seq_len=88",
                                    "model.adapter_len=5",
                                    "model.adapter_layers=3",
                                    "run.collective_timeout_s=60",
                                    "model.attention_bias=-1.25",
                                    "model.init_std=0.5",
                                    "model.scale_proj_seed=7",
                                    "data.dataset=jsonl",
                                    "data.train_split=a",
                                    "data.val_split=b",
                                    "data.subtitles=true",
                                    "data.shuffle_options=true",
                                    "data.over_long=skip",
                                    "data.max_missing=0.25",
                                    "train.start=s.pth",
                                    "train.epochs=7",
                                    "train.batch_size=3",
                                    "train.accum_iter=5",
                                    "train.blr=0.1",
                                    "train.lr=0.30000000000000004",
                                    "train.min_lr=5e-324",
                                    "train.warmup_epochs=0.5",
                                    "train.weight_decay=0",
                                    "train.clip_norm=0.5",
                                    "train.visual_lr_scale=0.25",
                                    "train.non_finite=skip",
                                    "train.max_skipped_steps=2",
                                    "train.seed=9223372036854775807",
                                    "model.weights=nf4",
                                    "data.frames_per_second=3",
                                    "data.normalize_frames=true",
                                    "prompt.vqa=Choose.",
                                    "prompt.vaq=Ask.",
                                    "prompt.qav=Show.",
                                    "loss.qav=0.5",
                                    "loss.qav_tau=10",
                                    "loss.vaq=1e-300",
                                    "loss.aqa=3",
                                    "loss.edl_mse=0.5",
                                    "loss.edl_reg=1e-7",
                                    "loss.edl_ce=2",
                                    "loss.uncertainty=softmax",
                                    "loss.aqa_gate=false",
                                    "loss.gate_gradient=false",
                                    "loss.aqa_gradient=asking",
                                    "loss.aqa_warmup_epochs=1.5",
                                    "loss.aqa_align=true",
                                    "loss.train_scale_proj=true",
                                    "loss.tokens_at_once=77",
                                    "eval.batch_size=1",
                                    "run.tensor_parallel=2",
                                    "run.threads_per_rank=2",
                                    "run.prefetch_batches=9",
                                    "run.device=cpu",
                                    "run.deterministic=true",
                                    "run.tf32=true",
                                    "model.recompute_activations=true",
                                    "run.stop_signals=[\"HUP\", \"USR1\"]",
                                    "run.time_limit_minutes=90.5",
                                    "run.stop_before_limit_s=30",
                                    "run.profile_steps=2",
                                    "run.self_check=true",
                                    "run.peak_tflops=989.5",
                                    "checkpoint.every_steps=500",
                                    "checkpoint.every_minutes=0",
                                    "checkpoint.keep=5",
                                    "checkpoint.resume=never",
                                    "eval.ask=true",
                                    "eval.video=other",
                                    "eval.options=rotations",
                                    "eval.temperature=1.5",
                                    "output.log_every_steps=1",
                                    "output.tensorboard=false"})
                            .config;
  const Config shared = parse_deck(kMinimal, "d.toml", {"train.questions_per_step=16"}).config;
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    const bool excludes_others = key.path == "train.questions_per_step";  // train.accum_iter
    CHECK(value_text(key, excludes_others ? shared : config) != value_text(key, Config{}));
  }
  check_equal(reread(config), config);
  check_equal(reread(shared), shared);
  CHECK(reread(config).train.lr == 0.30000000000000004);
  CHECK(reread(config).train.min_lr == 5e-324);
}

TEST_CASE("strings keep blanks, quotes, backslashes and every other character") {
  Config config = parse_deck(kMinimal, "d.toml").config;
  config.model.llama = " \"a\\b' \xc3\xa4\xf0\x9f\x8e\xac # = ";
  CHECK(reread(config).model.llama == config.model.llama);
  CHECK(quote("a\n\x7f") == "\"a\\u000A\\u007F\"");
}

TEST_CASE("numbers are written short, and whole ones as floats") {
  Config config;
  config.train.blr = 10;
  CHECK(value_text(*find_key("train.blr"), config) == "10.0");
  CHECK(value_text(*find_key("train.weight_decay"), config) == "0.14");
  CHECK(value_text(*find_key("loss.edl_reg"), config) == "1e-09");
  CHECK(value_text(*find_key("train.epochs"), config) == "10");
  CHECK(value_text(*find_key("train.lr"), config) == "");
}

TEST_CASE("the JSON form has every key under its table, null for one without a value") {
  const auto config = parse_deck(kMinimal, "d.toml", {"model.precision=bf16"}).config;
  const auto json = nlohmann::json::parse(to_json(config));
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    CHECK(json.at(std::string(key.table())).contains(std::string(key.name())));
  }
  CHECK(json["model"]["precision"] == "bf16");
  CHECK(json["train"]["lr"].is_null());
  CHECK(json["train"]["blr"] == 0.09);
  CHECK(json["train"]["epochs"] == 10);
  CHECK(json["loss"]["aqa_gate"] == true);
  CHECK(json["data"]["folder"] == "star");
}

}  // namespace
}  // namespace bovila
