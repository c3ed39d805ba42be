/* Loading threads and the workers that help them (worker/pieces.h), and what is packed that way. */
#include "common/support.h"

#include <pthread.h>
#include <sched.h>

#include "runtime/runtime.h"
#include "unit/large_network.h"
#include "worker/pieces.h"

enum {
    PIECES = 500
};

static hsched_runtime *start(uint32_t workers)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = workers,
                                     .flags = HSCHED_RUNTIME_NO_GPU };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    while (atomic_load(&rt->pool->idle_cpu_workers) < (int)workers)
        sched_yield();
    return rt;
}

/* ---- Every piece once ---- */

typedef struct counts {
    hsched_runtime *rt;
    atomic_uint of[PIECES];
} counts;

static void count_one(void *user, uint32_t index)
{
    atomic_fetch_add(&((counts *)user)->of[index], 1);
}

static void *share_some(void *user)
{
    counts *c = user;
    hsi_worker_pool_share_pieces(c->rt->pool, PIECES, count_one, c);
    return NULL;
}

static void test_each_piece_once(void **state)
{
    (void)state;
    static counts of[3];
    pthread_t threads[3];
    hsched_runtime *rt = start(4);
    for (int round = 1; round <= 20; round++) {
        for (int i = 0; i < 3; i++) {
            of[i].rt = rt;
            assert_int_equal(pthread_create(&threads[i], NULL, share_some, &of[i]), 0);
        }
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            for (int k = 0; k < PIECES; k++)
                assert_int_equal(atomic_load(&of[i].of[k]), round);
        }
    }
    pthread_mutex_lock(&rt->pool->lock);
    assert_int_equal(rt->pool->sharing, 0);
    pthread_mutex_unlock(&rt->pool->lock);
    hsched_runtime_destroy(rt);
}

/* ---- Workers help, and one of them stays for runs ---- */

typedef struct meeting {
    hsched_model *model;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t there, most, ended;
} meeting;

static void tell_ended(void *user, hsched_run *run, hsched_status status)
{
    (void)run;
    (void)status;
    meeting *m = user;
    pthread_mutex_lock(&m->mutex);
    m->ended++;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->mutex);
}

/* All threads that there may be are at a piece at once: then a run, which somebody else has to
 * execute, since all of these wait for its end. */
static void meet(void *user, uint32_t index)
{
    (void)index;
    meeting *m = user;
    pthread_mutex_lock(&m->mutex);
    if (++m->there == m->most) {
        static const float x[3 * 8 * 8];
        const hsched_binding in = { .data = (void *)(uintptr_t)x, .size = sizeof x };
        const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                           .input_count = 1, .callback = tell_ended,
                                           .callback_user = m };
        hsched_run *run;
        pthread_mutex_unlock(&m->mutex);
        assert_ok(hsched_submit(m->model, &config, &run));
        hsched_run_release(run);
        pthread_mutex_lock(&m->mutex);
    }
    pthread_cond_broadcast(&m->changed);
    while (m->ended == 0)
        pthread_cond_wait(&m->changed, &m->mutex);
    pthread_mutex_unlock(&m->mutex);
}

static void test_one_worker_stays(void **state)
{
    (void)state;
    for (uint32_t workers = 2; workers <= 4; workers++) {
        hsched_runtime *rt = start(workers);
        meeting m = { .model = tiny_model(rt, 8, 1, NULL), .most = workers };
        pthread_mutex_init(&m.mutex, NULL);
        pthread_cond_init(&m.changed, NULL);
        while (atomic_load(&rt->pool->idle_cpu_workers) < (int)workers)
            sched_yield();
        hsi_worker_pool_share_pieces(rt->pool, workers, meet, &m);
        assert_int_equal(m.there, workers);
        assert_int_equal(m.ended, 1);
        pthread_cond_destroy(&m.changed);
        pthread_mutex_destroy(&m.mutex);
        hsched_model_release(m.model);
        hsched_runtime_destroy(rt);
    }
}

/* ---- No more threads than workers ---- */

typedef struct alone {
    pthread_t caller;
    uint32_t others, pieces;
} alone;

static void count_others(void *user, uint32_t index)
{
    (void)index;
    alone *a = user;
    a->pieces++;
    a->others += !pthread_equal(pthread_self(), a->caller);
}

/* As many as there are workers are at pieces already: all workers idle, and none may help. */
static void test_no_more_than_workers(void **state)
{
    (void)state;
    hsched_runtime *rt = start(3);
    alone a = { .caller = pthread_self() };
    pthread_mutex_lock(&rt->pool->lock);
    rt->pool->sharing += 2;
    pthread_mutex_unlock(&rt->pool->lock);
    hsi_worker_pool_share_pieces(rt->pool, PIECES, count_others, &a);
    pthread_mutex_lock(&rt->pool->lock);
    rt->pool->sharing -= 2;
    pthread_mutex_unlock(&rt->pool->lock);
    assert_int_equal(a.pieces, PIECES);
    assert_int_equal(a.others, 0);
    hsched_runtime_destroy(rt);
}

/* ---- What is packed is the same ---- */

static void infer(hsched_graph *g, uint32_t workers, const float *x, float *y)
{
    hsched_runtime *rt = start(workers);
    const hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT, .max_parts = 1 };
    hsched_model *model;
    assert_ok(hsched_model_compile(rt, g, &config, &model));
    const hsched_binding in = { .data = (void *)(uintptr_t)x,
                                .size = LARGE_INPUT * sizeof *x },
                         out = { .data = y, .size = LARGE_OUTPUT * sizeof *y };
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void test_same_weights(void **state)
{
    (void)state;
    static float x[LARGE_INPUT], alone_y[LARGE_OUTPUT], y[LARGE_OUTPUT];
    fill(x, LARGE_INPUT, 7);
    hsched_graph *g = large_network();
    infer(g, 1, x, alone_y); /* chooses kernels, too */
    for (int i = 0; i < 3; i++) {
        memset(y, 0xff, sizeof y);
        infer(g, 4, x, y);
        assert_memory_equal(y, alone_y, sizeof y);
    }
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_piece_once),
        cmocka_unit_test(test_one_worker_stays),
        cmocka_unit_test(test_no_more_than_workers),
        cmocka_unit_test(test_same_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
