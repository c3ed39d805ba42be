/*
 * The simulator's engine on random DAGs, platforms and submissions: every run ends, work is
 * conserved, nothing starts before what it reads is done, the same seed gives the same result.
 * HSCHED_TEST_SEED makes other worlds.
 */
#include "unit/test_engine.h"

enum {
    ROUNDS = 300,
    MODELS = 3,
    STREAMS = 5
};

static uint64_t random_state;

static uint32_t below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % bound;
}

static double upto(double bound)
{
    return bound * below(1000001) / 1e6;
}

static engine_world world, again;
static engine_model models[MODELS];
static hsi_engine_stream streams[STREAMS];
static hsi_engine_load loads[4][3];

static const hsi_policy *const policies[] = { &hsi_policy_cpu_only, &hsi_policy_gpu_only,
                                              &hsi_policy_layer_type };

static void make_devices(uint32_t devices)
{
    for (uint32_t d = 0; d < devices; d++) {
        hsi_engine_device *device = &world.config.devices[d];
        device->core.workers = 1 + below(4);
        device->core.max_sections_per_job = d == 0     ? 1
                                            : below(2) ? UINT32_MAX
                                                       : 1 + below(4);
        if (d > 0 && below(2)) {
            device->core.max_batch = 1 + below(8);
            device->core.max_batches = below(3);
            device->core.join_gap_us = 10;
            device->core.join_most_us = 100;
        }
        device->core.strict = below(2) != 0;
        device->core.reserved = below(2) ? below(device->core.workers) : 0;
        device->core.idle_watts = 1;
        device->core.watts = 1 + below(30);
        device->team = d == 0 ? 1 + below(4) : 1;
        if (below(2))
            device->stretch =
                (hsi_curve){ .count = 2, .at = { 2, 4 }, .factor = { 1.3, 2.5 } };
        for (uint32_t i = 0; i < 3; i++)
            loads[d][i] = (hsi_engine_load){ upto(300) + 400 * i, 0.5 + upto(3) };
        device->loads = loads[d];
        device->load_count = below(4);
    }
}

static void make_model(engine_model *m, uint32_t devices)
{
    const uint32_t sections = 1 + below(ENGINE_SECTIONS);
    engine_model_init(m, sections, devices, 0, policies[below(3)]);
    for (uint32_t s = 0; s < sections; s++) {
        m->places[s].device_mask = m->sections[s].device_mask =
            1 | (below(8) ? below(1u << devices) : 0);
        m->sections[s].class_bits = 1u << below(6);
        m->places[s].input_bytes = below(4) ? 0 : below(100000);
        m->places[s].output_bytes = below(4) ? 0 : below(100000);
        for (uint32_t d = 0; d < devices; d++)
            m->us[s * devices + d] = below(10) ? upto(200) : 0;
        for (uint32_t dep = 0; dep < s; dep++)
            if (below(s) < 2)
                engine_model_edge(m, dep, s, below(50000));
    }
    for (uint32_t d = 0; d < devices; d++) {
        m->costs.job_us[d] = upto(20);
        for (uint32_t to = 0; to < devices; to++)
            m->costs.links[d][to] = (hsi_placement_link){ upto(10), upto(0.001) };
        m->batch[d] = (hsi_curve){ .count = 1, .at = { 8 }, .factor = { 3 } };
        m->queues[d].ready = 8;
    }
    m->model.parallel = upto(1);
    m->model.core.max_batch = below(2) ? 1 + below(8) : 0;
    m->model.core.batch_wait_us = below(3) ? 0 : below(200);
}

static uint32_t make_streams(void)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < STREAMS; i++) {
        streams[i] = (hsi_engine_stream){ .model = &models[below(MODELS)].model,
                                          .instances = 1 + below(4),
                                          .runs = 1 + below(4),
                                          .first_us = upto(500),
                                          .period_us = below(2) ? 1 + upto(400) : 0,
                                          .deadline_us = below(2) ? 1 + upto(2000) : 0,
                                          .priority = (int)below(201) - 100,
                                          .drop_late = (int)below(2) };
        runs += streams[i].instances * streams[i].runs;
    }
    return runs;
}

static const engine_model *model_of(const hsi_engine_model *model)
{
    for (uint32_t i = 0; i < MODELS; i++)
        if (&models[i].model == model)
            return &models[i];
    fail();
    return NULL;
}

/* A job of one run holds what its sections take there; one of several, what the curve says. */
static void check_work(const hsi_engine_job *job, double jitter)
{
    const engine_model *m = model_of(job->model);
    const uint32_t devices = m->costs.device_count;
    double us = 0;
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        assert_true(m->sections[s].device_mask >> job->device & 1);
        us += m->us[s * devices + job->device];
    }
    us *= hsi_curve_at(&m->batch[job->device], job->members);
    assert_true(job->work_us >= us * (1 - jitter) - 1e-6);
    assert_true(job->work_us <= us * (1 + jitter) + 1e-6);
    assert_true(job->fixed_us >= m->costs.job_us[job->device] - 1e-6);
    assert_true(job->end_us - job->begin_us >= job->fixed_us - 1e-6);
}

/* The times of the runs' sections, from the jobs; those with one member only are known by run. */
static double section_end[512][ENGINE_SECTIONS];
static uint8_t section_count[512][ENGINE_SECTIONS];

static void check_order(void)
{
    memset(section_end, 0, sizeof section_end);
    memset(section_count, 0, sizeof section_count);
    for (uint32_t i = 0; i < world.job_count; i++) {
        const hsi_engine_job *job = &world.jobs[i];
        if (job->members > 1)
            continue; /* whole runs */
        assert_in_range(job->runs[0], 1, 511);
        const engine_model *m = model_of(job->model);
        for (uint32_t s = job->section; s < job->section + job->count; s++) {
            const hsi_core_section *section = &m->sections[s];
            for (uint32_t k = 0; k < section->dep_count; k++) {
                const uint32_t dep = section->deps[k];
                if (dep >= job->section)
                    continue; /* of this job, before it */
                assert_int_equal(section_count[job->runs[0]][dep], 1);
                assert_true(section_end[job->runs[0]][dep] <= job->begin_us + 1e-6);
            }
        }
        for (uint32_t s = job->section; s < job->section + job->count; s++) {
            section_end[job->runs[0]][s] = job->end_us;
            section_count[job->runs[0]][s]++;
        }
    }
}

static void check_runs(uint32_t submitted)
{
    assert_int_equal(world.run_count, submitted);
    uint64_t dropped = 0, missed = 0;
    for (uint32_t i = 0; i < world.run_count; i++) {
        const hsi_engine_run *run = &world.runs[i];
        assert_true(run->status == HSCHED_OK || run->status == HSCHED_ERROR_DEADLINE);
        assert_true(run->end_us >= run->submit_us);
        dropped += run->status != HSCHED_OK;
        missed += run->missed != 0;
        if (run->status == HSCHED_OK && run->deadline_us > 0)
            assert_int_equal(run->missed,
                             run->end_us >= ceil(run->submit_us + run->deadline_us) + 1);
    }
    assert_int_equal(dropped, world.totals.core.dropped);
    assert_int_equal(missed, world.totals.core.missed);
}

/* What is alone, unloaded and unstretched on a device of one worker is there as long as its jobs
 * take, no longer and no shorter. */
static void check_busy(uint32_t devices)
{
    for (uint32_t d = 0; d < devices; d++) {
        const hsi_engine_device *device = &world.config.devices[d];
        double sum = 0;
        for (uint32_t i = 0; i < world.job_count; i++)
            if (world.jobs[i].device == d)
                sum += world.jobs[i].fixed_us + world.jobs[i].work_us;
        if (device->core.workers == 1 && device->load_count == 0)
            assert_us(world.totals.busy_us[d], sum);
        assert_true(world.totals.busy_us[d] <= world.totals.end_us + 1e-6);
        assert_true(world.totals.worker_us[d] <=
                    world.totals.end_us * device->core.workers * (1 + 1e-9) + 1e-6);
    }
}

static void check_same(void)
{
    assert_int_equal(world.job_count, again.job_count);
    assert_true(world.totals.end_us == again.totals.end_us);
    for (uint32_t i = 0; i < world.job_count; i++)
        assert_true(world.jobs[i].end_us == again.jobs[i].end_us &&
                    world.job_runs[i] == again.job_runs[i]);
    for (uint32_t i = 0; i < world.run_count; i++)
        assert_true(world.runs[i].number == again.runs[i].number &&
                    world.runs[i].end_us == again.runs[i].end_us);
}

static void random_worlds_keep_the_rules(void **state)
{
    (void)state;
    const char *seed = getenv("HSCHED_TEST_SEED");
    for (uint32_t round = 0; round < ROUNDS; round++) {
        random_state = (seed ? strtoull(seed, NULL, 0) : 1) * 1000003 + round;
        const uint32_t devices = 1 + below(ENGINE_DEVICES);
        engine_init(&world, devices, 1, 1);
        make_devices(devices);
        for (uint32_t i = 0; i < MODELS; i++)
            make_model(&models[i], devices);
        const uint32_t submitted = make_streams();
        world.config.active_limit = 1 + below(20);
        world.config.jitter = below(2) ? upto(0.5) : 0;
        world.config.seed = round;
        world.config.power_cap_watts = below(3) ? 0 : devices + 1 + upto(40);
        engine_run(&world, streams, STREAMS);
        check_runs(submitted);
        check_order();
        check_busy(devices);
        for (uint32_t i = 0; i < world.job_count; i++)
            check_work(&world.jobs[i], world.config.jitter);
        again.config = world.config;
        again.config.user = &again;
        engine_run(&again, streams, STREAMS);
        check_same();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_worlds_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
