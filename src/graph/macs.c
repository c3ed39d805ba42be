/* How much work a layer is. */
#include "graph/graph.h"

/* Saturates, since shapes are only bound to be addressable. */
static uint64_t times(uint64_t a, int64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, (uint64_t)b, &product) ? UINT64_MAX : product;
}

static uint64_t elements(uint64_t factor, uint32_t rank, const int64_t *dims)
{
    for (uint32_t i = 0; i < rank; i++)
        factor = times(factor, dims[i]);
    return factor;
}

uint64_t hsi_layer_macs(const hsched_graph *graph, const hsi_layer *layer)
{
    const hsi_graph_tensor *y = &graph->tensors[layer->output];
    const hsi_graph_tensor *weights;
    switch (layer->kind) {
    case HSI_LAYER_CONV2D: /* each output element: the taps of one filter */
        weights = &graph->tensors[layer->inputs[1]];
        return elements(elements(1, 3, weights->dims + 1), y->rank, y->dims);
    case HSI_LAYER_CONV:
        weights = &graph->tensors[layer->inputs[1]];
        return elements(elements(1, weights->rank - 1, weights->dims + 1), y->rank,
                        y->dims);
    case HSI_LAYER_CONV_TRANSPOSE: { /* each element of x: all it is multiplied with */
        const hsi_graph_tensor *x = &graph->tensors[layer->inputs[0]];
        weights = &graph->tensors[layer->inputs[1]];
        return elements(elements(1, weights->rank - 1, weights->dims + 1), x->rank,
                        x->dims);
    }
    case HSI_LAYER_FULLY_CONNECTED: /* each output element: a row of the weights */
        weights = &graph->tensors[layer->inputs[1]];
        return elements((uint64_t)weights->dims[1], y->rank, y->dims);
    case HSI_LAYER_MATMUL: { /* each output element: a row of a */
        const hsi_graph_tensor *a = &graph->tensors[layer->inputs[0]];
        return elements((uint64_t)a->dims[a->rank - 1], y->rank, y->dims);
    }
    case HSI_LAYER_RECURRENT: { /* each row and direction: both matrices */
        const hsi_graph_tensor *x = &graph->tensors[layer->inputs[0]];
        weights = &graph->tensors[layer->inputs[1]];
        return elements(times(elements(1, 2, weights->dims), x->dims[2] + y->dims[3]), 2,
                        x->dims);
    }
    default:
        return 0;
    }
}
