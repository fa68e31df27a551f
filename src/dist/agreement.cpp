// One reduction when all is well; messages are exchanged only when something is not.
#include "bovila/dist/agreement.h"

#include <algorithm>

#include "bovila/dist/preemption.h"

namespace bovila {
namespace {

/// The worst code of all ranks. A rank that has an error of its own tells it also when the others
/// do not come: it may well be why.
int64_t worst_code(Communicator& ranks, const LocalError& mine) {
  try {
    return ranks.max(static_cast<int64_t>(mine.code));
  } catch (const ProgramError& error) {
    if (mine.message.empty()) throw;
    throw ProgramError("{} ({})", mine.message, error.what());
  }
}

}  // namespace

LocalError run_local(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const UserError& error) {
    return {ExitCode::kUserError, error.what()};
  } catch (const StopRequested& stop) {
    return {ExitCode::kPreempted, stop.what()};
  } catch (const AgreedError& error) {
    return {error.code, error.what()};
  } catch (const std::exception& error) {
    return {ExitCode::kFailure, error.what()};
  }
}

void agree(Communicator& ranks, const LocalError& mine) {
  if (worst_code(ranks, mine) == 0) return;
  const auto codes = ranks.all_gather(std::to_string(static_cast<int>(mine.code)));
  const auto messages = ranks.all_gather(mine.message);
  const auto preempted = std::to_string(static_cast<int>(ExitCode::kPreempted));
  const auto is_failure = [&](const std::string& code) { return code != "0" && code != preempted; };
  const auto failed = std::ranges::count_if(codes, is_failure);
  const auto culprit =
      failed > 0 ? std::ranges::find_if(codes, is_failure) : std::ranges::find(codes, preempted);
  const auto first = static_cast<size_t>(culprit - codes.begin());
  std::string message = messages[first];
  if (failed > 0 && first > 0) {
    message += fmt::format(" (on {} of {} ranks, rank {} the first)", failed, ranks.size(), first);
  }
  throw AgreedError(static_cast<ExitCode>(std::stoi(*culprit)), message);
}

void run_together(Communicator& ranks, const std::function<void()>& work) {
  agree(ranks, run_local(work));
}

}  // namespace bovila
