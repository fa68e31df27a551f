// How the kernels of model/cpu and weights/cpu are compiled. Fed by nothing.
#pragma once

// Compiles a function for processors with AVX-512, with AVX2 and for all others; the loader
// chooses. What it calls must be inlined into it. Sanitizers run before the loader can choose.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BOVILA_EACH_CPU \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define BOVILA_EACH_CPU
#endif
#define BOVILA_INLINE __attribute__((always_inline)) inline
