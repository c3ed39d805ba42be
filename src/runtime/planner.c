#include "runtime/planner.h"

#include <hsched/experimental.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "runtime/placing.h"

enum {
    LEARN_MOST = 1 << 20 /* jobs between two plans */
};

/* ---- The choices --------------------------------------------------------------- */

/* The scheduler and explanations refer to the choices: they go with the last of these. */
void hsi_planned_release(hsi_planned *planned)
{
    if (!planned ||
        atomic_fetch_sub_explicit(&planned->references, 1, memory_order_acq_rel) != 1)
        return;
    hsi_choices_clear(&planned->chosen);
    hsi_free(planned);
}

hsi_planned *hsi_planner_get(hsched_model *model)
{
    hsched_runtime *rt = model->runtime;
    pthread_mutex_lock(&rt->pool->lock);
    hsi_planned *planned = model->planned;
    if (planned)
        atomic_fetch_add_explicit(&planned->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&rt->pool->lock);
    return planned;
}

static hsched_status make(const hsched_model *model, hsi_planned *made)
{
    hsi_placing placing;
    hsched_status status = hsi_placing_make(model, &placing, &made->chosen.choices);
    if (status != HSCHED_OK)
        return status;
    made->source = placing.source;
    made->number = placing.number;
    if (hsi_placing_is_known(&placing))
        status = hsi_choices_make(&placing.problem, &made->chosen);
    hsi_placing_clear(&placing);
    return status;
}

hsched_status hsi_planner_make(const hsched_model *model, hsi_planned **planned)
{
    hsi_planned *made = *planned = HSI_NEW(hsi_planned);
    if (!made)
        return hsi_out_of_memory("a model's choices");
    atomic_init(&made->references, 1);
    hsched_status status = make(model, made);
    if (status == HSCHED_OK) {
        hsi_log(HSCHED_LOG_DEBUG, "model '%s': %u placements to choose from (%s)",
                model->name, made->chosen.choices.count,
                hsched_cost_source_name((hsched_cost_source)made->source));
        return HSCHED_OK;
    }
    hsi_planned_release(made);
    *planned = NULL;
    return status;
}

void hsi_planner_install(hsched_model *model, hsi_planned *made)
{
    hsched_runtime *rt = model->runtime;
    pthread_mutex_lock(&rt->pool->lock);
    hsi_planned *old = model->planned;
    if (old && old->number > made->number) {
        old = made; /* whoever made that one began later, and was done before */
    } else {
        model->planned = made;
        model->core.choices = &made->chosen.choices;
    }
    pthread_mutex_unlock(&rt->pool->lock);
    hsi_planned_release(old);
}

hsched_status hsi_planner_plan(hsched_model *model)
{
    hsi_planned *made;
    hsched_status status = hsi_planner_make(model, &made);
    if (status == HSCHED_OK)
        hsi_planner_install(model, made);
    return status;
}

/* ---- Models that are planned --------------------------------------------------- */

hsched_status hsi_planner_admit(hsched_model *model)
{
    hsched_runtime *rt = model->runtime;
    if (!model->core.policy->choose)
        return HSCHED_OK;
    hsched_status status = hsi_costs_load(rt);
    if (status == HSCHED_OK)
        status = hsi_planner_plan(model);
    if (status != HSCHED_OK)
        return status;
    if (model->planned->chosen.choices.count == 0 && rt->device_count > 1)
        hsi_log(
            HSCHED_LOG_INFO,
            "model '%s': what its layers take on the CPU and elsewhere is not known; it "
            "goes to an accelerator as a whole until `hsched profile` or "
            "hsched_model_profile has measured it",
            model->name);
    pthread_mutex_lock(&rt->pool->lock);
    model->next_planned = rt->planned_models;
    rt->planned_models = model;
    hsi_observe_refresh(rt, 0);
    hsi_worker_pool_after_events(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
    return HSCHED_OK;
}

void hsi_planner_dismiss(hsched_model *model)
{
    hsched_runtime *rt = model->runtime;
    pthread_mutex_lock(&rt->pool->lock);
    for (hsched_model **at = &rt->planned_models; *at; at = &(*at)->next_planned)
        if (*at == model) {
            *at = model->next_planned;
            break;
        }
    pthread_mutex_unlock(&rt->pool->lock);
    hsi_planned_release(model->planned);
    model->planned = NULL;
}

/* Not if it is being destroyed. */
static int retain_living(hsched_model *model)
{
    int references = atomic_load_explicit(&model->references, memory_order_relaxed);
    while (references > 0)
        if (atomic_compare_exchange_weak_explicit(&model->references, &references,
                                                  references + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return 1;
    return 0;
}

int hsi_planner_work(hsched_runtime *rt)
{
    pthread_mutex_lock(&rt->pool->lock);
    hsched_model *model = rt->planned_models;
    while (model && !(model->learnt >= model->learn_until && retain_living(model)))
        model = model->next_planned;
    if (model) {
        model->learnt = 0;
        model->learn_until *= model->learn_until < LEARN_MOST ? 2 : 1;
    }
    pthread_mutex_unlock(&rt->pool->lock);
    if (!model)
        return 0;
    if (hsi_planner_plan(model) != HSCHED_OK)
        hsi_log(HSCHED_LOG_WARNING, "model '%s' could not be planned anew: %s",
                model->name, hsched_error_detail());
    hsched_model_release(model);
    return 1;
}
