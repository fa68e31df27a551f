// One reduction when all is well; messages are exchanged only when something is not.
#include "bovila/dist/agreement.h"

namespace bovila {

LocalError run_local(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const UserError& error) {
    return {ExitCode::kUserError, error.what()};
  } catch (const std::exception& error) {
    return {ExitCode::kFailure, error.what()};
  }
}

void agree(Communicator& ranks, const LocalError& mine) {
  if (ranks.max(static_cast<int64_t>(mine.code)) == 0) return;
  const auto codes = ranks.all_gather(std::to_string(static_cast<int>(mine.code)));
  const auto messages = ranks.all_gather(mine.message);
  int failed = 0;
  size_t first = 0;
  for (size_t r = codes.size(); r-- > 0;) {
    if (codes[r] == "0") continue;
    ++failed;
    first = r;
  }
  std::string message = messages[first];
  if (first > 0) {
    message += fmt::format(" (on {} of {} ranks, rank {} the first)", failed, ranks.size(), first);
  }
  throw AgreedError(static_cast<ExitCode>(std::stoi(codes[first])), message);
}

void run_together(Communicator& ranks, const std::function<void()>& work) {
  agree(ranks, run_local(work));
}

}  // namespace bovila
