#include "unit/graph_rounding.h"

#include <math.h>
#include <stdlib.h>

#include "unit/random_graph.h"

#define FLOAT_UNIT 0x1p-24

enum {
    SAMPLES = 4
};

typedef struct disturbance {
    const hsched_graph *graph;
    const graph_rounding *rounding;
    uint64_t random;
} disturbance;

/* These layers only move values, which stay rounded as they were. */
static int moves(hsi_layer_kind kind)
{
    return kind == HSI_LAYER_CONCAT || kind == HSI_LAYER_SLICE || kind == HSI_LAYER_PAD ||
           kind == HSI_LAYER_RESHAPE || kind == HSI_LAYER_FLATTEN ||
           kind == HSI_LAYER_SQUEEZE || kind == HSI_LAYER_UNSQUEEZE ||
           kind == HSI_LAYER_TRANSPOSE || kind == HSI_LAYER_EXPAND ||
           kind == HSI_LAYER_WHERE || kind == HSI_LAYER_GATHER ||
           kind == HSI_LAYER_GATHER_ELEMENTS || kind == HSI_LAYER_GATHER_ND;
}

static int is_operand(const hsched_graph *graph, uint32_t tensor)
{
    for (uint32_t l = 0; l < graph->layer_count; l++) {
        const hsi_layer *layer = &graph->layers[l];
        if (layer->kind != HSI_LAYER_CONV2D && layer->kind != HSI_LAYER_MATMUL &&
            layer->kind != HSI_LAYER_CONV && layer->kind != HSI_LAYER_CONV_TRANSPOSE &&
            layer->kind != HSI_LAYER_FULLY_CONNECTED &&
            layer->kind != HSI_LAYER_RECURRENT)
            continue;
        if (layer->inputs[0] == tensor || layer->inputs[1] == tensor ||
            (layer->kind == HSI_LAYER_RECURRENT && layer->inputs[2] == tensor))
            return 1;
    }
    return 0;
}

/* 0: the tensor holds what was rounded before, or no floats. */
static double unit_of(const disturbance *d, uint32_t tensor)
{
    const hsi_graph_tensor *t = &d->graph->tensors[tensor];
    if (t->dtype != HSCHED_FLOAT32)
        return 0;
    if (d->rounding->operand_unit > d->rounding->unit && is_operand(d->graph, tensor))
        return d->rounding->operand_unit;
    return t->producer == HSI_NO_INDEX || !moves(d->graph->layers[t->producer].kind)
               ? d->rounding->unit
               : 0;
}

/* In [-1,1). */
static double any(disturbance *d)
{
    return (double)(random_graph_next(&d->random) >> 11) * 0x1p-52 - 1;
}

/* Each element on its own, and all alike: equal values are rounded alike, and their errors
 * add up. */
static void disturb(void *user, uint32_t tensor, void *data)
{
    disturbance *d = user;
    const double unit = unit_of(d, tensor);
    if (unit == 0)
        return;
    const size_t count = graph_tensor_bytes(&d->graph->tensors[tensor]) / sizeof(float);
    const double common = any(d);
    float *x = data;
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(x[i] + x[i] * unit * (common + any(d)) +
                       d->rounding->smallest * any(d));
}

static double squared_distance(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

/* 1 for what depends on integers or bools that were made of floats: such a choice may turn
 * over where two floats become one in the format, which trying at random need not find. */
static int *find_choices(const hsched_graph *graph)
{
    int *chosen = calloc(2 * (size_t)graph->tensor_count, sizeof *chosen);
    int *from_floats = chosen ? chosen + graph->tensor_count : NULL;
    for (uint32_t t = 0; chosen && t < graph->tensor_count; t++)
        from_floats[t] =
            graph->tensors[t].dtype == HSCHED_FLOAT32 && graph->tensors[t].data == NULL;
    for (uint32_t l = 0; chosen && l < graph->layer_count; l++) {
        const hsi_layer *layer = &graph->layers[l];
        for (uint32_t i = 0; i < layer->input_count; i++) {
            const hsched_tensor x = layer->inputs[i];
            if (x == HSCHED_NO_TENSOR)
                continue;
            from_floats[layer->output] |= from_floats[x];
            chosen[layer->output] |= chosen[x];
        }
        chosen[layer->output] |= from_floats[layer->output] &&
                                 graph->tensors[layer->output].dtype != HSCHED_FLOAT32;
    }
    return chosen;
}

int graph_rounding_spread(const hsched_graph *graph, const void *const *inputs,
                          const graph_values *values, const graph_rounding *rounding,
                          uint64_t seed, double *spreads)
{
    disturbance d = { .graph = graph, .rounding = rounding, .random = seed };
    for (uint32_t i = 0; i < graph->output_count; i++)
        spreads[i] = 0;
    for (int k = 0; k < SAMPLES; k++) {
        graph_values moved;
        if (!graph_eval_changed(graph, inputs, disturb, &d, &moved))
            return 0;
        for (uint32_t i = 0; i < graph->output_count; i++) {
            const uint32_t t = graph->outputs[i];
            if (graph->tensors[t].dtype == HSCHED_FLOAT32)
                spreads[i] += squared_distance(moved.data[t], values->data[t],
                                               graph_tensor_bytes(&graph->tensors[t]) /
                                                   sizeof(float));
        }
        graph_values_free(&moved);
    }
    int *chosen = find_choices(graph);
    if (chosen == NULL)
        return 0;
    const int narrow = rounding->unit > FLOAT_UNIT || rounding->operand_unit > FLOAT_UNIT;
    for (uint32_t i = 0; i < graph->output_count; i++)
        spreads[i] =
            narrow && chosen[graph->outputs[i]] ? INFINITY : sqrt(spreads[i] / SAMPLES);
    free(chosen);
    return 1;
}
