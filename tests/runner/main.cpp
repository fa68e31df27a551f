// The main of doctest programs that run alone. golden_tests: BOVILA_GOLDEN names the folder of
// golden numbers.
#include <doctest/doctest.h>

int main(int argc, char** argv) {
  return doctest::Context(argc, argv).run();
}
