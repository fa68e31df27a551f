// JSON there and back. A report may be read by another bovila than wrote it: what is not known is
// passed over, what is missing has its default.
#include "bovila/dist/hang/hang_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

using nlohmann::ordered_json;

struct StateName {
  CollectiveState state;
  const char* name;
};
constexpr StateName kStates[] = {{CollectiveState::kEnqueued, "enqueued"},
                                 {CollectiveState::kWaiting, "waiting"},
                                 {CollectiveState::kDone, "done"}};

std::string name_of(CollectiveState state) {
  return std::ranges::find(kStates, state, &StateName::state)->name;
}

CollectiveState state_of(const std::string& name) {
  const auto* found = std::ranges::find_if(kStates, [&](const auto& s) { return name == s.name; });
  if (found == std::end(kStates)) throw UserError("'{}' is no state of a collective", name);
  return found->state;
}

ordered_json json_of(const CollectiveNote& note, const std::vector<RankGroup>& groups) {
  return {{"group", groups[note.group].name},
          {"group_index", note.group},
          {"number", note.number},
          {"what", note.what},
          {"stage", note.stage},
          {"state", name_of(note.state)},
          {"begun", note.begun},
          {"ended", note.ended}};
}

CollectiveNote note_of(const ordered_json& json, size_t num_groups) {
  CollectiveNote note;
  note.group = json.at("group_index");
  if (note.group >= num_groups) throw UserError("group {} is not listed", note.group);
  note.number = json.at("number");
  note.what = json.at("what");
  note.stage = json.at("stage");
  note.state = state_of(json.at("state"));
  note.begun = json.at("begun");
  note.ended = json.at("ended");
  return note;
}

HangReport report_of(const ordered_json& json) {
  HangReport report;
  report.request = json.at("request");
  report.why = json.at("why");
  report.rank = json.at("rank");
  report.hosts = json.at("hosts");
  const auto num_ranks = static_cast<int>(report.hosts.size());
  if (report.rank < 0 || report.rank >= num_ranks) {
    throw UserError("rank {} of {} ranks", report.rank, num_ranks);
  }
  report.pid = json.value("pid", 0);
  report.device = json.value("device", "");
  report.nccl_status = json.value("nccl_status", "");
  report.time = json.at("time");
  report.is_polling = json.at("is_polling");
  report.record.stage = json.at("stage");
  report.record.stage_since = json.at("stage_since");
  for (const auto& group : json.at("groups")) {
    report.record.groups.push_back({group.at("name"), group.at("members")});
  }
  for (const auto& note : json.at("collectives")) {
    report.record.notes.push_back(note_of(note, report.record.groups.size()));
  }
  for (const auto& thread : json.value("threads", ordered_json::array())) {
    report.threads.push_back(
        {thread.at("id"), thread.at("name"), thread.at("state"), thread.at("frames")});
  }
  return report;
}

}  // namespace

const CollectiveNote* HangReport::waits_in() const {
  const auto waiting =
      std::ranges::find(record.notes, CollectiveState::kWaiting, &CollectiveNote::state);
  return waiting == record.notes.end() ? nullptr : &*waiting;
}

std::string hang_file_name(int rank) {
  return fmt::format("hang-rank{}.json", rank);
}

std::string to_json(const HangReport& report) {
  ordered_json json = {{"request", report.request},
                       {"why", report.why},
                       {"rank", report.rank},
                       {"pid", report.pid},
                       {"device", report.device},
                       {"time", report.time},
                       {"is_polling", report.is_polling},
                       {"stage", report.record.stage},
                       {"stage_since", report.record.stage_since},
                       {"hosts", report.hosts}};
  json["groups"] = ordered_json::array();
  for (const RankGroup& group : report.record.groups) {
    json["groups"].push_back({{"name", group.name}, {"members", group.members}});
  }
  json["collectives"] = ordered_json::array();
  for (const CollectiveNote& note : report.record.notes) {
    json["collectives"].push_back(json_of(note, report.record.groups));
  }
  json["threads"] = ordered_json::array();
  for (const ThreadStack& thread : report.threads) {
    json["threads"].push_back({{"id", thread.id},
                               {"name", thread.name},
                               {"state", thread.state},
                               {"frames", thread.frames}});
  }
  json["nccl_status"] = report.nccl_status;
  return json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

HangReport hang_report_of(const std::string& json, const std::string& source) {
  try {
    return report_of(ordered_json::parse(json));
  } catch (const ordered_json::exception& error) {
    throw UserError("{}: expected a report of a hang: {}", source, error.what());
  } catch (const UserError& error) {
    throw UserError("{}: expected a report of a hang: {}", source, error.what());
  }
}

std::vector<HangReport> read_hang_reports(const std::filesystem::path& folder) {
  std::vector<HangReport> reports;
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const auto name = entries->path().filename().string();
    if (!name.starts_with("hang-rank") || !name.ends_with(".json")) continue;
    try {
      reports.push_back(hang_report_of(file_bytes(entries->path()), entries->path().string()));
    } catch (const UserError& unreadable) {
      log::warn("{}", unreadable.what());
    }
  }
  if (reports.empty()) {
    throw UserError(
        "{} has no report of a hang ({}): a run leaves them when ranks wait longer than "
        "run.collective_timeout_s, or at SIGQUIT to one of them",
        folder.string(), hang_file_name(0));
  }
  const auto request = std::ranges::max_element(reports, {}, &HangReport::time)->request;
  std::erase_if(reports, [&](const HangReport& report) { return report.request != request; });
  std::ranges::sort(reports, {}, &HangReport::rank);
  return reports;
}

}  // namespace bovila
