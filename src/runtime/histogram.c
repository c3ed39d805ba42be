#include "runtime/histogram.h"

static uint32_t bucket_of(uint64_t value)
{
    if (value < 32)
        return (uint32_t)value;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(value); /* >= 5 */
    uint32_t bucket = (octave - 4) * 32 + (uint32_t)(value >> (octave - 5)) - 32;
    return bucket < HSI_HISTOGRAM_BUCKETS ? bucket : HSI_HISTOGRAM_BUCKETS - 1;
}

static double bucket_middle(uint32_t bucket)
{
    if (bucket < 32)
        return bucket;
    uint32_t octave = bucket / 32 + 4;
    double width = (double)(1ull << (octave - 5));
    return ((double)(bucket % 32) + 32.5) * width;
}

void hsi_histogram_add(hsi_histogram *h, uint64_t value)
{
    h->count++;
    h->sum += value;
    if (value > h->max)
        h->max = value;
    h->buckets[bucket_of(value)]++;
}

double hsi_histogram_percentile(const hsi_histogram *h, double fraction)
{
    if (h->count == 0)
        return 0;
    uint64_t rank = (uint64_t)(fraction * (double)(h->count - 1));
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HSI_HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > rank) {
            double middle = bucket_middle(i);
            return middle < (double)h->max ? middle : (double)h->max;
        }
    }
    return (double)h->max;
}
