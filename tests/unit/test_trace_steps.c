/* Steps that share records of a ring: the file has each of them, at its time, whatever came before
 * it. */
#include "common/trace_reader.h"

#include <math.h>

#include "common/support.h"
#include "trace/trace.h"

enum {
    STEPS = 16,
    BEGAN = 1000000
};
#define LONG_NS 5000000000u /* more than 32 bits */

typedef struct fixture {
    hsi_trace *trace;
    hsi_trace_model *model;
    uint32_t steps; /* put so far, */
    struct {
        uint64_t run, begin_ns, ns;
        uint32_t step;
    } put[STEPS]; /* these */
    uint32_t found;
} fixture;

static void open_trace(fixture *f, uint32_t events)
{
    const hsi_trace_device device = { .name = "cpu", .threads = 1 };
    const hsi_trace_model_size size = { .steps = STEPS, .sections = 1, .text = 256 };
    *f = (fixture){ 0 };
    f->model = hsi_trace_model_create(&size, "net");
    assert_non_null(f->model);
    for (uint32_t i = 0; i < STEPS; i++) {
        char name[16];
        snprintf(name, sizeof name, "step%u", i);
        hsi_trace_model_add_step(f->model, name, "relu");
    }
    hsi_trace_model_add_section(f->model);
    assert_ok(hsi_trace_create(trace_path(), events, &device, 1, &f->trace));
    hsi_trace_see(f->trace, f->model);
}

static hsi_trace_ring *ring_of(fixture *f)
{
    return hsi_trace_ring_of(f->trace, 0, 0);
}

/* Gives when it ended. */
static uint64_t put(fixture *f, uint64_t run, uint32_t step, uint64_t begin_ns,
                    uint64_t ns)
{
    hsi_trace_put_step(ring_of(f), &(hsi_trace_step_end){ .model = f->model,
                                                          .run = run,
                                                          .step = step,
                                                          .begin_ns = begin_ns,
                                                          .end_ns = begin_ns + ns });
    f->put[f->steps].run = run;
    f->put[f->steps].step = step;
    f->put[f->steps].begin_ns = begin_ns;
    f->put[f->steps++].ns = ns;
    return begin_ns + ns;
}

static int64_t ns_of(const json_t *event, const char *member)
{
    return llround(json_number_value(json_object_get(event, member)) * 1000);
}

static int64_t arg_of(const json_t *event, const char *arg)
{
    return json_integer_value(json_object_get(json_object_get(event, "args"), arg));
}

/* They come in the order in which they were put. */
static void compare(void *user, const json_t *event)
{
    fixture *f = user;
    const uint32_t i = f->found++;
    char name[16];
    assert_true(i < f->steps);
    snprintf(name, sizeof name, "step%u", f->put[i].step);
    assert_string_equal(json_string_value(json_object_get(event, "name")), name);
    assert_int_equal(arg_of(event, "step"), f->put[i].step);
    assert_int_equal(arg_of(event, "run"), f->put[i].run);
    assert_int_equal(ns_of(event, "ts"), f->put[i].begin_ns);
    assert_int_equal(ns_of(event, "dur"), f->put[i].ns);
}

/* So many of those that were put are in the file. */
static json_t *close_trace(fixture *f, uint32_t expected)
{
    hsched_trace_stats stats = { HSCHED_TRACE_STATS_INIT };
    assert_ok(hsi_trace_write(f->trace, &stats));
    hsi_trace_destroy(f->trace);
    hsi_trace_model_release(f->model);
    json_t *file = trace_read();
    trace_visit(file, "X", "step", NULL, compare, f);
    assert_int_equal(f->found, expected);
    assert_int_equal(stats.events, expected);
    assert_int_equal(stats.dropped, f->steps - expected);
    return file;
}

static void a_chain_is_in_few_records(void **state)
{
    (void)state;
    fixture f;
    uint64_t now = BEGAN;
    open_trace(&f, 100);
    for (uint32_t i = 0; i < STEPS; i++)
        now = put(&f, 1, i, now, 10 + 7 * i);
    assert_int_equal(ring_of(&f)->count, STEPS / HSI_TRACE_STEPS_MAX);
    json_decref(close_trace(&f, STEPS));
}

static void what_does_not_follow_has_another_record(void **state)
{
    (void)state;
    fixture f;
    uint64_t now = BEGAN;
    open_trace(&f, 100);
    now = put(&f, 1, 0, now, 10);
    now = put(&f, 1, 1, now, 10);
    now = put(&f, 2, 2, now, 10);      /* of another run */
    now = put(&f, 2, 4, now, 10);      /* not the next */
    now = put(&f, 2, 5, now + 1, 10);  /* later */
    now = put(&f, 2, 6, now, LONG_NS); /* ends too long after the record's begin */
    now = put(&f, 2, 7, now, 10);      /* so does this one */
    put(&f, 2, 8, now, 10);
    assert_int_equal(ring_of(&f)->count, 6);
    json_decref(close_trace(&f, 8));
}

static void a_step_that_fails_stands_alone(void **state)
{
    (void)state;
    fixture f;
    open_trace(&f, 100);
    uint64_t now = put(&f, 1, 0, BEGAN, 10);
    hsi_trace_put_step(ring_of(&f),
                       &(hsi_trace_step_end){ .model = f.model,
                                              .run = 1,
                                              .step = 1,
                                              .begin_ns = now,
                                              .end_ns = now + 10,
                                              .status = HSCHED_ERROR_DEVICE });
    f.put[f.steps].run = 1;
    f.put[f.steps].step = 1;
    f.put[f.steps].begin_ns = now;
    f.put[f.steps++].ns = 10;
    now = put(&f, 1, 2, now + 10, 10);
    assert_int_equal(ring_of(&f)->count, 3);
    json_t *file = close_trace(&f, 3);
    assert_int_equal(trace_count_text(file, "X", "step", "status", "HSCHED_ERROR_DEVICE"),
                     1);
    json_decref(file);
}

/* Room is for events: within a record, too. */
static void those_without_room_are_counted(void **state)
{
    (void)state;
    for (uint32_t room = 1; room < STEPS; room++) {
        fixture f;
        uint64_t now = BEGAN;
        open_trace(&f, room);
        for (uint32_t i = 0; i < STEPS; i++)
            now = put(&f, 1, i, now, 10);
        json_t *file = close_trace(&f, room);
        assert_int_equal(
            trace_sum(file, "i", NULL, "events dropped from here on", "events", 0),
            STEPS - room);
        json_decref(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_in_few_records),
        cmocka_unit_test(what_does_not_follow_has_another_record),
        cmocka_unit_test(a_step_that_fails_stands_alone),
        cmocka_unit_test(those_without_room_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
