/*
 * The library inside a pipeline that exists already: a camera thread writes frames into
 * its own ring of memory, the network reads them there, and a consumer gets the answers
 * in the order of the frames.
 *
 *     camera thread -> ring of frames -> runs in flight -> callback -> consumer (main)
 *
 * - Frames are the camera's memory, wrapped as buffers: nothing is copied. A frame goes
 * back to the camera when its run has ended, so the ring's size bounds what is in flight,
 * and a camera that is faster than the network waits.
 * - The callback only marks the frame and wakes the consumer: it runs on the library's
 * thread.
 * - At the end of the stream (here: after 1000 frames, or STOP given as argument) runs in
 * flight are cancelled and every frame is accounted for.
 *
 *     build/examples/05_pipeline [STOP]        from the project's folder
 */
#include <hsched/hsched.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "examples/data/"
enum {
    RING = 8,
    SIDE = 8,
    DIGITS = 360,
    FRAMES = 1000,
    CLASSES = 10
};

typedef enum frame_state {
    FRAME_FREE,    /* the camera's */
    FRAME_FILLED,  /* waits for submission */
    FRAME_RUNNING, /* the library's */
    FRAME_ENDED    /* the consumer's */
} frame_state;

typedef struct pipeline pipeline;

typedef struct frame {
    pipeline *owner;
    frame_state state;
    unsigned char *pixels; /* uint8 [1,8,8,1], in the ring's memory */
    float scores[CLASSES];
    int digit;             /* which image the camera showed */
    hsched_buffer *buffer; /* `pixels`, wrapped */
    hsched_run *run;
} frame;

/* The lock guards states and counters; a frame's other members belong to who owns its
 * state. */
struct pipeline {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int stop;
    long produced;
    unsigned char *digits; /* what the camera sees */
    unsigned char *ring;   /* its memory */
    frame frames[RING];
};

static int check(hsched_status status, const char *what)
{
    if (status != HSCHED_OK)
        fprintf(stderr, "%s: %s\n%s\n", what, hsched_status_text(status),
                hsched_error_detail());
    return status == HSCHED_OK;
}

static void set_state(frame *f, frame_state state)
{
    pthread_mutex_lock(&f->owner->lock);
    f->state = state;
    pthread_cond_broadcast(&f->owner->changed);
    pthread_mutex_unlock(&f->owner->lock);
}

/* The camera knows nothing of the library. */
static void *camera(void *argument)
{
    pipeline *p = argument;
    for (long n = 0;; n++) {
        frame *f = &p->frames[n % RING];
        pthread_mutex_lock(&p->lock);
        while (f->state != FRAME_FREE && !p->stop)
            pthread_cond_wait(&p->changed, &p->lock);
        int stop = p->stop;
        pthread_mutex_unlock(&p->lock);
        if (stop)
            return NULL;
        f->digit = (int)(n % DIGITS);
        memcpy(f->pixels, p->digits + (size_t)f->digit * SIDE * SIDE, SIDE * SIDE);
        pthread_mutex_lock(&p->lock);
        f->state = FRAME_FILLED;
        p->produced++;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
    }
}

/* On the library's thread, with none of its locks held. */
static void run_ended(void *user, hsched_run *run, hsched_status status)
{
    (void)run, (void)status; /* the consumer asks the run itself */
    set_state(user, FRAME_ENDED);
}

static int submit(hsched_model *model, frame *f)
{
    hsched_binding in = HSCHED_BUFFER(f->buffer),
                   out = HSCHED_DATA(f->scores, sizeof f->scores);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .outputs = &out,
                                 .callback = run_ended, .callback_user = f };
    set_state(f, FRAME_RUNNING);
    return check(hsched_submit(model, &config, &f->run), "submit");
}

/* Hands an answer on and the frame back to the camera: 1 if the answer was right, -1 on
 * failure. */
static int consume(frame *f, const unsigned char *labels)
{
    int best = 0;
    if (!check(hsched_run_wait(f->run, HSCHED_FOREVER), "run"))
        return -1;
    for (int c = 1; c < CLASSES; c++)
        best = f->scores[c] > f->scores[best] ? c : best;
    int right = best == labels[f->digit];
    hsched_run_release(f->run);
    f->run = NULL;
    set_state(f, FRAME_FREE);
    return right;
}

/* Answers are taken in the order of the frames and frames submitted as they come,
 * whichever is there first. Gives how many of the first `stop` answers were right, or -1.
 */
static long process(pipeline *p, hsched_model *model, const unsigned char *labels,
                    long stop)
{
    long submitted = 0, consumed = 0, right = 0;
    while (consumed < stop) {
        frame *oldest = &p->frames[consumed % RING], *next = &p->frames[submitted % RING];
        pthread_mutex_lock(&p->lock);
        while (oldest->state != FRAME_ENDED && next->state != FRAME_FILLED)
            pthread_cond_wait(&p->changed, &p->lock);
        int ended = oldest->state == FRAME_ENDED;
        pthread_mutex_unlock(&p->lock);
        if (ended) {
            int answer = consume(oldest, labels);
            if (answer < 0)
                return -1;
            right += answer;
            consumed++;
        } else {
            if (!submit(model, next))
                return -1;
            submitted++;
        }
    }
    return right;
}

/* Stops the camera, cancels what is in flight and waits for it. */
static void finish(pipeline *p, pthread_t thread)
{
    long cancelled = 0, completed = 0;
    pthread_mutex_lock(&p->lock);
    p->stop = 1;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(thread, NULL);
    for (int i = 0; i < RING; i++)
        if (p->frames[i].run)
            hsched_run_cancel(p->frames[i].run);
    for (int i = 0; i < RING; i++) {
        frame *f = &p->frames[i];
        if (!f->run)
            continue;
        hsched_status status = hsched_run_wait(f->run, HSCHED_FOREVER);
        cancelled += status == HSCHED_ERROR_CANCELLED;
        completed += status == HSCHED_OK;
        /* The run has ended, but its callback may still be on its way to the frame. */
        pthread_mutex_lock(&p->lock);
        while (f->state != FRAME_ENDED)
            pthread_cond_wait(&p->changed, &p->lock);
        pthread_mutex_unlock(&p->lock);
        hsched_run_release(f->run);
        f->run = NULL;
    }
    printf(
        "%ld frames from the camera; at the end %ld runs were in flight: %ld cancelled, "
        "%ld completed\n",
        p->produced, cancelled + completed, cancelled, completed);
}

/* The values of a .npy file whose header takes 128 bytes, as those here do. */
static unsigned char *load(const char *path, size_t size)
{
    unsigned char *values = malloc(size);
    FILE *file = fopen(path, "rb");
    int ok = values && file && fseek(file, 128, SEEK_SET) == 0 &&
             fread(values, size, 1, file) == 1;
    if (file)
        fclose(file);
    if (ok)
        return values;
    fprintf(stderr, "%s could not be read\n", path);
    free(values);
    return NULL;
}

/* The digits' network with a camera-frame input: uint8 [1,8,8,1], (pixel - 0) / 16. */
static int load_model(hsched_runtime *runtime, hsched_model **model)
{
    const hsched_image_config image = { HSCHED_IMAGE_CONFIG_INIT,
                                        .scale = { 1 / 16.0f } };
    hsched_graph *graph = NULL;
    int ok =
        check(hsched_graph_load_onnx(DATA "digits-cnn.onnx", NULL, &graph), "model") &&
        check(hsched_graph_convert_input_to_image(graph, "image", &image), "model") &&
        check(hsched_model_compile(runtime, graph, NULL, model), "model");
    hsched_graph_destroy(graph);
    return ok;
}

static int make_ring(pipeline *p, hsched_runtime *runtime)
{
    for (int i = 0; i < RING; i++) {
        p->frames[i].owner = p;
        p->frames[i].pixels = p->ring + i * SIDE * SIDE;
        if (!check(hsched_buffer_wrap(runtime, p->frames[i].pixels, SIDE * SIDE, NULL,
                                      NULL, &p->frames[i].buffer),
                   "ring"))
            return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    static pipeline p = { .lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER };
    long stop = argc > 1 ? strtol(argv[1], NULL, 10) : FRAMES, right = -1;
    hsched_runtime *runtime = NULL;
    hsched_model *model = NULL;
    unsigned char *labels = load(DATA "digits-test-labels.npy", DIGITS);
    pthread_t thread;
    p.digits = load(DATA "digits-test-images.npy", DIGITS * SIDE * SIDE);
    p.ring = calloc(RING, SIDE * SIDE);

    if (labels && p.digits && p.ring &&
        check(hsched_runtime_create(NULL, &runtime), "runtime") &&
        load_model(runtime, &model) && make_ring(&p, runtime) &&
        pthread_create(&thread, NULL, camera, &p) == 0) {
        right = process(&p, model, labels, stop);
        finish(&p, thread);
        if (right >= 0)
            printf("%ld of %ld answers right\n", right, stop);
    }
    for (int i = 0; i < RING; i++)
        hsched_buffer_release(p.frames[i].buffer);
    hsched_model_release(model);
    hsched_runtime_destroy(runtime);
    free(p.ring);
    free(p.digits);
    free(labels);
    return right >= 0 ? 0 : 1;
}
