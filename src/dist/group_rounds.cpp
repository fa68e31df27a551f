// One small reduction over the group before each piece of common work.
#include "bovila/dist/group_rounds.h"

namespace bovila {

void GroupRounds::run(const std::function<void()>& fetch, const std::function<void()>& work) {
  if (is_over_) return;
  if (error_.code == ExitCode::kSuccess) error_ = run_local(fetch);
  const bool failed = error_.code != ExitCode::kSuccess;
  Communicator* const group = ranks_.tensor();
  is_over_ = group == nullptr ? failed : group->max(failed ? 1 : 0) > 0;
  if (is_over_) return;
  if (group == nullptr) {
    error_ = run_local(work);
  } else {
    work();
  }
}

void GroupRounds::look(const std::function<void()>& check) {
  if (is_going()) error_ = run_local(check);
}

}  // namespace bovila
