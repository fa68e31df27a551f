// A thread that sleeps, looks for a file, and writes one. It calls no MPI.
#include "bovila/dist/hang/hang_reporter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "bovila/core/descriptor.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/dist/hang/nccl_ras.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto kGlance = std::chrono::milliseconds(200);
constexpr auto kBetweenLooks = std::chrono::seconds(1);  // at the folder, which may be a network's
constexpr auto kPatience = std::chrono::seconds(10);     // for the reports of ranks that live
constexpr auto kNcclLimit = std::chrono::seconds(6);     // for NCCL's answer, within the patience
constexpr auto kGrace = std::chrono::seconds(2);         // on top, for rank 0 to say the sentence
/// A wait that runs out so soon after a report is of the hang that was reported.
constexpr auto kSameHang = std::chrono::seconds(60);
constexpr const char* kInVain = "waited in vain";

// A signal handler reaches nothing else.
std::atomic<bool> was_asked_by_signal = false;

extern "C" void remember_quit(int) {
  was_asked_by_signal.store(true, std::memory_order_relaxed);
}

/// The name by which a job may leave this host out.
std::string node_name() {
  const auto slurms = environment("SLURMD_NODENAME");
  return slurms.empty() ? host_name() : slurms;
}

/// NFS takes a file that was missing for missing for up to a minute, unless its folder is opened.
void look_again(const fs::path& folder) {
  const Descriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// Stop signals are for the rank's own thread.
std::thread start_without_signals(std::function<void()> work) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(work));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

HangReporter::HangReporter(fs::path folder, CollectiveRecord& record, Communicator& ranks,
                           std::string device, bool asks_nccl)
    : folder_(std::move(folder)),
      record_(record),
      rank_(ranks.rank()),
      hosts_(ranks.all_gather(node_name())),
      device_(std::move(device)),
      asks_nccl_(asks_nccl && std::ranges::find(hosts_, hosts_[static_cast<size_t>(rank_)]) ==
                                  hosts_.begin() + rank_) {
  std::error_code ignored;
  if (rank_ == 0) fs::remove(folder_ / kRequest, ignored);
  session_ =
      ranks.broadcast(fmt::format("{}-{}-{:.3f}", hosts_[0], getpid(), seconds_since_1970()), 0);
  was_asked_by_signal = false;
  struct sigaction action {};
  action.sa_handler = remember_quit;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGQUIT, &action, &before_);
  record_.on_give_up([this] { wait_ran_out(); });
  thread_ = start_without_signals([this] { watch(); });
}

HangReporter::~HangReporter() {
  record_.on_give_up({});
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
  sigaction(SIGQUIT, &before_, nullptr);
}

void HangReporter::watch() {
  auto looked = Clock::now();
  while (true) {
    bool ran_out = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kGlance, [&] { return ends_ || (ran_out_ && !is_told_); });
      if (ends_) return;
      ran_out = ran_out_ && !is_told_;
    }
    if (ran_out) {
      const bool is_known = request_.ends_with(kInVain) && Clock::now() - answered_ < kSameHang;
      if (!is_known) report(kInVain);
      const std::lock_guard lock(mutex_);
      is_told_ = true;
      changed_.notify_all();
    } else if (was_asked_by_signal.exchange(false)) {
      report("SIGQUIT");
    } else if (Clock::now() - looked >= kBetweenLooks) {
      looked = Clock::now();
      const auto standing = standing_request();
      if (!standing.empty() && standing != request_) report("asked by another rank");
    }
  }
}

void HangReporter::wait_ran_out() {
  std::unique_lock lock(mutex_);
  ran_out_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, 2 * (kPatience + kGrace), [&] { return is_told_; });
}

std::string HangReporter::standing_request() const {
  look_again(folder_);
  auto text = file_bytes(folder_ / kRequest);
  return text.starts_with(session_) ? text : "";
}

/// Whole, or not there: a rank that read half a request would take it for none and end the job.
void HangReporter::make_request(const std::string& why) const {
  const auto path = folder_ / kRequest, beside = folder_ / fmt::format("{}-{}", kRequest, rank_);
  const auto failed = [&] { return ProgramError("{}: {}", path.string(), system_message(errno)); };
  const Descriptor file(open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.id < 0) throw failed();
  const auto text = fmt::format("{} {} {:.3f} {}", session_, rank_, seconds_since_1970(), why);
  if (write(file.id, text.data(), text.size()) != std::ssize(text)) throw failed();
  // Where another rank was first its request stands; where there are no links the last one does.
  const bool is_there = link(beside.c_str(), path.c_str()) == 0 || errno == EEXIST;
  if (!is_there && rename(beside.c_str(), path.c_str()) != 0) throw failed();
  unlink(beside.c_str());
}

bool HangReporter::has_run_out() {
  const std::lock_guard lock(mutex_);
  return ran_out_;
}

/// Also of a loop that has just ended in vain. A busy machine may not let a loop turn at once.
bool HangReporter::is_polling() {
  constexpr int kGlances = 5;
  const uint64_t turns = record_.turns();
  for (int i = 0; i < kGlances; ++i) {
    std::this_thread::sleep_for(kGlance);
    if (record_.turns() != turns || has_run_out()) return true;
  }
  return false;
}

HangReport HangReporter::make_report(const std::string& why) {
  HangReport report;
  report.is_polling = is_polling();
  report.record = record_.snapshot();
  report.request = request_;
  report.why = why;
  report.rank = rank_;
  report.hosts = hosts_;
  report.pid = getpid();
  report.device = device_;
  report.time = seconds_since_1970();
  report.threads = ThreadStacks::take();
  if (asks_nccl_) report.nccl_status = nccl_ras_status(kNcclLimit);
  return report;
}

void HangReporter::report(const std::string& why) {
  try {
    if (standing_request().empty()) make_request(why);
    request_ = standing_request();
    if (request_.empty()) return;  // others have said it meanwhile
    answered_ = Clock::now();
    write_file_durably(folder_ / hang_file_name(rank_), to_json(make_report(why)));
    conclude();
  } catch (const std::exception& error) {
    log::warn("no report of the hang: {}", error.what());
  }
}

std::optional<HangReport> HangReporter::answer_of(int rank) const {
  const auto path = folder_ / hang_file_name(rank);
  const auto text = file_bytes(path);
  if (text.find(request_) == std::string::npos) return std::nullopt;
  return hang_report_of(text, path.string());
}

std::vector<HangReport> HangReporter::wait_for_answers(Clock::time_point limit) const {
  std::vector<HangReport> reports;
  std::set<int> missing;
  for (int rank = 0; rank < static_cast<int>(hosts_.size()); ++rank) missing.insert(rank);
  while (true) {
    look_again(folder_);
    std::erase_if(missing, [&](int rank) {
      auto answer = answer_of(rank);
      if (answer) reports.push_back(std::move(*answer));
      return answer.has_value();
    });
    if (missing.empty() || ends_ || Clock::now() >= limit) break;
    std::this_thread::sleep_for(kGlance);
  }
  std::ranges::sort(reports, {}, &HangReport::rank);
  return reports;
}

/// Rank 0's thread alone reads all reports, unless it is dead: then the lowest rank's that lives.
void HangReporter::conclude() {
  const auto limit = Clock::now() + kPatience;
  if (rank_ == 0) return say_and_end(wait_for_answers(limit));
  while (Clock::now() < limit + kGrace) {
    if (ends_ || standing_request() != request_) return;  // it is said
    std::this_thread::sleep_for(kGlance);
  }
  for (int rank = 0; rank < rank_; ++rank) {
    if (answer_of(rank)) return;
  }
  say_and_end(wait_for_answers(limit));
}

void HangReporter::say_and_end(const std::vector<HangReport>& reports) const {
  if (ends_) return;
  const auto text = fmt::format("hang: {}. Stacks of all threads: {}", explain_hang(reports),
                                (folder_ / "hang-rank*.json").string());
  const bool is_over =
      std::ranges::any_of(reports, [](const HangReport& report) { return report.why == kInVain; });
  is_over ? log::error("{}", text) : log::warn("{}", text);
  std::error_code ignored;
  fs::remove(folder_ / kRequest, ignored);
}

}  // namespace bovila
