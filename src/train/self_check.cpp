// The report from top to bottom: versions, ranks, then the checks of dist/ and train/.
#include "bovila/train/self_check.h"

#include <ATen/Version.h>
#include <cuda_runtime_api.h>
#include <hdf5.h>
#include <nccl.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/core/hdf5.h"
#include "bovila/core/text_table.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/collective_check.h"
#include "bovila/dist/gpu_checks.h"
#include "bovila/model/frozen_linear.h"
#include "bovila/train/step_check.h"

namespace bovila {
namespace {

/// 13010 is "13.1".
std::string cuda_version(int code) {
  return fmt::format("{}.{}", code / 1000, code % 1000 / 10);
}

std::string cuda_text() {
  int runtime = 0, driver = 0;
  CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  const bool has_driver = cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0;
  return fmt::format("runtime {} (built with {}), driver {}", cuda_version(runtime),
                     cuda_version(CUDART_VERSION),
                     has_driver ? "for " + cuda_version(driver) : "not there");
}

std::string mpi_text() {
  char library[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0, major = 0, minor = 0;
  MPI_CHECK(MPI_Get_library_version(library, &length));
  MPI_CHECK(MPI_Get_version(&major, &minor));
  std::string text(library, static_cast<size_t>(length));
  text.resize(std::min(text.size(), text.find_first_of(",\n")));
  std::ranges::replace(text, '\t', ' ');  // MPICH's are columns
  const auto is_gap = [](char a, char b) { return a == ' ' && b == ' '; };
  text.erase(std::ranges::unique(text, is_gap).begin(), text.end());
  return fmt::format("{} (MPI {}.{})", text, major, minor);
}

std::string hdf5_text() {
  const hdf5::Lock lock;
  unsigned major = 0, minor = 0, release = 0;
  BOVILA_CHECK(H5get_libversion(&major, &minor, &release) >= 0, "HDF5 does not tell its version");
  return fmt::format("{}.{}.{}", major, minor, release);
}

/// Clang's version names it, GCC's is a number alone.
std::string compiler_text() {
  const std::string version = __VERSION__;
  return version.find("lang") == std::string::npos ? "GCC " + version : version;
}

const char* fp32_library() {
  if (uses_onednn()) return "oneDNN";
  return at::hasMKL() ? "MKL" : "LibTorch's BLAS";
}

std::string versions() {
  return "versions of rank 0\n" +
         text_table({{"LibTorch", TORCH_VERSION},
                     {"CUDA", cuda_text()},
                     {"NCCL", fmt::format("{} (built with {}.{}.{})", nccl_version(), NCCL_MAJOR,
                                          NCCL_MINOR, NCCL_PATCH)},
                     {"MPI", mpi_text()},
                     {"HDF5", hdf5_text()},
                     {"compiler", compiler_text()},
                     {"CPU", fmt::format("{}, fp32 products by {}", at::get_cpu_capability(),
                                         fp32_library())}});
}

std::string host_of(const MpiSession& session) {
  const std::string name = session.name();  // "host:rank"
  return name.substr(0, name.rfind(':'));
}

/// "NVIDIA H100, 79.2 GiB" or "CPU".
std::string device_text(torch::Device device) {
  if (!device.is_cuda()) return "CPU";
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, device.index()));
  constexpr double kGiB = 1 << 30;
  return fmt::format("{}: {}, {:.1f} GiB", device.str(), properties.name,
                     static_cast<double>(properties.totalGlobalMem) / kGiB);
}

/// Collective: one row a rank.
std::string rank_table(const MpiSession& session, Communicator& ranks, torch::Device device) {
  std::string device_name;
  run_together(ranks, [&] { device_name = device_text(device); });
  const auto column = [&](const std::string& mine) { return ranks.all_gather(mine); };
  const auto hosts = column(host_of(session)), pids = column(std::to_string(getpid())),
             devices = column(device_name),
             threads = column(std::to_string(torch::get_num_threads()));
  std::vector<std::vector<std::string>> rows = {{"rank", "host", "pid", "device", "threads"}};
  for (size_t r = 0; r < hosts.size(); ++r) {
    rows.push_back({std::to_string(r), hosts[r], pids[r], devices[r], threads[r]});
  }
  return "ranks\n" + text_table(rows);
}

}  // namespace

void self_check(const MpiSession& session, Communicator& ranks, torch::Device device,
                std::ostream& out) {
  run_together(ranks, [&] {
    if (ranks.rank() == 0) out << versions();
  });
  const std::string table = rank_table(session, ranks, device);
  if (ranks.rank() == 0) out << table << std::flush;
  check_collectives(ranks, device, out);
  check_step(ranks, device, out);
  if (ranks.rank() == 0) out << "self-check passed\n" << std::flush;
}

}  // namespace bovila
