// One head's attention against its definition in double, and its gradients against the slopes of
// that.
#include "src/model/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/model/cpu/lanes.h"
#include "tests/unit/model/cpu/numbers.h"

using namespace bovila::cpu;

namespace {

// More than one block of queries, and nothing a multiple of the lanes.
constexpr int64_t kQueries = 37, kKeys = 41, kWidth = 6, kPadded = round_up(kWidth);
constexpr int64_t kFirstAfter = 20, kVideoFirst = 3, kVideoCount = 9;
constexpr float kScale = 0.4F;

// One list: q [n, w], k [c, w], v [c, w], gate, gate2.
constexpr int64_t kKeysAt = kQueries * kWidth, kValuesAt = kKeysAt + kKeys * kWidth;
constexpr int64_t kGateAt = kValuesAt + kKeys * kWidth, kGate2At = kGateAt + 1;

/// The text's branch: a query sees the keys up to its own place, and has a gate for the video.
/// The adapter's: it sees all, and has a gate for the whole.
struct Branch {
  bool is_text;
  bool sees(int64_t query, int64_t key) const { return !is_text || key <= query + 4; }
  bool is_gated2(int64_t query, int64_t key) const {
    return is_text && query >= kFirstAfter && key >= kVideoFirst && key < kVideoFirst + kVideoCount;
  }
};

Doubles plain_attend(const Doubles& x, const Branch& branch) {
  const double *q = x.data(), *k = q + kKeysAt, *v = q + kValuesAt;
  Doubles out(kQueries * kWidth);
  for (int64_t i = 0; i < kQueries; ++i) {
    Doubles row(kKeys);
    double total = 0;
    for (int64_t j = 0; j < kKeys; ++j) {
      if (!branch.sees(i, j)) continue;
      double score = branch.is_gated2(i, j) ? x[kGate2At] : 0;
      for (int64_t d = 0; d < kWidth; ++d) score += kScale * q[i * kWidth + d] * k[j * kWidth + d];
      row[static_cast<size_t>(j)] = std::exp(score);
      total += row[static_cast<size_t>(j)];
    }
    for (int64_t j = 0; j < kKeys; ++j) {
      const double part = x[kGateAt] * row[static_cast<size_t>(j)] / total;
      for (int64_t d = 0; d < kWidth; ++d) {
        out[static_cast<size_t>(i * kWidth + d)] += part * v[j * kWidth + d];
      }
    }
  }
  return out;
}

/// Rows of kWidth as the kernel takes them, zeros behind each.
Floats padded(const float* rows, int64_t count) {
  Floats out(static_cast<size_t>(count * kPadded));
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(rows + i * kWidth, kWidth, out.data() + i * kPadded);
  }
  return out;
}

void append_rows(Floats& out, const Floats& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i % kPadded < kWidth) out.push_back(rows[i]);
  }
}

void compare(const Branch& branch) {
  Floats x = numbers("x", kGate2At + 1);
  if (branch.is_text) x[kGateAt] = 1;
  const Floats d_out = numbers("d_out", kQueries * kWidth);
  const Floats q = padded(x.data(), kQueries), k = padded(x.data() + kKeysAt, kKeys);
  const Floats v = padded(x.data() + kValuesAt, kKeys), d_rows = padded(d_out.data(), kQueries);
  Floats mask;
  for (int64_t i = 0; i < kQueries; ++i) {
    for (int64_t j = 0; j < kKeys; ++j) {
      mask.push_back(branch.sees(i, j) ? 0 : -std::numeric_limits<float>::infinity());
    }
  }
  const HeadQueries queries{q.data(), kQueries, kWidth, kScale};
  HeadBranch head{k.data(), v.data(), kKeys, x[kGateAt]};
  if (branch.is_text) {
    head.mask = mask.data();
    head.gate2 = x[kGate2At];
    head.first_after = kFirstAfter;
    head.video_first = kVideoFirst;
    head.video_count = kVideoCount;
  }

  Floats rows(q.size()), out;
  attend(queries, head, rows.data());
  append_rows(out, rows);
  check_near(out, plain_attend(wide(x), branch));

  Floats d_q(q.size()), d_k(k.size()), d_v(v.size()), grads;
  HeadGradients gradients{d_k.data(), d_v.data()};
  attend_backward(queries, head, d_rows.data(), d_q.data(), gradients);
  for (const Floats& part : {d_q, d_k, d_v}) append_rows(grads, part);
  grads.push_back(static_cast<float>(gradients.gate));
  grads.push_back(static_cast<float>(gradients.gate2));
  check_near(grads, slopes(wide(x), [&](const Doubles& at) {
               const Doubles values = plain_attend(at, branch);
               double sum = 0;
               for (size_t i = 0; i < values.size(); ++i) sum += values[i] * d_out[i];
               return sum;
             }));
}

}  // namespace

TEST_CASE("the kernel of attention is its definition for text: masked, with the video's gate") {
  compare({.is_text = true});
}

TEST_CASE("the kernel of attention is its definition for the adapter's slots: gated, unmasked") {
  compare({.is_text = false});
}

TEST_CASE("the kernel of attention adds to what is there") {
  const Floats one(kLanes, 1);
  const HeadQueries queries{one.data(), 1, 1, 1};
  Floats out(kLanes, 2);
  attend(queries, {one.data(), one.data(), 1}, out.data());
  CHECK(out[0] == 3);
}
