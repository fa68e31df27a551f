// Writes bovila.safetensors: the weights are loaded into the mapped file itself.
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bovila/config/keys.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/system.h"
#include "bovila/weights/llama_file.h"
#include "src/weights/llama_block.h"
#include "src/weights/own_file_format.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

constexpr size_t kLengthBytes = 8;

/// The header, padded with blanks so that the values behind it are aligned.
std::string header_of(const LlamaParams& params, const WeightTypes& types,
                      const std::string& source, const std::string& crcs) {
  nlohmann::json header = {{"__metadata__",
                            {{"format", kOwnFormat},
                             {"config", to_hf_config(params)},
                             {"source", source},
                             {"crc32", crcs}}}};
  if (types.form != WeightForm::kComputed) {
    header["__metadata__"]["weights"] = to_string(types.form);
  }
  size_t end = 0;
  const auto pad_to = [&](size_t offset) {  // the format allows no gaps
    if (end == offset) return;
    header[fmt::format("{}{}", kPadding, end)] = {
        {"dtype", "U8"}, {"shape", {offset - end}}, {"data_offsets", {end, offset}}};
  };
  for (const BlockTensor& tensor : block_tensors(params, types)) {
    pad_to(tensor.offset);
    end = tensor.offset + tensor.values.nbytes();
    header[tensor.name] = {{"dtype", own_type_name(tensor.values.scalar_type())},
                           {"shape", tensor.values.sizes().vec()},
                           {"data_offsets", {tensor.offset, end}}};
  }
  pad_to(llama_block_size(params, types));
  std::string text = header.dump();
  const size_t used = (kLengthBytes + text.size()) % kWeightAlignment;
  return text + std::string((kWeightAlignment - used) % kWeightAlignment, ' ');
}

/// A new file of so many bytes, mapped to be written.
class MappedFile {
 public:
  MappedFile(const std::filesystem::path& path, size_t size) : path_(path), size_(size) {
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("created", errno);
    try {
      // All of its space now: a disk that becomes full under a mapping kills the process.
      const int reason = posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
      if (reason != 0) fail(fmt::format("given {} bytes", size).c_str(), reason);
      void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
      if (at == MAP_FAILED) fail("mapped", errno);
      bytes_ = static_cast<std::byte*>(at);
    } catch (...) {
      close(descriptor_);
      throw;
    }
  }
  ~MappedFile() {
    munmap(bytes_, size_);
    close(descriptor_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::byte* bytes() const { return bytes_; }
  void sync() const { sync_file(path_); }

 private:
  [[noreturn]] void fail(const char* action, int reason) const {
    throw ProgramError("{} cannot be {}: {}", path_.string(), action, system_message(reason));
  }

  std::filesystem::path path_;
  size_t size_;
  int descriptor_ = -1;
  std::byte* bytes_ = nullptr;
};

std::string crcs_of(const std::byte* values, size_t size) {
  const auto bytes = static_cast<int64_t>(size);
  std::vector<std::string> crcs(static_cast<size_t>(num_crc_pieces(bytes)));
  at::parallel_for(0, num_crc_pieces(bytes), 1, [&](int64_t first, int64_t last) {
    for (int64_t piece = first; piece < last; ++piece) {
      crcs[static_cast<size_t>(piece)] = crc_of(values, bytes, piece);
    }
  });
  return fmt::format("{}", fmt::join(crcs, ""));
}

}  // namespace

void write_llama_file(const std::string& folder, const LlamaParams& params,
                      const WeightTypes& types, const std::filesystem::path& target) {
  if (std::filesystem::exists(folder + "/" + kLlamaFileName)) {
    throw UserError("{} holds a {} already; convert from the files that it was made from", folder,
                    kLlamaFileName);
  }
  const size_t size = llama_block_size(params, types);
  const auto source = llama_identity(folder, types);
  const std::string no_crcs(
      static_cast<size_t>(num_crc_pieces(static_cast<int64_t>(size))) * kCrcDigits, '0');
  const size_t begin = kLengthBytes + header_of(params, types, source, no_crcs).size();
  const MappedFile file(target, begin + size);
  const WeightMemory memory{[&](size_t, const std::function<void(std::byte*)>& fill) {
    fill(file.bytes() + begin);
    return std::shared_ptr<std::byte>(std::shared_ptr<void>(), file.bytes() + begin);
  }};
  load_llama_weights(folder, params, types, memory);
  const auto header = header_of(params, types, source, crcs_of(file.bytes() + begin, size));
  const uint64_t length = header.size();
  std::memcpy(file.bytes(), &length, kLengthBytes);
  std::memcpy(file.bytes() + kLengthBytes, header.data(), header.size());
  file.sync();
}

}  // namespace bovila
