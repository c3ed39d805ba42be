/*
 * How a product of matrices is cut into parts: its output, rows (pixels, tiles) by panels of
 * columns, in both directions. Parts are the cells of a grid, row by row.
 *
 * Ranges of rows alone, or of panels alone, leave workers idle where there are few of them: three
 * panels for two workers, 49 pixels for 16.
 */
#ifndef HSI_BACKEND_CPU_GRID_H
#define HSI_BACKEND_CPU_GRID_H

#include "backend/cpu/kernel.h"

/* Reading a column of weights, which each part with that column does, in products of it with a row.
 * Measured with 2, 8 and 16 workers: from 2 to 8 networks take the same time, GoogLeNet 3% more
 * with 16. */
#define HSI_CPU_COLUMN_COST 5.0

typedef struct hsi_cpu_product {
    int64_t rows, panels; /* units of a part */
    int64_t columns;      /* of all panels */
    int64_t width;        /* columns of a panel, but for a last one */
    double
        row_cost; /* what each part takes for a row besides products, in those of one column */
} hsi_cpu_product;

typedef struct hsi_cpu_grid {
    int64_t rows, panels;
    uint32_t row_parts, panel_parts;
} hsi_cpu_grid;

/* The grid whose largest part takes the least time; step->parts becomes the number of its cells. */
hsi_cpu_grid hsi_cpu_choose_grid(hsched_step *step, const hsi_cpu_product *product);

/* Rows [begin, end) of panels [panel, panel_end). */
typedef struct hsi_cpu_cell {
    int64_t begin, end, panel, panel_end;
} hsi_cpu_cell;
hsi_cpu_cell hsi_cpu_grid_cell(const hsi_cpu_grid *grid, uint32_t part);

#endif
