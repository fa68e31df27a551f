// The table of data sets, made from config/datasets.h.
#include "bovila/data/annotations.h"

#include <fmt/ranges.h>

#include "bovila/config/datasets.h"
#include "bovila/core/error.h"

namespace bovila {

#define DECLARE_READER(name, options, has_subtitles) \
  ReadAnnotations read_##name;                       \
  extern const QuestionForm name##_form;
BOVILA_DATASETS(DECLARE_READER)
#undef DECLARE_READER

namespace {

#define READER(name, options, has_subtitles) \
  {#name, options, has_subtitles, read_##name, &name##_form},
constexpr AnnotationReader kReaders[] = {BOVILA_DATASETS(READER)};
#undef READER

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

std::vector<Sample> read_annotations(const DataConfig& config, const std::string& split) {
  const AnnotationReader& reader = find_annotation_reader(config.dataset);
  if (config.subtitles && !reader.has_subtitles) {
    throw UserError("data.subtitles is true, but {} has no subtitles; set it to false",
                    config.dataset);
  }
  return reader.read({config.folder, split, config.subtitles, reader.num_options,
                      config.frames_per_second.value_or(reader.form->frames_per_second),
                      /*weighted=*/split == config.train_split && split != config.val_split});
}

std::vector<Sample> read_annotations(std::string_view dataset, const std::string& folder,
                                     const std::string& split, bool subtitles) {
  DataConfig config;
  config.dataset = dataset;
  config.folder = folder;
  config.subtitles = subtitles;
  return read_annotations(config, split);
}

}  // namespace bovila
