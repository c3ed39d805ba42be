/*
 * DeformConv: every tap of the kernel looks where its offset says. What all taps see at all points,
 * sampled from x, are the columns of a matrix, which the weights are multiplied with.
 */
#include <string.h>

#include "onnx/window.h"

#define MOST_POINTS ((int64_t)1 << 26)

typedef struct deform {
    hsi_onnx_import *im;
    const hsi_onnx_node *node;
    int64_t x[4], w[4], out[2], groups, offset_groups;
    int64_t strides[2], pads[4], dilations[2];
    int64_t taps, points;
    int failed; /* a name could not be made */
} deform;

static const char *name_of(deform *d, const char *suffix)
{
    const char *name = hsi_onnx_made_name(d->im, d->node->label, suffix);
    d->failed |= name == NULL;
    return name;
}

static hsched_status read(deform *d, hsched_tensor x, hsched_tensor w)
{
    hsched_auto_pad none;
    hsched_status status = hsi_onnx_attr_int(d->node, "group", 1, &d->groups);
    if (!status)
        status = hsi_onnx_attr_int(d->node, "offset_group", 1, &d->offset_groups);
    if (!status)
        status =
            hsi_onnx_read_window(d->node, 2, d->strides, d->pads, d->dilations, &none);
    if (status)
        return status;
    if (hsi_onnx_rank(d->im, x) != 4 || hsi_onnx_rank(d->im, w) != 4)
        return hsi_onnx_unsupported(d->im, d->node, "other than two dimensions");
    hsi_onnx_dims(d->im, x, d->x);
    hsi_onnx_dims(d->im, w, d->w);
    for (uint32_t k = 0; k < 4; k++)
        hsi_onnx_pin(d->im, hsi_onnx_dim_tag(d->im, x, k));
    if (d->groups < 1 || d->offset_groups < 1 || d->x[1] != d->w[1] * d->groups ||
        d->w[0] % d->groups || d->x[1] % d->offset_groups)
        return hsi_onnx_malformed(d->node, "its groups do not divide its channels");
    d->taps = d->w[2] * d->w[3];
    for (int k = 0; k < 2; k++) {
        if (d->pads[k] < 0 || d->pads[2 + k] < 0 || d->pads[k] > MOST_POINTS ||
            d->pads[2 + k] > MOST_POINTS || d->dilations[k] > MOST_POINTS ||
            d->w[2 + k] > MOST_POINTS || d->x[2 + k] > MOST_POINTS)
            return hsi_onnx_unsupported(d->im, d->node, "such sizes");
        const int64_t room = d->x[2 + k] + d->pads[k] + d->pads[2 + k] -
                             (d->w[2 + k] - 1) * d->dilations[k] - 1;
        if (room < 0)
            return hsi_onnx_malformed(d->node, "its kernel does not fit into x");
        d->out[k] = room / d->strides[k] + 1;
    }
    d->points = d->out[0] * d->out[1];
    if (d->taps > MOST_POINTS || d->points > MOST_POINTS / d->taps)
        return hsi_onnx_unsupported(d->im, d->node, "such sizes");
    return HSCHED_OK;
}

/* Where taps look without an offset, [1,taps,points,2], and what an offset of 1 is, [2]; as
 * grid_sample counts, columns first, with -1 and 1 being the ends of x. */
static hsched_status add_places(deform *d, hsched_tensor *base, hsched_tensor *unit)
{
    const int64_t dims[4] = { 1, d->taps, d->points, 2 }, two = 2;
    const float units[2] = { 2 / (float)d->x[3], 2 / (float)d->x[2] };
    float *data =
              HSI_ONNX_NEW_ARRAY(&d->im->arena, float, (size_t)(d->taps * d->points * 2)),
          *to = data;
    if (!data)
        return hsi_onnx_no_memory(d->im, d->node);
    for (int64_t t = 0; t < d->taps; t++)
        for (int64_t p = 0; p < d->points; p++)
            for (int k = 1; k >= 0; k--) {
                const int64_t tap = k ? t % d->w[3] : t / d->w[3],
                              point = k ? p % d->out[1] : p / d->out[1];
                const int64_t at =
                    point * d->strides[k] - d->pads[k] + tap * d->dilations[k];
                *to++ = (float)((2 * (double)at + 1) / (double)d->x[2 + k] - 1);
            }
    hsched_status status =
        hsi_onnx_add_floats(d->im, d->node, "places", 4, dims, data, base);
    if (!status)
        status = hsi_onnx_add_floats(d->im, d->node, "unit", 1, &two, units, unit);
    return status;
}

/* Offsets [N,(groups,taps,2),h,w], rows first, as a grid [N*groups,taps,points,2]. */
static hsched_status make_grid(deform *d, hsched_tensor offsets, hsched_tensor *grid)
{
    static const int64_t turn[4] = { 0, 1, 3, 2 };
    static const int64_t start = -1, end = INT64_MIN, axis = 3, step = -1;
    const int64_t dims[4] = { d->x[0] * d->offset_groups, d->taps, 2, d->points };
    hsched_tensor base, unit, t;
    hsched_graph *g = d->im->graph;
    hsched_status status = add_places(d, &base, &unit);
    if (!status)
        status = hsched_graph_add_reshape(g, name_of(d, "offsets"), offsets, 4, dims, &t);
    if (!status)
        status = hsched_graph_add_transpose(g, name_of(d, "turned"), t, turn, &t);
    if (!status)
        status = hsched_graph_add_slice(g, name_of(d, "columns_first"), t, 1, &start,
                                        &end, &axis, &step, &t);
    if (!status)
        status = hsched_graph_add_binary(g, name_of(d, "moved"), HSCHED_BINARY_MUL, t,
                                         unit, &t);
    if (!status)
        status = hsched_graph_add_binary(g, name_of(d, "grid"), HSCHED_BINARY_ADD, t,
                                         base, grid);
    return status;
}

/* What the taps see, [N,groups,taps of all channels,points]. */
static hsched_status make_columns(deform *d, hsched_tensor x, hsched_tensor offsets,
                                  hsched_tensor mask, hsched_tensor *columns)
{
    const int64_t images = d->x[0] * d->offset_groups;
    const int64_t apart[4] = { images, d->x[1] / d->offset_groups, d->x[2], d->x[3] },
                  masks[4] = { images, 1, d->taps, d->points },
                  joined[4] = { d->x[0], d->groups, d->w[1] * d->taps, d->points };
    const hsched_grid_sample_config config = { HSCHED_GRID_SAMPLE_CONFIG_INIT };
    hsched_graph *g = d->im->graph;
    hsched_tensor grid, t;
    hsched_status status = make_grid(d, offsets, &grid);
    if (!status)
        status = hsched_graph_add_reshape(g, name_of(d, "images"), x, 4, apart, &x);
    if (!status)
        status =
            hsched_graph_add_grid_sample(g, name_of(d, "seen"), x, grid, &config, &t);
    if (!status && mask != HSCHED_NO_TENSOR)
        status = hsched_graph_add_reshape(g, name_of(d, "mask"), mask, 4, masks, &mask);
    if (!status && mask != HSCHED_NO_TENSOR)
        status = hsched_graph_add_binary(g, name_of(d, "masked"), HSCHED_BINARY_MUL, t,
                                         mask, &t);
    if (!status)
        status =
            hsched_graph_add_reshape(g, name_of(d, "columns"), t, 4, joined, columns);
    return status;
}

static hsched_status add_layers(deform *d, const hsched_tensor in[5], hsched_tensor *y)
{
    const int64_t weights[4] = { 1, d->groups, d->w[0] / d->groups, d->w[1] * d->taps },
                  biases[3] = { d->w[0], 1, 1 },
                  out[4] = { d->x[0], d->w[0], d->out[0], d->out[1] };
    const int biased = in[3] != HSCHED_NO_TENSOR;
    const char *last = hsi_onnx_output_name(d->im, d->node, 0);
    hsched_graph *g = d->im->graph;
    hsched_tensor columns, w, b;
    hsched_status status = make_columns(d, in[0], in[2], in[4], &columns);
    if (!status)
        status =
            hsched_graph_add_reshape(g, name_of(d, "weights"), in[1], 4, weights, &w);
    if (!status)
        status = hsched_graph_add_matmul(g, name_of(d, "product"), w, columns, y);
    if (!status)
        status = hsched_graph_add_reshape(g, biased ? name_of(d, "sums") : last, *y, 4,
                                          out, y);
    if (!status && biased)
        status = hsched_graph_add_reshape(g, name_of(d, "bias"), in[3], 3, biases, &b);
    if (!status && biased)
        status = hsched_graph_add_binary(g, last, HSCHED_BINARY_ADD, *y, b, y);
    return status;
}

hsched_status hsi_onnx_build_deform_conv(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    deform d = { .im = im, .node = node };
    hsched_tensor in[5], y; /* x, weights, offsets, bias, mask */
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < 5 && !status; k++) {
        in[k] = HSCHED_NO_TENSOR;
        if (k < 3 || hsi_onnx_has_input(node, k))
            status = hsi_onnx_input(im, node, k, &in[k]);
    }
    if (!status)
        status = read(&d, in[0], in[1]);
    if (status)
        return status;
    status = add_layers(&d, in, &y);
    if (!status && d.failed)
        return hsi_onnx_no_memory(im, node);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}
