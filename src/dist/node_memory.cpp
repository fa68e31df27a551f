// A memfd of the node's first rank, which the others open through /proc.
#include "bovila/dist/node_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/dist/agreement.h"

namespace bovila {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Null when the pages cannot be mapped.
std::shared_ptr<std::byte> map(int fd, size_t size, int protection, int flags) {
  void* at = mmap(nullptr, size, protection, flags, fd, 0);
  if (at == MAP_FAILED) return nullptr;
  return {static_cast<std::byte*>(at), [size](std::byte* p) { munmap(p, size); }};
}

std::shared_ptr<std::byte> own_block(size_t size, const std::function<void(std::byte*)>& fill) {
  auto block = map(-1, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  if (!block)
    throw ProgramError("{} bytes of memory for the weights: {}", size, system_message(errno));
  fill(block.get());
  return block;
}

}  // namespace

std::shared_ptr<std::byte> node_memory(Communicator& node, size_t size,
                                       const std::function<void(std::byte*)>& fill) {
  std::shared_ptr<std::byte> block;
  if (node.size() == 1) {
    run_together(node, [&] { block = own_block(size, fill); });
    return block;
  }
  const bool first = node.rank() == 0;
  const FileDescriptor mine(first ? memfd_create("bovila-weights", MFD_CLOEXEC) : -1);
  run_together(node, [&] {
    if (!first) return;
    if (mine.get() < 0 || ftruncate(mine.get(), static_cast<off_t>(size)) != 0) {
      throw ProgramError("{} bytes of memory for the weights: {}", size, system_message(errno));
    }
    block = map(mine.get(), size, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (!block) throw ProgramError("mapping {} bytes of weights: {}", size, system_message(errno));
    fill(block.get());
  });
  const std::string path =
      node.broadcast(first ? fmt::format("/proc/{}/fd/{}", getpid(), mine.get()) : "", 0);
  run_together(node, [&] {
    if (first) return;
    const FileDescriptor theirs(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (theirs.get() >= 0) block = map(theirs.get(), size, PROT_READ, MAP_SHARED);
    if (!block) {
      log::warn("the weights of the node's first rank cannot be mapped ({}); loading my own copy",
                system_message(errno));
      block = own_block(size, fill);
    }
  });
  return block;
}

}  // namespace bovila
