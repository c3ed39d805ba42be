/* Platform files: what is read from a good one, and what is said of bad ones. */
#include "common/support.h"

#include <math.h>

#include "simulator/platform.h"

static const char good[] = "name = a board # not part of it\n"
                           "description = for tests\n"
                           "costs = rates\n"
                           "\n"
                           "[device cpu]\n"
                           "kind = cpu\n"
                           "workers = 4\n"
                           "gflops = 10\n"
                           "gb_per_s = 5\n"
                           "parallel = 0.75\n"
                           "[device gpu]\r\n"
                           "  kind=gpu\r\n"
                           "workers = 2\n"
                           "sections_per_job = 3\n"
                           "gflops = 100\n"
                           "gflops.fp16 = 200\n"
                           "gb_per_s = 50\n"
                           "step_us = 7\n"
                           "job_us = 20\n"
                           "efficiency.conv = 0.5\n"
                           "efficiency.pool = 0.25\n"
                           "classes = conv, pool elementwise\n"
                           "without = pad\n"
                           "limit.conv_kernel = 5\n"
                           "limit.groups = 2\n"
                           "stretch = 2:1.5 4:3\n"
                           "max_batch = 8\n"
                           "batch = 8:2\n"
                           "[link cpu gpu]\n"
                           "us = 10\n"
                           "gb_per_s = 2\n";

static hsi_platform *parse(const char *text)
{
    hsi_platform *platform;
    assert_ok(hsi_platform_parse("test.platform", text, strlen(text), &platform));
    return platform;
}

static void a_platform_is_read(void **state)
{
    (void)state;
    hsi_platform *p = parse(good);
    assert_string_equal(p->name, "a board");
    assert_string_equal(p->description, "for tests");
    assert_int_equal(p->measured, 0);
    assert_int_equal(p->device_count, 2);
    const hsi_platform_device *cpu = &p->devices[0], *gpu = &p->devices[1];
    assert_int_equal(cpu->kind, HSI_PLATFORM_CPU);
    assert_int_equal(cpu->team, 4); /* all, if it does not say */
    assert_true(cpu->parallel == 0.75);
    assert_int_equal(gpu->kind, HSI_PLATFORM_GPU);
    assert_int_equal(gpu->sections_per_job, 3);
    assert_int_equal(gpu->max_batch, 8);
    assert_true(gpu->gflops[HSCHED_MATH_STRICT] == 100 &&
                gpu->gflops[HSCHED_MATH_FP16] == 200 &&
                gpu->gflops[HSCHED_MATH_BF16] == 0);
    assert_true(gpu->efficiency[0] == 0.5 &&
                gpu->efficiency[HSI_PLATFORM_DEPTHWISE] == 0.5);
    assert_true(hsi_curve_at(&gpu->stretch, 1) == 1 &&
                hsi_curve_at(&gpu->stretch, 3) == 2.25);
    assert_true(hsi_curve_at(&gpu->stretch, 8) == 6);
    assert_true(p->links[0][1].us == 10 && p->links[1][0].us == 10);
    assert_true(fabs(p->links[1][0].us_per_byte - 0.0005) < 1e-12);
    assert_int_equal(hsi_platform_find_device(p, "gpu"), 1);
    assert_int_equal(hsi_platform_find_device(p, "dla"), UINT32_MAX);
    hsi_platform_destroy(p);
}

static void a_link_may_differ_by_direction(void **state)
{
    (void)state;
    char text[2048];
    snprintf(text, sizeof text, "%s[link gpu cpu]\nus = 3\n", good);
    hsi_platform *p = parse(text);
    assert_true(p->links[0][1].us == 10 && p->links[1][0].us == 3);
    assert_true(p->links[1][0].us_per_byte == 0);
    hsi_platform_destroy(p);
}

static void curves_go_on_in_proportion(void **state)
{
    (void)state;
    const hsi_curve none = { 0 }, from_one = { .count = 1, .at = { 1 }, .factor = { 1 } };
    assert_true(hsi_curve_at(&none, 9) == 1);
    assert_true(hsi_curve_at(&from_one, 1) == 1 && hsi_curve_at(&from_one, 9) == 9);
}

/* ---- Costs ---------------------------------------------------------------- */

static void rates_make_times(void **state)
{
    (void)state;
    hsi_platform *p = parse(good);
    const hsi_platform_device *gpu = &p->devices[1];
    hsched_step conv = { .struct_size = sizeof conv, .kind = HSCHED_STEP_CONV2D };
    hsched_step pool = { .struct_size = sizeof pool, .kind = HSCHED_STEP_POOL2D };
    conv.u.conv2d.groups = 1;
    /* 10^6 operations at 50 GFLOP/s: 20 us. 10^6 bytes at 50 GB/s: 20 us; 5 * 10^6: 100 us. */
    assert_true(hsi_platform_step_us(gpu, HSCHED_MATH_STRICT, &conv, 1e6, 1e5) == 27);
    assert_true(hsi_platform_step_us(gpu, HSCHED_MATH_STRICT, &conv, 1e6, 5e6) == 107);
    /* Twice the rate, half the bytes; what has no rate of its own is computed in float32. */
    assert_true(hsi_platform_step_us(gpu, HSCHED_MATH_FP16, &conv, 1e6, 1e5) == 17);
    assert_true(hsi_platform_step_us(gpu, HSCHED_MATH_FP16, &conv, 1e6, 5e6) == 57);
    assert_true(hsi_platform_step_us(gpu, HSCHED_MATH_BF16, &conv, 1e6, 5e6) == 107);
    /* What does not compute is as efficient as its access to memory: 12.5 GB/s. */
    assert_true(hsi_platform_step_us(gpu, HSCHED_MATH_STRICT, &pool, 0, 1e6) == 87);
    hsi_platform_destroy(p);
}

static void limits_say_what_falls_back(void **state)
{
    (void)state;
    hsi_platform *p = parse(good);
    const hsi_platform_device *gpu = &p->devices[1];
    hsched_step step = { .struct_size = sizeof step, .kind = HSCHED_STEP_CONV2D };
    step.in[1].dims[2] = step.in[1].dims[3] = 5;
    step.u.conv2d.groups = 2;
    assert_true(hsi_platform_supports(gpu, &step));
    step.in[1].dims[3] = 7;
    assert_false(hsi_platform_supports(gpu, &step));
    step.in[1].dims[3] = 5;
    step.u.conv2d.groups = 3;
    assert_false(hsi_platform_supports(gpu, &step));
    step.kind = HSCHED_STEP_UNARY;
    assert_true(hsi_platform_supports(gpu, &step));
    step.kind = HSCHED_STEP_PAD;
    assert_false(hsi_platform_supports(gpu, &step));
    step.kind = HSCHED_STEP_SOFTMAX; /* not among its classes */
    assert_false(hsi_platform_supports(gpu, &step));
    assert_true(hsi_platform_supports(&p->devices[0], &step));
    hsi_platform_destroy(p);
}

/* ---- Bad files ------------------------------------------------------------ */

#define CPU "name = x\n[device cpu]\nkind = cpu\ngflops = 1\ngb_per_s = 1\n"
#define GPU "[device gpu]\nkind = gpu\ngflops = 1\ngb_per_s = 1\n"

static const struct {
    const char *text, *place, *said;
} bad[] = {
    { "", ":1: ", "add a section [device cpu]" },
    { "name = x\n", ":1: ", "add a section [device cpu]" },
    { "[device cpu]\nkind = cpu\ngflops = 1\ngb_per_s = 1\n",
      ":1: ", "add a line 'name = ...'" },
    { "name = x\nname = y\n", ":2: ", "'name' is given twice" },
    { "name =\n", ":1: ", "'name' has no value" },
    { "colour = red\n", ":1: ", "known are name, description and costs" },
    { "costs = guessed\n", ":1: ", "write rates or measured" },
    { "costs = rates\ncosts = rates\n", ":2: ", "'costs' is given twice" },
    { "just words\n", ":1: ", "neither KEY = VALUE nor [SECTION]" },
    { "[device cpu\n", ":1: ", "write [device NAME]" },
    { "[network x]\n", ":1: ", "'[network x]' is not a section" },
    { "[device ]\n", ":1: ", "needs a name of one word" },
    { "[device a b]\n", ":1: ", "needs a name of one word" },
    { "name = x\n[device cpu]\ngflops = 1\n",
      ":2: ", "has no 'kind'; add 'kind = cpu, gpu" },
    { "[device cpu]\nkind = tpu\n", ":2: ", "kind = 'tpu': write cpu, gpu or dla" },
    { "[device gpu]\nkind = gpu\n[device cpu]\n", ":1: ", "put the CPU's section first" },
    { CPU "[device b]\nkind = cpu\n", ":6: ", "leave one of them out" },
    { CPU "[device cpu]\n", ":6: ", "there is a [device cpu] already" },
    { "[device cpu]\nkind = cpu\ngb_per_s = 1\n",
      ":1: ", "has no 'gflops'; add the line" },
    { "[device cpu]\nkind = cpu\ngflops = 1\n", ":1: ", "has no 'gb_per_s'" },
    { CPU "speed = 9\n", ":6: ", "'speed' is not a key of devices" },
    { CPU "costs = rates\n", ":6: ", "put it before the first section" },
    { CPU "gflops = 2\n", ":6: ", "'gflops' stands in line 4 already" },
    { CPU "workers = 0\n", ":6: ", "workers = '0': write how many jobs" },
    { CPU "workers = 2.5\n", ":6: ", "workers = '2.5'" },
    { CPU "step_us = -1\n", ":6: ", "microseconds, 0 or more" },
    { CPU "step_us = nan\n", ":6: ", "microseconds, 0 or more" },
    { CPU "step_us = 1us\n", ":6: ", "microseconds, 0 or more" },
    { CPU "watts = 0\n", ":6: ", "watts, more than 0" },
    { CPU "watts = 3\nidle_watts = 4\n", ":7: ", "draws more when it idles" },
    { CPU "idle_watts = 4\n", ":6: ", "write 'watts = 4' or more" },
    { CPU "parallel = 1.5\n", ":6: ", "0 to 1" },
    { CPU "efficiency.conv = 0\n", ":6: ", "a share of the rate" },
    { CPU "stretch = 2:1 2:2\n", ":6: ", "JOBS ascending" },
    { CPU "stretch = 2:\n", ":6: ", "JOBS:FACTOR" },
    { CPU "stretch = 2:1,4:2\n", ":6: ", "JOBS:FACTOR" },
    { CPU "stretch = 0:1\n", ":6: ", "JOBS:FACTOR" },
    { CPU "classes = conv\n", ":6: ", "'classes' is not for a device of kind cpu" },
    { CPU GPU "team = 2\n", ":10: ", "'team' is not for a device of kind gpu" },
    { CPU GPU "classes = conv shoes\n", ":10: ", "some of conv, matmul" },
    { CPU GPU "without = conv3d\n", ":10: ", "kinds of steps as hsched inspect" },
    { CPU GPU "sections_per_job = some\n", ":10: ", "or all" },
    { CPU GPU "max_batch = 65\n", ":10: ", "1 to 64" },
    { CPU GPU "max_batch = 2\n", ":10: ", "does not say what that costs; add 'batch = " },
    { CPU GPU, ":9: ", "add a section [link cpu gpu]" },
    { CPU GPU "[link cpu]\nus = 1\n", ":10: ", "'' is not a device" },
    { CPU GPU "[link cpu dla]\nus = 1\n", ":10: ", "'dla' is not a device" },
    { CPU GPU "[link cpu cpu]\nus = 1\n", ":10: ", "two different devices" },
    { CPU GPU "[link cpu gpu gpu]\nus = 1\n", ":10: ", "two different devices" },
    { CPU GPU "[link cpu gpu]\ngb_per_s = 1\n", ":10: ", "this link has no 'us'" },
    { CPU GPU "[link cpu gpu]\nus = 1\nworkers = 1\n", ":12: ", "not a key of links" },
    { CPU GPU "[link cpu gpu]\nus = 1\n[link cpu gpu]\nus = 1\n",
      ":12: ", "described in line 10 already" },
    { "name = x\ncosts = measured\n[device cpu]\nkind = cpu\ngflops = 1\n",
      ":5: ", "'gflops' is not used where costs are measured" },
};

static void a_bad_file_is_told_where_and_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hsi_platform *platform = (hsi_platform *)&platform;
        char place[64];
        snprintf(place, sizeof place, "test.platform%s", bad[i].place);
        const hsched_status status = hsi_platform_parse("test.platform", bad[i].text,
                                                        strlen(bad[i].text), &platform);
        if (status != HSCHED_ERROR_FORMAT || platform ||
            strncmp(hsched_error_detail(), place, strlen(place)) != 0 ||
            !strstr(hsched_error_detail(), bad[i].said))
            fail_msg("case %zu, '%s': %s, '%s'; wanted '%s ... %s'", i, bad[i].text,
                     hsched_status_name(status), hsched_error_detail(), place,
                     bad[i].said);
    }
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    hsi_platform *platform;
    assert_fails(hsi_platform_parse("test.platform", "name\0x", 6, &platform),
                 HSCHED_ERROR_FORMAT, "byte 4 is 0");
    /* Cut off anywhere, a good file is bad or good, and never more than that. */
    for (size_t size = 0; size < sizeof good; size++)
        if (hsi_platform_parse("test.platform", good, size, &platform) == HSCHED_OK)
            hsi_platform_destroy(platform);
        else
            assert_null(platform);
}

static void files_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    hsi_platform *platform;
    assert_fails(hsi_platform_load("/no/such/file", &platform), HSCHED_ERROR_IO,
                 "No such file");
    assert_fails(hsi_platform_load("/tmp", &platform), HSCHED_ERROR_IO, "directory");
    assert_fails(hsi_platform_load("/dev/zero", &platform), HSCHED_ERROR_FORMAT,
                 "more than 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_platform_is_read),
        cmocka_unit_test(a_link_may_differ_by_direction),
        cmocka_unit_test(curves_go_on_in_proportion),
        cmocka_unit_test(rates_make_times),
        cmocka_unit_test(limits_say_what_falls_back),
        cmocka_unit_test(a_bad_file_is_told_where_and_what_to_do),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(files_that_cannot_be_read_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
