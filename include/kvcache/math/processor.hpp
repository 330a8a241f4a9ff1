// The name of the processor that a file is compiled for. Files of one program may be compiled with other -m flags, and
// what they share by name must be the same in all of them: so what depends on the flags, such as how many floats a
// vector holds, stands in an inline namespace of this name, and each file has its own.
#pragma once

#if defined(__AVX512F__)
#define KVCACHE_VECTORS avx512
#elif defined(__AVX2__)
#define KVCACHE_VECTORS avx2
#elif defined(__AVX__)
#define KVCACHE_VECTORS avx
#elif defined(__ARM_FEATURE_SVE)
#define KVCACHE_VECTORS sve
#else
#define KVCACHE_VECTORS plain
#endif
#if defined(__FMA__)  // a product and a sum are rounded once
#define KVCACHE_FUSED _fma
#else
#define KVCACHE_FUSED
#endif
#if defined(__F16C__)  // halves are converted by an instruction
#define KVCACHE_HALVES _f16c
#else
#define KVCACHE_HALVES
#endif

#define KVCACHE_JOINED(vectors, fused, halves) vectors##fused##halves
#define KVCACHE_JOIN(vectors, fused, halves) KVCACHE_JOINED(vectors, fused, halves)
/// Such as avx2_fma_f16c: inline namespace KVCACHE_PROCESSOR { ... }
#define KVCACHE_PROCESSOR KVCACHE_JOIN(KVCACHE_VECTORS, KVCACHE_FUSED, KVCACHE_HALVES)
