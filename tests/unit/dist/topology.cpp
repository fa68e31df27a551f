// Ranges, and what a /sys of a machine with two sockets says, or hides.
#include "bovila/dist/topology.h"

#include <doctest/doctest.h>
#include <sched.h>

#include "tests/unit/config/helpers.h"

using namespace bovila;
using bovila::testing::TemporaryFolder;
using Numbers = std::vector<int>;

namespace {

/// Two NUMA nodes of four cores, each with the second threads of its cores; a GPU on node 1.
struct TwoSockets {
  TemporaryFolder sys;
  TwoSockets() {
    write("devices/system/node/node0/cpulist", "0-3,8-11\n");
    write("devices/system/node/node1/cpulist", "4-7,12-15\n");
    write("devices/system/node/online", "0-1\n");
    write("devices/system/node/nodes/cpulist", "0-15\n");
    write("bus/pci/devices/0000:c1:00.0/numa_node", "1\n");
    write("bus/pci/devices/0000:1b:00.0/numa_node", "-1\n");
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(sys / name).parent_path());
    sys.write(name, text);
  }
  std::filesystem::path root() const { return sys / ""; }
};

}  // namespace

TEST_CASE("numbers are written as ranges and read again") {
  for (const auto& [numbers, text] : std::vector<std::pair<Numbers, std::string>>{
           {{}, ""}, {{5}, "5"}, {{0, 1, 2, 3, 8}, "0-3,8"}, {{0, 2, 4, 5}, "0,2,4-5"}}) {
    CHECK(to_ranges(numbers) == text);
    CHECK(parse_ranges(text) == numbers);
  }
}

TEST_CASE("a part that is no range counts as none") {
  CHECK(parse_ranges("0-1,x,4-,-3,5-y,7") == Numbers{0, 1, 7});
  CHECK(parse_ranges("3-1").empty());
  CHECK(parse_ranges("0-99999999").empty());
}

TEST_CASE("the cores that this process may use are those of its affinity") {
  const Numbers all = allowed_cores();
  REQUIRE_FALSE(all.empty());
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof(before), &before) == 0);
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(all.back()), &one);
  REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
  CHECK(allowed_cores() == Numbers{all.back()});
  REQUIRE(sched_setaffinity(0, sizeof(before), &before) == 0);
  CHECK(allowed_cores() == all);
}

TEST_CASE("cores are of the NUMA nodes that list them") {
  const TwoSockets machine;
  CHECK(numa_nodes_of({0, 1}, machine.root()) == Numbers{0});
  CHECK(numa_nodes_of({12}, machine.root()) == Numbers{1});
  CHECK(numa_nodes_of({11, 12}, machine.root()) == Numbers{0, 1});
  CHECK(numa_nodes_of({99}, machine.root()).empty());
  CHECK(numa_nodes_of({0}, machine.root() / "nowhere").empty());
}

TEST_CASE("a GPU's NUMA node is its PCI device's, where the system knows it") {
  const TwoSockets machine;
  CHECK(numa_node_of_device("0000:C1:00.0", machine.root()) == 1);
  CHECK_FALSE(numa_node_of_device("0000:1B:00.0", machine.root()).has_value());
  CHECK_FALSE(numa_node_of_device("0000:ff:00.0", machine.root()).has_value());
}
