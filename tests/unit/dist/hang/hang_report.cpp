// What reports say, written by hand: of every kind of rank that others wait for.
#include "bovila/dist/hang/hang_report.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;

namespace {

/// A rank of four that has done 6 collectives of step 3 and waits in the 7th, or not.
HangReport report_of_rank(int rank, bool waits) {
  HangReport report;
  report.request = "a";
  report.request = "a 1";
  report.why = waits ? "waited in vain" : "asked by another rank";
  report.rank = rank;
  report.hosts = {"n0", "n0", "n1", "n1"};
  report.pid = 100 + rank;
  report.device = "cpu";
  report.time = 70;
  report.record.stage = "step 3";
  report.record.groups = {{"all ranks", {0, 1, 2, 3}}};
  report.record.notes = {{0, 6, "a barrier", "step 3", CollectiveState::kDone, 9, 9.5}};
  if (waits) {
    report.record.notes.push_back(
        {0, 7, "an all-reduce of 12 Float", "step 3", CollectiveState::kWaiting, 10, 0});
  }
  report.threads = {{7, "bovila", "S", {"bovila::run() + 0x1 (bovila)"}}};
  return report;
}

const std::string kMeeting = "an all-reduce of 12 Float (number 7 of all ranks) in step 3";

}  // namespace

TEST_CASE("a report survives being written and read") {
  const HangReport report = report_of_rank(1, true);
  const HangReport again = hang_report_of(to_json(report), "x");
  CHECK(to_json(again) == to_json(report));
  CHECK(again.record.notes[1].state == CollectiveState::kWaiting);
  CHECK(again.threads[0].frames == report.threads[0].frames);
}

TEST_CASE("what is no report is an error that names the file") {
  const std::string whole = to_json(report_of_rank(1, true));
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("{\"request\": 1}"),
        whole.substr(0, whole.size() / 2)}) {
    CHECK(contains(error_of([&] { hang_report_of(text, "hang-rank1.json"); }),
                   "hang-rank1.json: expected a report of a hang: "));
  }
  auto bad = whole;
  bad.replace(bad.find("\"rank\": 1"), 9, "\"rank\": 9");
  CHECK(contains(error_of([&] { hang_report_of(bad, "x"); }), "rank 9 of 4 ranks"));
  bad = whole;
  bad.replace(bad.find("\"waiting\""), 9, "\"lost\"");
  CHECK(contains(error_of([&] { hang_report_of(bad, "x"); }), "'lost' is no state"));
  bad = whole;
  bad.replace(bad.find("\"group_index\": 0"), 16, "\"group_index\": 5");
  CHECK(contains(error_of([&] { hang_report_of(bad, "x"); }), "group 5 is not listed"));
}

TEST_CASE("a rank that computes while others wait never came") {
  CHECK(explain_hang({report_of_rank(0, true), report_of_rank(1, true), report_of_rank(2, false),
                      report_of_rank(3, true)}) ==
        "rank 2 (host n1, process 102, in step 3) never came to " + kMeeting +
            ", where ranks 0, 1 and 3 waited");
}

TEST_CASE("a rank without a report is dead or stopped") {
  CHECK(explain_hang({report_of_rank(0, true), report_of_rank(1, true), report_of_rank(2, true)}) ==
        "rank 3 (host n1), which left no report and so is dead or stopped, never came to " +
            kMeeting + ", where ranks 0-2 waited");
}

TEST_CASE("a rank within a call that does not return came, and hangs there") {
  HangReport stuck = report_of_rank(1, true);
  stuck.why = "asked by another rank";
  CHECK(explain_hang(
            {report_of_rank(0, true), stuck, report_of_rank(2, true), report_of_rank(3, true)}) ==
        "rank 1 (host n0, process 101, in step 3) came to, and hangs in, " + kMeeting +
            ", where ranks 0, 2 and 3 waited");
  stuck.is_polling = true;
  CHECK(explain_hang(
            {report_of_rank(0, true), stuck, report_of_rank(2, true), report_of_rank(3, true)}) ==
        "ranks 0-3 came to " + kMeeting + ", and it does not end");
}

TEST_CASE("a rank within a collective that the others have left hangs there and never came on") {
  HangReport stuck = report_of_rank(1, true);
  stuck.why = "asked by another rank";
  std::vector<HangReport> reports = {report_of_rank(0, true), stuck, report_of_rank(2, true),
                                     report_of_rank(3, true)};
  for (const size_t rank : {0, 2, 3}) {
    reports[rank].record.notes.back().state = CollectiveState::kDone;
    reports[rank].record.notes.push_back(
        {0, 8, "a barrier", "step 3", CollectiveState::kWaiting, 12, 0});
  }
  CHECK(explain_hang(reports) ==
        "rank 1 (host n0, process 101, in step 3) hangs in " + kMeeting +
            " and never came to a barrier (number 8 of all ranks) in step 3, where ranks 0, 2 and "
            "3 waited");
}

TEST_CASE("a rank that left a collective before others did is told so") {
  HangReport early = report_of_rank(0, true);
  early.why = "asked by another rank";
  early.record.notes.back().state = CollectiveState::kDone;
  CHECK(contains(explain_hang({early, report_of_rank(1, true), report_of_rank(2, true),
                               report_of_rank(3, true)}),
                 "rank 0 (host n0, process 100, in step 3) was through with " + kMeeting));
}

TEST_CASE("ranks of a group that waits for another rank are not to blame") {
  // Rank 1 waits for rank 0 in their node's group, the others for both.
  HangReport waits_in_node = report_of_rank(1, false);
  waits_in_node.why = "waited in vain";
  waits_in_node.record.groups.push_back({"a node's", {0, 1}});
  waits_in_node.record.notes.push_back(
      {1, 2, "a gather", "step 3", CollectiveState::kWaiting, 8, 0});
  const auto text = explain_hang(
      {report_of_rank(0, false), waits_in_node, report_of_rank(2, true), report_of_rank(3, true)});
  CHECK(text ==
        "rank 0 (host n0, process 100, in step 3) never came to a gather (number 2 of a node's) "
        "in step 3, where rank 1 waited");
}

TEST_CASE("ranks that take different paths are told apart") {
  HangReport other = report_of_rank(3, true);
  other.record.notes.back().number = 8;
  other.record.notes.back().what = "a barrier";
  other.record.notes.back().begun = 11;
  CHECK(explain_hang(
            {report_of_rank(0, true), report_of_rank(1, true), report_of_rank(2, true), other}) ==
        "the ranks wait for each other in different collectives: ranks 0-2 in " + kMeeting +
            ", rank 3 in a barrier (number 8 of all ranks) in step 3");
}

TEST_CASE("a run that is well says so, and a wait of less than two seconds is none") {
  CHECK(explain_hang({report_of_rank(0, false), report_of_rank(1, false)}) ==
        "no rank waits for another: rank 0 is in step 3, 2 of 4 ranks reported");
  HangReport brief = report_of_rank(1, true);
  brief.why = "SIGQUIT";
  brief.is_polling = true;
  brief.record.notes.back().begun = 69;
  CHECK(contains(explain_hang({report_of_rank(0, false), brief}), "no rank waits for another"));
  brief.record.notes.back().begun = 60;
  CHECK(contains(explain_hang({report_of_rank(0, false), brief}),
                 "rank 0 (host n0, process 100, in step 3) never came to"));
}

TEST_CASE(
    "of a folder the answers to the newest request count, and what cannot be read is passed over") {
  const testing::TempFolder folder;
  CHECK(contains(error_of([&] { read_hang_reports(folder.path() + "/none"); }),
                 "has no report of a hang (hang-rank0.json): a run leaves them when ranks wait "
                 "longer than run.collective_timeout_s, or at SIGQUIT"));
  HangReport old = report_of_rank(3, true);
  old.request = "an earlier one";
  old.time = 5;
  folder.write("hang-rank3.json", to_json(old));
  folder.write("hang-rank1.json", to_json(report_of_rank(1, true)));
  folder.write("hang-rank0.json", to_json(report_of_rank(0, true)));
  folder.write("hang-rank2.json", "{");
  const auto reports = read_hang_reports(folder.path());
  REQUIRE(reports.size() == 2);
  CHECK(reports[0].rank == 0);
  CHECK(reports[1].rank == 1);
}
