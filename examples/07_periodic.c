/*
 * What a robot runs: two networks at rates of their own. The eye looks 100 times a second at what
 * its camera shows, and always at the newest frame; a controller, which goes first, answers 250
 * times a second or not at all. The library releases their runs, in step and without drift.
 *
 *     build/examples/07_periodic        from the project's folder; it takes a second
 */
#include <hsched/hsched.h>
#include <pthread.h>
#include <stdio.h>

#define DATA "examples/data/"
enum {
    FRAMES = 3, /* one that is looked at, one that waits, one that is being filled */
    DIGITS = 360,
    LOOKS = 100
};

typedef struct frame {
    float pixels[64], scores[10];
    int digit, used;
    uint64_t release_us;
} frame;

typedef struct eye {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned char images[DIGITS][64], labels[DIGITS]; /* what the camera shows */
    frame frames[FRAMES];
    int shown, seen, right;
} eye;

/* On the source thread, before each run: the camera's newest frame, in memory that is free. */
static int look(void *user, uint64_t release_us, hsched_binding *inputs,
                hsched_binding *outputs)
{
    eye *e = user;
    frame *f = e->frames;
    pthread_mutex_lock(&e->mutex);
    while (f->used) /* there is one: see HSCHED_SOURCE_LATEST_ONLY */
        f++;
    f->used = 1;
    f->release_us = release_us;
    f->digit = e->shown++ % DIGITS;
    pthread_mutex_unlock(&e->mutex);
    for (int i = 0; i < 64; i++)
        f->pixels[i] = (float)e->images[f->digit][i] / 16;
    inputs[0] = (hsched_binding)HSCHED_DATA(f->pixels, sizeof f->pixels);
    outputs[0] = (hsched_binding)HSCHED_DATA(f->scores, sizeof f->scores);
    return 0;
}

/* Each frame comes back, also of a run that was replaced by a newer one. */
static void seen(void *user, uint64_t release_us, hsched_run *run, hsched_status status)
{
    eye *e = user;
    frame *f = e->frames;
    int best = 0;
    (void)run; /* its output lies in the frame */
    pthread_mutex_lock(&e->mutex);
    while (!f->used || f->release_us != release_us)
        f++;
    for (int c = 1; c < 10; c++)
        best = f->scores[c] > f->scores[best] ? c : best;
    if (status == HSCHED_OK) {
        e->seen++;
        e->right += best == e->labels[f->digit];
    }
    f->used = 0;
    pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->mutex);
}

/* A .npy file whose header takes 128 bytes, as that of those here does. */
static int load(const char *path, void *values, size_t size)
{
    FILE *file = fopen(path, "rb");
    int ok = file && !fseek(file, 128, SEEK_SET) && fread(values, size, 1, file) == 1;
    if (file)
        fclose(file);
    return ok;
}

static void report(const char *name, const hsched_source *source)
{
    hsched_source_stats s = { HSCHED_SOURCE_STATS_INIT };
    hsched_source_get_stats(source, &s);
    printf("%s: %.0f completed, %.0f replaced, %.0f dropped, 99%% within %.2f ms\n", name,
           (double)s.completed, (double)s.replaced, (double)s.dropped,
           s.latency_p99_us / 1e3);
}

int main(void)
{
    static eye e = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                     .changed = PTHREAD_COND_INITIALIZER };
    static float state[64], command[10];
    const hsched_binding in = HSCHED_DATA(state, sizeof state),
                         out = HSCHED_DATA(command, sizeof command);
    const hsched_source_config looking = { HSCHED_SOURCE_CONFIG_INIT,
                                           .name = "eye",
                                           .period_us = 10000,
                                           .flags = HSCHED_SOURCE_LATEST_ONLY,
                                           .fill = look,
                                           .callback = seen,
                                           .user = &e };
    const hsched_source_config controlling = { HSCHED_SOURCE_CONFIG_INIT,
                                               .name = "controller",
                                               .period_us = 4000,
                                               .priority = 10,
                                               .late = HSCHED_LATE_DROP,
                                               .inputs = &in,
                                               .outputs = &out };
    hsched_runtime *runtime = NULL;
    hsched_model *cnn = NULL, *mlp = NULL;
    hsched_source *eyes = NULL, *controller = NULL;
    if (!load(DATA "digits-test-images.npy", e.images, sizeof e.images) ||
        !load(DATA "digits-test-labels.npy", e.labels, sizeof e.labels))
        return fprintf(stderr, "the digits in " DATA " could not be read\n"), 1;
    if (hsched_runtime_create(NULL, &runtime) ||
        hsched_model_load(runtime, DATA "digits-cnn.onnx", NULL, &cnn) ||
        hsched_model_load(runtime, DATA "digits-mlp.onnx", NULL, &mlp) ||
        hsched_source_create(mlp, &controlling, &controller) ||
        hsched_source_create(cnn, &looking, &eyes) || /* is there time for both? */
        hsched_source_start(controller, 0) || hsched_source_start(eyes, 0))
        return fprintf(stderr, "%s\n", hsched_error_detail()), 1;
    pthread_mutex_lock(&e.mutex);
    while (e.seen < LOOKS)
        pthread_cond_wait(&e.changed, &e.mutex);
    pthread_mutex_unlock(&e.mutex);
    report("controller", controller);
    report("eye", eyes);
    hsched_source_destroy(controller);
    hsched_source_destroy(eyes); /* waits for the last callback */
    printf("%d of %d digits were right\n", e.right, e.seen);
    hsched_model_release(cnn);
    hsched_model_release(mlp);
    hsched_runtime_destroy(runtime);
}
