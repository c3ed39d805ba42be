/* Operators that sample images at places that come at run time. */
#include <string.h>

#include "onnx/ops.h"

typedef struct choice {
    const char *text;
    int value;
} choice;

static hsched_status choose(const hsi_onnx_node *node, const char *name,
                            const char *fallback, const choice *choices, size_t count,
                            int *value)
{
    for (size_t k = 0; k < count; k++) {
        int equal;
        hsched_status status =
            hsi_onnx_attr_is(node, name, fallback, choices[k].text, &equal);
        if (status)
            return status;
        if (equal) {
            *value = choices[k].value;
            return HSCHED_OK;
        }
    }
    return hsi_onnx_malformed(node, "attribute '%s' has an unknown value", name);
}
#define CHOOSE(name, fallback, choices, value)                                           \
    choose(node, name, fallback, choices, sizeof(choices) / sizeof *(choices), value)

hsched_status hsi_onnx_build_grid_sample(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const choice modes[] = {
        { "linear", HSCHED_RESIZE_LINEAR },   { "bilinear", HSCHED_RESIZE_LINEAR },
        { "nearest", HSCHED_RESIZE_NEAREST }, { "cubic", HSCHED_RESIZE_CUBIC },
        { "bicubic", HSCHED_RESIZE_CUBIC },
    };
    static const choice paddings[] = { { "zeros", HSCHED_GRID_ZEROS },
                                       { "border", HSCHED_GRID_BORDER },
                                       { "reflection", HSCHED_GRID_REFLECTION } };
    hsched_grid_sample_config config = { HSCHED_GRID_SAMPLE_CONFIG_INIT };
    hsched_tensor x, grid, y;
    int mode = 0, padding = 0;
    int64_t corners;
    hsched_status status = CHOOSE("mode", "linear", modes, &mode);
    if (!status)
        status = CHOOSE("padding_mode", "zeros", paddings, &padding);
    if (!status)
        status = hsi_onnx_attr_int(node, "align_corners", 0, &corners);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_input(im, node, 1, &grid);
    if (status)
        return status;
    config.mode = (hsched_resize_mode)mode;
    config.padding = (hsched_grid_padding)padding;
    config.align_corners = corners != 0;
    status = hsched_graph_add_grid_sample(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                          grid, &config, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

/* Where the middles, or the outer ones' corners, of n elements from -1 to 1 lie. */
static float place_of(int64_t i, int64_t n, int corners)
{
    if (!corners)
        return (float)((2 * (double)i + 1) / (double)n - 1);
    return n == 1 ? 0 : (float)(2 * (double)i / (double)(n - 1) - 1);
}

/* [k+1,P]: the coordinates of all points, last dimension first, and ones. */
static hsched_status add_points(hsi_onnx_import *im, const hsi_onnx_node *node,
                                const int64_t *sizes, uint32_t k, int corners,
                                hsched_tensor *points)
{
    int64_t dims[2] = { k + 1, 1 };
    for (uint32_t d = 0; d < k; d++) {
        if (sizes[d] < 1 || sizes[d] > ((int64_t)1 << 26) / dims[1])
            return hsi_onnx_unsupported(im, node, "a size of %lld points",
                                        (long long)sizes[d]);
        dims[1] *= sizes[d];
    }
    float *data = HSI_ONNX_NEW_ARRAY(&im->arena, float, (size_t)(dims[0] * dims[1]));
    if (!data)
        return hsi_onnx_no_memory(im, node);
    for (int64_t p = 0; p < dims[1]; p++) {
        int64_t rest = p;
        for (uint32_t d = k; d-- > 0;) {
            data[(k - 1 - d) * dims[1] + p] =
                place_of(rest % sizes[d], sizes[d], corners);
            rest /= sizes[d];
        }
        data[k * dims[1] + p] = 1;
    }
    return hsi_onnx_add_floats(im, node, "points", 2, dims, data, points);
}

/* A matrix times every point with a 1 behind it: all points side by side, their coordinates apart,
 * which is what products are fast for. */
hsched_status hsi_onnx_build_affine_grid(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t turn[3] = { 0, 2, 1 };
    const int64_t *size;
    int64_t corners, dims[HSCHED_MAX_DIMS], given[HSCHED_MAX_DIMS];
    uint32_t count;
    hsched_tensor theta, points, product, grid, y;
    hsched_status status = hsi_onnx_ints_input(im, node, 1, &size, &count);
    if (!status)
        status = hsi_onnx_attr_int(node, "align_corners", 0, &corners);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &theta);
    if (status)
        return status;
    if (!size || count < 4 || count > 5)
        return hsi_onnx_malformed(node, "its size has %u numbers, not 4 or 5", count);
    const uint32_t k = count - 2;
    hsi_onnx_dims(im, theta, dims);
    if (hsi_onnx_rank(im, theta) != 3 || dims[0] != size[0] || dims[1] != k ||
        dims[2] != k + 1)
        return hsi_onnx_malformed(node, "theta is not [N,%u,%u]", k, k + 1);
    given[0] = dims[0]; /* N, then the points, then the coordinates */
    memcpy(given + 1, size + 2, k * sizeof *given);
    given[k + 1] = k;
    status = add_points(im, node, size + 2, k, corners != 0, &points);
    if (!status)
        status = hsched_graph_add_matmul(im->graph,
                                         hsi_onnx_made_name(im, node->label, "product"),
                                         theta, points, &product);
    if (!status)
        status = hsched_graph_add_transpose(im->graph,
                                            hsi_onnx_made_name(im, node->label, "turned"),
                                            product, turn, &grid);
    if (!status)
        status = hsched_graph_add_reshape(im->graph, hsi_onnx_output_name(im, node, 0),
                                          grid, count, given, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

/* Before opset 16 coordinates were not moved by half a pixel. */
hsched_status hsi_onnx_build_roi_align(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const choice kinds[] = { { "avg", HSCHED_POOL_AVERAGE },
                                    { "max", HSCHED_POOL_MAX } };
    static const choice places[] = { { "half_pixel", 0 }, { "output_half_pixel", 1 } };
    hsched_roi_align_config config = { HSCHED_ROI_ALIGN_CONFIG_INIT };
    hsched_tensor in[3], y;
    int kind = 0, place = 1;
    hsched_status status = CHOOSE("mode", "avg", kinds, &kind);
    if (!status && node->version >= 16)
        status = CHOOSE("coordinate_transformation_mode", "half_pixel", places, &place);
    if (!status)
        status = hsi_onnx_attr_int(node, "output_height", 1, &config.height);
    if (!status)
        status = hsi_onnx_attr_int(node, "output_width", 1, &config.width);
    if (!status)
        status = hsi_onnx_attr_int(node, "sampling_ratio", 0, &config.sampling_ratio);
    if (!status)
        status = hsi_onnx_attr_float(node, "spatial_scale", 1, &config.spatial_scale);
    for (uint32_t k = 0; k < 3 && !status; k++)
        status = hsi_onnx_input(im, node, k, &in[k]);
    if (status)
        return status;
    config.kind = (hsched_pool_kind)kind;
    config.output_half_pixel = place;
    status = hsched_graph_add_roi_align(im->graph, hsi_onnx_output_name(im, node, 0),
                                        in[0], in[1], in[2], &config, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}
