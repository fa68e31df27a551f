// Which number types a CPU multiplies by instructions of its own.
// Fed by the kernel's /proc/cpuinfo; feeds the start-up warnings.
#pragma once

#include <string>
#include <string_view>

#include "bovila/config/config.h"

namespace bovila {

/// A warning where products of this precision are emulated on the CPU that `cpu_info`, the text of
/// /proc/cpuinfo, describes; "" for fp32, and where the text does not say. Pure.
std::string precision_concern(Precision precision, std::string_view cpu_info);

/// The text of /proc/cpuinfo as far as its first CPU; "" where there is none.
std::string read_cpu_info();

}  // namespace bovila
