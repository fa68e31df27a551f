// What a path stands for where no shell has looked at it: in a deck, behind --output=.
// Fed by config/deck.h and command lines; feeds whoever opens files.
#pragma once

#include <string>

namespace bovila {

/// The path with ~ and ~NAME at its beginning, $NAME and ${NAME} replaced as a shell does; a path
/// that is there as it stands is left alone, and so is the home of a user whom nobody knows. Not
/// beside a thread that sets a variable.
/// @throws UserError naming a variable that is not set, or is empty.
std::string expand_path(const std::string& path);

}  // namespace bovila
