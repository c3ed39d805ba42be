/*
 * How accesses to dma-bufs are bracketed. The dma-bufs are memfds that the ioctl below makes look
 * like some: it notes down each DMA_BUF_IOCTL_SYNC.
 */
#include "unit/import_support.h"

#include <errno.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
    MOST = 64
};

static struct {
    pthread_mutex_t mutex;
    ino_t dma_bufs[2];
    char text[MOST * 4]; /* "r" begin reading, "w" begin reading and writing, "." end; a
                            second dma-buf's in capitals, and ":" */
    int open[2];         /* brackets */
    int interrupt, fail; /* the next so many calls */
} kernel = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static int synchronise(int which, uint64_t flags)
{
    int error = 0;
    pthread_mutex_lock(&kernel.mutex);
    if (kernel.interrupt > 0) {
        error = kernel.interrupt-- % 2 ? EINTR : EAGAIN;
    } else if (kernel.fail > 0) {
        kernel.fail--;
        error = EIO;
    } else {
        const int end = (flags & DMA_BUF_SYNC_END) != 0;
        const char *letters = which == 0 ? "rw." : "RW:";
        const size_t length = strlen(kernel.text);
        assert_true(length + 1 < sizeof kernel.text);
        kernel.text[length] =
            letters[end ? 2 : (flags & DMA_BUF_SYNC_RW) == DMA_BUF_SYNC_RW];
        kernel.open[which] += end ? -1 : 1;
        assert_true(kernel.open[which] == 0 || kernel.open[which] == 1);
    }
    pthread_mutex_unlock(&kernel.mutex);
    errno = error;
    return error ? -1 : 0;
}

/* In place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    struct stat s;
    if (request == DMA_BUF_IOCTL_SYNC && fstat(fd, &s) == 0)
        for (int i = 0; i < 2; i++)
            if (kernel.dma_bufs[i] == s.st_ino)
                return synchronise(i, ((const struct dma_buf_sync *)argument)->flags);
    return (int)syscall(SYS_ioctl, fd, request, argument);
}

/* What was called since last asked. */
static void assert_called(const char *expected)
{
    char text[sizeof kernel.text];
    pthread_mutex_lock(&kernel.mutex);
    memcpy(text, kernel.text, sizeof text);
    memset(kernel.text, 0, sizeof kernel.text);
    pthread_mutex_unlock(&kernel.mutex);
    assert_string_equal(text, expected);
}

typedef struct fixture {
    hsched_runtime *rt;
    hsched_model *model;
    int fds[2];
    hsched_buffer *a, *b; /* of two dma-bufs, room for two tensors each */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    hsched_buffer **buffers[2] = { &f->a, &f->b };
    f->rt = open_runtime();
    f->model = negating_model(f->rt);
    for (int i = 0; i < 2; i++) {
        struct stat s;
        f->fds[i] = make_memfd("hsched-fake", 2 * BYTES);
        write_numbers(f->fds[i], 0, 1);
        assert_int_equal(fstat(f->fds[i], &s), 0);
        kernel.dma_bufs[i] = s.st_ino;
        assert_ok(hsched_buffer_import_fd(f->rt, f->fds[i], 0, 2 * BYTES, 0, buffers[i]));
    }
    assert_called("r.R:"); /* found out by trying */
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    hsched_buffer_release(f->a);
    hsched_buffer_release(f->b);
    hsched_model_release(f->model);
    hsched_runtime_destroy(f->rt);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kernel.open[i], 0);
        kernel.dma_bufs[i] = 0;
        close(f->fds[i]);
    }
    assert_called("");
    free(f);
    return 0;
}

static void runs_bracket_what_they_use(void **state)
{
    fixture *f = *state;
    float y[ELEMENTS];
    hsched_binding in = HSCHED_BUFFER(f->a), data = HSCHED_DATA(y, sizeof y),
                   out = HSCHED_BUFFER(f->b);
    for (int i = 0; i < 3; i++) {
        assert_ok(hsched_infer(f->model, &in, 1, &data, 1));
        assert_called("r.");
        assert_negated(y, 1);
        assert_ok(hsched_infer(f->model, &data, 1, &out, 1));
        assert_called("W:");
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
        assert_called("rW:.");
        assert_negated_in(f->fds[1], 0, 1);
    }
    out = (hsched_binding){ .buffer = f->a, .offset = BYTES };
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_called("w."); /* once, though it is bound twice */
}

static void other_memory_is_left_alone(void **state)
{
    fixture *f = *state;
    int fd = make_memfd("hsched-plain", BYTES);
    hsched_buffer *plain;
    assert_ok(hsched_buffer_import_fd(f->rt, fd, 0, BYTES, 0, &plain));
    hsched_binding b = HSCHED_BUFFER(plain);
    assert_ok(hsched_infer(f->model, &b, 1, &b, 1));
    hsched_buffer_release(plain);
    close(fd);
}

typedef struct seen {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int called, still_open;
} seen;

static void look(void *user, hsched_run *run, hsched_status status)
{
    seen *s = user;
    (void)run;
    (void)status;
    pthread_mutex_lock(&kernel.mutex);
    const int open = kernel.open[0];
    pthread_mutex_unlock(&kernel.mutex);
    pthread_mutex_lock(&s->mutex);
    s->called = 1;
    s->still_open = open;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static void callbacks_come_after_the_end(void **state)
{
    fixture *f = *state;
    static seen s = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, -1 };
    hsched_binding in = HSCHED_BUFFER(f->a);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .callback = look,
                                 .callback_user = &s };
    hsched_run *run;
    assert_ok(hsched_submit(f->model, &config, &run));
    hsched_run_release(run);
    pthread_mutex_lock(&s.mutex);
    while (!s.called)
        pthread_cond_wait(&s.changed, &s.mutex);
    pthread_mutex_unlock(&s.mutex);
    assert_int_equal(s.still_open, 0);
    assert_called("r.");
}

/* The first run writes, the second reads that: it joins, or begins by itself. */
static void chained_runs_bracket_what_they_read(void **state)
{
    fixture *f = *state;
    hsched_binding in = HSCHED_BUFFER(f->a), out = HSCHED_BUFFER(f->b);
    hsched_run *first, *second;
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .outputs = &out };
    assert_ok(hsched_submit(f->model, &config, &first));
    assert_ok(hsched_run_wait(first, HSCHED_FOREVER));
    assert_called("rW:.");
    hsched_binding chained = HSCHED_RUN_OUTPUT(first, 0);
    config = (hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &chained };
    assert_ok(hsched_submit(f->model, &config, &second));
    assert_ok(hsched_run_wait(second, HSCHED_FOREVER));
    assert_called("R:");
    hsched_run_release(first);
    hsched_run_release(second);
}

static void many_runs_at_once_keep_it_balanced(void **state)
{
    enum {
        RUNS = 20
    };
    fixture *f = *state;
    hsched_binding in = HSCHED_BUFFER(f->a);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *runs[RUNS];
    for (int i = 0; i < RUNS; i++)
        assert_ok(hsched_submit(f->model, &config, &runs[i]));
    for (int i = 0; i < RUNS; i++) {
        assert_ok(hsched_run_wait(runs[i], HSCHED_FOREVER));
        hsched_run_release(runs[i]);
    }
    assert_int_equal(kernel.open[0], 0);
    memset(kernel.text, 0, sizeof kernel.text);
}

static void runs_that_do_not_succeed_end_it_too(void **state)
{
    fixture *f = *state;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .gflops = 0.001,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .policy = HSCHED_POLICY_LAYER_TYPE, .sims = &sim,
                                     .sim_count = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, 16, 7, NULL);
    hsched_binding in = HSCHED_BUFFER(f->a);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *run;
    for (int i = 0; i < 2; i++) {
        assert_ok(hsched_submit(model, &run_config, &run));
        assert_called("r");
        hsched_run_cancel(run);
        assert_fails(hsched_run_wait(run, HSCHED_FOREVER), HSCHED_ERROR_CANCELLED,
                     "tiny");
        assert_called(".");
        hsched_run_release(run);
    }
    assert_ok(hsched_submit(model, &run_config, &run));
    hsched_runtime_destroy(rt);
    assert_called("r.");
    hsched_run_release(run);
    assert_fails(hsched_submit(model, &run_config, &run), HSCHED_ERROR_STATE,
                 "destroyed");
    assert_called("r."); /* it was not submitted after all */
    hsched_model_release(model);
}

static void failing_calls_are_told(void **state)
{
    fixture *f = *state;
    hsched_binding in = HSCHED_BUFFER(f->a), out = HSCHED_BUFFER(f->b);
    kernel.interrupt = 5;
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_called("rW:.");
    assert_int_equal(kernel.interrupt, 0);
    kernel.fail = 1;
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SYSTEM,
                 "model 'negate': hsched_buffer_begin_access: DMA_BUF_IOCTL_SYNC");
    assert_called("");
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_called("rW:.");
}

/* ---- The application's own accesses --------------------------------------- */

static void begin(hsched_buffer *buffer, uint32_t access)
{
    assert_ok(hsched_buffer_begin_access(buffer, access));
}

static void end(hsched_buffer *buffer, uint32_t access)
{
    assert_ok(hsched_buffer_end_access(buffer, access));
}

static void several_share_one_bracket(void **state)
{
    const uint32_t reading = HSCHED_ACCESS_READ, writing = HSCHED_ACCESS_WRITE;
    hsched_buffer *a = ((const fixture *)*state)->a;
    begin(a, reading);
    assert_called("r");
    begin(a, reading); /* sees what devices have written since */
    assert_called(".r");
    end(a, reading);
    assert_called("");
    begin(a, writing | reading);
    assert_called(".w");
    begin(a, writing); /* stale lines cannot be told from new ones: joins */
    begin(a, reading);
    assert_called("");
    end(a, writing);
    assert_called("");
    end(a, writing | reading); /* the last writer: readers are left */
    assert_called(".r");
    end(a, reading);
    assert_called("");
    end(a, reading);
    assert_called(".");
    begin(a, writing);
    end(a, writing);
    assert_called("w.");
}

static void runs_join_the_application(void **state)
{
    fixture *f = *state;
    void *data;
    float y[ELEMENTS];
    hsched_binding in = HSCHED_BUFFER(f->a), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_buffer_map(f->a, &data));
    begin(f->a, HSCHED_ACCESS_WRITE);
    fill(data, ELEMENTS, 9);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_negated(y, 9);
    end(f->a, HSCHED_ACCESS_WRITE);
    assert_called("w.");
}

static void an_end_needs_its_begin(void **state)
{
    hsched_buffer *a = ((const fixture *)*state)->a;
    assert_fails(hsched_buffer_end_access(a, HSCHED_ACCESS_READ), HSCHED_ERROR_STATE,
                 "no such access");
    begin(a, HSCHED_ACCESS_READ);
    assert_fails(hsched_buffer_end_access(a, HSCHED_ACCESS_WRITE), HSCHED_ERROR_STATE,
                 "no such access");
    end(a, HSCHED_ACCESS_READ);
    begin(a, HSCHED_ACCESS_WRITE);
    assert_fails(hsched_buffer_end_access(a, HSCHED_ACCESS_READ), HSCHED_ERROR_STATE,
                 "no such access");
    end(a, HSCHED_ACCESS_WRITE);
    assert_called("r.w.");
}

static void a_failed_begin_changes_nothing(void **state)
{
    hsched_buffer *a = ((const fixture *)*state)->a;
    kernel.fail = 1;
    assert_fails(hsched_buffer_begin_access(a, HSCHED_ACCESS_READ), HSCHED_ERROR_SYSTEM,
                 "begun");
    assert_fails(hsched_buffer_end_access(a, HSCHED_ACCESS_READ), HSCHED_ERROR_STATE,
                 "no such access");
    begin(a, HSCHED_ACCESS_READ);
    kernel.fail = 1;
    assert_fails(hsched_buffer_end_access(a, HSCHED_ACCESS_READ), HSCHED_ERROR_SYSTEM,
                 "ended");
    kernel.open[0] = 0;
    assert_called("r");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_bracket_what_they_use),
        TEST(other_memory_is_left_alone),
        TEST(callbacks_come_after_the_end),
        TEST(chained_runs_bracket_what_they_read),
        TEST(many_runs_at_once_keep_it_balanced),
        TEST(runs_that_do_not_succeed_end_it_too),
        TEST(failing_calls_are_told),
        TEST(several_share_one_bracket),
        TEST(runs_join_the_application),
        TEST(an_end_needs_its_begin),
        TEST(a_failed_begin_changes_nothing),
    };
    return cmocka_run_group_tests_name("accesses to dma-bufs", tests, NULL, NULL);
}
