/* ROTARY: pairs of numbers turned by an angle. */
#include "backend/ref/ref.h"

#include <string.h>

void hsi_ref_rotary(const hsched_step *step, const void *const *inputs, void *out)
{
    const uint32_t axis = step->u.rotary.axis;
    int64_t dims[HSCHED_MAX_DIMS], index[HSCHED_MAX_DIMS] = { 0 };
    memcpy(dims, step->out.dims, sizeof dims);
    dims[axis] = 1;
    do {
        double v[3][2];
        for (int k = 0; k < 3; k++)
            for (int64_t i = 0; i < 2; i++)
                v[k][i] = (double)((
                    const float *)inputs[k])[hsi_ref_offset(&step->in[k], index) +
                                             i * step->in[k].strides[axis]];
        float *y = (float *)out + hsi_ref_offset(&step->out, index);
        y[0] = (float)(v[0][0] * v[1][0] - v[0][1] * v[2][0]);
        y[step->out.strides[axis]] = (float)(v[0][1] * v[1][1] + v[0][0] * v[2][1]);
    } while (hsi_ref_next(step->out.rank, dims, index));
}
