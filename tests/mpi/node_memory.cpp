// One block for all ranks of a node: same bytes, read-only, and in memory once.
#include "bovila/dist/node_memory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <numeric>

#include "bovila/dist/agreement.h"
#include "bovila/dist/threads.h"
#include "tests/mpi/session.h"
#include "tests/mpi/smaps.h"

using namespace bovila;

namespace {

constexpr size_t kMegabyte = 1 << 20;

/// Whether the system may write to `at` on this process's behalf.
bool is_writable(std::byte* at) {
  const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  REQUIRE(zeros >= 0);
  const ssize_t got = read(zeros, at, 1);
  const int reason = errno;
  close(zeros);
  if (got < 0) CHECK(reason == EFAULT);
  return got == 1;
}

std::byte pattern(size_t i) {
  return static_cast<std::byte>(i * 31 % 251);
}

void fill_with_pattern(std::byte* block, size_t size) {
  for (size_t i = 0; i < size; ++i) block[i] = pattern(i);
}

}  // namespace

TEST_CASE("all ranks of a node read what the first one filled in") {
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  constexpr size_t kSize = 100003;
  int fills = 0;
  const auto block = node_memory(node, kSize, [&](std::byte* at) {
    ++fills;
    fill_with_pattern(at, kSize);
  });
  CHECK(fills == (node.rank() == 0 ? 1 : 0));
  bool same = true;
  for (size_t i = 0; i < kSize; ++i) same = same && block.get()[i] == pattern(i);
  CHECK(same);
  CHECK(reinterpret_cast<uintptr_t>(block.get()) % 64 == 0);
}

TEST_CASE("the other ranks cannot write to the block") {
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  const auto block = node_memory(node, 4096, [](std::byte* at) { fill_with_pattern(at, 4096); });
  node.barrier();
  if (node.rank() > 0) CHECK_FALSE(is_writable(block.get()));
  node.barrier();
}

TEST_CASE("an error while filling is thrown by every rank of the node") {
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  std::string message;
  try {
    node_memory(node, 4096, [](std::byte*) { throw UserError("part 01 is damaged"); });
  } catch (const AgreedError& error) {
    message = error.what();
    CHECK(error.code == ExitCode::kUserError);
  }
  CHECK(message == "part 01 is damaged");
}

TEST_CASE("64 MB that every rank reads are in the node's memory once") {
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  constexpr size_t kSize = 64 * kMegabyte;
  const auto block = node_memory(node, kSize, [](std::byte* at) { std::memset(at, 7, kSize); });
  const auto sum = std::accumulate(block.get(), block.get() + kSize, uint64_t{0},
                                   [](uint64_t total, std::byte b) { return total + uint64_t(b); });
  CHECK(sum == 7 * kSize);
  node.barrier();  // everyone has touched every page
  CHECK(smaps_bytes(block.get(), "Rss") == kSize);
  const auto share = kSize / static_cast<size_t>(node.size());
  CHECK(smaps_bytes(block.get(), "Pss") < share + kMegabyte);
  if (node.size() > 1) CHECK(smaps_bytes(block.get(), "Private_Dirty") == 0);
  node.barrier();
}

TEST_CASE("the block stays while any rank holds it") {
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  auto block = node_memory(node, 4096, [](std::byte* at) { fill_with_pattern(at, 4096); });
  if (node.rank() == 0) block.reset();
  node.barrier();
  if (block) CHECK(block.get()[4095] == pattern(4095));
}

// tests/cli/containers.sh runs it with ranks that have process numbers of their own, where each is
// 1 to itself: the first one's path is the path of one of these files.
TEST_CASE("another file under the same name is not taken for the first rank's memory") {
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  constexpr size_t kSize = 4096;
  std::vector<int> others;
  if (node.rank() > 0) {
    for (int i = 0; i < 100; ++i) {
      others.push_back(memfd_create("other", MFD_CLOEXEC));
      REQUIRE(ftruncate(others.back(), kSize) == 0);
    }
  }
  const auto block = node_memory(node, kSize, [](std::byte* at) { fill_with_pattern(at, kSize); });
  CHECK(block.get()[1] == pattern(1));
  CHECK(block.get()[kSize - 1] == pattern(kSize - 1));
  for (const int other : others) close(other);
}

TEST_CASE("the ranks of a node do not choose more threads than it has cores") {
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  const int threads = choose_threads(node);
  CHECK(threads >= 1);
  auto total = torch::full({1}, threads, torch::kInt64);
  node.all_reduce(total, ReduceOp::kSum);
  CHECK(total.item<int64_t>() <= std::max<int64_t>(sysconf(_SC_NPROCESSORS_ONLN), node.size()));
}
