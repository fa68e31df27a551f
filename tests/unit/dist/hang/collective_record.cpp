// The ring of collectives.
#include "bovila/dist/hang/collective_record.h"

#include <doctest/doctest.h>

#include <thread>

using namespace bovila;

TEST_CASE("collectives are numbered by group and know their stage and how far they came") {
  CollectiveRecord record;
  const GroupNotes all(record, {"all ranks", {0, 1}}), node(record, {"a node's ranks", {0}});
  all.set_stage("step 1");
  const auto first = all.begin("an all-reduce of 12 Float");
  all.end(first);
  node.begin("a barrier");
  all.set_stage("step 2");
  all.begin("a gather");
  const auto now = record.snapshot();
  CHECK(now.stage == "step 2");
  REQUIRE(now.notes.size() == 3);
  CHECK(now.notes[0].what == "an all-reduce of 12 Float");
  CHECK(now.notes[0].state == CollectiveState::kDone);
  CHECK(now.notes[0].ended >= now.notes[0].begun);
  CHECK(now.notes[1].number == 1);
  CHECK(now.notes[1].group == 1);
  CHECK(now.notes[1].stage == "step 1");
  CHECK(now.notes[2].number == 2);
  CHECK(now.notes[2].state == CollectiveState::kWaiting);
  CHECK(now.notes[2].ended == 0);
}

TEST_CASE("what a GPU has is waited for together") {
  CollectiveRecord record;
  const GroupNotes gpu(record, {"over NCCL", {0, 1}});
  for (int i = 0; i < 3; ++i) gpu.enqueued(gpu.begin("a broadcast"));
  for (const auto& note : record.snapshot().notes) CHECK(note.state == CollectiveState::kEnqueued);
  gpu.wait_for_all();
  CHECK(record.snapshot().notes[1].state == CollectiveState::kEnqueued);
  CHECK(record.snapshot().notes[2].state == CollectiveState::kWaiting);
  gpu.end_all();
  for (const auto& note : record.snapshot().notes) CHECK(note.state == CollectiveState::kDone);
}

TEST_CASE("the last 64 are kept") {
  CollectiveRecord record;
  const GroupNotes all(record, {"all ranks", {0}});
  for (int i = 0; i < 100; ++i) all.end(all.begin("a barrier"));
  const auto now = record.snapshot();
  REQUIRE(now.notes.size() == CollectiveRecord::kKept);
  CHECK(now.notes.front().number == 37);
  CHECK(now.notes.back().number == 100);
}

TEST_CASE("notes without a record are nothing, and a wait that runs out is told") {
  const GroupNotes none;
  none.end(none.begin("a barrier"));
  none.give_up();
  CollectiveRecord record;
  const GroupNotes all(record, {"all ranks", {0}});
  int told = 0;
  record.on_give_up([&] { ++told; });
  all.give_up();
  CHECK(told == 1);
}

TEST_CASE("a record may be read while it is written") {
  CollectiveRecord record;
  const GroupNotes all(record, {"all ranks", {0}});
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) {
      all.set_stage("step " + std::to_string(i));
      all.turn();
      all.end(all.begin("a barrier"));
    }
  });
  int64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    const auto now = record.snapshot();
    for (size_t k = 1; k < now.notes.size(); ++k) {
      CHECK(now.notes[k].number == now.notes[k - 1].number + 1);
    }
    if (!now.notes.empty()) CHECK(now.notes.back().number >= before);
    before = now.notes.empty() ? 0 : now.notes.back().number;
  }
  writer.join();
  CHECK(record.turns() == 2000);
}
