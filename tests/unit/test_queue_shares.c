/* How many jobs were there at once: what a queue counts of them while they come and go. The clock's
 * share in it is set back under the lock, so that seconds pass without being waited for. */
#include "common/queue_runs.h"

#include "common/support.h"

#include <sched.h>

#include "runtime/runtime.h"
#include "worker/queue.h"

#define SECOND_NS UINT64_C(1000000000)

enum {
    RUNS = 3
};

typedef struct fixture {
    hsched_runtime *rt;
    queue_net net;
    queue_trial trials[RUNS];
} fixture;

static void open_all(fixture *f)
{
    f->rt = queue_runtime_open(&(queue_device_script){ .ready = 1 }, NULL);
    queue_net_tiny(&f->net, f->rt, HSCHED_POLICY_GPU_ONLY);
    queue_trials_make(f->trials, RUNS, &f->net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_device_close_gate(QUEUE_GATE_JOBS);
}

static void close_all(fixture *f)
{
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(f->trials, RUNS);
    queue_trials_free(f->trials, RUNS);
    queue_net_free(&f->net);
    queue_runtime_close(f->rt);
}

static hsi_queue *queue_of(const fixture *f)
{
    return f->rt->pool->queues[QUEUE_DEVICE];
}

/* Until so many are running, as the queue sees it. */
static void submit(fixture *f, uint32_t run)
{
    uint32_t running = 0;
    queue_trial_submit(&f->trials[run]);
    while (running <= run) {
        pthread_mutex_lock(&f->rt->pool->lock);
        running = queue_of(f)->running;
        pthread_mutex_unlock(&f->rt->pool->lock);
        sched_yield();
    }
}

/* As if so much more time had passed since anybody came or went. */
static void let_pass(fixture *f, uint64_t ns)
{
    hsi_queue *q = queue_of(f);
    pthread_mutex_lock(&f->rt->pool->lock);
    q->counted_ns -= ns;
    for (uint32_t lane = 0; lane < q->lanes; lane++)
        q->flights[lane].started_ns -= ns;
    pthread_mutex_unlock(&f->rt->pool->lock);
}

static double progress_of(fixture *f, uint32_t lane)
{
    pthread_mutex_lock(&f->rt->pool->lock);
    const double progress_ns = queue_of(f)->flights[lane].progress_ns;
    pthread_mutex_unlock(&f->rt->pool->lock);
    return progress_ns / (double)SECOND_NS;
}

/* Nothing is known of what jobs leave each other: each has the device in its turn. The times that
 * really pass are far below a second. */
static void a_job_is_slowed_down_by_those_that_are_there(void **state)
{
    (void)state;
    fixture f;
    open_all(&f);
    submit(&f, 0);
    let_pass(&f, 4 * SECOND_NS);
    submit(&f, 1); /* that it comes is no reason to have been there */
    assert_true(progress_of(&f, 0) > 3.9 && progress_of(&f, 0) < 4.9);
    assert_true(progress_of(&f, 1) < 0.9);
    let_pass(&f, 4 * SECOND_NS);
    submit(&f, 2);
    assert_true(progress_of(&f, 0) > 5.9 && progress_of(&f, 0) < 7.4);
    assert_true(progress_of(&f, 1) > 1.9 && progress_of(&f, 1) < 3.4);
    close_all(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_slowed_down_by_those_that_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
