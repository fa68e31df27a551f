// Affinity masks compared as strings of 0 and 1.
#include "bovila/dist/threads.h"

#include <sched.h>

#include <algorithm>

namespace bovila {

int share_of_cores(const std::vector<std::string>& cores, size_t mine) {
  const auto own = std::ranges::count(cores[mine], '1');
  const auto sharers = std::ranges::count(cores, cores[mine]);
  return std::max(1, static_cast<int>(own / sharers));
}

int choose_threads(Communicator& node) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::string cores(CPU_SETSIZE, '0');
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    for (size_t core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &allowed)) cores[core] = '1';
    }
  }
  return share_of_cores(node.all_gather(cores), static_cast<size_t>(node.rank()));
}

}  // namespace bovila
