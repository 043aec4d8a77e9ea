#pragma once
#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The library's names are macros, which Swift does not see. */
static inline uint64_t cxxhash_xxh64(const void *bytes, size_t count, uint64_t seed) {
    return XXH64(bytes, count, seed);
}
