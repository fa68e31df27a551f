// sets2jsonl DATASET FOLDER SPLIT: a split of a data set that is built in, as the lines of one's
// own (data.dataset = "jsonl"), on standard output: to be changed, mixed, or told apart from one's
// own. Fed by data/annotations.h; feeds src/data/sets/jsonl.cpp, which reads the same samples from
// it.
#include <fmt/ranges.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "bovila/core/build_info.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"
#include "src/main/values.h"

namespace {

using namespace bovila;
using nlohmann::ordered_json;

/// A text that normalize_question makes this question of: it, or, where it began with blanks that
/// were stripped and so kept its first letter small, it behind a blank.
std::string as_typed(const std::string& question) {
  return normalize_question(question) == question ? question : " " + question;
}

template <typename Item>
ordered_json one_or_list(const std::vector<Item>& items) {
  return items.size() == 1 ? ordered_json(items.front()) : ordered_json(items);
}

std::string line_of(const Sample& sample, int64_t frames_per_second) {
  std::vector<std::string> videos;
  for (const FrameSpan& span : sample.clip) videos.push_back(span.video);
  ordered_json line = {{"id", sample.question_id},
                       {"video", one_or_list(videos)},
                       {"question", as_typed(sample.question)},
                       {"options", sample.options}};
  if (const FrameSpan& clip = sample.clip.front(); clip.last != FrameSpan::kToEnd) {
    line["start"] = clip.first / frames_per_second;
    line["end"] = clip.last / frames_per_second - 1;
  }
  if (sample.dialogue) line["dialogue"] = *sample.dialogue;
  if (sample.answer) line["answer"] = *sample.answer;
  if (!sample.types.empty()) line["type"] = one_or_list(sample.types);
  if (sample.video_id != fmt::format("{}", fmt::join(videos, " "))) line["name"] = sample.video_id;
  if (sample.question_type != -1) line["qtype"] = sample.question_type;
  return line.dump();
}

void convert(const DataConfig& config, const std::string& split) {
  const AnnotationReader& reader = find_annotation_reader(config.dataset);
  if (reader.name == "mixture") {
    throw UserError(
        "a mixture's sets have frame rates and dialogues of their own: rewrite each set");
  }
  const int64_t rate = reader.form->frames_per_second;
  const auto samples = read_annotations(config, split);
  for (const Sample& sample : samples) std::cout << line_of(sample, rate) << "\n";
  std::cout.flush();
  if (!std::cout) throw ProgramError("standard output cannot be written to");
  std::cerr << "the deck needs data.dataset = \"jsonl\"";
  if (rate != 1) std::cerr << ", data.frames_per_second = " << rate;
  if (samples.front().about_dialogue) std::cerr << ", data.subtitles = true";
  std::cerr << "\n";
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): CLI11's, by a wrong option
  set_up_log(0);                   // to standard error: standard output is for the lines
  CLI::App app("Writes a split of a built-in data set as JSON Lines");
  app.set_version_flag("--version", program_text());
  DataConfig config;
  std::string split;
  app.add_option("DATASET", config.dataset, "name of the data set, as in data.dataset")->required();
  app.add_option("FOLDER", config.folder, "its annotation files, as in data.folder")->required();
  app.add_option("SPLIT", split, "as in data.train_split and data.val_split")->required();
  app.add_flag("--subtitles", config.subtitles, "with the clips' dialogues, as data.subtitles");
  try {
    parse_values(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? ExitCode::kSuccess : ExitCode::kUserError);
  }
  try {
    convert(config, split);
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    std::cerr << "sets2jsonl: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kUserError);
  } catch (const std::exception& error) {
    std::cerr << "sets2jsonl: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kFailure);
  }
}
