// The elementwise parts of a LLaMA layer on a CPU in fp32: each reads its rows once, where
// LibTorch's operators go over memory up to five times. Fed by model/llama_ops.h and
// model/rotary.h.
//
// Rows are contiguous. NaN and infinity go through as they would through LibTorch's operators.
#pragma once

#include <cstdint>

namespace bovila::cpu {

/// out [rows, width] = silu(a) * b for gate_up [rows, 2 * width] = [a | b].
void swiglu(const float* gate_up, float* out, int64_t rows, int64_t width);
/// d_gate_up from gate_up and the gradient of `out`.
void swiglu_backward(const float* gate_up, const float* grad, float* d_gate_up, int64_t rows,
                     int64_t width);

/// out = x * scale * weight, all [rows, width]; scale [rows] = 1 / sqrt(mean(x^2) + eps).
void rms_norm(const float* x, const float* weight, float eps, float* out, float* scale,
              int64_t rows, int64_t width);
/// d_x from x, weight, scale and the gradient of `out`.
void rms_norm_backward(const float* x, const float* weight, const float* scale, const float* grad,
                       float* d_x, int64_t rows, int64_t width);

/// Turns the first heads * 2 * pairs of each row's `columns`, complex numbers, by turns
/// [rows, pairs], or back, and copies the others. `out` may be `x`.
void rotate(const float* x, const float* turns, bool back, float* out, int64_t rows,
            int64_t columns, int64_t heads, int64_t pairs);

}  // namespace bovila::cpu
