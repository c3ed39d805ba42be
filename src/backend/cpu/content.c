#include "backend/cpu/content.h"

#include <string.h>

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t rotated(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline uint64_t round_of(uint64_t sum, uint64_t word)
{
    return rotated(sum + word * P2, 31) * P1;
}

static inline uint64_t read_8(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint64_t read_4(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The bytes behind the last 32 that go together. */
static uint64_t finish(uint64_t hash, const unsigned char *at, size_t left)
{
    for (; left >= 8; left -= 8, at += 8)
        hash = rotated(hash ^ round_of(0, read_8(at)), 27) * P1 + P4;
    if (left >= 4) {
        hash = rotated(hash ^ read_4(at) * P1, 23) * P2 + P3;
        left -= 4;
        at += 4;
    }
    for (; left > 0; left--, at++)
        hash = rotated(hash ^ *at * P5, 11) * P1;
    hash = (hash ^ hash >> 33) * P2;
    hash = (hash ^ hash >> 29) * P3;
    return hash ^ hash >> 32;
}

uint64_t hsi_cpu_content_hash(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *at = data;
    size_t left = size;
    uint64_t hash = seed + P5;
    if (size >= 32) {
        uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
        for (; left >= 32; left -= 32, at += 32) {
            a = round_of(a, read_8(at));
            b = round_of(b, read_8(at + 8));
            c = round_of(c, read_8(at + 16));
            d = round_of(d, read_8(at + 24));
        }
        hash = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18);
        const uint64_t lanes[] = { a, b, c, d };
        for (int i = 0; i < 4; i++)
            hash = (hash ^ round_of(0, lanes[i])) * P1 + P4;
    }
    return finish(hash + size, at, left);
}
