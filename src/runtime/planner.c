#include "runtime/planner.h"

#include <hsched/experimental.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "plan/describe.h"

/*
 * Handing a tensor over, until it is measured: the time of a small one as `make bench-gpu
 * PART=crossing` finds it, and what a 16-lane PCIe 4 link carries. Devices that work in the host's
 * memory take it over by address.
 */
#define CROSSING_US        5.0
#define CROSSING_US_A_BYTE (1 / 25e3)
#define NEAR_US            1.0
enum {
    LEARN_MOST = 1 << 20 /* jobs between two plans */
};
/* What one more joined run costs, of one alone, until batches are measured or observed; on an H100
 * it is 0.15 to 0.2 for networks of ImageNet's size, with eight and more of them. */
#define JOINED_SHARE 0.3
/* Starting a job on a queue, where sections do not tell. */
#define LAUNCH_US 8.0
/* Work for a share of a known whole: so many operations weigh as much as a byte. */
#define FLOPS_A_BYTE 10.0

typedef struct making {
    const hsched_model *model;
    uint32_t sections, devices;
    double *us; /* [section * devices + device] */
    double job_us[HSI_MAX_DEVICES];
    double run_us[HSI_MAX_DEVICES]; /* the whole model there; 0: unknown */
    uint32_t cannot;                /* devices whose times are not known */
    hsi_cost_source source;
} making;

/* ---- Times (under the table's lock) ----------------------------------------- */

static hsi_cost look_up(const making *m, hsi_cost_unit unit, uint32_t index,
                        uint32_t device, uint32_t batch, uint32_t workers)
{
    hsi_cost_key key = hsi_costs_key(m->model, unit, index, device);
    const hsi_cost_work work = hsi_costs_work(m->model, unit, index);
    hsi_cost cost;
    key.batch = batch;
    key.workers = workers;
    hsi_cost_table_find(m->model->runtime->costs.table, &key, 1, &work, &cost);
    return cost;
}

static int has_section(const making *m, uint32_t section, uint32_t device)
{
    return m->model->core_sections[section].device_mask >> device & 1;
}

double hsi_planner_weight(const hsched_model *model, uint32_t section)
{
    const hsi_cost_work work = hsi_costs_work(model, HSI_COST_SECTION, section);
    return 1 + work.flops / FLOPS_A_BYTE + work.bytes;
}

/* Each section of its own: the sum, or -1 if some were never measured or seen. */
static double find_sections(making *m, uint32_t device, uint32_t *count)
{
    double sum = 0;
    *count = 0;
    for (uint32_t s = 0; s < m->sections; s++) {
        if (!has_section(m, s, device))
            continue;
        const hsi_cost cost = look_up(m, HSI_COST_SECTION, s, device, 1, 1);
        if (cost.source < HSI_COST_INTERPOLATED)
            return -1;
        if (cost.source < m->source)
            m->source = cost.source;
        m->us[s * m->devices + device] = cost.us;
        sum += cost.us;
        ++*count;
    }
    return sum;
}

/* Sections that were measured as jobs of their own have a launch in them each. */
static void take_launches_out(making *m, uint32_t device, double sum, uint32_t count)
{
    double launch = m->run_us[device] > 0 && count > 1
                        ? (sum - m->run_us[device]) / (count - 1)
                        : LAUNCH_US;
    if (launch < 0)
        launch = 0;
    for (uint32_t s = 0; s < m->sections; s++) {
        double *us = &m->us[s * m->devices + device];
        if (has_section(m, s, device))
            *us = *us - launch > *us / 10 ? *us - launch : *us / 10;
    }
    m->job_us[device] = launch;
}

/* Scales what sections weigh to what a run is known to take. */
static void share_out(making *m, uint32_t device, double total, int by_work)
{
    double sum = 0;
    for (uint32_t s = 0; s < m->sections; s++) {
        double *us = &m->us[s * m->devices + device];
        if (by_work)
            *us = hsi_planner_weight(m->model, s);
        sum += *us;
    }
    for (uint32_t s = 0; s < m->sections && sum > 0; s++)
        m->us[s * m->devices + device] *= total / sum;
}

static void find_times(making *m, uint32_t device)
{
    const int queue = m->model->runtime->devices[device].has_queue;
    uint32_t count, all = 1;
    for (uint32_t s = 0; s < m->sections; s++)
        all &= (uint32_t)has_section(m, s, device);
    const hsi_cost run = look_up(m, HSI_COST_RUN, 0, device, 1, 1);
    if (all && run.source >= HSI_COST_INTERPOLATED)
        m->run_us[device] = run.us;
    const double sum = find_sections(m, device, &count);
    const int known = sum >= 0;
    if (!known && !(m->run_us[device] > 0)) {
        m->cannot |= 1u << device;
        return;
    }
    if (known && queue)
        take_launches_out(m, device, sum, count);
    /* The CPU's jobs are its sections: they are what is corrected. */
    if (m->run_us[device] > 0 && (queue || !known)) {
        const double jobs = m->run_us[device] - m->job_us[device];
        share_out(m, device, jobs > 0 ? jobs : m->run_us[device], !known);
        if (run.source < m->source)
            m->source = run.source;
    }
}

/* What joined runs and teams of CPU workers gain. */
static void find_sizes(const making *m, hsi_choices *c)
{
    for (uint32_t d = 1; d < m->devices; d++)
        for (uint32_t k = 0; k < HSI_CHOICE_SIZES && m->run_us[d] > 0; k++) {
            const hsi_cost cost = look_up(m, HSI_COST_RUN, 0, d, 1u << k, 1);
            if (cost.source < HSI_COST_INTERPOLATED)
                break;
            c->batch_us[d][k] = (float)cost.us;
            c->batch_count[d] = k + 1;
        }
    for (uint32_t d = 1; d < m->devices && m->model->batch_queues; d++)
        for (uint32_t k = c->batch_count[d];
             k < HSI_CHOICE_SIZES && m->run_us[d] > 0 && 1u << k <= m->model->max_batch;
             k++) {
            c->batch_us[d][k] =
                k == 0 ? (float)m->run_us[d]
                       : c->batch_us[d][k - 1] +
                             (float)(m->run_us[d] * JOINED_SHARE * (1u << (k - 1)));
            c->batch_count[d] = k + 1;
        }
    for (uint32_t k = 0; k < HSI_CHOICE_SIZES && m->run_us[0] > 0; k++) {
        const hsi_cost cost = look_up(m, HSI_COST_RUN, 0, 0, 1, 1u << k);
        if (cost.source < HSI_COST_INTERPOLATED ||
            1u << k > m->model->runtime->workers[0])
            break;
        c->team[k] = (float)(cost.us / m->run_us[0]);
        c->team_count = k + 1;
    }
}

/* ---- The problem ------------------------------------------------------------- */

static void add_ios(const hsi_plan *plan, uint32_t s, hsi_placement_section *p)
{
    const hsi_plan_section *section = &plan->sections[s];
    for (uint32_t i = section->first_step; i < section->first_step + section->step_count;
         i++) {
        const hsi_plan_step *step = &plan->steps[i];
        for (uint32_t k = 0; k < step->step.input_count; k++)
            if (step->in[k].storage == HSCHED_STORAGE_INPUT)
                p->input_bytes += plan->inputs[step->in[k].index].byte_size;
        if (step->out.storage == HSCHED_STORAGE_OUTPUT)
            p->output_bytes += plan->outputs[step->out.index].byte_size;
    }
}

static hsi_placement_link link_between(const hsched_runtime *rt, uint32_t from,
                                       uint32_t to)
{
    if (from == to)
        return (hsi_placement_link){ 0 };
    if (!rt->devices[from].has_queue && !rt->devices[to].has_queue)
        return (hsi_placement_link){ NEAR_US, 0 };
    return (hsi_placement_link){ CROSSING_US, CROSSING_US_A_BYTE };
}

static uint32_t without(uint32_t mask, uint32_t unknown)
{
    return (mask & ~unknown) | 1;
}

/* `read_by`: step_count zeros. */
static void describe(const making *m, hsi_placement_problem *problem,
                     hsi_placement_section *sections, uint64_t *dep_bytes,
                     uint32_t *read_by)
{
    const hsched_runtime *rt = m->model->runtime;
    const hsi_plan *plan = m->model->plan;
    *problem = (hsi_placement_problem){ .section_count = m->sections,
                                        .device_count = m->devices,
                                        .sections = sections,
                                        .us = m->us };
    for (uint32_t s = 0; s < m->sections; s++) {
        const hsi_plan_section *section = &plan->sections[s];
        sections[s] = (hsi_placement_section){
            .device_mask = without(m->model->core_sections[s].device_mask, m->cannot),
            .dep_count = section->dep_count,
            .deps = section->deps,
            .dep_bytes = dep_bytes,
        };
        for (uint32_t i = 0; i < section->dep_count; i++)
            *dep_bytes++ = hsi_plan_crossing_bytes(plan, section->deps[i], s, read_by);
        add_ios(plan, s, &sections[s]);
    }
    for (uint32_t d = 0; d < m->devices; d++) {
        problem->job_us[d] = m->job_us[d];
        problem->workers[d] = rt->workers[d];
        problem->weight[d] = 1;
        for (uint32_t to = 0; to < m->devices; to++)
            problem->links[d][to] = link_between(rt, d, to);
    }
}

/* ---- The choices --------------------------------------------------------------- */

static void free_planned(hsi_planned *planned)
{
    if (!planned)
        return;
    hsi_choices_clear(&planned->chosen);
    hsi_free(planned);
}

/* Nothing known of the CPU, or of any other device: then there is nothing to choose. */
static int is_known(const making *m)
{
    const uint32_t others = ((1u << m->devices) - 1) & ~1u;
    return !(m->cannot & 1) && (m->cannot & others) != others;
}

static hsched_status make(making *m, hsi_planned *made)
{
    const hsi_plan *plan = m->model->plan;
    hsched_runtime *rt = m->model->runtime;
    hsi_placement_problem problem;
    size_t deps = 0;
    for (uint32_t s = 0; s < m->sections; s++)
        deps += plan->sections[s].dep_count;
    hsi_placement_section *sections = HSI_NEW_ARRAY(hsi_placement_section, m->sections);
    uint64_t *dep_bytes = HSI_NEW_ARRAY(uint64_t, deps + 1);
    uint32_t *read_by = HSI_NEW_ARRAY(uint32_t, plan->step_count);
    m->us = HSI_NEW_ARRAY(double, (size_t)m->sections * m->devices);
    hsched_status status = HSCHED_OK;
    if (!sections || !dep_bytes || !read_by || !m->us)
        status = hsi_out_of_memory("a model's costs");
    if (status == HSCHED_OK) {
        pthread_mutex_lock(&rt->costs.mutex);
        for (uint32_t d = 0; d < m->devices; d++)
            find_times(m, d);
        find_sizes(m, &made->chosen.choices);
        pthread_mutex_unlock(&rt->costs.mutex);
        made->source = m->source;
        if (is_known(m)) {
            describe(m, &problem, sections, dep_bytes, read_by);
            status = hsi_choices_make(&problem, &made->chosen);
        }
    }
    hsi_free(sections);
    hsi_free(dep_bytes);
    hsi_free(read_by);
    hsi_free(m->us);
    return status;
}

hsched_status hsi_planner_plan(hsched_model *model)
{
    hsched_runtime *rt = model->runtime;
    making m = { .model = model,
                 .sections = model->plan->section_count,
                 .devices = rt->device_count,
                 .source = HSI_COST_MEASURED };
    hsi_planned *made = HSI_NEW(hsi_planned);
    if (!made)
        return hsi_out_of_memory("a model's choices");
    hsched_status status = make(&m, made);
    if (status != HSCHED_OK) {
        free_planned(made);
        return status;
    }
    hsi_log(HSCHED_LOG_DEBUG, "model '%s': %u placements to choose from (%s)",
            model->name, made->chosen.choices.count,
            hsched_cost_source_name((hsched_cost_source)made->source));
    pthread_mutex_lock(&rt->pool->lock);
    hsi_planned *old = model->planned;
    model->planned = made;
    model->core.choices = &made->chosen.choices;
    pthread_mutex_unlock(&rt->pool->lock);
    free_planned(old);
    return HSCHED_OK;
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
    free_planned(model->planned);
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
