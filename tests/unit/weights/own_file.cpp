// The program's own file of weights: mapped or converted, and proved before it is used.
#include "bovila/weights/llama_file.h"
#include "tests/unit/weights/hf_llama.h"

using namespace bovila;
using testing::check_same;
using testing::contains;
using testing::error_of;
using testing::meta_tensors;
using testing::TempFolder;
using testing::tiny_params;
using testing::weights_of;
using testing::with_header;

namespace {

/// The tiny LLaMA's own file, made from Meta's.
struct Own {
  LlamaParams params;
  TempFolder source, folder;
  std::string path = folder.path() + "/" + kLlamaFileName;

  explicit Own(torch::ScalarType type = torch::kFloat32, LlamaParams p = tiny_params(2))
      : params(p) {
    source.write("params.json", "{}");  // the params come from the caller
    testing::write_parts(source.path(), meta_tensors(p), 2);
    write_llama_file(source.path(), params, type, path);
  }

  LlamaWeights load(torch::ScalarType type = torch::kFloat32,
                    const WeightMemory& memory = {}) const {
    return load_llama_weights(folder.path(), params, type, memory);
  }
  std::string bytes() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Writes the header again as `change` leaves it, the values behind it at a multiple of 64.
  void change_header(const std::function<void(nlohmann::json&)>& change) const {
    const std::string old = bytes();
    uint64_t length = 0;
    std::memcpy(&length, old.data(), sizeof length);
    auto header = nlohmann::json::parse(old.substr(8, length));
    change(header);
    std::string text = header.dump();
    text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
    folder.write(kLlamaFileName, with_header(text, old.substr(8 + length)));
  }
  void change_metadata(const std::string& key, const nlohmann::json& value) const {
    change_header([&](nlohmann::json& header) { header["__metadata__"][key] = value; });
  }
  /// What check_llama_files says; loading says the same.
  std::string problem() const {
    const auto message = error_of([&] { check_llama_files(folder.path(), params); });
    CHECK(error_of([&] { load(); }) == message);
    return message;
  }
};

/// The file that is mapped at `at`, as /proc/self/maps has it.
std::string mapped_file(const void* at) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t first = 0, last = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) != 2) continue;
    const auto address = reinterpret_cast<uintptr_t>(at);
    if (first <= address && address < last) return line.substr(line.find_last_of(' ') + 1);
  }
  return "";
}

}  // namespace

TEST_CASE("a file of the wanted type is mapped read-only and takes no memory") {
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kFloat16}) {
    const Own own(type);
    const WeightMemory none{[](size_t, const auto&) -> std::shared_ptr<std::byte> {
      throw ProgramError("memory was asked for");
    }};
    const auto weights = own.load(type, none);
    check_same(weights, weights_of(own.params, meta_tensors(own.params), type));
    CHECK(mapped_file(weights.output.data_ptr()) == own.path);
    CHECK(reinterpret_cast<uintptr_t>(weights.norm.data_ptr()) % 64 == 0);
  }
}

TEST_CASE("the weights stay after the file was replaced and removed") {
  const Own own;
  const auto weights = own.load();
  std::filesystem::remove(own.path);
  check_same(weights, weights_of(own.params, meta_tensors(own.params)));
}

TEST_CASE("a file of another type is converted into memory") {
  const Own own(torch::kBFloat16);
  auto tensors = meta_tensors(own.params);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(torch::kBFloat16);
  const auto weights = own.load(torch::kFloat32);
  check_same(weights, weights_of(own.params, tensors));
  CHECK(mapped_file(weights.output.data_ptr()) != own.path);
}

TEST_CASE("all sizes come back from the file, scaling and tied embeddings too") {
  auto params = tiny_params(2);
  params.tied_embeddings = true;
  params.norm_eps = 1.0 / 3;
  params.rope_theta = 500000;
  params.rope_scaling = {RopeScaling::Kind::kLlama3, 32, 1.5, 4.5, 4096};
  params.max_length = 4096;
  const TempFolder source;
  auto tensors = testing::hf_tensors(params);
  testing::write_hf(source, params, tensors);
  const TempFolder folder;
  write_llama_file(source.path(), params, torch::kFloat32, folder.path() + "/" + kLlamaFileName);
  const auto read = read_llama_params(folder.path(), params.vocab_size);
  CHECK(read.dim == params.dim);
  CHECK(read.n_layers == params.n_layers);
  CHECK(read.n_heads == params.n_heads);
  CHECK(read.n_kv_heads == params.n_kv_heads);
  CHECK(read.hidden_dim() == params.hidden_dim());
  CHECK(read.norm_eps == params.norm_eps);
  CHECK(read.rope_theta == params.rope_theta);
  CHECK(read.vocab_size == params.vocab_size);
  CHECK(read.tied_embeddings);
  CHECK(read.max_length == 4096);
  CHECK((read.rope_scaling.kind == RopeScaling::Kind::kLlama3));
  CHECK(read.rope_scaling.factor == 32);
  CHECK(read.rope_scaling.low == 1.5);
  CHECK(read.rope_scaling.high == 4.5);
  CHECK(read.rope_scaling.original_length == 4096);
  const auto weights = load_llama_weights(folder.path(), read, torch::kFloat32);
  CHECK(weights.output.data_ptr() == weights.tok_embeddings.data_ptr());
}

TEST_CASE("in its own precision the file has the identity of what it was made from") {
  const Own own(torch::kBFloat16);
  const auto source = llama_identity(own.source.path(), torch::kBFloat16);
  CHECK(llama_identity(own.folder.path(), torch::kBFloat16) == source);
  CHECK(llama_identity(own.folder.path(), torch::kFloat32) == source + ", as BF16");
}

TEST_CASE("damaged values are found, by the rank whose share they are in") {
  const Own own;
  std::string bytes = own.bytes();
  bytes[bytes.size() - 100] ^= 1;
  own.folder.write(kLlamaFileName, bytes);
  CHECK(error_of([&] { check_llama_files(own.folder.path(), own.params); }).empty());
  CHECK(contains(error_of([&] { own.load(); }), "the values of bytes 0 to"));
  // There is one piece: the first of two ranks proves it.
  CHECK_FALSE(error_of([&] { own.load(torch::kFloat32, {private_memory, 0, 2}); }).empty());
  CHECK(error_of([&] { own.load(torch::kFloat32, {private_memory, 1, 2}); }).empty());
}

TEST_CASE("proving the values can be interrupted") {
  const Own own;
  const auto stop = [] { throw UserError("stopped"); };
  CHECK(error_of([&] {
          load_llama_weights(own.folder.path(), own.params, torch::kFloat32, {}, stop);
        }) == "stopped");
}

TEST_CASE("another format and missing metadata are refused") {
  const Own own;
  own.change_metadata("format", "bovila-llama-2");
  CHECK(contains(own.problem(), "its format is 'bovila-llama-2', expected 'bovila-llama-1'"));
  CHECK(contains(own.problem(), "make it again with tools/llama2bovila"));
  own.change_header([](nlohmann::json& header) { header.erase("__metadata__"); });
  CHECK(contains(own.problem(), own.path + ": its metadata lack 'format'"));
  own.folder.write(kLlamaFileName, testing::safetensors({}, {{"format", "bovila-llama-1"}}));
  CHECK(contains(own.problem(), "there are no tensors in it"));
}

TEST_CASE("a config that is none is refused with the file's name") {
  const Own own;
  const auto problem = [&](const char* config) {
    own.change_metadata("config", config);
    return error_of([&] { read_llama_params(own.folder.path(), 24); });
  };
  CHECK(contains(problem("{"), own.path + ": config is not a JSON object"));
  CHECK(contains(problem("{}"), own.path + ": config: the key 'model_type' is missing"));
}

TEST_CASE("tensors that are not those of the config are named with both shapes") {
  Own own;
  own.params.n_layers = 4;
  CHECK(contains(own.problem(), "the tensor 'layers.3.attention_norm.weight' is missing"));
  own.params.n_layers = 2;
  CHECK(contains(own.problem(), "'layers.2.attention_norm.weight' is no tensor of the LLaMA"));
  own.params = tiny_params(4);
  CHECK(contains(own.problem(),
                 "'layers.0.attention.wqkv.weight' has shape [32, 16], its config "
                 "asks for [48, 16]"));
}

TEST_CASE("tensors of another type or at another place are refused") {
  const Own own;
  own.change_header([](nlohmann::json& header) {  // as wide, but the values are not aligned
    header["padding.0"] = {{"dtype", "U8"}, {"shape", {4}}, {"data_offsets", {0, 4}}};
    for (auto& [name, entry] : header.items()) {
      if (name == "__metadata__" || name == "padding.0") continue;
      for (auto& offset : entry["data_offsets"]) offset = offset.get<int64_t>() + 4;
    }
  });
  std::string bytes = own.bytes();
  own.folder.write(kLlamaFileName, bytes + "last");
  CHECK(contains(own.problem(), "is not of the type or at the place that it must have"));
}

TEST_CASE("too few checksums are refused") {
  const Own own;
  own.change_metadata("crc32", "0123");
  CHECK(contains(own.problem(), "4 digits of checksums, expected"));
}

TEST_CASE("an own file is not made from an own file, nor over a file that is there") {
  const Own own;
  CHECK(contains(error_of([&] {
                   write_llama_file(own.folder.path(), own.params, torch::kBFloat16,
                                    own.source.path() + "/x");
                 }),
                 "holds a bovila.safetensors already"));
  CHECK_THROWS_AS(write_llama_file(own.source.path(), own.params, torch::kFloat32, own.path),
                  ProgramError);
  CHECK_THROWS_AS(
      write_llama_file(own.source.path(), own.params, torch::kFloat32, own.source.path() + "/no/x"),
      ProgramError);
}
