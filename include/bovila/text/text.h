// Python's text and number rules, which the official annotations were read with (SPEC 3, 4).
// Fed by the annotation readers' raw strings; feeds data/sample.h. Pure functions.
//
// All texts are UTF-8. Bytes that are not are read as Python's errors="replace" does: each maximal
// ill-formed part becomes U+FFFD; no function here fails on any bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bovila {

/// str.capitalize of Python 3.8 and later: the first character in title case (not upper case), all
/// others in lower case with full mappings and the final sigma rule.
std::string capitalize(std::string_view text);

/// str.strip: without white space at both ends, by Python's own list of white space.
std::string_view strip(std::string_view text);
/// str.rstrip: without white space at the end.
std::string_view strip_right(std::string_view text);

/// round(x): half to even. `value` is finite and below 2^53 in size.
int64_t round_half_even(double value);

/// The question as the prompt holds it (SPEC 3): capitalised, then stripped, with `?` at its end.
std::string normalize_question(std::string_view question);

}  // namespace bovila
