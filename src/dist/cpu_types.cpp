// The kernel's flags, of x86 ("flags") and of aarch64 ("Features").
#include "bovila/dist/cpu_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "bovila/config/keys.h"

namespace bovila {
namespace {

std::set<std::string> flags_of(std::string_view cpu_info) {
  std::istringstream lines{std::string(cpu_info)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("flags") && !line.starts_with("Features")) continue;
    std::istringstream words(line.substr(std::min(line.find(':'), line.size() - 1) + 1));
    return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
  }
  return {};
}

}  // namespace

std::string precision_concern(Precision precision, std::string_view cpu_info) {
  if (precision != Precision::kBf16 && precision != Precision::kFp16) return "";
  const auto flags = flags_of(cpu_info);
  const auto wanted =
      precision == Precision::kBf16
          ? std::set<std::string>{"amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16"}
          : std::set<std::string>{"amx_fp16", "avx512_fp16", "asimdhp"};
  const auto is_there = [&](const std::string& flag) { return flags.contains(flag); };
  if (flags.empty() || std::ranges::any_of(wanted, is_there)) return "";
  return fmt::format(
      "model.precision = \"{}\": this CPU has no instructions for it ({}) and computes it slowly; "
      "\"fp32\" is usually faster and takes twice the memory for the weights",
      to_string(precision),
      precision == Precision::kBf16 ? "AVX512-BF16 or AMX" : "AVX512-FP16 or AMX");
}

std::string read_cpu_info() {
  std::ifstream file("/proc/cpuinfo");
  std::string text;
  for (std::string line; std::getline(file, line) && !line.empty();) text += line + "\n";
  return text;
}

}  // namespace bovila
