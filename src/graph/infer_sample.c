/* Shapes of images that are sampled at places that come at run time. */
#include "graph/infer.h"

/* x [N,C,H,W], grid [N,H',W',2] -> [N,C,H',W']; or with three spatial dimensions */
hsched_status hsi_infer_grid_sample(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *grid = hsi_infer_input(f, 1);
    hsched_grid_sample_config *c = &f->attrs->grid_sample;
    int64_t dims[HSCHED_MAX_DIMS];
    if (c->mode == 0)
        c->mode = HSCHED_RESIZE_LINEAR;
    if (c->mode < HSCHED_RESIZE_NEAREST || c->mode > HSCHED_RESIZE_CUBIC ||
        (unsigned)c->padding > HSCHED_GRID_REFLECTION)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "mode %d or padding %d is not known; use the HSCHED_RESIZE_ and "
                         "HSCHED_GRID_ values",
                         (int)c->mode, (int)c->padding);
    hsched_status status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_float32(grid, "grid");
    if (status != HSCHED_OK)
        return status;
    int fits = (x->rank == 4 || x->rank == 5) && grid->rank == x->rank;
    fits = fits && grid->dims[0] == x->dims[0] && grid->dims[x->rank - 1] == x->rank - 2;
    if (!fits)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "x " HSI_TENSOR_FMT " and grid " HSI_TENSOR_FMT
                         " are not [N,C,H,W] and [N,H',W',2], or [N,C,D,H,W] and "
                         "[N,D',H',W',3]; give such tensors",
                         HSI_TENSOR_ARGS(x), HSI_TENSOR_ARGS(grid));
    for (uint32_t d = 0; d < x->rank; d++)
        dims[d] = d < 2 ? x->dims[d] : grid->dims[d - 1];
    hsi_infer_set(f, HSCHED_FLOAT32, x->rank, dims);
    return HSCHED_OK;
}
