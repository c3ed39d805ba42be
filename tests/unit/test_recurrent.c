/* Recurrent layers: shapes, errors, and what their outputs are by hand. */
#include "test_graph.h"

#define HIDDEN 3

static hsched_tensor ones(hsched_graph *g, uint32_t rank, const int64_t *dims)
{
    float data[256];
    size_t count = 1;
    hsched_tensor tensor;
    for (uint32_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    assert_true(count <= 256);
    for (size_t i = 0; i < count; i++)
        data[i] = 0.5f;
    OK(hsched_graph_add_constant(g, NULL, HSCHED_FLOAT32, rank, dims, data,
                                 count * sizeof *data, HSCHED_DATA_COPY, &tensor));
    return tensor;
}

static void shapes(void **state)
{
    (void)state;
    static const int gates[] = { 0, 1, 4, 3 };
    for (int kind = HSCHED_RECURRENT_RNN; kind <= HSCHED_RECURRENT_GRU; kind++)
        for (int direction = 0; direction < 3; direction++) {
            const int64_t d = direction == 2 ? 2 : 1, rows = gates[kind] * HIDDEN;
            const int lstm = kind == HSCHED_RECURRENT_LSTM;
            hsched_recurrent_config c = { HSCHED_RECURRENT_CONFIG_INIT,
                                          .kind = (hsched_recurrent_kind)kind,
                                          .direction =
                                              (hsched_recurrent_direction)direction };
            hsched_graph *g = new_graph();
            hsched_tensor y, y_h, y_c;
            OK(hsched_graph_add_recurrent(g, "r", input(g, DIMS(5, 2, 4)),
                                          ones(g, 3, (int64_t[]){ d, rows, 4 }),
                                          ones(g, 3, (int64_t[]){ d, rows, HIDDEN }),
                                          ones(g, 2, (int64_t[]){ d, 2 * rows }), NONE,
                                          NONE, NONE, &c, &y, &y_h, lstm ? &y_c : NULL));
            expect_shape(g, y, DIMS(5, d, 2, HIDDEN));
            expect_shape(g, y_h, DIMS(d, 2, HIDDEN));
            if (lstm)
                expect_shape(g, y_c, DIMS(d, 2, HIDDEN));
            hsched_graph_destroy(g);
        }
}

static void errors(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_recurrent_config c = { HSCHED_RECURRENT_CONFIG_INIT,
                                  .kind = HSCHED_RECURRENT_GRU };
    hsched_tensor y, x = input(g, DIMS(5, 2, 4)), w = constant(g, DIMS(1, 9, 4)),
                     r = constant(g, DIMS(1, 9, 3)), b = constant(g, DIMS(1, 9));
    hsched_tensor flat = input(g, DIMS(5, 4)), lengths = input(g, DIMS(2)),
                  h = input(g, DIMS(1, 3, 3));
#define RECURRENT(x, w, r, b, lengths, h, cell)                                          \
    hsched_graph_add_recurrent(g, "r", (x), (w), (r), (b), (lengths), (h), (cell), &c,   \
                               &y, NULL, NULL)
    FAILS(g, y, RECURRENT(flat, w, r, NONE, NONE, NONE, NONE), HSCHED_ERROR_SHAPE,
          "'r'|recurrent|[5,4]|[T,N,I]");
    FAILS(g, y, RECURRENT(x, x, r, NONE, NONE, NONE, NONE), HSCHED_ERROR_INVALID_ARGUMENT,
          "'r'|weights|constant");
    FAILS(g, y, RECURRENT(x, r, r, NONE, NONE, NONE, NONE), HSCHED_ERROR_SHAPE,
          "'r'|weights|[1,9,4]");
    FAILS(g, y, RECURRENT(x, w, w, NONE, NONE, NONE, NONE), HSCHED_ERROR_SHAPE,
          "'r'|recurrent weights|[1,12,4]");
    FAILS(g, y, RECURRENT(x, w, r, b, NONE, NONE, NONE), HSCHED_ERROR_SHAPE,
          "'r'|bias|[1,18]");
    FAILS(g, y, RECURRENT(x, w, r, NONE, lengths, NONE, NONE), HSCHED_ERROR_SHAPE,
          "'r'|lengths|int32 [2]");
    FAILS(g, y, RECURRENT(x, w, r, NONE, NONE, h, NONE), HSCHED_ERROR_SHAPE,
          "'r'|initial h|[1,2,3]");
    FAILS(g, y, RECURRENT(x, w, r, NONE, NONE, NONE, h), HSCHED_ERROR_INVALID_ARGUMENT,
          "'r'|initial c|LSTM");
    c.clip = -1;
    FAILS(g, y, RECURRENT(x, w, r, NONE, NONE, NONE, NONE), HSCHED_ERROR_INVALID_ARGUMENT,
          "'r'|clip");
    c.clip = 0;
    c.hidden_size = 4;
    FAILS(g, y, RECURRENT(x, w, r, NONE, NONE, NONE, NONE), HSCHED_ERROR_SHAPE,
          "'r'|hidden_size|4|3");
    c.hidden_size = 0;
    c.kind = (hsched_recurrent_kind)9;
    FAILS(g, y, RECURRENT(x, w, r, NONE, NONE, NONE, NONE), HSCHED_ERROR_INVALID_ARGUMENT,
          "'r'|kind 9");
#undef RECURRENT
    hsched_graph_destroy(g);
}

/* An RNN of one value that adds up: y[t] = relu(x[t] + y[t - 1]), in both directions, over
 * sequences of 3 and 1 rows. */
static void sums(void **state)
{
    (void)state;
    static const float one[2] = { 1, 1 }, x[6] = { 1, 10, 2, 20, 3, 30 },
                       initial[4] = { 100, 200, 300, 400 };
    static const int32_t lengths[2] = { 3, 1 };
    static const float forward_reverse[12] = { 101, 210, 306, 410, 103, 0,
                                               305, 0,   106, 0,   303, 0 };
    static const float last[4] = { 106, 210, 306, 410 };
    hsched_recurrent_config c = { HSCHED_RECURRENT_CONFIG_INIT,
                                  .kind = HSCHED_RECURRENT_RNN,
                                  .direction = HSCHED_RECURRENT_BIDIRECTIONAL };
    for (int d = 0; d < 2; d++)
        c.activations[d][0].kind = HSCHED_ACTIVATION_RELU;
    hsched_graph *g = new_graph();
    hsched_tensor weights, length, y, y_h, in = input(g, DIMS(3, 2, 1)),
                                           h = input(g, DIMS(2, 2, 1));
    OK(hsched_graph_add_constant(g, "one", HSCHED_FLOAT32, 3, (int64_t[]){ 2, 1, 1 }, one,
                                 sizeof one, HSCHED_DATA_COPY, &weights));
    OK(hsched_graph_add_constant(g, "lengths", HSCHED_INT32, 1, (int64_t[]){ 2 }, lengths,
                                 sizeof lengths, HSCHED_DATA_COPY, &length));
    OK(hsched_graph_add_recurrent(g, "r", in, weights, weights, NONE, length, h, NONE, &c,
                                  &y, &y_h, NULL));
    OK(hsched_graph_add_output(g, y));
    OK(hsched_graph_add_output(g, y_h));
    hsched_runtime *rt;
    hsched_model *model;
    hsched_run *run;
    OK(hsched_runtime_create(NULL, &rt));
    OK(hsched_model_compile(rt, g, NULL, &model));
    hsched_graph_destroy(g);
    hsched_binding inputs[2] = { HSCHED_DATA(x, sizeof x),
                                 HSCHED_DATA(initial, sizeof initial) };
    OK(hsched_submit(
        model, &(hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = inputs }, &run));
    OK(hsched_run_wait(run, HSCHED_FOREVER));
    const void *result;
    size_t size;
    OK(hsched_run_output(run, 0, &result, &size));
    assert_int_equal(size, sizeof forward_reverse);
    assert_memory_equal(result, forward_reverse, size);
    OK(hsched_run_output(run, 1, &result, &size));
    assert_int_equal(size, sizeof last);
    assert_memory_equal(result, last, size);
    hsched_run_release(run);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(errors),
        cmocka_unit_test(sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
