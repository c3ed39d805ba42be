/*
 * The file: the JSON of the trace event format, as ui.perfetto.dev reads it
 * (docs/design/trace.md says what is where). Jobs come before the arrows, and these before the
 * steps: an arrow is bound to the innermost slice that is open at its time, and of events with the
 * same time those that come first in the file are read first.
 */
#include "trace/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "trace/json.h"

void hsi_trace_begin_event(FILE *file, const char *name, char phase, uint32_t pid,
                           uint32_t tid, uint64_t ns)
{
    fputs(",\n{\"name\":", file);
    hsi_json_text(file, name);
    fprintf(file, ",\"ph\":\"%c\",\"pid\":%u,\"tid\":%u,\"ts\":", phase, pid, tid);
    hsi_json_us(file, ns);
}

/* ---- Events --------------------------------------------------------------- */

typedef void (*event_writer)(FILE *file, const hsi_trace_event *event);

/* Of a worker or lane, up to its args. */
static void begin_slice(FILE *file, const hsi_trace_event *e, const char *name,
                        const char *category, uint64_t begin_ns, uint64_t end_ns)
{
    hsi_trace_begin_event(file, name, 'X', HSI_TRACK_DEVICES + e->device, e->thread + 1u,
                          begin_ns);
    fputs(",\"dur\":", file);
    hsi_json_us(file, end_ns - begin_ns);
    fprintf(file, ",\"cat\":\"%s\",\"args\":{\"run\":%llu", category,
            (unsigned long long)e->run);
}

static void end_slice(FILE *file, const hsi_trace_event *e)
{
    if (e->flags & HSI_TRACE_CUT_SHORT)
        fputs(",\"cut_short\":true", file);
    else if (e->status != HSCHED_OK)
        fprintf(file, ",\"status\":\"%s\"", hsched_status_name((hsched_status)e->status));
    fputs("}}", file);
}

static void write_job(FILE *file, const hsi_trace_event *e)
{
    begin_slice(file, e, e->model->name, "job", e->begin_ns, e->end_ns);
    fprintf(file, ",\"first_section\":%u,\"last_section\":%u,\"crossings\":%u",
            e->job.section, e->job.section + e->job.count - 1, e->job.crossings);
    if (e->job.batch > 1)
        fprintf(file, ",\"batch\":%u", e->job.batch);
    end_slice(file, e);
}

/* A step that does not end well has a record of its own, and so the record's status. */
static void write_steps(FILE *file, const hsi_trace_event *e)
{
    uint64_t begin_ns = e->begin_ns;
    for (uint32_t i = 0; i < e->steps.count; i++) {
        const uint64_t end_ns =
            i + 1 < e->steps.count ? e->begin_ns + e->steps.ended_ns[i] : e->end_ns;
        const hsi_trace_step *step = &e->model->steps[e->steps.first + i];
        begin_slice(file, e, step->name, "step", begin_ns, end_ns);
        fprintf(file, ",\"step\":%u,\"kind\":\"%s\"", e->steps.first + i, step->kind);
        end_slice(file, e);
        begin_ns = end_ns;
    }
}

static void write_part(FILE *file, const hsi_trace_event *e)
{
    begin_slice(file, e, e->model->steps[e->part.step].name, "part", e->begin_ns,
                e->end_ns);
    fprintf(file, ",\"step\":%u,\"part\":%u,\"parts\":%u", e->part.step, e->part.index,
            e->part.count);
    end_slice(file, e);
}

/* Slices that may overlap: an id and two events each. */
static void write_run(FILE *file, const hsi_trace_event *e)
{
    const uint32_t pid = HSI_TRACK_MODELS + e->model->track;
    const unsigned long long run = e->run;
    hsi_trace_begin_event(file, "run", 'b', pid, 1, e->begin_ns);
    fprintf(file,
            ",\"cat\":\"run\",\"id\":\"0x%llx\",\"args\":{\"run\":%llu,\"status\":\"%s\","
            "\"priority\":%d,\"jobs\":%u,\"restarts\":%u",
            run, run,
            e->flags & HSI_TRACE_CUT_SHORT ? "in flight"
                                           : hsched_status_name((hsched_status)e->status),
            e->run_end.priority, e->run_end.jobs, e->restarts);
    if (e->run_end.wait_us != HSI_TRACE_NEVER)
        fprintf(file, ",\"wait_us\":%u", e->run_end.wait_us);
    if (e->run_end.deadline_us > 0)
        fprintf(file, ",\"deadline_us\":%u,\"missed\":%s", e->run_end.deadline_us,
                e->flags & HSI_TRACE_LATE ? "true" : "false");
    fputs("}}", file);
    hsi_trace_begin_event(file, "run", 'e', pid, 1, e->end_ns);
    fprintf(file, ",\"cat\":\"run\",\"id\":\"0x%llx\"}", run);
}

static void write_count(FILE *file, const hsi_trace_event *e)
{
    static const struct {
        const char *name, *unit;
        int is_of_device;
    } counters[HSI_TRACE_COUNTERS] = {
        [HSI_TRACE_QUEUED] = { "queued jobs", "jobs", 1 },
        [HSI_TRACE_LOAD] = { "load", "percent", 1 },
        [HSI_TRACE_ACTIVE] = { "active runs", "runs", 0 },
    };
    const uint32_t pid = counters[e->count.counter].is_of_device
                             ? HSI_TRACK_DEVICES + e->device
                             : HSI_TRACK_SCHEDULER;
    hsi_trace_begin_event(file, counters[e->count.counter].name, 'C', pid, 0,
                          e->begin_ns);
    fprintf(file, ",\"args\":{\"%s\":%u}}", counters[e->count.counter].unit,
            e->count.value);
}

static void begin_instant(FILE *file, const hsi_trace_event *e, const char *name)
{
    hsi_trace_begin_event(file, name, 'i', HSI_TRACK_SCHEDULER, 1, e->begin_ns);
    fputs(",\"s\":\"t\",\"args\":{", file);
    if (e->model) {
        fputs("\"model\":", file);
        hsi_json_text(file, e->model->name);
        fprintf(file, ",\"run\":%llu", (unsigned long long)e->run);
    }
}

static void write_cancel(FILE *file, const hsi_trace_event *e)
{
    begin_instant(file, e, "cancel");
    fputs("}}", file);
}

static void write_restarted(FILE *file, const hsi_trace_event *e)
{
    begin_instant(file, e, "run restarted");
    fputs("}}", file);
}

static void write_missed(FILE *file, const hsi_trace_event *e)
{
    begin_instant(file, e, "deadline missed");
    fputs("}}", file);
}

static void write_moved(FILE *file, const hsi_trace_event *e)
{
    begin_instant(file, e, "job moved");
    fprintf(file, ",\"jobs\":%u}}", e->moved.jobs);
}

static void write_replaced(FILE *file, const hsi_trace_event *e)
{
    begin_instant(file, e, "runs placed anew");
    fprintf(file, "\"runs\":%u}}", e->replaced.runs);
}

static void write_lost(FILE *file, const hsi_trace_event *e)
{
    begin_instant(file, e, "device lost");
    fprintf(file, "\"device\":%u}}", e->device);
}

/* In three rounds: see above. HSI_TRACE_MEMBER has a slice already, and arrows only. */
static const struct {
    event_writer write;
    int round;
} writers[HSI_TRACE_KINDS] = {
    [HSI_TRACE_JOB] = { write_job, 0 },
    [HSI_TRACE_STEPS] = { write_steps, 1 },
    [HSI_TRACE_PART] = { write_part, 2 },
    [HSI_TRACE_RUN] = { write_run, 2 },
    [HSI_TRACE_COUNT] = { write_count, 2 },
    [HSI_TRACE_CANCEL] = { write_cancel, 2 },
    [HSI_TRACE_RESTARTED] = { write_restarted, 2 },
    [HSI_TRACE_MOVED] = { write_moved, 2 },
    [HSI_TRACE_LOST] = { write_lost, 2 },
    [HSI_TRACE_MISSED] = { write_missed, 2 },
    [HSI_TRACE_REPLACED] = { write_replaced, 2 },
};

static void write_round(const hsi_trace *trace, FILE *file, int round)
{
    for (uint32_t r = 0; r < trace->ring_count; r++)
        for (uint32_t i = 0; i < trace->rings[r].count; i++) {
            const hsi_trace_event *e = &trace->rings[r].records[i];
            if (writers[e->kind].write && writers[e->kind].round == round)
                writers[e->kind].write(file, e);
        }
}

/* ---- Tracks --------------------------------------------------------------- */

static void name_track(FILE *file, const char *what, uint32_t pid, uint32_t tid,
                       const char *prefix, const char *name)
{
    fprintf(file, ",\n{\"name\":\"%s_name\",\"ph\":\"M\",\"pid\":%u,\"tid\":%u,", what,
            pid, tid);
    /* Names are short; one that is not is cut. */
    char text[256];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    fputs("\"args\":{\"name\":", file);
    hsi_json_text(file, text);
    fprintf(file,
            "}},\n{\"name\":\"%s_sort_index\",\"ph\":\"M\",\"pid\":%u,\"tid\":%u,"
            "\"args\":{\"sort_index\":%u}}",
            what, pid, tid, strcmp(what, "thread") == 0 ? tid : pid);
}

static void name_tracks(const hsi_trace *trace, FILE *file)
{
    name_track(file, "process", HSI_TRACK_SCHEDULER, 0, "", "scheduler");
    name_track(file, "thread", HSI_TRACK_SCHEDULER, 1, "", "events");
    for (uint32_t d = 0; d < trace->device_count; d++) {
        const hsi_trace_device *device = &trace->devices[d];
        name_track(file, "process", HSI_TRACK_DEVICES + d, 0, "device ", device->name);
        for (uint32_t i = 0; i < device->threads; i++) {
            char number[16];
            snprintf(number, sizeof number, "%u", i);
            name_track(file, "thread", HSI_TRACK_DEVICES + d, i + 1,
                       device->has_lanes ? "lane " : "worker ", number);
        }
    }
    for (const hsi_trace_model *model = trace->models; model; model = model->next)
        name_track(file, "process", HSI_TRACK_MODELS + model->track, 0, "model ",
                   model->name);
}

/* Where a ring was full: its tracks say so themselves. */
static void write_dropped(const hsi_trace *trace, FILE *file)
{
    for (uint32_t r = 0; r < trace->ring_count; r++) {
        const hsi_trace_ring *ring = &trace->rings[r];
        uint32_t pid = HSI_TRACK_SCHEDULER, tid = 1;
        if (ring->dropped == 0)
            continue;
        for (uint32_t d = 0; d < trace->device_count; d++) {
            const hsi_trace_device *device = &trace->devices[d];
            if (!device->has_lanes && r - device->first_ring < device->threads) {
                pid = HSI_TRACK_DEVICES + d;
                tid = r - device->first_ring + 1;
            }
        }
        hsi_trace_begin_event(file, "events dropped from here on", 'i', pid, tid,
                              ring->first_dropped_ns);
        fprintf(file, ",\"s\":\"t\",\"args\":{\"events\":%llu}}",
                (unsigned long long)ring->dropped);
    }
}

/* ---- The file ------------------------------------------------------------- */

static hsched_status write_all(const hsi_trace *trace, const hsched_trace_stats *stats,
                               FILE *file)
{
    fprintf(file,
            "{\"displayTimeUnit\":\"ms\",\n\"otherData\":{\"version\":\"libhsched %s\","
            "\"clock\":\"%s\",\"events\":%llu,\"dropped_events\":%llu},\n"
            "\"traceEvents\":[\n",
            HSCHED_VERSION_STRING, trace->clock, (unsigned long long)stats->events,
            (unsigned long long)stats->dropped);
    /* The first event, which has no comma in front: when the trace began. */
    fputs("{\"name\":\"trace\",\"ph\":\"i\",\"s\":\"t\",\"pid\":1,\"tid\":1,\"ts\":",
          file);
    hsi_json_us(file, trace->began_ns);
    fputs("}", file);
    name_tracks(trace, file);
    write_round(trace, file, 0);
    hsched_status status = hsi_trace_write_flows(trace, file);
    write_round(trace, file, 1);
    write_round(trace, file, 2);
    write_dropped(trace, file);
    fputs("\n]}\n", file);
    return status;
}

static void fill_stats(const hsi_trace *trace, hsched_trace_stats *stats)
{
    *stats = (hsched_trace_stats){ HSCHED_TRACE_STATS_INIT };
    for (uint32_t r = 0; r < trace->ring_count; r++) {
        stats->events += trace->rings[r].events;
        stats->dropped += trace->rings[r].dropped;
    }
}

hsched_status hsi_trace_write(hsi_trace *trace, hsched_trace_stats *stats)
{
    fill_stats(trace, stats);
    FILE *file = fdopen(trace->file, "w");
    if (!file)
        return hsi_out_of_memory("a trace's file");
    trace->file = -1; /* the stream closes it */
    errno = 0;
    hsched_status status = write_all(trace, stats, file);
    int failed = ferror(file) ? errno : 0;
    if (fclose(file) != 0 && !failed)
        failed = errno;
    if (failed)
        status = hsi_error(HSCHED_ERROR_IO,
                           "the trace '%.512s' could not be written: %s; check "
                           "the free space; the trace is lost",
                           trace->path, strerror(failed));
    return status;
}
