#include "worker/share.h"

#include "sched/objective.h"

#define LEAST_SLOPE 1e-3

static uint32_t fill_of(const hsi_queue *q, const hsi_flight *f)
{
    const double fill = hsi_objective_fill(f->jobs[0]->run->model, q->device, f->count);
    return fill * HSI_QUEUE_FULL > 1 ? (uint32_t)(fill * HSI_QUEUE_FULL) : 1;
}

/*
 * By how much more each job like this one slows the others down: stretch = 1 + slope (jobs - 1),
 * through what all lanes full of them do. Where one leaves nothing, it is 1; where there is room
 * for all of them, as good as 0.
 */
static double slope_of(const hsi_queue *q, uint32_t fill)
{
    const double most = q->lanes > 1 ? q->lanes : 2,
                 stretch = most * fill / HSI_QUEUE_FULL,
                 slope = (stretch - 1) / (most - 1);
    return slope > LEAST_SLOPE ? slope : LEAST_SLOPE;
}

static int is_there(const hsi_flight *f)
{
    return f->state == HSI_FLIGHT_RUNNING || f->state == HSI_FLIGHT_ENDING;
}

/* As many jobs like this one as take up what all do, so long as it goes on like this. What a
 * model leaves of the device is of use to its own jobs, and half of it to others': their large
 * kernels stand in the way of small ones. */
static double jobs_like(const hsi_queue *q, const hsi_flight *f)
{
    double filled = 0;
    for (uint32_t lane = 0; lane < q->lanes; lane++) {
        const hsi_flight *other = &q->flights[lane];
        if (!is_there(other))
            continue;
        const int same = other->jobs[0]->run->model == f->jobs[0]->run->model;
        filled += same ? other->fill : (other->fill + HSI_QUEUE_FULL) / 2.0;
    }
    return filled > f->fill ? filled / f->fill : 1;
}

void hsi_share_count(hsi_queue *q, uint64_t now_ns)
{
    if (now_ns <= q->counted_ns)
        return;
    const double passed = (double)(now_ns - q->counted_ns);
    q->counted_ns = now_ns;
    for (uint32_t lane = 0; q->running > 0 && lane < q->lanes; lane++) {
        hsi_flight *f = &q->flights[lane];
        if (is_there(f))
            f->progress_ns += passed / (1 + f->slope * (jobs_like(q, f) - 1));
    }
}

double hsi_share_at_once(const hsi_flight *f, uint64_t now_ns)
{
    const double took = now_ns > f->started_ns ? (double)(now_ns - f->started_ns) : 0;
    return took > f->progress_ns && f->progress_ns > 0
               ? 1 + (took / f->progress_ns - 1) / f->slope
               : 1;
}

void hsi_share_begin(hsi_queue *q, hsi_flight *f, uint64_t now_ns)
{
    hsi_share_count(q, now_ns);
    f->fill = fill_of(q, f);
    f->slope = slope_of(q, f->fill);
    f->progress_ns = (double)(now_ns - f->started_ns);
}
