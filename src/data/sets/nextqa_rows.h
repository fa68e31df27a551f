// The rows that NExT-QA and IntentQA have in common: question, answer, qid, type, a0 to a4.
// Fed by src/data/sets/annotation_file.h; feeds nextqa.cpp and intentqa.cpp.
#pragma once

#include <functional>
#include <string_view>

#include "bovila/data/annotations.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {

/// Causal how and why; temporal next, current, previous; descriptive location, count, other. In the
/// order of the published numbers, from 1.
inline constexpr TypeName kNextqaTypes[] = {"CH", "CW", "TN", "TC", "TP", "DL", "DC", "DO"};

/// Calls `use` for each row of a file whose column `video` names the video.
void read_nextqa_rows(FileProblems& problems, const char* video,
                      const std::function<void(const Record&, Sample)>& use);

}  // namespace bovila
