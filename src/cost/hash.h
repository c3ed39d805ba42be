/* A hash that is the same on every machine and in every version. */
#ifndef HSI_COST_HASH_H
#define HSI_COST_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"

#define HSI_COST_HASH_INIT UINT64_C(0xcbf29ce484222325)

/* FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923), over the value's bytes, lowest first. */
static inline uint64_t hsi_cost_mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        hash ^= value >> (8 * i) & 0xff;
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static inline uint64_t hsi_cost_mix_text(uint64_t hash, const char *text)
{
    for (; *text; text++) {
        hash ^= (unsigned char)*text;
        hash *= UINT64_C(0x100000001b3);
    }
    return hsi_cost_mix(hash, 0); /* so that "ab" "c" is not "a" "bc" */
}

/*
 * What the times of a graph depend on: its layers with their attributes, how they are connected,
 * shapes and types with the symbols' present values; of constants the type and size, not the
 * values; no names. Any thread.
 */
uint64_t hsi_cost_model_hash(const hsched_graph *graph);

#endif
