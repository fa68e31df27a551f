// Whose processor this is, as far as the choice of a library depends on it.
#pragma once

namespace bovila::cpu {

/// Whether MKL keeps its fastest kernels from this processor: it does from all but Intel's.
inline bool is_slow_in_mkl() {
#if defined(__x86_64__)
  return !__builtin_cpu_is("intel");
#else
  return false;  // there is no MKL
#endif
}

}  // namespace bovila::cpu
