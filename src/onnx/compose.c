#include "onnx/compose.h"

#include <string.h>

#include "base/tensor.h"
#include "onnx/fold.h"

/* A name for the next layer; NULL once there is an error. */
static const char *begin(hsi_composer *c)
{
    if (c->status != HSCHED_OK)
        return NULL;
    const char *name = hsi_onnx_made_name(c->im, c->node->label, "part");
    if (!name)
        c->status = hsi_onnx_no_memory(c->im, c->node);
    return name;
}

/* What a layer's making has come to. Later ones may ask what its dimensions depend on. */
static hsched_tensor end(hsi_composer *c, hsched_status status, const hsched_tensor *y)
{
    if (status == HSCHED_OK)
        status = hsi_onnx_track(c->im);
    c->status = hsi_onnx_at_node(c->node, status);
    return status == HSCHED_OK ? *y : HSCHED_NO_TENSOR;
}

/* ---- Inputs, outputs, shapes ----------------------------------------------- */

hsched_tensor hsi_compose_input(hsi_composer *c, uint32_t k)
{
    hsched_tensor x = HSCHED_NO_TENSOR;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_input(c->im, c->node, k, &x);
    return c->status == HSCHED_OK ? x : HSCHED_NO_TENSOR;
}

void hsi_compose_output(hsi_composer *c, uint32_t k, hsched_tensor y)
{
    static const int64_t same[HSCHED_MAX_DIMS];
    if (c->status != HSCHED_OK)
        return;
    const char *name = hsi_onnx_output_name(c->im, c->node, k);
    if (!name) {
        c->status = hsi_onnx_no_memory(c->im, c->node);
        return;
    }
    y = end(
        c,
        hsched_graph_add_reshape(c->im->graph, name, y, hsi_compose_rank(c, y), same, &y),
        &y);
    if (c->status == HSCHED_OK)
        hsi_onnx_set_tensor(c->im, c->node, k, y);
}

hsched_dtype hsi_compose_dtype(const hsi_composer *c, hsched_tensor x)
{
    return c->status == HSCHED_OK ? c->im->graph->tensors[x].dtype : HSCHED_DTYPE_NONE;
}

uint32_t hsi_compose_rank(const hsi_composer *c, hsched_tensor x)
{
    return c->status == HSCHED_OK ? hsi_onnx_rank(c->im, x) : 0;
}

int64_t hsi_compose_size(const hsi_composer *c, hsched_tensor x, uint32_t k)
{
    return k < hsi_compose_rank(c, x) ? c->im->graph->tensors[x].dims[k] : 1;
}

int64_t hsi_compose_dim(hsi_composer *c, hsched_tensor x, uint32_t k)
{
    if (k >= hsi_compose_rank(c, x))
        return 1;
    return hsi_onnx_symbolic(c->im, hsi_compose_size(c, x, k),
                             hsi_onnx_dim_tag(c->im, x, k));
}

int64_t hsi_compose_fixed(hsi_composer *c, hsched_tensor x, uint32_t k)
{
    if (k < hsi_compose_rank(c, x))
        hsi_onnx_pin(c->im, hsi_onnx_dim_tag(c->im, x, k));
    return hsi_compose_size(c, x, k);
}

/* ---- Constants --------------------------------------------------------------- */

hsched_tensor hsi_compose_number(hsi_composer *c, hsched_dtype dtype, double value)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_add_number(c->im, c->node, dtype, value, &y);
    return y;
}

hsched_tensor hsi_compose_constant(hsi_composer *c, hsched_dtype dtype, uint32_t rank,
                                   const int64_t *dims, const void *data)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    size_t bytes;
    if (!name)
        return y;
    if (!hsi_byte_size(dtype, rank, dims, &bytes) || bytes > c->im->model->max_bytes) {
        c->status =
            hsi_onnx_unsupported(c->im, c->node, "a constant of shape %s is too large",
                                 hsi_shape_text(rank, dims));
        return y;
    }
    hsched_status status = hsched_graph_add_constant(
        c->im->graph, name, dtype, rank, dims, data, bytes, HSCHED_DATA_COPY, &y);
    return end(c, status, &y);
}

hsched_tensor hsi_compose_places(hsi_composer *c, int64_t count, uint32_t behind)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_onnx_draft *draft;
    dims[0] = count;
    for (uint32_t k = 1; k <= behind; k++)
        dims[k] = 1;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_draft_make(c->im, c->node, HSCHED_INT64, 1 + behind, dims, 0,
                                        &draft);
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    for (int64_t k = 0; k < count; k++)
        hsi_onnx_put_int(draft, (size_t)k, k);
    return hsi_compose_constant(c, HSCHED_INT64, 1 + behind, dims, draft->data);
}

/* ---- Layers ------------------------------------------------------------------ */

hsched_tensor hsi_compose_pair(hsi_composer *c, hsched_binary_kind kind, hsched_tensor a,
                               hsched_tensor b)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_binary(c->im->graph, name, kind, a, b, &y), &y)
                : y;
}

hsched_tensor hsi_compose_act(hsi_composer *c, hsched_activation_kind kind,
                              hsched_tensor x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const hsched_activation act = { .kind = kind };
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_activation(c->im->graph, name, x, act, &y), &y)
                : y;
}

hsched_tensor hsi_compose_where(hsi_composer *c, hsched_tensor condition, hsched_tensor a,
                                hsched_tensor b)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_where(c->im->graph, name, condition, a, b, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_cast(hsi_composer *c, hsched_tensor x, hsched_dtype dtype)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (hsi_compose_dtype(c, x) == dtype)
        return x;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_cast(c->im->graph, name, x, dtype, &y), &y) : y;
}

hsched_tensor hsi_compose_matmul(hsi_composer *c, hsched_tensor a, hsched_tensor b)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_matmul(c->im->graph, name, a, b, &y), &y) : y;
}

hsched_tensor hsi_compose_softmax(hsi_composer *c, hsched_tensor x, int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_softmax(c->im->graph, name, x, axis, &y), &y)
                : y;
}

hsched_tensor hsi_compose_log_softmax(hsi_composer *c, hsched_tensor x, int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name
               ? end(c, hsched_graph_add_log_softmax(c->im->graph, name, x, axis, &y), &y)
               : y;
}

hsched_tensor hsi_compose_reduce(hsi_composer *c, hsched_reduce_kind kind,
                                 hsched_tensor x, uint32_t count, const int64_t *axes,
                                 int keep_dims)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c,
                      hsched_graph_add_reduce(c->im->graph, name, kind, x, count, axes,
                                              keep_dims, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_transpose(hsi_composer *c, hsched_tensor x, const int64_t *perm)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    uint32_t k = 0;
    while (k < hsi_compose_rank(c, x) && perm[k] == k)
        k++;
    if (k == hsi_compose_rank(c, x))
        return x;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_transpose(c->im->graph, name, x, perm, &y), &y)
                : y;
}

hsched_tensor hsi_compose_reshape(hsi_composer *c, hsched_tensor x, uint32_t rank,
                                  const int64_t *dims)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_reshape(c->im->graph, name, x, rank, dims, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_unsqueeze(hsi_composer *c, hsched_tensor x, uint32_t count,
                                    const int64_t *axes)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (count == 0)
        return x;
    const char *name = begin(c);
    return name ? end(c,
                      hsched_graph_add_unsqueeze(c->im->graph, name, x, count, axes, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_squeeze(hsi_composer *c, hsched_tensor x, uint32_t count,
                                  const int64_t *axes)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (count == 0)
        return x;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_squeeze(c->im->graph, name, x, count, axes, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_concat(hsi_composer *c, const hsched_tensor *x, uint32_t count,
                                 int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_concat(c->im->graph, name, x, count, axis, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_join(hsi_composer *c, hsched_tensor a, hsched_tensor b,
                               int axis)
{
    const hsched_tensor both[2] = { a, b };
    return hsi_compose_concat(c, both, 2, axis);
}

hsched_tensor hsi_compose_slice(hsi_composer *c, hsched_tensor x, int64_t axis,
                                int64_t start, int64_t stop, int64_t step)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c,
                      hsched_graph_add_slice(c->im->graph, name, x, 1, &start, &stop,
                                             &axis, &step, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_pad(hsi_composer *c, hsched_tensor x, uint32_t axis,
                              int64_t before, int64_t after, float value)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    int64_t starts[HSCHED_MAX_DIMS] = { 0 }, ends[HSCHED_MAX_DIMS] = { 0 };
    if (before == 0 && after == 0)
        return x;
    const char *name = begin(c);
    starts[axis] = before;
    ends[axis] = after;
    return name ? end(c,
                      hsched_graph_add_pad(c->im->graph, name, x, starts, ends,
                                           HSCHED_PAD_MODE_CONSTANT, value, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_gather(hsi_composer *c, hsched_tensor x, hsched_tensor indices,
                                 int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name
               ? end(c, hsched_graph_add_gather(c->im->graph, name, x, indices, axis, &y),
                     &y)
               : y;
}

hsched_tensor hsi_compose_gather_elements(hsi_composer *c, hsched_tensor x,
                                          hsched_tensor indices, int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c,
                      hsched_graph_add_gather_elements(c->im->graph, name, x, indices,
                                                       axis, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_expand(hsi_composer *c, hsched_tensor x, uint32_t rank,
                                 const int64_t *dims)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c, hsched_graph_add_expand(c->im->graph, name, x, rank, dims, &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_put(hsi_composer *c, hsched_tensor x, hsched_tensor indices,
                              hsched_tensor updates, int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const char *name = begin(c);
    return name ? end(c,
                      hsched_graph_add_scatter_elements(c->im->graph, name, x, indices,
                                                        updates, axis, HSCHED_SCATTER_SET,
                                                        &y),
                      &y)
                : y;
}

hsched_tensor hsi_compose_depthwise(hsi_composer *c, hsched_tensor x,
                                    hsched_tensor weights, hsched_tensor bias)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    const hsched_conv_config config = { HSCHED_CONV_CONFIG_INIT,
                                        .groups = hsi_compose_size(c, weights, 0) };
    const char *name = begin(c);
    return name ? end(c,
                      hsched_graph_add_conv(c->im->graph, name, x, weights, bias, &config,
                                            &y),
                      &y)
                : y;
}
