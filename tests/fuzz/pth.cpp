// A whole .pth: the zip as libzip sees it, the pickle in it, and the tensors' bytes.
#include "bovila/files/pth.h"

#include "tests/fuzz/harness/files.h"
#include "tests/fuzz/harness/tensors.h"

namespace bovila::fuzz {

void fuzz_pth(std::string_view bytes) {
  const PthFile file(put("input.pth", bytes));
  file.identity();
  read_all(file, "");
  read_all(file, "model");
}

}  // namespace bovila::fuzz
