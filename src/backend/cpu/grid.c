#include "backend/cpu/grid.h"

static int64_t largest(int64_t units, uint32_t parts)
{
    return (units - 1) / parts + 1;
}

static double cost(const hsi_cpu_product *of, uint32_t row_parts, uint32_t panel_parts)
{
    const double rows = (double)largest(of->rows, row_parts),
                 columns = (double)hsi_least(largest(of->panels, panel_parts) * of->width,
                                             of->columns);
    return rows * columns + HSI_CPU_COLUMN_COST * columns + of->row_cost * rows;
}

hsi_cpu_grid hsi_cpu_choose_grid(hsched_step *step, const hsi_cpu_product *of)
{
    const uint32_t most = hsi_cpu_parts(step, (uint64_t)(of->rows * of->panels));
    hsi_cpu_grid best = { of->rows, of->panels, 1, 1 };
    double least = cost(of, 1, 1);
    for (uint32_t panel_parts = 1; panel_parts <= hsi_least(most, of->panels);
         panel_parts++) {
        const uint32_t row_parts = (uint32_t)hsi_least(most / panel_parts, of->rows);
        const double its = cost(of, row_parts, panel_parts);
        if (its < least) {
            least = its;
            best.row_parts = row_parts;
            best.panel_parts = panel_parts;
        }
    }
    step->parts = best.row_parts * best.panel_parts;
    return best;
}

hsi_cpu_cell hsi_cpu_grid_cell(const hsi_cpu_grid *grid, uint32_t part)
{
    const uint32_t row = part / grid->panel_parts, panel = part % grid->panel_parts;
    return (hsi_cpu_cell){
        hsi_cpu_part_begin(grid->rows, row, grid->row_parts),
        hsi_cpu_part_begin(grid->rows, row + 1, grid->row_parts),
        hsi_cpu_part_begin(grid->panels, panel, grid->panel_parts),
        hsi_cpu_part_begin(grid->panels, panel + 1, grid->panel_parts),
    };
}
