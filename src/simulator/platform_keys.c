#include "simulator/platform_keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Values --------------------------------------------------------------- */

/* A number from low to high, with nothing behind it but what `end` gets. */
static int read_number(const char *text, double low, double high, double *number,
                       const char **end)
{
    char *stop;
    *number = strtod(text, &stop);
    *end = stop;
    return stop != text && isfinite(*number) && *number >= low && *number <= high;
}

static int parse_number(const hsi_platform_key *key, const char *value, void *target)
{
    const char *end;
    return read_number(value, key->low, key->high, target, &end) && *end == '\0';
}

static int parse_count(const hsi_platform_key *key, const char *value, void *target)
{
    const char *end;
    double number;
    if (!read_number(value, key->low, key->high, &number, &end) || *end != '\0' ||
        number != floor(number))
        return 0;
    *(uint32_t *)target = (uint32_t)number;
    return 1;
}

static int parse_count_or_all(const hsi_platform_key *key, const char *value,
                              void *target)
{
    if (strcmp(value, "all") != 0)
        return parse_count(key, value, target);
    *(uint32_t *)target = UINT32_MAX;
    return 1;
}

/* "2:1.1 4:1.5": numbers ascending from 1 on, factors above 0. */
static int parse_curve(const hsi_platform_key *key, const char *value, void *target)
{
    hsi_curve *curve = target;
    curve->count = 0;
    while (*value) {
        double at, factor;
        if (curve->count == HSI_CURVE_MAX ||
            !read_number(value, 1, key->high, &at, &value) || at != floor(at) ||
            *value++ != ':' || !read_number(value, 1e-6, 1e6, &factor, &value))
            return 0;
        if (curve->count > 0 && at <= curve->at[curve->count - 1])
            return 0;
        curve->at[curve->count] = (uint32_t)at;
        curve->factor[curve->count++] = factor;
        const size_t spaces = strspn(value, " \t");
        if (*value && spaces == 0)
            return 0;
        value += spaces;
    }
    return curve->count > 0;
}

/* Adds the bits of words that are separated by spaces or commas; 0: one is unknown. */
static int parse_words(const char *value, uint64_t (*bit_of)(const char *word),
                       uint64_t *bits)
{
    char word[24];
    *bits = 0;
    while (*(value += strspn(value, " \t,"))) {
        const size_t length = strcspn(value, " \t,");
        if (length >= sizeof word)
            return 0;
        memcpy(word, value, length);
        word[length] = '\0';
        if (bit_of(word) == 0)
            return 0;
        *bits |= bit_of(word);
        value += length;
    }
    return *bits != 0;
}

static uint64_t class_bit(const char *word)
{
    static const char *const classes[] = { "conv", "matmul",      "pool",
                                           "norm", "elementwise", "data" };
    for (uint32_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(classes[i], word) == 0)
            return UINT64_C(1) << i;
    return 0;
}

static uint64_t kind_bit(const char *word)
{
    for (int kind = HSCHED_STEP_CONV2D; kind < 64; kind++)
        if (strcmp(hsched_step_kind_name((hsched_step_kind)kind), word) == 0)
            return UINT64_C(1) << kind;
    return 0;
}

static int parse_classes(const hsi_platform_key *key, const char *value, void *target)
{
    (void)key;
    return parse_words(value, class_bit, target);
}

static int parse_kinds(const hsi_platform_key *key, const char *value, void *target)
{
    (void)key;
    return parse_words(value, kind_bit, target);
}

static int parse_device_kind(const hsi_platform_key *key, const char *value, void *target)
{
    (void)key;
    for (int kind = HSI_PLATFORM_CPU; kind <= HSI_PLATFORM_DLA; kind++)
        if (strcmp(hsi_platform_kind_name((hsi_platform_kind)kind), value) == 0) {
            *(hsi_platform_kind *)target = (hsi_platform_kind)kind;
            return 1;
        }
    return 0;
}

/* ---- Keys ----------------------------------------------------------------- */

#define COUNT(name, where, member, low, high, expected)                                  \
    {                                                                                    \
        name, where, parse_count, offsetof(hsi_platform_device, member), low, high,      \
            expected                                                                     \
    }
#define NUMBER(name, where, member, low, high, expected)                                 \
    {                                                                                    \
        name, where, parse_number, offsetof(hsi_platform_device, member), low, high,     \
            expected                                                                     \
    }
#define EFFICIENCY(name, number)                                                         \
    NUMBER("efficiency." name, HSI_KEY_DEVICE | HSI_KEY_RATES, efficiency[number], 1e-4, \
           1, "a share of the rate, from 0.0001 to 1")

const hsi_platform_key hsi_platform_keys[] = {
    { "kind", HSI_KEY_DEVICE, parse_device_kind, offsetof(hsi_platform_device, kind), 0,
      0, "cpu, gpu or dla" },
    COUNT("workers", HSI_KEY_DEVICE, workers, 1, 1024,
          "how many jobs it executes at once, 1 to 1024"),
    { "sections_per_job", HSI_KEY_ACCELERATOR, parse_count_or_all,
      offsetof(hsi_platform_device, sections_per_job), 1, 65535,
      "how many sections a job may have, 1 to 65535, or all" },
    COUNT("max_batch", HSI_KEY_ACCELERATOR, max_batch, 1, 64,
          "how many runs a job may be of, 1 to 64"),
    COUNT("team", HSI_KEY_CPU, team, 1, 1024,
          "how many workers may share a section, 1 to 1024"),
    NUMBER("parallel", HSI_KEY_CPU | HSI_KEY_RATES, parallel, 0, 1,
           "the share of a section's work that several workers can divide, 0 to 1"),
    NUMBER("gflops", HSI_KEY_DEVICE | HSI_KEY_RATES, gflops[HSCHED_MATH_STRICT], 1e-3,
           1e9, "10^9 operations a second, more than 0"),
    NUMBER("gflops.tf32", HSI_KEY_ACCELERATOR | HSI_KEY_RATES,
           gflops[HSCHED_MATH_DEFAULT], 1e-3, 1e9,
           "10^9 operations a second, more than 0"),
    NUMBER("gflops.fp16", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, gflops[HSCHED_MATH_FP16],
           1e-3, 1e9, "10^9 operations a second, more than 0"),
    NUMBER("gflops.bf16", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, gflops[HSCHED_MATH_BF16],
           1e-3, 1e9, "10^9 operations a second, more than 0"),
    NUMBER("gb_per_s", HSI_KEY_DEVICE | HSI_KEY_RATES, gb_per_s, 1e-3, 1e6,
           "10^9 bytes a second, more than 0"),
    NUMBER("step_us", HSI_KEY_DEVICE | HSI_KEY_RATES, step_us, 0, 1e9,
           "microseconds, 0 or more"),
    NUMBER("job_us", HSI_KEY_DEVICE | HSI_KEY_RATES, job_us, 0, 1e9,
           "microseconds, 0 or more"),
    NUMBER("watts", HSI_KEY_DEVICE, watts, 1e-3, 1e6,
           "what it draws when all of it works, watts, more than 0"),
    NUMBER("idle_watts", HSI_KEY_DEVICE, idle_watts, 0, 1e6,
           "what it draws when nothing works, watts, 0 to those of `watts`"),
    EFFICIENCY("conv", 0),
    EFFICIENCY("matmul", 1),
    EFFICIENCY("pool", 2),
    EFFICIENCY("norm", 3),
    EFFICIENCY("elementwise", 4),
    EFFICIENCY("data", 5),
    EFFICIENCY("depthwise", HSI_PLATFORM_DEPTHWISE),
    { "classes", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, parse_classes,
      offsetof(hsi_platform_device, classes), 0, 0,
      "some of conv, matmul, pool, norm, elementwise and data" },
    { "without", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, parse_kinds,
      offsetof(hsi_platform_device, without), 0, 0,
      "kinds of steps as hsched inspect shows them, such as softmax or reduce" },
    COUNT("limit.conv_kernel", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, conv_kernel, 1, 65535,
          "the largest side of a convolution's window, 1 to 65535"),
    COUNT("limit.pool_kernel", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, pool_kernel, 1, 65535,
          "the largest side of a pooling window, 1 to 65535"),
    COUNT("limit.channels", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, channels, 1, 1e9,
          "the most channels of a result, 1 or more"),
    COUNT("limit.groups", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, groups, 1, 1e9,
          "the most groups of a convolution, 1 or more"),
    { "stretch", HSI_KEY_DEVICE | HSI_KEY_RATES, parse_curve,
      offsetof(hsi_platform_device, stretch), 0, 65535,
      "JOBS:FACTOR pairs with JOBS ascending, as in 2:1.1 4:1.6" },
    { "batch", HSI_KEY_ACCELERATOR | HSI_KEY_RATES, parse_curve,
      offsetof(hsi_platform_device, batch), 0, 65535,
      "RUNS:FACTOR pairs with RUNS ascending, as in 2:1.1 16:3" },
    { "us", HSI_KEY_LINK, parse_number, offsetof(hsi_platform_link_text, us), 0, 1e9,
      "microseconds, 0 or more" },
    { "gb_per_s", HSI_KEY_LINK, parse_number, offsetof(hsi_platform_link_text, gb_per_s),
      1e-3, 1e6, "10^9 bytes a second, more than 0; leave it out if nothing is copied" },
};
const uint32_t hsi_platform_key_count =
    sizeof hsi_platform_keys / sizeof hsi_platform_keys[0];

_Static_assert(sizeof hsi_platform_keys / sizeof hsi_platform_keys[0] <= HSI_KEYS_MAX,
               "the parser notes of each key where it stood");

const hsi_platform_key *hsi_platform_find_key(const char *name, int of_link)
{
    for (uint32_t i = 0; i < hsi_platform_key_count; i++)
        if (strcmp(hsi_platform_keys[i].name, name) == 0 &&
            ((hsi_platform_keys[i].where & HSI_KEY_LINK) != 0) == of_link)
            return &hsi_platform_keys[i];
    return NULL;
}
