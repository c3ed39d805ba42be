/*
 * What `make demo` shows: six networks at once for a few seconds. Three trained ones read
 * all held-out digits, over and over and with priority, while three well-known ones keep
 * all cores busy; accuracy, latency, throughput and what ran where.
 *
 *     build/examples/00_demo [DATA FOLDER [SECONDS]]
 *
 * The exit status is 1 if anything failed, the accuracy is too low or a network's answers
 * changed.
 */
#include <hsched/hsched.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "zoo/zoo.h"

enum {
    DIGITS = 360,
    PIXELS = 64,
    CLASSES = 10,
    LANES_MAX = 8,
    IN_FLIGHT = 2,
    WINDOW = 4,
    READERS = 3
};
#define ACCURACY_MIN 0.97

/* ---- Helpers --------------------------------------------------------------- */

static int check(hsched_status status, const char *what)
{
    if (status != HSCHED_OK)
        fprintf(stderr, "%s: %s\n%s\n", what, hsched_status_text(status),
                hsched_error_detail());
    return status == HSCHED_OK;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* On a terminal only; `part` from 0 to 1, a negative one wipes the bar out. */
static void progress(double part)
{
    char bar[33] = "";
    if (!isatty(STDERR_FILENO))
        return;
    if (part < 0) {
        fprintf(stderr, "\r%48s\r", "");
        return;
    }
    size_t filled = (size_t)(part > 1 ? 32 : part * 32);
    memset(bar, '#', filled);
    fprintf(stderr, "\r[%-32s] %3.0f%%", bar, part > 1 ? 100 : part * 100);
    fflush(stderr);
}

/* The values of a .npy file whose header takes 128 bytes, as those in examples/data do.
 */
static unsigned char *load_npy(const char *folder, const char *name, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unsigned char *values = malloc(size);
    FILE *file = fopen(path, "rb");
    int ok = values && file && fseek(file, 128, SEEK_SET) == 0 &&
             fread(values, size, 1, file) == 1;
    if (file)
        fclose(file);
    if (ok)
        return values;
    fprintf(stderr, "%s could not be read; run this in the project's folder\n", path);
    free(values);
    return NULL;
}

static void print_latency(const hsched_model *model, double per_second)
{
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    if (check(hsched_model_get_stats(model, &stats), "stats"))
        printf("  p50 %9.3f ms  p99 %9.3f ms  %8.1f runs/s\n", stats.latency_p50_us / 1e3,
               stats.latency_p99_us / 1e3, per_second);
}

/* ---- Digits ---------------------------------------------------------------- */

typedef struct digits {
    unsigned char *pixels, *labels;
    float images[DIGITS][PIXELS];
    float answers[READERS][DIGITS][CLASSES];
    hsched_run *runs[READERS][DIGITS];
    hsched_model *models[READERS];
    atomic_int stop; /* asked for by the main thread */
    int passes, ok;  /* the thread's, until it is joined */
    double seconds;
} digits;

static int finish(digits *d, int i)
{
    int ok = 1;
    for (int m = 0; m < READERS; m++) {
        if (d->runs[m][i])
            ok = check(hsched_run_wait(d->runs[m][i], HSCHED_FOREVER), "run") && ok;
        hsched_run_release(d->runs[m][i]);
        d->runs[m][i] = NULL;
    }
    return ok;
}

/* All images through all readers, WINDOW images at once; every run submitted is waited
 * for. */
static int read_digits(digits *d)
{
    int ok = 1;
    for (int i = 0; i < DIGITS && ok; i++) {
        hsched_binding in = HSCHED_DATA(d->images[i], sizeof d->images[i]);
        for (int m = 0; m < READERS && ok; m++) {
            hsched_binding out = HSCHED_DATA(d->answers[m][i], sizeof d->answers[m][i]);
            hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                         .outputs = &out, .priority = 10 };
            ok = check(hsched_submit(d->models[m], &config, &d->runs[m][i]), "submit");
        }
        if (i >= WINDOW)
            ok = finish(d, i - WINDOW) && ok;
    }
    for (int i = 0; i < DIGITS; i++)
        ok = finish(d, i) && ok;
    return ok;
}

static void *read_until_stopped(void *argument)
{
    digits *d = argument;
    double begin = now_s();
    do {
        d->ok = read_digits(d);
        d->passes++;
    } while (d->ok && !atomic_load(&d->stop));
    d->seconds = now_s() - begin;
    return NULL;
}

static int accuracy(const digits *d, int m)
{
    int right = 0;
    for (int i = 0; i < DIGITS; i++) {
        int best = 0;
        for (int c = 1; c < CLASSES; c++)
            best = d->answers[m][i][c] > d->answers[m][i][best] ? c : best;
        right += best == d->labels[i];
    }
    return right;
}

static const char *const digit_files[READERS] = { "digits-cnn.onnx", "digits-mlp.onnx",
                                                  "digits-gru.onnx" };

static int open_digits(hsched_runtime *runtime, const char *folder, digits *d)
{
    int ok = (d->pixels = load_npy(folder, "digits-test-images.npy", DIGITS * PIXELS)) &&
             (d->labels = load_npy(folder, "digits-test-labels.npy", DIGITS));
    for (int m = 0; m < READERS && ok; m++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, digit_files[m]);
        ok = check(hsched_model_load(runtime, path, NULL, &d->models[m]), path);
    }
    for (int i = 0; i < DIGITS * PIXELS && ok; i++)
        d->images[i / PIXELS][i % PIXELS] = (float)d->pixels[i] / 16;
    return ok;
}

static int report_digits(const digits *d)
{
    int ok = 1;
    printf("%d held-out handwritten digits, read %d times in %.1f s, at priority 10\n",
           DIGITS, d->passes, d->seconds);
    for (int m = 0; m < READERS; m++) {
        int right = accuracy(d, m);
        printf("  %-16s %d right, %.2f%%", digit_files[m], right, 100.0 * right / DIGITS);
        print_latency(d->models[m], DIGITS * d->passes / d->seconds);
        if (right < ACCURACY_MIN * DIGITS) {
            fprintf(stderr, "%s: the accuracy should be %.0f%% or better\n",
                    digit_files[m], 100 * ACCURACY_MIN);
            ok = 0;
        }
    }
    return ok;
}

static void close_digits(digits *d)
{
    for (int m = 0; m < READERS; m++)
        hsched_model_release(d->models[m]);
    free(d->pixels);
    free(d->labels);
}

/* ---- Several networks at once ---------------------------------------------- */

/* One run in flight. `ended` is guarded by the show's lock; the rest belongs to the main
 * thread. */
typedef struct ticket {
    struct show *show;
    hsched_run *run;
    int ended;
} ticket;

typedef struct lane {
    const char *name;
    hsched_model *model;
    float *input, *first; /* its image, and the first answer it gave */
    size_t input_size, output_size;
    ticket tickets[IN_FLIGHT];
    uint64_t runs;
} lane;

typedef struct show {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t ended; /* runs that ended and were not yet taken */
    lane lanes[LANES_MAX];
    int lane_count;
} show;

static void run_ended(void *user, hsched_run *run, hsched_status status)
{
    (void)run, (void)status; /* the main thread asks the run itself */
    ticket *t = user;
    pthread_mutex_lock(&t->show->lock);
    t->ended = 1;
    t->show->ended++;
    pthread_cond_signal(&t->show->changed);
    pthread_mutex_unlock(&t->show->lock);
}

static int submit(lane *l, ticket *t)
{
    hsched_binding in = HSCHED_DATA(l->input, l->input_size);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                 .callback = run_ended, .callback_user = t };
    t->ended = 0;
    return check(hsched_submit(l->model, &config, &t->run), l->name);
}

/* Every answer to the same image must be a distribution over the classes, and the same
 * one. */
static int check_answer(lane *l, ticket *t)
{
    const void *data;
    size_t size;
    double sum = 0, difference = 0;
    if (!check(hsched_run_wait(t->run, HSCHED_FOREVER), l->name) ||
        !check(hsched_run_output(t->run, 0, &data, &size), l->name))
        return 0;
    const float *answer = data;
    if (l->runs++ == 0)
        memcpy(l->first, data, l->output_size);
    for (size_t i = 0; i < l->output_size / sizeof *answer; i++) {
        sum += (double)answer[i];
        difference = fmax(difference, fabs((double)answer[i] - (double)l->first[i]));
    }
    if (fabs(sum - 1) < 1e-3 && difference < 1e-5)
        return 1;
    fprintf(stderr,
            "%s: run %llu: the answers add up to %g and differ by %g from the first\n",
            l->name, (unsigned long long)l->runs, sum, difference);
    return 0;
}

static int open_lane(hsched_runtime *runtime, show *s, const char *name)
{
    lane *l = &s->lanes[s->lane_count++];
    hsched_graph *graph = NULL;
    hsched_tensor_info in = { HSCHED_TENSOR_INFO_INIT },
                       out = { HSCHED_TENSOR_INFO_INIT };
    l->name = name;
    int ok = check(zoo_build(name, 1, &graph), name) &&
             check(hsched_model_compile(runtime, graph, NULL, &l->model), name) &&
             check(hsched_model_input_info(l->model, 0, &in), name) &&
             check(hsched_model_output_info(l->model, 0, &out), name);
    hsched_graph_destroy(graph);
    if (!ok)
        return 0;
    l->input_size = in.byte_size;
    l->output_size = out.byte_size;
    l->input = malloc(l->input_size);
    l->first = malloc(l->output_size);
    for (size_t i = 0; l->input && i < l->input_size / sizeof(float); i++)
        l->input[i] = (float)((i * 2654435761u >> 16) & 0xff) / 128 - 1; /* a pattern */
    for (int k = 0; k < IN_FLIGHT; k++)
        l->tickets[k].show = s;
    return l->input && l->first;
}

/* Takes all that has ended; submits again while `more`. */
static int take_ended(show *s, int more, int *in_flight)
{
    int ok = 1;
    for (int i = 0; i < s->lane_count; i++)
        for (int k = 0; k < IN_FLIGHT; k++) {
            lane *l = &s->lanes[i];
            ticket *t = &l->tickets[k];
            pthread_mutex_lock(&s->lock);
            int ended = t->run && t->ended;
            s->ended -= (uint64_t)ended;
            pthread_mutex_unlock(&s->lock);
            if (!ended)
                continue;
            ok = check_answer(l, t) && ok;
            hsched_run_release(t->run);
            t->run = NULL;
            --*in_flight;
            if (more && ok && (ok = submit(l, t)))
                ++*in_flight;
        }
    return ok;
}

/* Until a run ends, or a tenth of a second has gone by. */
static void wait_ended(show *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&s->lock);
    while (s->ended == 0 && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&s->lock);
}

static int run_lanes(show *s, double seconds, double *elapsed)
{
    int in_flight = 0, ok = 1;
    double begin = now_s();
    for (int i = 0; i < s->lane_count; i++)
        for (int k = 0; k < IN_FLIGHT && ok; k++)
            if ((ok = submit(&s->lanes[i], &s->lanes[i].tickets[k])))
                in_flight++;
    while (in_flight > 0) {
        wait_ended(s);
        double now = now_s() - begin;
        progress(now / seconds);
        ok = take_ended(s, ok && now < seconds, &in_flight) && ok;
    }
    progress(-1);
    *elapsed = now_s() - begin;
    return ok;
}

static void report_networks(const show *s, double elapsed)
{
    printf("\n%d networks beside them, %d runs of each in flight\n", s->lane_count,
           IN_FLIGHT);
    for (int i = 0; i < s->lane_count; i++) {
        const lane *l = &s->lanes[i];
        printf("  %-16s %6llu runs", l->name, (unsigned long long)l->runs);
        print_latency(l->model, (double)l->runs / elapsed);
    }
}

static void close_lanes(show *s)
{
    for (int i = 0; i < s->lane_count; i++) {
        hsched_model_release(s->lanes[i].model);
        free(s->lanes[i].input);
        free(s->lanes[i].first);
    }
}

/* All six at once: the digits on a thread of their own, the others on this one. */
static int demo(hsched_runtime *runtime, const char *folder, double seconds)
{
    static const char *const names[] = { "resnet18", "mobilenet_v2", "squeezenet1_1" };
    static show s = { .lock = PTHREAD_MUTEX_INITIALIZER,
                      .changed = PTHREAD_COND_INITIALIZER };
    static digits d;
    pthread_t thread;
    double elapsed = 0;
    int ok = open_digits(runtime, folder, &d);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && ok; i++)
        ok = open_lane(runtime, &s, names[i]);
    if (ok && pthread_create(&thread, NULL, read_until_stopped, &d) != 0) {
        fprintf(stderr, "a thread could not be started\n");
        ok = 0;
    }
    if (ok) {
        ok = run_lanes(&s, seconds, &elapsed);
        atomic_store(&d.stop, 1);
        pthread_join(thread, NULL);
        ok = ok && d.ok;
    }
    if (ok) {
        ok = report_digits(&d);
        report_networks(&s, elapsed);
    }
    close_digits(&d);
    close_lanes(&s);
    return ok;
}

/* ---- What ran where -------------------------------------------------------- */

static int print_devices(const hsched_runtime *runtime)
{
    hsched_runtime_stats totals = { HSCHED_RUNTIME_STATS_INIT };
    printf("\nwhat ran where\n");
    for (uint32_t i = 0; i < hsched_runtime_device_count(runtime); i++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
        if (!check(hsched_runtime_device_info(runtime, i, &info), "device") ||
            !check(hsched_runtime_get_device_stats(runtime, i, &stats), "device"))
            return 0;
        printf(
            "  %-8s %s, %u workers (%s)\n           %llu jobs, %llu steps, busy %.2f s\n",
            info.name, info.description, info.workers, info.libraries,
            (unsigned long long)stats.jobs, (unsigned long long)stats.steps,
            stats.busy_us / 1e6);
    }
    if (!check(hsched_runtime_get_stats(runtime, &totals), "stats"))
        return 0;
    printf("  runs: %llu submitted, %llu succeeded, %llu failed, %llu cancelled\n",
           (unsigned long long)totals.runs_submitted,
           (unsigned long long)totals.runs_succeeded,
           (unsigned long long)totals.runs_failed,
           (unsigned long long)totals.runs_cancelled);
    return totals.runs_failed == 0;
}

int main(int argc, char **argv)
{
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 4;
    const char *folder = argc > 1 ? argv[1] : "examples/data";
    hsched_runtime *runtime = NULL;
    int ok = check(hsched_runtime_create(NULL, &runtime), "runtime") &&
             demo(runtime, folder, seconds) && print_devices(runtime);
    hsched_runtime_destroy(runtime);
    return ok ? 0 : 1;
}
