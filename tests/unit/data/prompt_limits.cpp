// Limits between the present one and the longest prompt, and what each would lose.
#include "bovila/data/prompt_limits.h"

#include <doctest/doctest.h>

#include <vector>

using namespace bovila;

TEST_CASE("limits: the smallest that fits all, and what smaller ones lose") {
  const std::vector<int64_t> lengths = {161, 170, 190, 200, 274};
  CHECK(limits_text(lengths, 160) ==
        "model.max_seq_len = 274 fits all (192 loses 2, 224 loses 1, 248 loses 1)");
}

TEST_CASE("limits: where the longest is a little too long there is one limit") {
  CHECK(limits_text(std::vector<int64_t>{161, 162}, 160) == "model.max_seq_len = 162 fits all");
}
