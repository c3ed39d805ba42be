/* Layers that move, join and combine values: what the heads of detectors and the up-going
 * halves of networks are made of. */
#include "zoo/net.h"

hsched_tensor zoo_binary(zoo_net *net, const char *name, hsched_binary_kind kind,
                         hsched_tensor a, hsched_tensor b)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_binary(net->graph, name, kind, a, b, &y), &y);
}

hsched_tensor zoo_concat_along(zoo_net *net, const char *name, const hsched_tensor *x,
                               uint32_t count, int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_concat(net->graph, name, x, count, axis, &y),
                    &y);
}

hsched_tensor zoo_reshape(zoo_net *net, const char *name, hsched_tensor x, uint32_t rank,
                          const int64_t *dims)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_reshape(net->graph, name, x, rank, dims, &y),
                    &y);
}

hsched_tensor zoo_transpose(zoo_net *net, const char *name, hsched_tensor x,
                            const int64_t *perm)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_transpose(net->graph, name, x, perm, &y), &y);
}

hsched_tensor zoo_matmul(zoo_net *net, const char *name, hsched_tensor a, hsched_tensor b)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_matmul(net->graph, name, a, b, &y), &y);
}

hsched_tensor zoo_softmax(zoo_net *net, const char *name, hsched_tensor x, int axis)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(net, hsched_graph_add_softmax(net->graph, name, x, axis, &y), &y);
}

hsched_tensor zoo_slice(zoo_net *net, const char *name, hsched_tensor x, int64_t axis,
                        int64_t start, int64_t end)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    return zoo_made(
        net,
        hsched_graph_add_slice(net->graph, name, x, 1, &start, &end, &axis, NULL, &y),
        &y);
}

hsched_tensor zoo_upsample(zoo_net *net, const char *name, hsched_tensor x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (net->status != HSCHED_OK)
        return y;
    hsched_resize_config config = {
        HSCHED_RESIZE_CONFIG_INIT,
        .mode = HSCHED_RESIZE_NEAREST,
        .coordinates = HSCHED_RESIZE_ASYMMETRIC,
        .rounding = HSCHED_RESIZE_FLOOR,
        .scales = { 0, 0, 2, 2 },
    };
    return zoo_made(net, hsched_graph_add_resize(net->graph, name, x, &config, &y), &y);
}

hsched_tensor zoo_constant(zoo_net *net, const char *name, uint32_t rank,
                           const int64_t *dims, const float *values)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    size_t size = sizeof *values;
    if (net->status != HSCHED_OK)
        return y;
    for (uint32_t i = 0; i < rank; i++)
        size *= (size_t)dims[i];
    return zoo_made(net,
                    hsched_graph_add_constant(net->graph, name, HSCHED_FLOAT32, rank,
                                              dims, values, size, HSCHED_DATA_COPY, &y),
                    &y);
}

void zoo_mark(zoo_net *net, hsched_tensor x)
{
    if (net->status == HSCHED_OK)
        net->status = hsched_graph_add_output(net->graph, x);
}
