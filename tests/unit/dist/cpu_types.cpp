// Flags as kernels write them.
#include "bovila/dist/cpu_types.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;

namespace {

constexpr const char* kOld = "processor\t: 0\nmodel name\t: x\nflags\t\t: fpu avx2 f16c avx512f\n";
constexpr const char* kNew = "processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_tile\n";
constexpr const char* kArm = "processor\t: 0\nFeatures\t: fp asimd asimdhp\n";

}  // namespace

TEST_CASE("a CPU without instructions for a precision is warned of") {
  CHECK(testing::contains(precision_concern(Precision::kBf16, kOld),
                          "model.precision = \"bf16\": this CPU has no instructions for it "
                          "(AVX512-BF16 or AMX)"));
  CHECK(testing::contains(precision_concern(Precision::kFp16, kOld), "(AVX512-FP16 or AMX)"));
  CHECK_FALSE(precision_concern(Precision::kFp16, kNew).empty());
  CHECK_FALSE(precision_concern(Precision::kBf16, kArm).empty());
}

TEST_CASE("a CPU that has them, and one that does not tell, are not") {
  CHECK(precision_concern(Precision::kFp32, kOld).empty());
  CHECK(precision_concern(Precision::kBf16, kNew).empty());
  CHECK(precision_concern(Precision::kFp16, kArm).empty());
  CHECK(precision_concern(Precision::kBf16, "").empty());
  CHECK(precision_concern(Precision::kBf16, "flags").empty());
}

TEST_CASE("the kernel tells of a first CPU") {
  CHECK(read_cpu_info().starts_with("processor"));
}
