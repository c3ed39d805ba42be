/*
 * The loops under the light CPU kernels: how dimensions are merged, and that the tiles of
 * all parts together visit every element once, with the right offset in every operand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/loop.h"
#include "base/tensor.h"

#define OPERANDS 3
#define MAX_SPAN 20000

static uint32_t rng;

static int64_t pick(int64_t low, int64_t high)
{
    rng = rng * 1664525u + 1013904223u;
    return low + (int64_t)((rng >> 8) % (uint32_t)(high - low + 1));
}

static void contiguous_becomes_one_dimension(void **state)
{
    (void)state;
    const int64_t dims[5] = { 2, 3, 1, 5, 7 };
    int64_t dense[5];
    hsi_dense_strides(5, dims, dense);
    dense[2] = 12345; /* a dimension of size 1: its stride says nothing */
    const int64_t *strides[2] = { dense, dense };
    hsi_loop loop;
    hsi_loop_init(&loop, 5, dims, 2, strides);
    assert_int_equal(loop.rank, 1);
    assert_int_equal(loop.dims[0], 210);
    assert_int_equal(loop.total, 210);
    assert_int_equal(hsi_loop_inner(&loop, 0), 1);
    assert_int_equal(hsi_loop_inner(&loop, 1), 1);
}

static void channels_last_with_a_broadcast_channel(void **state)
{
    (void)state;
    const int64_t dims[4] = { 2, 8, 5, 6 }, by_channel[4] = { 0, 1, 0, 0 };
    int64_t wide[4], narrow[4];
    hsi_nhwc_strides(dims, 20, wide);
    hsi_nhwc_strides(dims, 8, narrow);
    const int64_t *strides[3] = { wide, by_channel, narrow };
    hsi_loop loop;
    hsi_loop_init(&loop, 4, dims, 3, strides);
    /* Pixels of all images are one dimension, channels the inner one. */
    assert_int_equal(loop.rank, 2);
    assert_int_equal(loop.dims[0], 60);
    assert_int_equal(loop.dims[1], 8);
    assert_int_equal(loop.strides[0][0], 20);
    assert_int_equal(loop.strides[1][0], 0);
    assert_int_equal(loop.strides[2][0], 8);
    for (uint32_t k = 0; k < 3; k++)
        assert_int_equal(hsi_loop_inner(&loop, k), 1);
}

static void layouts_that_differ_are_not_merged(void **state)
{
    (void)state;
    const int64_t dims[4] = { 1, 8, 5, 6 };
    int64_t dense[4], last[4];
    hsi_dense_strides(4, dims, dense);
    hsi_nhwc_strides(dims, 8, last);
    const int64_t *strides[2] = { dense, last };
    hsi_loop loop;
    hsi_loop_init(&loop, 4, dims, 2, strides);
    assert_int_equal(loop.rank, 2);
    assert_int_equal(loop.dims[0], 30);
    assert_int_equal(loop.dims[1], 8);
    assert_int_equal(loop.strides[0][0], 1);
    assert_int_equal(loop.strides[0][1], 30);
}

static void scalars_and_empty_tensors(void **state)
{
    (void)state;
    const int64_t none[1] = { 0 }, dims[2] = { 3, 0 }, some[2] = { 1, 1 };
    const int64_t *strides[1] = { some };
    hsi_loop loop;
    hsi_cursor cursor;
    hsi_tile tile;
    int64_t begin, end;
    hsi_loop_init(&loop, 0, none, 1, strides);
    assert_int_equal(loop.total, 1);
    hsi_cursor_begin(&cursor, &loop, 0, loop.total);
    assert_int_equal(hsi_cursor_next(&cursor, &tile), 1);
    assert_int_equal(tile.rows * tile.cols, 1);
    assert_int_equal(tile.offset[0], 0);
    assert_int_equal(hsi_cursor_next(&cursor, &tile), 0);

    hsi_loop_init(&loop, 2, dims, 1, strides);
    assert_int_equal(loop.total, 0);
    hsi_loop_part(&loop, 0, 3, &begin, &end);
    hsi_cursor_begin(&cursor, &loop, begin, end);
    assert_int_equal(hsi_cursor_next(&cursor, &tile), 0);
}

/* Strides of a random permutation of the dimensions, with gaps; inputs may broadcast or
 * run backwards. */
static void random_strides(uint32_t rank, const int64_t *dims, int is_output,
                           int64_t *strides)
{
    uint32_t order[HSCHED_MAX_DIMS];
    int64_t stride = pick(0, 4) == 0 ? 2 : 1;
    int shuffled = pick(0, 1) == 0;
    for (uint32_t d = 0; d < rank; d++)
        order[d] = d;
    for (uint32_t d = rank; shuffled && d > 1; d--) {
        uint32_t other = (uint32_t)pick(0, d - 1), swapped = order[d - 1];
        order[d - 1] = order[other];
        order[other] = swapped;
    }
    for (uint32_t k = rank; k-- > 0;) {
        uint32_t d = order[k];
        strides[d] = stride;
        stride *= dims[d];
        if (pick(0, 3) == 0)
            stride += pick(1, 3);
        if (!is_output && pick(0, 5) == 0)
            strides[d] = 0;
        else if (!is_output && pick(0, 5) == 0)
            strides[d] = -strides[d];
        if (dims[d] == 1 && pick(0, 1) == 0)
            strides[d] = pick(-9, 9);
    }
}

/* By the output's offset, which is unique to an element: how often it was visited, and
 * where the inputs were then. */
typedef struct visits {
    int count[MAX_SPAN];
    int64_t inputs[MAX_SPAN][OPERANDS - 1];
    int64_t elements;
} visits;

static void visit_tile(const hsi_tile *tile, visits *seen)
{
    for (int64_t r = 0; r < tile->rows; r++) {
        for (int64_t c = 0; c < tile->cols; c++) {
            int64_t at[OPERANDS];
            for (uint32_t k = 0; k < OPERANDS; k++)
                at[k] =
                    tile->offset[k] + r * tile->row_stride[k] + c * tile->col_stride[k];
            assert_in_range(at[OPERANDS - 1], 0, MAX_SPAN - 1);
            seen->count[at[OPERANDS - 1]]++;
            memcpy(seen->inputs[at[OPERANDS - 1]], at, sizeof seen->inputs[0]);
            seen->elements++;
        }
    }
}

/* Compares with plain loops over the indices. */
static void check_visits(uint32_t rank, const int64_t *dims,
                         int64_t strides[][HSCHED_MAX_DIMS], const visits *seen,
                         int64_t total)
{
    assert_int_equal(seen->elements, total);
    for (int64_t element = 0; element < total; element++) {
        int64_t rest = element, at[OPERANDS] = { 0 };
        for (uint32_t d = rank; d-- > 0;) {
            for (uint32_t k = 0; k < OPERANDS; k++)
                at[k] += rest % dims[d] * strides[k][d];
            rest /= dims[d];
        }
        assert_int_equal(seen->count[at[OPERANDS - 1]], 1);
        for (uint32_t k = 0; k + 1 < OPERANDS; k++)
            assert_int_equal(seen->inputs[at[OPERANDS - 1]][k], at[k]);
    }
}

static void parts_visit_every_element_once(void **state)
{
    (void)state;
    visits *seen = malloc(sizeof *seen);
    assert_non_null(seen);
    rng = 20261121;
    for (int round = 0; round < 3000; round++) {
        uint32_t rank = (uint32_t)pick(0, 5), parts = (uint32_t)pick(1, 9);
        int64_t dims[HSCHED_MAX_DIMS], strides[OPERANDS][HSCHED_MAX_DIMS] = { { 0 } };
        const int64_t *pointers[OPERANDS];
        for (uint32_t d = 0; d < rank; d++)
            dims[d] = pick(0, 3) == 0 ? 1 : pick(1, rank < 4 ? 12 : 4);
        for (uint32_t k = 0; k < OPERANDS; k++) {
            random_strides(rank, dims, k == OPERANDS - 1, strides[k]);
            pointers[k] = strides[k];
        }
        hsi_loop loop;
        hsi_loop_init(&loop, rank, dims, OPERANDS, pointers);
        memset(seen, 0, sizeof *seen);
        for (uint32_t part = parts; part-- > 0;) { /* in any order */
            int64_t begin, end;
            hsi_cursor cursor;
            hsi_tile tile;
            hsi_loop_part(&loop, part, parts, &begin, &end);
            hsi_cursor_begin(&cursor, &loop, begin, end);
            while (hsi_cursor_next(&cursor, &tile))
                visit_tile(&tile, seen);
        }
        check_visits(rank, dims, strides, seen, loop.total);
    }
    free(seen);
}

/* Ranges of elements that begin and end inside rows. */
static void a_range_may_begin_anywhere(void **state)
{
    (void)state;
    const int64_t dims[3] = { 3, 4, 5 }, gapped[3] = { 40, 8, 1 };
    const int64_t *strides[1] = { gapped };
    hsi_loop loop;
    hsi_loop_init(&loop, 3, dims, 1, strides);
    for (int64_t begin = 0; begin <= 60; begin++) {
        for (int64_t end = begin; end <= 60; end++) {
            hsi_cursor cursor;
            hsi_tile tile;
            int64_t next = begin;
            hsi_cursor_begin(&cursor, &loop, begin, end);
            while (hsi_cursor_next(&cursor, &tile)) {
                for (int64_t i = 0; i < tile.rows * tile.cols; i++, next++) {
                    int64_t at = tile.offset[0] + i / tile.cols * tile.row_stride[0] +
                                 i % tile.cols * tile.col_stride[0];
                    assert_int_equal(at, next / 20 * 40 + next / 5 % 4 * 8 + next % 5);
                }
            }
            assert_int_equal(next, end);
        }
    }
}

static void part_ranges_cover_all_units(void **state)
{
    (void)state;
    for (int64_t n = 0; n <= 40; n++) {
        for (uint32_t parts = 1; parts <= 12; parts++) {
            int64_t expected = 0, smallest = n, largest = 0;
            for (uint32_t part = 0; part < parts; part++) {
                int64_t begin, end;
                hsi_part_range(n, part, parts, &begin, &end);
                assert_int_equal(begin, expected);
                assert_true(end >= begin);
                smallest = end - begin < smallest ? end - begin : smallest;
                largest = end - begin > largest ? end - begin : largest;
                expected = end;
            }
            assert_int_equal(expected, n);
            assert_true(largest - smallest <= 1);
        }
    }
}

static void small_steps_are_one_part(void **state)
{
    (void)state;
    const double kib = 1024;
    hsched_step step = { .struct_size = sizeof step };
    const struct {
        uint32_t wanted, lowered;
        double bytes;
        int64_t units;
    } cases[] = {
        { 8, 1, 25 * kib, 1000 }, { 8, 1, 127 * kib, 1000 }, { 8, 2, 128 * kib, 1000 },
        { 8, 8, 1e9, 1000 },      { 8, 3, 1e9, 3 },          { 8, 1, 1e9, 0 },
        { 1, 1, 1e9, 1000 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        step.parts = cases[i].wanted;
        hsi_lower_parts(&step, cases[i].bytes, cases[i].units);
        assert_int_equal(step.parts, cases[i].lowered);
    }
}

static void gather_and_scatter(void **state)
{
    (void)state;
    const float x[9] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
    float buffer[HSI_BLOCK], y[9] = { 0 };
    assert_ptr_equal(hsi_gather(x, 1, 9, buffer), x);
    const float *back = hsi_gather(x + 8, -4, 3, buffer);
    assert_ptr_equal(back, buffer);
    assert_true(back[0] == 8 && back[1] == 4 && back[2] == 0);
    hsi_scatter(back, y, 3, 3);
    const float expected[9] = { 8, 0, 0, 4, 0, 0, 0, 0, 0 };
    assert_memory_equal(y, expected, sizeof y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contiguous_becomes_one_dimension),
        cmocka_unit_test(channels_last_with_a_broadcast_channel),
        cmocka_unit_test(layouts_that_differ_are_not_merged),
        cmocka_unit_test(scalars_and_empty_tensors),
        cmocka_unit_test(parts_visit_every_element_once),
        cmocka_unit_test(a_range_may_begin_anywhere),
        cmocka_unit_test(part_ranges_cover_all_units),
        cmocka_unit_test(small_steps_are_one_part),
        cmocka_unit_test(gather_and_scatter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
