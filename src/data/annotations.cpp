// The table of data sets.
#include "bovila/data/annotations.h"

#include <fmt/ranges.h>

#include "bovila/core/error.h"

namespace bovila {

ReadAnnotations read_star, read_dramaqa, read_vlep, read_tvqa, read_how2qa;

namespace {

constexpr AnnotationReader kReaders[] = {
    {"star", 4, false, read_star},        // situated reasoning
    {"dramaqa", 5, false, read_dramaqa},  // shots and scenes of one series
    {"vlep", 2, true, read_vlep},         // what happens next
    {"tvqa", 5, true, read_tvqa},         // clips of six series
    {"how2qa", 4, false, read_how2qa},    // instructional videos
};

}  // namespace

std::span<const AnnotationReader> annotation_readers() {
  return kReaders;
}

const AnnotationReader& find_annotation_reader(std::string_view dataset) {
  std::vector<std::string_view> names;
  for (const AnnotationReader& reader : kReaders) {
    if (reader.name == dataset) return reader;
    names.push_back(reader.name);
  }
  throw UserError("data.dataset: expected one of {}, got \"{}\"", fmt::join(names, ", "), dataset);
}

std::vector<Sample> read_annotations(std::string_view dataset, const std::string& folder,
                                     const std::string& split, bool subtitles) {
  const AnnotationReader& reader = find_annotation_reader(dataset);
  if (subtitles && !reader.has_subtitles) {
    throw UserError("data.subtitles is true, but {} has no subtitles; set it to false", dataset);
  }
  return reader.read({folder, split, subtitles, reader.num_options});
}

}  // namespace bovila
