// params.json: what is llama_params_read, what is filled in, and everything that can be wrong with
// it.
#include "bovila/weights/llama_params.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

constexpr const char* kSevenB =
    R"({"dim": 4096, "multiple_of": 256, "n_heads": 32, "n_layers": 32, "norm_eps": 1e-06,
        "vocab_size": -1})";

LlamaParams llama_params_read(const std::string& json, int64_t vocab_size = 32000) {
  const TempFolder folder;
  folder.write("params.json", json);
  return read_llama_params(folder.path(), vocab_size);
}

std::string llama_params_problem(const std::string& json) {
  return error_of([&] { llama_params_read(json); });
}

}  // namespace

TEST_CASE("7B's file is llama_params_read and the tokenizer's vocabulary filled in") {
  const LlamaParams params = llama_params_read(kSevenB);
  CHECK(params.dim == 4096);
  CHECK(params.n_layers == 32);
  CHECK(params.n_heads == 32);
  CHECK(params.n_kv_heads == 32);
  CHECK(params.norm_eps == 1e-6);
  CHECK(params.rope_theta == 10000);
  CHECK(params.vocab_size == 32000);
  CHECK(params.head_dim() == 128);
  CHECK(params.hidden_dim() == 11008);
}

TEST_CASE("SwiGLU's widths are those of the published models") {
  LlamaParams params;
  params.dim = 5120;  // 13B
  CHECK(params.hidden_dim() == 13824);
  params.dim = 6656;  // 33B
  CHECK(params.hidden_dim() == 17920);
  params.dim = 8192;  // LLaMA-3 70B
  params.multiple_of = 4096;
  params.ffn_dim_multiplier = 1.3;
  CHECK(params.hidden_dim() == 28672);
}

TEST_CASE("LLaMA-3's keys are llama_params_read; keys that are not ours are passed over") {
  const LlamaParams params = llama_params_read(
      R"({"dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256,
          "multiple_of": 1024, "ffn_dim_multiplier": 1.3, "norm_eps": 1e-05,
          "rope_theta": 500000.0, "max_batch_size": 1})",
      128000);
  CHECK(params.n_kv_heads == 8);
  CHECK(params.kv_dim() == 1024);
  CHECK(params.rope_theta == 500000);
  CHECK(params.vocab_size == 128256);
  CHECK(params.hidden_dim() == 14336);
}

TEST_CASE("use_scaled_rope stands for LLaMA-3.1's factors, and without it nothing is scaled") {
  const std::string sizes = R"("dim": 8, "n_layers": 2, "n_heads": 2, "vocab_size": -1)";
  for (const char* no : {"", R"(, "use_scaled_rope": false)", R"(, "use_scaled_rope": null)"}) {
    CHECK(
        (llama_params_read("{" + sizes + no + "}").rope_scaling.kind == RopeScaling::Kind::kNone));
  }
  const auto scaling =
      llama_params_read("{" + sizes + R"(, "use_scaled_rope": true})").rope_scaling;
  CHECK((scaling.kind == RopeScaling::Kind::kLlama3));
  CHECK(scaling.factor == 8);
  CHECK(scaling.low == 1);
  CHECK(scaling.high == 4);
  CHECK(scaling.original_length == 8192);
  CHECK(contains(llama_params_problem("{" + sizes + R"(, "use_scaled_rope": 8})"),
                 "'use_scaled_rope' must be true or false, got 8"));
}

TEST_CASE("a folder without params.json is named") {
  const TempFolder folder;
  const auto message = error_of([&] { read_llama_params(folder.path(), 10); });
  CHECK(contains(message, folder.path() + "/params.json cannot be read"));
  CHECK(contains(message, "must be a folder with Meta's params.json and"));
}

TEST_CASE("a file that is no JSON object is refused") {
  for (const char* text : {"", "{\"dim\": 4096", "[]", "7", "\xff\xfe"}) {
    CAPTURE(text);
    CHECK(contains(llama_params_problem(text), "params.json is not a JSON object"));
  }
}

TEST_CASE("a file with lists without end in one another is refused, and the stack does not end") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK(contains(llama_params_problem("{\"dim\": " + deep + "}"),
                 "params.json is not a JSON object"));
}

TEST_CASE("a number that is -1 in 64 bits is not -1") {
  CHECK(contains(llama_params_problem(R"({"dim": 8, "n_layers": 2, "n_heads": 2,
                             "vocab_size": 18446744073709551615})"),
                 "'vocab_size' must be a number, got 18446744073709551615"));
}

TEST_CASE("a missing key is named, also when it is null") {
  CHECK(contains(llama_params_problem(R"({"n_layers": 2, "n_heads": 2})"),
                 "the key 'dim' is missing"));
  CHECK(contains(llama_params_problem(R"({"dim": 8, "n_heads": 2})"),
                 "the key 'n_layers' is missing"));
  CHECK(contains(llama_params_problem(R"({"dim": 8, "n_layers": 2, "n_heads": null})"),
                 "the key 'n_heads' is missing"));
}

TEST_CASE("a value of another type is shown") {
  CHECK(contains(llama_params_problem(R"({"dim": "8", "n_layers": 2, "n_heads": 2})"),
                 "'dim' must be a number, got \"8\""));
  CHECK(contains(llama_params_problem(R"({"dim": 8.5, "n_layers": 2, "n_heads": 2})"),
                 "'dim' must be a number, got 8.5"));
  CHECK(contains(llama_params_problem(R"({"dim": 8, "n_layers": 2, "n_heads": 2, "norm_eps": []})"),
                 "'norm_eps' must be a number, got []"));
}

TEST_CASE("sizes that make no model are refused") {
  const auto with = [](const std::string& sizes) {
    return llama_params_problem("{\"n_layers\": 2, \"vocab_size\": 99999, " + sizes + "}");
  };
  CHECK(contains(with(R"("dim": 0, "n_heads": 2)"), "must be positive"));
  CHECK(contains(with(R"("dim": 8, "n_heads": -2)"), "must be positive"));
  CHECK(contains(with(R"("dim": 8, "n_heads": 2, "n_kv_heads": 0)"), "must be positive"));
  CHECK(contains(with(R"("dim": 8, "n_heads": 2, "multiple_of": 0)"), "must be positive"));
  CHECK(contains(with(R"("dim": 10, "n_heads": 2)"), "n_heads times an even head width"));
  CHECK(contains(with(R"("dim": 9, "n_heads": 2)"), "n_heads times an even head width"));
  CHECK(contains(with(R"("dim": 16, "n_heads": 4, "n_kv_heads": 3)"),
                 "n_heads must be a multiple of n_kv_heads"));
  CHECK(contains(with(R"("dim": 8, "n_heads": 2, "norm_eps": 0)"),
                 "norm_eps, rope_theta and ffn_dim_multiplier must be positive"));
  CHECK(contains(with(R"("dim": 8, "n_heads": 2, "rope_theta": -1)"), "must be positive"));
}

TEST_CASE("sizes beyond any model are refused before they are multiplied") {
  for (const char* sizes : {R"("dim": 4611686018427387904, "n_layers": 2)",
                            R"("dim": 8, "n_layers": 4611686018427387904)",
                            R"("dim": 8, "n_layers": 2, "multiple_of": 4611686018427387904)",
                            R"("dim": 8, "n_layers": 2, "vocab_size": 4611686018427387904)",
                            R"("dim": 8, "n_layers": 2, "ffn_dim_multiplier": 1e300)"}) {
    CAPTURE(sizes);
    CHECK(contains(llama_params_problem(std::string("{\"n_heads\": 2, ") + sizes + "}"),
                   "the sizes are beyond those of any LLaMA"));
  }
}

TEST_CASE("a vocabulary smaller than the tokenizer's belongs to another model") {
  const auto message =
      llama_params_problem(R"({"dim": 8, "n_layers": 2, "n_heads": 2, "vocab_size": 500})");
  CHECK(contains(message, "vocab_size is 500, but the tokenizer has 32000 pieces"));
  CHECK(contains(message, "it belongs to another model"));
}

TEST_CASE(
    "a vocabulary far beyond the tokenizer's belongs to another model, reserved rows do not") {
  const auto message =
      llama_params_problem(R"({"dim": 8, "n_layers": 2, "n_heads": 2, "vocab_size": 128256})");
  CHECK(contains(message, "vocab_size is 128256, but the tokenizer has 32000 pieces"));
  CHECK(llama_params_read(R"({"dim": 8, "n_layers": 2, "n_heads": 2, "vocab_size": 32064})")
            .vocab_size == 32064);
  CHECK(llama_params_read(R"({"dim": 8, "n_layers": 2, "n_heads": 2, "vocab_size": 34385})")
            .vocab_size == 34385);
}
