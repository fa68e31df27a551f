// The index of Hugging Face's shards: no name of it leaves the folder.
#include <filesystem>

#include "bovila/core/error.h"
#include "src/weights/params_readers.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_hf_index(std::string_view bytes) {
  const std::string at = folder() + "/hf";
  put("hf/model.safetensors.index.json", bytes);
  put("hf/a.safetensors", "");
  put("b.safetensors", "");
  put("bin/pytorch_model.bin.index.json", bytes);
  put("bin/a.bin", "");
  put("b.bin", "");
  const auto check = [](const std::string& folder) {
    for (const std::filesystem::path path : hf_tensor_files(folder)) {
      BOVILA_CHECK(path.lexically_normal().parent_path() == folder, "{} leaves {}", path.string(),
                   folder);
    }
  };
  try {
    check(at);
  } catch (const UserError&) {  // of the other form's names
  }
  check(folder() + "/bin");
}

}  // namespace bovila::fuzz
