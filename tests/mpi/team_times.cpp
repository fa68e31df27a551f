// All ranks' times of a step.
#include "bovila/train/team_times.h"

#include <doctest/doctest.h>

#include "tests/mpi/session.h"

using namespace bovila;

TEST_CASE("all ranks know the means and who was the slowest") {
  auto ranks = all_ranks();
  std::vector<std::string> hosts;
  for (int rank = 0; rank < ranks.size(); ++rank) hosts.push_back("n" + std::to_string(rank));
  const double mine = 1 + ranks.rank();
  const TeamTimes team = gather_times({mine, 1, 0.5, 0.25, 10}, hosts, ranks);
  const int last = ranks.size() - 1;
  CHECK(team.mean.data_s == doctest::Approx(1 + last / 2.0));
  CHECK(team.mean.compute_s == doctest::Approx(1));
  CHECK(team.mean.others_s == doctest::Approx(0.5));
  CHECK(team.mean.update_s == doctest::Approx(0.25));
  CHECK(team.mean.tokens == 10 * ranks.size());
  CHECK(team.slowest == last);
  CHECK(team.slowest_s == doctest::Approx(2 + last));
  CHECK(team.slowest_name == "rank " + std::to_string(last) + " on n" + std::to_string(last));
  CHECK(team.fastest == 0);
  CHECK(team.fastest_s == doctest::Approx(2));
  CHECK(team.fastest_name == "rank 0 on n0");
}
