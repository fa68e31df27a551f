// Ranks that may use the same cores are those whose lists of cores are the same text.
#include "bovila/dist/threads.h"

#include <algorithm>

#include "bovila/dist/topology.h"

namespace bovila {

int share_of_cores(const std::vector<std::string>& cores, size_t mine) {
  const auto own = std::ssize(parse_ranges(cores[mine]));
  const auto sharers = std::ranges::count(cores, cores[mine]);
  return std::max(1, static_cast<int>(own / sharers));
}

int choose_threads(Communicator& node) {
  return share_of_cores(node.all_gather(to_ranges(allowed_cores())),
                        static_cast<size_t>(node.rank()));
}

}  // namespace bovila
