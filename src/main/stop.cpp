// bovila stop: the request in the folder's lock, and what the run has left when it is over.
#include "bovila/checkpoint/checkpoint.h"
#include "bovila/checkpoint/run_lock.h"
#include "bovila/core/log.h"
#include "src/main/commands.h"

namespace bovila {

void stop(const CommandLine& line) {
  const std::filesystem::path folder = line.stop;
  stop_run(folder);
  const auto steps = list_checkpoints(folder / "checkpoints");
  log::info("the run in {} has ended; {}", folder.string(),
            steps.empty() ? "it has no checkpoint: it had taken no step, or its log says why"
                          : fmt::format("its newest checkpoint is that of step {}", steps.front()));
}

}  // namespace bovila
