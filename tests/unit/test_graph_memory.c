/* Building and specialising while memory runs out: each call fails alone, cleanly, and
 * can be tried again. */
#include <stdio.h>

#include "test_graph.h"

#include "base/alloc.h"

/* A call that ran out of memory leaves no trace; trying again succeeds. */
static hsched_status attempt_status;
#define TRY(graph, call)                                                                 \
    do {                                                                                 \
        counts before_ = counts_of(graph);                                               \
        attempt_status = (call);                                                         \
        if (attempt_status != HSCHED_OK) {                                               \
            assert_int_equal(attempt_status, HSCHED_ERROR_OUT_OF_MEMORY);                \
            expect_detail("out of memory");                                              \
            expect_unchanged((graph), before_);                                          \
            failures++;                                                                  \
            OK(call);                                                                    \
        }                                                                                \
    } while (0)

static int failures;

/* Uses every path that allocates. The k-th allocation fails. */
static void build(uint64_t k)
{
    static const float data[36] = { 1 };
    hsched_graph *g = NULL, *copy = NULL;
    hsched_tensor x, w, y, z;
    int64_t n;
    char name[16];
    failures = 0;
    hsi_alloc_fail_after(k);
    if (hsched_graph_create("net", &g) != HSCHED_OK) {
        failures++;
        assert_null(g);
        OK(hsched_graph_create("net", &g));
    }
    TRY(g, hsched_graph_set_symbol(g, "n", 1, &n));
    TRY(g, hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(n, 1, 8, 8), &x));
    TRY(g, hsched_graph_add_constant(g, "w", HSCHED_FLOAT32, DIMS(4, 1, 3, 3), data,
                                     sizeof data, HSCHED_DATA_COPY, &w));
    TRY(g, hsched_graph_add_conv2d(g, NULL, x, w, NONE, NULL, &y));
    for (int i = 0; i < 20; i++) { /* arrays and index grow on the way */
        snprintf(name, sizeof name, "r%d", i);
        TRY(g, hsched_graph_add_activation(g, i % 2 ? name : NULL, y,
                                           (hsched_activation){ HSCHED_ACTIVATION_RELU },
                                           &z));
        y = z;
    }
    TRY(g, hsched_graph_add_image_input(g, "cam", n, 6, 6, 4, NULL, &z));
    TRY(g, hsched_graph_add_concat(g, "cat", (hsched_tensor[]){ y, z }, 2, 1, &w));
    y = w;
    TRY(g, hsched_graph_add_output(g, y));
    TRY(g, hsched_graph_convert_input_to_image(g, "x", NULL));
    TRY(g, hsched_graph_set_symbol(g, "n", 2, &n));
    expect_shape(g, y, DIMS(2, 8, 6, 6));
    TRY(g, hsi_graph_specialise(g, &(hsched_symbol){ "n", 3 }, 1, &copy));
    expect_shape(copy, y, DIMS(3, 8, 6, 6));
    hsi_alloc_fail_after(0);
    /* Names found, whichever allocation of the index failed. */
    for (uint32_t i = 0; i < g->tensor_count; i++) {
        OK(hsched_graph_find_tensor(g, g->tensors[i].name, &z));
        assert_int_equal(z, i);
    }
    hsched_graph_destroy(copy);
    hsched_graph_destroy(g);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    uint64_t before = hsi_alloc_count(), held = hsi_alloc_bytes();
    build(0);
    uint64_t calls = hsi_alloc_count() - before;
    assert_int_equal(failures, 0);
    assert_true(calls > 50);
    for (uint64_t k = 1; k <= calls; k++) {
        build(k);
        assert_int_equal(failures, 1);
        assert_int_equal(hsi_alloc_bytes(), held);
    }
}

/* A call that fails for its arguments gives back what it had allocated. */
static void errors_leak_nothing(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(1, 3, 8, 8)), w = constant(g, DIMS(4, 2, 3, 3));
    OK(hsched_graph_add_softmax(g, "warm", x, 1, &y));
    uint64_t held = hsi_alloc_bytes();
    FAILS(g, y, hsched_graph_add_conv2d(g, "c", x, w, NONE, NULL, &y), HSCHED_ERROR_SHAPE,
          "'c'");
    FAILS(g, y, hsched_graph_add_image_input(g, "i", 1, 2, 2, 9, NULL, &y),
          HSCHED_ERROR_SHAPE, "'i/");
    FAILS(g, y, hsched_graph_add_input(g, "n", HSCHED_FLOAT32, DIMS(0), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'n'");
    FAILS(g, y,
          hsched_graph_add_constant(g, "n", HSCHED_FLOAT32, DIMS(1), &held, 1,
                                    HSCHED_DATA_COPY, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'n'");
    assert_int_equal(hsi_alloc_bytes(), held);
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(errors_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
