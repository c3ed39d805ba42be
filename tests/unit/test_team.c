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
    uint32_t places[HELPERS];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned left, inside, most_inside, computed[PARTS]; /* guarded by mutex */
} t;

static void *help(void *argument)
{
    const hsi_team_limits limits = { &t.jobs_waiting, &t.top_priority, 0, &t.most };
    hsi_team_help(&t.team, NULL, 1, *(const uint32_t *)argument, &limits);
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
            assert_int_equal(pthread_create(&t.threads[i], NULL, help, &t.places[i]), 0);
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
    for (int i = 0; i < HELPERS; i++) {
        t.places[i] = hsi_team_join(&t.team);
        assert_int_equal(t.places[i], i + 1); /* the owner has the first */
    }
    assert_int_equal(hsi_team_helpers(&t.team), HELPERS);
    atomic_store(&t.most, FAIR);
    assert_int_equal(hsi_team_run(&t.team, &step, NULL, 0), HSCHED_ERROR_INTERNAL);
    assert_string_equal(hsched_error_detail(), "the last one fails");
    for (int i = 0; i < HELPERS; i++)
        assert_int_equal(pthread_join(t.threads[i], NULL), 0);
    assert_int_equal(hsi_team_helpers(&t.team), 0);
    assert_in_range(t.most_inside, 1, FAIR + 1);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(t.computed[i], 1);
    hsi_team_clear(&t.team);
    pthread_cond_destroy(&t.changed);
    pthread_mutex_destroy(&t.mutex);
}

/* ---- Who computes what ---------------------------------------------------- */

enum {
    OWNER = 7, /* numbers of workers */
    HELPER = 3
};

static struct {
    hsi_team team;
    atomic_int jobs_waiting, top_priority;
    atomic_uint most;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t place, computed, by_helper[PARTS], by_helper_count; /* guarded by mutex */
} h;

static void *help_once(void *argument)
{
    const hsi_team_limits limits = { &h.jobs_waiting, &h.top_priority, 0, &h.most };
    hsi_team_help(&h.team, NULL, HELPER, h.place, &limits);
    return argument;
}

/* The owner's first part lasts until the helper has computed all others. */
static hsched_status run_noted(hsched_backend_slot *slot, uint32_t step,
                               void *const *operands, uint32_t part, void *scratch)
{
    (void)slot;
    (void)step;
    (void)operands;
    (void)scratch;
    pthread_mutex_lock(&h.mutex);
    if (h.computed++ == 0) {
        assert_int_equal(part, 0);
        assert_int_equal(pthread_create(&h.thread, NULL, help_once, NULL), 0);
        while (h.by_helper_count < PARTS - 1)
            pthread_cond_wait(&h.changed, &h.mutex);
    } else {
        h.by_helper[h.by_helper_count++] = part;
        pthread_cond_signal(&h.changed);
    }
    pthread_mutex_unlock(&h.mutex);
    return HSCHED_OK;
}

static void a_member_begins_with_its_own_share(void **state)
{
    (void)state;
    const hsched_backend backend = { .struct_size = sizeof backend,
                                     .run_part = run_noted };
    const hsi_exec_step step = { .backend = &backend, .parts = PARTS };
    memset(&h, 0, sizeof h);
    pthread_mutex_init(&h.mutex, NULL);
    pthread_cond_init(&h.changed, NULL);
    assert_int_equal(hsi_team_init(&h.team), HSCHED_OK);
    atomic_store(&h.most, 1);
    h.place = hsi_team_join(&h.team);
    assert_int_equal(hsi_team_run(&h.team, &step, NULL, OWNER), HSCHED_OK);
    assert_int_equal(pthread_join(h.thread, NULL), 0);
    const uint32_t expected[] = { 4, 5, 6, 7, 1, 2, 3 };
    assert_int_equal(h.by_helper_count, PARTS - 1);
    assert_memory_equal(h.by_helper, expected, sizeof expected);
    hsi_team_clear(&h.team);
    pthread_cond_destroy(&h.changed);
    pthread_mutex_destroy(&h.mutex);
}

static void places_are_given_until_there_are_none(void **state)
{
    (void)state;
    hsi_team team = { 0 };
    assert_int_equal(hsi_team_init(&team), HSCHED_OK);
    for (uint32_t i = 1; i < HSI_TEAM_MOST; i++)
        assert_int_equal(hsi_team_join(&team), i);
    assert_int_equal(hsi_team_join(&team), 0);
    assert_int_equal(hsi_team_helpers(&team), HSI_TEAM_MOST - 1);
    hsi_team_leave(&team, 5);
    assert_int_equal(hsi_team_join(&team), 5);
    hsi_team_clear(&team);
}

/* More parts than chunks. */
static hsched_status count_part(hsched_backend_slot *slot, uint32_t step,
                                void *const *operands, uint32_t part, void *scratch)
{
    (void)slot;
    (void)step;
    (void)scratch;
    ((uint32_t *)operands[0])[part]++;
    return HSCHED_OK;
}

static void all_of_many_parts_are_computed_once(void **state)
{
    (void)state;
    const hsched_backend backend = { .struct_size = sizeof backend,
                                     .run_part = count_part };
    for (uint32_t parts = 1; parts < 100; parts++) {
        uint32_t computed[100] = { 0 };
        void *operands[] = { computed };
        const hsi_exec_step step = { .backend = &backend,
                                     .operands = operands,
                                     .parts = parts };
        hsi_team team = { 0 };
        assert_int_equal(hsi_team_init(&team), HSCHED_OK);
        assert_int_equal(hsi_team_run(&team, &step, NULL, OWNER), HSCHED_OK);
        for (uint32_t i = 0; i < 100; i++)
            assert_int_equal(computed[i], i < parts);
        hsi_team_clear(&team);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_too_many_leave),
        cmocka_unit_test(a_member_begins_with_its_own_share),
        cmocka_unit_test(places_are_given_until_there_are_none),
        cmocka_unit_test(all_of_many_parts_are_computed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
