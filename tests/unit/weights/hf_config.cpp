// Hugging Face's config.json: what is read, and every model in it that is not computed as LLaMA.
#include <nlohmann/json.hpp>

#include "bovila/weights/llama_params.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::error_of;
using testing::TempFolder;
using Kind = RopeScaling::Kind;

namespace {

const json kSmall = {{"model_type", "llama"},    {"hidden_size", 64},
                     {"intermediate_size", 96},  {"num_hidden_layers", 2},
                     {"num_attention_heads", 4}, {"vocab_size", 640},
                     {"torch_dtype", "bfloat16"}};

LlamaParams read(const json& changes, int64_t pieces = 640) {
  json config = kSmall;
  config.update(changes);
  const TempFolder folder;
  folder.write("config.json", config.dump());
  return read_llama_params(folder.path(), pieces);
}

std::string problem(const json& changes) {
  return error_of([&] { read(changes); });
}

}  // namespace

TEST_CASE("the sizes of a config.json are read, and transformers' defaults filled in") {
  const auto params = read(json::object());
  CHECK(params.dim == 64);
  CHECK(params.n_layers == 2);
  CHECK(params.n_heads == 4);
  CHECK(params.n_kv_heads == 4);
  CHECK(params.hidden_dim() == 96);
  CHECK(params.norm_eps == 1e-6);
  CHECK(params.rope_theta == 10000);
  CHECK(params.vocab_size == 640);
  CHECK_FALSE(params.tied_embeddings);
  CHECK((params.rope_scaling.kind == Kind::kNone));
}

TEST_CASE("LLaMA-3.2's keys are read") {
  const auto params = read({{"num_key_value_heads", 2},
                            {"rms_norm_eps", 1e-5},
                            {"rope_theta", 500000.0},
                            {"head_dim", 16},
                            {"tie_word_embeddings", true},
                            {"attention_bias", false},
                            {"rope_scaling",
                             {{"factor", 32.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192},
                              {"rope_type", "llama3"}}}});
  CHECK(params.n_kv_heads == 2);
  CHECK(params.norm_eps == 1e-5);
  CHECK(params.rope_theta == 500000);
  CHECK(params.tied_embeddings);
  CHECK((params.rope_scaling.kind == Kind::kLlama3));
  CHECK(params.rope_scaling.factor == 32);
  CHECK(params.rope_scaling.low == 1);
  CHECK(params.rope_scaling.high == 4);
  CHECK(params.rope_scaling.original_length == 8192);
}

TEST_CASE("rotary settings are found under the names of old and new versions") {
  const auto old_linear = read({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}});
  CHECK((old_linear.rope_scaling.kind == Kind::kLinear));
  CHECK(old_linear.rope_scaling.factor == 2);
  const auto plain = read({{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e5}}}});
  CHECK((plain.rope_scaling.kind == Kind::kNone));
  CHECK(plain.rope_theta == 5e5);
}

TEST_CASE("a mistral is computed as LLaMA, up to the length of its sliding window") {
  CHECK(read({{"model_type", "mistral"}, {"sliding_window", nullptr}}).dim == 64);
  CHECK(read({{"model_type", "mistral"}, {"sliding_window", nullptr}}).max_length == 0);
  CHECK(read({{"model_type", "mistral"}, {"sliding_window", 4096}}).max_length == 4096);
  CHECK(read({{"model_type", "llama"}, {"sliding_window", 4096}}).max_length == 0);
  CHECK(contains(problem({{"model_type", "mistral"}, {"sliding_window", 0}}),
                 "sliding_window is 0; only models that are computed as LLaMA"));
}

TEST_CASE("models that are not computed as LLaMA are refused with what differs") {
  CHECK(contains(problem({{"model_type", "qwen2"}}),
                 "config.json: model_type is 'qwen2', expected 'llama' or 'mistral'; only models"));
  CHECK(contains(problem({{"attention_bias", true}}), "attention_bias is true"));
  CHECK(contains(problem({{"mlp_bias", true}}), "mlp_bias is true"));
  CHECK(contains(problem({{"hidden_act", "gelu"}}), "hidden_act is 'gelu'"));
  CHECK(contains(problem({{"quantization_config", {{"bits", 4}}}}), "its weights are quantized"));
  CHECK(contains(problem({{"head_dim", 32}}),
                 "head_dim is 32, but hidden_size 64 / num_attention_heads 4 is 16"));
  CHECK(contains(problem({{"head_dim", INT64_MAX}}), "head_dim is 9223372036854775807, but"));
  CHECK(contains(problem({{"rope_parameters", {{"partial_rotary_factor", 0.5}}}}),
                 "partial_rotary_factor is not 1"));
}

TEST_CASE("an unknown rotary scaling is named, and one that lacks a number") {
  CHECK(contains(problem({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}}}}),
                 "rope_type is 'yarn', expected 'default', 'linear', 'dynamic' or 'llama3'"));
  CHECK(contains(problem({{"rope_scaling", {{"type", "dynamic"}}}}),
                 "the key 'max_position_embeddings' is missing"));
  const auto dynamic = read({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}},
                             {"max_position_embeddings", 2048}});
  CHECK(dynamic.max_length == 2048);
  CHECK(dynamic.rope_scaling.kind == RopeScaling::Kind::kNone);
  CHECK(contains(problem({{"rope_scaling", {{"rope_type", "linear"}}}}),
                 "config.json: rope_scaling: the key 'factor' is missing"));
  CHECK(contains(problem({{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}}}),
                 "the key 'low_freq_factor' is missing"));
  CHECK(contains(problem({{"rope_scaling", 8}}), "'rope_scaling' must be an object, got 8"));
  CHECK(contains(problem({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 0}}}}),
                 "needs a positive factor"));
  CHECK(contains(problem({{"rope_scaling",
                           {{"factor", 8.0},
                            {"low_freq_factor", 4.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 8192},
                            {"rope_type", "llama3"}}}}),
                 "a high frequency factor above the low one"));
}

TEST_CASE("missing and wrong keys of a config.json are named") {
  for (const char* key : {"model_type", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "vocab_size"}) {
    CHECK(contains(problem({{key, nullptr}}), fmt::format("the key '{}' is missing", key)));
  }
  CHECK(contains(problem({{"hidden_size", "64"}}), "'hidden_size' must be a number, got \"64\""));
  CHECK(contains(problem({{"model_type", 3}}), "'model_type' must be a text, got 3"));
  CHECK(contains(problem({{"intermediate_size", 0}}), "intermediate_size is not positive"));
  CHECK(contains(problem({{"num_attention_heads", 0}}), "must be positive"));
  CHECK(contains(problem({{"num_key_value_heads", 3}}), "must be a multiple of n_kv_heads"));
  CHECK(contains(problem({{"hidden_size", int64_t{1} << 40}}), "beyond those of any LLaMA"));
}

TEST_CASE("another model's tokenizer is told by the vocabulary of config.json") {
  const auto message = error_of([&] { read({{"vocab_size", 128256}}, 32000); });
  CHECK(contains(message, "vocab_size is 128256, but the tokenizer has 32000 pieces"));
}
