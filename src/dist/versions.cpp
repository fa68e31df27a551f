// Each library's own way to tell its version.
#include "bovila/dist/versions.h"

#include <cuda_runtime_api.h>
#include <hdf5.h>
#include <mpi.h>
#include <nccl.h>
#include <torch/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/core/build_info.h"
#include "bovila/core/error.h"
#include "bovila/core/hdf5.h"
#include "bovila/core/text_table.h"
#include "bovila/dist/gpu_checks.h"
#include "bovila/dist/mpi_session.h"

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

std::string nccl_text() {
  return fmt::format("{} (built with {}.{}.{})", nccl_version(), NCCL_MAJOR, NCCL_MINOR,
                     NCCL_PATCH);
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

}  // namespace

Versions versions() {
  const BuildInfo build = build_info();
  return {{"version", build.version},
          {"git", build.git},
          {"compiler", build.compiler},
          {"flags", build.flags},
          {"build_type", build.build_type},
          {"LibTorch", TORCH_VERSION},
          {"CUDA", cuda_text()},
          {"NCCL", nccl_text()},
          {"MPI", mpi_text()},
          {"HDF5", hdf5_text()}};
}

std::string versions_table(const Versions& versions) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, text] : versions) rows.push_back({name, text});
  return text_table(rows);
}

std::string versions_json(const Versions& versions) {
  nlohmann::ordered_json json;
  for (const auto& [name, text] : versions) json[name] = text;
  return json.dump(2) + "\n";
}

}  // namespace bovila
