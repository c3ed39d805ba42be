/* Convolutions whose weights or bias are computed at run time: what they are with constants. */
#include "common/support.h"

#include <math.h>

#define MOST 4096

typedef struct problem {
    uint32_t rank;
    int64_t x[5], weights[5];
    int64_t filters; /* of the bias */
    int transposed;
    hsched_conv_config conv; /* all 0: none is given */
    hsched_conv_transpose_config transpose;
} problem;

static int64_t elements(uint32_t rank, const int64_t *dims)
{
    int64_t count = 1;
    for (uint32_t d = 0; d < rank; d++)
        count *= dims[d];
    assert_true(count <= MOST);
    return count;
}

/* Which of x, weights and bias are inputs. Returns how many elements y has. */
static size_t run(const problem *p, int weights_given, int bias_given,
                  const float *const data[3], float *y)
{
    const uint32_t ranks[3] = { p->rank, p->rank, 1 };
    const int64_t *const dims[3] = { p->x, p->weights, &p->filters };
    const int given[3] = { 1, weights_given, bias_given };
    static const char *const names[3] = { "x", "w", "b" };
    hsched_binding in[3], out;
    uint32_t inputs = 0;
    hsched_graph *g;
    hsched_tensor t[3], result;
    const hsched_conv_config *conv = p->conv.struct_size ? &p->conv : NULL;
    const hsched_conv_transpose_config *transpose =
        p->transpose.struct_size ? &p->transpose : NULL;
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    hsched_runtime *rt;
    hsched_model *model;
    assert_ok(hsched_graph_create("conv", &g));
    for (int k = 0; k < 3; k++) {
        const size_t bytes = (size_t)elements(ranks[k], dims[k]) * sizeof(float);
        if (given[k]) {
            assert_ok(hsched_graph_add_input(g, names[k], HSCHED_FLOAT32, ranks[k],
                                             dims[k], &t[k]));
            in[inputs++] = (hsched_binding)HSCHED_DATA(data[k], bytes);
        } else {
            assert_ok(hsched_graph_add_constant(g, names[k], HSCHED_FLOAT32, ranks[k],
                                                dims[k], data[k], bytes, HSCHED_DATA_COPY,
                                                &t[k]));
        }
    }
    if (p->transposed)
        assert_ok(hsched_graph_add_conv_transpose(g, "y", t[0], t[1], t[2], transpose,
                                                  &result));
    else
        assert_ok(hsched_graph_add_conv(g, "y", t[0], t[1], t[2], conv, &result));
    assert_ok(hsched_graph_add_output(g, result));
    assert_ok(hsched_graph_tensor_info(g, result, &info));
    out = (hsched_binding)HSCHED_DATA(y, info.byte_size);
    assert_true(info.byte_size <= MOST * sizeof *y);
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    assert_ok(hsched_infer(model, in, inputs, &out, 1));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
    return info.byte_size / sizeof *y;
}

static void same_as_with_constants(const problem *p)
{
    static float x[MOST], w[MOST], b[MOST], expected[MOST], y[MOST];
    const float *const data[3] = { x, w, b };
    uint32_t seed = 7;
    for (int i = 0; i < MOST; i++) {
        x[i] = (float)((seed = seed * 1664525 + 1013904223) >> 16) / 32768 - 1;
        w[i] = (float)((seed = seed * 1664525 + 1013904223) >> 16) / 32768 - 1;
        b[i] = (float)((seed = seed * 1664525 + 1013904223) >> 16) / 32768 - 1;
    }
    const size_t count = run(p, 0, 0, data, expected);
    for (int k = 1; k < 4; k++) {
        memset(y, 0xff, sizeof y);
        assert_int_equal(run(p, k & 1, k >> 1, data, y), count);
        for (size_t i = 0; i < count; i++)
            assert_true(fabsf(y[i] - expected[i]) < 1e-4f);
    }
}

static void convolutions(void **state)
{
    (void)state;
    static const problem problems[] = {
        { 4, { 2, 3, 7, 6 }, { 4, 3, 3, 2 }, 4 },
        { 4,
          { 1, 6, 9, 8 },
          { 4, 3, 3, 3 },
          4,
          0,
          { HSCHED_CONV_CONFIG_INIT, { 2, 1 }, { 1, 0, 2, 1 }, { 1, 2 }, 2 } },
        { 4,
          { 2, 5, 5, 6 },
          { 5, 1, 3, 3 },
          5,
          0,
          { HSCHED_CONV_CONFIG_INIT, .groups = 5, .auto_pad = HSCHED_PAD_SAME_UPPER } },
        { 4, { 2, 5, 5, 6 }, { 3, 5, 1, 1 }, 3 },
        { 3,
          { 2, 4, 17 },
          { 6, 2, 5 },
          6,
          0,
          { HSCHED_CONV_CONFIG_INIT, { 3 }, { 2, 4 }, { 2 }, 2 } },
        { 5,
          { 2, 2, 4, 5, 6 },
          { 3, 2, 2, 3, 2 },
          3,
          0,
          { HSCHED_CONV_CONFIG_INIT, { 1, 2, 1 }, { 1, 1, 0, 0, 1, 2 } } },
    };
    for (size_t k = 0; k < sizeof problems / sizeof *problems; k++)
        same_as_with_constants(&problems[k]);
}

static void transposed(void **state)
{
    (void)state;
    static const problem problems[] = {
        { 4, { 2, 4, 5, 3 }, { 4, 3, 3, 2 }, 3, 1 },
        { 4,
          { 1, 6, 4, 5 },
          { 6, 2, 3, 4 },
          4,
          1,
          { 0 },
          { HSCHED_CONV_TRANSPOSE_CONFIG_INIT,
            { 2, 3 },
            { 1, 0, 2, 4 },
            { 2, 1 },
            { 1, 0 },
            .groups = 2 } },
        { 3,
          { 2, 3, 6 },
          { 3, 4, 5 },
          4,
          1,
          { 0 },
          { HSCHED_CONV_TRANSPOSE_CONFIG_INIT, { 2 }, { 3, 4 } } },
        { 5,
          { 1, 2, 3, 2, 4 },
          { 2, 2, 2, 1, 3 },
          2,
          1,
          { 0 },
          { HSCHED_CONV_TRANSPOSE_CONFIG_INIT, { 2, 2, 1 }, { 0, 0, 1, 1, 0, 1 } } },
    };
    for (size_t k = 0; k < sizeof problems / sizeof *problems; k++)
        same_as_with_constants(&problems[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(transposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
