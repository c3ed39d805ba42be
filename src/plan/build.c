/* From operations to the steps of hsched/backend.h; and steps run now, on constants. */
#include "plan/passes.h"

#include <string.h>

#include "backend/backend.h"
#include "base/status.h"
#include "base/tensor.h"

/* Strides that a plain comparison recognises: those of size-1 dimensions, which address
 * nothing, are as in a dense or channels-last tensor. */
static void make_canonical(hsched_operand *operand)
{
    int64_t pixel_stride;
    if (hsi_is_dense(operand->rank, operand->dims, operand->strides))
        hsi_dense_strides(operand->rank, operand->dims, operand->strides);
    else if (hsi_is_nhwc(operand->rank, operand->dims, operand->strides, &pixel_stride))
        hsi_nhwc_strides(operand->dims, pixel_stride, operand->strides);
}

static void describe(const hsi_value *value, hsched_operand *operand)
{
    memset(operand, 0, sizeof *operand);
    operand->dtype = value->dtype;
    operand->rank = value->rank;
    memcpy(operand->dims, value->dims, sizeof operand->dims);
    memcpy(operand->strides, value->strides, sizeof operand->strides);
    operand->levels = value->levels;
}

/* For kinds whose spatial operands are channels-last: also those that are dense as well
 * (C or H*W is 1) get channels-last strides, so that a backend sees one form only. */
static void make_channels_last(hsched_operand *operand)
{
    int64_t pixel_stride;
    if (hsi_is_nhwc(operand->rank, operand->dims, operand->strides, &pixel_stride))
        hsi_nhwc_strides(operand->dims, pixel_stride, operand->strides);
}

static void make_rows(hsched_operand *operand)
{
    if (operand->dims[0] == 1)
        operand->strides[0] = operand->dims[1];
    operand->strides[1] = 1;
}

/* Numpy broadcasting of the first `rank` dimensions from the right, by stride 0; the last
 * `keep` ones are left as they are. */
static void broadcast(hsched_operand *operand, uint32_t rank, const int64_t *dims,
                      uint32_t keep)
{
    hsched_operand wide = *operand;
    wide.rank = rank;
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t missing = rank - operand->rank;
        int64_t size = i < missing ? 1 : operand->dims[i - missing];
        int64_t stride = i < missing ? 0 : operand->strides[i - missing];
        if (i + keep >= rank || size == dims[i]) {
            wide.dims[i] = size;
            wide.strides[i] = stride;
        } else {
            wide.dims[i] = dims[i];
            wide.strides[i] = 0;
        }
    }
    *operand = wide;
}

void hsi_build_step(const hsi_op *op, hsched_step *step)
{
    *step = op->step;
    step->struct_size = sizeof *step;
    step->kind = (hsched_step_kind)op->kind;
    step->name = op->name;
    step->input_count = op->in_count;
    step->out_aliases = op->out_aliases;
    step->macs = op->macs;
    step->parts = 1;
    describe(op->out, &step->out);
    make_canonical(&step->out);
    for (uint32_t i = 0; i < op->in_count; i++) {
        memset(&step->in[i], 0, sizeof step->in[i]);
        if (op->in[i] == NULL)
            continue;
        describe(op->in[i], &step->in[i]);
        if (op->kind == HSCHED_STEP_BINARY || op->kind == HSCHED_STEP_WHERE ||
            op->kind == HSCHED_STEP_ROTARY || (op->kind == HSCHED_STEP_NORM && i > 0) ||
            (op->kind == HSCHED_STEP_GATHER && i == 1))
            broadcast(&step->in[i], step->out.rank, step->out.dims, 0);
        else if (op->kind == HSCHED_STEP_SCATTER && i == 0)
            broadcast(&step->in[i], step->out.rank, step->out.dims, 0);
        else if (op->kind == HSCHED_STEP_SCATTER && i == 1)
            broadcast(&step->in[i], op->in[2]->rank, op->in[2]->dims, 0);
        else if (op->kind == HSCHED_STEP_MATMUL)
            broadcast(&step->in[i], step->out.rank, step->out.dims, 2);
        make_canonical(&step->in[i]);
        if (hsi_is_packed(op->kind, i))
            step->in[i].constant = op->in[i]->data;
    }
    if (op->kind == HSCHED_STEP_CONV2D || op->kind == HSCHED_STEP_POOL2D) {
        make_channels_last(&step->in[0]);
        make_channels_last(&step->out);
        if (op->in_count > 3 && op->in[3] != NULL)
            make_channels_last(&step->in[3]);
    } else if (op->kind == HSCHED_STEP_SEPARABLE_CONV2D) {
        make_channels_last(&step->in[0]);
        make_channels_last(&step->out);
        if (op->in[5] != NULL)
            make_channels_last(&step->in[5]);
    } else if (op->kind == HSCHED_STEP_FC) {
        make_rows(&step->in[0]);
        make_rows(&step->out);
    }
}

/* ---- Folding -------------------------------------------------------------- */

/* Above this many elements a result is computed by the run after all: constants that a
 * small file blows up by broadcasting are not to be kept. */
static const size_t max_folded_elements = (size_t)1 << 24;

static int all_constant(const hsi_op *op)
{
    for (uint32_t i = 0; i < op->in_count; i++)
        if (op->in[i] != NULL && op->in[i]->data == NULL)
            return 0;
    return 1;
}

/* Kinds whose cost is that of the elements; never a sum that a hostile file could make
 * endless. */
static int may_fold(const hsi_op *op)
{
    size_t count;
    switch (op->kind) {
    case HSCHED_STEP_SCALE:
    case HSCHED_STEP_UNARY:
    case HSCHED_STEP_BINARY:
    case HSCHED_STEP_CAST:
    case HSCHED_STEP_WHERE:
    case HSCHED_STEP_PAD:
    case HSI_OP_RESHAPE:
    case HSI_OP_TRANSPOSE:
    case HSI_OP_SLICE:
    case HSI_OP_CONCAT:
        return hsi_element_count(op->out->rank, op->out->dims, &count) &&
               count <= max_folded_elements && all_constant(op);
    default:
        return 0;
    }
}

/* Copies `from`, seen through strides, to `to` with strides of its own. */
static hsched_status copy_now(const hsi_op *op, const hsi_value *shape,
                              const int64_t *from_strides, const void *from,
                              const int64_t *to_strides, void *to)
{
    hsched_step step = { .struct_size = sizeof step };
    step.kind = HSCHED_STEP_COPY;
    step.name = op->name;
    step.input_count = 1;
    step.out_aliases = -1;
    step.parts = 1;
    describe(shape, &step.in[0]);
    step.out = step.in[0];
    memcpy(step.in[0].strides, from_strides, sizeof step.in[0].strides);
    memcpy(step.out.strides, to_strides, sizeof step.out.strides);
    return hsi_ref_run(&step, &from, to);
}

static hsched_status fold_view(const hsi_op *op, void *data)
{
    const hsi_value *x = op->in[0], *y = op->out;
    int64_t offset, from[HSCHED_MAX_DIMS] = { 0 }, to[HSCHED_MAX_DIMS] = { 0 };
    if (!hsi_view_strides(op, 0, x->strides, &offset, from))
        return hsi_error(HSCHED_ERROR_INTERNAL,
                         "layer '%s': a dense constant has no view", op->name);
    hsi_dense_strides(y->rank, y->dims, to);
    const char *first =
        (const char *)x->data + offset * (int64_t)hsched_dtype_size(x->dtype);
    return copy_now(op, y, from, first, to, data);
}

static hsched_status fold_concat(const hsi_op *op, void *data)
{
    int64_t strides[HSCHED_MAX_DIMS] = { 0 }, offset = 0;
    hsi_dense_strides(op->out->rank, op->out->dims, strides);
    for (uint32_t i = 0; i < op->in_count; i++) {
        const hsi_value *x = op->in[i];
        char *slice = (char *)data + offset * (int64_t)hsched_dtype_size(x->dtype);
        hsched_status status = copy_now(op, x, x->strides, x->data, strides, slice);
        if (status != HSCHED_OK)
            return status;
        offset += x->dims[op->axis] * strides[op->axis];
    }
    return HSCHED_OK;
}

static hsched_status fold_step(hsi_op *op, void *data)
{
    const void *inputs[HSCHED_STEP_MAX_INPUTS] = { NULL };
    hsched_step step;
    hsi_dense_strides(op->out->rank, op->out->dims, op->out->strides);
    hsi_build_step(op, &step);
    for (uint32_t i = 0; i < op->in_count; i++)
        inputs[i] = op->in[i] != NULL ? op->in[i]->data : NULL;
    return hsi_ref_run(&step, inputs, data);
}

hsched_status hsi_fold_constants(hsi_ir *ir, hsi_op *op)
{
    if (!may_fold(op))
        return HSCHED_OK;
    hsi_value *y = op->out;
    size_t bytes;
    if (!hsi_byte_size(y->dtype, y->rank, y->dims, &bytes))
        return HSCHED_OK;
    const int same_data = op->kind == HSI_OP_RESHAPE;
    void *data = same_data ? (void *)op->in[0]->data
                           : hsi_pool_alloc(&ir->memory->weights, bytes, 1);
    y->root = hsi_ir_root(ir, HSCHED_STORAGE_CONSTANT, bytes);
    if (data == NULL || y->root == NULL)
        return hsi_ir_no_memory();
    hsched_status status;
    if (same_data) /* constants are dense: the same elements in the same order */
        status = HSCHED_OK;
    else if (hsi_is_view(op))
        status = fold_view(op, data);
    else if (op->kind == HSI_OP_CONCAT)
        status = fold_concat(op, data);
    else
        status = fold_step(op, data);
    if (status != HSCHED_OK)
        return status;
    hsi_dense_strides(y->rank, y->dims, y->strides);
    y->root->data = data;
    y->data = data;
    y->producer = NULL;
    hsi_ir_remove(ir, op);
    return HSCHED_OK;
}
