/*
 * A policy of one's own: the earliest deadline goes first, whatever its priority, and a section
 * goes to the device where the least work waits for each worker. 64 runs of the digit network,
 * whose deadlines come in no order, are submitted at once; each is printed when it has ended.
 *
 *     build/examples/06_policy        from the project's folder
 */
#include <hsched/policy.h>
#include <pthread.h>
#include <stdio.h>

enum {
    RUNS = 64,
    PIXELS = 64,
    DIGITS = 10
};

/* ---- The policy ----------------------------------------------------------- */

/* Called under the scheduler's lock: it looks at what it is given, and answers. */
static uint32_t place(void *user, const hsched_policy_section *section)
{
    uint32_t best = 0;
    (void)user;
    for (uint32_t d = 1; d < section->device_count; d++) {
        if (!(section->device_mask >> d & 1))
            continue;
        /* backlog[d] / workers[d] < backlog[best] / workers[best], or the same: an accelerator */
        if ((uint64_t)section->backlog[d] * section->workers[best] <=
            (uint64_t)section->backlog[best] * section->workers[d])
            best = d;
    }
    return best;
}

static int64_t earliest_deadline(void *user, const hsched_policy_run *run)
{
    (void)user;
    return run->deadline_us ? (int64_t)run->deadline_us : INT64_MAX;
}

/* ---- Runs ----------------------------------------------------------------- */

typedef struct ending {
    pthread_mutex_t mutex;
    uint64_t latest_us; /* deadline of those that have ended */
    int ended, in_order, in_time;
} ending;

/* On the library's thread, one run at a time. */
static void ended(void *user, hsched_run *run, hsched_status status)
{
    ending *e = user;
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    if (status != HSCHED_OK || hsched_run_get_times(run, &times) != HSCHED_OK)
        return;
    pthread_mutex_lock(&e->mutex);
    printf("deadline after %5.1f ms, ended after %5.1f ms\n",
           (double)(times.deadline_us - times.submitted_us) / 1e3,
           (double)(times.ended_us - times.submitted_us) / 1e3);
    e->ended++;
    e->in_order += times.deadline_us >= e->latest_us;
    e->in_time += times.ended_us <= times.deadline_us;
    if (times.deadline_us > e->latest_us)
        e->latest_us = times.deadline_us;
    pthread_mutex_unlock(&e->mutex);
}

static hsched_status submit_all(hsched_model *model, const hsched_binding *image,
                                ending *e, hsched_run **runs)
{
    hsched_status status = HSCHED_OK;
    for (int i = 0; i < RUNS && status == HSCHED_OK; i++) {
        const uint64_t turn = (uint64_t)(i * 37 % RUNS); /* each once, in no order */
        hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = image,
                                     .deadline_us = 2000 + 500 * turn, .callback = ended,
                                     .callback_user = e };
        status = hsched_submit(model, &config, &runs[i]);
    }
    for (int i = 0; i < RUNS && runs[i]; i++) {
        hsched_status waited = hsched_run_wait(runs[i], HSCHED_FOREVER);
        status = status == HSCHED_OK ? waited : status;
        hsched_run_release(runs[i]);
    }
    return status;
}

int main(void)
{
    const hsched_policy_plugin policy = { HSCHED_POLICY_PLUGIN_INIT,
                                          .name = "earliest deadline", .place = place,
                                          .order = earliest_deadline };
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                           .policy_plugin = &policy };
    hsched_runtime *runtime = NULL;
    hsched_model *model = NULL;
    hsched_run *runs[RUNS] = { NULL };
    ending e = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    float image[PIXELS] = { 0 };
    const hsched_binding in = HSCHED_DATA(image, sizeof image);
    hsched_status status = hsched_runtime_create(&config, &runtime);
    if (status == HSCHED_OK)
        status =
            hsched_model_load(runtime, "examples/data/digits-cnn.onnx", NULL, &model);
    if (status == HSCHED_OK) /* the first run takes longer */
        status = hsched_infer(model, &in, 1, &(hsched_binding){ 0 }, 1);
    if (status == HSCHED_OK)
        status = submit_all(model, &in, &e, runs);
    if (status != HSCHED_OK)
        fprintf(stderr, "%s\n", hsched_error_detail());
    hsched_model_release(model);
    hsched_runtime_destroy(runtime); /* waits for the last callback */
    printf("%d of %d runs ended in the order of their deadlines, %d in time\n",
           e.in_order, e.ended, e.in_time);
    return status == HSCHED_OK && e.ended == RUNS ? 0 : 1;
}
