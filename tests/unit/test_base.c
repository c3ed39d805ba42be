/* Errors, config structs, the heap, checked sizes, shapes, the log, the histogram. */
#include "common/support.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/status.h"
#include "base/sync.h"
#include "base/tensor.h"
#include "runtime/histogram.h"

static void statuses_have_names_and_texts(void **state)
{
    (void)state;
    assert_string_equal(hsched_status_name(HSCHED_ERROR_SHAPE), "HSCHED_ERROR_SHAPE");
    assert_string_equal(hsched_status_text(HSCHED_OK), "success");
    assert_non_null(strstr(hsched_status_name((hsched_status)4711), "UNKNOWN"));
    assert_int_equal(HSCHED_ERROR_TIMEOUT, 10); /* values are pinned */
    assert_int_equal(HSCHED_ERROR_INTERNAL, 15);
}

static void *fail_elsewhere(void *unused)
{
    hsi_error(HSCHED_ERROR_IO, "of the other thread");
    return unused;
}

static void details_are_per_thread_and_can_be_prefixed(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(hsi_error(HSCHED_ERROR_FORMAT, "node %d", 3), HSCHED_ERROR_FORMAT);
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(hsched_error_detail(), "node 3");
    hsi_error_prefix(HSCHED_ERROR_FORMAT, "%s: ", "m.onnx");
    assert_string_equal(hsched_error_detail(), "m.onnx: node 3");
    hsi_error(HSCHED_ERROR_FORMAT, "<%s>", hsched_error_detail()); /* of itself */
    assert_string_equal(hsched_error_detail(), "<m.onnx: node 3>");
    char *longer = malloc(3 * HSI_ERROR_DETAIL_MAX);
    memset(longer, 'x', 3 * HSI_ERROR_DETAIL_MAX);
    longer[3 * HSI_ERROR_DETAIL_MAX - 1] = '\0';
    hsi_error(HSCHED_ERROR_FORMAT, "%s", longer);
    hsi_error_prefix(HSCHED_ERROR_FORMAT, "%s", longer);
    assert_int_equal(strlen(hsched_error_detail()), HSI_ERROR_DETAIL_MAX - 1);
    free(longer);
}

typedef struct small_config {
    size_t struct_size;
    uint32_t a, b;
    uint64_t later;
} small_config;

static void configs_of_other_sizes(void **state)
{
    (void)state;
    small_config out;
    assert_ok(hsi_config_read(NULL, &out, sizeof out, "small_config"));
    assert_int_equal(out.struct_size, sizeof out);
    assert_int_equal(out.a, 0);
    small_config older = { .struct_size = offsetof(small_config, b), .a = 5, .b = 6 };
    assert_ok(hsi_config_read(&older, &out, sizeof out, "small_config"));
    assert_int_equal(out.a, 5);
    assert_int_equal(out.b, 0); /* beyond what the caller said it has */
    struct {
        small_config known;
        uint64_t unknown;
    } newer = { { .struct_size = sizeof newer, .a = 1 }, 0 };
    assert_ok(hsi_config_read(&newer, &out, sizeof out, "small_config"));
    newer.unknown = 1;
    assert_fails(hsi_config_read(&newer, &out, sizeof out, "small_config"),
                 HSCHED_ERROR_UNSUPPORTED, "newer");
    small_config none = { 0 };
    assert_fails(hsi_config_read(&none, &out, sizeof out, "small_config"),
                 HSCHED_ERROR_INVALID_ARGUMENT, "small_config");

    small_config filled = { .struct_size = sizeof filled, .a = 7, .b = 8, .later = 9 };
    small_config user = { .struct_size = offsetof(small_config, later), .later = 42 };
    assert_ok(hsi_info_write(&user, &filled, sizeof filled, "small_config"));
    assert_int_equal(user.a, 7);
    assert_int_equal(user.later, 42); /* not the library's to write */
    assert_fails(hsi_info_write(NULL, &filled, sizeof filled, "small_config"),
                 HSCHED_ERROR_INVALID_ARGUMENT, "NULL");
}

static void the_heap_counts_and_fails_on_demand(void **state)
{
    (void)state;
    uint64_t held = hsi_alloc_bytes(), calls = hsi_alloc_count();
    unsigned char *p = hsi_calloc(10, 10);
    assert_non_null(p);
    assert_int_equal(hsi_alloc_count(), calls + 1);
    assert_true(hsi_alloc_bytes() >= held + 100);
    assert_null(hsi_calloc(SIZE_MAX / 2, 3));
    p[0] = 17;
    hsi_alloc_fail_after(1);
    assert_null(hsi_realloc_array(p, 1000, 1));
    assert_int_equal(p[0], 17);
    p = hsi_realloc_array(p, 1000, 1); /* only that one failed */
    assert_non_null(p);
    assert_int_equal(p[0], 17);
    void *aligned = hsi_alloc_aligned(1);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    assert_null(hsi_alloc_aligned(SIZE_MAX - 3));
    char *text = hsi_asprintf("%d-%s", 5, "five");
    assert_string_equal(text, "5-five");
    hsi_alloc_fail_after(2);
    void *first = hsi_calloc(1, 1);
    assert_non_null(first);
    assert_null(hsi_calloc(1, 1));
    hsi_free(first);
    hsi_free(text);
    hsi_free(aligned);
    hsi_free(p);
    hsi_free(NULL);
    assert_int_equal(hsi_alloc_bytes(), held);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    size_t s;
    assert_int_equal(hsi_mul_size(SIZE_MAX / 2 + 1, 2, &s), 0);
    assert_int_equal(hsi_add_size(SIZE_MAX, 1, &s), 0);
    assert_int_equal(hsi_round_up_size(65, 64, &s), 1);
    assert_int_equal(s, 128);
    assert_int_equal(hsi_round_up_size(SIZE_MAX - 10, 64, &s), 0);
    assert_int_equal(hsi_element_count(2, (int64_t[]){ INT64_MAX, 4 }, &s), 0);
    assert_int_equal(hsi_element_count(2, (int64_t[]){ 3, -1 }, &s), 0);
    assert_int_equal(hsi_element_count(0, NULL, &s), 1);
    assert_int_equal(s, 1);
    assert_int_equal(hsi_byte_size(HSCHED_INT64, 2, (int64_t[]){ 3, 5 }, &s), 1);
    assert_int_equal(s, 120);
}

static void strides_tell_layouts(void **state)
{
    (void)state;
    int64_t dims[4] = { 2, 3, 4, 5 }, strides[4], pixel = 0;
    hsi_dense_strides(4, dims, strides);
    assert_int_equal(strides[0], 60);
    assert_int_equal(strides[3], 1);
    assert_true(hsi_is_dense(4, dims, strides));
    assert_false(hsi_is_nhwc(4, dims, strides, &pixel));
    hsi_nhwc_strides(dims, 7, strides);
    assert_false(hsi_is_dense(4, dims, strides));
    assert_true(hsi_is_nhwc(4, dims, strides, &pixel));
    assert_int_equal(pixel, 7);
    strides[2]++;
    assert_false(hsi_is_nhwc(4, dims, strides, &pixel));
    /* With one pixel both layouts are the same memory. */
    int64_t one[4] = { 1, 8, 1, 1 };
    hsi_dense_strides(4, one, strides);
    assert_true(hsi_is_nhwc(4, one, strides, &pixel));
    hsi_nhwc_strides(one, 8, strides);
    assert_true(hsi_is_dense(4, one, strides));
    assert_string_equal(hsi_shape_text(3, dims), "[2,3,4]");
    assert_string_equal(hsi_shape_text(0, NULL), "[]");
    assert_int_equal(hsched_dtype_size(HSCHED_FLOAT16), 2);
    assert_int_equal(hsched_dtype_size((hsched_dtype)99), 0);
    assert_string_equal(hsched_dtype_name(HSCHED_INT64), "int64");
}

static void keep_message(void *user, hsched_log_level level, const char *message)
{
    snprintf(user, 100, "%d %s", (int)level, message);
}

static void the_log_goes_to_the_callback(void **state)
{
    (void)state;
    char kept[100] = "";
    hsched_log_set(keep_message, kept, HSCHED_LOG_INFO);
    hsi_log(HSCHED_LOG_INFO, "model %s", "m");
    assert_string_equal(kept, "3 model m");
    hsi_log(HSCHED_LOG_DEBUG, "too much");
    assert_string_equal(kept, "3 model m");
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
}

static void waits_use_the_monotonic_clock(void **state)
{
    (void)state;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    assert_ok(hsi_cond_init(&cond));
    uint64_t start = hsi_now_us();
    pthread_mutex_lock(&mutex);
    while (hsi_cond_wait_until(&cond, &mutex, start + 2000) == 0)
        ;
    pthread_mutex_unlock(&mutex);
    assert_true(hsi_now_us() >= start + 2000);
    pthread_cond_destroy(&cond);
}

static void percentiles_are_within_three_percent(void **state)
{
    (void)state;
    static hsi_histogram h;
    assert_true(hsi_histogram_percentile(&h, 0.5) == 0);
    for (uint64_t v = 1; v <= 100000; v++)
        hsi_histogram_add(&h, v);
    for (double f = 0.01; f < 1; f += 0.01) {
        double exact = f * 100000, got = hsi_histogram_percentile(&h, f);
        if (got < exact * 0.97 - 1 || got > exact * 1.03 + 1)
            fail_msg("percentile %g: %g, exactly %g", f, got, exact);
    }
    assert_true(hsi_histogram_percentile(&h, 1) <= 100000);
    hsi_histogram_add(&h, UINT64_MAX / 4); /* beyond the last bucket: counted there */
    assert_true(hsi_histogram_percentile(&h, 1) > 1e9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_names_and_texts),
        cmocka_unit_test(details_are_per_thread_and_can_be_prefixed),
        cmocka_unit_test(configs_of_other_sizes),
        cmocka_unit_test(the_heap_counts_and_fails_on_demand),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(strides_tell_layouts),
        cmocka_unit_test(the_log_goes_to_the_callback),
        cmocka_unit_test(waits_use_the_monotonic_clock),
        cmocka_unit_test(percentiles_are_within_three_percent),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
