// Files for parsers that want a path, and inputs that hold several texts.
// Fed by a fuzz target's bytes; feeds the parser it is about.
//
// A target is tests/fuzz/NAME.cpp with `void bovila::fuzz::fuzz_NAME(std::string_view bytes)`. Any
// bytes may come. It may throw UserError; anything else that comes out is a find, and so are more
// memory than kMemoryFactor times the bytes and kMemoryBase, and more than kMaxSeconds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bovila::fuzz {

inline constexpr size_t kMemoryBase = size_t{64} << 20;
inline constexpr size_t kMemoryFactor = 256;
inline constexpr int kMaxSeconds = 10;

/// A folder of this process below TMPDIR, removed when it ends.
const std::string& folder();
/// Writes folder()/name, with the folders on its way; its path.
std::string put(const std::string& name, std::string_view bytes);

/// The bytes cut at the first count - 1 record separators (0x1E); always `count` parts.
std::vector<std::string_view> parts(std::string_view bytes, size_t count);

}  // namespace bovila::fuzz
