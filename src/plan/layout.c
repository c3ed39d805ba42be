/*
 * Which tensors are channels-last. Images that spatial steps make are; so is what goes
 * from image to image through elementwise steps, padding and joins, forwards and
 * backwards. All else stays dense. Only wishes are set here; the views pass inserts a
 * copy where a step cannot read what it gets.
 */
#include "plan/passes.h"

#include <string.h>

/* The permutation that makes a dense tensor of a channels-last one, and back. */
static const int64_t to_channels_last[4] = { 0, 2, 3, 1 };
static const int64_t from_channels_last[4] = { 0, 3, 1, 2 };

static int permutes(const hsi_op *op, const int64_t *perm)
{
    return op->kind == HSI_OP_TRANSPOSE && op->out->rank == 4 &&
           memcmp(op->perm, perm, 4 * sizeof *perm) == 0;
}

static int keeps_layout(const hsi_op *op)
{
    return op->kind == HSI_OP_SLICE ||
           (op->kind == HSI_OP_RESHAPE && hsi_same_dims(op->in[0], op->out));
}

/* Will a value of rank 4 be channels-last in memory? */
static int is_channels_last(const hsi_value *value)
{
    int wanted = 1;
    if (value->rank != 4)
        return 0;
    while (value->producer != NULL && hsi_is_view(value->producer)) {
        const hsi_op *view = value->producer;
        if (wanted && permutes(view, from_channels_last))
            wanted = 0; /* is the input dense? */
        else if (!wanted && permutes(view, to_channels_last))
            wanted = 1;
        else if (!keeps_layout(view) && (wanted || view->kind != HSI_OP_RESHAPE))
            return 0;
        value = view->in[0];
    }
    return wanted == (value->channels_last != 0);
}

/* Steps and joins whose result may lie in either way. */
static int is_flexible(const hsi_op *op)
{
    switch (op->kind) {
    case HSCHED_STEP_SCALE:
    case HSCHED_STEP_LRN:
    case HSCHED_STEP_SOFTMAX:
    case HSCHED_STEP_UNARY:
    case HSCHED_STEP_BINARY:
    case HSCHED_STEP_CAST:
    case HSCHED_STEP_WHERE:
    case HSCHED_STEP_PAD:
    case HSCHED_STEP_REDUCE:
    case HSCHED_STEP_RESIZE:
    case HSCHED_STEP_GRID_SAMPLE:
    case HSCHED_STEP_ROI_ALIGN:
    case HSI_OP_CONCAT:
        return op->out->rank == 4;
    case HSCHED_STEP_NORM: /* of channels; others go along the last dimensions */
        return op->out->rank == 4 && op->step.u.norm.axis == 1;
    default:
        return 0;
    }
}

/* Makes what `value` is a view of channels-last, if that can be chosen; 1 if something
 * changed. */
static int wish(hsi_value *value)
{
    while (value != NULL && value->producer != NULL && keeps_layout(value->producer))
        value = value->producer->in[0];
    if (value == NULL || value->rank != 4 || value->producer == NULL ||
        value->channels_last || !is_flexible(value->producer))
        return 0;
    value->channels_last = 1;
    return 1;
}

static int makes_images(const hsi_op *op)
{
    switch (op->kind) {
    case HSCHED_STEP_CONV2D:
    case HSCHED_STEP_SEPARABLE_CONV2D:
    case HSCHED_STEP_POOL2D:
    case HSCHED_STEP_IMAGE:
        return 1;
    case HSCHED_STEP_LRN:
        return op->out->rank == 4;
    default:
        return 0;
    }
}

/* How many of the first inputs are images, if the result is one: not a grid, nor regions. */
static uint32_t image_inputs(const hsi_op *op)
{
    return op->kind == HSCHED_STEP_GRID_SAMPLE || op->kind == HSCHED_STEP_ROI_ALIGN
               ? 1
               : op->in_count;
}

static int wish_for_inputs(hsi_op *op)
{
    int changed = 0;
    for (uint32_t i = 0; i < image_inputs(op); i++)
        if (op->in[i] != NULL && op->in[i]->data == NULL)
            changed |= wish(op->in[i]);
    return changed;
}

/* 1 for a pooling of whole images, which can be a reduction, too. */
static int pools_all(const hsi_op *op)
{
    const hsi_value *x = op->in[0], *y = op->out;
    if (op->kind != HSCHED_STEP_POOL2D || y->dims[2] != 1 || y->dims[3] != 1)
        return 0;
    for (int i = 0; i < 2; i++)
        if (op->step.u.pool2d.kernel[i] != x->dims[2 + i] ||
            op->step.u.pool2d.dilations[i] != 1 || op->step.u.pool2d.pads[i] != 0 ||
            op->step.u.pool2d.pads[2 + i] != 0)
            return 0;
    return 1;
}

/* One look at an operation: forwards if an input is channels-last, backwards if the
 * result is. */
static int spread(hsi_op *op)
{
    int changed = 0;
    if (makes_images(op))
        return op->kind == HSCHED_STEP_IMAGE || pools_all(op) ? 0 : wish_for_inputs(op);
    if (!is_flexible(op))
        return 0;
    for (uint32_t i = 0; i < image_inputs(op) && !op->out->channels_last; i++)
        if (op->in[i] != NULL && op->in[i]->data == NULL && is_channels_last(op->in[i]))
            changed = op->out->channels_last = 1;
    if (op->out->channels_last)
        changed |= wish_for_inputs(op);
    return changed;
}

/* ---- Flatten before a fully connected layer ------------------------------- */

/* The image whose elements, in logical order, are the rows of `x`; NULL if it is not one.
 */
static hsi_value *flattened_image(const hsi_value *x)
{
    while (x->producer != NULL && x->producer->kind == HSI_OP_RESHAPE) {
        hsi_value *from = x->producer->in[0];
        if (from->rank == 4 && from->dims[0] == x->dims[0] && is_channels_last(from) &&
            from->dims[1] > 1 && from->dims[2] * from->dims[3] > 1)
            return from;
        if (from->rank == 0 || from->dims[0] != x->dims[0])
            return NULL;
        x = from;
    }
    return NULL;
}

/* The rows become those of the image in channels-last order, a view without a copy; the
 * columns of the weights follow. */
static hsched_status permute_weights(hsi_ir *ir, hsi_op *fc, hsi_value *image)
{
    const int64_t channels = image->dims[1], pixels = image->dims[2] * image->dims[3];
    const int64_t turned_dims[4] = { image->dims[0], image->dims[2], image->dims[3],
                                     channels };
    hsi_value *turned = hsi_ir_value(ir, image->dtype, 4, turned_dims);
    hsi_value *rows = hsi_ir_value(ir, image->dtype, 2, fc->in[0]->dims);
    float *weights;
    hsi_value *permuted = hsi_ir_weights(ir, 2, fc->in[1]->dims, &weights);
    if (turned == NULL || rows == NULL || permuted == NULL)
        return hsi_ir_no_memory();
    hsi_op *turn = hsi_ir_op(ir, HSI_OP_TRANSPOSE, fc->name, 1, turned);
    hsi_op *reshape = hsi_ir_op(ir, HSI_OP_RESHAPE, fc->name, 1, rows);
    if (turn == NULL || reshape == NULL)
        return hsi_ir_no_memory();
    memcpy(turn->perm, to_channels_last, sizeof to_channels_last);
    turn->in[0] = image;
    reshape->in[0] = turned;
    hsi_ir_insert_before(ir, turn, fc);
    hsi_ir_insert_before(ir, reshape, fc);
    const float *from = fc->in[1]->data;
    for (int64_t o = 0; o < fc->in[1]->dims[0]; o++)
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t c = 0; c < channels; c++)
                weights[(o * pixels + p) * channels + c] =
                    from[(o * channels + c) * pixels + p];
    fc->in[0] = rows;
    fc->in[1] = permuted;
    return HSCHED_OK;
}

/* ---- Poolings of whole images --------------------------------------------- */

/* Of images that stay dense they become reductions, which read them as they are. */
static void reduce_dense_images(hsi_ir *ir)
{
    for (hsi_op *op = ir->first; op != NULL; op = op->next) {
        if (!pools_all(op) || is_channels_last(op->in[0]))
            continue;
        const int is_max = op->step.u.pool2d.kind == HSCHED_POOL_MAX;
        memset(&op->step.u, 0, sizeof op->step.u);
        op->kind = HSCHED_STEP_REDUCE;
        op->step.u.reduce.kind = is_max ? HSCHED_REDUCE_MAX : HSCHED_REDUCE_MEAN;
    }
}

/* Views that nothing looks at any more. */
static void drop_unused_views(hsi_ir *ir)
{
    hsi_op *previous;
    for (hsi_op *op = ir->last; op != NULL; op = previous) {
        previous = op->previous;
        if (!hsi_is_view(op) || op->out->user_count > 0)
            continue;
        hsi_value *from = op->in[0];
        from->user_count--; /* its list of users is not read before it is made anew */
        hsi_ir_remove(ir, op);
    }
}

hsched_status hsi_pass_layout(hsi_ir *ir)
{
    for (hsi_op *op = ir->first; op != NULL; op = op->next)
        if (makes_images(op))
            op->out->channels_last = 1;
    int changed = 1;
    while (changed) { /* tensors only become channels-last: it ends */
        changed = 0;
        for (hsi_op *op = ir->first; op != NULL; op = op->next)
            changed |= spread(op);
        for (hsi_op *op = ir->last; op != NULL; op = op->previous)
            changed |= spread(op);
    }
    reduce_dense_images(ir);
    hsched_status status = HSCHED_OK;
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = op->next) {
        hsi_value *image = op->kind == HSCHED_STEP_FC ? flattened_image(op->in[0]) : NULL;
        if (image != NULL)
            status = permute_weights(ir, op, image);
    }
    if (status == HSCHED_OK)
        status = hsi_ir_link_users(ir);
    if (status == HSCHED_OK)
        drop_unused_views(ir);
    return status;
}
