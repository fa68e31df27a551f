// What this rank's last collectives were: a ring of them, for the report of a hang.
// Fed by dist/communicator.h; read by dist/hang/hang_reporter.h on a thread of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace bovila {

/// Ranks of the whole job that do collectives together.
struct RankGroup {
  std::string name;          ///< "all ranks"
  std::vector<int> members;  ///< ascending
  bool operator==(const RankGroup&) const = default;
};

/// How far a collective came on this rank. kEnqueued: a GPU has it, and the host goes on.
enum class CollectiveState { kEnqueued, kWaiting, kDone };

struct CollectiveNote {
  size_t group = 0;    ///< in CollectiveRecord's order
  int64_t number = 0;  ///< within the group, from 1: a collective's is the same on all its ranks
  std::string what;    ///< "an all-reduce of 12 Float"
  std::string stage;   ///< "step 12"
  CollectiveState state = CollectiveState::kDone;
  double begun = 0;  ///< seconds since 1970
  double ended = 0;  ///< 0: not yet
};

/// Written by one thread, read by any. No signal handler may call it: it locks, for as long as a
/// few words take.
class CollectiveRecord {
 public:
  static constexpr size_t kKept = 64;

  /// @return the group's place in groups().
  size_t add_group(RankGroup group);
  void set_stage(const std::string& stage);

  /// The group's next collective begins, and the host waits for it. @return what the next two want.
  uint64_t begin(size_t group, const std::string& what);
  /// The host does not wait any more: a GPU has it.
  void enqueued(uint64_t collective);
  void end(uint64_t collective);
  /// The host waits from now on for the group's last collective, and with it for all before.
  void wait_for_group(size_t group);
  /// All of the group's collectives have ended.
  void end_group(size_t group);

  /// A wait goes on: its loop turns. Signal-safe, as good as free.
  void turn() { turns_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }

  /// Who is told, on the waiting thread, that a wait has run out; nobody by default.
  void on_give_up(std::function<void()> listener) { listener_ = std::move(listener); }
  void give_up() const {
    if (listener_) listener_();
  }

  /// As it is now.
  struct Snapshot {
    std::string stage;
    double stage_since = 0;  ///< seconds since 1970
    std::vector<RankGroup> groups;
    std::vector<CollectiveNote> notes;  ///< the oldest first
  };
  Snapshot snapshot() const;

 private:
  CollectiveNote& note(uint64_t collective) { return ring_[collective % kKept]; }

  mutable std::mutex mutex_;
  std::string stage_;
  double stage_since_ = 0;
  std::vector<RankGroup> groups_;
  std::vector<int64_t> numbers_;  // of each group's last collective
  std::array<CollectiveNote, kKept> ring_;
  uint64_t next_ = 0;  // of all groups, from 0
  std::atomic<uint64_t> turns_ = 0;
  std::function<void()> listener_;
};

/// A communicator's side of the record; by default there is none, and nothing is done.
class GroupNotes {
 public:
  GroupNotes() = default;
  /// `record` outlives this object.
  GroupNotes(CollectiveRecord& record, RankGroup group)
      : record_(&record), group_(record.add_group(std::move(group))) {}

  uint64_t begin(const std::string& what) const {
    return record_ == nullptr ? 0 : record_->begin(group_, what);
  }
  void enqueued(uint64_t collective) const {
    if (record_ != nullptr) record_->enqueued(collective);
  }
  void end(uint64_t collective) const {
    if (record_ != nullptr) record_->end(collective);
  }
  void wait_for_all() const {
    if (record_ != nullptr) record_->wait_for_group(group_);
  }
  void end_all() const {
    if (record_ != nullptr) record_->end_group(group_);
  }
  void set_stage(const std::string& stage) const {
    if (record_ != nullptr) record_->set_stage(stage);
  }
  void turn() const {
    if (record_ != nullptr) record_->turn();
  }
  void give_up() const {
    if (record_ != nullptr) record_->give_up();
  }

 private:
  CollectiveRecord* record_ = nullptr;
  size_t group_ = 0;
};

}  // namespace bovila
