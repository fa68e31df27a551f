// Names of addresses in this process. Used by thread_stacks.cpp.
#pragma once

#include <string>

namespace bovila {

/// "bovila::train_step(...) + 0x1f2 (bovila)"; where the file has no name for it, its place in the
/// file, "0x4711 (libc.so.6)", which addr2line takes.
std::string symbol_text(void* address);

}  // namespace bovila
