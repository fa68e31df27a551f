// Which safetensors files a folder of Hugging Face's has: one, or the shards of an index.
#include <filesystem>
#include <set>

#include "bovila/config/dump.h"
#include "bovila/core/file_system.h"
#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model.safetensors.index.json";

std::vector<std::string> indexed(const std::string& folder, const std::string& index) {
  const ParamsJson map = read_params_json(index).object("weight_map");
  std::set<std::string> names;
  for (const std::string& tensor : map.keys()) {
    names.insert(map.required<std::string>(tensor.c_str()));
  }
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    if (!is_file_name(name) || !name.ends_with(".safetensors")) {
      throw UserError("{}: {} is no name of a safetensors file beside it", index, quote(name));
    }
    paths.push_back(fmt::format("{}/{}", folder, name));
    if (!fs::exists(paths.back())) {
      throw UserError("{} is missing; {} lists it", paths.back(), kIndex);
    }
  }
  if (paths.empty()) throw UserError("{} lists no files", index);
  return paths;
}

}  // namespace

std::vector<std::string> hf_tensor_files(const std::string& folder) {
  const std::string single = folder + "/model.safetensors", index = folder + "/" + kIndex;
  if (fs::exists(index)) return indexed(folder, index);
  if (fs::exists(single)) return {single};
  throw UserError(
      "{} is missing, and so is {}; only safetensors are read: have transformers save the model "
      "again with save_pretrained",
      single, kIndex);
}

}  // namespace bovila
