/* The plan itself: steps with the places of their operands, and the block of constants.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/tensor.h"

/* ---- Constants that steps read in place ----------------------------------- */

enum {
    ALIGNMENT = 64
};

static hsched_status place_constants(hsi_ir *ir)
{
    size_t total = 0;
    for (uint32_t s = 0; s < ir->step_count; s++) {
        const hsi_op *op = ir->steps[s];
        for (uint32_t i = 0; i < op->in_count; i++) {
            hsi_root *root = op->in[i] != NULL ? op->in[i]->root : NULL;
            if (root == NULL || root->storage != HSCHED_STORAGE_CONSTANT ||
                root->placed || hsi_is_packed(op->kind, i))
                continue;
            root->place = total;
            root->placed = 1;
            if (!hsi_add_size(total, root->bytes, &total) ||
                !hsi_round_up_size(total, ALIGNMENT, &total))
                return hsi_error(HSCHED_ERROR_LIMIT,
                                 "the model's constants are too large for this machine");
        }
    }
    ir->plan->constants_size = total;
    if (total == 0)
        return HSCHED_OK;
    ir->plan->constants = hsi_alloc_aligned(total);
    if (ir->plan->constants == NULL)
        return hsi_ir_no_memory();
    for (uint32_t s = 0; s < ir->step_count; s++) {
        const hsi_op *op = ir->steps[s];
        for (uint32_t i = 0; i < op->in_count; i++) {
            const hsi_root *root = op->in[i] != NULL ? op->in[i]->root : NULL;
            if (root != NULL && root->placed && !hsi_is_packed(op->kind, i))
                memcpy((char *)ir->plan->constants + root->place, root->data,
                       root->bytes);
        }
    }
    return HSCHED_OK;
}

/* ---- Steps ---------------------------------------------------------------- */

static hsched_place place_of(const hsi_value *value)
{
    hsi_root *root = hsi_standing_for(value->root);
    const int64_t bytes = value->offset * (int64_t)hsched_dtype_size(value->dtype);
    hsched_place place = { .storage = root->storage, .index = root->index };
    place.offset = (size_t)((int64_t)root->place + bytes);
    if (root->storage == HSCHED_STORAGE_ARENA) {
        place.root = root->place;
        place.root_bytes = root->bytes;
    }
    return place;
}

static hsched_status emit_writers(hsi_ir *ir, const hsi_op *op, hsi_plan_step *to)
{
    for (uint32_t i = 0; i < op->in_count; i++) {
        const hsi_value *x = op->in[i];
        if (x == NULL || x->writer_count == 0)
            continue;
        to->writers[i] = HSI_POOL_ARRAY(&ir->memory->keep, uint32_t, x->writer_count);
        if (to->writers[i] == NULL)
            return hsi_ir_no_memory();
        to->writer_count[i] = x->writer_count;
        for (uint32_t w = 0; w < x->writer_count; w++)
            to->writers[i][w] = x->writers[w]->step_index;
    }
    return HSCHED_OK;
}

/* An upper bound; backends lower it where their kernels want larger parts. */
static uint32_t parts_of(const hsi_ir *ir, const hsi_op *op)
{
    enum {
        PART_WORK =
            1 << 17, /* multiply-accumulates below which a part is not worth while */
        WORK_PER_ELEMENT = 8
    };
    size_t out, in = 0;
    if (!hsi_element_count(op->out->rank, op->out->dims, &out) ||
        !hsi_element_count(op->in[0]->rank, op->in[0]->dims, &in))
        return 1; /* not reached: own_root has checked it */
    uint64_t work = op->macs + (uint64_t)(in > out ? in : out) * WORK_PER_ELEMENT;
    uint64_t parts = work / PART_WORK;
    if (parts > ir->config->max_parts)
        parts = ir->config->max_parts;
    return parts > 1 ? (uint32_t)parts : 1;
}

static hsched_status emit_step(hsi_ir *ir, const hsi_op *op, hsi_plan_step *to)
{
    hsi_build_step(op, &to->step);
    char *name = hsi_pool_strdup(&ir->memory->keep, op->name);
    if (name == NULL)
        return hsi_ir_no_memory();
    to->step.name = name;
    to->step.parts = parts_of(ir, op);
    if (op->kind == HSCHED_STEP_CONV2D || op->kind == HSCHED_STEP_FC)
        while (to->step.input_count > 2 &&
               to->step.in[to->step.input_count - 1].dtype == HSCHED_DTYPE_NONE)
            to->step.input_count--;
    for (uint32_t i = 0; i < op->in_count; i++)
        if (op->in[i] != NULL && !hsi_is_packed(op->kind, i))
            to->in[i] = place_of(op->in[i]);
    to->out = place_of(op->out);
    to->section = op->section;
    to->tensor = op->tensor;
    return emit_writers(ir, op, to);
}

hsched_status hsi_pass_emit(hsi_ir *ir)
{
    hsi_plan *plan = ir->plan;
    hsched_status status = place_constants(ir);
    if (status != HSCHED_OK)
        return status;
    plan->steps = HSI_POOL_ARRAY(&ir->memory->keep, hsi_plan_step, ir->step_count);
    if (plan->steps == NULL)
        return hsi_ir_no_memory();
    for (uint32_t s = 0; s < ir->step_count && status == HSCHED_OK; s++) {
        status = emit_step(ir, ir->steps[s], &plan->steps[s]);
        plan->step_count = s + 1;
    }
    return status;
}
