/* Layers that were written as their formulas, as older exporters do, become what they are. */
#include "plan/recognise.h"

#include <math.h>
#include <string.h>

int hsi_is_number(const hsi_value *value, double *number)
{
    if (value->data == NULL || value->dtype != HSCHED_FLOAT32)
        return 0;
    for (uint32_t d = 0; d < value->rank; d++)
        if (value->dims[d] != 1)
            return 0;
    *number = (double)*(const float *)value->data;
    return 1;
}

int hsi_is_about(const hsi_value *value, double number)
{
    double given;
    const int narrow = fmod(number * 1024, 1) == 0;
    return hsi_is_number(value, &given) &&
           fabs(given - number) <= (narrow ? 0 : 2e-4 * fabs(number));
}

hsi_value *hsi_beside(const hsi_op *op, double number)
{
    for (int i = 0; i < 2; i++)
        if (hsi_is_about(op->in[i], number) && hsi_same_dims(op->in[1 - i], op->out))
            return op->in[1 - i];
    return NULL;
}

hsched_status hsi_replace(hsi_ir *ir, const hsi_formula *f, hsi_op *last, int kind,
                          uint32_t in_count, hsi_value *const *in)
{
    for (uint32_t i = 0; i < f->count; i++)
        hsi_ir_remove(ir, f->inner[i]);
    last->kind = kind;
    last->in_count = in_count;
    memcpy(last->in, in, in_count * sizeof *in);
    memset(&last->step, 0, sizeof last->step);
    return hsi_ir_link_users(ir);
}

hsched_status hsi_pass_recognise(hsi_ir *ir)
{
    hsched_status status = hsi_ir_link_users(ir);
    hsi_op *next;
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = next) {
        next = op->next; /* what goes stands before */
        status = hsi_recognise_norm(ir, op);
        if (status == HSCHED_OK)
            status = hsi_recognise_activation(ir, op);
        if (status == HSCHED_OK && !(ir->config->without >> HSCHED_STEP_ROTARY & 1))
            status = hsi_recognise_rotary(ir, op);
    }
    return status;
}
