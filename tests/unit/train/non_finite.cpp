// What numbers that are not finite are called; which questions they come from is in tests/mpi.
#include "bovila/train/non_finite.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace bovila;

TEST_CASE("a NaN is called nan, whatever its sign") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(name_of(std::copysign(nan, 1.0)) == "nan");
  CHECK(name_of(std::copysign(nan, -1.0)) == "nan");
}

TEST_CASE("an infinity keeps its sign, and a number is itself") {
  CHECK(name_of(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(name_of(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(name_of(0.5) == "0.5");
}
