// What is said of where ranks are, and what is wrong with it.
#include "bovila/dist/placement.h"

#include <doctest/doctest.h>

#include "bovila/dist/topology.h"
#include "tests/unit/config/helpers.h"

using namespace bovila;
using bovila::testing::contains;
using Lines = std::vector<std::string>;

namespace {

Place on_cpu(const std::string& host, const std::string& cores, int threads = 1) {
  Place place;
  place.host = host;
  place.cores = parse_ranges(cores);
  place.numa_nodes = {0};
  place.threads = threads;
  return place;
}

Place on_gpu(const std::string& cores, std::vector<int> nodes, std::optional<int> gpu_node) {
  Place place = on_cpu("n1", cores, 4);
  place.numa_nodes = std::move(nodes);
  place.gpu = "NVIDIA H100";
  place.gpu_bus = "0000:1B:00.0";
  place.gpu_numa_node = gpu_node;
  return place;
}

}  // namespace

TEST_CASE("a place comes back from its text, with what is not known") {
  for (const Place& place : {on_cpu("n1", "0-3,8", 5), on_gpu("4-7", {0, 1}, 1),
                             on_gpu("", {}, std::nullopt), Place{}}) {
    CHECK(to_place(to_text(place)) == place);
  }
}

TEST_CASE("this process is somewhere") {
  const Place place = find_place(torch::kCPU);
  CHECK_FALSE(place.host.empty());
  CHECK(place.cores == allowed_cores());
  CHECK(place.threads == torch::get_num_threads());
  CHECK(place.gpu.empty());
}

TEST_CASE("one rank is said in two lines, ranks in the same place together") {
  CHECK(start_up_lines("bovila 1", {on_cpu("n1", "0")}) ==
        Lines{"bovila 1: 1 rank of 1 thread on the CPU, host n1",
              "rank 0: n1, core 0 (NUMA node 0)"});
  CHECK(start_up_lines("bovila 1", {on_cpu("n1", "0-3", 2), on_cpu("n1", "0-3", 2),
                                    on_cpu("n2", "0-3,8", 5)}) ==
        Lines{"bovila 1: 3 ranks of 2 to 5 threads on the CPU, 2 hosts (n1, n2)",
              "ranks 0-1: n1, cores 0-3 (NUMA node 0)", "rank 2: n2, cores 0-3,8 (NUMA node 0)"});
}

TEST_CASE("GPUs are said with where they hang, unknown places without") {
  Place nowhere;
  nowhere.host = "n2";
  CHECK(start_up_lines("b", {on_gpu("0-3", {0}, 0), on_gpu("4-7", {0, 1}, std::nullopt)}) ==
        Lines{"b: 2 ranks of 4 threads on a GPU each, host n1",
              "rank 0: n1, cores 0-3 (NUMA node 0), NVIDIA H100 at 0000:1B:00.0 (NUMA node 0)",
              "rank 1: n1, cores 4-7 (NUMA nodes 0-1), NVIDIA H100 at 0000:1B:00.0"});
  CHECK(start_up_lines("b", {nowhere}) ==
        Lines{"b: 1 rank of 1 thread on the CPU, host n2", "rank 0: n2"});
}

TEST_CASE("of many places the first are said, and how many more there are") {
  std::vector<Place> places;
  for (int host = 0; host < 10; ++host) places.push_back(on_cpu("n" + std::to_string(host), "0"));
  const Lines lines = start_up_lines("b", places, /*max_lines=*/3);
  CHECK(lines[0] ==
        "b: 10 ranks of 1 thread on the CPU, 10 hosts (n0, n1, n2, n3, n4, n5, n6, n7, ...)");
  CHECK(lines.size() == 5);
  CHECK(lines[3] == "rank 2: n2, core 0 (NUMA node 0)");
  CHECK(lines[4] == "and 7 ranks more: bovila --self-check lists them all");
  CHECK(start_up_lines("b", places, 10).size() == 11);
}

TEST_CASE("cores enough for all threads are no concern, shared or not") {
  CHECK(placement_concerns({on_cpu("n1", "0-3", 2), on_cpu("n1", "0-3", 2)}).empty());
  CHECK(placement_concerns({on_cpu("n1", "0-1", 2), on_cpu("n1", "2-3", 2)}).empty());
  CHECK(placement_concerns({on_cpu("n1", "0"), on_cpu("n2", "0")}).empty());
  CHECK(placement_concerns({on_cpu("n1", ""), on_cpu("n1", "")}).empty());
}

TEST_CASE("ranks of a host with more threads than cores are named") {
  const auto concerns = placement_concerns(
      {on_cpu("n1", "0-1", 1), on_cpu("n1", "0-1", 1), on_cpu("n1", "0-1", 1), on_cpu("n2", "0")});
  REQUIRE(concerns.size() == 1);
  CHECK(contains(concerns[0],
                 "host n1: ranks 0-2 compute with 3 threads on 2 cores (0-1), so that threads wait "
                 "for each other: give each rank cores of its own"));
  CHECK(contains(placement_concerns({on_cpu("n1", "7", 4)}).at(0),
                 "host n1: rank 0 computes with 4 threads on 1 core (7)"));
}

TEST_CASE("ranks bound to the same core are found among others, and cores that overlap in part") {
  CHECK(contains(
      placement_concerns({on_cpu("n1", "0-7", 1), on_cpu("n1", "0"), on_cpu("n1", "0")}).at(0),
      "ranks 1-2 compute with 2 threads on 1 core (0)"));
  CHECK(contains(
      placement_concerns({on_cpu("n1", "0-3", 4), on_cpu("n1", "8-9", 2), on_cpu("n1", "3-4", 2)})
          .at(0),
      "ranks 0,2 compute with 6 threads on 5 cores (0-4)"));
}

TEST_CASE(
    "a GPU on the other socket is a concern, one beside the cores or of unknown place is none") {
  CHECK(placement_concerns({on_gpu("0-3", {0}, 0), on_gpu("4-7", {1}, 1)}).empty());
  CHECK(placement_concerns({on_gpu("0-3", {0, 1}, 1)}).empty());
  CHECK(placement_concerns({on_gpu("0-3", {0}, std::nullopt), on_gpu("4-7", {}, 1)}).empty());
  const auto concerns =
      placement_concerns({on_gpu("0-3", {0}, 0), on_gpu("4-7", {0}, 1), on_gpu("8-11", {0}, 1)});
  REQUIRE(concerns.size() == 1);
  CHECK(contains(concerns[0],
                 "ranks 1-2: the GPU is on another NUMA node than the cores (rank 1 on n1: "
                 "0000:1B:00.0 on node 1, cores 4-7 on 0)"));
}
