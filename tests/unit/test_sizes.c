/* hsched_model_specialise: other values of a model's symbols. */
#include "common/support.h"

#include <pthread.h>
#include <unistd.h>

#include "base/alloc.h"

enum {
    WIDTH = 3,
    OUT = 2,
    LARGEST = 40
};

typedef struct fixture {
    hsched_runtime *rt;  /* two CPU workers */
    hsched_graph *graph; /* x [n,3] -> y [n,2], n = 1 */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 };
    assert_ok(hsched_runtime_create(&config, &f->rt));
    int64_t n;
    hsched_tensor x, y;
    assert_ok(hsched_graph_create("sized", &f->graph));
    assert_ok(hsched_graph_set_symbol(f->graph, "n", 1, &n));
    assert_ok(hsched_graph_add_input(f->graph, "x", HSCHED_FLOAT32, 2,
                                     (int64_t[]){ n, WIDTH }, &x));
    assert_ok(hsched_graph_add_fully_connected(
        f->graph, "fc", x, constant(f->graph, 2, (int64_t[]){ OUT, WIDTH }, 1, 5),
        HSCHED_NO_TENSOR, &y));
    assert_ok(hsched_graph_add_output(f->graph, y));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    hsched_runtime_destroy(f->rt);
    hsched_graph_destroy(f->graph);
    free(f);
    return 0;
}

static hsched_model *dynamic(const fixture *f, uint32_t max_sizes)
{
    hsched_model *model;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .flags = HSCHED_MODEL_DYNAMIC,
                                   .max_sizes = max_sizes };
    assert_ok(hsched_model_compile(f->rt, f->graph, &config, &model));
    return model;
}

static hsched_model *sized(hsched_model *model, int64_t n)
{
    hsched_model *result;
    hsched_symbol symbol = { "n", n };
    assert_ok(hsched_model_specialise(model, &symbol, 1, &result));
    return result;
}

/* It has this size, and each row is what that row alone gives. */
static void expect_rows(hsched_model *model, int64_t n)
{
    float x[LARGEST * WIDTH], y[LARGEST * OUT], weights[OUT * WIDTH];
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_ok(hsched_model_output_info(model, 0, &info));
    assert_int_equal(info.dims[0], n);
    assert_int_equal(info.dims[1], OUT);
    fill(x, (size_t)n * WIDTH, 11);
    fill(weights, OUT * WIDTH, 5);
    hsched_binding in = HSCHED_DATA(x, (size_t)n * WIDTH * sizeof *x);
    hsched_binding out = HSCHED_DATA(y, (size_t)n * OUT * sizeof *y);
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    for (int64_t i = 0; i < n * OUT; i++) {
        float sum = 0;
        for (int k = 0; k < WIDTH; k++)
            sum += x[i / OUT * WIDTH + k] * weights[i % OUT * WIDTH + k];
        assert_float_equal(y[i], sum, 1e-5);
    }
}

static void another_size_is_a_model_of_its_own(void **state)
{
    hsched_model *model = dynamic(*state, 0);
    expect_rows(model, 1);
    hsched_model *five = sized(model, 5), *again = sized(model, 5),
                 *one = sized(model, 1);
    assert_ptr_not_equal(five, model);
    assert_ptr_equal(again, five);
    assert_string_equal(hsched_model_name(five), "sized");
    expect_rows(five, 5);
    expect_rows(one, 1);
    hsched_model_release(model);
    hsched_model_release(again);
    hsched_model_release(one);
    expect_rows(five, 5); /* it outlives the model it came from */
    hsched_model_release(five);
}

static void no_more_sizes_are_kept_than_may_be(void **state)
{
    hsched_model *model = dynamic(*state, 2);
    hsched_model *two = sized(model, 2), *three = sized(model, 3);
    hsched_model_release(sized(model, 2)); /* so that 3 was asked for longest ago */
    hsched_model *four = sized(model, 4);
    hsched_model *two_again = sized(model, 2), *three_again = sized(model, 3);
    assert_ptr_equal(two_again, two);
    assert_ptr_not_equal(three_again, three); /* which its user still has */
    expect_rows(three, 3);
    expect_rows(three_again, 3);
    const uint64_t held = hsi_alloc_bytes();
    for (int64_t n = 5; n < LARGEST; n++)
        hsched_model_release(sized(model, n));
    hsched_model_release(two);
    hsched_model_release(two_again);
    hsched_model_release(three);
    hsched_model_release(three_again);
    hsched_model_release(four);
    assert_true(hsi_alloc_bytes() < held); /* two kept sizes, where there were five */
    hsched_model_release(model);
}

static void what_cannot_be_is_refused(void **state)
{
    fixture *f = *state;
    hsched_model *fixed, *result, *model = dynamic(f, 0);
    assert_ok(hsched_model_compile(f->rt, f->graph, NULL, &fixed));
    hsched_symbol n = { "n", 2 }, other = { "m", 2 }, empty = { "n", 0 };
    assert_fails(hsched_model_specialise(fixed, &n, 1, &result), HSCHED_ERROR_STATE,
                 "HSCHED_MODEL_DYNAMIC");
    assert_null(result);
    assert_fails(hsched_model_specialise(model, &other, 1, &result),
                 HSCHED_ERROR_NOT_FOUND, "m");
    assert_null(result);
    assert_fails(hsched_model_specialise(model, &empty, 1, &result),
                 HSCHED_ERROR_INVALID_ARGUMENT, "at least 1");
    assert_fails(hsched_model_specialise(model, NULL, 1, &result),
                 HSCHED_ERROR_INVALID_ARGUMENT, "NULL");
    assert_fails(hsched_model_specialise(NULL, &n, 1, &result),
                 HSCHED_ERROR_INVALID_ARGUMENT, "NULL");
    expect_rows(result = sized(model, 2), 2); /* after failures as before */
    hsched_model_release(result);
    hsched_model_release(fixed);
    hsched_model_release(model);
}

static void a_file_has_sizes_too(void **state)
{
    fixture *f = *state;
    char path[] = "/tmp/hsched-sizes-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(hsched_graph_save_onnx(f->graph, path));
    hsched_model *model;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .flags =
                                       HSCHED_MODEL_DYNAMIC | HSCHED_MODEL_MAP_WEIGHTS,
                                   .symbols = (hsched_symbol[]){ { "n", 4 } },
                                   .symbol_count = 1 };
    assert_ok(hsched_model_load(f->rt, path, &config, &model));
    hsched_model *seven = sized(model, 7), *four = sized(model, 4), *nine;
    assert_ptr_equal(four, model);
    expect_rows(model, 4);
    unlink(path);
    expect_rows(seven, 7);
    assert_fails(hsched_model_specialise(model, &(hsched_symbol){ "n", 9 }, 1, &nine),
                 HSCHED_ERROR_IO, path);
    hsched_model_release(model);
    hsched_model_release(four);
    expect_rows(seven, 7);
    hsched_model_release(seven);
}

static void *ask(void *argument)
{
    hsched_model *model = argument;
    for (int64_t i = 0; i < 60; i++) {
        hsched_model *one = sized(model, 1 + i % 5);
        expect_rows(one, 1 + i % 5);
        hsched_model_release(one);
    }
    return NULL;
}

static void threads_ask_at_the_same_time(void **state)
{
    hsched_model *model = dynamic(*state, 2);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, model), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    hsched_model_release(model);
}

/* Each allocation fails once: that is said, nothing is lost, and then it can be had. */
static void memory_may_be_short(void **state)
{
    fixture *f = *state;
    for (uint64_t k = 1, tries = 0; tries < 8; k++) {
        hsched_runtime *rt; /* one for each: it keeps what it learns of models */
        hsched_model *model = NULL, *result = NULL;
        hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                       .flags = HSCHED_MODEL_DYNAMIC };
        const uint64_t held = hsi_alloc_bytes();
        assert_ok(hsched_runtime_create(NULL, &rt));
        hsi_alloc_fail_after(k);
        hsched_status status = hsched_model_compile(rt, f->graph, &config, &model);
        if (status == HSCHED_OK)
            status =
                hsched_model_specialise(model, &(hsched_symbol){ "n", 3 }, 1, &result);
        hsi_alloc_fail_after(0);
        assert_true(status == HSCHED_OK || status == HSCHED_ERROR_OUT_OF_MEMORY);
        if (model) {
            hsched_model *three = sized(model, 3);
            expect_rows(three, 3);
            hsched_model_release(three);
        }
        hsched_model_release(result);
        hsched_model_release(model);
        hsched_runtime_destroy(rt);
        assert_int_equal(hsi_alloc_bytes(), held);
        tries = status == HSCHED_OK ? tries + 1 : 0;
    }
}

int main(void)
{
#define SIZES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SIZES_TEST(another_size_is_a_model_of_its_own),
        SIZES_TEST(no_more_sizes_are_kept_than_may_be),
        SIZES_TEST(what_cannot_be_is_refused),
        SIZES_TEST(a_file_has_sizes_too),
        SIZES_TEST(threads_ask_at_the_same_time),
        SIZES_TEST(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
