#include "sched/policy_cost.h"

#include "sched/objective.h"

#define MUST_GAIN 0.9 /* of what a choice is worth, to change one that was begun */

static int is_possible(const hsi_place_query *q, uint32_t choice)
{
    const uint32_t all = (1u << q->device_count) - 1;
    return !(q->model->choices->list[choice].uses & all & ~q->available);
}

static int is_better(const hsi_worth *a, const hsi_worth *b)
{
    return a->late != b->late ? a->late < b->late : a->value < b->value;
}

static void choose(const hsi_place_query *q, hsi_core_run *run)
{
    const hsi_choices *c = q->model->choices;
    if (!c || c->count == 0)
        return;
    const int begun = run->sections_left < q->model->section_count || run->jobs_out > 0;
    uint32_t best = 0;
    int any = 0;
    hsi_worth least = { 0 };
    if (begun && run->choice < c->count && is_possible(q, run->choice)) {
        best = run->choice;
        least = hsi_objective_worth(q, run, best, begun);
        least.value *= MUST_GAIN;
        any = 1;
    }
    for (uint32_t k = 0; k < c->count; k++) {
        if (!is_possible(q, k))
            continue;
        const hsi_worth worth = hsi_objective_worth(q, run, k, begun);
        if (!any || is_better(&worth, &least)) {
            best = k;
            least = worth;
            any = 1;
        }
    }
    run->choice = (uint8_t)best;
    for (uint32_t d = 0; d < c->device_count; d++)
        run->work_us[d] = (float)hsi_objective_work_us(q, best, d);
}

static uint32_t place(const hsi_place_query *q)
{
    const hsi_choices *c = q->model->choices;
    if (!c || c->count == 0 || !q->run)
        return hsi_policy_gpu_only.place(q);
    const uint32_t choice = q->run->choice < c->count ? q->run->choice : 0;
    const uint32_t device = c->list[choice].devices[q->section];
    return q->device_mask >> device & 1 ? device : 0;
}

static int cut(uint32_t class_before, uint32_t class_after)
{
    (void)class_before;
    (void)class_after;
    return 0;
}

const hsi_policy hsi_policy_cost = {
    .name = "cost",
    .anywhere = 1,
    .place = place,
    .choose = choose,
    .cut = cut,
};
