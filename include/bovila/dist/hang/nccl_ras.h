// What NCCL says of the state of its ranks, on all nodes: its RAS service (NCCL 2.24 and later).
// Fed by a socket of NCCL's; used by dist/hang/hang_reporter.h where a run computes on GPUs.
#pragma once

#include <chrono>
#include <string>

namespace bovila {

/// The answer to RAS's `VERBOSE STATUS`, as it came within the limit; "" where nobody listens or
/// the listener is no RAS service. Asked at NCCL_RAS_ADDR, by default at localhost:28028: where
/// several jobs share a node, one of them has the port, so that the answer may be another job's,
/// and names its processes. Not collective. Takes until NCCL has heard of all its processes,
/// seconds where one is gone, and never longer than `limit` once the address is found. Source:
/// NCCL's user guide, "RAS".
std::string nccl_ras_status(std::chrono::milliseconds limit);

}  // namespace bovila
