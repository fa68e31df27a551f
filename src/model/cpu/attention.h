// One head of attention on a CPU in fp32: scores, softmax and both products without leaving the
// cache, and its gradients. Fed by src/model/cpu/ragged.cpp.
//
//     out += gate * softmax(scale * q k' + mask + gate2 * after_video) v
//
// The text is such a branch with gate 1, the adapter's slots are one without mask and gate2.
// Legend: n queries, c keys, W the head's width, rounded up to kLanes with zeros.
#pragma once

#include <cstdint>

namespace bovila::cpu {

struct HeadQueries {
  const float* values;  // [n, W]
  int64_t count;        // n
  int64_t width;        // the head's own
  float scale;
};

struct HeadBranch {
  const float* keys;    // [c, W]
  const float* values;  // [c, W]
  int64_t count;        // c
  float gate = 1;
  const float* mask = nullptr;  // [n, c]: 0 or -inf; null: all 0
  float gate2 = 0;              // added for queries from `first_after` on to the video's keys
  int64_t first_after = 0, video_first = 0, video_count = 0;
};

/// Gradients of a branch; all are added to.
struct HeadGradients {
  float* keys;    // [c, W]
  float* values;  // [c, W]
  double gate = 0;
  double gate2 = 0;
};

/// Adds the branch to `out` [n, W].
void attend(const HeadQueries& queries, const HeadBranch& branch, float* out);

/// From d_out [n, W]; adds to d_queries [n, W] and to `gradients`. The softmax is computed again.
void attend_backward(const HeadQueries& queries, const HeadBranch& branch, const float* d_out,
                     float* d_queries, HeadGradients& gradients);

}  // namespace bovila::cpu
