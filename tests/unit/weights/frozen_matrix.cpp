// Stored matrices and their numbers: kernels and operators give the same bits, of any part.
#include "bovila/weights/frozen_matrix.h"

#include <array>

#include "bovila/core/error.h"
#include "tests/unit/model/tiny_llama.h"
#include "tests/unit/weights/stored.h"

using namespace bovila;
using torch::Tensor;

namespace {

constexpr int64_t kRows = 24,
                  kColumns = 824;  // 13 blocks a row, the last of 56: scales in 8 bits go over rows

/// First row, rows, first column, columns.
constexpr int64_t kParts[][4] = {{0, 24, 0, 64}, {5, 7, 128, 696}, {23, 1, 0, 824}};

Tensor numbers() {
  torch::manual_seed(4);
  return torch::randn({kRows, kColumns});
}

FrozenMatrix stored(WeightForm form) {
  return testing::stored(numbers(), form);
}

}  // namespace

TEST_CASE("kernels and operators expand every form to the same bits, in every type") {
  for (const WeightForm form : testing::kSmallForms) {
    CAPTURE(int(form));
    const FrozenMatrix matrix = stored(form);
    CHECK(matrix.rows() == kRows);
    CHECK(matrix.columns() == kColumns);
    for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kFloat16}) {
      const auto numbers = matrix.expanded(type);
      CHECK((numbers.scalar_type() == type));
      CHECK(torch::equal(numbers, expanded_by_operators(matrix, type)));
      CHECK(torch::equal(numbers, matrix.expanded(torch::kFloat32).to(type)));
    }
  }
}

TEST_CASE("forms are as near to the numbers as their bits allow") {
  const auto error = [&](WeightForm form) {
    return ((stored(form).expanded(torch::kFloat32) - numbers()).norm() / numbers().norm())
        .item<double>();
  };
  CHECK(error(WeightForm::kFp16) < 3e-4);
  CHECK(error(WeightForm::kBf16) < 2e-3);
  CHECK(error(WeightForm::kInt8) < 1e-2);
  CHECK(error(WeightForm::kNf4) == doctest::Approx(0.09).epsilon(0.1));
  CHECK(error(WeightForm::kNf4Dq) == doctest::Approx(0.09).epsilon(0.1));
}

TEST_CASE("any rows and any blocks of columns are a part of the whole") {
  for (const WeightForm form : testing::kSmallForms) {
    CAPTURE(int(form));
    const FrozenMatrix matrix = stored(form);
    for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
      const auto whole = matrix.expanded(type);
      for (const auto& [row, rows, column, columns] : kParts) {
        const auto expected = whole.narrow(0, row, rows).narrow(1, column, columns);
        const auto part = torch::empty({rows, columns}, type);
        expand_into(matrix, row, column, part);
        CHECK(torch::equal(part, expected));
        // The same from a view that begins between two rows of the matrix.
        const auto view = matrix.row_range(3, 21);
        if (row < 3) continue;
        expand_into(view, row - 3, column, part.zero_());
        CHECK(torch::equal(part, expected));
        CHECK(torch::equal(expanded_by_operators(view, type), whole.narrow(0, 3, 21)));
      }
    }
  }
}

TEST_CASE("a copied matrix has the form and shares nothing") {
  for (const WeightForm form : testing::kSmallForms) {
    const FrozenMatrix matrix = stored(form), copy = matrix.copied_to(torch::kCPU);
    CHECK(torch::equal(copy.values, matrix.values));
    CHECK(copy.values.data_ptr() != matrix.values.data_ptr());
    CHECK(torch::equal(copy.expanded(torch::kFloat32), matrix.expanded(torch::kFloat32)));
    if (matrix.scales.defined()) CHECK(copy.scales.data_ptr() != matrix.scales.data_ptr());
  }
}

TEST_CASE("rows are stored in any order, and NF4 of NF4 is the same NF4") {
  for (const WeightForm form : {WeightForm::kInt8, WeightForm::kNf4, WeightForm::kNf4Dq}) {
    CAPTURE(int(form));
    const FrozenMatrix whole = stored(form), parts = whole.copied_to(torch::kCPU);
    for (Tensor tensor : {parts.values, parts.scales}) tensor.zero_();
    MatrixFiller filler(parts);
    filler.set(10, numbers().narrow(0, 10, 14), "end");
    filler.set(0, numbers().narrow(0, 0, 3), "begin");
    filler.set(3, numbers().narrow(0, 3, 7), "middle");
    CHECK(torch::equal(parts.values, whole.values));
    CHECK(torch::equal(parts.scales, whole.scales));
    CHECK(torch::equal(parts.expanded(torch::kFloat32), whole.expanded(torch::kFloat32)));
  }
  // From scales in 8 bits to scales in fp32.
  const FrozenMatrix from = stored(WeightForm::kNf4Dq), to = stored(WeightForm::kNf4);
  MatrixFiller(to).set(0, from, "from");
  CHECK(torch::equal(to.values, from.values));
  CHECK(torch::equal(to.expanded(torch::kFloat32), from.expanded(torch::kFloat32)));
}

TEST_CASE("what is not finite is not stored in int8 or NF4") {
  auto wrong = torch::zeros({2, 128});
  wrong[1][70] = std::numeric_limits<float>::infinity();
  for (const WeightForm form : {WeightForm::kInt8, WeightForm::kNf4, WeightForm::kNf4Dq}) {
    const FrozenMatrix to = testing::stored(torch::zeros({2, 128}), form);
    CHECK(testing::error_of([&] { MatrixFiller(to).set(0, wrong, "w.pth: 'wq'"); }) ==
          fmt::format("w.pth: 'wq' has values that are not finite, which {} cannot hold: the file "
                      "is damaged, or set model.weights = \"computed\"",
                      form == WeightForm::kInt8 ? "int8" : "NF4"));
  }
}

TEST_CASE("columns of a matrix are its numbers' columns, in whole blocks of NF4") {
  for (const WeightForm form : testing::kSmallForms) {
    CAPTURE(int(form));
    const FrozenMatrix whole = stored(form), some = whole.row_range(3, 9);
    const auto expected = some.expanded(torch::kFloat32);
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>(0, 128), {128, 696}, {0, 824}}) {
      const auto part = some.column_range(first, count);
      CHECK(part.columns() == count);
      CHECK(torch::equal(part.expanded(torch::kFloat32), expected.narrow(1, first, count)));
    }
    if (!whole.is_nf4()) continue;
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>(32, 64), {64, 100}}) {
      std::string message;
      try {
        whole.column_range(first, count);
      } catch (const ProgramError& error) {
        message = error.what();
      }
      CHECK(testing::contains(message, fmt::format("columns {} to {} are no whole blocks of NF4",
                                                   first, first + count)));
    }
  }
}
