/*
 * Pooling as POOL2D steps. Windows are products of intervals, so that the maximum, and the
 * mean of the elements that a window sees as well, can be taken over height and width first
 * and then over depth: there the image has the depth for its height and all else for its
 * channels.
 */
#include "plan/passes.h"

#include <string.h>

typedef struct pooling {
    const hsi_layer *layer;
    hsched_pool_kind kind;
    int include_pad;
} pooling;

/* The numbers of two axes of a window. */
typedef struct window2 {
    int64_t kernel[2], strides[2], pads[4], dilations[2];
} window2;

static hsi_op *pool_step(hsi_ir *ir, const pooling *p, hsi_value *x, const window2 *w,
                         hsi_value *out)
{
    hsi_op *op = x != NULL && out != NULL
                     ? hsi_ir_op(ir, HSCHED_STEP_POOL2D, p->layer->name, 1, out)
                     : NULL;
    if (op == NULL)
        return NULL;
    op->in[0] = x;
    op->tensor = p->layer->output;
    op->step.u.pool2d.kind = p->kind;
    op->step.u.pool2d.count_include_pad = p->include_pad;
    memcpy(op->step.u.pool2d.kernel, w->kernel, sizeof w->kernel);
    memcpy(op->step.u.pool2d.strides, w->strides, sizeof w->strides);
    memcpy(op->step.u.pool2d.pads, w->pads, sizeof w->pads);
    memcpy(op->step.u.pool2d.dilations, w->dilations, sizeof w->dilations);
    return hsi_lower_add(ir, op) == HSCHED_OK ? op : NULL;
}

/* 1 if the windows along an axis are its elements. */
static int is_trivial(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                      int64_t before)
{
    return in == out && kernel == 1 && (stride == 1 || in == 1) && before == 0;
}

/* [D*N,C,H,W] -> [D'*N,C,H,W] */
static hsi_value *pool_depth(hsi_ir *ir, const pooling *p, hsi_value *x, int64_t in,
                             int64_t out)
{
    static const int64_t to_last[4] = { 0, 2, 3, 1 }, from_last[4] = { 0, 3, 1, 2 };
    const hsched_pool_config *c = &p->layer->attrs.pool.config;
    const char *name = p->layer->name;
    const window2 w = { .kernel = { c->kernel[0], 1 },
                        .strides = { c->strides[0], 1 },
                        .pads = { c->pads[0], 0, c->pads[3], 0 },
                        .dilations = { c->dilations[0], 1 } };
    if (x == NULL || is_trivial(in, out, c->kernel[0], c->strides[0], c->pads[0]))
        return x;
    const int64_t n = x->dims[0] / in, channels = x->dims[1], rows = x->dims[2],
                  columns = x->dims[3], all = n * channels * rows * columns;
    x = hsi_lower_transpose(ir, name, x, to_last);
    x = hsi_lower_reshape_to(ir, name, x, 4, (const int64_t[4]){ 1, in, 1, all });
    x = hsi_lower_transpose(ir, name, x, from_last);
    hsi_value *y =
        hsi_ir_value(ir, HSCHED_FLOAT32, 4, (const int64_t[4]){ 1, all, out, 1 });
    if (pool_step(ir, p, x, &w, y) == NULL)
        return NULL;
    y = hsi_lower_transpose(ir, name, y, to_last);
    y = hsi_lower_reshape_to(ir, name, y, 4,
                             (const int64_t[4]){ out * n, rows, columns, channels });
    return hsi_lower_transpose(ir, name, y, from_last);
}

hsched_status hsi_lower_pool(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                             hsi_value *out)
{
    const hsched_pool_config *c = &layer->attrs.pool.config;
    const pooling p = { layer, layer->attrs.pool.kind, c->count_include_pad };
    const uint32_t spatial = x->rank - 2;
    const int64_t depth = spatial == 3 ? x->dims[2] : 1,
                  out_depth = spatial == 3 ? out->dims[2] : 1;
    window2 w = { .kernel = { 1, 1 }, .strides = { 1, 1 }, .dilations = { 1, 1 } };
    int64_t dims[4] = { depth * x->dims[0], x->dims[1], 1, 1 };
    for (uint32_t i = spatial == 3; i < spatial; i++) {
        const uint32_t to = i + 2 - spatial;
        w.kernel[to] = c->kernel[i];
        w.strides[to] = c->strides[i];
        w.dilations[to] = c->dilations[i];
        w.pads[to] = c->pads[i];
        w.pads[2 + to] = c->pads[i + spatial];
        dims[2 + to] = out->dims[2 + i];
    }
    hsi_value *planes = hsi_lower_to_planes(ir, layer->name, x), *y = planes;
    if (planes == NULL)
        return hsi_ir_no_memory();
    if (spatial < 3 ||
        !is_trivial(planes->dims[2], dims[2], w.kernel[0], w.strides[0], w.pads[0]) ||
        !is_trivial(planes->dims[3], dims[3], w.kernel[1], w.strides[1], w.pads[1])) {
        y = hsi_ir_value(ir, HSCHED_FLOAT32, 4, dims);
        if (pool_step(ir, &p, planes, &w, y) == NULL)
            return hsi_ir_no_memory();
    }
    if (spatial == 3)
        y = pool_depth(ir, &p, y, depth, out_depth);
    return hsi_lower_from_planes(ir, layer->name, y, out);
}

hsched_status hsi_lower_global_pool(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                    hsi_value *out)
{
    const pooling p = { layer, layer->attrs.global_pool, 0 };
    const char *name = layer->name;
    window2 w = { .strides = { 1, 1 }, .dilations = { 1, 1 } };
    int64_t dims[4] = { x->dims[0], x->dims[1], 1, 1 };
    if (x->rank != 4) {
        for (uint32_t i = 2; i < x->rank; i++)
            dims[i + 1 < x->rank ? 2 : 3] *= x->dims[i];
        x = hsi_lower_reshape_to(ir, name, x, 4, dims);
        if (x == NULL)
            return hsi_ir_no_memory();
    }
    memcpy(w.kernel, x->dims + 2, sizeof w.kernel);
    const int64_t one[4] = { x->dims[0], x->dims[1], 1, 1 };
    hsi_value *y = out->rank == 4 ? out : hsi_ir_value(ir, HSCHED_FLOAT32, 4, one);
    if (pool_step(ir, &p, x, &w, y) == NULL)
        return hsi_ir_no_memory();
    if (y == out)
        return HSCHED_OK;
    return hsi_lower_reshape(ir, name, y, out) != NULL ? HSCHED_OK : hsi_ir_no_memory();
}

hsched_status hsi_lower_pool_indices(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                     hsi_value *out)
{
    const hsched_pool_config *c = &layer->attrs.pool.config;
    hsi_op *op = hsi_ir_op(ir, HSCHED_STEP_POOL_INDEX, layer->name, 1, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->tensor = layer->output;
    memcpy(op->step.u.pool_index.kernel, c->kernel, sizeof c->kernel);
    memcpy(op->step.u.pool_index.strides, c->strides, sizeof c->strides);
    memcpy(op->step.u.pool_index.dilations, c->dilations, sizeof c->dilations);
    memcpy(op->step.u.pool_index.before, c->pads, sizeof op->step.u.pool_index.before);
    op->step.u.pool_index.column_major = layer->attrs.pool.column_major;
    return hsi_lower_add(ir, op);
}
