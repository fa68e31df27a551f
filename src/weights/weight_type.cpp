// Integers and booleans are no weights.
#include "bovila/weights/weight_type.h"

#include "bovila/core/error.h"

namespace bovila {

torch::ScalarType weight_type(ElementType type, const std::string& tensor,
                              const std::string& path) {
  switch (type) {
    case ElementType::kFloat16:
      return torch::kFloat16;
    case ElementType::kBFloat16:
      return torch::kBFloat16;
    case ElementType::kFloat32:
      return torch::kFloat32;
    case ElementType::kFloat64:
      return torch::kFloat64;
    default:
      throw UserError("{}: '{}' has elements of type {}, expected floating point", path, tensor,
                      name_of(type));
  }
}

}  // namespace bovila
