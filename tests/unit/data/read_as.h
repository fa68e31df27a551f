// Annotations from a text, for the tests of data sets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bovila/data/annotations.h"
#include "tests/unit/temp_folder.h"

namespace bovila::testing {

/// Reads `bytes` as the file `name` of a data set without subtitles.
inline std::vector<Sample> read_as(std::string_view dataset, const std::string& name,
                                   std::string_view bytes, const std::string& split = "train") {
  const TempFolder folder;
  folder.write(name, bytes);
  return read_annotations(dataset, folder.path(), split, false);
}

/// The first problem that reading `bytes` brings.
inline std::string problem_of(std::string_view dataset, const std::string& name,
                              std::string_view bytes) {
  return error_of([&] { read_as(dataset, name, bytes); });
}

}  // namespace bovila::testing
