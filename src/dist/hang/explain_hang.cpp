// A rank is to blame when others wait for it and it does not wait itself, in the loop of a wait: it
// computes, is within a library's call that does not return, or is not there any more.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "bovila/core/counted.h"
#include "bovila/dist/hang/hang_report.h"

namespace bovila {
namespace {

/// The same collective on several ranks.
struct Meeting {
  RankGroup group;
  int64_t number = 0;
  std::string what, stage;
  double begun = 0;          // by the first that waits
  std::vector<int> waiting;  // ascending

  bool is_same(const RankGroup& other, int64_t its_number) const {
    return group == other && number == its_number;
  }
};

/// "rank 3", "ranks 0, 2 and 5-9"
std::string ranks_text(const std::vector<int>& ranks) {
  std::vector<std::string> parts;
  for (size_t first = 0, last = 0; first < ranks.size(); first = last + 1) {
    last = first;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    parts.push_back(last > first + 1 ? fmt::format("{}-{}", ranks[first], ranks[last])
                                     : fmt::format("{}", ranks[first]));
    if (last == first + 1) parts.push_back(fmt::format("{}", ranks[last]));
  }
  if (parts.size() == 1) return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", parts[0]);
  const std::string end = parts.back();
  parts.pop_back();
  return fmt::format("ranks {} and {}", fmt::join(parts, ", "), end);
}

/// "an all-reduce of 12 Float (the 7th of all ranks) in step 3"
std::string meeting_text(const std::string& what, int64_t number, const RankGroup& group,
                         const std::string& stage) {
  return fmt::format("{} (number {} of {}){}", what, number, group.name,
                     stage.empty() ? "" : " in " + stage);
}
std::string meeting_text(const Meeting& meeting) {
  return meeting_text(meeting.what, meeting.number, meeting.group, meeting.stage);
}

/// Whether a rank does nothing but wait for others. One that tells that it waited in vain does so
/// out of the loop of its wait.
bool only_waits(const HangReport& report) {
  return report.waits_in() != nullptr && (report.is_polling || report.why == "waited in vain");
}

/// Ranks report up to a second apart: a wait that is younger tells nothing yet.
bool is_long(const HangReport& report, const CollectiveNote& note) {
  constexpr double kLong_s = 2;
  return report.why == "waited in vain" || report.time - note.begun >= kLong_s;
}

/// What ranks wait in, the one that began first at the front.
std::vector<Meeting> meetings_of(const std::vector<HangReport>& reports) {
  std::vector<Meeting> meetings;
  for (const HangReport& report : reports) {
    const CollectiveNote* note = report.waits_in();
    if (note == nullptr || !only_waits(report) || !is_long(report, *note)) continue;
    const RankGroup& group = report.record.groups[note->group];
    auto found = std::ranges::find_if(
        meetings, [&](const Meeting& meeting) { return meeting.is_same(group, note->number); });
    if (found == meetings.end()) {
      meetings.push_back({group, note->number, note->what, note->stage, note->begun, {}});
      found = std::prev(meetings.end());
    }
    found->waiting.push_back(report.rank);
    found->begun = std::min(found->begun, note->begun);
  }
  std::ranges::sort(meetings, {}, &Meeting::begun);
  return meetings;
}

const HangReport* report_of(int rank, const std::vector<HangReport>& reports) {
  const auto found = std::ranges::find(reports, rank, &HangReport::rank);
  return found == reports.end() ? nullptr : &*found;
}

/// The first meeting that waits for this rank, or null.
const Meeting* missed_by(int rank, const std::vector<Meeting>& meetings) {
  const auto found = std::ranges::find_if(meetings, [&](const Meeting& meeting) {
    return std::ranges::binary_search(meeting.group.members, rank);
  });
  return found == meetings.end() ? nullptr : &*found;
}

/// The rank's last collective of this group, or null.
const CollectiveNote* last_of(const HangReport& report, const RankGroup& group) {
  const CollectiveNote* last = nullptr;
  for (const CollectiveNote& note : report.record.notes) {
    if (report.record.groups[note.group] == group) last = &note;
  }
  return last;
}

/// What a rank did in the place of waiting.
std::string conduct(int rank, const Meeting& meeting, const std::vector<HangReport>& reports,
                    const std::string& host) {
  const HangReport* report = report_of(rank, reports);
  if (report == nullptr) {
    return fmt::format(
        "rank {} (host {}), which left no report and so is dead or stopped, never came to", rank,
        host);
  }
  const CollectiveNote* last = last_of(*report, meeting.group);
  const auto& stage = report->record.stage;
  const auto at = fmt::format("rank {} (host {}, process {}, {})", rank, host, report->pid,
                              stage.empty() ? "at its start" : "in " + stage);
  if (last == nullptr || last->number < meeting.number) {
    const CollectiveNote* inside = report->waits_in();  // which the others have left already
    if (inside == nullptr) return at + " never came to";
    return fmt::format("{} hangs in {} and never came to", at,
                       meeting_text(inside->what, inside->number,
                                    report->record.groups[inside->group], inside->stage));
  }
  if (last->number > meeting.number || last->state == CollectiveState::kDone) {
    return at + " was through with";
  }
  return at + " came to, and hangs in,";
}

std::string all_wait_text(const std::vector<Meeting>& meetings) {
  if (meetings.size() == 1) {
    return fmt::format("{} came to {}, and it does not end", ranks_text(meetings.front().waiting),
                       meeting_text(meetings.front()));
  }
  std::vector<std::string> texts;
  for (const Meeting& meeting : meetings) {
    texts.push_back(fmt::format("{} in {}", ranks_text(meeting.waiting), meeting_text(meeting)));
  }
  return fmt::format("the ranks wait for each other in different collectives: {}",
                     fmt::join(texts, ", "));
}

}  // namespace

std::string explain_hang(const std::vector<HangReport>& reports) {
  const auto meetings = meetings_of(reports);
  const auto& hosts = reports.front().hosts;
  if (meetings.empty()) {
    const HangReport& first = reports.front();
    return fmt::format("no rank waits for another: rank {} is in {}, {} of {} reported", first.rank,
                       first.record.stage.empty() ? "its start" : first.record.stage,
                       reports.size(), counted(std::ssize(hosts), "rank"));
  }
  std::vector<std::string> clauses;
  for (int rank = 0; rank < static_cast<int>(hosts.size()); ++rank) {
    const HangReport* report = report_of(rank, reports);
    if (report != nullptr && only_waits(*report)) continue;
    const Meeting* meeting = missed_by(rank, meetings);
    if (meeting == nullptr) continue;
    clauses.push_back(
        fmt::format("{} {}, where {} waited",
                    conduct(rank, *meeting, reports, hosts[static_cast<size_t>(rank)]),
                    meeting_text(*meeting), ranks_text(meeting->waiting)));
  }
  if (clauses.empty()) return all_wait_text(meetings);
  constexpr size_t kMaxClauses = 4;
  const size_t others = clauses.size() - std::min(clauses.size(), kMaxClauses);
  clauses.resize(clauses.size() - others);
  return fmt::format(
      "{}{}", fmt::join(clauses, "; "),
      others > 0 ? fmt::format("; and so for {} more", counted(others, "rank")) : "");
}

}  // namespace bovila
