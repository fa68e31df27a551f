// Meta's files: parts put together, types converted, and every way in which they do not fit.
#include "bovila/weights/llama_weights.h"

#include <fstream>

#include "tests/unit/weights/hf_llama.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::meta_tensors;
using testing::part_path;
using testing::TempFolder;
using testing::tiny_params;
using testing::write_parts;

namespace {

constexpr const char* kWq = "layers.1.attention.wq.weight";

/// The weights hold these tensors' values, in `type`.
void check_holds(const LlamaWeights& got, const testing::Tensors& tensors,
                 torch::ScalarType type = torch::kFloat32) {
  const auto expected = [&](const std::string& name) {
    return tensors.at(name + ".weight").to(type);
  };
  CHECK(torch::equal(got.tok_embeddings, expected("tok_embeddings")));
  CHECK(torch::equal(got.norm, expected("norm")));
  CHECK(torch::equal(got.output, expected("output")));
  for (size_t l = 0; l < got.layers.size(); ++l) {
    CAPTURE(l);
    const auto part = [&](const char* name) {
      return expected(fmt::format("layers.{}.{}", l, name));
    };
    const LlamaLayerWeights& layer = got.layers[l];
    CHECK(torch::equal(layer.attention_norm, part("attention_norm")));
    CHECK(torch::equal(layer.ffn_norm, part("ffn_norm")));
    CHECK(torch::equal(layer.wqkv.values, torch::cat({part("attention.wq"), part("attention.wk"),
                                                      part("attention.wv")})));
    CHECK(torch::equal(layer.wo.values, part("attention.wo")));
    CHECK(torch::equal(layer.w13.values,
                       torch::cat({part("feed_forward.w1"), part("feed_forward.w3")})));
    CHECK(torch::equal(layer.w2.values, part("feed_forward.w2")));
  }
}

LlamaWeights llama_weights_load(const std::string& folder, const LlamaParams& params,
                                torch::ScalarType type = torch::kFloat32) {
  return load_llama_weights(folder, params, type);
}

/// What check_llama_files says of a folder; loading says the same.
std::string llama_weights_problem_in(const std::string& folder,
                                     const LlamaParams& params = tiny_params()) {
  const auto message = error_of([&] { check_llama_files(folder, params); });
  CHECK(error_of([&] { llama_weights_load(folder, params); }) == message);
  return message;
}

/// The same for one part with these tensors.
std::string llama_weights_problem_with(const testing::Tensors& tensors,
                                       const LlamaParams& params = tiny_params()) {
  const TempFolder folder;
  write_parts(folder.path(), tensors);
  return llama_weights_problem_in(folder.path(), params);
}

}  // namespace

TEST_CASE("one file's tensors are read to the bit") {
  const TempFolder folder;
  const auto params = tiny_params();
  write_parts(folder.path(), meta_tensors(params));
  check_holds(llama_weights_load(folder.path(), params), meta_tensors(params));
}

TEST_CASE("two, four and eight parts give the weights of the one file") {
  for (const int64_t kv_heads : {4, 2}) {
    const auto params = tiny_params(kv_heads);
    for (const int64_t parts : {2, 4, 8}) {
      CAPTURE(parts);
      const TempFolder folder;
      write_parts(folder.path(), meta_tensors(params), parts);
      CHECK(error_of([&] { check_llama_files(folder.path(), params); }).empty());
      check_holds(llama_weights_load(folder.path(), params), meta_tensors(params));
    }
  }
}

TEST_CASE("LLaMA-3's parts, whose embedding table is cut by rows, are put together too") {
  const auto params = tiny_params(2);
  const TempFolder folder;
  for (int64_t part = 0; part < 2; ++part) {
    testing::Tensors own;
    for (const auto& [name, tensor] : meta_tensors(params)) {
      own[name] = name == "tok_embeddings.weight" ? tensor.chunk(2, 0)[static_cast<size_t>(part)]
                                                  : testing::part_of(name, tensor, part, 2);
    }
    testing::write_tensors(part_path(folder.path(), part), own);
  }
  CHECK(error_of([&] { check_llama_files(folder.path(), params); }).empty());
  check_holds(llama_weights_load(folder.path(), params), meta_tensors(params));
}

TEST_CASE("files in any floating point type are converted to the compute type") {
  const auto params = tiny_params();
  for (const auto from : {torch::kFloat16, torch::kBFloat16, torch::kFloat64}) {
    for (const auto to : {torch::kFloat32, torch::kBFloat16}) {
      CAPTURE(torch::toString(from));
      auto tensors = meta_tensors(params);
      for (auto& [name, tensor] : tensors) tensor = tensor.to(from);
      const TempFolder folder;
      write_parts(folder.path(), tensors);
      check_holds(llama_weights_load(folder.path(), params, to), tensors, to);
    }
  }
}

TEST_CASE("all tensors lie in the one block that was asked for") {
  const TempFolder folder;
  const auto params = tiny_params();
  write_parts(folder.path(), meta_tensors(params));
  size_t asked = 0;
  const std::byte* first = nullptr;
  const WeightMemory memory{[&](size_t size, const std::function<void(std::byte*)>& fill) {
    auto block = private_memory(size, fill);
    CHECK(first == nullptr);
    asked = size;
    first = block.get();
    return block;
  }};
  const auto weights = load_llama_weights(folder.path(), params, torch::kFloat32, memory);
  for (const auto& tensor : {weights.tok_embeddings, weights.layers[2].w2.values, weights.output}) {
    const auto* at = static_cast<const std::byte*>(tensor.data_ptr());
    CHECK(at >= first);
    CHECK(at + tensor.nbytes() <= first + asked);
    CHECK(reinterpret_cast<uintptr_t>(at) % 64 == 0);
  }
}

TEST_CASE("the rotary frequencies of the file are passed over") {
  auto tensors = meta_tensors(tiny_params());
  tensors["rope.freqs"] = torch::rand({2});
  CHECK(llama_weights_problem_with(tensors).empty());
}

TEST_CASE("a folder without the first part is refused with the file's name") {
  const TempFolder folder;
  CHECK(contains(llama_weights_problem_in(folder.path()),
                 folder.path() + "/consolidated.00.pth is missing"));
  write_parts(folder.path(), meta_tensors(tiny_params()), 2);
  std::filesystem::remove(part_path(folder.path(), 0));
  CHECK(contains(llama_weights_problem_in(folder.path()),
                 folder.path() + "/consolidated.00.pth is missing"));
}

TEST_CASE("a missing later part is told by the shapes of the others") {
  const TempFolder folder;
  write_parts(folder.path(), meta_tensors(tiny_params()), 4);
  std::filesystem::remove(part_path(folder.path(), 2));
  const auto message = llama_weights_problem_in(folder.path());
  CHECK(contains(message, "consolidated.00.pth"));
  CHECK(contains(message, "params.json and 2 files ask for"));
  CHECK(contains(message, "a consolidated.NN.pth is missing, or the files belong to another"));
}

TEST_CASE("one part too many is refused") {
  const TempFolder folder;
  write_parts(folder.path(), meta_tensors(tiny_params()), 4);
  std::filesystem::copy_file(part_path(folder.path(), 0), part_path(folder.path(), 4));
  CHECK(contains(llama_weights_problem_in(folder.path()), "cannot lie in 5 parts"));
}

TEST_CASE("a wrong shape is told with file, tensor and both shapes") {
  auto tensors = meta_tensors(tiny_params());
  tensors[kWq] = torch::zeros({16, 8});
  const auto message = llama_weights_problem_with(tensors);
  CHECK(contains(message, "consolidated.00.pth: 'layers.1.attention.wq.weight' has shape [16, 8]"));
  CHECK(contains(message, "params.json and 1 file ask for [16, 16]"));
}

TEST_CASE("a wrong shape in a later part names that part") {
  const TempFolder folder;
  auto tensors = meta_tensors(tiny_params());
  write_parts(folder.path(), tensors, 2);
  testing::Tensors second;
  for (const auto& [name, tensor] : tensors) second[name] = testing::part_of(name, tensor, 1, 2);
  second[kWq] = torch::zeros({4, 16});
  testing::write_tensors(part_path(folder.path(), 1), second);
  CHECK(contains(llama_weights_problem_in(folder.path()),
                 "consolidated.01.pth: 'layers.1.attention.wq.weight'"));
}

TEST_CASE("params.json of another model is told by the first tensor that does not fit") {
  auto params = tiny_params();
  params.n_layers = 2;
  CHECK(contains(llama_weights_problem_with(meta_tensors(tiny_params()), params),
                 "is no tensor of the LLaMA that params.json beside it describes"));
  params.n_layers = 4;
  CHECK(contains(llama_weights_problem_with(meta_tensors(tiny_params()), params), "is missing"));
  params = tiny_params();
  params.dim = 32;
  CHECK(contains(llama_weights_problem_with(meta_tensors(tiny_params()), params),
                 "params.json and 1 file ask for"));
}

TEST_CASE("a missing tensor is named") {
  auto tensors = meta_tensors(tiny_params());
  tensors.erase(kWq);
  CHECK(contains(llama_weights_problem_with(tensors),
                 "the tensor 'layers.1.attention.wq.weight' is missing"));
}

TEST_CASE("a tensor that is not LLaMA's is named") {
  auto tensors = meta_tensors(tiny_params());
  tensors["lm_head.weight"] = torch::zeros({24, 16});
  CHECK(
      contains(llama_weights_problem_with(tensors), "'lm_head.weight' is no tensor of the LLaMA"));
}

TEST_CASE("whole numbers are no weights") {
  auto tensors = meta_tensors(tiny_params());
  tensors["norm.weight"] = torch::ones({16}, torch::kInt64);
  CHECK(contains(llama_weights_problem_with(tensors),
                 "'norm.weight' has elements of type int64, expected floating point"));
}

TEST_CASE("a file that is no .pth is refused with its name") {
  const TempFolder folder;
  for (const char* bytes : {"", "PK\x03\x04 cut short", "version https://git-lfs"}) {
    CAPTURE(bytes);
    const auto path = folder.write("consolidated.00.pth", bytes);
    CHECK(contains(llama_weights_problem_in(folder.path()), path));
  }
}

TEST_CASE("values that were damaged on the disk are found when they are read") {
  const TempFolder folder;
  write_parts(folder.path(), meta_tensors(tiny_params()));
  const auto path = part_path(folder.path(), 0);
  const auto value = meta_tensors(tiny_params()).at("output.weight").flatten().slice(0, 0, 4);
  std::string bytes = [&] {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const auto at = bytes.find({static_cast<const char*>(value.data_ptr()), value.nbytes()});
  REQUIRE(at != std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  folder.write("consolidated.00.pth", bytes);
  CHECK(error_of([&] { check_llama_files(folder.path(), tiny_params()); }).empty());
  const auto message = error_of([&] { llama_weights_load(folder.path(), tiny_params()); });
  CHECK(contains(message, path));
}

TEST_CASE("matrices are stored smaller from the file's own values, whatever parts they lie in") {
  const auto params = testing::block_params();
  const auto tensors = meta_tensors(params);
  const auto whole = testing::weights_of(params, tensors);
  for (const WeightForm form : testing::kSmallForms) {
    CAPTURE(int(form));
    for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
      const WeightTypes types{type, form};
      const TempFolder one, two;
      write_parts(one.path(), tensors, 1);
      write_parts(two.path(), tensors, 2);
      const auto got = load_llama_weights(two.path(), params, types);
      CHECK((got.tok_embeddings.scalar_type() == type));
      testing::check_same(got, load_llama_weights(one.path(), params, types));
      if (types.form == WeightForm::kComputed) continue;
      const FrozenMatrix &wo = got.layers[2].wo, &numbers = whole.layers[2].wo;
      testing::check_same(wo, testing::stored(numbers.values, form));
      CHECK(torch::allclose(wo.expanded(torch::kFloat32), numbers.values, 0.2, 0.1));
    }
  }
}

TEST_CASE("a form that is the compute type is no form of its own") {
  CHECK((WeightTypes(torch::kBFloat16, WeightForm::kBf16).form == WeightForm::kComputed));
  CHECK((WeightTypes(torch::kFloat16, WeightForm::kFp16).form == WeightForm::kComputed));
  CHECK((WeightTypes(torch::kFloat32, WeightForm::kBf16).form == WeightForm::kBf16));
}

TEST_CASE("NF4 is refused for widths that are odd, before anything is read") {
  auto params = tiny_params();
  params.given_hidden_dim = 45;
  const TempFolder folder;
  write_parts(folder.path(), meta_tensors(params));
  for (const WeightForm form : {WeightForm::kNf4, WeightForm::kNf4Dq}) {
    const auto problem = testing::error_of([&] { check_weight_form(params, form); });
    CHECK(problem ==
          fmt::format("model.weights = \"{}\" stores two weights of a row in a byte, and "
                      "this LLaMA is 16 and 45 wide; use \"int8\"",
                      form == WeightForm::kNf4 ? "nf4" : "nf4-dq"));
    CHECK(testing::error_of([&] {
            load_llama_weights(folder.path(), params, {torch::kFloat32, form});
          }) == problem);
    check_weight_form(tiny_params(), form);
  }
  load_llama_weights(folder.path(), params, {torch::kFloat32, WeightForm::kInt8});
}
