// Read strictly, since it is written by hand: an unknown key is an error.
#include "src/data/sets/mixture_list.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "bovila/core/error.h"
#include "bovila/core/path.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr std::string_view kMixture = "mixture";
constexpr std::string_view kPartKeys[] = {"dataset", "folder", "split",
                                          "name",    "weight", "frames_per_second"};
constexpr double kMaxPartWeight = 100;
constexpr int64_t kMaxPartFrames = 1000;  // a second, as data.frames_per_second
constexpr size_t kMaxPartName = 40;

/// Null, and a problem, when the name is none of a set's.
const AnnotationReader* part_reader(const Record& record) {
  if (!record.has("dataset")) {
    record.problem("\"dataset\" is missing");
    return nullptr;
  }
  const std::string dataset = record.text("dataset");
  std::vector<std::string_view> names;
  for (const AnnotationReader& reader : annotation_readers()) {
    if (reader.name == kMixture) continue;
    if (reader.name == dataset) return &reader;
    names.push_back(reader.name);
  }
  if (!dataset.empty()) {
    record.problem(fmt::format("\"dataset\": expected one of {}, got \"{}\"",
                               fmt::join(names, ", "), dataset));
  }
  return nullptr;
}

/// Relative to the list's own folder, so that a folder of sets can be moved.
std::string part_folder(const Record& record, const std::string& folder) {
  const std::string text = record.text("folder");
  try {
    return (std::filesystem::path(folder) / expand_path(text)).lexically_normal().string();
  } catch (const UserError& error) {
    record.problem(fmt::format("\"folder\": {}", error.what()));
    return "";
  }
}

std::string part_name(const Record& record, std::string_view dataset) {
  if (!record.has("name")) return std::string(dataset);
  std::string name = record.text("name");
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (name.size() > kMaxPartName || !std::ranges::all_of(name, is_plain)) {
    record.problem(fmt::format(
        "\"name\": expected 1 to {} of a-z, A-Z, 0-9, -, _ and ., got \"{}\"", kMaxPartName, name));
  } else if (const auto problem = type_problem("name", name); !problem.empty()) {
    record.problem(problem);
  }
  return name;
}

double part_weight(const Record& record, bool weighted) {
  const double weight = record.has("weight") ? record.number("weight").value_or(1) : 1;
  if (!(weight > 0 && weight <= kMaxPartWeight)) {
    record.problem(fmt::format("\"weight\": expected more than 0 and at most {}, got {}",
                               kMaxPartWeight, weight));
  } else if (weight != 1 && !weighted) {
    record.problem(fmt::format(
        "\"weight\": {} is for data.train_split alone: what is scored counts once", weight));
  }
  return weight;
}

int64_t part_rate(const Record& record, const AnnotationReader& reader, int64_t rate_of_lines) {
  const bool is_own = reader.name == "jsonl";
  if (!record.has("frames_per_second")) {
    return is_own ? rate_of_lines : reader.form->frames_per_second;
  }
  const int64_t rate = record.integer("frames_per_second").value_or(1);
  if (!is_own) {
    record.problem(fmt::format("\"frames_per_second\" is for jsonl; {} has its own", reader.name));
  } else if (rate < 1 || rate > kMaxPartFrames) {
    record.problem(
        fmt::format("\"frames_per_second\": expected 1 to {}, got {}", kMaxPartFrames, rate));
  }
  return rate;
}

void read_part(const Record& record, const AnnotationSource& list,
               std::vector<MixturePart>& parts) {
  record.allow_only(kPartKeys);
  MixturePart part;
  const std::string folder = part_folder(record, list.folder);
  part.weight = part_weight(record, list.weighted);
  part.reader = part_reader(record);
  if (part.reader == nullptr) return;
  part.name = part_name(record, part.reader->name);
  part.source = {.folder = folder,
                 .split = record.has("split") ? record.text("split") : list.split,
                 .subtitles = list.subtitles && part.reader->has_subtitles,
                 .num_options = part.reader->num_options,
                 .frames_per_second = part_rate(record, *part.reader, list.frames_per_second)};
  if (std::ranges::count(parts, part.name, &MixturePart::name) > 0) {
    record.problem(
        fmt::format("another set is called \"{}\" too: give one of them a \"name\"", part.name));
  }
  parts.push_back(std::move(part));
}

}  // namespace

std::vector<MixturePart> read_mixture_list(const AnnotationSource& list, const std::string& path) {
  FileProblems problems(path, "set", "set");
  std::vector<MixturePart> parts;
  read_json_list(problems, {}, [&](const Record& record) { read_part(record, list, parts); });
  problems.throw_if_any();
  if (parts.empty()) throw UserError("{} names no set.", path);
  if (list.subtitles &&
      std::ranges::none_of(parts, [](const MixturePart& part) { return part.source.subtitles; })) {
    throw UserError("data.subtitles is true, but no set of {} has subtitles; set it to false",
                    path);
  }
  return parts;
}

}  // namespace bovila
