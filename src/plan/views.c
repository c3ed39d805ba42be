/*
 * Every value gets its place: views from what they look at, owners roots of their own
 * unless a join has given them a place. Where no strides describe a view, or a step's
 * contract (hsched/backend.h) forbids how an operand lies, a copy is put in between; one
 * copy serves all who need it.
 *
 * The pass runs twice: before the concat pass to show how things lie by themselves, and
 * after it (final = 1), since owners have moved, in the first run or into joint tensors.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

/* Puts a copy of *value before `user` and makes *value that copy. */
static hsched_status copy_operand(hsi_ir *ir, hsi_op *user, hsi_value **value,
                                  int channels_last)
{
    hsi_value **known =
        channels_last ? &(*value)->channels_last_copy : &(*value)->dense_copy;
    if (*known == NULL) {
        hsi_value *copy = hsi_ir_insert_copy(ir, user, *value);
        if (copy == NULL)
            return hsi_ir_no_memory();
        copy->channels_last = channels_last;
        hsched_status status = hsi_ir_own_root(ir, copy);
        if (status != HSCHED_OK)
            return status;
        *known = copy;
    }
    *value = *known;
    return HSCHED_OK;
}

/* Products that nobody reads but through this view are written in the order in which its input has
 * them, as the heads of an attention are, each into its columns. */
static int reorder_product(hsi_op *view)
{
    hsi_value *x = view->in[0];
    const hsi_value *owner = x;
    int64_t dense[HSCHED_MAX_DIMS];
    while (owner->user_count == 1 && owner->producer != NULL &&
           hsi_is_view(owner->producer))
        owner = owner->producer->in[0];
    if (owner->user_count != 1 || owner->producer == NULL ||
        owner->producer->kind != HSCHED_STEP_MATMUL)
        return 0;
    hsi_dense_strides(x->rank, x->dims, dense);
    if (!hsi_move_owner(x, x->root, owner->offset, dense))
        return 0;
    memcpy(x->strides, dense, sizeof dense);
    return 1;
}

static hsched_status place_view(hsi_ir *ir, hsi_op *op, int final)
{
    hsi_value *y = op->out;
    const hsi_value *x = op->in[0];
    if (!hsi_view_strides(op, x->offset, x->strides, &y->offset, y->strides) &&
        (final || !reorder_product(op) ||
         !hsi_view_strides(op, x->offset, x->strides, &y->offset, y->strides))) {
        hsched_status status = copy_operand(ir, op, &op->in[0], 0);
        if (status != HSCHED_OK)
            return status;
        x = op->in[0];
        if (!hsi_view_strides(op, x->offset, x->strides, &y->offset, y->strides))
            return hsi_error(HSCHED_ERROR_INTERNAL,
                             "layer '%s': no view of a dense copy; please report it",
                             op->name);
    }
    y->root = x->root;
    return HSCHED_OK;
}

static hsched_status place_step(hsi_ir *ir, hsi_op *op)
{
    for (uint32_t i = 0; i < op->in_count; i++) {
        const hsi_value *x = op->in[i];
        if (x == NULL || hsi_is_packed(op->kind, i))
            continue;
        hsi_demand demand = hsi_demand_of_input(op->kind, i);
        if (hsi_meets(demand, x->rank, x->dims, x->strides))
            continue;
        hsched_status status =
            copy_operand(ir, op, &op->in[i], demand == HSI_DEMAND_CHANNELS_LAST);
        if (status != HSCHED_OK)
            return status;
    }
    return op->out->root != NULL ? HSCHED_OK : hsi_ir_own_root(ir, op->out);
}

/* The concat pass has seen to it that every input lies in its slice of the result. */
static hsched_status check_join(const hsi_op *op)
{
    const hsi_value *y = op->out;
    int64_t offset = y->offset;
    for (uint32_t i = 0; i < op->in_count; i++) {
        const hsi_value *x = op->in[i];
        if (!hsi_same_place(x, y->root, offset, y->strides))
            return hsi_error(HSCHED_ERROR_INTERNAL,
                             "'%s': operand %u does not lie in its part of the joint "
                             "tensor; please report it",
                             op->name, i);
        if (op->kind == HSI_OP_CONCAT)
            offset += x->dims[op->axis] * y->strides[op->axis];
    }
    return HSCHED_OK;
}

hsched_status hsi_pass_views(hsi_ir *ir, int final)
{
    hsched_status status = HSCHED_OK;
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = op->next) {
        if (hsi_is_view(op))
            status = place_view(ir, op, final);
        else if (hsi_is_step(op))
            status = place_step(ir, op);
        else if (final)
            status = check_join(op);
        else if (op->out->root == NULL)
            status = hsi_ir_own_root(ir, op->out);
    }
    return status;
}
