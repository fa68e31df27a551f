// The elementwise kernels against their definitions, number by number, in double.
#include "src/model/cpu/rows.h"

#include <cmath>
#include <complex>
#include <limits>

#include "tests/unit/model/cpu/numbers.h"

using namespace bovila::cpu;

namespace {

constexpr int64_t kRows = 3;
constexpr double kEps = 1e-5;

// Below, of and between multiples of the sixteen lanes.
constexpr int64_t kWidths[] = {1, 8, 16, 37, 96};

Doubles plain_swiglu(const Doubles& gate_up) {
  const size_t width = gate_up.size() / kRows / 2;
  Doubles out;
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t i = 0; i < width; ++i) {
      const double gate = gate_up[2 * row * width + i], up = gate_up[(2 * row + 1) * width + i];
      out.push_back(gate / (1 + std::exp(-gate)) * up);
    }
  }
  return out;
}

Doubles plain_rms_norm(const Doubles& x, const Floats& weight) {
  const size_t width = weight.size();
  Doubles out;
  for (size_t row = 0; row < kRows; ++row) {
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += x[row * width + i] * x[row * width + i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + kEps);
    for (size_t i = 0; i < width; ++i) out.push_back(x[row * width + i] * scale * weight[i]);
  }
  return out;
}

double weighted(const Doubles& out, const Floats& grad) {
  double sum = 0;
  for (size_t i = 0; i < out.size(); ++i) sum += out[i] * grad[i];
  return sum;
}

}  // namespace

TEST_CASE("the kernel of SwiGLU is silu(a) * b, and its gradient the slope of that") {
  for (const int64_t width : kWidths) {
    CAPTURE(width);
    const Floats gate_up = numbers("x", kRows * 2 * width), grad = numbers("grad", kRows * width);
    Floats out(grad.size()), d_gate_up(gate_up.size());
    swiglu(gate_up.data(), out.data(), kRows, width);
    check_near(out, plain_swiglu(wide(gate_up)));
    swiglu_backward(gate_up.data(), grad.data(), d_gate_up.data(), kRows, width);
    check_near(d_gate_up, slopes(wide(gate_up), [&](const Doubles& x) {
                 return weighted(plain_swiglu(x), grad);
               }));
  }
}

TEST_CASE("the kernel of RMSNorm is its definition, and its gradient the slope of that") {
  for (const int64_t width : kWidths) {
    CAPTURE(width);
    const Floats x = numbers("x", kRows * width), weight = numbers("weight", width);
    const Floats grad = numbers("grad", kRows * width);
    Floats out(x.size()), d_x(x.size()), scale(kRows);
    rms_norm(x.data(), weight.data(), kEps, out.data(), scale.data(), kRows, width);
    check_near(out, plain_rms_norm(wide(x), weight));
    rms_norm_backward(x.data(), weight.data(), scale.data(), grad.data(), d_x.data(), kRows, width);
    check_near(d_x, slopes(wide(x), [&](const Doubles& at) {
                 return weighted(plain_rms_norm(at, weight), grad);
               }));
  }
}

TEST_CASE("the kernel of rotations multiplies complex numbers and copies the other columns") {
  using Complex = std::complex<double>;
  constexpr int64_t kHeads = 2, kOthers = 5;
  for (const int64_t pairs : {1, 4, 8, 19}) {
    CAPTURE(pairs);
    const int64_t columns = kHeads * 2 * pairs + kOthers;
    const Floats x = numbers("x", kRows * columns), turns = numbers("turns", kRows * 2 * pairs);
    for (const bool back : {false, true}) {
      Doubles expected = wide(x);
      for (int64_t row = 0; row < kRows; ++row) {
        for (int64_t i = 0; i < kHeads * pairs; ++i) {
          double* at = &expected[static_cast<size_t>(row * columns + 2 * i)];
          const float* turn = &turns[static_cast<size_t>(2 * (row * pairs + i % pairs))];
          const Complex by{turn[0], back ? -turn[1] : turn[1]};
          const Complex turned = Complex{at[0], at[1]} * by;
          at[0] = turned.real();
          at[1] = turned.imag();
        }
      }
      Floats out(x.size()), in_place = x;
      rotate(x.data(), turns.data(), back, out.data(), kRows, columns, kHeads, pairs);
      check_near(out, expected);
      rotate(in_place.data(), turns.data(), back, in_place.data(), kRows, columns, kHeads, pairs);
      CHECK(in_place == out);
    }
  }
}

TEST_CASE("gates far from 0 open or close, and what is not finite stays so") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto silu = [](float gate) {
    const float gate_up[] = {gate, 1};
    float out = 0;
    swiglu(gate_up, &out, 1, 1);
    return out;
  };
  CHECK(silu(120) == 120);
  CHECK(silu(-120) == 0);
  CHECK(silu(kInfinity) == kInfinity);
  CHECK(std::isnan(silu(std::numeric_limits<float>::quiet_NaN())));
  for (const float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    const Floats x = {1, bad}, weight = {1, 1};
    Floats out(2), scale(1);
    rms_norm(x.data(), weight.data(), kEps, out.data(), scale.data(), 1, 2);
    CHECK(std::isnan(out[1]));
  }
}
