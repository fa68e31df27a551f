// Packs the rows of one head and one run, and hands them to the kernel. A group of keys and values
// and the heads that it serves belong to one thread: no sum depends on the number of threads.
#include "src/model/cpu/ragged.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/model/cpu/attention.h"
#include "src/model/cpu/lanes.h"
#include "src/model/cpu/tensors.h"

namespace bovila::cpu {
namespace {

using torch::Tensor;
using Rows = std::vector<float>;

/// A head of [n, heads, d]: its rows lie `stride` apart. Any layout whose last dimension is dense.
struct HeadView {
  HeadView(const Tensor& x, int64_t head)
      : at(x.data_ptr<float>() + head * x.stride(1)), stride(x.stride(0)) {}
  float* at;
  int64_t stride;
};

Tensor dense(const Tensor& x) {
  return x.stride(-1) == 1 ? x : x.contiguous();
}

/// Calls move(row of the head, packed row) for each of the ranges' rows.
template <typename Move>
void each_pair(const HeadView& head, std::span<const IndexRange> ranges, int64_t width,
               Rows& packed, const Move& move) {
  float* at = packed.data();
  for (const IndexRange& range : ranges) {
    for (int64_t i = range.first; i < range.end(); ++i, at += round_up(width)) {
      move(head.at + i * head.stride, at);
    }
  }
}

/// [rows of the ranges, W], zeros.
Rows zeros(std::span<const IndexRange> ranges, int64_t width) {
  return Rows(static_cast<size_t>(total_count(ranges) * round_up(width)));
}

/// The same with the head's rows, zeros behind each one's d.
Rows pack(const HeadView& head, std::span<const IndexRange> ranges, int64_t width) {
  Rows packed = zeros(ranges, width);
  each_pair(head, ranges, width, packed,
            [=](const float* row, float* to) { std::copy_n(row, width, to); });
  return packed;
}

void unpack(Rows& packed, std::span<const IndexRange> ranges, int64_t width, const HeadView& head) {
  each_pair(head, ranges, width, packed,
            [=](float* row, const float* from) { std::copy_n(from, width, row); });
}

void unpack_add(Rows& packed, std::span<const IndexRange> ranges, int64_t width,
                const HeadView& head) {
  each_pair(head, ranges, width, packed, [=](float* row, const float* from) {
    for (int64_t i = 0; i < width; ++i) row[i] += from[i];
  });
}

/// [H, A, W] of the adapter's [H, A, d]; undefined without one.
Tensor padded(const Tensor& slots, int64_t width) {
  if (!slots.defined()) return {};
  auto out = torch::zeros({slots.size(0), slots.size(1), round_up(width)});
  out.narrow(2, 0, width).copy_(slots);
  return out;
}

/// What all heads share.
struct Heads {
  Heads(const Tensor& queries, const Tensor& keys, const Tensor& values,
        const AdapterSlots& adapter)
      : q(dense(queries)),
        k(dense(keys)),
        v(dense(values)),
        groups(k.size(1)),
        served(q.size(1) / groups),
        width(q.size(2)),
        key(padded(adapter.key, width)),
        value(padded(adapter.value, width)) {
    if (!adapter.defined()) return;
    gate = torch::tanh(adapter.gate1).contiguous();
    gate2 = adapter.gate2.contiguous();
  }

  HeadQueries queries_of(const Rows& packed) const {
    return {packed.data(), std::ssize(packed) / round_up(width), width,
            1.0F / std::sqrt(static_cast<float>(width))};
  }

  HeadBranch text(const AttentionSegment& segment, const Rows& keys, const Rows& values,
                  int64_t head) const {
    HeadBranch branch{keys.data(), values.data(), std::ssize(keys) / round_up(width)};
    branch.mask = segment.mask.data_ptr<float>();
    if (!has_adapter()) return branch;
    branch.gate2 = gate2.data_ptr<float>()[head];
    branch.first_after = segment.first_after;
    branch.video_first = segment.video.first;
    branch.video_count = segment.video.count;
    return branch;
  }

  HeadBranch slots(int64_t head) const {
    return {row(key, head * key.size(1)), row(value, head * value.size(1)), key.size(1),
            gate.data_ptr<float>()[head]};
  }

  bool has_adapter() const { return key.defined(); }

  Tensor q, k, v;
  int64_t groups, served, width;
  Tensor key, value;   // [H, A, W]
  Tensor gate, gate2;  // [H]: tanh(gate1), gate2
};

/// work(segment, group) for all of them, those of a group on one thread and in order.
template <typename Work>
void each_run(std::span<const AttentionSegment> segments, int64_t groups, const Work& work) {
  at::parallel_for(0, groups, 1, [&](int64_t first, int64_t last) {
    for (int64_t group = first; group < last; ++group) {
      for (const AttentionSegment& segment : segments) work(segment, group);
    }
  });
}

}  // namespace

Tensor ragged_forward(const Tensor& q, const Tensor& k, const Tensor& v,
                      const AdapterSlots& adapter, std::span<const AttentionSegment> segments) {
  const Heads heads(q, k, v, adapter);
  const int64_t width = heads.width;
  auto out = torch::empty(q.sizes(), q.options());
  const auto run_of_group = [&](const AttentionSegment& segment, int64_t group) {
    const std::span rows(&segment.queries, 1);
    const Rows keys = pack({heads.k, group}, segment.keys, width);
    const Rows values = pack({heads.v, group}, segment.keys, width);
    for (int64_t head = group * heads.served; head < (group + 1) * heads.served; ++head) {
      const Rows packed = pack({heads.q, head}, rows, width);
      const auto queries = heads.queries_of(packed);
      Rows sums = zeros(rows, width);
      attend(queries, heads.text(segment, keys, values, head), sums.data());
      if (heads.has_adapter()) attend(queries, heads.slots(head), sums.data());
      unpack(sums, rows, width, {out, head});
    }
  };
  each_run(segments, heads.groups, run_of_group);
  return out;
}

RaggedGradients ragged_backward(const Tensor& q, const Tensor& k, const Tensor& v,
                                const AdapterSlots& adapter,
                                std::span<const AttentionSegment> segments, const Tensor& grad) {
  const Heads heads(q, k, v, adapter);
  const int64_t width = heads.width;
  const auto d_out = dense(grad);
  RaggedGradients out;
  out.q = torch::empty(q.sizes(), q.options());
  out.k = torch::zeros(k.sizes(), k.options());
  out.v = torch::zeros(v.sizes(), v.options());
  if (heads.has_adapter()) {
    out.key = torch::zeros_like(heads.key);
    out.value = torch::zeros_like(heads.value);
    out.gate1 = torch::zeros_like(heads.gate);
    out.gate2 = torch::zeros_like(heads.gate2);
  }
  const auto slots = [&](int64_t head, const HeadQueries& queries, const Rows& d_sums,
                         Rows& d_queries) {
    HeadGradients gradients{row(out.key, head * out.key.size(1)),
                            row(out.value, head * out.value.size(1))};
    attend_backward(queries, heads.slots(head), d_sums.data(), d_queries.data(), gradients);
    const double gate = heads.gate.data_ptr<float>()[head];
    out.gate1.data_ptr<float>()[head] += static_cast<float>(gradients.gate * (1 - gate * gate));
  };
  const auto run_of_group = [&](const AttentionSegment& segment, int64_t group) {
    const std::span rows(&segment.queries, 1);
    const Rows keys = pack({heads.k, group}, segment.keys, width);
    const Rows values = pack({heads.v, group}, segment.keys, width);
    Rows d_keys = zeros(segment.keys, width), d_values = zeros(segment.keys, width);
    for (int64_t head = group * heads.served; head < (group + 1) * heads.served; ++head) {
      const Rows packed = pack({heads.q, head}, rows, width);
      const Rows d_sums = pack({d_out, head}, rows, width);
      const auto queries = heads.queries_of(packed);
      Rows d_queries = zeros(rows, width);
      HeadGradients gradients{d_keys.data(), d_values.data()};
      attend_backward(queries, heads.text(segment, keys, values, head), d_sums.data(),
                      d_queries.data(), gradients);
      if (heads.has_adapter()) {
        out.gate2.data_ptr<float>()[head] += static_cast<float>(gradients.gate2);
        slots(head, queries, d_sums, d_queries);
      }
      unpack(d_queries, rows, width, {out.q, head});
    }
    unpack_add(d_keys, segment.keys, width, {out.k, group});
    unpack_add(d_values, segment.keys, width, {out.v, group});
  };
  each_run(segments, heads.groups, run_of_group);
  if (heads.has_adapter()) {
    out.key = out.key.narrow(2, 0, width);
    out.value = out.value.narrow(2, 0, width);
  }
  return out;
}

}  // namespace bovila::cpu
