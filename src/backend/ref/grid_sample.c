/* GRID_SAMPLE: every element is a sum over the taps of all axes. */
#include "backend/ref/ref.h"

#include "backend/grid.h"

/* The sum for one channel, which begins at x. */
static double blend(const hsched_step *step, const hsi_grid_place *places,
                    uint32_t spatial, const float *x)
{
    const int taps = hsi_grid_taps(step->u.grid_sample.mode);
    int64_t counts[3] = { taps, taps, taps }, tap[3] = { 0 };
    double sum = 0;
    do {
        int64_t from = 0;
        double weight = 1;
        for (uint32_t d = 0; d < spatial; d++) {
            from += places[d].index[tap[d]] * step->in[0].strides[2 + d];
            weight *= places[d].weight[tap[d]];
        }
        if (weight != 0)
            sum += weight * x[from];
    } while (hsi_ref_next(spatial, counts, tap));
    return sum;
}

void hsi_ref_grid_sample(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *x = &step->in[0], *grid = &step->in[1], *y = &step->out;
    const uint32_t spatial = y->rank - 2;
    const hsi_grid_way way = hsi_grid_way_of(step);
    int64_t at[HSCHED_MAX_DIMS] = { 0 };
    do {
        hsi_grid_place places[3];
        int64_t point = at[0] * grid->strides[0];
        for (uint32_t d = 0; d < spatial; d++)
            point += at[2 + d] * grid->strides[1 + d];
        for (uint32_t d = 0; d < spatial; d++) /* they are given last axis first */
            hsi_grid_at(
                &way, hsi_grid_taps(step->u.grid_sample.mode),
                ((const float *)
                     inputs[1])[point + (spatial - 1 - d) * grid->strides[spatial + 1]],
                x->dims[2 + d], &places[d]);
        const float *channel =
            (const float *)inputs[0] + at[0] * x->strides[0] + at[1] * x->strides[1];
        ((float *)out)[hsi_ref_offset(y, at)] =
            (float)blend(step, places, spatial, channel);
    } while (hsi_ref_next(y->rank, y->dims, at));
}
