// What both kinds of Communicator check and say.
#include "bovila/dist/communicator.h"

#include "bovila/core/error.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

int64_t Communicator::max(int64_t value) {
  auto tensor = torch::full({1}, value, torch::kInt64);
  all_reduce(tensor, ReduceOp::kMax);
  synchronize();
  return tensor.item<int64_t>();
}

void Communicator::set_stage(std::string stage) {
  notes_.set_stage(stage);
  stage_ = std::move(stage);
}

void Communicator::give_up(double limit_s, const std::string& what) const {
  notes_.give_up();
  throw ProgramError(waited_in_vain(who(), limit_s, what));
}

std::string Communicator::who() const {
  const std::string name = name_.empty() ? fmt::format("rank {} of {}", rank(), size()) : name_;
  return stage_.empty() ? name : fmt::format("{} ({})", name, stage_);
}

void check_reduction(const torch::Tensor& tensor, ReduceOp op) {
  BOVILA_CHECK(tensor.is_contiguous(), "a reduction takes contiguous tensors");
  if (op == ReduceOp::kMean && !tensor.is_floating_point()) {
    throw ProgramError("the mean of a tensor of type {} is not defined; take the sum",
                       torch::toString(tensor.scalar_type()));
  }
}

std::string describe(const char* collective, const torch::Tensor& tensor) {
  return fmt::format("{} of {} {}", collective, tensor.numel(),
                     torch::toString(tensor.scalar_type()));
}

std::string waited_in_vain(const std::string& who, double limit_s, const std::string& what) {
  return fmt::format("{} waited {:g} s for the others in {}; one of them has died or hangs", who,
                     limit_s, what);
}

}  // namespace bovila
