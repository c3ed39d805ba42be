/* The keys of a platform file's devices and links: their names, values and limits. */
#ifndef HSI_SIMULATOR_PLATFORM_KEYS_H
#define HSI_SIMULATOR_PLATFORM_KEYS_H

#include <stddef.h>

#include "simulator/platform.h"

enum {
    HSI_KEYS_MAX = 40,
    /* Where a key may stand. */
    HSI_KEY_CPU = 1 << 0,
    HSI_KEY_ACCELERATOR = 1 << 1,
    HSI_KEY_LINK = 1 << 2,
    HSI_KEY_RATES = 1 << 3, /* not where costs are measured */
    HSI_KEY_DEVICE = HSI_KEY_CPU | HSI_KEY_ACCELERATOR
};

typedef struct hsi_platform_key {
    const char *name;
    uint32_t where;
    /* Reads the value, which ends in a 0, into the target; 0: it is not valid, and `expected` is
     * what to write. */
    int (*parse)(const struct hsi_platform_key *key, const char *value, void *target);
    size_t offset; /* of the target, in hsi_platform_device or hsi_platform_link_text */
    double low, high;
    const char *expected;
} hsi_platform_key;

typedef struct hsi_platform_link_text { /* a [link] as it stands there */
    double us, gb_per_s; /* gb_per_s 0: passing takes no longer for more bytes */
} hsi_platform_link_text;

extern const hsi_platform_key hsi_platform_keys[];
extern const uint32_t hsi_platform_key_count;

/* NULL: there is none of that name for a device, or for a link. */
const hsi_platform_key *hsi_platform_find_key(const char *name, int of_link);

#endif
