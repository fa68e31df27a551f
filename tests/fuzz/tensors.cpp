// A pickle in a zip whose checksums are right, as somebody makes it who means harm: tensors of any
// shape over two storages, "0" of 64 bytes and "1" of 24.
#include <zip.h>

#include "bovila/files/pth.h"
#include "tests/fuzz/harness/files.h"
#include "tests/fuzz/harness/tensors.h"

namespace bovila::fuzz {
namespace {

std::string zip_of(std::string_view pickle) {
  static const std::string storage(64, '\x3c');
  const std::string path = put("input.pth", "");
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  BOVILA_CHECK(zip != nullptr, "no zip at {}", path);
  const auto add = [&](const char* name, std::string_view bytes) {
    zip_source_t* source = zip_source_buffer(zip, bytes.data(), bytes.size(), 0);
    const auto index = zip_file_add(zip, name, source, 0);
    BOVILA_CHECK(index >= 0, "no entry {}", name);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  };
  add("a/data.pkl", pickle);
  add("a/data/0", storage);
  add("a/data/1", std::string_view(storage).substr(0, 24));
  BOVILA_CHECK(zip_close(zip) == 0, "{} cannot be written", path);
  return path;
}

}  // namespace

void fuzz_tensors(std::string_view bytes) {
  const PthFile file(zip_of(bytes));
  read_all(file, "");
  read_all(file, "model");
}

}  // namespace bovila::fuzz
