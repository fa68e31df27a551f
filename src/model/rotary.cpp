// Rotary embedding as a complex product; its gradient is the product with the conjugate.
#include "bovila/model/rotary.h"

#include <numbers>

namespace bovila {
namespace {

using torch::Tensor;

/// In fp32, as Meta's and Hugging Face's programs have them.
Tensor scaled(const Tensor& frequencies, const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::kNone) return frequencies;
  const auto slowed = frequencies / scaling.factor;
  if (scaling.kind == RopeScaling::Kind::kLinear) return slowed;
  const auto turns = scaling.original_length * frequencies / (2 * std::numbers::pi);
  const auto kept = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1);
  return (1 - kept) * slowed + kept * frequencies;
}

}  // namespace

Tensor rotary_turns(const Tensor& positions, int64_t head_dim, double theta,
                    const RopeScaling& scaling) {
  const auto options = torch::TensorOptions(torch::kFloat32).device(positions.device());
  const auto exponents = torch::arange(0, head_dim, 2, options) / static_cast<double>(head_dim);
  const auto frequencies = scaled(1.0 / torch::pow(theta, exponents), scaling);
  const auto angles = positions.to(torch::kFloat32).unsqueeze(-1) * frequencies;
  return torch::polar(torch::ones_like(angles), angles).unsqueeze(2);
}

Tensor rotate(const Tensor& x_BSHd, const Tensor& turns) {
  const auto pairs = x_BSHd.to(torch::kFloat32).unflatten(-1, {-1, 2});
  return torch::view_as_real(torch::view_as_complex(pairs) * turns).flatten(-2).type_as(x_BSHd);
}

}  // namespace bovila
