// Ranks that may use the same cores are those whose lists of cores are the same text.
#include "bovila/dist/threads.h"

#include <algorithm>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/dist/topology.h"

namespace bovila {

int share_of_cores(const std::vector<std::string>& cores, size_t mine) {
  const auto own = std::ssize(parse_ranges(cores[mine]));
  const auto sharers = std::ranges::count(cores, cores[mine]);
  return std::max(1, static_cast<int>(own / sharers));
}

void check_threads(int64_t threads_per_rank, int64_t node_ranks, int64_t cores) {
  constexpr int64_t kPerCore = 16, kAlways = 1024;
  const int64_t most = std::max(kAlways, kPerCore * cores);
  if (threads_per_rank * node_ranks <= most) return;
  throw UserError(
      "run.threads_per_rank = {} with {} on a machine of {} is {} threads, expected {} at "
      "most",
      threads_per_rank, counted(node_ranks, "rank"), counted(cores, "core"),
      threads_per_rank * node_ranks, most);
}

int choose_threads(Communicator& node) {
  return share_of_cores(node.all_gather(to_ranges(allowed_cores())),
                        static_cast<size_t>(node.rank()));
}

}  // namespace bovila
