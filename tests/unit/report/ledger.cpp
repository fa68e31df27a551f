// Rows of ledger.jsonl; what they add up to: tests/cli/ledger.sh.
#include "bovila/report/ledger.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/temp_folder.h"

using namespace bovila;

namespace {

std::vector<nlohmann::json> rows_of(const testing::TempFolder& folder) {
  std::ifstream file(folder.path() + "/ledger.jsonl");
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

}  // namespace

TEST_CASE("each row says what goes on from then") {
  const testing::TempFolder folder;
  setenv("SLURM_JOB_ID", "17", 1);
  setenv("BOVILA_QUEUED_SINCE", "1700000000", 1);
  Ledger(folder.path()).load();
  setenv("BOVILA_QUEUED_SINCE", "soon", 1);
  Ledger(folder.path()).load();
  unsetenv("SLURM_JOB_ID");
  unsetenv("BOVILA_QUEUED_SINCE");
  Ledger ledger(folder.path());
  ledger.enter(Doing::kTraining, 3);
  ledger.tick();  // the row before is young
  ledger.enter(Doing::kEnded);
  const auto rows = rows_of(folder);
  REQUIRE(rows.size() == 4);
  CHECK(rows[0]["doing"] == "loading");
  CHECK(rows[0]["job"] == "17");
  CHECK(rows[0]["queued_since"] == 1700000000);
  CHECK_FALSE(rows[1].contains("queued_since"));
  CHECK(rows[2]["doing"] == "training");
  CHECK(rows[2]["step"] == 3);
  CHECK(rows[3]["doing"] == "ended");
  const double loaded = rows[0]["time"], ended = rows[3]["time"];
  CHECK(ended >= loaded);
  CHECK(ended - loaded < 3600);  // as long as this process runs
}

TEST_CASE("a folder that is not there is no error") {
  Ledger("/nowhere/at/all").enter(Doing::kTraining);
}
