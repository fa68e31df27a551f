// Names that should be the same and are not: annotations say `V1`, features `V1.mp4`.
// Fed by names of annotations and of the feature store; feeds data/coverage.h and data/query.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace bovila {

/// How the features' names differ from those of the videos in `missing`, as far as most of them
/// show it (an extension, another case, something before or behind, clips of videos), in a
/// sentence with an example; "" when there is no likeness. Looks at 64 of `missing`.
std::string explain_missing(std::span<const std::string> missing,
                            std::span<const std::string> names);

/// The one of `names` that `name` most likely stands for: the same but for its case, or with
/// something before or behind it, else by spelling (config/problems.h); "" when none is near.
std::string_view similar_name(std::string_view name, std::span<const std::string> names);

}  // namespace bovila
