// Checks of a deck beyond one key: keys that must fit together, and what must be on the disk.
// Fed by config/deck.cpp; feeds its list of problems and warnings.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/config/problems.h"

namespace bovila {

/// Where each key (Key::path) of a Config got its value.
struct Origins {
  std::string source;  ///< the deck's name
  std::map<std::string_view, DeckPlace>
      places;                          ///< keys that were given; the others have their default
  std::set<std::string_view> refused;  ///< keys whose value was wrong: they are not looked at

  /// The key's place, or the deck itself for a key that was not given.
  DeckPlace place_of(std::string_view path) const;
};

/// Adds a problem for each broken rule between keys. Pure.
void check_rules(const Config& config, const Origins& origins, Problems& problems);

/// Settings that are allowed and probably not meant, one line each. Pure.
std::vector<std::string> find_warnings(const Config& config);

/// Replaces ~ and variables in the deck's paths (core/path.h); adds a problem for each that cannot
/// be, and refuses the key. For rank 0 only.
void expand_paths(Config& config, Origins& origins, Problems& problems);

/// Adds a problem for each file or folder of the deck that is missing or of the other kind, and for
/// an output folder that cannot be one. Reads the file system: for rank 0 only.
void check_files(const Config& config, const Origins& origins, Problems& problems);

}  // namespace bovila
