// Which type a CPU computes in by what was measured.
#include "bovila/model/product_speed.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("bf16 is computed in where it is clearly faster, else fp32") {
  CHECK((faster_type({100, 800}) == torch::kBFloat16));
  CHECK((faster_type({100, 151}) == torch::kBFloat16));
  CHECK((faster_type({100, 149}) == torch::kFloat32));
  CHECK((faster_type({235, 52}) == torch::kFloat32));
}

TEST_CASE("products are measured in both types") {
  const ProductSpeed speed = measure_products();
  CHECK(speed.fp32 > 0);
  CHECK(speed.bf16 > 0);
}
