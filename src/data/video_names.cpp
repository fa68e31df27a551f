// Every pair of names is looked at: one within the other, whatever the case.
#include "bovila/data/video_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "bovila/config/problems.h"

namespace bovila {
namespace {

constexpr size_t kMaxLookedAt = 64;
constexpr size_t kMinFreeName = 6;  // a shorter name in another one stands between non-letters

bool is_letter_or_digit(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// What stands before and behind `inner` in `outer`, both in lower case.
struct Around {
  std::string before, after;
};

std::optional<Around> find_in(std::string_view inner, std::string_view outer) {
  const size_t at = inner.empty() ? std::string_view::npos : outer.find(inner);
  if (at == std::string_view::npos) return {};
  const size_t end = at + inner.size();
  const bool is_word = (at == 0 || !is_letter_or_digit(outer[at - 1])) &&
                       (end == outer.size() || !is_letter_or_digit(outer[end]));
  if (!is_word && inner.size() < kMinFreeName) return {};
  return Around{std::string(outer.substr(0, at)), std::string(outer.substr(end))};
}

enum class Kind { kCase, kFeatureIsLonger, kFeatureIsShorter };

/// How the name of a feature differs from that of a video.
struct Relation {
  Kind kind = Kind::kCase;
  Around around;

  auto order() const { return std::tie(kind, around.before, around.after); }
  bool operator<(const Relation& other) const { return order() < other.order(); }
};

std::optional<Relation> relate(std::string_view video, std::string_view feature) {
  if (video == feature) return Relation{};
  if (auto around = find_in(video, feature)) {
    return Relation{Kind::kFeatureIsLonger, std::move(*around)};
  }
  if (auto around = find_in(feature, video)) {
    return Relation{Kind::kFeatureIsShorter, std::move(*around)};
  }
  return {};
}

/// How many videos show something, and the first of them with its feature.
struct Votes {
  size_t count = 0;
  std::string video, feature;

  void add(const std::string& of_video, const std::string& of_feature) {
    if (count++ == 0) std::tie(video, feature) = std::tie(of_video, of_feature);
  }
};

std::string text_of(const Relation& relation, const Votes& votes) {
  const auto& [before, after] = relation.around;
  switch (relation.kind) {
    case Kind::kCase:
      return fmt::format("The features' names differ in case: '{}' is there for '{}'",
                         votes.feature, votes.video);
    case Kind::kFeatureIsLonger:
      return fmt::format("The features are called {}NAME{}: '{}' is there for '{}'", before, after,
                         votes.feature, votes.video);
    case Kind::kFeatureIsShorter:
      break;
  }
  return fmt::format("The annotations say {}NAME{}: '{}' where the features have '{}'", before,
                     after, votes.video, votes.feature);
}

}  // namespace

std::string explain_missing(std::span<const std::string> missing,
                            std::span<const std::string> names) {
  std::vector<std::string> lowered;
  for (const std::string& name : names) lowered.push_back(lower(name));
  const size_t stride = (missing.size() + kMaxLookedAt - 1) / kMaxLookedAt;
  std::map<Relation, Votes> relations;
  Votes of_clips, in_videos;  // with something else around each
  size_t looked_at = 0;
  for (size_t i = 0; i < missing.size(); i += stride, ++looked_at) {
    const std::string video = lower(missing[i]);
    std::map<Relation, size_t> found;
    for (size_t n = 0; n < names.size(); ++n) {
      if (auto relation = relate(video, lowered[n])) found.emplace(std::move(*relation), n);
    }
    bool longer = false, shorter = false;
    for (const auto& [relation, n] : found) {
      relations[relation].add(missing[i], names[n]);
      if (relation.kind == Kind::kFeatureIsLonger && !std::exchange(longer, true)) {
        of_clips.add(missing[i], names[n]);
      }
      if (relation.kind == Kind::kFeatureIsShorter && !std::exchange(shorter, true)) {
        in_videos.add(missing[i], names[n]);
      }
    }
  }
  const auto most = [&](const Votes& votes) {
    return votes.count > 0 && 2 * votes.count >= looked_at;
  };
  const auto best = std::ranges::max_element(
      relations, {}, [](const auto& relation) { return relation.second.count; });
  if (best != relations.end() && most(best->second)) return text_of(best->first, best->second);
  if (most(of_clips)) {
    return fmt::format("The features are those of parts of the videos: '{}' of '{}'",
                       of_clips.feature, of_clips.video);
  }
  if (most(in_videos)) {
    return fmt::format("The annotations name parts of the features' videos: '{}' of '{}'",
                       in_videos.video, in_videos.feature);
  }
  return "";
}

std::string_view similar_name(std::string_view name, std::span<const std::string> names) {
  const std::string wanted = lower(name);
  std::string_view best;
  size_t least = std::string_view::npos;  // letters around it
  for (const std::string& candidate : names) {
    const auto relation = relate(wanted, lower(candidate));
    if (!relation) continue;
    const size_t around = relation->around.before.size() + relation->around.after.size();
    if (around < least) std::tie(best, least) = std::pair(std::string_view(candidate), around);
  }
  return best.empty() ? nearest(name, {names.begin(), names.end()}) : best;
}

}  // namespace bovila
