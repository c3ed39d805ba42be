/* Layers that move, join and combine values. */
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

void zoo_mark(zoo_net *net, hsched_tensor x)
{
    if (net->status == HSCHED_OK)
        net->status = hsched_graph_add_output(net->graph, x);
}
