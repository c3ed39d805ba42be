/* Several threads at one step: all parts are computed once; members that are too many leave. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "worker/team.h"

enum {
    HELPERS = 3,
    PARTS = 8,
    FAIR = 1
};

static struct {
    hsi_team team;
    atomic_int jobs_waiting, top_priority;
    atomic_uint most;
    pthread_t threads[HELPERS];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned left, inside, most_inside, computed[PARTS]; /* guarded by mutex */
} t;

static void *help(void *argument)
{
    const hsi_team_leave leave = { &t.jobs_waiting, &t.top_priority, 0, &t.most };
    hsi_team_help(&t.team, NULL, 1, &leave);
    pthread_mutex_lock(&t.mutex);
    t.left++;
    pthread_cond_broadcast(&t.changed);
    pthread_mutex_unlock(&t.mutex);
    return argument;
}

/* The owner's first part lets the helpers in, when there is work for all of them. No part ends
 * before those who are too many have left, or have taken a part, which is wrong. */
static hsched_status run_part(hsched_backend_slot *slot, uint32_t step,
                              void *const *operands, uint32_t part, void *scratch)
{
    (void)slot;
    (void)step;
    (void)operands;
    (void)scratch;
    if (part == 0)
        for (int i = 0; i < HELPERS; i++)
            assert_int_equal(pthread_create(&t.threads[i], NULL, help, NULL), 0);
    pthread_mutex_lock(&t.mutex);
    t.computed[part]++;
    t.inside++;
    t.most_inside = t.inside > t.most_inside ? t.inside : t.most_inside;
    pthread_cond_broadcast(&t.changed);
    while (t.left < HELPERS - FAIR && t.most_inside <= FAIR + 1)
        pthread_cond_wait(&t.changed, &t.mutex);
    t.inside--;
    pthread_mutex_unlock(&t.mutex);
    return part == PARTS - 1 ? hsi_error(HSCHED_ERROR_INTERNAL, "the last one fails")
                             : HSCHED_OK;
}

static void those_too_many_leave(void **state)
{
    (void)state;
    const hsched_backend backend = { .struct_size = sizeof backend,
                                     .run_part = run_part };
    const hsi_exec_step step = { .backend = &backend, .parts = PARTS };
    memset(&t, 0, sizeof t);
    pthread_mutex_init(&t.mutex, NULL);
    pthread_cond_init(&t.changed, NULL);
    assert_int_equal(hsi_team_init(&t.team), HSCHED_OK);
    atomic_store(&t.team.members, HELPERS);
    atomic_store(&t.most, FAIR);
    assert_int_equal(hsi_team_run(&t.team, &step, NULL, 0), HSCHED_ERROR_INTERNAL);
    assert_string_equal(hsched_error_detail(), "the last one fails");
    for (int i = 0; i < HELPERS; i++)
        assert_int_equal(pthread_join(t.threads[i], NULL), 0);
    assert_int_equal(atomic_load(&t.team.members), 0);
    assert_in_range(t.most_inside, 1, FAIR + 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(t.computed[i], 1);
    hsi_team_clear(&t.team);
    pthread_cond_destroy(&t.changed);
    pthread_mutex_destroy(&t.mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(those_too_many_leave) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
