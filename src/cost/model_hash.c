#include <string.h>

#include "cost/hash.h"

static uint64_t mix_many(uint64_t hash, const int64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        hash = hsi_cost_mix(hash, (uint64_t)values[i]);
    return hash;
}

static uint64_t mix_float(uint64_t hash, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return hsi_cost_mix(hash, bits);
}

static uint64_t mix_conv2d(uint64_t hash, const hsched_conv2d_config *c)
{
    hash = mix_many(hash, c->strides, 2);
    hash = mix_many(hash, c->pads, 4);
    hash = mix_many(hash, c->dilations, 2);
    return hsi_cost_mix(hash, (uint64_t)c->groups);
}

/* The output's size, in which ceil_mode shows, is hashed with its tensor. */
static uint64_t mix_pool2d(uint64_t hash, const hsched_pool2d_config *c)
{
    hash = mix_many(hash, c->kernel, 2);
    hash = mix_many(hash, c->strides, 2);
    hash = mix_many(hash, c->pads, 4);
    hash = mix_many(hash, c->dilations, 2);
    return hsi_cost_mix(hash, (uint64_t)(c->count_include_pad != 0));
}

static uint64_t mix_conv(uint64_t hash, const hsched_conv_config *c)
{
    hash = mix_many(hash, c->strides, 3);
    hash = mix_many(hash, c->pads, 6);
    hash = mix_many(hash, c->dilations, 3);
    return hsi_cost_mix(hash, (uint64_t)c->groups);
}

static uint64_t mix_conv_transpose(uint64_t hash, const hsched_conv_transpose_config *c)
{
    hash = mix_many(hash, c->strides, 3);
    hash = mix_many(hash, c->pads, 6);
    hash = mix_many(hash, c->dilations, 3);
    return hsi_cost_mix(hash, (uint64_t)c->groups);
}

static uint64_t mix_pool(uint64_t hash, const hsched_pool_config *c)
{
    hash = mix_many(hash, c->kernel, 3);
    hash = mix_many(hash, c->strides, 3);
    hash = mix_many(hash, c->pads, 6);
    hash = mix_many(hash, c->dilations, 3);
    return hsi_cost_mix(hash, (uint64_t)(c->count_include_pad != 0));
}

static uint64_t mix_resize(uint64_t hash, const hsched_resize_config *c, uint32_t rank)
{
    hash = hsi_cost_mix(hash, (uint64_t)c->mode * 64 + (uint64_t)c->coordinates * 8 +
                                  (uint64_t)c->rounding);
    hash = hsi_cost_mix(hash, (uint64_t)(c->exclude_outside != 0) * 2 +
                                  (uint64_t)(c->antialias != 0));
    hash = mix_float(mix_float(hash, c->cubic_a), c->extrapolation_value);
    for (uint32_t k = 0; k < rank; k++) {
        hash = mix_float(hash, c->scales[k]);
        hash = mix_float(mix_float(hash, c->roi_start[k]), c->roi_end[k]);
    }
    return hash;
}

static uint64_t mix_lrn(uint64_t hash, const hsched_lrn_config *c)
{
    hash = hsi_cost_mix(hash, (uint64_t)c->size);
    hash = mix_float(hash, c->alpha);
    hash = mix_float(hash, c->beta);
    return mix_float(hash, c->bias);
}

static uint64_t mix_activation(uint64_t hash, hsched_activation act)
{
    hash = hsi_cost_mix(hash, (uint64_t)act.kind);
    hash = mix_float(hash, act.a);
    return mix_float(hash, act.b);
}

static uint64_t mix_recurrent(uint64_t hash, const hsched_recurrent_config *c)
{
    hash = hsi_cost_mix(hash, c->kind);
    hash = hsi_cost_mix(hash, c->direction);
    hash = mix_float(hash, c->clip);
    hash = hsi_cost_mix(hash, (uint64_t)(c->linear_before_reset != 0));
    hash = hsi_cost_mix(hash, (uint64_t)(c->input_forget != 0));
    for (int i = 0; i < 6; i++)
        hash = mix_activation(hash, c->activations[i / 3][i % 3]);
    return hash;
}

static uint64_t mix_image(uint64_t hash, const hsched_image_config *c)
{
    for (int i = 0; i < 4; i++)
        hash = mix_float(mix_float(hash, c->mean[i]), c->scale[i]);
    return hsi_cost_mix(hash, (uint64_t)(c->swap_red_blue != 0));
}

/* Member by member: a union has bytes that nobody sets. `rank`: of the first input. */
static uint64_t mix_attrs(uint64_t hash, const hsi_layer *layer, uint32_t rank)
{
    const hsi_layer_attrs *a = &layer->attrs;
    switch (layer->kind) {
    case HSI_LAYER_CONV2D:
        return mix_conv2d(hash, &a->conv2d);
    case HSI_LAYER_POOL2D:
        return mix_pool2d(hsi_cost_mix(hash, a->pool2d.kind), &a->pool2d.config);
    case HSI_LAYER_RESIZE:
        return mix_resize(hash, &a->resize, rank);
    case HSI_LAYER_NMS: /* how many is in the shapes */
        hash = mix_float(mix_float(hash, a->nms.iou_threshold), a->nms.score_threshold);
        return hsi_cost_mix(hash, (uint64_t)(a->nms.center_point_box != 0));
    case HSI_LAYER_ROI_ALIGN: /* bins are in the shapes */
        hash = hsi_cost_mix(hash, a->roi_align.kind);
        hash = hsi_cost_mix(hash, (uint64_t)a->roi_align.sampling_ratio * 2 +
                                      (uint64_t)(a->roi_align.output_half_pixel != 0));
        return mix_float(hash, a->roi_align.spatial_scale);
    case HSI_LAYER_GRID_SAMPLE:
        hash = hsi_cost_mix(hash, a->grid_sample.mode);
        return hsi_cost_mix(hash, (uint64_t)a->grid_sample.padding * 2 +
                                      (uint64_t)(a->grid_sample.align_corners != 0));
    case HSI_LAYER_CONV:
        return mix_conv(hash, &a->conv);
    case HSI_LAYER_CONV_TRANSPOSE:
        return mix_conv_transpose(hash, &a->conv_transpose);
    case HSI_LAYER_POOL:
        return mix_pool(hsi_cost_mix(hash, a->pool.kind), &a->pool.config);
    case HSI_LAYER_MAX_POOL_INDICES:
        return mix_pool(hsi_cost_mix(hash, (uint64_t)a->pool.column_major),
                        &a->pool.config);
    case HSI_LAYER_GLOBAL_POOL:
        return hsi_cost_mix(hash, a->global_pool);
    case HSI_LAYER_BATCH_NORM:
        return mix_float(hash, a->batch_norm.epsilon);
    case HSI_LAYER_LRN:
        return mix_lrn(hash, &a->lrn);
    case HSI_LAYER_NORM:
        hash = hsi_cost_mix(hash, a->norm.kind);
        hash = hsi_cost_mix(hash, (uint64_t)a->norm.axis);
        hash = hsi_cost_mix(hash, (uint64_t)a->norm.groups);
        return mix_float(hash, a->norm.epsilon);
    case HSI_LAYER_SOFTMAX:
        hash = hsi_cost_mix(hash, (uint64_t)a->softmax.log);
        return hsi_cost_mix(hash, (uint64_t)a->softmax.axis);
    case HSI_LAYER_GATHER:
    case HSI_LAYER_GATHER_ELEMENTS:
        return hsi_cost_mix(hash, (uint64_t)a->softmax.axis);
    case HSI_LAYER_GATHER_ND:
        return hsi_cost_mix(hash, (uint64_t)a->batch_dims);
    case HSI_LAYER_SCATTER_ELEMENTS:
    case HSI_LAYER_SCATTER_ND:
        hash = hsi_cost_mix(hash, (uint64_t)a->scatter.axis);
        return hsi_cost_mix(hash, a->scatter.kind);
    case HSI_LAYER_CUMSUM:
        hash = hsi_cost_mix(hash, (uint64_t)a->cumsum.axis);
        return hsi_cost_mix(hash, (uint64_t)(a->cumsum.product != 0) * 4 +
                                      (uint64_t)(a->cumsum.exclusive != 0) * 2 +
                                      (uint64_t)(a->cumsum.reverse != 0));
    case HSI_LAYER_ARG:
        hash = hsi_cost_mix(hash, (uint64_t)a->arg.axis);
        return hsi_cost_mix(hash, (uint64_t)a->arg.kind * 2 +
                                      (uint64_t)(a->arg.select_last != 0));
    case HSI_LAYER_TOP_K: /* k is in the shapes */
        hash = hsi_cost_mix(hash, (uint64_t)a->top_k.axis);
        return hsi_cost_mix(hash, (uint64_t)(a->top_k.largest != 0));
    case HSI_LAYER_ACTIVATION:
        return mix_activation(hash, a->activation);
    case HSI_LAYER_BINARY:
        return hsi_cost_mix(hash, a->binary);
    case HSI_LAYER_CONCAT:
        return hsi_cost_mix(hash, (uint64_t)a->concat.axis);
    case HSI_LAYER_SLICE:
        return mix_many(mix_many(hash, a->slice.starts, rank), a->slice.steps, rank);
    case HSI_LAYER_PAD:
        hash = mix_many(mix_many(hash, a->pad.before, rank), a->pad.after, rank);
        return mix_float(hsi_cost_mix(hash, a->pad.mode), a->pad.value);
    case HSI_LAYER_TRANSPOSE:
        return mix_many(hash, a->transpose.perm, rank);
    case HSI_LAYER_REDUCE:
        hash = hsi_cost_mix(hash, a->axes.reduce);
        return mix_many(hash, a->axes.axes, a->axes.count);
    case HSI_LAYER_RECURRENT:
        return mix_recurrent(hash, &a->recurrent);
    case HSI_LAYER_IMAGE_INPUT:
        return mix_image(hash, &a->image);
    case HSI_LAYER_CAST:
    case HSI_LAYER_WHERE:
    case HSI_LAYER_FULLY_CONNECTED: /* the rest is said by the shapes */
    case HSI_LAYER_MATMUL:
    case HSI_LAYER_RESHAPE:
    case HSI_LAYER_EXPAND:
    case HSI_LAYER_FLATTEN:
    case HSI_LAYER_SQUEEZE:
    case HSI_LAYER_UNSQUEEZE:
    case HSI_LAYER_KINDS:
        break;
    }
    return hash;
}

/* Tensors are numbered by who makes them, not as they happen to be numbered: importing leaves
 * numbers out. Here: what the tensor is, and its producer's number or its place among inputs. */
static uint64_t mix_tensor(uint64_t hash, const hsched_graph *graph, hsched_tensor tensor)
{
    if (tensor == HSCHED_NO_TENSOR)
        return hsi_cost_mix(hash, 1);
    const hsi_graph_tensor *t = &graph->tensors[tensor];
    hash = hsi_cost_mix(hash, 2 + (uint64_t)(t->data != NULL));
    hash = hsi_cost_mix(hash, t->producer);
    for (uint32_t i = 0; t->is_input && i < graph->input_count; i++)
        if (graph->inputs[i] == tensor)
            hash = hsi_cost_mix(hash, i);
    hash = hsi_cost_mix(hash, t->dtype);
    hash = hsi_cost_mix(hash, t->rank);
    return mix_many(hash, t->dims, t->rank);
}

uint64_t hsi_cost_model_hash(const hsched_graph *graph)
{
    uint64_t hash = hsi_cost_mix(HSI_COST_HASH_INIT, graph->layer_count);
    hash = hsi_cost_mix(hash, graph->input_count);
    for (uint32_t i = 0; i < graph->input_count; i++)
        hash = mix_tensor(hash, graph, graph->inputs[i]);
    for (uint32_t i = 0; i < graph->layer_count; i++) {
        const hsi_layer *layer = &graph->layers[i];
        /* By name: the numbers of kinds may change when one is added. */
        hash = hsi_cost_mix_text(hash, hsi_layer_kind_name(layer->kind));
        hash = hsi_cost_mix(hash, layer->input_count);
        for (uint32_t k = 0; k < layer->input_count; k++)
            hash = mix_tensor(hash, graph, layer->inputs[k]);
        const hsched_tensor x = layer->input_count ? layer->inputs[0] : HSCHED_NO_TENSOR;
        hash = mix_attrs(hash, layer, x == HSCHED_NO_TENSOR ? 0 : graph->tensors[x].rank);
        hash = mix_tensor(hash, graph, layer->output);
    }
    for (uint32_t i = 0; i < graph->output_count; i++)
        hash = mix_tensor(hash, graph, graph->outputs[i]);
    return hash;
}
