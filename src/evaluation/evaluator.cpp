// Option scoring over shared prefixes, and the bookkeeping of who scores what.
#include "bovila/evaluation/evaluator.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "bovila/core/error.h"
#include "bovila/data/prefetcher.h"
#include "bovila/dist/group_rounds.h"
#include "bovila/model/device_copy.h"
#include "bovila/objective/evidence.h"

namespace bovila {
namespace {

using torch::Tensor;
using OptionBatch = std::vector<OptionExample>;

/// Tokens that all prompts of a question start with.
int64_t common_prefix(std::span<const std::vector<int32_t>> sequences) {
  size_t length = sequences.front().size();
  for (const auto& sequence : sequences) {
    const auto limit = std::min(length, sequence.size());
    length = static_cast<size_t>(std::mismatch(sequence.begin(),
                                               sequence.begin() + static_cast<int64_t>(limit),
                                               sequences.front().begin())
                                     .first -
                                 sequence.begin());
  }
  return static_cast<int64_t>(length);
}

/// One question as a row whose branches are its options, those of each order behind a stem; the
/// label tokens go to `labels`, and the number of the prompt that each belongs to, to `pair`.
SequenceTree option_row(const OptionExample& question, int64_t first_pair,
                        std::vector<int64_t>& labels, std::vector<int64_t>& pair) {
  std::vector<std::vector<int32_t>> sequences;
  for (const Prompt& option : question.options) {
    // The last token, end-of-sequence, is a label only: nothing is read off its position.
    sequences.emplace_back(option.tokens.begin(), option.tokens.end() - 1);
  }
  const auto per_turn = static_cast<int64_t>(sequences.size()) / question.turns;
  std::vector<SequenceGroup> groups;
  for (int64_t turn = 0; turn < question.turns; ++turn) {
    const auto group = std::span(sequences).subspan(static_cast<size_t>(turn * per_turn),
                                                    static_cast<size_t>(per_turn));
    groups.push_back({group, common_prefix(group)});
  }
  auto row =
      SequenceTree::grouped(groups, common_prefix(sequences), question.options.front().video_start);
  for (size_t k = 0; k < question.options.size(); ++k) {
    const Prompt& option = question.options[k];
    const int64_t count = option.size() - option.label_start;
    row.want(static_cast<int64_t>(k), option.label_start - 1, count);
    labels.insert(labels.end(), option.tokens.begin() + option.label_start, option.tokens.end());
    pair.resize(labels.size(), first_pair + static_cast<int64_t>(k));
  }
  return row;
}

/// Means of values_N over the counted tokens of each pair.
std::vector<double> mean_by_pair(const Tensor& values_N, const Tensor& counted_N,
                                 const Tensor& pair_N, int64_t pairs) {
  const auto zeros = torch::zeros({pairs}, values_N.options().dtype(torch::kFloat64));
  const auto sums = zeros.index_add(0, pair_N, (values_N * counted_N).to(torch::kFloat64));
  const auto counts = zeros.index_add(0, pair_N, counted_N.to(torch::kFloat64));
  const auto means = (sums / counts).cpu();
  return {means.data_ptr<double>(), means.data_ptr<double>() + pairs};
}

/// Batches of questions of about the same length, longest first, so that memory is known early.
std::vector<std::vector<int64_t>> group_by_length(const Dataset& data, int64_t batch_size) {
  std::vector<int64_t> rows(static_cast<size_t>(data.size()));
  std::iota(rows.begin(), rows.end(), 0);
  const auto text_bytes = [&](int64_t row) {
    const Sample& sample = data.sample(row);
    size_t bytes = sample.context.size() + sample.question.size() +
                   (sample.dialogue ? sample.dialogue->size() : 0);
    for (const std::string& option : sample.options) bytes += option.size();
    return bytes;
  };
  std::ranges::stable_sort(rows, std::ranges::greater(), text_bytes);
  std::vector<std::vector<int64_t>> groups;
  for (size_t i = 0; i < rows.size(); i += static_cast<size_t>(batch_size)) {
    const size_t end = std::min(rows.size(), i + static_cast<size_t>(batch_size));
    groups.emplace_back(rows.begin() + static_cast<int64_t>(i),
                        rows.begin() + static_cast<int64_t>(end));
  }
  return groups;
}

/// The groups without the questions that were scored before. Questions that are left in a group are
/// computed beside the same ones as ever, unless eval.batch_size has changed.
std::vector<std::vector<int64_t>> groups_to_score(const Dataset& data, int64_t batch_size,
                                                  std::span<const OptionScores> before) {
  std::set<int64_t> done;
  for (const OptionScores& score : before) done.insert(score.row);
  auto groups = group_by_length(data, batch_size);
  for (auto& group : groups) std::erase_if(group, [&](int64_t row) { return done.contains(row); });
  std::erase_if(groups, [](const auto& group) { return group.empty(); });
  return groups;
}

std::vector<std::vector<int64_t>> share_of(std::span<const std::vector<int64_t>> groups,
                                           const Communicator& ranks) {
  std::vector<std::vector<int64_t>> mine;
  for (size_t g = static_cast<size_t>(ranks.rank()); g < groups.size();
       g += static_cast<size_t>(ranks.size())) {
    mine.push_back(groups[g]);
  }
  return mine;
}

std::function<std::optional<OptionBatch>()> option_batches(
    const Dataset& data, const std::vector<std::vector<int64_t>>& groups) {
  return [&data, &groups, next = size_t{0}]() mutable -> std::optional<OptionBatch> {
    if (next == groups.size()) return std::nullopt;
    OptionBatch batch;
    for (const int64_t row : groups[next++]) batch.push_back(data.options(row));
    return batch;
  };
}

std::optional<OptionBatch> next_batch(Prefetcher<OptionBatch>& batches) {
  RECORD_USER_SCOPE("wait for batch");
  return batches.next();
}

/// An option without a score would win or lose unseen: comparisons with NaN are all false.
void require_finite(const Bovila& model, const Dataset& data,
                    std::span<const OptionScores> scores) {
  for (const OptionScores& score : scores) {
    const auto is_finite = [](double loss) { return std::isfinite(loss); };
    if (std::ranges::all_of(score.loss, is_finite) && std::ranges::all_of(score.turned, is_finite))
      continue;
    throw ProgramError(
        "question '{}' of the split '{}' has an option whose score is not finite. {}",
        data.sample(score.row).question_id, data.split(),
        advice_for_non_finite(
            model,
            "The trained parameters are too large for model.precision, or for any: "
            "a run with a smaller lr may help"));
  }
}

int64_t count_over_long(std::span<const OptionExample> questions, int64_t max_seq_len) {
  return std::ranges::count_if(questions, [&](const OptionExample& question) {
    return std::ranges::max(question.options, {}, &Prompt::size).size() > max_seq_len;
  });
}

/// This rank's share of the questions that were scored before: nothing of them is kept but scores.
int64_t count_over_long_before(const Dataset& data, std::span<const OptionScores> before,
                               const Communicator& ranks) {
  int64_t count = 0;
  for (size_t i = static_cast<size_t>(ranks.rank()); i < before.size();
       i += static_cast<size_t>(ranks.size())) {
    const OptionExample question = data.options(before[i].row);
    count += count_over_long(std::span(&question, 1), data.max_seq_len());
  }
  return count;
}

std::string to_bytes(const std::vector<OptionScores>& scores) {
  std::string bytes;
  const auto put = [&](const auto& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  for (const OptionScores& score : scores) {
    put(score.row);
    put(score.loss.size());
    put(score.turned.size());
    for (const auto* values : {&score.loss, &score.uncertainty, &score.turned}) {
      for (const double value : *values) put(value);
    }
  }
  return bytes;
}

void from_bytes(const std::string& bytes, std::vector<OptionScores>& scores) {
  const char* at = bytes.data();
  const auto get = [&](auto& value) {
    std::memcpy(&value, at, sizeof(value));
    at += sizeof(value);
  };
  while (at < bytes.data() + bytes.size()) {
    OptionScores score;
    size_t options = 0, turned = 0;
    get(score.row);
    get(options);
    get(turned);
    score.loss.resize(options);
    score.uncertainty.resize(options);
    score.turned.resize(turned);
    for (auto* values : {&score.loss, &score.uncertainty, &score.turned}) {
      for (double& value : *values) get(value);
    }
    scores.push_back(std::move(score));
  }
}

}  // namespace

std::vector<OptionScores> score_options(const Bovila& model, std::span<const OptionExample> batch,
                                        const LossConfig& config) {
  RECORD_USER_SCOPE("score options");
  const torch::NoGradGuard no_grad;
  const auto device = model.llama().device();
  std::vector<SequenceTree> rows;
  std::vector<int64_t> labels, pair;
  std::vector<Tensor> frames;
  const int64_t max_feats = model.parameters().temporal_emb().size(0);
  int64_t pairs = 0;
  for (const OptionExample& question : batch) {
    rows.push_back(option_row(question, pairs, labels, pair));
    pairs += static_cast<int64_t>(question.options.size());
    frames.push_back(torch::tensor(question.frames).view({max_feats, -1}));
  }
  const auto video = model.video(copy_to(torch::stack(frames), device));
  const auto sequences = lay_out(rows, video.size(1), device);
  const auto logits =
      model.llama().logits(model.hidden(sequences, video, model.adapter_slots()));  // [U, V]

  const auto labels_N = copy_to(torch::tensor(labels, torch::kInt64), device);
  const auto pair_N = copy_to(torch::tensor(pair, torch::kInt64), device);
  const auto counted = (labels_N != 0).to(torch::kFloat32);
  const auto surprise = torch::logsumexp(logits, -1).index_select(0, sequences.selected) -
                        logits.index({sequences.selected, labels_N});
  const auto u = config.has_uncertainty()
                     ? uncertainty_of(logits, evidence_scale(config, model.parameters()))
                           .index_select(0, sequences.selected)
                     : torch::zeros_like(surprise);
  const auto loss = mean_by_pair(surprise, counted, pair_N, pairs);
  const auto uncertainty = mean_by_pair(u, counted, pair_N, pairs);

  std::vector<OptionScores> scores;
  int64_t first = 0;
  for (const OptionExample& question : batch) {
    const auto prompts = std::ssize(question.options);
    const auto last = first + prompts / question.turns;
    scores.push_back({question.row,
                      {loss.begin() + first, loss.begin() + last},
                      {uncertainty.begin() + first, uncertainty.begin() + last},
                      {loss.begin() + last, loss.begin() + first + prompts}});
    first += prompts;
  }
  return scores;
}

Evaluation evaluate(const Bovila& model, const Dataset& data, const Config& config,
                    const RankGrid& ranks, const Preemption& preemption,
                    std::vector<OptionScores> before, const EvaluationProgress& progress) {
  const auto groups = groups_to_score(data, config.eval.batch_size, before);
  Communicator& sharers = ranks.data();
  const auto mine = share_of(groups, sharers);
  const auto num_rounds = (std::ssize(groups) + sharers.size() - 1) / sharers.size();
  int64_t total = 0;
  for (const auto& group : mine) total += std::ssize(group);
  Prefetcher<OptionBatch> batches(option_batches(data, mine),
                                  static_cast<size_t>(config.run.prefetch_batches));
  Evaluation evaluation{std::move(before), {}};
  std::vector<OptionScores> scores;
  int64_t over_long = 0;
  GroupRounds rounds(ranks);
  rounds.look([&] { over_long = count_over_long_before(data, evaluation.scores, sharers); });
  for (int64_t round = 0; round < num_rounds && !evaluation.stopped; ++round) {
    evaluation.stopped = preemption.agreed(ranks.all());
    if (evaluation.stopped) continue;
    std::optional<OptionBatch> batch;
    std::vector<OptionScores> scored;
    rounds.run([&] { batch = next_batch(batches); },
               [&] {
                 if (batch) scored = score_options(model, *batch, config.loss);
               });
    rounds.look([&] {
      if (!batch) return;  // other ranks have one batch more
      require_finite(model, data, scored);
      over_long += count_over_long(*batch, data.max_seq_len());
      std::ranges::move(scored, std::back_inserter(scores));
      progress(std::ssize(scores), total);
    });
  }
  rounds.agree();
  for (const std::string& bytes : sharers.all_gather(to_bytes(scores))) {
    from_bytes(bytes, evaluation.scores);
  }
  for (const std::string& count : sharers.all_gather(std::to_string(over_long))) {
    evaluation.num_over_long += std::stoll(count);
  }
  std::ranges::sort(evaluation.scores, {}, &OptionScores::row);
  BOVILA_CHECK(evaluation.stopped || std::ssize(evaluation.scores) == data.size(),
               "{} questions were scored, the split has {}", evaluation.scores.size(), data.size());
  return evaluation;
}

}  // namespace bovila
