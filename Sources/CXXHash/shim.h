#pragma once
#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The library's names are macros, which Swift does not see. */
static inline uint64_t cxxhash_xxh64(const void *bytes, size_t count, uint64_t seed) {
    return XXH64(bytes, count, seed);
}

typedef struct { uint64_t high, low; } cxxhash_128;

static inline cxxhash_128 cxxhash_xxh3_128(const void *bytes, size_t count) {
    XXH128_hash_t hash = XXH3_128bits(bytes, count);
    return (cxxhash_128){hash.high64, hash.low64};
}
