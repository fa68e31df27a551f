// Where a rank's GPU hangs, by CUDA and by the operating system.
#include "bovila/dist/placement.h"

#include <doctest/doctest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/gpu/session.h"

using namespace bovila;

TEST_CASE("a rank's GPU is a device of the PCI bus, on the NUMA node that the system says") {
  auto ranks = all_ranks();
  const auto places = gather_places(ranks, *test_device);
  for (const Place& place : places) {
    CHECK_FALSE(place.gpu.empty());
    CHECK(std::regex_match(place.gpu_bus,
                           std::regex("[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\\.[0-9]")));
  }
  const Place& mine = places[static_cast<size_t>(ranks.rank())];
  std::string name = mine.gpu_bus;
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto folder = std::filesystem::path("/sys/bus/pci/devices") / name;
  int node = -1;  // also where a container hides the folder
  std::ifstream(folder / "numa_node") >> node;
  CHECK(mine.gpu_numa_node.value_or(-1) == node);
}
