// Hugging Face's files give Meta's weights, and every way in which they do not fit.
#include "src/weights/params_readers.h"
#include "tests/unit/weights/hf_llama.h"

using namespace bovila;
using testing::check_same;
using testing::contains;
using testing::error_of;
using testing::hf_tensors;
using testing::meta_tensors;
using testing::safetensors_of;
using testing::TempFolder;
using testing::tiny_params;
using testing::weights_of;
using testing::write_hf;

namespace {

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kQ = "model.layers.1.self_attn.q_proj.weight";

LlamaWeights load(const TempFolder& folder, const LlamaParams& params,
                  torch::ScalarType type = torch::kFloat32) {
  return load_llama_weights(folder.path(), params, type);
}

/// What check_llama_files says of a folder; loading says the same.
std::string problem_in(const TempFolder& folder, const LlamaParams& params = tiny_params()) {
  const auto message = error_of([&] { check_llama_files(folder.path(), params); });
  CHECK(error_of([&] { load(folder, params); }) == message);
  return message;
}

std::string problem_with(const testing::Tensors& tensors,
                         const LlamaParams& params = tiny_params()) {
  const TempFolder folder;
  write_hf(folder, params, tensors);
  return problem_in(folder, params);
}

/// Two shards, a.safetensors and b.safetensors, and their index.
nlohmann::json write_shards(const TempFolder& folder, const testing::Tensors& tensors) {
  folder.write("config.json", testing::config_of(tiny_params()).dump());
  nlohmann::json map = nlohmann::json::object();
  std::map<std::string, testing::Tensors> shards;
  for (const auto& [name, tensor] : tensors) {
    const std::string file = map.size() % 2 == 0 ? "a.safetensors" : "b.safetensors";
    map[name] = file;
    shards[file][name] = tensor;
  }
  for (const auto& [file, own] : shards) folder.write(file, safetensors_of(own));
  folder.write(kIndex, nlohmann::json{{"weight_map", map}}.dump());
  return map;
}

}  // namespace

TEST_CASE("one safetensors file gives Meta's weights to the bit, grouped heads too") {
  for (const int64_t kv_heads : {4, 2, 1}) {
    CAPTURE(kv_heads);
    const auto params = tiny_params(kv_heads);
    const TempFolder folder;
    write_hf(folder, params, hf_tensors(params));
    const auto read = read_llama_params(folder.path(), params.vocab_size);
    CHECK(read.hidden_dim() == params.hidden_dim());
    check_same(load(folder, read), weights_of(params, meta_tensors(params)));
  }
}

TEST_CASE("shards with an index give the weights of the one file") {
  const auto params = tiny_params();
  const TempFolder folder;
  write_shards(folder, hf_tensors(params));
  check_same(load(folder, params), weights_of(params, meta_tensors(params)));
}

TEST_CASE("pytorch_model.bin, alone or in shards with an index, gives the weights of safetensors") {
  const auto params = tiny_params(2);
  const auto tensors = hf_tensors(params);
  const TempFolder folder;
  folder.write("config.json", testing::config_of(params).dump());
  const std::string single = folder.path() + "/pytorch_model.bin";
  testing::write_tensors(single, tensors);
  check_same(load(folder, params), weights_of(params, meta_tensors(params)));
  const auto identity = llama_identity(folder.path(), torch::kFloat32);

  testing::Tensors first, second;
  nlohmann::json map = nlohmann::json::object();
  for (const auto& [name, tensor] : tensors) {
    const bool is_first = map.size() % 2 == 0;
    map[name] = is_first ? "pytorch_model-1.bin" : "pytorch_model-2.bin";
    (is_first ? first : second)[name] = tensor;
  }
  std::filesystem::remove(single);
  testing::write_tensors(folder.path() + "/pytorch_model-1.bin", first);
  testing::write_tensors(folder.path() + "/pytorch_model-2.bin", second);
  folder.write("pytorch_model.bin.index.json", nlohmann::json{{"weight_map", map}}.dump());
  check_same(load(folder, params), weights_of(params, meta_tensors(params)));
  CHECK(llama_identity(folder.path(), torch::kFloat32) != identity);

  map[kQ] = "../pytorch_model-1.bin";
  folder.write("pytorch_model.bin.index.json", nlohmann::json{{"weight_map", map}}.dump());
  CHECK(contains(problem_in(folder, params), "\"../pytorch_model-1.bin\" is no name of a .bin"));
}

TEST_CASE("a pytorch_model.bin that is damaged, or of something else, is refused") {
  const auto params = tiny_params();
  const TempFolder folder;
  folder.write("config.json", testing::config_of(params).dump());
  const std::string path = folder.path() + "/pytorch_model.bin";
  auto tensors = hf_tensors(params);
  testing::write_tensors(path, tensors);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  CHECK(contains(problem_in(folder), path + ": the file is cut short or damaged"));
  tensors[kQ] = torch::zeros({16, 8});
  testing::write_tensors(path, tensors);
  CHECK(contains(problem_in(folder), "'model.layers.1.self_attn.q_proj.weight' has shape [16, 8]"));
  tensors.erase(kQ);
  testing::write_tensors(path, tensors);
  CHECK(
      contains(problem_in(folder), "the tensor 'model.layers.1.self_attn.q_proj.weight' is miss"));
}

TEST_CASE("a whole model.safetensors is read, whatever an index of an earlier save lists") {
  const auto params = tiny_params();
  const TempFolder folder;
  CHECK(hf_files_note(folder.path()).empty());
  write_shards(folder, hf_tensors(params));
  CHECK(hf_files_note(folder.path()).empty());
  std::filesystem::remove(folder.path() + "/b.safetensors");
  write_hf(folder, params, hf_tensors(params));
  check_same(load(folder, params), weights_of(params, meta_tensors(params)));
  CHECK(contains(hf_files_note(folder.path()),
                 "/model.safetensors is read, as transformers does; "
                 "model.safetensors.index.json beside it"));
}

TEST_CASE("tied embeddings are in memory once, and a head in the file is passed over") {
  auto params = tiny_params();
  params.tied_embeddings = true;
  auto tensors = hf_tensors(params);
  for (const bool has_head : {true, false}) {
    if (!has_head) tensors.erase("lm_head.weight");
    const TempFolder folder;
    write_hf(folder, params, tensors);
    const auto weights = load(folder, params);
    CHECK(weights.output.data_ptr() == weights.tok_embeddings.data_ptr());
    CHECK(torch::equal(weights.output, meta_tensors(params).at("tok_embeddings.weight")));
  }
}

TEST_CASE("half-width safetensors are converted while they are read") {
  const auto params = tiny_params(2);
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    auto tensors = hf_tensors(params);
    auto meta = meta_tensors(params);
    for (auto& [name, tensor] : tensors) tensor = tensor.to(type);
    for (auto& [name, tensor] : meta) tensor = tensor.to(type);
    const TempFolder folder;
    write_hf(folder, params, tensors);
    check_same(load(folder, params), weights_of(params, meta));
    check_same(load(folder, params, torch::kBFloat16), weights_of(params, meta, torch::kBFloat16));
  }
}

TEST_CASE("the rotary frequencies that old versions saved are passed over") {
  auto tensors = hf_tensors(tiny_params());
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch::rand({2});
  CHECK(problem_with(tensors).empty());
}

TEST_CASE("the identity is that of the bytes, wherever they lie") {
  const auto params = tiny_params();
  auto tensors = hf_tensors(params);
  const TempFolder first, second, third;
  write_hf(first, params, tensors);
  write_hf(second, params, tensors);
  tensors.at(kQ)[3][5] += 1;
  write_hf(third, params, tensors);
  const auto identity = llama_identity(first.path(), torch::kFloat32);
  CHECK(llama_identity(second.path(), torch::kFloat32) == identity);
  CHECK(llama_identity(third.path(), torch::kFloat32) != identity);
}

TEST_CASE("hashing large files can be interrupted") {
  const TempFolder folder;
  write_hf(folder, tiny_params(), hf_tensors(tiny_params()));
  const auto stop = [] { throw UserError("stopped"); };
  CHECK(error_of([&] { llama_identity(folder.path(), torch::kFloat32, stop); }) == "stopped");
  CHECK(error_of([&] {
          load_llama_weights(folder.path(), tiny_params(), torch::kFloat32, {}, stop);
        }) == "stopped");
}

TEST_CASE("a folder with config.json alone says what is missing") {
  const TempFolder folder;
  folder.write("config.json", testing::config_of(tiny_params()).dump());
  const auto message = problem_in(folder);
  CHECK(contains(message, folder.path() + "/model.safetensors is missing"));
  CHECK(contains(message, "pytorch_model.bin.index.json; have transformers save the model again"));
}

TEST_CASE("a shard that is missing is named, and an index that names none or another place") {
  const TempFolder folder;
  auto map = write_shards(folder, hf_tensors(tiny_params()));
  std::filesystem::remove(folder.path() + "/b.safetensors");
  CHECK(contains(problem_in(folder), "/b.safetensors is missing; model.safetensors.index.json"));
  map[kQ] = "../a.safetensors";
  folder.write(kIndex, nlohmann::json{{"weight_map", map}}.dump());
  CHECK(contains(problem_in(folder), "\"../a.safetensors\" is no name of a .safetensors file"));
  map[kQ] = std::string("a.safetensors\0.safetensors", 26);
  folder.write(kIndex, nlohmann::json{{"weight_map", map}}.dump());
  CHECK(contains(problem_in(folder), "\"a.safetensors\\u0000.safetensors\" is no name"));
  map[kQ] = 7;
  folder.write(kIndex, nlohmann::json{{"weight_map", map}}.dump());
  CHECK(contains(problem_in(folder), "must be a text, got 7"));
  folder.write(kIndex, R"({"weight_map": {}})");
  CHECK(contains(problem_in(folder), "lists no files"));
  folder.write(kIndex, "{}");
  CHECK(contains(problem_in(folder), "the key 'weight_map' is missing"));
  folder.write(kIndex, "cut sh");
  CHECK(contains(problem_in(folder), "is not a JSON object"));
}

TEST_CASE("a tensor in two shards is refused") {
  const TempFolder folder;
  const auto tensors = hf_tensors(tiny_params());
  write_shards(folder, tensors);
  folder.write("b.safetensors", safetensors_of(tensors));
  CHECK(contains(problem_in(folder), "is in " + folder.path() + "/a.safetensors too"));
}

TEST_CASE("a wrong shape in a safetensors file is told with the tensor and both shapes") {
  auto tensors = hf_tensors(tiny_params());
  tensors[kQ] = torch::zeros({16, 8});
  const auto message = problem_with(tensors);
  CHECK(contains(message, "model.safetensors: 'model.layers.1.self_attn.q_proj.weight' has shape"));
  CHECK(contains(message, "has shape [16, 8], config.json asks for [16, 16]"));
}

TEST_CASE("missing and foreign tensors of a safetensors file are named") {
  auto tensors = hf_tensors(tiny_params());
  tensors.erase(kQ);
  CHECK(contains(problem_with(tensors), fmt::format("the tensor '{}' is missing", kQ)));
  tensors = hf_tensors(tiny_params());
  tensors["model.layers.0.self_attn.q_proj.bias"] = torch::zeros({16});
  CHECK(contains(problem_with(tensors), "'model.layers.0.self_attn.q_proj.bias' is no tensor of"));
  tensors = hf_tensors(tiny_params());
  tensors.erase("lm_head.weight");
  CHECK(contains(problem_with(tensors), "does not say \"tie_word_embeddings\": true"));
}

TEST_CASE("a safetensors file of whole numbers is refused") {
  auto tensors = hf_tensors(tiny_params());
  tensors["model.norm.weight"] = torch::ones({16}, torch::kInt64);
  CHECK(contains(problem_with(tensors),
                 "'model.norm.weight' has elements of type int64, expected floating point"));
}

TEST_CASE("a safetensors file that was cut short is refused with its name") {
  const TempFolder folder;
  write_hf(folder, tiny_params(), hf_tensors(tiny_params()));
  const auto path = folder.path() + "/model.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  const auto message = problem_in(folder);
  CHECK(contains(message, path));
  CHECK(contains(message, "damaged or cut short"));
}
