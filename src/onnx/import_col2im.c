/* Col2Im: zeros, with padding, to which every element of the columns is added at its place; blocks
 * that lie side by side are a transposition. */
#include <string.h>

#include "onnx/compose.h"
#include "onnx/window.h"

#define MOST_PLACES ((int64_t)1 << 26)

typedef struct image {
    uint32_t spatial;
    const int64_t *sizes, *kernel; /* of the image, of a block */
    int64_t strides[HSCHED_MAX_DIMS], dilations[HSCHED_MAX_DIMS],
        pads[2 * HSCHED_MAX_DIMS];
    int64_t padded[HSCHED_MAX_DIMS], blocks[HSCHED_MAX_DIMS]; /* along each dimension */
    int64_t taps, places, points; /* of a block, how many blocks, of the padded image */
} image;

static hsched_status read(hsi_onnx_import *im, const hsi_onnx_node *node, image *m)
{
    uint32_t count;
    hsched_auto_pad none;
    hsched_status status = hsi_onnx_ints_input(im, node, 1, &m->sizes, &m->spatial);
    if (!status)
        status = hsi_onnx_ints_input(im, node, 2, &m->kernel, &count);
    if (status)
        return status;
    if (!m->sizes || !m->kernel || count != m->spatial || count < 1 || count > 3)
        return hsi_onnx_unsupported(im, node, "other than one to three dimensions");
    status =
        hsi_onnx_read_window(node, m->spatial, m->strides, m->pads, m->dilations, &none);
    m->taps = m->places = m->points = 1;
    for (uint32_t k = 0; k < m->spatial && !status; k++) {
        const int64_t limit = MOST_PLACES;
        if (m->sizes[k] < 1 || m->sizes[k] > limit || m->kernel[k] < 1 ||
            m->kernel[k] > limit || m->dilations[k] > limit || m->pads[k] < 0 ||
            m->pads[k] > limit || m->pads[m->spatial + k] < 0 ||
            m->pads[m->spatial + k] > limit)
            return hsi_onnx_unsupported(im, node, "such sizes");
        m->padded[k] = m->sizes[k] + m->pads[k] + m->pads[m->spatial + k];
        const int64_t room = m->padded[k] - (m->kernel[k] - 1) * m->dilations[k] - 1;
        if (room < 0)
            return hsi_onnx_malformed(node, "a block does not fit into the image");
        m->blocks[k] = room / m->strides[k] + 1;
        m->taps *= m->kernel[k];
        m->places *= m->blocks[k];
        m->points *= m->padded[k];
        if (m->taps > limit || m->places > limit || m->points > limit ||
            m->taps * m->places > limit)
            return hsi_onnx_unsupported(im, node, "such sizes");
    }
    return status;
}

/* [1,taps*blocks]: where in the padded image each element belongs. */
static hsched_status add_places(hsi_onnx_import *im, const hsi_onnx_node *node,
                                const image *m, hsched_tensor *places)
{
    const int64_t dims[2] = { 1, m->taps * m->places };
    int32_t *data = HSI_ONNX_NEW_ARRAY(&im->arena, int32_t, (size_t)dims[1]);
    const char *name = hsi_onnx_made_name(im, node->label, "places");
    if (!data || !name)
        return hsi_onnx_no_memory(im, node);
    for (int64_t e = 0; e < dims[1]; e++) {
        int64_t tap = e / m->places, block = e % m->places, at = 0, pitch = 1;
        for (uint32_t k = m->spatial; k-- > 0;) {
            at += (block % m->blocks[k] * m->strides[k] +
                   tap % m->kernel[k] * m->dilations[k]) *
                  pitch;
            pitch *= m->padded[k];
            tap /= m->kernel[k];
            block /= m->blocks[k];
        }
        data[e] = (int32_t)at; /* below MOST_PLACES */
    }
    return hsi_onnx_at_node(
        node, hsched_graph_add_constant(im->graph, name, HSCHED_INT32, 2, dims, data,
                                        (size_t)dims[1] * sizeof *data, HSCHED_DATA_COPY,
                                        places));
}

/* x [N,C*taps,blocks] as [N*C,taps*blocks], its sums as [N*C,points], the image cut out. */
static hsched_status add_layers(hsi_onnx_import *im, const hsi_onnx_node *node,
                                const image *m, const int64_t *dims, hsched_tensor x,
                                hsched_tensor places, hsched_tensor *y)
{
    static const char *const suffixes[5] = { "zeros", "indices", "columns", "sums",
                                             "padded" };
    const int64_t planes = dims[0] * (dims[1] / m->taps);
    const int64_t columns[2] = { planes, m->taps * m->places },
                  points[2] = { planes, m->points };
    int64_t whole[HSCHED_MAX_DIMS] = { dims[0], dims[1] / m->taps },
            starts[HSCHED_MAX_DIMS] = { 0 },
            ends[HSCHED_MAX_DIMS] = { INT64_MAX, INT64_MAX };
    const char *made[5];
    hsched_tensor zeros;
    for (int k = 0; k < 5; k++)
        if (!(made[k] = hsi_onnx_made_name(im, node->label, suffixes[k])))
            return hsi_onnx_no_memory(im, node);
    for (uint32_t k = 0; k < m->spatial; k++) {
        whole[2 + k] = m->padded[k];
        starts[2 + k] = m->pads[k];
        ends[2 + k] = m->pads[k] + m->sizes[k];
    }
    hsched_graph *g = im->graph;
    hsched_status status = hsi_onnx_add_number(im, node, g->tensors[x].dtype, 0, &zeros);
    if (!status)
        status = hsched_graph_add_expand(g, made[0], zeros, 2, points, &zeros);
    if (!status)
        status = hsched_graph_add_expand(g, made[1], places, 2, columns, &places);
    if (!status)
        status = hsched_graph_add_reshape(g, made[2], x, 2, columns, &x);
    if (!status)
        status = hsched_graph_add_scatter_elements(g, made[3], zeros, places, x, 1,
                                                   HSCHED_SCATTER_ADD, &x);
    if (!status)
        status = hsched_graph_add_reshape(g, made[4], x, 2 + m->spatial, whole, &x);
    if (!status)
        status = hsched_graph_add_slice(g, hsi_onnx_output_name(im, node, 0), x,
                                        2 + m->spatial, starts, ends, NULL, NULL, y);
    return hsi_onnx_at_node(node, status);
}

/* Blocks side by side, which no two share an element of. */
static int is_tiling(const image *m)
{
    for (uint32_t k = 0; k < m->spatial; k++)
        if (m->strides[k] != m->kernel[k] || (m->dilations[k] != 1 && m->kernel[k] > 1))
            return 0;
    return 1;
}

/* Of x [N,C*taps,blocks] the blocks laid side by side: every dimension of a block next to that
 * of its place. What the last ones do not reach is zero; the image is cut out. */
static hsched_status add_tiles(hsi_onnx_import *im, const hsi_onnx_node *node,
                               const image *m, const int64_t *dims, hsched_tensor x)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const uint32_t n = m->spatial;
    int64_t taken[HSCHED_MAX_DIMS] = { dims[0], dims[1] / m->taps },
            tiled[HSCHED_MAX_DIMS] = { dims[0], dims[1] / m->taps },
            perm[HSCHED_MAX_DIMS] = { 0, 1 };
    for (uint32_t k = 0; k < n; k++) {
        taken[2 + k] = m->kernel[k];
        taken[2 + n + k] = m->blocks[k];
        tiled[2 + k] = m->kernel[k] * m->blocks[k];
        perm[2 + 2 * k] = 2 + n + k;
        perm[3 + 2 * k] = 2 + k;
    }
    x = hsi_compose_reshape(&c, x, 2 + 2 * n, taken);
    x = hsi_compose_transpose(&c, x, perm);
    x = hsi_compose_reshape(&c, x, 2 + n, tiled);
    for (uint32_t k = 0; k < n; k++) {
        const int64_t end = m->pads[k] + m->sizes[k];
        if (end > tiled[2 + k])
            x = hsi_compose_pad(&c, x, 2 + k, 0, end - tiled[2 + k], 0);
        if (m->pads[k] > 0 || end < tiled[2 + k])
            x = hsi_compose_slice(&c, x, 2 + k, m->pads[k], end, 1);
    }
    hsi_compose_output(&c, 0, x);
    return c.status;
}

hsched_status hsi_onnx_build_col2im(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t dims[HSCHED_MAX_DIMS];
    image m = { 0 };
    hsched_tensor x, places, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = read(im, node, &m);
    if (status)
        return status;
    hsi_onnx_dims(im, x, dims);
    if (hsi_onnx_rank(im, x) != 3 || dims[1] % m.taps || dims[2] != m.places)
        return hsi_onnx_malformed(node,
                                  "its input is not [N,C*%lld,%lld], the blocks of the "
                                  "image",
                                  (long long)m.taps, (long long)m.places);
    for (uint32_t k = 0; k < 3; k++)
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    if (is_tiling(&m))
        return add_tiles(im, node, &m, dims, x);
    status = add_places(im, node, &m, &places);
    if (!status)
        status = add_layers(im, node, &m, dims, x, places, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
