// How the C library's heap behaves in this process.
// Fed by main.cpp, once, before the first large allocation and the first thread.
#pragma once

namespace bovila {

/// Keeps freed memory for the next step instead of giving it back to the kernel. A step allocates
/// and frees the same activations again and again: by default glibc maps each large one anew, and
/// zeroing their pages took an eighth of the demo's time.
void keep_freed_memory();

}  // namespace bovila
