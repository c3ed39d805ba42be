/* Shapes of images that are sampled at places that come at run time. */
#include <math.h>

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

static hsched_status check_roi_config(hsched_roi_align_config *c)
{
    if (c->kind == 0)
        c->kind = HSCHED_POOL_AVERAGE;
    if (c->height == 0)
        c->height = 1;
    if (c->width == 0)
        c->width = 1;
    if (c->spatial_scale == 0)
        c->spatial_scale = 1;
    if ((c->kind == HSCHED_POOL_AVERAGE || c->kind == HSCHED_POOL_MAX) && c->height > 0 &&
        c->width > 0 && c->height <= HSI_MAX_WINDOW && c->width <= HSI_MAX_WINDOW &&
        c->sampling_ratio >= 0 && c->sampling_ratio <= 1024 && isfinite(c->spatial_scale))
        return HSCHED_OK;
    return hsi_error(
        HSCHED_ERROR_INVALID_ARGUMENT,
        "kind %d, %lldx%lld bins of %lld samples along each side, at a scale of "
        "%g: use HSCHED_POOL_ values, at most 1024 samples, and a finite scale",
        (int)c->kind, (long long)c->height, (long long)c->width,
        (long long)c->sampling_ratio, (double)c->spatial_scale);
}

/* x [N,C,H,W], regions [R,4], images [R] -> [R,C,h,w] */
hsched_status hsi_infer_roi_align(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *rois = hsi_infer_input(f, 1),
                           *images = hsi_infer_input(f, 2);
    hsched_roi_align_config *c = &f->attrs->roi_align;
    hsched_status status = check_roi_config(c);
    if (status == HSCHED_OK)
        status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_float32(rois, "regions");
    if (status == HSCHED_OK)
        status = hsi_expect_indices(images);
    if (status != HSCHED_OK)
        return status;
    if (x->rank != 4 || rois->rank != 2 || rois->dims[1] != 4 || images->rank != 1 ||
        images->dims[0] != rois->dims[0])
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "x " HSI_TENSOR_FMT ", regions " HSI_TENSOR_FMT " and images " HSI_TENSOR_FMT
            " are not [N,C,H,W], [R,4] and [R]; give such tensors",
            HSI_TENSOR_ARGS(x), HSI_TENSOR_ARGS(rois), HSI_TENSOR_ARGS(images));
    hsi_infer_set(f, HSCHED_FLOAT32, 4,
                  (const int64_t[4]){ rois->dims[0], x->dims[1], c->height, c->width });
    return HSCHED_OK;
}
