// Tokenising is the slow part, so questions are shared out among threads by an atomic counter.
#include "bovila/data/data_report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <set>
#include <thread>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/data/prompt_limits.h"

namespace bovila {
namespace {

struct Length {
  int64_t tokens = 0;
  bool cut = false;
};

Length measure(const Sample& sample, const PromptBuilder& prompts) {
  const Prompt vqa = prompts.vqa(sample, sample.answer.value_or(0));
  if (!sample.answer) return {vqa.size(), vqa.num_cut_tokens > 0};
  const Prompt vaq = prompts.vaq(sample);
  return {std::max(vqa.size(), vaq.size()), vqa.num_cut_tokens > 0 || vaq.num_cut_tokens > 0};
}

std::vector<Length> measure_all(std::span<const Sample> samples, const PromptBuilder& prompts,
                                int num_threads) {
  std::vector<Length> lengths(samples.size());
  std::vector<std::exception_ptr> errors(std::max(num_threads, 1));
  std::atomic<size_t> next = 0;
  const auto work = [&](std::exception_ptr& error) {
    try {
      for (size_t i; (i = next++) < samples.size();) lengths[i] = measure(samples[i], prompts);
    } catch (...) {
      error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;  // joined also when the system gives no more of them
    threads.reserve(errors.size());
    for (std::exception_ptr& error : errors) threads.emplace_back(work, std::ref(error));
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return lengths;
}

void add_lengths(DataReport& report, std::span<const Sample> samples,
                 const std::vector<Length>& lengths) {
  std::vector<int64_t> sorted;
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto& [tokens, cut] = lengths[i];
    sorted.push_back(tokens);
    if (tokens > report.max_seq_len) report.over_long.push_back(tokens);
    report.num_cut += cut ? 1 : 0;
    if (tokens <= report.max_length) continue;
    report.max_length = tokens;
    report.longest_question = samples[i].question_id;
  }
  std::sort(sorted.begin(), sorted.end());
  report.min_length = sorted.front();
  report.median_length = sorted[sorted.size() / 2];
}

}  // namespace

DataReport make_data_report(const std::string& split, std::span<const Sample> samples,
                            const PromptBuilder& prompts, const FeatureStore* features,
                            bool subtitles, int64_t max_seq_len, int num_threads) {
  BOVILA_CHECK(!samples.empty(), "split {}", split);
  DataReport report;
  report.split = split;
  report.num_questions = std::ssize(samples);
  report.num_options = std::ssize(samples.front().options);
  report.answers_hidden = !samples.front().answer;
  report.max_seq_len = max_seq_len;
  std::set<std::string_view> videos;
  for (const Sample& sample : samples) videos.insert(sample.video_id);
  report.num_videos = std::ssize(videos);
  report.right = right_letters(samples);
  report.coverage = measure_coverage(split, samples, features, subtitles);
  add_lengths(report, samples, measure_all(samples, prompts, num_threads));
  return report;
}

std::vector<std::string> format_report(const DataReport& report) {
  std::vector<std::string> lines;
  const auto add = [&](const std::string& line) {
    lines.push_back(fmt::format("{}: {}", report.split, line));
  };
  add(fmt::format("{} with {} options about {}{}", counted(report.num_questions, "question"),
                  report.num_options, counted(report.num_videos, "video"),
                  report.answers_hidden ? "; the answers are hidden" : ""));
  if (!report.answers_hidden) add("right answers: " + report.right.text());
  if (const std::string warning = lopsided_text(report.right); !warning.empty()) add(warning);
  for (const std::string& gap : gaps_text(report.coverage)) add(gap);
  add(fmt::format("prompts of {} / {} / {} tokens (min / median / max); max_seq_len is {}",
                  report.min_length, report.median_length, report.max_length, report.max_seq_len));
  if (report.num_cut > 0)
    add(counted(report.num_cut, "dialogue") + (report.num_cut == 1 ? " is" : " are") +
        " cut to fit");
  if (report.over_long.empty()) {
    add("no prompt is over-long");
  } else {
    add(fmt::format("{} {} over-long; the longest is that of question {}; {}",
                    counted(report.over_long.size(), "prompt"),
                    report.over_long.size() == 1 ? "is" : "are", report.longest_question,
                    limits_text(report.over_long, report.max_seq_len)));
  }
  return lines;
}

}  // namespace bovila
