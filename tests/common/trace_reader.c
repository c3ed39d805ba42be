#include "common/trace_reader.h"

#include <math.h>
#include <unistd.h>

#include "common/support.h"

const char *trace_path(void)
{
    static char path[256];
    if (path[0] == '\0') {
        const char *folder = getenv("TMPDIR");
        snprintf(path, sizeof path, "%s/hsched-trace-%ld.json", folder ? folder : "/tmp",
                 (long)getpid());
    }
    return path;
}

static const char *text_of(const json_t *event, const char *member)
{
    const char *text = json_string_value(json_object_get(event, member));
    return text ? text : "";
}

static int64_t number_of(const json_t *event, const char *member)
{
    return (int64_t)json_number_value(json_object_get(event, member));
}

static int64_t ns_of(const json_t *event, const char *member)
{
    return llround(json_number_value(json_object_get(event, member)) * 1000);
}

static int64_t arg_of(const json_t *event, const char *arg)
{
    return number_of(json_object_get(event, "args"), arg);
}

void trace_visit(const json_t *trace, const char *phase, const char *category,
                 const char *name, trace_visitor visit, void *user)
{
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(trace, "traceEvents"), i, event)
    {
        if (strcmp(text_of(event, "ph"), phase) == 0 &&
            (!category || strcmp(text_of(event, "cat"), category) == 0) &&
            (!name || strcmp(text_of(event, "name"), name) == 0))
            visit(user, event);
    }
}

typedef struct tally {
    const char *arg, *text;
    uint64_t sum, otherwise;
} tally;

static void add_one(void *user, const json_t *event)
{
    tally *t = user;
    json_t *args = json_object_get(event, "args"), *arg;
    if (t->text) {
        t->sum += strcmp(text_of(args, t->arg), t->text) == 0;
        return;
    }
    arg = t->arg ? json_object_get(args, t->arg) : NULL;
    t->sum += arg ? (uint64_t)json_integer_value(arg) : t->otherwise;
}

uint64_t trace_sum(const json_t *trace, const char *phase, const char *category,
                   const char *name, const char *arg, uint64_t otherwise)
{
    tally t = { .arg = arg, .otherwise = otherwise };
    trace_visit(trace, phase, category, name, add_one, &t);
    return t.sum;
}

uint64_t trace_count(const json_t *trace, const char *phase, const char *category,
                     const char *name)
{
    return trace_sum(trace, phase, category, name, NULL, 1);
}

uint64_t trace_count_text(const json_t *trace, const char *phase, const char *category,
                          const char *arg, const char *text)
{
    tally t = { .arg = arg, .text = text };
    trace_visit(trace, phase, category, NULL, add_one, &t);
    return t.sum;
}

static void add_job(void *user, const json_t *event)
{
    const json_t *args = json_object_get(event, "args");
    if (!json_object_get(args, "status") && !json_object_get(args, "cut_short"))
        *(uint64_t *)user +=
            json_object_get(args, "batch") ? (uint64_t)arg_of(event, "batch") : 1;
}

uint64_t trace_jobs(const json_t *trace)
{
    uint64_t jobs = 0;
    trace_visit(trace, "X", "job", NULL, add_job, &jobs);
    return jobs;
}

uint64_t trace_other(const json_t *trace, const char *name)
{
    return (uint64_t)number_of(json_object_get(trace, "otherData"), name);
}

/* ---- What holds for every trace ------------------------------------------- */

typedef struct list {
    const json_t **events;
    size_t count, capacity;
} list;

static void append(void *user, const json_t *event)
{
    list *l = user;
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        l->events = realloc(l->events, l->capacity * sizeof *l->events);
        assert_non_null(l->events);
    }
    l->events[l->count++] = event;
}

static int depth_of(const json_t *slice)
{
    static const char *const categories[] = { "job", "step", "part" };
    int depth = 0;
    while (depth < 3 && strcmp(text_of(slice, "cat"), categories[depth]) != 0)
        depth++;
    assert_true(depth < 3);
    return depth;
}

static int64_t end_of(const json_t *slice)
{
    return ns_of(slice, "ts") + ns_of(slice, "dur");
}

/* By track, then by time; what is outside comes first. */
static int by_track(const void *a, const void *b)
{
    const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
    const int64_t keys[][2] = {
        { number_of(x, "pid"), number_of(y, "pid") },
        { number_of(x, "tid"), number_of(y, "tid") },
        { ns_of(x, "ts"), ns_of(y, "ts") },
        { end_of(y), end_of(x) },
        { depth_of(x), depth_of(y) },
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1] ? -1 : 1;
    return 0;
}

static int same_track(const json_t *a, const json_t *b)
{
    return number_of(a, "pid") == number_of(b, "pid") &&
           number_of(a, "tid") == number_of(b, "tid");
}

static void check_nesting(const json_t *trace)
{
    list slices = { 0 };
    const json_t *open[3] = { NULL, NULL, NULL };
    trace_visit(trace, "X", NULL, NULL, append, &slices);
    if (slices.count > 0)
        qsort(slices.events, slices.count, sizeof *slices.events, by_track);
    for (size_t i = 0; i < slices.count; i++) {
        const json_t *slice = slices.events[i];
        const int depth = depth_of(slice);
        if (i > 0 && !same_track(slice, slices.events[i - 1]))
            open[0] = open[1] = open[2] = NULL;
        for (int d = 0; d < 3; d++) {
            if (!open[d] || end_of(open[d]) <= ns_of(slice, "ts"))
                continue;
            if (d >= depth || end_of(open[d]) < end_of(slice) ||
                arg_of(open[d], "run") != arg_of(slice, "run"))
                fail_msg("slices '%s' and '%s' overlap", text_of(open[d], "name"),
                         text_of(slice, "name"));
        }
        open[depth] = slice;
    }
    free(slices.events);
}

static int by_id(const void *a, const void *b)
{
    const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
    const int64_t i = number_of(x, "id"), k = number_of(y, "id");
    return i != k ? (i > k) - (i < k) : strcmp(text_of(x, "id"), text_of(y, "id"));
}

/* Events of two phases, in pairs by their ids. */
static size_t pair_up(const json_t *trace, const char *first, const char *second,
                      const char *category, list *begins, list *ends)
{
    trace_visit(trace, first, category, NULL, append, begins);
    trace_visit(trace, second, category, NULL, append, ends);
    assert_int_equal(begins->count, ends->count);
    if (begins->count > 0) {
        qsort(begins->events, begins->count, sizeof *begins->events, by_id);
        qsort(ends->events, ends->count, sizeof *ends->events, by_id);
    }
    for (size_t i = 0; i < begins->count; i++) {
        assert_int_equal(by_id(&begins->events[i], &ends->events[i]), 0);
        if (i > 0)
            assert_int_not_equal(by_id(&begins->events[i - 1], &begins->events[i]), 0);
    }
    return begins->count;
}

static void check_runs(const json_t *trace)
{
    list begins = { 0 }, ends = { 0 };
    const size_t count = pair_up(trace, "b", "e", "run", &begins, &ends);
    for (size_t i = 0; i < count; i++) {
        assert_true(ns_of(begins.events[i], "ts") <= ns_of(ends.events[i], "ts"));
        assert_true(same_track(begins.events[i], ends.events[i]));
        assert_true(arg_of(begins.events[i], "run") > 0);
    }
    free(begins.events);
    free(ends.events);
}

static int by_place(const void *a, const void *b)
{
    const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
    static const char *const members[] = { "pid", "tid", "ts" };
    for (int i = 0; i < 3; i++) {
        const int64_t p = ns_of(x, members[i]), q = ns_of(y, members[i]);
        if (p != q)
            return p < q ? -1 : 1;
    }
    return 0;
}

static const json_t *job_at(const list *jobs, const json_t *end)
{
    const json_t **job = jobs->count > 0 ? bsearch(&end, jobs->events, jobs->count,
                                                   sizeof *jobs->events, by_place)
                                         : NULL;
    if (!job)
        fail_msg("an arrow begins or ends at no job");
    return *job;
}

static void check_flows(const json_t *trace)
{
    list begins = { 0 }, ends = { 0 }, jobs = { 0 };
    const size_t count = pair_up(trace, "s", "f", "flow", &begins, &ends);
    trace_visit(trace, "X", "job", NULL, append, &jobs);
    if (jobs.count > 0)
        qsort(jobs.events, jobs.count, sizeof *jobs.events, by_place);
    for (size_t i = 0; i < count; i++) {
        const json_t *from = job_at(&jobs, begins.events[i]),
                     *to = job_at(&jobs, ends.events[i]);
        assert_true(end_of(from) <= ns_of(to, "ts"));
        assert_int_equal(strcmp(text_of(begins.events[i], "name"), "crossing") == 0,
                         number_of(from, "pid") != number_of(to, "pid"));
    }
    free(begins.events);
    free(ends.events);
    free(jobs.events);
}

json_t *trace_read(void)
{
    json_error_t error;
    json_t *trace = json_load_file(trace_path(), JSON_REJECT_DUPLICATES, &error);
    if (!trace)
        fail_msg("line %d: %s", error.line, error.text);
    unlink(trace_path());
    check_nesting(trace);
    check_runs(trace);
    check_flows(trace);
    return trace;
}
