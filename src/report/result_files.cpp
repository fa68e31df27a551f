// Appending to the rows of steps, rewriting the short log.txt, and dropping rows that come again.
#include "bovila/report/result_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSteps = "metrics.jsonl";
constexpr const char* kTiming = "timing.jsonl";
constexpr const char* kEpochs = "log.txt";
constexpr const char* kQuestions = "questions.jsonl";
constexpr const char* kCalibration = "calibration.json";

/// The lines of a file whose number under `key` is less than `end`. Others, and what a kill has cut
/// short, are left out.
std::string lines_before(const fs::path& path, const char* key, int64_t end) {
  std::string kept;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object() || !row.contains(key) || !row[key].is_number_integer()) continue;
    if (row[key].get<int64_t>() < end) kept += line + "\n";
  }
  return kept;
}

[[noreturn]] void fail(const fs::path& path) {
  throw ProgramError("{}: cannot be written: {}", path.string(), system_message(errno));
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = write(file, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    text.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

/// Appends what follows the first `shown` bytes of a text, which end the file already. When that
/// fails, or with `durably` the sync of all of it, none of the text is left there: of pages that
/// were not synced, the system may have dropped some.
void append_rest(const fs::path& path, std::string_view text, size_t shown, bool durably) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) fail(path);
  const off_t end = lseek(file, 0, SEEK_END);
  if (end < static_cast<off_t>(shown)) shown = 0;  // somebody has cut or replaced the file
  const off_t before = end - static_cast<off_t>(shown);
  const bool whole =
      before >= 0 && write_all(file, text.substr(shown)) && (!durably || fsync(file) == 0);
  const int reason = errno;
  // A row that is half there would spoil the next one; should this fail too, resume_at() drops it.
  if (!whole && before >= 0 && ftruncate(file, before) != 0) errno = reason;
  close(file);
  errno = reason;
  if (!whole) fail(path);
}

}  // namespace

void write_or_remove(const fs::path& path, const std::string& text) {
  if (!text.empty()) return write_file_durably(path, text);
  fs::remove(path);
}

void ResultFiles::resume_at(int64_t step, int64_t epoch) {
  const auto drop = [&](const char* name, const char* key, int64_t end) {
    const fs::path path = folder_ / name;
    if (!fs::exists(path)) return;
    if (!fs::is_regular_file(path)) throw ProgramError("{}: is no plain file", path.string());
    write_file_durably(path, lines_before(path, key, end));
  };
  drop(kSteps, "step", step + 1);
  drop(kTiming, "step", step + 1);
  drop(kEpochs, "epoch", epoch);
  event_file_.clear();
  if (tensorboard_) render_event_file(folder_, clock_);
}

void ResultFiles::add_step(const std::string& metrics, const std::string& timing) {
  steps_.text += metrics + "\n";
  timing_.text += timing + "\n";
  if (tensorboard_) events_.text += step_events(metrics, timing, clock_);
}

void ResultFiles::add_epoch(int64_t epoch, const std::string& record, std::string predictions,
                            std::string questions, std::string calibration) {
  epochs_.push_back(
      {epoch, record, std::move(predictions), std::move(questions), std::move(calibration)});
  if (tensorboard_) events_.text += epoch_events(record, clock_);
}

void ResultFiles::append(const std::string& name, Waiting& waiting, bool durably) {
  if (waiting.text.empty() || (!durably && waiting.shown == waiting.text.size())) return;
  const size_t shown = std::exchange(waiting.shown, 0);  // when it fails, none of it is there
  append_rest(folder_ / name, waiting.text, shown, durably);
  waiting.shown = waiting.text.size();
  if (durably) waiting = {};
}

void ResultFiles::append_events(bool durably) {
  if (!event_file_.empty()) return append(event_file_, events_, durably);
  EventClock unused;
  const int64_t number = next_event_file(folder_);
  write_file_durably(folder_ / event_file_name(number), render_event_file(folder_, unused));
  event_file_ = event_file_name(number);
  events_ = {};  // rendered, as their rows are in the files
  // TensorBoard (2.21) never gets past a file that is removed while it watches it, so that one is
  // emptied. What fails is ignored: an old file that stays is read before the new one and
  // forgotten.
  std::error_code ignored;
  fs::resize_file(folder_ / event_file_name(number - 1), 0, ignored);
  for (int64_t old = 1; old < number - 1; ++old) {
    fs::remove(folder_ / event_file_name(old), ignored);
  }
}

void ResultFiles::show() noexcept {
  try {
    append(kSteps, steps_, /*durably=*/false);
    append(kTiming, timing_, /*durably=*/false);
    // An epoch's event is behind rows that flush() writes.
    if (tensorboard_ && epochs_.empty()) append_events(/*durably=*/false);
  } catch (const std::exception&) {  // flush() tries again, and tells
  }
}

std::optional<std::string> ResultFiles::flush() {
  try {
    append(kSteps, steps_, /*durably=*/true);
    append(kTiming, timing_, /*durably=*/true);
    while (!epochs_.empty()) {
      const Epoch& epoch = epochs_.front();
      write_file_durably(folder_ / fmt::format("epoch{}.json", epoch.number), epoch.predictions);
      write_file_durably(folder_ / kQuestions, epoch.questions);
      write_or_remove(folder_ / kCalibration, epoch.calibration);
      const fs::path log = folder_ / kEpochs;
      write_file_durably(log, lines_before(log, "epoch", epoch.number) + epoch.record + "\n");
      epochs_.erase(epochs_.begin());
    }
    if (tensorboard_) append_events(/*durably=*/true);
    return std::nullopt;
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace bovila
