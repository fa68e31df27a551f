// Which ranks make a grid, by the numbers of their nodes.
#include "bovila/dist/rank_grid.h"

#include <doctest/doctest.h>

#include "bovila/core/error.h"

using namespace bovila;

namespace {

std::string problem(int64_t tensor_parallel, const std::vector<int>& nodes) {
  try {
    check_grid(tensor_parallel, nodes);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("groups of neighbours on one node make a grid") {
  CHECK(problem(1, {0, 0, 2}).empty());
  CHECK(problem(2, {0, 0, 2, 2}).empty());
  CHECK(problem(4, {0, 0, 0, 0}).empty());
}

TEST_CASE("ranks that are no multiple of a group's are refused") {
  CHECK(problem(3, {0, 0, 0, 0}) ==
        "run.tensor_parallel is 3, and 4 ranks were started: expected a multiple of it (mpirun "
        "-np, Slurm: --ntasks)");
  CHECK(problem(2, {0}).starts_with("run.tensor_parallel is 2, and 1 rank was started"));
}

TEST_CASE("a group over two nodes is refused with its ranks") {
  CHECK(problem(2, {0, 1, 0, 1}) ==
        "run.tensor_parallel is 2, and ranks 0 and 1 are not all on one node, which a group has to "
        "be: start a multiple of 2 ranks on each node, neighbours together (Slurm: "
        "--ntasks-per-node, --distribution=block; mpirun: --map-by slot)");
  CHECK(problem(3, {0, 0, 0, 3, 3, 5}).find("ranks 3 to 5 are not") != std::string::npos);
}

TEST_CASE("the groups are named, many of them in part") {
  CHECK(
      grid_text(4, 2) ==
      "each 2 ranks hold the model together: 0-1, 2-3; of every layer the i-th of them has part i "
      "of 2");
  CHECK(grid_text(20, 2).find("14-15, ...;") != std::string::npos);
}
