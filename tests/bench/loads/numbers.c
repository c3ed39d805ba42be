/* Seeded numbers, and how results are compared. */
#include "reference.h"

#include <math.h>

uint32_t load_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

float load_uniform(uint64_t *state)
{
    /* 24 bits: every such number has a float of its own, and none is rounded up to 1. */
    return (float)(load_random(state) >> 8) / 16777216.0f;
}

size_t load_first_wrong(const float *result, const float *expected, size_t count,
                        float absolute, float relative)
{
    size_t i = 0;
    while (i < count &&
           fabsf(result[i] - expected[i]) <= absolute + relative * fabsf(expected[i]))
        i++;
    return i;
}

size_t load_first_unequal(const int *result, const int *expected, size_t count)
{
    size_t i = 0;
    while (i < count && result[i] == expected[i])
        i++;
    return i;
}
