// TensorBoard's event files: a rendering of metrics.jsonl, timing.jsonl and log.txt.
// Fed by report/result_files.h with their rows; read by TensorBoard.
//
//   file     start, then a record a step and one an epoch's evaluation
//   record   length, its CRC, a protobuf message Event, its CRC (TFRecord's frame)
//   Event    wall time, step, and scalars under the tags train/NAME and val/NAME
//
// Six fields of Event and its parts are all that is ever written, so they are encoded here: less
// than a schema, its compiler and a library would be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace bovila {

/// CRC-32C (Castagnoli) of the bytes, as TFRecord's frame has it before masking.
uint32_t crc32c(std::string_view bytes);

/// The step that was rendered last.
struct EventClock {
  int64_t step = 0;
  double time = 0;  ///< seconds since 1970; 0 before the first step
};

/// What a file begins with: the version, and a session that starts at step 0. Whoever watches
/// several files of one run drops then what earlier ones said.
std::string event_file_start(double time);

/// Records of one row. The first two are JSON objects with "step"; a row of log.txt belongs to the
/// last step before it. What is no number becomes no scalar. @throws ProgramError for a row that is
/// not JSON.
std::string step_events(const std::string& metrics_row, const std::string& timing_row,
                        EventClock& clock);
std::string epoch_events(const std::string& log_row, const EventClock& clock);

/// The whole event file of the rows in a run's folder, byte for byte what a run that was never
/// interrupted has appended row by row; `clock` ends at the last step. Rows of metrics.jsonl
/// without one in timing.jsonl have the time of the row before.
std::string render_event_file(const std::filesystem::path& folder, EventClock& clock);

/// Names are events.out.tfevents.NNNNNN: TensorBoard reads them in their order.
bool is_event_file(const std::string& name);
std::string event_file_name(int64_t number);
/// The number after the largest in the folder, from 1.
int64_t next_event_file(const std::filesystem::path& folder);

}  // namespace bovila
