/* Sources on the CPU, through the public API: when releases come, what becomes of them, how sources
 * end, and which are refused. */
#include "common/source_watch.h"

#include <hsched/experimental.h>

#include "base/alloc.h"
#include "common/cost_cache.h"
#include "common/tiny.h"

enum {
    PERIOD = 2000
};

typedef struct fixture {
    hsched_runtime *rt;
    hsched_model *model;
    float x[TINY_INPUT];
    watch w;
} fixture;

static hsched_runtime *open_runtime(uint32_t workers)
{
    hsched_runtime *rt;
    const hsched_runtime_config config = {
        HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = workers,
        .flags = HSCHED_RUNTIME_NO_PINNING | HSCHED_RUNTIME_NO_GPU, .cache_dir = folder
    };
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

static void open_all(fixture *f, uint32_t workers)
{
    f->rt = open_runtime(workers);
    f->model = tiny_model(f->rt, TINY_SIZE, TINY_SEED, NULL);
    fill(f->x, TINY_INPUT, 99);
    watch_init(&f->w);
    f->w.data = f->x;
    f->w.size = sizeof f->x;
}

static void close_all(fixture *f)
{
    hsched_model_release(f->model);
    hsched_runtime_destroy(f->rt);
    watch_destroy(&f->w);
}

static hsched_source_config watched(fixture *f)
{
    return (hsched_source_config){ HSCHED_SOURCE_CONFIG_INIT,  .period_us = PERIOD,
                                   .deadline_us = 1000 * 1000, .fill = watch_fill,
                                   .callback = watch_ended,    .user = &f->w };
}

static hsched_source *make(fixture *f, const hsched_source_config *config)
{
    hsched_source *source;
    assert_ok(hsched_source_create(f->model, config, &source));
    return source;
}

/* ---- Releases ------------------------------------------------------------- */

/* Each at start + offset + k * period, each k once at most, and none that is not counted. */
static void releases_do_not_drift(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 2);
    hsched_source_config config = watched(&f);
    config.offset_us = 777;
    hsched_source *source = make(&f, &config);
    const uint64_t start = hsi_now_us() + 123, first = start + 777;
    assert_ok(hsched_source_start(source, start));
    watch_await(&f.w, &f.w.fills, 20);
    hsched_source_stop(source);
    watch_await(&f.w, &f.w.ends, f.w.fills);
    const hsched_source_stats stats = source_stats(source);
    const uint32_t fills = f.w.fills;
    const uint64_t from = (f.w.released_us[0] - first) / PERIOD;
    uint64_t next = from;
    for (uint32_t i = 0; i < fills; i++) {
        assert_int_equal((f.w.released_us[i] - first) % PERIOD, 0);
        assert_true(f.w.released_us[i] >= first + next * PERIOD);
        next = (f.w.released_us[i] - first) / PERIOD + 1;
    }
    assert_true(next - from <= fills + stats.skipped_late + stats.skipped_busy);
    assert_int_equal(stats.released, fills);
    assert_int_equal(stats.completed, fills);
    assert_int_equal(stats.declined + stats.not_submitted, 0);
    assert_true(stats.latency_max_us >= stats.latency_p50_us);
    assert_true(stats.latency_p50_us > 0 && stats.jitter_max_us >= 0);
    assert_int_equal(f.w.by_status[HSCHED_OK], fills);
    for (uint32_t i = 0; i < fills; i++)
        assert_int_equal(f.w.ended_us[i] % PERIOD, first % PERIOD);
    hsched_model_stats all = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f.model, &all));
    assert_int_equal(all.runs_succeeded, fills);
    assert_int_equal(all.deadline_misses, stats.deadline_misses);
    hsched_source_destroy(source);
    close_all(&f);
}

typedef struct deadline_check {
    uint64_t allowed_us;
    watch *w;
    int wrong;
} deadline_check;

static int check_fill(void *user, uint64_t release_us, hsched_binding *inputs,
                      hsched_binding *outputs)
{
    return watch_fill(((deadline_check *)user)->w, release_us, inputs, outputs);
}

static void check_ended(void *user, uint64_t release_us, hsched_run *run,
                        hsched_status status)
{
    deadline_check *c = user;
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    if (hsched_run_get_times(run, &times) != HSCHED_OK ||
        times.deadline_us != release_us + c->allowed_us ||
        times.submitted_us < release_us)
        c->wrong = 1;
    watch_ended(c->w, release_us, run, status);
}

static void deadlines_count_from_the_release(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    deadline_check check = { .allowed_us = PERIOD, .w = &f.w };
    hsched_source_config config = watched(&f);
    config.deadline_us = 0; /* the period */
    config.fill = check_fill;
    config.callback = check_ended;
    config.user = &check;
    hsched_source *source = make(&f, &config);
    assert_ok(hsched_source_start(source, 0));
    watch_await(&f.w, &f.w.ends, 5);
    hsched_source_destroy(source);
    assert_false(check.wrong);
    close_all(&f);
}

/* A start that lies in the past is one in step with it. */
static void a_start_in_the_past(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    const hsched_source_config config = watched(&f);
    hsched_source *source = make(&f, &config);
    const uint64_t now = hsi_now_us(), start = now - 1000 * PERIOD - 5;
    assert_ok(hsched_source_start(source, start));
    watch_await(&f.w, &f.w.fills, 1);
    hsched_source_destroy(source);
    assert_true(f.w.released_us[0] >= now);
    assert_int_equal((f.w.released_us[0] - start) % PERIOD, 0);
    close_all(&f);
}

/* Takes three periods and a half once. */
static int slow_fill(void *user, uint64_t release_us, hsched_binding *inputs,
                     hsched_binding *outputs)
{
    fixture *f = user;
    const int result = watch_fill(&f->w, release_us, inputs, outputs);
    pthread_cond_t never;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    if (f->w.fills > 1 || hsi_cond_init(&never) != HSCHED_OK)
        return result;
    pthread_mutex_lock(&mutex);
    while (hsi_now_us() < release_us + 7 * PERIOD / 2)
        hsi_cond_wait_until(&never, &mutex, release_us + 7 * PERIOD / 2);
    pthread_mutex_unlock(&mutex);
    pthread_cond_destroy(&never);
    return result;
}

/* What could not be seen to in time does not come as a burst. */
static void missed_releases_are_skipped(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    f.w.declines = 1;
    hsched_source_config config = watched(&f);
    config.fill = slow_fill;
    config.user = &f;
    hsched_source *source = make(&f, &config);
    const uint64_t start = hsi_now_us() + PERIOD;
    assert_ok(hsched_source_start(source, start));
    watch_await(&f.w, &f.w.fills, 3);
    hsched_source_destroy(source);
    const uint64_t at = f.w.released_us[0];
    assert_true(f.w.released_us[1] >=
                at + 3 * PERIOD); /* the last that was due, or later */
    assert_true(f.w.released_us[2] >= f.w.released_us[1] + PERIOD);
    assert_int_equal((f.w.released_us[1] - start) % PERIOD, 0);
    close_all(&f);
}

static void skips_are_counted(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    f.w.declines = 1;
    hsched_source_config config = watched(&f);
    config.fill = slow_fill;
    config.user = &f;
    hsched_source *source = make(&f, &config);
    const uint64_t start = hsi_now_us() + PERIOD;
    assert_ok(hsched_source_start(source, start));
    watch_await(&f.w, &f.w.fills, 2);
    hsched_source_stop(source);
    const hsched_source_stats stats = source_stats(source);
    const uint32_t fills = f.w.fills;
    const uint64_t from = (f.w.released_us[0] - start) / PERIOD;
    const uint64_t last = (f.w.released_us[fills - 1] - start) / PERIOD;
    /* Some may have been skipped before the first, if it was started in time for them. */
    assert_true(stats.skipped_late >= 2);
    assert_true(stats.skipped_late + fills >= last - from + 1);
    assert_true(stats.skipped_late + fills <= last + 1);
    assert_int_equal(stats.declined, fills);
    assert_int_equal(stats.released + stats.skipped_busy + stats.not_submitted, 0);
    assert_int_equal(f.w.ends, 0);
    hsched_source_destroy(source);
    close_all(&f);
}

/* Two rates, and nothing gets lost: the sources' runs are the model's. */
static void two_sources_of_a_model(void **state)
{
    (void)state;
    fixture f;
    watch slow;
    open_all(&f, 2);
    watch_init(&slow);
    slow.data = f.x;
    slow.size = sizeof f.x;
    hsched_source_config config = watched(&f);
    hsched_source *a = make(&f, &config);
    config.user = &slow;
    config.period_us = 3 * PERIOD;
    config.flags = HSCHED_SOURCE_LATEST_ONLY;
    config.priority = 3;
    hsched_source *b = make(&f, &config);
    const uint64_t start = hsi_now_us();
    assert_ok(hsched_source_start(a, start));
    assert_ok(hsched_source_start(b, start));
    watch_await(&slow, &slow.fills, 5);
    watch_await(&f.w, &f.w.fills, 5);
    hsched_source_stop(a);
    hsched_source_stop(b);
    watch_await(&slow, &slow.ends, slow.fills);
    watch_await(&f.w, &f.w.ends, f.w.fills);
    const hsched_source_stats of_a = source_stats(a), of_b = source_stats(b);
    hsched_model_stats all = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f.model, &all));
    assert_int_equal(of_a.in_flight + of_b.in_flight, 0);
    assert_int_equal(all.runs_succeeded, of_a.completed + of_b.completed);
    assert_int_equal(all.runs_cancelled, of_b.replaced);
    assert_int_equal(of_a.released + of_b.released, f.w.fills + slow.fills);
    hsched_source_destroy(a);
    hsched_source_destroy(b);
    watch_destroy(&slow);
    close_all(&f);
}

/* ---- Bindings ------------------------------------------------------------- */

static void fixed_bindings_need_no_fill(void **state)
{
    (void)state;
    fixture f;
    float y[TINY_OUTPUT], want[TINY_OUTPUT];
    open_all(&f, 2);
    tiny_infer(f.model, want);
    memset(y, 0xff, sizeof y);
    hsched_binding in = HSCHED_DATA(f.x, sizeof f.x), out = HSCHED_DATA(y, sizeof y);
    hsched_source_config config = watched(&f);
    config.fill = NULL;
    config.inputs = &in;
    config.outputs = &out;
    config.max_in_flight = 2;
    hsched_source *source;
    assert_fails(hsched_source_create(f.model, &config, &source),
                 HSCHED_ERROR_INVALID_ARGUMENT, "same outputs");
    config.max_in_flight = 0;
    source = make(&f, &config);
    memset(&in, 0xff, sizeof in); /* they are copied */
    memset(&out, 0xff, sizeof out);
    assert_ok(hsched_source_start(source, 0));
    watch_await(&f.w, &f.w.ends, 3);
    hsched_source_destroy(source);
    assert_memory_equal(y, want, sizeof y);
    close_all(&f);
}

/* Who is told that there is no run has its memory back; the library complains once. */
static void what_fill_gives_may_not_fit(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    f.w.size = sizeof f.x - 4;
    const hsched_source_config config = watched(&f);
    hsched_source *source = make(&f, &config);
    const int before = warnings;
    assert_ok(hsched_source_start(source, 0));
    watch_await(&f.w, &f.w.ends, 3);
    hsched_source_stop(source);
    const hsched_source_stats stats = source_stats(source);
    assert_int_equal(warnings, before + 1);
    assert_int_equal(stats.not_submitted, f.w.ends);
    assert_int_equal(stats.released, 0);
    assert_int_equal(f.w.without_run, f.w.ends);
    assert_int_equal(f.w.by_status[HSCHED_ERROR_SHAPE], f.w.ends);
    hsched_source_destroy(source);
    close_all(&f);
}

static void what_a_config_may_be(void **state)
{
    (void)state;
    fixture f;
    hsched_source *source;
    open_all(&f, 1);
    const hsched_source_config good = watched(&f);
    hsched_source_config c = good;
#define REFUSED(expected, text)                                                          \
    assert_fails(hsched_source_create(f.model, &c, &source), (expected), (text));        \
    assert_null(source);                                                                 \
    c = good
    c.period_us = 0;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "period_us");
    c.flags = 1u << 7;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "flags");
    c.priority = 101;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "priority");
    c.late = (hsched_late)5;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "late");
    c.max_in_flight = 1025;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "max_in_flight");
    c.input_count = 2;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "input");
    c.fill = NULL;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "set inputs or fill");
    const hsched_binding small = HSCHED_DATA(f.x, 8);
    c.fill = NULL;
    c.inputs = &small;
    REFUSED(HSCHED_ERROR_SHAPE, "needs");
    hsched_run *run;
    const hsched_binding in = HSCHED_DATA(f.x, sizeof f.x);
    assert_ok(hsched_submit(
        f.model, &(hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &in }, &run));
    const hsched_binding of_run = HSCHED_RUN_OUTPUT(run, 0);
    c.inputs = &of_run;
    REFUSED(HSCHED_ERROR_INVALID_ARGUMENT, "bound to a run");
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    assert_fails(hsched_source_create(NULL, &c, &source), HSCHED_ERROR_INVALID_ARGUMENT,
                 "NULL");
    source = make(&f, &good);
    assert_fails(hsched_source_start(source, UINT64_MAX), HSCHED_ERROR_INVALID_ARGUMENT,
                 "CLOCK_MONOTONIC");
    hsched_source_destroy(source);
    hsched_source_destroy(NULL);
    close_all(&f);
}

/* ---- Starting, stopping, ending ------------------------------------------- */

static void it_can_be_started_again(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    const hsched_source_config config = watched(&f);
    hsched_source *source = make(&f, &config);
    hsched_source_stop(source); /* it is not started */
    for (uint32_t round = 0; round < 3; round++) {
        const uint32_t before = f.w.fills;
        assert_ok(hsched_source_start(source, 0));
        assert_fails(hsched_source_start(source, 0), HSCHED_ERROR_STATE, "already");
        watch_await(&f.w, &f.w.fills, before + 2);
        hsched_source_stop(source);
        /* No lock is needed: nobody calls any more. */
        watch_await(&f.w, &f.w.ends, f.w.fills);
    }
    assert_int_equal(source_stats(source).completed, f.w.ends);
    hsched_source_destroy(source);
    close_all(&f);
}

static void fill_may_stop_its_source(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    const hsched_source_config config = watched(&f);
    hsched_source *source = make(&f, &config);
    f.w.stops = source;
    assert_ok(hsched_source_start(source, 0));
    watch_await(&f.w, &f.w.ends, 1); /* what it gave became a run all the same */
    hsched_source_stop(source);
    assert_int_equal(f.w.fills, 1);
    assert_int_equal(source_stats(source).completed, 1);
    hsched_source_destroy(source);
    close_all(&f);
}

typedef struct destroyer {
    hsched_source *source;
    watch *w;
    int gone;
    uint32_t inside; /* calls that had not returned then */
} destroyer;

static void *destroy(void *argument)
{
    destroyer *d = argument;
    hsched_source_destroy(d->source);
    pthread_mutex_lock(&d->w->mutex);
    d->gone = 1;
    d->inside = d->w->inside;
    pthread_mutex_unlock(&d->w->mutex);
    return NULL;
}

/* Destroying waits for a fill and for a callback that another thread holds. */
static void destroy_waits_for_what_is_called(void **state)
{
    (void)state;
    for (int what = 0; what < 2; what++) {
        fixture f;
        pthread_t thread;
        open_all(&f, 1);
        int *held = what ? &f.w.ended_held : &f.w.fill_held;
        *held = 1;
        const hsched_source_config config = watched(&f);
        destroyer d = { .source = make(&f, &config), .w = &f.w };
        assert_ok(hsched_source_start(d.source, 0));
        watch_await(&f.w, what ? &f.w.ends : &f.w.fills, 1);
        assert_int_equal(pthread_create(&thread, NULL, destroy, &d), 0);
        pthread_mutex_lock(&f.w.mutex);
        assert_true(f.w.inside > 0);
        assert_false(d.gone);
        pthread_mutex_unlock(&f.w.mutex);
        watch_set(&f.w, held, 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(d.inside, 0);
        assert_int_equal(f.w.ends, f.w.fills); /* each was told about */
        close_all(&f);
    }
}

/* Callbacks and fills may use sources, their own included. */
static void callback_stops(void *user, uint64_t release_us, hsched_run *run,
                           hsched_status status)
{
    watch *w = user;
    hsched_source_stop(w->stops);
    watch_ended(w, release_us, run, status);
}

static void a_callback_may_stop_its_source(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    hsched_source_config config = watched(&f);
    const hsched_binding in = HSCHED_DATA(f.x, sizeof f.x);
    config.fill = NULL;
    config.inputs = &in;
    config.callback = callback_stops;
    hsched_source *source = make(&f, &config);
    f.w.stops = source;
    assert_ok(hsched_source_start(source, 0));
    watch_await(&f.w, &f.w.ends, 1);
    hsched_source_destroy(source);
    close_all(&f);
}

static void the_runtime_may_go_first(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    const hsched_source_config config = watched(&f);
    hsched_source *source = make(&f, &config), *other;
    assert_ok(hsched_source_start(source, 0));
    watch_await(&f.w, &f.w.fills, 2);
    hsched_runtime_destroy(f.rt);
    const uint32_t fills = f.w.fills;
    assert_int_equal(f.w.ends, fills);
    assert_int_equal(source_stats(source).in_flight, 0);
    assert_fails(hsched_source_start(source, 0), HSCHED_ERROR_STATE, "destroyed");
    assert_fails(hsched_source_create(f.model, &config, &other), HSCHED_ERROR_STATE,
                 "destroyed");
    hsched_source_stop(source);
    hsched_model_release(f.model); /* the source keeps it */
    hsched_source_destroy(source);
    assert_int_equal(f.w.fills, fills);
    watch_destroy(&f.w);
}

/* Whatever the moment of its end is: each release that was filled in is told about once. */
static void *come_and_go(void *user)
{
    fixture *f = user;
    for (int round = 0; round < 25; round++) {
        watch w;
        watch_init(&w);
        w.data = f->x;
        w.size = sizeof f->x;
        hsched_source_config config = watched(f);
        config.period_us = 100;
        config.user = &w;
        config.wcet_us = 1;
        config.flags = round % 2 ? HSCHED_SOURCE_LATEST_ONLY : 0;
        config.late = round % 3 ? HSCHED_LATE_FINISH : HSCHED_LATE_DROP;
        config.deadline_us = 50;
        config.max_in_flight = 1 + (uint32_t)round % 3;
        hsched_source *source = make(f, &config);
        assert_ok(hsched_source_start(source, 0));
        watch_await(&w, &w.fills, 1 + (uint32_t)round % 4);
        if (round % 5 == 0)
            hsched_source_stop(source);
        hsched_source_destroy(source);
        assert_int_equal(w.fills, w.ends);
        watch_destroy(&w);
    }
    return NULL;
}

static void many_threads_at_once(void **state)
{
    (void)state;
    fixture f;
    pthread_t threads[4];
    open_all(&f, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &f), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    close_all(&f);
}

/* ---- Admission ------------------------------------------------------------ */

static hsched_source_config timed(fixture *f, const char *name, uint64_t wcet_us,
                                  uint64_t period_us)
{
    hsched_source_config config = watched(f);
    config.name = name;
    config.wcet_us = wcet_us;
    config.period_us = period_us;
    config.deadline_us = 0;
    return config;
}

static void what_cannot_be_met_is_refused(void **state)
{
    (void)state;
    fixture f;
    hsched_source *source;
    open_all(&f, 1);
    hsched_source_config c = timed(&f, "detector", 12000, 16000);
    hsched_source *detector = make(&f, &c);
    assert_int_equal(source_stats(detector).admission, HSCHED_ADMISSION_PROVEN);
    c = timed(&f, "depth", 9000, 16000);
    assert_fails(hsched_source_create(f.model, &c, &source), HSCHED_ERROR_LIMIT,
                 "would need 1.31 of the time of device 'cpu', which does 1.00 with 1 "
                 "worker(s); 'detector' takes 12.000 ms every 16.000 ms, which is 0.75; "
                 "'depth' takes 9.000 ms every 16.000 ms, which is 0.56");
    assert_non_null(strstr(hsched_error_detail(), "source 'depth' is refused"));
    assert_non_null(strstr(hsched_error_detail(), "HSCHED_SOURCE_NO_ADMISSION"));
    assert_null(source);
    /* What was refused does not count, nor does what is not tested, nor what is gone. */
    c.flags = HSCHED_SOURCE_NO_ADMISSION;
    hsched_source *untested = make(&f, &c);
    assert_int_equal(source_stats(untested).admission, HSCHED_ADMISSION_NONE);
    c = timed(&f, "map", 3000, 16000);
    hsched_source *map = make(&f, &c);
    assert_int_equal(source_stats(map).admission, HSCHED_ADMISSION_PROVEN);
    hsched_source_destroy(map);
    hsched_source_destroy(detector);
    c = timed(&f, "depth", 9000, 16000);
    detector = make(&f, &c);
    c.deadline_us = 8999;
    assert_fails(
        hsched_source_create(f.model, &c, &source), HSCHED_ERROR_LIMIT,
        "a run of 'depth' takes 9.000 ms at least, and its deadline is 8.999 ms");
    hsched_source_destroy(detector);
    hsched_source_destroy(untested);
    close_all(&f);
}

/* More workers have more time; their runs may also share out what they do. */
static void workers_count(void **state)
{
    (void)state;
    fixture f;
    hsched_source *sources[3], *one_more;
    open_all(&f, 2);
    const hsched_source_config c = timed(&f, "half", 8000, 16000);
    sources[0] = make(&f, &c);
    assert_int_equal(source_stats(sources[0]).admission, HSCHED_ADMISSION_PROVEN);
    sources[1] = make(&f, &c);
    assert_int_equal(source_stats(sources[1]).admission, HSCHED_ADMISSION_PROVEN);
    const int before = warnings;
    sources[2] = make(&f, &c);
    assert_int_equal(source_stats(sources[2]).admission, HSCHED_ADMISSION_POSSIBLE);
    assert_int_equal(warnings, before + 1);
    const hsched_source_config more = timed(&f, "more", 16000, 16000);
    assert_fails(hsched_source_create(f.model, &more, &one_more), HSCHED_ERROR_LIMIT,
                 "2.50");
    hsched_source_config late = timed(&f, "late", 8000, 16000);
    late.deadline_us = 3999;
    assert_fails(hsched_source_create(f.model, &late, &one_more), HSCHED_ERROR_LIMIT,
                 "4.000 ms at least");
    for (int i = 0; i < 3; i++)
        hsched_source_destroy(sources[i]);
    close_all(&f);
}

static char said[1000];

static void keep_message(void *user, hsched_log_level level, const char *message)
{
    (void)user;
    if (level == HSCHED_LOG_INFO && strstr(message, "source"))
        snprintf(said, sizeof said, "%s", message);
}

/* Measuring tells what is not known, also of sources that were there before. */
static void what_is_not_known_is_admitted(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, 1);
    hsched_source_config c = timed(&f, "new", 0, 10 * 1000 * 1000);
    said[0] = '\0';
    hsched_log_set(keep_message, NULL, HSCHED_LOG_INFO);
    hsched_source *unknown = make(&f, &c);
    assert_int_equal(source_stats(unknown).admission, HSCHED_ADMISSION_UNKNOWN);
    assert_non_null(strstr(said, "hsched profile"));
    assert_non_null(strstr(said, "'new'"));
    said[0] = '\0';
    assert_ok(hsched_model_profile(
        f.model,
        &(hsched_profile_config){ HSCHED_PROFILE_CONFIG_INIT, .repetitions = 1,
                                  .flags = HSCHED_PROFILE_NOT_SAVED },
        NULL));
    hsched_source *known = make(&f, &c);
    assert_int_equal(source_stats(known).admission, HSCHED_ADMISSION_PROVEN);
    assert_string_equal(said, "");
    hsched_log_set(count_message, &warnings, HSCHED_LOG_WARNING);
    c = timed(&f, "too often", 0, 1);
    hsched_source *refused;
    assert_fails(hsched_source_create(f.model, &c, &refused), HSCHED_ERROR_LIMIT,
                 "'too often'");
    hsched_source_destroy(unknown);
    hsched_source_destroy(known);
    close_all(&f);
}

/* ---- No memory ------------------------------------------------------------ */

static void each_allocation_fails_once(void **state)
{
    (void)state;
    fixture f;
    hsched_source *source;
    open_all(&f, 1);
    hsched_source_config c = timed(&f, "first", 10, 1000 * 1000);
    hsched_source *other = make(&f, &c);
    const hsched_binding in = HSCHED_DATA(f.x, sizeof f.x);
    c.fill = NULL;
    c.inputs = &in;
    uint64_t k = 1;
    for (;; k++) {
        const uint64_t held = hsi_alloc_bytes();
        hsi_alloc_fail_after(k);
        const hsched_status status = hsched_source_create(f.model, &c, &source);
        hsi_alloc_fail_after(0);
        if (status == HSCHED_OK)
            break;
        assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        assert_null(source);
        /* A run that was made to try the bindings stays with its model. */
        assert_true(k > 4 || hsi_alloc_bytes() == held);
    }
    assert_true(k > 8);
    hsched_source_destroy(source);
    hsched_source_destroy(other);
    close_all(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases_do_not_drift),
        cmocka_unit_test(deadlines_count_from_the_release),
        cmocka_unit_test(a_start_in_the_past),
        cmocka_unit_test(missed_releases_are_skipped),
        cmocka_unit_test(skips_are_counted),
        cmocka_unit_test(two_sources_of_a_model),
        cmocka_unit_test(fixed_bindings_need_no_fill),
        cmocka_unit_test(what_fill_gives_may_not_fit),
        cmocka_unit_test(what_a_config_may_be),
        cmocka_unit_test(it_can_be_started_again),
        cmocka_unit_test(fill_may_stop_its_source),
        cmocka_unit_test(destroy_waits_for_what_is_called),
        cmocka_unit_test(a_callback_may_stop_its_source),
        cmocka_unit_test(the_runtime_may_go_first),
        cmocka_unit_test(many_threads_at_once),
        cmocka_unit_test(what_cannot_be_met_is_refused),
        cmocka_unit_test(workers_count),
        cmocka_unit_test(what_is_not_known_is_admitted),
        cmocka_unit_test(each_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("sources", tests, make_folder, remove_folder);
}
