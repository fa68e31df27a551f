// Proves that the table of keys is complete, agrees with itself, and is what input/keys.md shows.
#include "bovila/config/keys.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "bovila/config/dump.h"
#include "tests/unit/config/helpers.h"

namespace bovila {
namespace {

/// The row of input/keys.md that a key must have.
std::string page_row(const Key& key) {
  const std::string value = value_text(key, Config{});
  const std::string start = key.required    ? "required"
                            : value.empty() ? "not set"
                                            : fmt::format("`{}`", value);
  const std::string published = key.published.empty() ? "" : fmt::format("`--{}`", key.published);
  return fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |", key.name(), type_text(key), start,
                     range_text(key), key.unit, key.doc, published);
}

/// Rows of the tables of keys in input/keys.md, each behind its table: "[train] | `epochs` |
/// ...".
std::vector<std::string> page_rows() {
  std::istringstream file(testing::read_text(BOVILA_SOURCE_DIR "/input/keys.md"));
  std::vector<std::string> rows;
  std::string table;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## [")) table = line.substr(3);
    if (!table.empty() && line.starts_with("| `")) rows.push_back(table + " " + line);
  }
  return rows;
}

TEST_CASE("input/keys.md documents every key with its type, default, range and unit") {
  const auto rows = page_rows();
  for (const Key& key : keys()) {
    const std::string row = fmt::format("[{}] {}", key.table(), page_row(key));
    INFO("input/keys.md needs the row: ", row);
    CHECK(std::ranges::count(rows, row) == 1);
  }
}

TEST_CASE("input/keys.md documents no key that does not exist") {
  CHECK(page_rows().size() == keys().size());
}

TEST_CASE("each key has a path of its own, a member of its own and an explanation") {
  std::set<std::string_view> paths;
  std::set<Field> members;
  Config config;
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    CHECK(paths.insert(key.path).second);
    CHECK(members.insert(key.field(config)).second);
    CHECK_FALSE(key.doc.empty());
    CHECK(find_key(key.path) == &key);
  }
  CHECK(find_key("train.nothing") == nullptr);
  CHECK(find_key("") == nullptr);
}

TEST_CASE("an option of the published code, or a key without its table, is found") {
  CHECK(find_key_of_option("bias")->path == "model.attention_bias");
  CHECK(find_key_of_option("batch_size")->path == "train.batch_size");
  CHECK(find_key_of_option("batch-size")->path == "train.batch_size");
  CHECK(find_key_of_option("keep")->path == "checkpoint.keep");
  CHECK(find_key_of_option("tau") == nullptr);
  CHECK(find_key_of_option("") == nullptr);
}

TEST_CASE("the keys of a table stand together") {
  const auto tables = table_names();
  CHECK(std::set(tables.begin(), tables.end()).size() == tables.size());
}

TEST_CASE("types and ranges read as in the documentation") {
  CHECK(expected_text(*find_key("train.epochs")) == "an integer (1 .. 1000000)");
  CHECK(expected_text(*find_key("train.lr")) == "a number (> 0, <= 100)");
  CHECK(expected_text(*find_key("model.scale_proj_seed")) == "an integer (>= 0)");
  CHECK(expected_text(*find_key("train.min_lr")) == "a number (0 .. 100)");
  CHECK(expected_text(*find_key("model.attention_bias")) == "a number (-1000 .. 1000)");
  CHECK(expected_text(*find_key("model.precision")) == "a string (auto, fp32, bf16, fp16)");
  CHECK(expected_text(*find_key("loss.aqa_gate")) == "true or false");
}

TEST_CASE("only the tokenizer and the start values may be empty") {
  for (const Key& key : keys()) {
    CHECK(may_be_empty(key) == (key.path == "model.tokenizer" || key.path == "train.start"));
  }
}

TEST_CASE("ranges hold their ends unless open, and no value that is not finite") {
  const Range closed{1, 3};
  const Range open{0, std::numeric_limits<double>::infinity(), true};
  CHECK(closed.contains(1));
  CHECK(closed.contains(3));
  CHECK_FALSE(closed.contains(0.999));
  CHECK_FALSE(closed.contains(4));
  CHECK(open.contains(1e-300));
  CHECK_FALSE(open.contains(0));
  CHECK_FALSE(open.contains(std::numeric_limits<double>::infinity()));
  CHECK_FALSE(Range{}.contains(std::numeric_limits<double>::quiet_NaN()));
}

TEST_CASE("every number but a seed has an upper and a lower end") {
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    const auto type = type_text(key);
    if (type != "integer" && type != "number") continue;
    CHECK(std::isfinite(key.range.low));
    CHECK(std::isfinite(key.range.high) != key.name().ends_with("seed"));
  }
}

TEST_CASE("each value of an enum has its word") {
  CHECK(to_string(Precision::kFp32) == "fp32");
  CHECK(to_string(Precision::kBf16) == "bf16");
  CHECK(to_string(OverLong::kError) == "error");
  CHECK(to_string(OverLong::kSkip) == "skip");
  CHECK(to_string(NonFinite::kStop) == "stop");
  CHECK(to_string(NonFinite::kSkip) == "skip");
}

}  // namespace
}  // namespace bovila
