/* Latencies in log-linear buckets: any percentile within 3%, in fixed memory. */
#ifndef HSI_RUNTIME_HISTOGRAM_H
#define HSI_RUNTIME_HISTOGRAM_H

#include <stdint.h>

/* 32 buckets for each power of two: a bucket is at most 1/32 of its value wide. */
enum {
    HSI_HISTOGRAM_BUCKETS = 32 * 40
};

typedef struct hsi_histogram {
    uint64_t count, sum, max;
    uint32_t buckets[HSI_HISTOGRAM_BUCKETS];
} hsi_histogram;

void hsi_histogram_add(hsi_histogram *h, uint64_t value);
/* The value below which `fraction` (0 to 1) of all values lie; 0 when there are none. */
double hsi_histogram_percentile(const hsi_histogram *h, double fraction);

#endif
