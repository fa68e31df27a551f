// Proves the order and form of reported problems and the guesses of "did you mean".
#include "bovila/config/problems.h"

#include <doctest/doctest.h>

#include "bovila/config/keys.h"
#include "tests/unit/config/helpers.h"

namespace bovila {
namespace {

using testing::error_of;

TEST_CASE("no problem throws nothing") {
  CHECK(Problems().empty());
  CHECK_NOTHROW(Problems().throw_if_any());
}

TEST_CASE("problems come by line and column, those without a line last and in order") {
  Problems problems;
  problems.add({"--set b"}, "e");
  problems.add({"d.toml", 10, 2}, "d");
  problems.add({"--set a"}, "f");
  problems.add({"d.toml", 9, 7}, "b");
  problems.add({"d.toml", 9, 3}, "a");
  problems.add({"d.toml", 10, 1}, "c");
  CHECK(error_of([&] { problems.throw_if_any(); }) ==
        "d.toml:9:3: a\nd.toml:9:7: b\nd.toml:10:1: c\nd.toml:10:2: d\n--set b: e\n--set a: f");
}

TEST_CASE("a problem stays on one line whatever bytes a key has") {
  Problems problems;
  problems.add({"d.toml", 1, 1}, std::string("a\nb\0c\x1b{}", 8));
  CHECK(error_of([&] { problems.throw_if_any(); }) == "d.toml:1:1: a\\x0ab\\x00c\\x1b{}");
}

TEST_CASE("the nearest word is found within a third of its characters") {
  const std::vector<std::string_view> words = {"batch_size", "epochs", "lr", "blr", "min_lr"};
  CHECK(nearest("batchsize", words) == "batch_size");
  CHECK(nearest("batch-size", words) == "batch_size");
  CHECK(nearest("epoch", words) == "epochs");
  CHECK(nearest("epcohs", words) == "epochs");
  CHECK(nearest("rl", words) == "");
  CHECK(nearest("l", words) == "lr");
  CHECK(nearest("momentum", words) == "");
  CHECK(nearest("", words) == "");
  CHECK(nearest(std::string(1 << 20, 'x'), words) == "");
}

}  // namespace
}  // namespace bovila
