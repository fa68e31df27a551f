// The deck: a strict TOML file, with --set on top, to a Config and back.
// Fed by the command line; feeds every later stage through config/config.h.
//
// Rank 0 calls read_deck and broadcasts Deck::resolved; the other ranks give it to parse_deck,
// which is pure, and hold the same Config. Paths are as the user typed them, relative to the
// working directory of the process, not to the deck.
//
// Strict means: unknown tables and keys, values of another type (1 is a number, but 1.0 is no
// integer and "1" neither), values out of range, non-finite numbers and missing required keys are
// problems, and all problems of a deck are reported in one UserError, a line each, sorted by place:
//   input/star.toml:12:1: unknown key 'batchsize' in [train]; did you mean 'batch_size'?
// Text that is not TOML (duplicate keys and bad UTF-8 among it) is reported alone, at its first
// fault.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/config/config.h"

namespace bovila {

struct Deck {
  using Keys = std::set<std::string, std::less<>>;

  Config config;
  std::string resolved;               ///< to_toml(config), see config/dump.h
  std::vector<std::string> warnings;  ///< of a training: allowed, but probably not meant; for rank
                                      ///< 0's log, once
  Keys given;                         ///< keys that the file or an override gives a value
  Keys overridden;                    ///< those that an override does
};

/// Reads the text of a deck. `source` is its name in messages. Each override is
/// "table.key=value" with a TOML value, replaces what the deck says, and the last one of a key
/// wins; a string may come without its quotes. Problems in it are at the place "--set
/// table.key=value". Pure, thread-safe. @throws UserError as above.
Deck parse_deck(std::string_view text, const std::string& source,
                const std::vector<std::string>& overrides = {});

/// Reads the deck in a file (at most 1 MiB) and checks that the files and folders that it names are
/// there, missing ones reported among the other problems. @throws UserError as above, and when the
/// file cannot be read.
Deck read_deck(const std::string& path, const std::vector<std::string>& overrides = {});

}  // namespace bovila
