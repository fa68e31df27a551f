// One value of a TOML document into the member that its key names, by exact type and range.
// Fed by toml++ and config/keys.h; feeds config/deck.cpp.
#pragma once

#include <string>

#include "bovila/config/keys.h"
#include "bovila/config/toml.h"

namespace bovila {

/// Sets the key's member to `node`. Returns what is wrong with the value, and then leaves the
/// member as it was; "" when nothing is.
std::string assign(const Key& key, const toml::node& node, Config& config);

/// A value as messages show it: `string "a.b"`, `float 1.5`, `an array`.
std::string describe(const toml::node& node);

}  // namespace bovila
