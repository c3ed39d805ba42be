/*
 * What XNNPACK may read is there: up to XNN_EXTRA_BYTES past the input of every call, whether or
 * not its kernels for this processor do so. Random steps whose x ends where a page that cannot be
 * read begins; this program's setup function reads all that XNNPACK may, then goes on to XNNPACK's.
 */
#include "common/support.h"

#if HSI_HAVE_XNNPACK

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xnnpack.h>

#include "backend/backend.h"
#include "backend/cpu/choose.h"
#include "backend/random_step.h"

#define SEED          7
#define STEPS         400
#define MAX_OPERATORS 64
#define ROOM          ((size_t)16 << 20)

/* ---- Between the library and XNNPACK ---- */

static struct {
    xnn_operator_t op;
    size_t channels, stride;
} made[MAX_OPERATORS];
static uint32_t made_count, calls, calls_in_place;
static char *room, *room_end; /* of x; then the page */

static void *next_of(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    assert_non_null(function);
    return function;
}

enum xnn_status xnn_create_convolution2d_nhwc_f32(
    uint32_t top, uint32_t right, uint32_t bottom, uint32_t left, uint32_t kernel_height,
    uint32_t kernel_width, uint32_t subsampling_height, uint32_t subsampling_width,
    uint32_t dilation_height, uint32_t dilation_width, uint32_t groups,
    size_t group_input_channels, size_t group_output_channels,
    size_t input_channel_stride, size_t output_channel_stride, const float *kernel,
    const float *bias, float output_min, float output_max, uint32_t flags,
    xnn_operator_t *op)
{
    const __typeof__(&xnn_create_convolution2d_nhwc_f32) create =
        (__typeof__(&xnn_create_convolution2d_nhwc_f32))next_of(
            "xnn_create_convolution2d_nhwc_f32");
    const enum xnn_status status =
        create(top, right, bottom, left, kernel_height, kernel_width, subsampling_height,
               subsampling_width, dilation_height, dilation_width, groups,
               group_input_channels, group_output_channels, input_channel_stride,
               output_channel_stride, kernel, bias, output_min, output_max, flags, op);
    assert_int_equal(status, xnn_status_success);
    assert_true(made_count < MAX_OPERATORS);
    made[made_count].op = *op;
    made[made_count].channels = groups * group_input_channels;
    made[made_count++].stride = input_channel_stride;
    return status;
}

enum xnn_status xnn_setup_convolution2d_nhwc_f32(xnn_operator_t op, size_t batch,
                                                 size_t height, size_t width,
                                                 const float *x, float *y,
                                                 pthreadpool_t threads)
{
    const __typeof__(&xnn_setup_convolution2d_nhwc_f32) setup =
        (__typeof__(&xnn_setup_convolution2d_nhwc_f32))next_of(
            "xnn_setup_convolution2d_nhwc_f32");
    uint32_t i = 0;
    while (i < made_count && made[i].op != op)
        i++;
    assert_true(i < made_count);
    const char *end = (const char *)(x + (batch * height * width - 1) * made[i].stride +
                                     made[i].channels);
    for (size_t k = 0; k < XNN_EXTRA_BYTES; k++)
        (void)*(const volatile char *)(end + k);
    calls++;
    calls_in_place += (const char *)x >= room && (const char *)x < room_end;
    return setup(op, batch, height, width, x, y, threads);
}

/* ---- Steps ---- */

static void make_room(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    room = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
    assert_true(room != MAP_FAILED);
    room_end = room + ROOM;
    assert_int_equal(mprotect(room_end, page, PROT_NONE), 0);
}

/* x, in a copy that ends with the room. */
static void *move_x(const random_memory *x)
{
    assert_true(x->size <= ROOM);
    memcpy(room_end - x->size, x->block, x->size);
    return room_end - x->size + x->first;
}

/* 1 if XNNPACK took the step. */
static int run_step(hsched_backend_device *device, hsched_step_kind kind, uint32_t index)
{
    static random_step step;
    random_step_make(&step, kind, SEED, index);
    hsched_step given = step.step;
    hsched_section_config config = { .struct_size = sizeof config,
                                     .steps = &given,
                                     .step_count = 1,
                                     .constants_stay = 1 };
    hsched_backend_section *section;
    hsched_backend_slot *slot;
    made_count = 0;
    assert_ok(hsi_backend_cpu.section_prepare(device, &config, &section));
    assert_ok(hsi_backend_cpu.slot_create(section, &slot));
    const int taken = made_count > 0;
    if (taken) {
        char why[256];
        void *operands[HSCHED_STEP_MAX_INPUTS + 1];
        void *scratch = random_alloc(hsi_backend_cpu.scratch_size(section));
        random_step_reset(&step);
        random_step_operands(&step, operands);
        operands[0] = move_x(&step.in[0]);
        for (uint32_t part = 0; part < given.parts; part++)
            assert_ok(hsi_backend_cpu.run_part(slot, 0, operands, part, scratch));
        if (random_step_check(&step, why, sizeof why))
            fail_msg("step %u: %s: %s", index, step.text, why);
        free(scratch);
    }
    hsi_backend_cpu.slot_destroy(slot);
    hsi_backend_cpu.section_destroy(section);
    random_step_free(&step);
    return taken;
}

static void run_steps(const char *kernel, hsched_step_kind kind)
{
    const hsched_device_config config = { .struct_size = sizeof config,
                                          .workers = 1,
                                          .cpu_libraries = HSCHED_LIBRARY_XNNPACK,
                                          .cpu_tuning = HSCHED_CPU_TUNING_NONE };
    hsched_backend_device *device;
    uint32_t taken = 0;
    if (!room)
        make_room();
    calls = calls_in_place = 0;
    hsi_cpu_choose_only = kernel;
    assert_ok(hsi_backend_cpu.device_open(&config, &device));
    for (uint32_t i = 0; i < STEPS; i++)
        taken += (uint32_t)run_step(device, kind, i);
    hsi_backend_cpu.device_close(device);
    hsi_cpu_choose_only = NULL;
    print_message("%s: %u of %u steps, %u calls, %u of them in place\n", kernel, taken,
                  STEPS, calls, calls_in_place);
    assert_true(taken > STEPS / 2 && calls_in_place > 0 && calls > calls_in_place);
}

static void convolutions_read_what_is_there(void **state)
{
    (void)state;
    run_steps("xnnpack/conv2d", HSCHED_STEP_CONV2D);
}

static void fully_connected_steps_read_what_is_there(void **state)
{
    (void)state;
    run_steps("xnnpack/fc", HSCHED_STEP_FC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_read_what_is_there),
        cmocka_unit_test(fully_connected_steps_read_what_is_there),
    };
    return cmocka_run_group_tests_name("cpu xnnpack", tests, NULL, NULL);
}

#else

static void test_absent(void **state)
{
    (void)state;
    print_message("skipped: there is no XNNPACK as of 2022 (Debian 12: libxnnpack-dev "
                  "libpthreadpool-dev)\n");
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_absent) };
    return cmocka_run_group_tests_name("cpu xnnpack", tests, NULL, NULL);
}

#endif
