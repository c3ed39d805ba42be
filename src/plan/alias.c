/*
 * Steps in place: the output takes over the memory of an input that nobody needs any
 * more. An output root so merged stands for the input's root from then on.
 */
#include "plan/passes.h"

#include <string.h>

hsi_root *hsi_standing_for(hsi_root *root)
{
    return root->merged != NULL ? root->merged : root; /* never a merged one itself */
}

/* Have all others that touch the root come to an end when `op` begins? It is enough to
 * ask the last one merged into it: all before it ended when that one's only writer began.
 * With preserve_section_inputs, moreover, only what op's own section has made may be
 * overwritten. */
static int may_overwrite(const hsi_ir *ir, const hsi_root *root, const hsi_op *op)
{
    if (root->latest != NULL)
        root = root->latest;
    for (uint32_t w = 0; w < root->writer_count; w++)
        if (root->writers[w] == op || !hsi_comes_before(ir, root->writers[w], op) ||
            (ir->config->preserve_section_inputs &&
             root->writers[w]->section != op->section))
            return 0;
    for (uint32_t r = 0; r < root->reader_count; r++)
        if (root->readers[r] != op && !hsi_comes_before(ir, root->readers[r], op))
            return 0;
    return 1;
}

/* Every operand in that memory must be read where, and only where, the step writes at the
 * time: the same elements at the same places; and only kinds that go element by element
 * read it twice. */
static int reads_only_what_it_writes(const hsi_op *op, uint32_t index,
                                     const hsi_root *root)
{
    const hsi_value *x = op->in[index];
    for (uint32_t i = 0; i < op->in_count; i++) {
        const hsi_value *other = op->in[i];
        if (i == index || other == NULL || hsi_standing_for(other->root) != root)
            continue;
        if (op->kind == HSCHED_STEP_CONV2D || op->kind == HSCHED_STEP_SEPARABLE_CONV2D ||
            op->kind == HSCHED_STEP_SCATTER || !hsi_same_dims(other, x) ||
            !hsi_same_place(other, x->root, x->offset, x->strides))
            return 0;
    }
    return 1;
}

static int can_alias(const hsi_ir *ir, const hsi_op *op, uint32_t index)
{
    const hsi_value *x = op->in[index], *y = op->out;
    if (x == NULL || x->root->storage != HSCHED_STORAGE_ARENA ||
        y->root->storage != HSCHED_STORAGE_ARENA || x->dtype != y->dtype ||
        !hsi_same_dims(x, y))
        return 0;
    const hsi_root *root = hsi_standing_for(x->root);
    /* All of x's root becomes all of y's, which this step alone writes. */
    return y->root->writer_count == 1 && y->root->merged == NULL &&
           root->bytes == y->root->bytes && x->offset == 0 && y->offset == 0 &&
           hsi_same_place(x, x->root, y->offset, y->strides) &&
           reads_only_what_it_writes(op, index, root) && may_overwrite(ir, root, op);
}

void hsi_pass_alias(hsi_ir *ir)
{
    for (uint32_t s = 0; s < ir->step_count; s++) {
        hsi_op *op = ir->steps[s];
        uint32_t first = 0, end = 0;
        if (op->kind == HSCHED_STEP_CONV2D && op->in_count == 4)
            first = 3, end = 4;
        else if (op->kind == HSCHED_STEP_SEPARABLE_CONV2D)
            first = 5, end = 6;
        else if (op->kind == HSCHED_STEP_SCATTER || op->kind == HSCHED_STEP_ROTARY)
            end = 1;
        else if (op->kind == HSCHED_STEP_UNARY || op->kind == HSCHED_STEP_BINARY ||
                 op->kind == HSCHED_STEP_WHERE)
            end = op->in_count;
        for (uint32_t i = first; i < end && op->out_aliases < 0; i++) {
            if (!can_alias(ir, op, i))
                continue;
            op->out_aliases = (int)i;
            hsi_root *base = hsi_standing_for(op->in[i]->root);
            op->out->root->merged = base;
            base->latest = op->out->root;
        }
    }
}
