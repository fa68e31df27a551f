// A look at a JSON text before it is parsed: nlohmann-json parses any depth, but copies, compares
// and prints values by calling itself, and a stack ends. Fed by every reader of JSON.
#pragma once

#include <string_view>

namespace bovila {

inline constexpr int kMaxJsonDepth = 64;  ///< what is read here has no more than 10

/// Whether lists and objects of a text lie more than kMaxJsonDepth deep in one another. Pure; any
/// bytes will do.
bool is_deep_json(std::string_view text);

}  // namespace bovila
