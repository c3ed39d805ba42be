/* What the tests of imported buffers share: memory with a descriptor, a network that negates. */
#ifndef TESTS_UNIT_IMPORT_SUPPORT_H
#define TESTS_UNIT_IMPORT_SUPPORT_H

#include "common/support.h"

#include <sys/mman.h>
#include <unistd.h>

enum {
    ELEMENTS = 1000,
    BYTES = ELEMENTS * 4
};

static inline hsched_runtime *open_runtime(void)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                     .policy = HSCHED_POLICY_CPU_ONLY };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

/* y = -x */
static inline hsched_model *negating_model(hsched_runtime *rt)
{
    hsched_graph *g;
    hsched_tensor x, y;
    hsched_model *model;
    assert_ok(hsched_graph_create("negate", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 1, (int64_t[]){ ELEMENTS }, &x));
    assert_ok(hsched_graph_add_activation(
        g, "y", x, (hsched_activation){ .kind = HSCHED_ACTIVATION_NEG }, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    hsched_graph_destroy(g);
    return model;
}

static inline int make_memfd(const char *name, size_t size)
{
    int fd = memfd_create(name, MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

/* Through the file, not through any mapping of ours. */
static inline void write_numbers(int fd, off_t offset, uint32_t seed)
{
    float x[ELEMENTS];
    fill(x, ELEMENTS, seed);
    assert_int_equal(pwrite(fd, x, BYTES, offset), BYTES);
}

static inline void assert_negated(const float *y, uint32_t seed)
{
    float x[ELEMENTS];
    fill(x, ELEMENTS, seed);
    for (int i = 0; i < ELEMENTS; i++)
        if (y[i] != -x[i])
            fail_msg("element %d: %g is not %g", i, (double)y[i], (double)-x[i]);
}

static inline void assert_negated_in(int fd, off_t offset, uint32_t seed)
{
    float y[ELEMENTS];
    assert_int_equal(pread(fd, y, BYTES, offset), BYTES);
    assert_negated(y, seed);
}

#endif
