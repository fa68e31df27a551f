// A memfd of the node's first rank, which the others open through /proc. A rank with a process
// namespace of its own, as in a container, may find another process under the first one's number,
// or itself: what is there is opened only when it is the same memory.
#include "bovila/dist/node_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

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

/// Where another process finds this descriptor's memory, and what it is on this machine.
struct SharedMemory {
  std::string path;
  uint64_t device = 0;
  uint64_t inode = 0;  // the kernel's own file system of memory gives each a number
};

std::string describe_memory(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) throw ProgramError("the weights' memory: {}", system_message(errno));
  return fmt::format("/proc/{}/fd/{} {} {}", getpid(), fd, status.st_dev, status.st_ino);
}

SharedMemory shared_memory_of(const std::string& text) {
  SharedMemory memory;
  std::istringstream(text) >> memory.path >> memory.device >> memory.inode;
  return memory;
}

/// Empty, or why it is not the memory of `size` bytes that `memory` tells of. Nothing is opened for
/// it: another process's pipe or device would wait, or do something.
std::string memory_difference(const SharedMemory& memory, size_t size) {
  struct stat status {};
  if (stat(memory.path.c_str(), &status) != 0) return system_message(errno);
  const bool same = status.st_dev == memory.device && status.st_ino == memory.inode &&
                    static_cast<size_t>(status.st_size) == size;
  return same ? "" : memory.path + " is another file";
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
  std::string text;
  run_together(node, [&] {
    if (!first) return;
    if (mine.get() < 0 || ftruncate(mine.get(), static_cast<off_t>(size)) != 0) {
      throw ProgramError("{} bytes of memory for the weights: {}", size, system_message(errno));
    }
    block = map(mine.get(), size, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (!block) throw ProgramError("mapping {} bytes of weights: {}", size, system_message(errno));
    fill(block.get());
    text = describe_memory(mine.get());
  });
  const SharedMemory memory = shared_memory_of(node.broadcast(text, 0));
  run_together(node, [&] {
    if (first) return;
    std::string problem = memory_difference(memory, size);
    if (problem.empty()) {
      const FileDescriptor theirs(open(memory.path.c_str(), O_RDONLY | O_CLOEXEC));
      if (theirs.get() >= 0) block = map(theirs.get(), size, PROT_READ, MAP_SHARED);
      if (!block) problem = system_message(errno);
    }
    if (block) return;
    log::warn(
        "the weights of the node's first rank cannot be mapped ({}), as in a container with "
        "processes of its own; loading my own copy, {:.3g} GB more on this node",
        problem, static_cast<double>(size) / 1e9);
    block = own_block(size, fill);
  });
  return block;
}

}  // namespace bovila
