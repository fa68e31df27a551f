// The report of a split: counts, lengths, what is over-long.
#include "bovila/data/data_report.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;

namespace {

const Tokenizer& tokenizer() {
  static const auto loaded =
      load_tokenizer(BOVILA_SOURCE_DIR "/tests/golden/mini/llama/tokenizer.model");
  return *loaded;
}

/// Questions of rising length: question i holds i more words.
std::vector<Sample> make_samples(int count) {
  std::vector<Sample> samples;
  std::string question = "What";
  for (int i = 0; i < count; ++i) {
    Sample sample;
    sample.row = i;
    sample.question_id = fmt::format("q{}", i);
    sample.video_id = fmt::format("v{}", i % 2);
    sample.question = question + "?";
    sample.options = {"a", "b"};
    sample.answer = 1;
    samples.push_back(sample);
    question += " the";
  }
  return samples;
}

DataReport report_on(const std::vector<Sample>& samples, int64_t max_seq_len, int num_threads = 2) {
  const PromptBuilder prompts(tokenizer(), 6, max_seq_len);
  return make_data_report("val", samples, prompts, nullptr, /*subtitles=*/false, max_seq_len,
                          num_threads);
}

}  // namespace

TEST_CASE("report: counts questions, options and videos, and measures the longer prompt") {
  const auto samples = make_samples(5);
  const DataReport report = report_on(samples, 500);
  CHECK(report.num_questions == 5);
  CHECK(report.num_options == 2);
  CHECK(report.num_videos == 2);
  const PromptBuilder prompts(tokenizer(), 6, 500);
  const auto length = [&](int i) {
    return std::max(prompts.vqa(samples[i], 1).size(), prompts.vaq(samples[i]).size());
  };
  CHECK(report.min_length == length(0));
  CHECK(report.median_length == length(2));
  CHECK(report.max_length == length(4));
  CHECK(report.longest_question == "q4");
  CHECK(report.over_long.empty());
}

TEST_CASE("report: the number of threads makes no difference") {
  const auto samples = make_samples(9);
  const auto one = format_report(report_on(samples, 60, 1));
  CHECK(format_report(report_on(samples, 60, 4)) == one);
  CHECK(format_report(report_on(samples, 60, 0)) == one);
}

TEST_CASE("report: over-long prompts are counted and the longest is named") {
  const auto samples = make_samples(5);
  const DataReport fits = report_on(samples, 500);
  const DataReport report = report_on(samples, fits.median_length);
  CHECK(report.over_long.size() == 2);
  const auto lines = format_report(report);
  CHECK(contains(lines.back(), "val: 2 prompts are over-long; the longest is that of question q4"));
  CHECK(contains(lines.back(), fmt::format("model.max_seq_len = {} fits all", fits.max_length)));
  CHECK(contains(format_report(fits).back(), "no prompt is over-long"));
}

TEST_CASE("report: cut dialogues are counted and hidden answers are said") {
  auto samples = make_samples(3);
  for (Sample& sample : samples) {
    sample.answer.reset();
    sample.dialogue = "one two three";
  }
  const int64_t longest = report_on(samples, 500).max_length;
  const DataReport report = report_on(samples, longest - 1);
  CHECK(report.num_cut == 1);
  CHECK(contains(format_report(report)[2], "1 dialogue is cut to fit"));
  CHECK(report.over_long.empty());
  CHECK(report.answers_hidden);
  CHECK(
      contains(format_report(report)[0], "3 questions with 2 options about 2 videos; the answers"));
}

TEST_CASE("report: missing videos are counted and the first are named") {
  DataReport report = report_on(make_samples(1), 500);
  report.coverage.missing = {"a", "b", "c", "d", "e", "f"};
  CHECK(contains(format_report(report)[2],
                 "6 videos have no features, zeros stand for them: "
                 "a, b, c, d, e, ..."));
  report.coverage.missing = {"a"};
  CHECK(contains(format_report(report)[2], "1 video has no features, zeros stand for it: a"));
}

TEST_CASE("report: right answers are spread over letters, or warned of") {
  auto samples = make_samples(8);
  for (int i = 0; i < 4; ++i) samples[static_cast<size_t>(i)].answer = 0;
  CHECK(contains(format_report(report_on(samples, 500))[1], "val: right answers: A 4, B 4"));
  CHECK(contains(format_report(report_on(samples, 500))[2], "prompts of"));
  for (Sample& sample : samples) sample.answer = 0;
  const auto lines = format_report(report_on(samples, 500));
  CHECK(contains(lines[1], "right answers: A 8, B 0"));
  CHECK(contains(lines[2], "A is the right answer of 8 of 8 questions"));
  CHECK(contains(lines[2], "data.shuffle_options = true"));
}

TEST_CASE("report: an error in one thread reaches the caller") {
  auto samples = make_samples(4);
  samples[2].options.clear();
  CHECK_THROWS_AS(report_on(samples, 500, 3), ProgramError);
}
