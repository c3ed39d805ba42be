#include "runtime/placing.h"

#include "base/alloc.h"
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
/* What one more joined run costs, of one alone, until batches are measured or observed; on an H100
 * it is 0.15 to 0.2 for networks of ImageNet's size, with eight and more of them. */
#define JOINED_SHARE 0.3
/* Starting a job on a queue, where sections do not tell. */
#define LAUNCH_US 8.0
/* Work for a share of a known whole: so many operations weigh as much as a byte. */
#define FLOPS_A_BYTE 10.0

typedef struct making {
    const hsched_model *model;
    hsi_placing *made;
    uint32_t sections, devices;
} making;

/* ---- Links -------------------------------------------------------------------- */

static hsi_placement_link link_between(const hsched_runtime *rt, uint32_t from,
                                       uint32_t to)
{
    if (from == to)
        return (hsi_placement_link){ 0 };
    if (!rt->devices[from].has_queue && !rt->devices[to].has_queue)
        return (hsi_placement_link){ NEAR_US, 0 };
    return (hsi_placement_link){ CROSSING_US, CROSSING_US_A_BYTE };
}

static double pass_us(const hsi_placement_link *link, uint64_t bytes)
{
    return bytes > 0 ? link->us + link->us_per_byte * (double)bytes : 0;
}

/* ---- Times (under the table's lock) ----------------------------------------- */

hsi_cost hsi_placing_look_up(const hsched_model *model, hsi_cost_unit unit,
                             uint32_t index, uint32_t device, uint32_t batch,
                             uint32_t workers)
{
    hsi_cost_key key = hsi_costs_key(model, unit, index, device);
    const hsi_cost_work work = hsi_costs_work(model, unit, index);
    hsi_cost cost;
    key.batch = batch;
    key.workers = workers;
    hsi_cost_table_find(model->runtime->costs.table, &key, 1, &work, &cost);
    return cost;
}

static int has_section(const making *m, uint32_t section, uint32_t device)
{
    return m->model->core_sections[section].device_mask >> device & 1;
}

double hsi_placing_weight(const hsched_model *model, uint32_t first_step,
                          uint32_t step_count)
{
    const hsi_cost_work work = hsi_plan_work(model->plan, first_step, step_count);
    return 1 + work.flops / FLOPS_A_BYTE + work.bytes;
}

static double weight_of(const making *m, uint32_t section)
{
    const hsi_plan_section *s = &m->model->plan->sections[section];
    return hsi_placing_weight(m->model, s->first_step, s->step_count);
}

static size_t at(const making *m, uint32_t section, uint32_t device)
{
    return (size_t)section * m->devices + device;
}

/* Each section of its own: the sum, or -1 if some were never measured or seen. */
static double find_sections(making *m, uint32_t device, uint32_t *count,
                            hsi_cost_source *worst)
{
    double sum = 0;
    int known = 1;
    *count = 0;
    *worst = HSI_COST_MEASURED;
    for (uint32_t s = 0; s < m->sections; s++) {
        if (!has_section(m, s, device))
            continue;
        const hsi_cost cost =
            hsi_placing_look_up(m->model, HSI_COST_SECTION, s, device, 1, 1);
        known &= cost.source >= HSI_COST_INTERPOLATED;
        if (cost.source < *worst)
            *worst = cost.source;
        m->made->us[at(m, s, device)] = cost.us;
        m->made->sources[at(m, s, device)] = cost.source;
        sum += cost.us;
        ++*count;
    }
    return known ? sum : -1;
}

/* Sections that were measured as jobs of their own have a launch in them each. A whole run has one:
 * half of it is work at least. */
static void take_launches_out(making *m, uint32_t device, double sum, uint32_t count)
{
    const double run_us = m->made->run_us[device];
    double launch = run_us > 0 && count > 1 ? (sum - run_us) / (count - 1) : LAUNCH_US;
    if (launch < 0)
        launch = 0;
    if (run_us > 0 && launch > run_us / 2)
        launch = run_us / 2;
    for (uint32_t s = 0; s < m->sections; s++) {
        double *us = &m->made->us[at(m, s, device)];
        if (has_section(m, s, device))
            *us = *us - launch > *us / 10 ? *us - launch : *us / 10;
    }
    m->made->problem.job_us[device] = launch;
}

/* Limits how well the device's times are known. */
static void limit_sources(making *m, uint32_t device, hsi_cost_source most)
{
    for (uint32_t s = 0; s < m->sections; s++) {
        hsi_cost_source *source = &m->made->sources[at(m, s, device)];
        if (*source > most)
            *source = most;
    }
}

/* Scales the sections to what they are known to take together. */
static void share_out(making *m, uint32_t device, double total)
{
    double sum = 0;
    for (uint32_t s = 0; s < m->sections; s++)
        sum += m->made->us[at(m, s, device)];
    for (uint32_t s = 0; s < m->sections && sum > 0; s++)
        m->made->us[at(m, s, device)] *= total / sum;
}

/* What it takes to pass the model's inputs and outputs that the section reads and writes. */
static double io_us(const making *m, uint32_t section, uint32_t device)
{
    const hsched_runtime *rt = m->model->runtime;
    const hsi_placement_link there = link_between(rt, 0, device),
                             back = link_between(rt, device, 0);
    uint64_t input_bytes, output_bytes;
    hsi_plan_io_bytes(m->model->plan, section, &input_bytes, &output_bytes);
    return pass_us(&there, input_bytes) + pass_us(&back, output_bytes);
}

/* Where the time of all together alone is known: by the sections' work, but for the passing of
 * inputs and outputs, which is where they are read and written. That is not measured, so it
 * gets half of the time at most. */
static void share_by_work(making *m, uint32_t device, double total)
{
    double io = 0;
    for (uint32_t s = 0; s < m->sections; s++) {
        m->made->us[at(m, s, device)] = weight_of(m, s);
        m->made->sources[at(m, s, device)] = HSI_COST_ESTIMATED;
        io += io_us(m, s, device);
    }
    const double scale = io > total / 2 ? total / 2 / io : 1;
    share_out(m, device, total - scale * io);
    for (uint32_t s = 0; s < m->sections; s++)
        m->made->us[at(m, s, device)] += scale * io_us(m, s, device);
}

static void find_times(making *m, uint32_t device)
{
    hsi_placing *p = m->made;
    const int queue = m->model->runtime->devices[device].has_queue;
    uint32_t count, all = 1;
    hsi_cost_source worst;
    for (uint32_t s = 0; s < m->sections; s++)
        all &= (uint32_t)has_section(m, s, device);
    const hsi_cost run = hsi_placing_look_up(m->model, HSI_COST_RUN, 0, device, 1, 1);
    if (all && run.source >= HSI_COST_INTERPOLATED) {
        p->run_us[device] = run.us;
        p->run_source[device] = run.source;
    }
    const double sum = find_sections(m, device, &count, &worst);
    const int known = sum >= 0;
    if (!known && !(p->run_us[device] > 0)) {
        p->unknown |= 1u << device;
        return;
    }
    if (known && worst < p->source)
        p->source = worst;
    if (known && queue)
        take_launches_out(m, device, sum, count);
    /* The CPU's jobs are its sections: they are what is corrected. */
    if (p->run_us[device] > 0 && (queue || !known)) {
        const double jobs = p->run_us[device] - p->problem.job_us[device];
        if (known)
            share_out(m, device, jobs);
        else
            share_by_work(m, device, jobs);
        limit_sources(m, device, run.source);
        if (run.source < p->source)
            p->source = run.source;
    }
}

/* 0: not known. */
static float fill_of(const making *m, uint32_t device, uint32_t batch)
{
    const hsched_runtime *rt = m->model->runtime;
    hsi_cost_key key = hsi_costs_key(m->model, HSI_COST_RUN, 0, device);
    key.batch = batch;
    const double capacity =
        hsi_cost_table_capacity_of(rt->costs.table, &key, rt->workers[device]);
    return capacity > 0 ? (float)(1 / capacity) : 0;
}

/* What joined runs and teams of CPU workers gain. Larger batches than the model's may have been
 * measured: for another of the same structure. */
static void find_sizes(const making *m, hsi_choices *c)
{
    const double *run_us = m->made->run_us;
    const uint32_t most = m->model->batch_queues ? m->model->max_batch : 1;
    for (uint32_t d = 1; d < m->devices; d++)
        for (uint32_t k = 0; k < HSI_CHOICE_SIZES && run_us[d] > 0 && 1u << k <= most;
             k++) {
            const hsi_cost cost =
                hsi_placing_look_up(m->model, HSI_COST_RUN, 0, d, 1u << k, 1);
            if (cost.source < HSI_COST_INTERPOLATED)
                break;
            c->batch_us[d][k] = (float)cost.us;
            c->batch_count[d] = k + 1;
        }
    for (uint32_t d = 1; d < m->devices && m->model->batch_queues; d++)
        for (uint32_t k = c->batch_count[d];
             k < HSI_CHOICE_SIZES && run_us[d] > 0 && 1u << k <= most; k++) {
            c->batch_us[d][k] =
                k == 0 ? (float)run_us[d]
                       : c->batch_us[d][k - 1] +
                             (float)(run_us[d] * JOINED_SHARE * (1u << (k - 1)));
            c->batch_count[d] = k + 1;
        }
    for (uint32_t d = 1; d < m->devices; d++)
        for (uint32_t k = 0; k < HSI_CHOICE_SIZES && 1u << k <= most; k++)
            c->fill[d][k] = fill_of(m, d, 1u << k);
    for (uint32_t k = 0; k < HSI_CHOICE_SIZES && run_us[0] > 0; k++) {
        const hsi_cost cost =
            hsi_placing_look_up(m->model, HSI_COST_RUN, 0, 0, 1, 1u << k);
        if (cost.source < HSI_COST_INTERPOLATED ||
            1u << k > m->model->runtime->workers[0])
            break;
        c->team[k] = (float)(cost.us / run_us[0]);
        c->team_count = k + 1;
    }
}

/* ---- The problem ------------------------------------------------------------- */

static uint32_t without(uint32_t mask, uint32_t unknown)
{
    return (mask & ~unknown) | 1;
}

/* `read_by`: step_count zeros. Passing the model's inputs and outputs to a device and back was
 * measured with the sections that read and write them, and with the run: sections have nothing of
 * that beside their times. */
static void describe(const making *m, uint32_t *read_by)
{
    const hsched_runtime *rt = m->model->runtime;
    const hsi_plan *plan = m->model->plan;
    hsi_placing *p = m->made;
    uint64_t *dep_bytes = p->dep_bytes;
    for (uint32_t s = 0; s < m->sections; s++) {
        const hsi_plan_section *section = &plan->sections[s];
        hsi_placement_section *made = &p->sections[s];
        *made = (hsi_placement_section){
            .device_mask = without(m->model->core_sections[s].device_mask, p->unknown),
            .dep_count = section->dep_count,
            .deps = section->deps,
            .dep_bytes = dep_bytes,
        };
        for (uint32_t i = 0; i < section->dep_count; i++)
            *dep_bytes++ = hsi_plan_crossing_bytes(plan, section->deps[i], s, read_by);
    }
    for (uint32_t d = 0; d < m->devices; d++) {
        p->problem.workers[d] = rt->workers[d];
        p->problem.weight[d] = 1;
        for (uint32_t to = 0; to < m->devices; to++)
            p->problem.links[d][to] = link_between(rt, d, to);
    }
}

hsched_status hsi_placing_make(const hsched_model *model, hsi_placing *placing,
                               hsi_choices *sizes)
{
    const hsi_plan *plan = model->plan;
    hsched_runtime *rt = model->runtime;
    making m = { .model = model,
                 .made = placing,
                 .sections = plan->section_count,
                 .devices = rt->device_count };
    const size_t times = (size_t)m.sections * m.devices;
    size_t deps = 0;
    for (uint32_t s = 0; s < m.sections; s++)
        deps += plan->sections[s].dep_count;
    uint32_t *read_by = HSI_NEW_ARRAY(uint32_t, plan->step_count);
    *placing =
        (hsi_placing){ .source = HSI_COST_MEASURED,
                       .sections = HSI_NEW_ARRAY(hsi_placement_section, m.sections),
                       .dep_bytes = HSI_NEW_ARRAY(uint64_t, deps + 1),
                       .us = HSI_NEW_ARRAY(double, times),
                       .sources = HSI_NEW_ARRAY(hsi_cost_source, times) };
    if (!read_by || !placing->sections || !placing->dep_bytes || !placing->us ||
        !placing->sources) {
        hsi_free(read_by);
        hsi_placing_clear(placing);
        return hsi_out_of_memory("a model's costs");
    }
    placing->problem = (hsi_placement_problem){ .section_count = m.sections,
                                                .device_count = m.devices,
                                                .sections = placing->sections,
                                                .us = placing->us };
    pthread_mutex_lock(&rt->costs.mutex);
    placing->number = ++rt->costs.placings;
    for (uint32_t d = 0; d < m.devices; d++)
        find_times(&m, d);
    find_sizes(&m, sizes);
    pthread_mutex_unlock(&rt->costs.mutex);
    describe(&m, read_by);
    hsi_free(read_by);
    return HSCHED_OK;
}

void hsi_placing_clear(hsi_placing *placing)
{
    hsi_free(placing->sections);
    hsi_free(placing->dep_bytes);
    hsi_free(placing->us);
    hsi_free(placing->sources);
    *placing = (hsi_placing){ 0 };
}

int hsi_placing_is_known(const hsi_placing *placing)
{
    const uint32_t others = ((1u << placing->problem.device_count) - 1) & ~1u;
    return !(placing->unknown & 1) && (placing->unknown & others) != others;
}
