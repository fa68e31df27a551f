// Protobuf's wire format for six fields, TFRecord's frame, and the order of records.
#include "bovila/report/tensorboard_events.h"

#include <bit>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "bovila/core/error.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "bytes are copied as they are");

// --- protobuf and TFRecord ----------------------------------------------------------------------

template <typename Number>
std::string bytes_of(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

enum Wire { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

std::string key(uint64_t field, Wire wire) {
  return varint(field << 3 | wire);
}
std::string message(uint64_t field, const std::string& content) {
  return key(field, kLength) + varint(content.size()) + content;
}

// tensorflow/core/util/event.proto and framework/summary.proto
std::string event(double time, int64_t step, const std::string& what) {
  return key(1, kFixed64) + bytes_of(time) + key(2, kVarint) + varint(static_cast<uint64_t>(step)) +
         what;
}
std::string file_version() {
  return message(3, "brain.Event:2");
}
std::string session_start() {
  return message(7, key(1, kVarint) + varint(1));
}
std::string scalar(const std::string& tag, double value) {
  const auto narrow = bytes_of(static_cast<float>(value));
  return message(1, message(1, tag) + key(2, kFixed32) + narrow);
}
std::string summary(const std::string& scalars) {
  return message(5, scalars);
}

std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return bytes_of((crc >> 15 | crc << 17) + uint32_t{0xA282EAD8});
}

std::string record(const std::string& event) {
  const std::string length = bytes_of(uint64_t{event.size()});
  return length + masked_crc(length) + event + masked_crc(event);
}

// --- rows ---------------------------------------------------------------------------------------

json parse(const std::string& row) {
  auto object = json::parse(row, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw ProgramError("not a row of a result file: {}", row);
  return object;
}

/// The rows of a file by the number under `name`; no rows where there is no file.
std::map<int64_t, std::string> rows_by(const fs::path& path, const char* name) {
  std::map<int64_t, std::string> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto row = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (row.is_object() && row.contains(name) && row[name].is_number_integer()) {
      rows[row[name].get<int64_t>()] = line;
    }
  }
  return rows;
}

const std::regex& name_pattern() {
  static const std::regex pattern("events\\.out\\.tfevents\\.([0-9]{6,18})");
  return pattern;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  constexpr uint32_t kReversedPolynomial = 0x82F63B78;
  uint32_t crc = ~uint32_t{0};
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kReversedPolynomial : 0);
  }
  return ~crc;
}

std::string event_file_start(double time) {
  return record(event(time, 0, file_version())) + record(event(time, 0, session_start()));
}

std::string step_events(const std::string& metrics_row, const std::string& timing_row,
                        EventClock& clock) {
  static const std::set<std::string> kNoMetrics = {"step", "epoch", "questions", "time"};
  const json metrics = parse(metrics_row), timing = parse(timing_row);
  clock.step = metrics.value("step", clock.step);
  clock.time = timing.value("time", clock.time);
  std::string scalars;
  const auto add = [&](const json& row) {
    for (const auto& [name, value] : row.items()) {
      if (value.is_number() && !kNoMetrics.contains(name))
        scalars += scalar("train/" + name, value);
    }
  };
  add(metrics);
  add(timing);
  return record(event(clock.time, clock.step, summary(scalars)));
}

std::string epoch_events(const std::string& log_row, const EventClock& clock) {
  constexpr std::string_view kPrefix = "val_";
  const json row = parse(log_row);
  std::string scalars;
  for (const auto& [name, value] : row.items()) {
    if (!name.starts_with(kPrefix) || !value.is_number()) continue;
    scalars += scalar("val/" + name.substr(kPrefix.size()), value);
  }
  return record(event(clock.time, clock.step, summary(scalars)));
}

std::string render_event_file(const fs::path& folder, EventClock& clock) {
  const auto steps = rows_by(folder / "metrics.jsonl", "step");
  const auto timing = rows_by(folder / "timing.jsonl", "step");
  const auto epochs = rows_by(folder / "log.txt", "epoch");
  std::map<int64_t, int64_t> last_steps;  // epoch to step
  for (const auto& [step, row] : steps) last_steps[parse(row).value("epoch", int64_t{0})] = step;

  clock = {0, timing.empty() ? seconds_since_1970()
                             : parse(timing.begin()->second).value("time", seconds_since_1970())};
  std::string text = event_file_start(clock.time);
  auto epoch = last_steps.begin();
  for (const auto& [step, row] : steps) {
    const auto time = timing.find(step);
    text += step_events(row, time == timing.end() ? "{}" : time->second, clock);
    if (epoch->second != step) continue;
    const auto log_row = epochs.find((epoch++)->first);
    if (log_row != epochs.end()) text += epoch_events(log_row->second, clock);
  }
  return text;
}

bool is_event_file(const std::string& name) {
  return std::regex_match(name, name_pattern());
}

std::string event_file_name(int64_t number) {
  return fmt::format("events.out.tfevents.{:06}", number);
}

int64_t next_event_file(const fs::path& folder) {
  int64_t next = 1;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::smatch match;
    const std::string name = entry.path().filename();
    if (std::regex_match(name, match, name_pattern()))
      next = std::max(next, std::stol(match[1]) + 1);
  }
  return next;
}

}  // namespace bovila
