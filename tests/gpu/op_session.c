#include "gpu/op_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "backend/cuda/host.h"

#define MAX_FAILURES     8 /* described per test, before it gives up */
#define MAX_NAMES        512
#define DEFAULT_STEPS    100
#define DEFAULT_VARIANTS 3 /* of the libraries: making one may take seconds */

op_session session = { .seed = 20211126,
                       .steps = DEFAULT_STEPS,
                       .variants = DEFAULT_VARIANTS,
                       .own = OP_MOST_VARIANTS };

static char why_not[400]; /* there is no device */

static void read_number(const char *name, uint32_t *number, uint32_t most)
{
    if (getenv(name))
        *number = (uint32_t)strtoul(getenv(name), NULL, 0);
    if (*number > most)
        *number = most;
}

void op_session_configure(void)
{
    if (getenv("HSCHED_TEST_SEED"))
        session.seed = strtoull(getenv("HSCHED_TEST_SEED"), NULL, 0);
    read_number("HSCHED_TEST_STEPS", &session.steps, UINT32_MAX / 4);
    read_number("HSCHED_TEST_VARIANTS", &session.variants, OP_MOST_VARIANTS);
    read_number("HSCHED_TEST_OWN", &session.own, OP_MOST_VARIANTS);
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    print_message("HSCHED_TEST_SEED=%llu\n", (unsigned long long)session.seed);
}

int op_session_open(void **state)
{
    int available = 0;
    (void)state;
    hsi_cuda_host = &hsi_backend_host;
    snprintf(why_not, sizeof why_not, "%s", hsi_cuda_describe(&available));
    if (!available)
        return 0;
    const hsched_device_config config = { .struct_size = sizeof config,
                                          .host = &hsi_backend_host,
                                          .workers = 1,
                                          .tuning = HSCHED_GPU_TUNING_NONE };
    hsched_status status = hsi_cuda_device_open(&config, &session.device);
    if (status == HSCHED_OK)
        status = hsi_cuda_enter(session.device);
    if (status == HSCHED_OK) {
        status = op_bench_create(&session.bench, session.device);
        hsi_cuda_leave(session.device);
    }
    if (status != HSCHED_OK) {
        session.broken = 1; /* every test fails */
        snprintf(why_not, sizeof why_not, "the device did not open: %s",
                 hsched_error_detail());
        print_error("%s\n", why_not);
    }
    return 0;
}

int op_session_close(void **state)
{
    (void)state;
    if (session.device && hsi_cuda_enter(session.device) == HSCHED_OK) {
        op_bench_destroy(&session.bench);
        hsi_cuda_leave(session.device);
    }
    if (session.device)
        hsi_cuda_device_close(session.device);
    return 0;
}

/* ---- A test ---------------------------------------------------------------- */

void op_session_begin(void)
{
    session.failures = 0;
    if (!session.device && !session.broken) {
        print_message("skipped: %s\n", why_not);
        skip();
    }
    if (session.broken)
        fail_msg("%s",
                 session.device ? "an earlier operation made the GPU unusable" : why_not);
    if (hsi_cuda_enter(session.device) != HSCHED_OK)
        fail_msg("the device could not be entered: %s", hsched_error_detail());
}

void op_session_end(void)
{
    hsi_cuda_leave(session.device);
    assert_int_equal(session.failures, 0);
}

int op_session_goes_on(void)
{
    return session.failures < MAX_FAILURES && !session.broken;
}

void op_session_note(hsched_status status)
{
    if (status == HSCHED_ERROR_DEVICE)
        session.broken = 1;
}

/* ---- What was met ----------------------------------------------------------- */

/* To be told at the end. */
static struct {
    char name[80];
    int kind;
    uint32_t runs;
} names[MAX_NAMES];
static uint32_t name_count;

void op_session_count(int kind, const char *name)
{
    uint32_t k = 0;
    while (k < name_count && (names[k].kind != kind || strcmp(names[k].name, name) != 0))
        k++;
    if (k == MAX_NAMES)
        return;
    if (k == name_count) {
        snprintf(names[k].name, sizeof names[k].name, "%s", name);
        names[k].kind = kind;
        name_count++;
    }
    names[k].runs++;
}

static void tell_kind(int kind)
{
    if (kind > 0)
        print_message("    %s: %u steps, %u operations, %u refused\n",
                      hsched_step_kind_name((hsched_step_kind)kind),
                      session.met[kind].steps, session.met[kind].runs,
                      session.met[kind].refused);
    for (uint32_t k = 0; k < name_count; k++)
        if (names[k].kind == kind)
            print_message("        %5u by %s\n", names[k].runs, names[k].name);
}

void op_session_tell(void **state)
{
    (void)state;
    op_session_begin();
    for (int kind = 0; kind <= RANDOM_STEP_KINDS; kind++)
        if (kind == 0 || session.met[kind].runs + session.met[kind].refused > 0)
            tell_kind(kind);
    op_session_end();
}
