// Which files of tensors a folder of Hugging Face's has: one, or the shards of an index.
#include <filesystem>
#include <set>

#include "bovila/config/dump.h"
#include "bovila/core/file_system.h"
#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

/// The two forms of Hugging Face's tensors, in the order in which transformers looks for them.
struct HfForm {
  std::string single, index, extension;
};
const HfForm kHfForms[] = {
    {"model.safetensors", "model.safetensors.index.json", ".safetensors"},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", ".bin"},
};

/// File names that an index lists.
std::set<std::string> listed_names(const std::string& index, const HfForm& form) {
  const ParamsJson map = read_params_json(index).object("weight_map");
  std::set<std::string> names;
  for (const std::string& tensor : map.keys()) {
    names.insert(map.required<std::string>(tensor.c_str()));
  }
  for (const std::string& name : names) {
    if (!is_file_name(name) || !name.ends_with(form.extension)) {
      throw UserError("{}: {} is no name of a {} file beside it", index, quote(name),
                      form.extension);
    }
  }
  if (names.empty()) throw UserError("{} lists no files", index);
  return names;
}

std::vector<std::string> indexed(const std::string& folder, const HfForm& form) {
  std::vector<std::string> paths;
  for (const std::string& name : listed_names(fmt::format("{}/{}", folder, form.index), form)) {
    paths.push_back(fmt::format("{}/{}", folder, name));
    if (!fs::exists(paths.back())) {
      throw UserError("{} is missing; {} lists it", paths.back(), form.index);
    }
  }
  return paths;
}

}  // namespace

std::vector<std::string> hf_tensor_files(const std::string& folder) {
  for (const HfForm& form : kHfForms) {
    const std::string single = fmt::format("{}/{}", folder, form.single);
    if (fs::exists(single)) return {single};
    if (fs::exists(fmt::format("{}/{}", folder, form.index))) return indexed(folder, form);
  }
  throw UserError(
      "{0}/{1} is missing, and so are {2}, {3} and {4}; have transformers save the model again "
      "with "
      "save_pretrained",
      folder, kHfForms[0].single, kHfForms[0].index, kHfForms[1].single, kHfForms[1].index);
}

std::string hf_files_note(const std::string& folder) {
  const HfForm& form = kHfForms[0];
  const auto has = [&](const std::string& name) { return fs::exists(folder + "/" + name); };
  if (!has(form.single) || !has(form.index)) return "";
  return fmt::format("{}/{} is read, as transformers does; {} beside it is passed over", folder,
                     form.single, form.index);
}

}  // namespace bovila
