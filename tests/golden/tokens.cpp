// The published code's texts, token ids, labels and positions (SPEC 10), for every data set of a
// golden folder and for all options, and how many frames a clip has. Fed by tokens-<run>.json and
// data/; needs no model.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/data/clip.h"
#include "bovila/data/prompt.h"
#include "bovila/files/pth.h"

namespace {

using namespace bovila;
using nlohmann::json;
namespace fs = std::filesystem;

using Ids = std::vector<int32_t>;

std::string golden_folder() {
  const char* folder = std::getenv("BOVILA_GOLDEN");
  return folder != nullptr ? folder : BOVILA_SOURCE_DIR "/tests/golden/mini";
}

/// A golden run: "tvqa-sub" is TVQA with subtitles; VLEP's run has them. Flipped-VQA's are
/// "flipped-nextqa" and so on.
struct Run {
  std::string name;
  std::string own = name.starts_with("flipped-") ? name.substr(8) : name;
  std::string dataset = own.substr(0, own.find('-'));
  bool subtitles = own.ends_with("-sub") || own == "vlep";

  std::vector<Sample> samples(const std::string& golden_split) const {
    const bool public_val = dataset == "how2qa" && golden_split == "val";
    return read_annotations(dataset, golden_folder() + "/data/" + dataset,
                            public_val ? "public_val" : golden_split, subtitles);
  }
};

std::vector<Run> runs() {
  std::vector<Run> found;
  for (const auto& entry : fs::directory_iterator(golden_folder())) {
    const std::string name = entry.path().stem();
    if (name.starts_with("tokens-") && entry.path().extension() == ".json") {
      found.push_back({name.substr(7)});
    }
  }
  return found;
}

json read_golden(const Run& run) {
  return json::parse(std::ifstream(golden_folder() + "/tokens-" + run.name + ".json"));
}

/// The video slots: zeros from video_start to the newline token.
int64_t count_slots(const json& vqa) {
  const Ids ids = vqa["text_id"][0].get<Ids>();
  const auto start = ids.begin() + vqa["video_start"].get<int64_t>();
  return std::find_if(start, ids.end(), [](int32_t id) { return id != 0; }) - start;
}

void check_sample(const Sample& sample, const json& row) {
  CHECK(sample.row == row["qid"]);
  CHECK(sample.video_id == row["vid"]);
  REQUIRE(sample.answer);
  CHECK(*sample.answer == row["answer"]);
  CHECK(sample.question_type == row["qtype"]);
}

/// The golden texts, from the sample's own fields.
void check_texts(const Sample& sample, const json& text) {
  CHECK("Question: " + sample.question + "\n" == text["q_text"]);
  std::string options = "Choices: \n";
  for (size_t i = 0; i < sample.options.size(); ++i) {
    options += std::string("(") + static_cast<char>('A' + i) + ") " + sample.options[i] + "\n";
  }
  CHECK(options == text["o_text"]);
  const std::string dialogue = sample.dialogue ? "Dialogue: " + *sample.dialogue + "\n" : "";
  CHECK(dialogue == text.value("d_text", ""));
}

/// Ids and labels as published: padded with zeros to max_seq_len.
void check_ids(const Prompt& prompt, const json& golden, size_t index) {
  Ids ids = golden["text_id"][index].get<Ids>();
  Ids labels = golden["label"][index].get<Ids>();
  Ids ours = prompt.tokens;
  REQUIRE(ours.size() <= ids.size());
  ours.resize(ids.size(), 0);
  CHECK(ours == ids);
  std::fill_n(ours.begin(), prompt.label_start, 0);
  CHECK(ours == labels);
  if (golden.contains("prefix_index")) CHECK(prompt.label_start == golden["prefix_index"]);
  CHECK(prompt.video_start == golden["video_start"]);
}

/// A QAV prompt: ids as published, and each slot labelled with its place, all else with -1.
void check_slots(const Prompt& prompt, const json& golden, size_t index) {
  Ids ids = prompt.tokens;
  const Ids expected = golden["text_id"][index].get<Ids>();
  REQUIRE(ids.size() <= expected.size());
  ids.resize(expected.size(), 0);
  CHECK(ids == expected);
  CHECK(prompt.video_start == golden["video_start"]);
  Ids labels(expected.size(), -1);
  const Ids slots = golden["video_index"].get<Ids>();
  for (size_t i = 0; i < slots.size(); ++i) labels[static_cast<size_t>(slots[i])] = int32_t(i);
  CHECK(labels == golden["label"][index].get<Ids>());
  CHECK(slots.front() == prompt.video_start);
}

void check_row(const PromptBuilder& prompts, const Sample& sample, const json& row) {
  check_sample(sample, row);
  check_texts(sample, row["text"]);
  const size_t num_vqa = row["vqa"]["text_id"].size();
  CHECK((num_vqa == 1 || num_vqa == sample.options.size()));
  for (size_t i = 0; i < num_vqa; ++i) {
    const Prompt vqa = prompts.vqa(sample, num_vqa == 1 ? *sample.answer : static_cast<int>(i));
    check_ids(vqa, row["vqa"], i);
    if (!row.contains("question_start")) continue;  // Flipped-VQA does not need it
    CHECK(vqa.question_start == row["question_start"]);
    CHECK(vqa.question_len == row["question_len"]);
  }
  // Where there is one VAQ prompt an option, each claims its option to be the answer.
  Sample claimed = sample;
  const size_t num_vaq = row["vaq"]["text_id"].size();
  for (size_t i = 0; i < num_vaq; ++i) {
    if (num_vaq > 1) claimed.answer = static_cast<int>(i);
    check_ids(prompts.vaq(claimed), row["vaq"], i);
    if (row.contains("qav")) check_slots(prompts.qav(claimed), row["qav"], i);
  }
}

/// Frames of each video of the data set's features.
std::map<std::string, int64_t> count_frames(const Run& run) {
  const std::string name = run.dataset == "how2qa" ? "clipvitl14_split.pth" : "clipvitl14.pth";
  std::map<std::string, int64_t> counts;
  const PthFile file(golden_folder() + "/data/" + run.dataset + "/" + name);
  for (const PthTensor& tensor : file.tensors()) counts[tensor.name] = tensor.shape.at(0);
  return counts;
}

/// Rows of a sample's video that are not padding.
int64_t num_frames(const Sample& sample, const std::map<std::string, int64_t>& counts,
                   int64_t max_feats) {
  std::vector<std::optional<int64_t>> found;
  for (const FrameSpan& span : sample.clip) {
    const auto video = counts.find(span.video);
    found.push_back(video == counts.end() ? std::nullopt : std::optional(video->second));
  }
  return std::ssize(choose_frames(sample.clip, found, max_feats));
}

}  // namespace

TEST_CASE("golden: clips have the published number of frames") {
  for (const Run& run : runs()) {
    const auto counts = count_frames(run);
    const json golden = read_golden(run);
    for (const auto& [split, rows] : golden.items()) {
      CAPTURE(run.name);
      CAPTURE(split);
      const std::vector<Sample> samples = run.samples(split);
      REQUIRE(samples.size() == rows.size());
      const int64_t max_feats = count_slots(rows[0]["vqa"]);
      for (size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(i);
        // For How2QA the published code has one zero row where the clip lies behind the video's
        // end: the same as no row, since zeros follow.
        const int64_t found = num_frames(samples[i], counts, max_feats);
        const bool is_empty = run.dataset == "how2qa" && found == 0;
        CHECK((is_empty ? 1 : found) == rows[i]["video_len"]);
      }
    }
  }
}

TEST_CASE("golden: texts, token ids, labels and positions are the published code's") {
  const auto tokenizer = load_tokenizer(golden_folder() + "/llama/tokenizer.model");
  const std::vector<Run> all = runs();
  REQUIRE(!all.empty());
  for (const Run& run : all) {
    const json golden = read_golden(run);
    for (const auto& [split, rows] : golden.items()) {
      CAPTURE(run.name);
      CAPTURE(split);
      const std::vector<Sample> samples = run.samples(split);
      REQUIRE(samples.size() == rows.size());
      const PromptBuilder prompts(*tokenizer, count_slots(rows[0]["vqa"]),
                                  std::ssize(rows[0]["vqa"]["text_id"][0]));
      for (size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(i);
        check_row(prompts, samples[i], rows[i]);
      }
    }
  }
}
