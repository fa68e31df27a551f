// Rotary embedding as a complex product; its gradient is the product with the conjugate.
#include "bovila/model/rotary.h"

namespace bovila {

torch::Tensor rotary_turns(const torch::Tensor& positions, int64_t head_dim, double theta) {
  const auto options = torch::TensorOptions(torch::kFloat32).device(positions.device());
  const auto exponents = torch::arange(0, head_dim, 2, options) / static_cast<double>(head_dim);
  const auto frequencies = 1.0 / torch::pow(theta, exponents);
  const auto angles = positions.to(torch::kFloat32).unsqueeze(-1) * frequencies;
  return torch::polar(torch::ones_like(angles), angles).unsqueeze(2);
}

torch::Tensor rotate(const torch::Tensor& x_BSHd, const torch::Tensor& turns) {
  const auto pairs = x_BSHd.to(torch::kFloat32).unflatten(-1, {-1, 2});
  return torch::view_as_real(torch::view_as_complex(pairs) * turns).flatten(-2).type_as(x_BSHd);
}

}  // namespace bovila
