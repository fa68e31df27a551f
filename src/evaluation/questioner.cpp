// One VAQ pass a batch; the bookkeeping of who asks what.
#include "bovila/evaluation/questioner.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/data/prefetcher.h"
#include "bovila/dist/group_rounds.h"
#include "bovila/model/device_copy.h"

namespace bovila {
namespace {

using ExampleBatch = std::vector<Example>;

/// Batches of the rows whose answer is known: rank r's are r, r + ranks, ...
struct Share {
  std::vector<std::vector<int64_t>> batches;
  int64_t questions = 0;
  int64_t rounds = 0;  ///< batches of the rank with most
};

Share share_of(const Dataset& data, int64_t batch_size, const Communicator& ranks) {
  std::vector<std::vector<int64_t>> all;
  for (const Sample& sample : data.samples()) {
    if (!sample.answer) continue;
    if (all.empty() || std::ssize(all.back()) == batch_size) all.emplace_back();
    all.back().push_back(sample.row);
  }
  Share share;
  share.rounds = (std::ssize(all) + ranks.size() - 1) / ranks.size();
  for (size_t b = static_cast<size_t>(ranks.rank()); b < all.size();
       b += static_cast<size_t>(ranks.size())) {
    share.questions += std::ssize(all[b]);
    share.batches.push_back(std::move(all[b]));
  }
  return share;
}

std::function<std::optional<ExampleBatch>()> example_batches(const Dataset& data,
                                                             const Share& share) {
  return [&data, &share, next = size_t{0}]() mutable -> std::optional<ExampleBatch> {
    if (next == share.batches.size()) return std::nullopt;
    ExampleBatch batch;
    for (const int64_t row : share.batches[next++]) batch.push_back(data.example(row));
    return batch;
  };
}

std::string trimmed(const std::string& text) {
  constexpr const char* kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

std::vector<std::string> ask_questions(const Bovila& model, std::span<const Example> batch,
                                       const Tokenizer& tokenizer) {
  const torch::NoGradGuard no_grad;
  const auto device = model.llama().device();
  std::vector<SequenceTree> rows;
  std::vector<int64_t> lengths;
  std::vector<torch::Tensor> frames;
  const int64_t max_feats = model.parameters().temporal_emb().size(0);
  for (const Example& example : batch) {
    const Prompt& vaq = example.vaq;
    // The last token, end-of-sequence, is a label only: nothing is read off its position.
    rows.push_back(
        SequenceTree::chain(std::span(vaq.tokens).first(vaq.tokens.size() - 1), vaq.video_start));
    lengths.push_back(vaq.size() - vaq.label_start);
    rows.back().want(0, vaq.label_start - 1, lengths.back());
    frames.push_back(torch::tensor(example.frames).view({max_feats, -1}));
  }
  const auto video = model.video(copy_to(torch::stack(frames), device));
  const auto sequences = lay_out(rows, video.size(1), device);
  const auto hidden = model.hidden(sequences, video, model.adapter_slots());
  const auto tokens = model.llama().logits(hidden).argmax(-1).to(torch::kInt32).cpu();  // [N]

  std::vector<std::string> questions;
  const int32_t* at = tokens.data_ptr<int32_t>();
  for (const int64_t length : lengths) {
    std::vector<int32_t> ids(at, at + length);
    // Rows of the vocabulary without a token (weights/llama_params.h) have no text.
    std::erase_if(ids, [&](int32_t id) { return id >= tokenizer.vocab_size(); });
    questions.push_back(trimmed(tokenizer.decode(ids)));
    at += length;
  }
  return questions;
}

AskedQuestions ask_split(const Bovila& model, const Dataset& data, const Tokenizer& tokenizer,
                         const Config& config, const RankGrid& ranks, const Preemption& preemption,
                         const EvaluationProgress& progress) {
  const Share share = share_of(data, config.eval.batch_size, ranks.data());
  Prefetcher<ExampleBatch> batches(example_batches(data, share),
                                   static_cast<size_t>(config.run.prefetch_batches));
  AskedQuestions asked;
  auto mine = nlohmann::json::array();  // of [row, text]
  GroupRounds rounds(ranks);
  for (int64_t round = 0; round < share.rounds && !asked.stopped; ++round) {
    asked.stopped = preemption.agreed(ranks.all());
    if (asked.stopped) continue;
    std::optional<ExampleBatch> batch;
    std::vector<std::string> questions;
    rounds.run([&] { batch = batches.next(); },
               [&] {
                 if (batch) questions = ask_questions(model, *batch, tokenizer);
               });
    rounds.look([&] {
      if (!batch) return;  // other ranks have one batch more
      for (size_t i = 0; i < batch->size(); ++i) mine.push_back({(*batch)[i].row, questions[i]});
      progress(std::ssize(mine), share.questions);
    });
  }
  rounds.agree();
  for (const std::string& bytes : ranks.data().all_gather(mine.dump())) {
    for (const auto& pair : nlohmann::json::parse(bytes)) asked.text[pair[0]] = pair[1];
  }
  return asked;
}

}  // namespace bovila
