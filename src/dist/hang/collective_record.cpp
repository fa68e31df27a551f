// Texts are assigned to strings that stay: a note costs no allocation once the ring is full.
#include "bovila/dist/hang/collective_record.h"

#include <algorithm>

#include "bovila/core/system.h"

namespace bovila {
size_t CollectiveRecord::add_group(RankGroup group) {
  const std::lock_guard lock(mutex_);
  groups_.push_back(std::move(group));
  numbers_.push_back(0);
  return groups_.size() - 1;
}

void CollectiveRecord::set_stage(const std::string& stage) {
  const double now = seconds_since_1970();
  const std::lock_guard lock(mutex_);
  stage_ = stage;
  stage_since_ = now;
}

uint64_t CollectiveRecord::begin(size_t group, const std::string& what) {
  const double now = seconds_since_1970();
  const std::lock_guard lock(mutex_);
  CollectiveNote& entry = note(next_);
  entry.group = group;
  entry.number = ++numbers_[group];
  entry.what = what;
  entry.stage = stage_;
  entry.state = CollectiveState::kWaiting;
  entry.begun = now;
  entry.ended = 0;
  return next_++;
}

void CollectiveRecord::enqueued(uint64_t collective) {
  const std::lock_guard lock(mutex_);
  note(collective).state = CollectiveState::kEnqueued;
}

void CollectiveRecord::end(uint64_t collective) {
  const double now = seconds_since_1970();
  const std::lock_guard lock(mutex_);
  note(collective).state = CollectiveState::kDone;
  note(collective).ended = now;
}

void CollectiveRecord::wait_for_group(size_t group) {
  const std::lock_guard lock(mutex_);
  for (CollectiveNote& entry : ring_) {
    const bool is_last = entry.group == group && entry.number == numbers_[group];
    if (is_last && entry.state == CollectiveState::kEnqueued) {
      entry.state = CollectiveState::kWaiting;
    }
  }
}

void CollectiveRecord::end_group(size_t group) {
  const double now = seconds_since_1970();
  const std::lock_guard lock(mutex_);
  for (CollectiveNote& entry : ring_) {
    if (entry.group != group || entry.state == CollectiveState::kDone) continue;
    entry.state = CollectiveState::kDone;
    entry.ended = now;
  }
}

CollectiveRecord::Snapshot CollectiveRecord::snapshot() const {
  const std::lock_guard lock(mutex_);
  Snapshot now{stage_, stage_since_, groups_, {}};
  for (uint64_t i = next_ - std::min<uint64_t>(next_, kKept); i < next_; ++i) {
    now.notes.push_back(ring_[i % kKept]);
  }
  return now;
}

}  // namespace bovila
