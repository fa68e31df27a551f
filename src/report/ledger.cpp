// A row is one write to the end of the file: what a kill cuts short is the last one.
#include "bovila/report/ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "bovila/core/descriptor.h"
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
  return {{"time", seconds_since_1970()}, {"doing", word_of(doing)}};
}

/// Seconds since this process was started, libraries and MPI included; 0 where the kernel does not
/// say.
double age_of_process() {
  const auto words = stat_words("/proc/self/stat");
  timespec now{};
  if (words.size() <= kStartTicks || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
  const double started =
      std::strtod(words[kStartTicks].c_str(), nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
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
  const Descriptor file(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (file.id < 0) return;
  [[maybe_unused]] const ssize_t put = ::write(file.id, row.data(), row.size());
  written_ = Clock::now();
}

}  // namespace bovila
