// A safetensors file: header, places, values and map.
#include "bovila/files/safetensors.h"

#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_safetensors(std::string_view bytes) {
  const SafetensorsFile file(put("input.safetensors", bytes));
  std::vector<std::byte> values;
  for (const SafeTensor& tensor : file.tensors()) {
    values.resize(static_cast<size_t>(tensor.num_bytes));
    file.read(tensor, values);
    file.find(tensor.name);
  }
  if (file.size() > 0) file.map();
}

}  // namespace bovila::fuzz
