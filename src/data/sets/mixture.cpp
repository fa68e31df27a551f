// Several data sets in one: {split}.json names sets of other kinds, each with its folder and its
// weight. Feeds data/annotations.h.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/core/random.h"
#include "bovila/data/annotations.h"
#include "src/data/sets/annotation_file.h"
#include "src/data/sets/mixture_list.h"

namespace bovila {
namespace {

/// The part's own types and figures are told from those of other parts by its name.
void name_after(const MixturePart& part, Sample& sample) {
  std::vector<std::string> types = {part.name};
  for (const std::string& type : sample.types) types.push_back(part.name + "/" + type);
  for (const TypeFigure& figure : part.reader->form->types.figures) {
    const bool counts = std::ranges::any_of(sample.types, [&](const std::string& type) {
      return std::ranges::count(figure.types, type) > 0;
    });
    if (counts) types.push_back(fmt::format("{}/{}", part.name, figure.name));
  }
  sample.types = std::move(types);
  sample.question_id = part.name + "/" + sample.question_id;
  sample.question_type = -1;  // its number is another set's, too
}

/// `count` of `size` rows in their order, the same at every start.
std::vector<size_t> drawn_rows(const std::string& name, size_t size, size_t count) {
  std::vector<size_t> rows(size);
  std::iota(rows.begin(), rows.end(), size_t{0});
  RandomStream stream(stream_key(0, "mixture " + name));
  for (size_t i = 0; i < count; ++i) std::swap(rows[i], rows[i + stream.below(size - i)]);
  rows.resize(count);
  std::ranges::sort(rows);
  return rows;
}

/// The samples as often as the weight says; copies are told apart by their number.
std::vector<Sample> weigh(const MixturePart& part, const std::vector<Sample>& samples) {
  const auto times = static_cast<int64_t>(part.weight);
  const double share = part.weight - static_cast<double>(times);
  const size_t size = samples.size();
  std::vector<Sample> out;
  const auto add = [&](size_t row, int64_t copy) {
    out.push_back(samples[row]);
    if (copy > 1) out.back().question_id += fmt::format("#{}", copy);
  };
  for (int64_t copy = 1; copy <= times; ++copy) {
    for (size_t row = 0; row < size; ++row) add(row, copy);
  }
  if (share == 0) return out;
  const auto count = std::clamp<int64_t>(std::llround(share * static_cast<double>(size)),
                                         times > 0 ? 0 : 1, static_cast<int64_t>(size));
  for (const size_t row : drawn_rows(part.name, size, static_cast<size_t>(count))) {
    add(row, times + 1);
  }
  return out;
}

std::vector<Sample> read_samples(const MixturePart& part, const std::string& path) {
  try {
    std::vector<Sample> samples = part.reader->read(part.source);
    for (Sample& sample : samples) name_after(part, sample);
    return samples;
  } catch (const UserError& error) {
    throw UserError("set \"{}\" of {}: {}", part.name, path, error.what());
  }
}

}  // namespace

extern const QuestionForm mixture_form{.dialogue = plain_dialogue};

std::vector<Sample> read_mixture(const AnnotationSource& source) {
  const std::string path = fmt::format("{}/{}.json", source.folder, source.split);
  std::vector<Sample> all;
  for (const MixturePart& part : read_mixture_list(source, path)) {
    const std::vector<Sample> samples = read_samples(part, path);
    if (!all.empty() && all.front().answer.has_value() != samples.front().answer.has_value()) {
      throw UserError("{}: \"{}\" {} its answers, the sets before it do not: score them apart",
                      path, part.name, samples.front().answer ? "has" : "hides");
    }
    std::vector<Sample> weighed = weigh(part, samples);
    log::info("{}: {} of {}{}", path, counted(samples.size(), "question"), part.name,
              part.weight == 1 ? "" : fmt::format(", {} an epoch", weighed.size()));
    std::ranges::move(weighed, std::back_inserter(all));
  }
  for (size_t row = 0; row < all.size(); ++row) all[row].row = static_cast<int64_t>(row);
  return all;
}

}  // namespace bovila
