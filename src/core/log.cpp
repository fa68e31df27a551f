// spdlog with the pattern that every line of a run has.
#include "bovila/core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

#include "bovila/core/live_line.h"

namespace bovila {

void set_up_log(int rank) {
  auto logger =
      std::make_shared<spdlog::logger>("bovila", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(rank == 0 ? "%H:%M:%S %l: %v"
                                : fmt::format("%H:%M:%S [rank {}] %l: %v", rank));
  logger->set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void log::write(Level level, const std::string& message) {
  const live_line::Above above;
  switch (level) {
    case Level::kInfo:
      return spdlog::info("{}", message);
    case Level::kWarn:
      return spdlog::warn("{}", message);
    case Level::kError:
      return spdlog::error("{}", message);
  }
}

}  // namespace bovila
