#include "worker/pieces.h"

#include <sched.h>

#include "base/sync.h"

/* Lies on the stack of the thread that shares them. Guarded by the scheduler lock: pieces are long
 * beside the time that it is held for. */
struct hsi_pieces {
    uint32_t count, begun;
    uint32_t helpers; /* workers that are at a piece */
    hsched_piece *piece;
    void *user;
    pthread_cond_t left; /* helpers became 0 */
};

static int has_runs(const hsi_worker_pool *pool)
{
    return pool->stopping || hsi_core_startable(pool->config.core, 0) > 0 ||
           hsi_core_executing_count(pool->config.core, 0) > 0;
}

/* Does the next piece, without the lock meanwhile; 0: there is none. */
static int do_next(hsi_worker_pool *pool, struct hsi_pieces *p)
{
    if (p->begun == p->count)
        return 0;
    const uint32_t index = p->begun++;
    pthread_mutex_unlock(&pool->lock);
    p->piece(p->user, index);
    pthread_mutex_lock(&pool->lock);
    return 1;
}

void hsi_pieces_help(hsi_worker *w)
{
    struct hsi_pieces *p = w->pieces;
    const uint64_t began = hsi_now_ns();
    w->pieces = NULL;
    p->helpers++;
    while (!has_runs(w->pool) && do_next(w->pool, p))
        ;
    w->busy_ns += hsi_now_ns() - began;
    w->pool->sharing--;
    if (--p->helpers == 0)
        pthread_cond_signal(&p->left);
}

static void wake_helpers(hsi_worker_pool *pool, struct hsi_pieces *p)
{
    const int here = sched_getcpu();
    uint32_t wanted = p->count - 1;
    while (wanted > 0 && pool->sharing < pool->config.workers[0] && !has_runs(pool)) {
        hsi_worker *w = hsi_worker_pool_wake_cpu_but(pool, here);
        if (!w)
            return;
        w->pieces = p;
        pool->sharing++;
        wanted--;
    }
}

/* Those that have not come yet need not any more. */
static void dismiss(hsi_worker_pool *pool, const struct hsi_pieces *p)
{
    for (uint32_t i = 0; i < pool->worker_count; i++)
        if (pool->workers[i].pieces == p) {
            pool->workers[i].pieces = NULL;
            pool->sharing--;
        }
}

void hsi_worker_pool_share_pieces(void *workers, uint32_t count, hsched_piece *piece,
                                  void *user)
{
    hsi_worker_pool *pool = workers;
    struct hsi_pieces p = { .count = count, .piece = piece, .user = user };
    if (count < 2 || pthread_cond_init(&p.left, NULL) != 0) {
        for (uint32_t i = 0; i < count; i++)
            piece(user, i);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->sharing++;
    wake_helpers(pool, &p);
    while (do_next(pool, &p))
        ;
    dismiss(pool, &p);
    while (p.helpers > 0)
        pthread_cond_wait(&p.left, &pool->lock);
    pool->sharing--;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&p.left);
}
