// The list of a mixture: which sets, where they are, and how often their questions count.
// Fed by {split}.json; feeds mixture.cpp.
#pragma once

#include <string>
#include <vector>

#include "bovila/data/annotations.h"

namespace bovila {

/// One set of a mixture.
struct MixturePart {
  std::string name;  ///< no other part's
  const AnnotationReader* reader = nullptr;
  AnnotationSource source;
  double weight = 1;  ///< how often its questions count, more than 0
};

/// The sets that the list in `path` names; folders are relative to the list's own, `list.folder`.
/// What a set leaves out is as `list` has it. @throws UserError with all that is wrong in the list.
std::vector<MixturePart> read_mixture_list(const AnnotationSource& list, const std::string& path);

}  // namespace bovila
