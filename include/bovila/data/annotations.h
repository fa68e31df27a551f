// The official annotation files of every data set, read as they are downloaded (SPEC 4).
// Fed by the deck's data.folder and splits; feeds data/prompt.h, data/clip.h and
// data/data_report.h.
//
// A data set is one file src/data/sets/NAME.cpp, which defines read_NAME and NAME_form, and one
// line in config/datasets.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/sample.h"

namespace bovila {

/// What a reader is asked for.
struct AnnotationSource {
  std::string folder;             ///< holds the annotation files under their official names
  std::string split;              ///< "train", "val", ...: goes into the file's name
  bool subtitles = false;         ///< read the clips' dialogues too
  int num_options = 0;            ///< what every question must have; 0: it varies
  int64_t frames_per_second = 1;  ///< jsonl
  bool weighted = false;          ///< mixture: questions may count more or less than once
};

using ReadAnnotations = std::vector<Sample>(const AnnotationSource&);

/// An accuracy over the questions of several types, each question once.
struct TypeFigure {
  std::string_view name;
  std::span<const std::string_view> types;
};

/// What a type is called in predictions, and in figures where that is shorter ("In").
struct TypeName {
  constexpr TypeName(std::string_view text) : name(text), key(text) {}
  constexpr TypeName(const char* text) : name(text), key(text) {}
  constexpr TypeName(std::string_view text, std::string_view brief) : name(text), key(brief) {}

  std::string_view name, key;
};

/// The figures that a data set's users know (report/metrics.h), beside the accuracy over all
/// questions and that of each type.
struct QuestionTypes {
  std::span<const TypeName> order = {};  ///< these come first, others by name behind them
  std::span<const TypeFigure> figures = {};
  bool mean_of_types = false;  ///< the mean of the types' accuracies is quoted too
};

/// How a data set words its questions, for those that are asked from outside it (data/query.h), and
/// what is reported of them.
struct QuestionForm {
  int64_t frames_per_second = 1;   ///< of its features
  bool about_dialogue = false;     ///< Sample::about_dialogue
  std::string_view question = "";  ///< where all of its questions are the same
  /// A clip's dialogue as its prompts hold it, or none of it; null: it has no subtitles.
  std::optional<std::string> (*dialogue)(std::string_view text) = nullptr;
  QuestionTypes types = {};
};

/// One data set. Plain data.
struct AnnotationReader {
  std::string_view name;  ///< as in the deck's data.dataset
  int num_options;        ///< of every question; 0: it varies
  bool has_subtitles;     ///< data.subtitles may be true
  ReadAnnotations* read;  ///< see read_annotations
  const QuestionForm* form;
};

/// The table of data sets.
std::span<const AnnotationReader> annotation_readers();
/// The reader called `dataset`. @throws UserError that lists the names when there is none.
const AnnotationReader& find_annotation_reader(std::string_view dataset);

/// Reads one split, in the file's order. Sample::answer is none in every sample when the split
/// hides its answers (no question of the file has the key). Memory: the samples, and one question's
/// JSON. Missing subtitles are counted and logged once.
/// @throws UserError when a file is missing, unreadable or malformed, or an annotation is wrong:
/// all problems of a file are counted and the first 20 are listed, each with its line or row.
std::vector<Sample> read_annotations(const DataConfig& config, const std::string& split);
/// The same with the other keys' defaults.
std::vector<Sample> read_annotations(std::string_view dataset, const std::string& folder,
                                     const std::string& split, bool subtitles);

}  // namespace bovila
