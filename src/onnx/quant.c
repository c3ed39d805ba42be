#include "onnx/quant.h"

#include <math.h>
#include <string.h>

#include "onnx/fold.h"

/* ---- Scales and zero points ------------------------------------------------ */

int hsi_quant_number(hsi_composer *c, uint32_t k, double *number)
{
    const hsi_onnx_constant *constant = hsi_onnx_constant_input(c->im, c->node, k);
    float value;
    if (!constant || constant->count != 1 || c->status != HSCHED_OK)
        return 0;
    c->status = hsi_onnx_float_input(c->im, c->node, k, 0, &value);
    *number = (double)value;
    return c->status == HSCHED_OK;
}

int hsi_quant_has_zero_point(hsi_composer *c, uint32_t k)
{
    const hsi_onnx_constant *constant = hsi_onnx_constant_input(c->im, c->node, k);
    if (!hsi_onnx_has_input(c->node, k))
        return 0;
    for (size_t i = 0; constant && i < constant->count; i++)
        if (constant->tags || hsi_onnx_get_float(constant, i) != 0)
            return 1;
    return !constant;
}

hsched_dtype hsi_quant_dtype(hsi_composer *c, uint32_t k, hsched_dtype fallback)
{
    const hsi_onnx_constant *constant = hsi_onnx_constant_input(c->im, c->node, k);
    if (!hsi_onnx_has_input(c->node, k))
        return fallback;
    return constant ? constant->dtype : hsi_compose_dtype(c, hsi_compose_input(c, k));
}

/* A parameter of x's rank with one element for each block of x: repeated, and cut to x. */
static hsched_tensor spread(hsi_composer *c, hsched_tensor y, hsched_tensor x,
                            int64_t axis, int64_t block)
{
    const uint32_t rank = hsi_compose_rank(c, y), at = (uint32_t)axis;
    const int64_t behind = axis + 1;
    int64_t wide[HSCHED_MAX_DIMS], whole[HSCHED_MAX_DIMS];
    if (c->status == HSCHED_OK && rank + 1 > HSCHED_MAX_DIMS)
        c->status = hsi_onnx_unsupported(c->im, c->node, "blocks of %u dimensions", rank);
    const int64_t size = hsi_compose_fixed(c, x, at);
    const int64_t blocks = hsi_compose_fixed(c, y, at);
    if (c->status == HSCHED_OK && blocks != (size - 1) / block + 1)
        c->status =
            hsi_onnx_malformed(c->node, "%lld elements are not %lld blocks of %lld",
                               (long long)size, (long long)blocks, (long long)block);
    block = block < size ? block : size;
    for (uint32_t d = 0; d < rank && c->status == HSCHED_OK; d++) {
        const int64_t own = hsi_compose_fixed(c, y, d);
        whole[d] = d == at ? own * block : own;
        wide[d < at ? d : d + 1] = own;
    }
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    wide[at] = blocks;
    wide[at + 1] = block;
    y = hsi_compose_unsqueeze(c, y, 1, &behind);
    y = hsi_compose_expand(c, y, rank + 1, wide);
    y = hsi_compose_reshape(c, y, rank, whole);
    return whole[at] == size ? y : hsi_compose_slice(c, y, axis, 0, size, 1);
}

hsched_tensor hsi_quant_parameter(hsi_composer *c, uint32_t k, hsched_tensor x,
                                  const hsi_onnx_scheme *scheme)
{
    static const int64_t first;
    int64_t axes[HSCHED_MAX_DIMS];
    double number;
    if (hsi_quant_number(c, k, &number))
        return hsi_compose_number(c, HSCHED_FLOAT32, number);
    hsched_tensor y = hsi_compose_cast(c, hsi_compose_input(c, k), HSCHED_FLOAT32);
    const uint32_t rank = hsi_compose_rank(c, x), own = hsi_compose_rank(c, y);
    if (scheme->block && own == rank && c->status == HSCHED_OK)
        return spread(c, y, x, scheme->axis, scheme->block);
    if (own != 1 || c->status != HSCHED_OK)
        return y;
    if (hsi_compose_size(c, y, 0) == 1) {
        hsi_compose_fixed(c, y, 0);
        return hsi_compose_squeeze(c, y, 1, &first);
    }
    uint32_t count = 0; /* ones behind */
    while (scheme->axis + 1 + count < rank) {
        axes[count] = 1 + count;
        count++;
    }
    return hsi_compose_unsqueeze(c, y, count, axes);
}

/* ---- Levels as floats -------------------------------------------------------- */

static hsi_onnx_levels *levels_of(const hsi_composer *c, uint32_t k)
{
    return hsi_onnx_has_input(c->node, k) ? c->im->states[c->node->inputs[k]].levels
                                          : NULL;
}

static double lowest(hsched_dtype dtype)
{
    return dtype == HSCHED_INT8 ? -128 : 0;
}

static hsched_tensor fake_quantize(hsi_composer *c, const char *name, hsched_tensor x,
                                   double step, double low)
{
    const hsched_activation act = { HSCHED_ACTIVATION_FAKE_QUANTIZE, (float)step,
                                    (float)low };
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (c->status == HSCHED_OK && !name)
        c->status = hsi_onnx_no_memory(c->im, c->node);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_at_node(
            c->node, hsched_graph_add_activation(c->im->graph, name, x, act, &y));
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_track(c->im);
    return y;
}

/* The levels less their zero point. */
static hsched_tensor make_whole(hsi_composer *c, hsi_onnx_levels *l)
{
    if (l->whole != HSCHED_NO_TENSOR || c->status != HSCHED_OK)
        return l->whole;
    hsched_tensor x = l->from;
    if (l->divisor != 1)
        x = hsi_compose_pair(c, HSCHED_BINARY_DIV, x,
                             hsi_compose_number(c, HSCHED_FLOAT32, (double)l->divisor));
    l->whole = fake_quantize(c, hsi_onnx_made_name(c->im, c->node->label, "levels"), x, 1,
                             lowest(l->dtype) - l->zero_point);
    return l->whole;
}

/* 1 if the layer gives elements of its input, and all of them levels' numbers if those are. */
static int keeps_elements(const hsi_layer *layer)
{
    const hsched_pool2d_config *pool = &layer->attrs.pool2d.config;
    switch (layer->kind) {
    case HSI_LAYER_RESHAPE:
    case HSI_LAYER_FLATTEN:
    case HSI_LAYER_SQUEEZE:
    case HSI_LAYER_UNSQUEEZE:
    case HSI_LAYER_TRANSPOSE:
    case HSI_LAYER_SLICE:
        return 1;
    case HSI_LAYER_ACTIVATION: /* 0 is such a number */
        return layer->attrs.activation.kind == HSCHED_ACTIVATION_RELU;
    case HSI_LAYER_POOL2D: /* no window of padding only */
        return layer->attrs.pool2d.kind == HSCHED_POOL_MAX && !pool->ceil_mode &&
               pool->pads[0] < pool->kernel[0] && pool->pads[1] < pool->kernel[1] &&
               pool->pads[2] < pool->kernel[0] && pool->pads[3] < pool->kernel[1];
    default:
        return 0;
    }
}

/* 1 if x has been through the same before. */
static int has_levels(const hsi_composer *c, hsched_tensor x, const hsi_onnx_levels *l)
{
    const hsched_graph *graph = c->im->graph;
    while (graph->tensors[x].producer != HSI_NO_INDEX) {
        const hsi_layer *layer = &graph->layers[graph->tensors[x].producer];
        const hsched_activation *act = &layer->attrs.activation;
        if (layer->kind == HSI_LAYER_ACTIVATION &&
            act->kind == HSCHED_ACTIVATION_FAKE_QUANTIZE)
            return act->a == l->scale &&
                   (double)act->b == lowest(l->dtype) - l->zero_point;
        if (!keeps_elements(layer))
            return 0;
        x = layer->inputs[0];
    }
    return 0;
}

/* What they stand for, under that name if it is made now. */
static hsched_tensor make_meant(hsi_composer *c, hsi_onnx_levels *l, const char *name)
{
    if (l->meant != HSCHED_NO_TENSOR || c->status != HSCHED_OK)
        return l->meant;
    if (l->divisor == l->scale && has_levels(c, l->from, l))
        l->meant = l->from;
    else if (l->divisor == l->scale)
        l->meant = fake_quantize(c, name, l->from, (double)l->scale,
                                 lowest(l->dtype) - l->zero_point);
    else
        l->meant =
            hsi_compose_pair(c, HSCHED_BINARY_MUL, make_whole(c, l),
                             hsi_compose_number(c, HSCHED_FLOAT32, (double)l->scale));
    return l->meant;
}

hsched_tensor hsi_quant_levels_whole(hsi_composer *c, uint32_t k)
{
    return make_whole(c, levels_of(c, k));
}

/* 1 if the levels have the zero point, and, unless it is NULL, the scale of a scheme. */
static int agrees(hsi_composer *c, const hsi_onnx_levels *l,
                  const hsi_onnx_scheme *scheme, const double *scale)
{
    double zero_point = 0;
    if (hsi_onnx_has_input(c->node, scheme->zero_point) &&
        !hsi_quant_number(c, scheme->zero_point, &zero_point))
        return 0;
    return l->zero_point == (int)zero_point && (!scale || (double)l->scale == *scale);
}

const hsi_onnx_constant *hsi_quant_whole_constant(hsi_composer *c, uint32_t k,
                                                  const hsi_onnx_scheme *scheme)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(c->im, c->node, k);
    const hsi_onnx_constant *zero =
        hsi_onnx_constant_input(c->im, c->node, scheme->zero_point);
    hsi_onnx_draft *draft;
    if (!x || x->tags || (zero && zero->tags) || c->status != HSCHED_OK ||
        (!zero && hsi_onnx_has_input(c->node, scheme->zero_point)))
        return NULL;
    size_t inner = 1; /* elements that share an index along the axis */
    for (uint32_t d = (uint32_t)scheme->axis + 1; d < x->rank; d++)
        inner *= (size_t)x->dims[d];
    if (zero && zero->count != 1 &&
        (scheme->block || zero->rank != 1 || scheme->axis >= x->rank ||
         zero->dims[0] != x->dims[scheme->axis]))
        return NULL;
    c->status =
        hsi_onnx_draft_make(c->im, c->node, HSCHED_FLOAT32, x->rank, x->dims, 0, &draft);
    for (size_t i = 0; c->status == HSCHED_OK && i < x->count; i++) {
        const double level = hsi_onnx_get_float(x, i);
        const double from =
            !zero ? 0
                  : hsi_onnx_get_float(zero,
                                       zero->count == 1 ? 0 : i / inner % zero->count);
        hsi_onnx_put_float(draft, i, level - from);
    }
    return c->status == HSCHED_OK ? &draft->result : NULL;
}

hsched_tensor hsi_quant_whole(hsi_composer *c, uint32_t k, const hsi_onnx_scheme *scheme)
{
    hsi_onnx_levels *l = levels_of(c, k);
    if (l && agrees(c, l, scheme, NULL))
        return make_whole(c, l);
    const hsi_onnx_constant *known = hsi_quant_whole_constant(c, k, scheme);
    if (known)
        return hsi_compose_constant(c, HSCHED_FLOAT32, known->rank, known->dims,
                                    known->data);
    hsched_tensor x = hsi_compose_cast(c, hsi_compose_input(c, k), HSCHED_FLOAT32);
    if (!hsi_quant_has_zero_point(c, scheme->zero_point))
        return x;
    return hsi_compose_pair(c, HSCHED_BINARY_SUB, x,
                            hsi_quant_parameter(c, scheme->zero_point, x, scheme));
}

hsched_tensor hsi_quant_meant(hsi_composer *c, uint32_t k, const hsi_onnx_scheme *scheme)
{
    hsi_onnx_levels *l = levels_of(c, k);
    double scale;
    if (l && hsi_quant_number(c, scheme->scale, &scale) && agrees(c, l, scheme, &scale))
        return make_meant(c, l,
                          strcmp(c->node->op, "DequantizeLinear") == 0
                              ? hsi_onnx_output_name(c->im, c->node, 0)
                              : hsi_onnx_made_name(c->im, c->node->label, "meant"));
    hsched_tensor whole = hsi_quant_whole(c, k, scheme);
    return hsi_compose_pair(c, HSCHED_BINARY_MUL, whole,
                            hsi_quant_parameter(c, scheme->scale, whole, scheme));
}

uint32_t hsi_quant_rank(hsi_composer *c, uint32_t k)
{
    const hsi_onnx_levels *l = levels_of(c, k);
    const hsi_onnx_constant *x = hsi_onnx_constant_input(c->im, c->node, k);
    return x ? x->rank : hsi_compose_rank(c, l ? l->from : hsi_compose_input(c, k));
}

double hsi_quant_reach(hsi_composer *c, uint32_t k, uint32_t zero_point)
{
    double zero = 0;
    const hsi_onnx_levels *l = levels_of(c, k);
    const hsi_onnx_constant *x = hsi_onnx_constant_input(c->im, c->node, k);
    if (hsi_onnx_has_input(c->node, zero_point) &&
        !hsi_quant_number(c, zero_point, &zero))
        return 255;
    const hsched_dtype dtype = l   ? l->dtype
                               : x ? x->dtype
                                   : hsi_compose_dtype(c, hsi_compose_input(c, k));
    return fmax(lowest(dtype) + 255 - zero, zero - lowest(dtype));
}

/* ---- Levels as outputs ------------------------------------------------------- */

/* By layers: scales and zero points that are computed, or several, or not of 8 bits. */
static void compose_levels(hsi_composer *c, hsched_tensor x, int scaled,
                           const hsi_onnx_scheme *scheme, hsched_dtype dtype)
{
    if (!scaled)
        x = hsi_compose_pair(c, HSCHED_BINARY_DIV, x,
                             hsi_quant_parameter(c, scheme->scale, x, scheme));
    x = hsi_compose_act(c, HSCHED_ACTIVATION_ROUND, x);
    if (hsi_quant_has_zero_point(c, scheme->zero_point))
        x = hsi_compose_pair(c, HSCHED_BINARY_ADD, x,
                             hsi_quant_parameter(c, scheme->zero_point, x, scheme));
    hsi_compose_output(c, 0, hsi_compose_cast(c, x, dtype));
}

static void set_levels(hsi_composer *c, uint32_t k, const hsi_onnx_levels *levels)
{
    hsi_onnx_levels *l = HSI_ONNX_NEW(&c->im->arena, hsi_onnx_levels);
    if (c->status == HSCHED_OK && !l)
        c->status = hsi_onnx_no_memory(c->im, c->node);
    if (c->status != HSCHED_OK)
        return;
    *l = *levels;
    if (k < c->node->output_count && c->node->outputs[k] != HSI_ONNX_NONE)
        c->im->states[c->node->outputs[k]].levels = l;
}

void hsi_quant_output(hsi_composer *c, hsched_tensor from, int scaled,
                      const hsi_onnx_scheme *scheme, hsched_dtype dtype)
{
    double scale, zero_point = 0;
    from = hsi_compose_cast(c, from, HSCHED_FLOAT32);
    const int known = (dtype == HSCHED_UINT8 || dtype == HSCHED_INT8) &&
                      hsi_quant_number(c, scheme->scale, &scale) &&
                      (!hsi_onnx_has_input(c->node, scheme->zero_point) ||
                       hsi_quant_number(c, scheme->zero_point, &zero_point)) &&
                      scale > 0 && isfinite(scale);
    if (c->status != HSCHED_OK)
        return;
    if (dtype != HSCHED_UINT8 && dtype != HSCHED_INT8 && dtype != HSCHED_INT32) {
        c->status = hsi_onnx_unsupported(c->im, c->node, "levels of %s",
                                         hsched_dtype_name(dtype));
        return;
    }
    if (!known) {
        compose_levels(c, from, scaled, scheme, dtype);
        return;
    }
    set_levels(c, 0,
               &(hsi_onnx_levels){ .from = from,
                                   .divisor = scaled ? 1 : (float)scale,
                                   .scale = (float)scale,
                                   .zero_point = (int)zero_point,
                                   .dtype = dtype,
                                   .whole = HSCHED_NO_TENSOR,
                                   .meant = HSCHED_NO_TENSOR });
}

void hsi_quant_same_output(hsi_composer *c, hsched_tensor whole, uint32_t k)
{
    hsi_onnx_levels l = *levels_of(c, k);
    l.from = l.whole = whole;
    l.divisor = 1;
    l.meant = HSCHED_NO_TENSOR;
    l.moved = 0;
    set_levels(c, 0, &l);
}

void hsi_quant_sum_output(hsi_composer *c, hsched_tensor sum)
{
    if (hsi_compose_dtype(c, sum) == HSCHED_FLOAT32)
        set_levels(c, 0,
                   &(hsi_onnx_levels){ .from = sum,
                                       .divisor = 1,
                                       .dtype = HSCHED_INT32,
                                       .whole = sum,
                                       .meant = HSCHED_NO_TENSOR });
    else
        hsi_compose_output(c, 0, sum);
}

hsched_tensor hsi_quant_cast_levels(hsi_composer *c)
{
    hsi_onnx_levels *l = levels_of(c, 0);
    const int cast = l && l->zero_point == 0 &&
                     c->im->states[c->node->inputs[0]].tensor == HSCHED_NO_TENSOR;
    return cast ? make_whole(c, l) : HSCHED_NO_TENSOR;
}

int hsi_onnx_may_move_levels(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_state *state =
        hsi_onnx_has_input(node, 0) ? &im->states[node->inputs[0]] : NULL;
    if (!state || !state->levels || state->tensor != HSCHED_NO_TENSOR)
        return 0;
    for (uint32_t k = 0; k < node->output_count; k++)
        if (node->outputs[k] != HSI_ONNX_NONE &&
            im->model->values[node->outputs[k]].is_output)
            return 0;
    return 1;
}

hsched_status hsi_onnx_move_levels(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsi_onnx_builder *build)
{
    hsi_composer c = { im, node, HSCHED_OK };
    hsi_onnx_state *state = &im->states[node->inputs[0]];
    state->tensor = make_whole(&c, state->levels);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_build_empty(im, node, build);
    const uint32_t first = node->output_count ? node->outputs[0] : HSI_ONNX_NONE;
    if (c.status == HSCHED_OK && (first == HSI_ONNX_NONE || !im->states[first].constant))
        c.status = build(im, node);
    for (uint32_t k = 0; k < node->output_count && c.status == HSCHED_OK; k++) {
        if (node->outputs[k] == HSI_ONNX_NONE)
            continue;
        hsi_onnx_state *out = &im->states[node->outputs[k]];
        hsi_onnx_levels l = *state->levels;
        if (out->tensor == HSCHED_NO_TENSOR)
            continue;
        l.from = l.whole = out->tensor;
        l.divisor = 1;
        l.meant = out->tensor == state->tensor ? l.meant : HSCHED_NO_TENSOR;
        l.moved = 1;
        out->tensor = HSCHED_NO_TENSOR;
        set_levels(&c, k, &l);
    }
    state->tensor = HSCHED_NO_TENSOR;
    return c.status;
}

hsched_status hsi_onnx_make_levels(hsi_onnx_import *im, uint32_t value)
{
    hsi_onnx_state *state = &im->states[value];
    const uint32_t producer = im->model->values[value].producer;
    hsi_composer c = { im, &im->model->nodes[producer], HSCHED_OK };
    hsi_onnx_levels *l = state->levels;
    hsched_tensor y = make_whole(&c, l);
    if (l->zero_point != 0)
        y = hsi_compose_pair(&c, HSCHED_BINARY_ADD, y,
                             hsi_compose_number(&c, HSCHED_FLOAT32, l->zero_point));
    const char *name = l->moved ? hsi_onnx_made_name(im, c.node->label, "levels")
                                : im->model->values[value].name;
    if (c.status == HSCHED_OK && !name)
        c.status = hsi_onnx_no_memory(im, c.node);
    if (c.status == HSCHED_OK)
        c.status = hsi_onnx_at_node(
            c.node, hsched_graph_add_cast(im->graph, name, y, l->dtype, &state->tensor));
    return c.status == HSCHED_OK ? hsi_onnx_track(im) : c.status;
}
