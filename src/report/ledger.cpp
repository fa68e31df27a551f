// A row is one write to the end of the file: what a kill cuts short is the last one.
#include "bovila/report/ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "bovila/core/system.h"

namespace bovila {
namespace {

using nlohmann::ordered_json;

constexpr auto kBetweenRows = std::chrono::seconds(10);

const char* word_of(Doing doing) {
  switch (doing) {
    case Doing::kLoading:
      return "loading";
    case Doing::kTraining:
      return "training";
    case Doing::kEvaluating:
      return "evaluating";
    case Doing::kSaving:
      return "saving";
    case Doing::kEnded:
      return "ended";
  }
  return "";
}

ordered_json row_of(Doing doing) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return {{"time", now.count()}, {"doing", word_of(doing)}};
}

/// Seconds since this process was started, libraries and MPI included; 0 where the kernel does not
/// say.
double age_of_process() {
  std::ifstream file("/proc/self/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  text.erase(0, text.rfind(')') + 1);  // the name, which may hold anything, is the second word
  std::istringstream words(text);
  constexpr int kWordsBefore = 19;  // the start, in ticks since the machine's, is the 22nd
  std::string skipped;
  for (int i = 0; i < kWordsBefore; ++i) words >> skipped;
  double ticks = 0;
  timespec now{};
  if (!(words >> ticks) || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
  const double started = ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  return std::max(
      0.0, static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) - started);
}

/// A number of the environment, or nothing.
ordered_json number_in(const char* name) {
  const auto number = ordered_json::parse(environment(name), nullptr, /*allow_exceptions=*/false);
  return number.is_number() ? number : ordered_json();
}

}  // namespace

void Ledger::load() {
  doing_ = Doing::kLoading;
  ordered_json row = row_of(doing_);
  row["time"] = row["time"].get<double>() - age_of_process();
  if (const auto job = environment("SLURM_JOB_ID"); !job.empty()) row["job"] = job;
  if (const auto since = number_in("BOVILA_QUEUED_SINCE"); !since.is_null()) {
    row["queued_since"] = since;
  }
  write(row.dump());
}

void Ledger::enter(Doing doing, int64_t step) {
  doing_ = doing;
  ordered_json row = row_of(doing_);
  if (step >= 0) row["step"] = step;
  write(row.dump());
}

void Ledger::tick() {
  if (Clock::now() - written_ >= kBetweenRows) enter(doing_);
}

void Ledger::write(std::string row) {
  row += '\n';
  const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t put = ::write(file, row.data(), row.size());
  close(file);
  written_ = Clock::now();
}

}  // namespace bovila
