/*
 * Joins without copies: the step that makes a join's input writes into its slice of the
 * joint tensor.
 *
 * Joins are taken from the last to the first, so that the place of a joint tensor is
 * known before those of its inputs, which may be joints themselves. An input that is
 * another value's view (a reshape, a transpose) has its maker write in such strides that
 * the view comes to lie right. A value can lie in one joint only; all other joins that
 * want it get copies.
 *
 * A concat whose inputs follow one another in a larger concat made later (networks that
 * join all layers so far, again and again) is a view of that one's joint tensor.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/tensor.h"

static int same_strides(uint32_t rank, const int64_t *dims, const int64_t *a,
                        const int64_t *b)
{
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] != 1 && a[i] != b[i])
            return 0;
    return 1;
}

/* Can this owner's maker write in these strides, and would those who read it like them?
 */
static int suits(const hsi_value *owner, const int64_t *strides)
{
    int64_t pixel_stride;
    if (!hsi_meets(hsi_demand_of_output(owner->producer->kind), owner->rank, owner->dims,
                   strides))
        return 0;
    return !owner->channels_last ||
           hsi_is_nhwc(owner->rank, owner->dims, strides, &pixel_stride);
}

static hsi_value *owner_of(hsi_value *value)
{
    while (value->producer != NULL && hsi_is_view(value->producer))
        value = value->producer->in[0];
    return value;
}

int hsi_move_owner(hsi_value *value, hsi_root *root, int64_t offset,
                   const int64_t *strides)
{
    int64_t wanted[HSCHED_MAX_DIMS] = { 0 }, back[HSCHED_MAX_DIMS] = { 0 };
    int64_t forth[HSCHED_MAX_DIMS] = { 0 }, forth_offset;
    memcpy(wanted, strides, sizeof wanted);
    while (value->producer != NULL && hsi_is_view(value->producer)) {
        const hsi_op *view = value->producer;
        /* The views pass will go forwards, and has to arrive where we come from. */
        if (!hsi_view_strides_back(view, wanted, back) ||
            !hsi_view_strides(view, 0, back, &forth_offset, forth) ||
            !same_strides(value->rank, value->dims, forth, wanted))
            return 0;
        value = view->in[0];
        memcpy(wanted, back, sizeof wanted);
    }
    if (value->producer == NULL || value->in_joint || !suits(value, wanted))
        return 0;
    value->root = root;
    value->offset = offset;
    memcpy(value->strides, wanted, sizeof wanted);
    return 1;
}

/* Into a joint tensor, where it then stays. */
static int move(hsi_value *value, hsi_root *root, int64_t offset, const int64_t *strides)
{
    if (!hsi_move_owner(value, root, offset, strides))
        return 0;
    owner_of(value)->in_joint = 1;
    return 1;
}

static int64_t slice_step(const hsi_op *join, uint32_t input)
{
    if (join->kind != HSI_OP_CONCAT)
        return 0;
    return join->in[input]->dims[join->axis] * join->out->strides[join->axis];
}

/* Input `index` of the join is moved, or copied, to its slice at `offset`. */
static hsched_status place_input(hsi_ir *ir, hsi_op *join, uint32_t index, int64_t offset)
{
    hsi_value *value = join->in[index];
    const hsi_value *joint = join->out;
    if (!move(value, joint->root, offset, joint->strides)) {
        hsi_value *copy = hsi_ir_insert_copy(ir, join, value);
        if (copy == NULL)
            return hsi_ir_no_memory();
        copy->producer->position = join->position;
        copy->root = joint->root;
        copy->offset = offset;
        memcpy(copy->strides, joint->strides, sizeof copy->strides);
        copy->in_joint = 1;
        join->in[index] = copy;
    }
    if (value->joint == NULL && join->kind == HSI_OP_CONCAT) {
        value->joint = join;
        value->joint_position = index;
    }
    return HSCHED_OK;
}

/* ---- Concats that are part of a larger one -------------------------------- */

static int is_part_of(const hsi_op *concat, const hsi_op *larger, uint32_t first)
{
    if (larger == NULL || larger->axis != concat->axis ||
        larger->in_count - first < concat->in_count)
        return 0;
    for (uint32_t i = 0; i < concat->in_count; i++)
        if (larger->wanted[first + i] != concat->in[i])
            return 0;
    const hsi_value *small = concat->out, *joint = larger->out;
    int64_t pixel_stride;
    if (!small->channels_last)
        return !joint->channels_last;
    return hsi_is_nhwc(small->rank, small->dims, joint->strides, &pixel_stride);
}

static int share_larger(hsi_ir *ir, hsi_op *concat)
{
    const hsi_op *larger = concat->in[0]->joint;
    const uint32_t first = concat->in[0]->joint_position;
    if (!is_part_of(concat, larger, first))
        return 0;
    hsi_value *small = concat->out;
    const hsi_value *joint = larger->out;
    small->root = joint->root;
    small->offset = joint->offset;
    for (uint32_t i = 0; i < first; i++)
        small->offset += slice_step(larger, i);
    memcpy(small->strides, joint->strides, sizeof small->strides);
    small->in_joint = 1;
    for (uint32_t i = 0; i < concat->in_count; i++) {
        hsi_value *part = larger->in[first + i];
        hsi_op *copy = part->producer;
        if (part != concat->in[i] && copy->position > concat->position) {
            /* The copy is needed here already; what it copies is there. */
            hsi_ir_remove(ir, copy);
            hsi_ir_insert_before(ir, copy, concat);
            copy->position = concat->position;
        }
        concat->in[i] = part;
    }
    return 1;
}

static hsched_status place_join(hsi_ir *ir, hsi_op *join)
{
    join->wanted = HSI_POOL_ARRAY(&ir->temporary, hsi_value *, join->in_count);
    if (join->wanted == NULL)
        return hsi_ir_no_memory();
    memcpy(join->wanted, join->in, join->in_count * sizeof *join->in);
    if (join->kind == HSI_OP_CONCAT && !join->out->in_joint && share_larger(ir, join))
        return HSCHED_OK;
    hsched_status status = HSCHED_OK;
    int64_t offset = join->out->offset;
    for (uint32_t i = 0; i < join->in_count && status == HSCHED_OK; i++) {
        status = place_input(ir, join, i, offset);
        offset += slice_step(join, i);
    }
    return status;
}

hsched_status hsi_pass_concat(hsi_ir *ir)
{
    hsched_status status = HSCHED_OK;
    hsi_ir_number(ir);
    for (hsi_op *op = ir->last; op != NULL && status == HSCHED_OK; op = op->previous)
        if (op->kind == HSI_OP_CONCAT || op->kind == HSI_OP_OUTPUT)
            status = place_join(ir, op);
    return status;
}
