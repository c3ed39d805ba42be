/* Sources whose runs cannot begin, or cannot end, on a simulated device whose jobs are held: what
 * is replaced, skipped, dropped and cancelled. */
#include "common/queue_runs.h"
#include "common/source_watch.h"
#include "common/tiny.h"

enum {
    MOST_LANES = 32,
    PERIOD = 1000
};

/* Another source, which wants no runs, tells how often the thread has come round. */
typedef struct fixture {
    hsched_runtime *rt;
    queue_net net;
    queue_trial blockers[MOST_LANES];
    uint32_t lanes;
    float x[TINY_INPUT], newest[TINY_INPUT];
    watch w, clock;
    hsched_source *ticking;
} fixture;

static hsched_source_config watched(watch *w)
{
    return (hsched_source_config){ HSCHED_SOURCE_CONFIG_INIT,
                                   .period_us = PERIOD,
                                   .deadline_us = UINT64_C(1) << 50,
                                   .fill = watch_fill,
                                   .callback = watch_ended,
                                   .flags = HSCHED_SOURCE_NO_ADMISSION,
                                   .user = w };
}

static hsched_source *start(fixture *f, const hsched_source_config *config)
{
    hsched_source *source;
    assert_ok(hsched_source_create(f->net.model, config, &source));
    assert_ok(hsched_source_start(source, 0));
    return source;
}

static void open_all(fixture *f, uint32_t blocked)
{
    const hsched_model_config alone = { HSCHED_MODEL_CONFIG_INIT, .max_batch = 1 };
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    f->rt = queue_runtime_open(NULL, NULL);
    queue_net_make(&f->net, f->rt, tiny_network(TINY_SIZE, TINY_SEED), &alone);
    assert_ok(hsched_runtime_device_info(f->rt, QUEUE_DEVICE, &info));
    f->lanes = blocked ? info.workers : 0;
    assert_in_range(info.workers, 1, MOST_LANES);
    queue_trials_make(f->blockers, f->lanes, &f->net, USER_TENSOR_PLAIN,
                      USER_TENSOR_PLAIN);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < f->lanes; i++)
        queue_trial_submit(&f->blockers[i]);
    queue_device_await(QUEUE_COUNT_STARTED, f->lanes);
    fill(f->x, TINY_INPUT, 99);
    watch_init(&f->w);
    f->w.data = f->x;
    f->w.size = sizeof f->x;
    watch_init(&f->clock);
    f->clock.declines = 1;
    const hsched_source_config clock = watched(&f->clock);
    f->ticking = start(f, &clock);
}

/* So many periods later. All that was due before has been seen to. */
static void await_ticks(fixture *f, uint32_t count)
{
    pthread_mutex_lock(&f->clock.mutex);
    const uint32_t before = f->clock.fills;
    pthread_mutex_unlock(&f->clock.mutex);
    watch_await(&f->clock, &f->clock.fills, before + count);
}

static void open_gate(fixture *f)
{
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(f->blockers, f->lanes);
}

static void close_all(fixture *f)
{
    hsched_source_destroy(f->ticking);
    queue_trials_free(f->blockers, f->lanes);
    queue_net_free(&f->net);
    queue_runtime_close(f->rt);
    watch_destroy(&f->w);
    watch_destroy(&f->clock);
}

/* Where there is no room another period passes, and nothing else happens. */
static void what_does_not_fit_is_skipped(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    hsched_source_config config = watched(&f.w);
    config.max_in_flight = 3;
    hsched_source *source = start(&f, &config);
    watch_await(&f.w, &f.w.fills, 3);
    const uint64_t before = source_stats(source).skipped_busy;
    await_ticks(&f, 4);
    hsched_source_stop(source);
    hsched_source_stats stats = source_stats(source);
    assert_int_equal(f.w.fills, 3);
    assert_int_equal(f.w.ends, 0);
    assert_int_equal(stats.in_flight, 3);
    assert_true(stats.skipped_busy > before);
    open_gate(&f);
    watch_await(&f.w, &f.w.ends, 3);
    stats = source_stats(source);
    assert_int_equal(stats.completed, 3);
    assert_int_equal(stats.replaced + stats.cancelled + stats.failed, 0);
    hsched_source_destroy(source);
    close_all(&f);
}

/* The last callback's run: what it was given as input shows in its output. */
typedef struct last_run {
    watch *w;
    hsched_run *run;
} last_run;

static int fill_last(void *user, uint64_t release_us, hsched_binding *inputs,
                     hsched_binding *outputs)
{
    return watch_fill(((last_run *)user)->w, release_us, inputs, outputs);
}

static void keep_last(void *user, uint64_t release_us, hsched_run *run,
                      hsched_status status)
{
    last_run *last = user;
    if (status == HSCHED_OK)
        last->run = hsched_run_retain(run);
    watch_ended(last->w, release_us, run, status);
}

static void expect_result(const fixture *f, const float *x, hsched_run *run)
{
    float want[TINY_OUTPUT];
    const void *got;
    const hsched_binding in = HSCHED_DATA(x, sizeof f->x);
    const hsched_binding out = HSCHED_DATA(want, sizeof want);
    assert_ok(hsched_infer(f->net.reference, &in, 1, &out, 1));
    assert_ok(hsched_run_output(run, 0, &got, NULL));
    assert_memory_equal(got, want, sizeof want);
}

/* Only the newest waits: when there is room at last the network sees that. */
static void the_newest_replaces_what_has_not_begun(void **state)
{
    (void)state;
    fixture f;
    last_run last = { .w = &f.w };
    open_all(&f, 1);
    fill(f.newest, TINY_INPUT, 5);
    hsched_source_config config = watched(&f.w);
    config.flags |= HSCHED_SOURCE_LATEST_ONLY;
    config.fill = fill_last;
    config.callback = keep_last;
    config.user = &last;
    hsched_source *source = start(&f, &config);
    watch_await(&f.w, &f.w.fills, 5);
    pthread_mutex_lock(&f.w.mutex);
    f.w.data = f.newest;
    const uint32_t before = f.w.fills;
    pthread_mutex_unlock(&f.w.mutex);
    watch_await(&f.w, &f.w.fills, before + 2);
    hsched_source_stop(source);
    watch_await(&f.w, &f.w.ends, f.w.fills - 1);
    hsched_source_stats stats = source_stats(source);
    assert_int_equal(stats.released, f.w.fills);
    assert_int_equal(stats.replaced, f.w.fills - 1);
    assert_int_equal(stats.in_flight, 1);
    assert_int_equal(stats.cancelled, 0);
    assert_int_equal(f.w.by_status[HSCHED_ERROR_CANCELLED], f.w.fills - 1);
    for (uint32_t i = 0; i < f.w.ends; i++) /* one after the other */
        assert_int_equal(f.w.ended_us[i], f.w.released_us[i]);
    open_gate(&f);
    watch_await(&f.w, &f.w.ends, f.w.fills);
    stats = source_stats(source);
    assert_int_equal(stats.completed, 1);
    assert_int_equal(f.w.ended_us[f.w.ends - 1], f.w.released_us[f.w.fills - 1]);
    hsched_source_destroy(source);
    expect_result(&f, f.newest, last.run);
    hsched_run_release(last.run);
    hsched_model_stats all = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f.net.model, &all));
    assert_int_equal(all.runs_cancelled, stats.replaced);
    assert_int_equal(all.runs_succeeded, 1 + f.lanes);
    close_all(&f);
}

/* What has begun is not replaced; with one in flight at most there is nothing beside it. */
static void what_has_begun_is_left_alone(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 0);
    hsched_source_config config = watched(&f.w);
    config.flags |= HSCHED_SOURCE_LATEST_ONLY;
    config.max_in_flight = 1;
    hsched_source *source = start(&f, &config);
    queue_device_await(QUEUE_COUNT_STARTED, 1);
    await_ticks(&f, 2);
    const hsched_source_stats before = source_stats(source);
    await_ticks(&f, 4);
    hsched_source_stop(source);
    hsched_source_stats stats = source_stats(source);
    assert_int_equal(stats.released, before.released);
    assert_int_equal(stats.in_flight, 1);
    assert_true(stats.skipped_busy > before.skipped_busy);
    /* It is not called in vain, but perhaps in the moment when the run began. */
    assert_int_equal(f.w.fills, stats.released + stats.not_submitted);
    assert_true(stats.not_submitted <= 1);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    watch_await(&f.w, &f.w.ends, f.w.fills);
    stats = source_stats(source);
    assert_int_equal(stats.completed, 1);
    assert_int_equal(stats.replaced, stats.released - 1);
    hsched_source_destroy(source);
    close_all(&f);
}

/* The run that is to be replaced begins, here even ends, while fill is working: there is no room
 * then, and who has filled in data is told so. */
static void it_begins_while_fill_is_working(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    f.w.fill_held = 1;
    f.w.fill_passes = 1;
    hsched_source_config config = watched(&f.w);
    config.flags |= HSCHED_SOURCE_LATEST_ONLY;
    config.max_in_flight = 1;
    hsched_source *source = start(&f, &config);
    watch_await(&f.w, &f.w.fills, 2);
    watch_set(&f.w, &f.w.ended_held, 1);
    open_gate(&f);
    watch_await(&f.w, &f.w.ends, 1); /* the callback does not return */
    watch_set(&f.w, &f.w.fill_passes, 1);
    watch_await(&f.w, &f.w.ends, 2);
    assert_int_equal(f.w.by_status[HSCHED_OK], 1);
    assert_int_equal(f.w.by_status[HSCHED_ERROR_BUSY], 1);
    assert_int_equal(f.w.without_run, 1);
    hsched_source_stats stats = source_stats(source);
    assert_int_equal(stats.not_submitted, 1);
    assert_int_equal(stats.released, 1);
    assert_int_equal(stats.completed, 1);
    watch_set(&f.w, &f.w.ended_held, 0);
    watch_set(&f.w, &f.w.fill_held, 0);
    watch_await(&f.w, &f.w.ends, 4); /* it goes on */
    hsched_source_destroy(source);
    close_all(&f);
}

/* While a callback of a replaced run does not return one more run is in flight, and no more. */
static void a_slow_callback_bounds_what_is_in_flight(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    f.w.ended_held = 1;
    hsched_source_config config = watched(&f.w);
    config.flags |= HSCHED_SOURCE_LATEST_ONLY;
    hsched_source *source = start(&f, &config);
    watch_await(&f.w, &f.w.ends, 1);
    await_ticks(&f, 2); /* the others wait for this callback */
    const uint32_t fills = (uint32_t)source_stats(source).released;
    await_ticks(&f, 4);
    hsched_source_stats stats = source_stats(source);
    assert_int_equal(stats.released, fills);
    assert_int_equal(fills, 3); /* max_in_flight and one more */
    assert_true(stats.skipped_busy > 0);
    watch_set(&f.w, &f.w.ended_held, 0);
    watch_await(&f.w, &f.w.fills, fills + 2); /* it goes on */
    hsched_source_stop(source);
    open_gate(&f);
    watch_await(&f.w, &f.w.ends, f.w.fills);
    stats = source_stats(source);
    assert_int_equal(stats.completed + stats.replaced, stats.released);
    hsched_source_destroy(source);
    close_all(&f);
}

/* A run that was replaced makes room, though its callback has not returned yet: here the one that
 * replaced it has begun, and there may be two. */
static void what_is_replaced_makes_room(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    f.w.ended_held = f.w.fill_held = 1;
    f.w.fill_passes = 2;
    hsched_source_config config = watched(&f.w);
    config.flags |= HSCHED_SOURCE_LATEST_ONLY;
    hsched_source *source = start(&f, &config);
    watch_await(&f.w, &f.w.ends, 1);
    watch_await(&f.w, &f.w.fills, 3);
    open_gate(&f);
    queue_device_await(QUEUE_COUNT_EXECUTED, f.lanes + 1);
    watch_set(&f.w, &f.w.fill_held, 0);
    hsched_source_stop(source);
    const hsched_source_stats stats = source_stats(source);
    assert_int_equal(stats.released, 3);
    assert_int_equal(stats.replaced, 1);
    assert_int_equal(stats.not_submitted, 0);
    watch_set(&f.w, &f.w.ended_held, 0);
    watch_await(&f.w, &f.w.ends, 3);
    hsched_source_destroy(source);
    close_all(&f);
}

static void late_runs_are_dropped(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    hsched_source_config config = watched(&f.w);
    config.deadline_us = PERIOD / 2;
    config.late = HSCHED_LATE_DROP;
    hsched_source *source = start(&f, &config);
    watch_await(&f.w, &f.w.ends, 4);
    hsched_source_stop(source);
    watch_await(&f.w, &f.w.ends, f.w.fills);
    hsched_source_stats stats = source_stats(source);
    assert_int_equal(stats.dropped, f.w.fills);
    assert_int_equal(stats.deadline_misses, f.w.fills);
    assert_int_equal(f.w.by_status[HSCHED_ERROR_DEADLINE], f.w.fills);
    hsched_model_stats all = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f.net.model, &all));
    assert_int_equal(all.runs_dropped, f.w.fills);
    hsched_source_destroy(source);
    open_gate(&f);
    close_all(&f);
}

/* Nothing of what waits is executed; what has begun ends. */
static void destroy_cancels_what_is_in_flight(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    const hsched_source_config config = watched(&f.w);
    hsched_source *source = start(&f, &config);
    watch_await(&f.w, &f.w.fills, 2);
    hsched_source_destroy(source);
    assert_int_equal(f.w.fills, 2);
    assert_int_equal(f.w.ends, 2);
    assert_int_equal(f.w.by_status[HSCHED_ERROR_CANCELLED], 2);
    open_gate(&f);
    assert_int_equal(queue_device_stats(f.rt).jobs, f.lanes);
    close_all(&f);
}

/* An upstream run that fill binds may be given up as soon as fill is called again. */
typedef struct chain {
    watch *w;
    hsched_model *from;
    const float *x;
    hsched_run *upstream;
} chain;

static int fill_from_run(void *user, uint64_t release_us, hsched_binding *inputs,
                         hsched_binding *outputs)
{
    chain *c = user;
    const hsched_binding in = HSCHED_DATA(c->x, TINY_INPUT * sizeof(float));
    hsched_run_release(c->upstream);
    c->upstream = NULL;
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    if (watch_fill(c->w, release_us, inputs, outputs) != 0 ||
        hsched_submit(c->from, &config, &c->upstream) != HSCHED_OK)
        return 1;
    inputs[0] = (hsched_binding)HSCHED_RUN_OUTPUT(c->upstream, 0);
    return 0;
}

static hsched_model *softmax_of_scores(hsched_runtime *rt)
{
    hsched_graph *g;
    hsched_tensor x;
    hsched_model *model;
    assert_ok(hsched_graph_create("again", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2,
                                     (int64_t[]){ 1, TINY_OUTPUT }, &x));
    assert_ok(hsched_graph_add_softmax(g, "y", x, 1, &x));
    assert_ok(hsched_graph_add_output(g, x));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    hsched_graph_destroy(g);
    return model;
}

static void fill_may_bind_a_run(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    f.w.data = NULL;
    chain c = { .w = &f.w, .from = f.net.model, .x = f.x };
    hsched_source_config config = watched(&f.w);
    config.fill = fill_from_run;
    config.user = &c;
    config.callback = NULL;
    hsched_model *second = softmax_of_scores(f.rt);
    hsched_source *source;
    assert_ok(hsched_source_create(second, &config, &source));
    assert_ok(hsched_source_start(source, 0));
    watch_await(&f.w, &f.w.fills, 2);
    await_ticks(&f, 2);
    assert_int_equal(f.w.fills, 2);
    assert_int_equal(source_stats(source).in_flight, 2);
    open_gate(&f);
    watch_await(&f.w, &f.w.fills, 4); /* there is room again */
    hsched_source_destroy(source);
    hsched_run_release(c.upstream);
    hsched_model_release(second);
    close_all(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_skipped),
        cmocka_unit_test(the_newest_replaces_what_has_not_begun),
        cmocka_unit_test(what_has_begun_is_left_alone),
        cmocka_unit_test(it_begins_while_fill_is_working),
        cmocka_unit_test(a_slow_callback_bounds_what_is_in_flight),
        cmocka_unit_test(what_is_replaced_makes_room),
        cmocka_unit_test(late_runs_are_dropped),
        cmocka_unit_test(destroy_cancels_what_is_in_flight),
        cmocka_unit_test(fill_may_bind_a_run),
    };
    return cmocka_run_group_tests_name("sources that are held up", tests, NULL, NULL);
}
