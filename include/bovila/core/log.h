// Messages to the user: one line each on standard error, from rank 0 unless something is wrong.
// Fed by every stage. Results (metrics, predictions) are files, not log lines: see
// report/metrics.h.
#pragma once

#include <spdlog/spdlog.h>

namespace bovila {

/// Sets the process-wide log up: rank 0 shows everything, other ranks warnings and errors only,
/// each of their lines marked with the rank. Call once, before the first message.
void set_up_log(int rank);

namespace log = spdlog;  // log::info("read {} questions", n)

}  // namespace bovila
