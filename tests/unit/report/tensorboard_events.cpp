// The frame and the fields byte by byte; TensorBoard's own reader reads whole runs in
// tests/cli/look.sh.
#include "bovila/report/tensorboard_events.h"

#include <cstring>

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::TempFolder;

namespace {

uint64_t number_at(const std::string& bytes, size_t at, size_t size) {
  uint64_t number = 0;
  std::memcpy(&number, bytes.data() + at, size);
  return number;
}

/// The events of a file; checks the frame around each.
std::vector<std::string> unframed(const std::string& file) {
  std::vector<std::string> events;
  const auto masked = [](uint32_t crc) { return (crc >> 15 | crc << 17) + 0xA282EAD8U; };
  for (size_t at = 0; at < file.size();) {
    const size_t size = number_at(file, at, 8);
    CHECK(number_at(file, at + 8, 4) == masked(crc32c(std::string_view(file).substr(at, 8))));
    events.push_back(file.substr(at + 12, size));
    CHECK(number_at(file, at + 12 + size, 4) == masked(crc32c(events.back())));
    at += 16 + size;
  }
  return events;
}

}  // namespace

TEST_CASE("crc32c gives the check values of RFC 3720") {
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43);
  CHECK(crc32c("") == 0);
}

TEST_CASE("a file starts with its version and a session that starts at step 0") {
  const auto events = unframed(event_file_start(2));
  const std::string time_2("\x09\0\0\0\0\0\0\0\x40\x10\0", 11);  // field 1 = 2.0, field 2 = 0
  REQUIRE(events.size() == 2);
  CHECK(events[0] == time_2 +
                         "\x1A\x0D"
                         "brain.Event:2");
  CHECK(events[1] == time_2 + "\x3A\x02\x08\x01");
}

TEST_CASE("a step's scalars are its numbers but those that say when") {
  EventClock clock;
  const auto events = unframed(
      step_events(R"({"step":300,"epoch":1,"questions":8,"loss":0.5,"name":"x","none":null})",
                  R"({"step":300,"time":2,"questions_per_s":4})", clock));
  CHECK(clock.step == 300);
  CHECK(clock.time == 2);
  REQUIRE(events.size() == 1);
  const std::string loss("\x0A\x11\x0A\x0Atrain/loss\x15\0\0\0\x3F", 19);
  const std::string speed("\x0A\x1C\x0A\x15train/questions_per_s\x15\0\0\x80\x40", 30);
  const std::string head("\x09\0\0\0\0\0\0\0\x40\x10\xAC\x02\x2A\x31", 14);  // step 300
  CHECK(events[0] == head + loss + speed);
}

TEST_CASE("an epoch's scalars are what was evaluated, at the last step before it") {
  const auto events =
      unframed(epoch_events(R"({"train_loss":1,"epoch":3,"val_acc":0.5})", EventClock{7, 2}));
  REQUIRE(events.size() == 1);
  CHECK(contains(events[0], "val/acc"));
  CHECK_FALSE(contains(events[0], "loss"));
  CHECK(events[0][10] == 7);
}

TEST_CASE("a row that is no JSON object is an error that shows it") {
  EventClock clock;
  CHECK_THROWS_WITH_AS(step_events("[1]", "{}", clock), "not a row of a result file: [1]",
                       ProgramError);
  CHECK_THROWS_AS(epoch_events("{", clock), ProgramError);
}

TEST_CASE("a run whose timing is lost has events all the same") {
  const TempFolder folder;
  folder.write("metrics.jsonl", "{\"step\":1,\"epoch\":0,\"loss\":1}\n{\"step\":2,\"epoch\":0}\n");
  EventClock clock;
  CHECK(unframed(render_event_file(folder.path(), clock)).size() == 4);
  CHECK(clock.step == 2);
  CHECK(clock.time > 1.7e9);
}

TEST_CASE("event files are numbered on") {
  const TempFolder folder;
  CHECK(next_event_file(folder.path()) == 1);
  for (const char* name : {"events.out.tfevents.000002", "events.out.tfevents.1732400000.host",
                           "events.out.tfevents.9", "metrics.jsonl"}) {
    folder.write(name, "");
  }
  CHECK(next_event_file(folder.path()) == 3);
  CHECK(is_event_file(event_file_name(12)));
  CHECK(event_file_name(12) == "events.out.tfevents.000012");
}
