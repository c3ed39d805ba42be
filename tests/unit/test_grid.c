/*
 * How products are cut into parts: cells cover the output once, the grid is the one whose
 * largest part takes the least.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/grid.h"

enum {
    MAX_ROWS = 60,
    MAX_PANELS = 12,
    MUCH = 1 << 20
};

/* Of so much work that each part is worth its hand-over. */
static hsi_cpu_grid choose(int64_t rows, int64_t panels, int64_t width, double row_cost,
                           uint32_t *parts)
{
    hsched_step step = { .parts = *parts, .macs = (uint64_t)1 << 40 };
    const hsi_cpu_product product = { .rows = rows,
                                      .panels = panels,
                                      .columns = panels * width,
                                      .width = width,
                                      .row_cost = row_cost };
    const hsi_cpu_grid grid = hsi_cpu_choose_grid(&step, &product);
    *parts = step.parts;
    return grid;
}

static void cells_cover_the_output_once(void **state)
{
    (void)state;
    for (int64_t rows = 1; rows <= MAX_ROWS; rows += 1 + rows / 7)
        for (int64_t panels = 1; panels <= MAX_PANELS; panels++)
            for (uint32_t most = 1; most <= 33; most++) {
                unsigned char seen[MAX_ROWS][MAX_PANELS] = { { 0 } };
                uint32_t parts = most;
                const hsi_cpu_grid grid = choose(rows, panels, 64, 5, &parts);
                assert_in_range(parts, 1, most);
                for (uint32_t part = 0; part < parts; part++) {
                    const hsi_cpu_cell cell = hsi_cpu_grid_cell(&grid, part);
                    assert_true(cell.begin < cell.end && cell.end <= rows);
                    assert_true(cell.panel < cell.panel_end && cell.panel_end <= panels);
                    for (int64_t row = cell.begin; row < cell.end; row++)
                        for (int64_t p = cell.panel; p < cell.panel_end; p++)
                            assert_int_equal(seen[row][p]++, 0);
                }
                for (int64_t row = 0; row < rows; row++)
                    for (int64_t p = 0; p < panels; p++)
                        assert_int_equal(seen[row][p], 1);
            }
}

static void expect(int64_t rows, int64_t panels, uint32_t parts, uint32_t row_parts,
                   uint32_t panel_parts)
{
    const hsi_cpu_grid grid = choose(rows, panels, 64, 5, &parts);
    assert_int_equal(grid.row_parts, row_parts);
    assert_int_equal(grid.panel_parts, panel_parts);
    assert_int_equal(parts, row_parts * panel_parts);
}

static void no_part_is_much_larger_than_the_others(void **state)
{
    (void)state;
    expect(MUCH, 3, 2, 2, 1);   /* three panels on two workers: by rows */
    expect(1, 8, 4, 1, 4);      /* one row: by panels */
    expect(1, 3, 16, 1, 3);     /* no more parts than panels */
    expect(49, 8, 16, 2, 8);    /* 49 rows on 16 workers: in both directions */
    expect(MUCH, 8, 16, 16, 1); /* many rows: each part has all panels */
    expect(4, 64, 2, 1, 2);     /* more weights than rows: weights are read once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_cover_the_output_once),
        cmocka_unit_test(no_part_is_much_larger_than_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
