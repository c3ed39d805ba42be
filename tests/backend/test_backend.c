/*
 * One test for all backends: seeded random steps of every kind, compared with the
 * reference under the tolerances that stand in random_step.h. Every step runs twice, its
 * parts in shuffled order and then all at the same time; both must give the same bits,
 * write nothing but elements of out, and make no heap call of the library's own.
 *
 * HSCHED_TEST_SEED sets the seed (printed with every failure), HSCHED_TEST_STEPS the
 * steps per kind.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "backend/cpu/bf16.h"
#include "backend/cpu/choose.h"
#include "backend/cpu/int8.h"
#include "backend/cpu/isa.h"
#include "backend/random_step.h"
#include "base/alloc.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define MAX_PARTS     8
#define MAX_SECTION   RANDOM_STEP_KINDS /* steps prepared together */
#define MAX_FAILURES  8                 /* described per test, before it gives up */
#define MAX_KERNELS   64
#define DEFAULT_STEPS 400

typedef struct setup {
    const char *name;
    const hsched_backend *backend;
    uint32_t libraries;
    int reference;
    const char *only; /* this kernel, where it can; NULL: as usual */
    int measured;
    hsched_step_kind kind; /* steps of this kind alone; 0: all */
    int hidden;            /* instruction sets, the best first */
    hsched_math math;      /* BF16: skipped where the processor has no bfloat16 */
    hsched_backend_device *device;
    struct {
        char name[96];
        uint32_t steps;
    } kernels[MAX_KERNELS]; /* met so far */
    uint32_t kernel_count;
} setup;

static setup setups[] = {
#ifdef TEST_XNNPACK /* test_xnnpack.c */
#define XNNPACK(name, its_kind)                                                          \
    {                                                                                    \
        "cpu xnnpack " name, &hsi_backend_cpu,                                           \
            HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_XNNPACK, .only = name, .kind = its_kind  \
    }
    XNNPACK("xnnpack/conv2d", HSCHED_STEP_CONV2D),
    XNNPACK("xnnpack/fc", HSCHED_STEP_FC),
    { "cpu xnnpack, measured", &hsi_backend_cpu,
      HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_XNNPACK, .kind = HSCHED_STEP_CONV2D,
      .measured = 1 },
#else
#if HSI_HAVE_ONEDNN
    { "cpu own+openblas+onednn", &hsi_backend_cpu,
      HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS | HSCHED_LIBRARY_ONEDNN, 0 },
    { "cpu own+openblas+onednn, measured", &hsi_backend_cpu,
      HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS | HSCHED_LIBRARY_ONEDNN,
      .kind = HSCHED_STEP_CONV2D, .measured = 1 },
    { "cpu own+openblas+onednn, measured, fc", &hsi_backend_cpu,
      HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS | HSCHED_LIBRARY_ONEDNN,
      .kind = HSCHED_STEP_FC, .measured = 1 },
    { "cpu own+openblas+onednn, measured, matmul", &hsi_backend_cpu,
      HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS | HSCHED_LIBRARY_ONEDNN,
      .kind = HSCHED_STEP_MATMUL, .measured = 1 },
#endif
    { "cpu own+openblas", &hsi_backend_cpu, HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS,
      0 },
    { "cpu own", &hsi_backend_cpu, HSCHED_LIBRARY_OWN, 0 },
    { "cpu own, less of the processor", &hsi_backend_cpu, HSCHED_LIBRARY_OWN,
      .hidden = 1 },
    { "cpu own, baseline", &hsi_backend_cpu, HSCHED_LIBRARY_OWN, .hidden = 2 },
    { "cpu reference", &hsi_backend_cpu, HSCHED_LIBRARY_OWN, 1 },
#define ONLY(of, name, hides)                                                            \
    {                                                                                    \
        "cpu " name " " #of ", " #hides " hidden", &hsi_backend_cpu,                     \
            HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS,                                \
            .only = name, .kind = HSCHED_STEP_##of, .hidden = hides                      \
    }
#define CONV2D(name, hides) ONLY(CONV2D, name, hides)
#define FC(name, hides)     ONLY(FC, name, hides)
#define MATMUL(name, hides) ONLY(MATMUL, name, hides)
    CONV2D("own/depthwise", 0),
    CONV2D("own/depthwise", 1),
    CONV2D("own/depthwise", 2),
    ONLY(SEPARABLE_CONV2D, "own/separable", 0),
    ONLY(SEPARABLE_CONV2D, "own/separable", 1),
    ONLY(SEPARABLE_CONV2D, "own/separable", 2),
    CONV2D("own/direct", 0),
    CONV2D("own/direct", 1),
    CONV2D("own/direct", 2),
    CONV2D("own/winograd", 0),
    CONV2D("own/winograd", 1),
    CONV2D("own/winograd", 2),
    CONV2D("own/winograd-2x2", 0),
    CONV2D("own/winograd-2x2", 1),
    CONV2D("own/winograd-2x2", 2),
    CONV2D("own/int8", 0),
    CONV2D("own/int8", 1),
    FC("own/int8", 0),
    FC("own/int8", 1),
    CONV2D("openblas/1x1", 0),
    CONV2D("openblas/im2col", 0),
#define BF16(name, its_kind, needs)                                                      \
    {                                                                                    \
        "cpu " name, &hsi_backend_cpu, needs, .only = name, .kind = its_kind,            \
                                              .math = HSCHED_MATH_BF16                   \
    }
    BF16("own/fc-bf16", HSCHED_STEP_FC, HSCHED_LIBRARY_OWN),
#if HSI_HAVE_ONEDNN
    BF16("onednn/bf16", HSCHED_STEP_CONV2D, HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_ONEDNN),
    BF16("onednn/fc-bf16", HSCHED_STEP_FC, HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_ONEDNN),
    BF16("onednn/matmul-bf16", HSCHED_STEP_MATMUL, HSCHED_LIBRARY_ONEDNN),
#endif
    FC("own/fc", 0),
    FC("own/fc", 1),
    FC("own/fc", 2),
    FC("own/fc-packed", 0),
    FC("own/fc-packed", 1),
    FC("own/fc-packed", 2),
    FC("openblas/fc", 0),
    MATMUL("own/matmul-packed", 0),
    MATMUL("own/matmul-packed", 1),
    MATMUL("own/matmul-packed", 2),
    MATMUL("openblas/matmul", 0),
    { "sim", &hsi_backend_sim, 0, 0 },
#endif
};

/* Of those that measure is `measured`, below. */
static char cache[] = "/tmp/hsched-backend-XXXXXX", measured[sizeof cache + 16];
static uint64_t seed = 20210611;
static uint32_t steps_per_kind = DEFAULT_STEPS;

/* ---- A section of random steps on a device ---- */

typedef struct bench {
    setup *on;
    random_step made[MAX_SECTION];
    hsched_step steps[MAX_SECTION]; /* as the backend gets them */
    void *constants[MAX_SECTION][HSCHED_STEP_MAX_INPUTS];
    uint32_t count;
    hsched_backend_section *section;
    hsched_backend_slot *slot;
    void *scratch[MAX_PARTS];
    size_t scratch_size;
    uint64_t rng;
    int failures;
} bench;

static void report(bench *b, uint32_t step, const char *what, const char *why)
{
    b->failures++;
    print_error("%s: step %u: %s: %s\n    %s\n    kernel %s\n", b->on->name, step, what,
                why, b->made[step].text,
                b->section ? b->on->backend->kernel_name(b->section, step)
                           : "not prepared");
}

static hsched_status open_device(setup *on, hsched_backend_device **device)
{
    hsched_device_config config = {
        .struct_size = sizeof config,
        .host = &hsi_backend_host,
        .workers = on->backend->kind == HSCHED_DEVICE_SIM ? 1 : MAX_PARTS,
        .cpu_libraries = on->libraries,
        .reference = on->reference,
        .cpu_tuning = on->measured ? HSCHED_CPU_TUNING_MEASURE : HSCHED_CPU_TUNING_NONE,
        .cache_dir = on->measured ? measured : cache,
    };
    return on->backend->device_open(&config, device);
}

/* Gives the backend constants of its own, so that they can be taken away after prepare.
 */
static void lend_constants(bench *b, uint32_t i)
{
    for (uint32_t k = 0; k < b->steps[i].input_count; k++) {
        const random_memory *from = &b->made[i].in[k];
        if (!b->steps[i].in[k].constant)
            continue;
        b->constants[i][k] = random_alloc(from->size);
        memcpy(b->constants[i][k], from->block, from->size);
        b->steps[i].in[k].constant = (uint8_t *)b->constants[i][k] + from->first;
    }
}

static void take_constants_back(bench *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        for (uint32_t k = 0; k < HSCHED_STEP_MAX_INPUTS; k++) {
            if (!b->constants[i][k])
                continue;
            random_fill_pattern(b->constants[i][k], b->made[i].in[k].size);
            free(b->constants[i][k]);
            b->constants[i][k] = NULL;
            b->steps[i].in[k].constant = NULL;
        }
    }
}

static void count_kernel(setup *on, const char *name)
{
    uint32_t k = 0;
    while (k < on->kernel_count && strcmp(on->kernels[k].name, name) != 0)
        k++;
    if (k == MAX_KERNELS)
        return;
    if (k == on->kernel_count) {
        snprintf(on->kernels[k].name, sizeof on->kernels[k].name, "%s", name);
        on->kernel_count++;
    }
    on->kernels[k].steps++;
}

static hsched_status prepare(bench *b, hsched_backend_device *device, int constants_stay)
{
    const hsched_backend *backend = b->on->backend;
    hsched_section_config config = { .struct_size = sizeof config,
                                     .steps = b->steps,
                                     .step_count = b->count,
                                     .constants_stay = constants_stay,
                                     .math = b->on->math };
    for (uint32_t i = 0; i < b->count; i++) {
        b->steps[i] = b->made[i].step;
        lend_constants(b, i);
    }
    hsched_status status = backend->section_prepare(device, &config, &b->section);
    if (!constants_stay)
        take_constants_back(b);
    if (status == HSCHED_OK)
        status = backend->slot_create(b->section, &b->slot);
    return status;
}

static void make_scratch(bench *b)
{
    const hsched_backend *backend = b->on->backend;
    b->scratch_size = backend->scratch_size ? backend->scratch_size(b->section) : 0;
    for (uint32_t p = 0; p < MAX_PARTS; p++)
        b->scratch[p] = random_alloc(b->scratch_size);
}

static void clear_bench(bench *b)
{
    if (b->slot)
        b->on->backend->slot_destroy(b->slot);
    if (b->section)
        b->on->backend->section_destroy(b->section);
    b->slot = NULL;
    b->section = NULL;
    take_constants_back(b);
    for (uint32_t p = 0; p < MAX_PARTS; p++) {
        free(b->scratch[p]);
        b->scratch[p] = NULL;
    }
}

/* ---- Running a step ---- */

static hsched_status run_one(bench *b, uint32_t step, void *const *operands,
                             uint32_t part)
{
    random_fill_pattern(b->scratch[part],
                        b->scratch_size); /* what was there before means nothing */
    return b->on->backend->run_part(b->slot, step, operands, part, b->scratch[part]);
}

/* All parts, one after the other in random order. 1 if the result is right. */
static int run_shuffled(bench *b, uint32_t step)
{
    random_step *made = &b->made[step];
    void *operands[HSCHED_STEP_MAX_INPUTS + 1];
    uint32_t order[MAX_PARTS], parts = b->steps[step].parts;
    char why[256];
    random_step_reset(made);
    random_step_operands(made, operands);
    for (uint32_t p = 0; p < parts; p++)
        order[p] = p;
    for (uint32_t p = parts; p > 1; p--) {
        uint32_t k = (uint32_t)random_range(&b->rng, 0, p - 1), t = order[p - 1];
        order[p - 1] = order[k];
        order[k] = t;
    }
    const uint64_t heap_calls = hsi_alloc_count();
    for (uint32_t p = 0; p < parts; p++) {
        if (run_one(b, step, operands, order[p]) != HSCHED_OK) {
            report(b, step, "run_part failed", hsched_error_detail());
            return 0;
        }
    }
    if (hsi_alloc_count() != heap_calls) {
        report(b, step, "run_part", "it called the heap");
        return 0;
    }
    if (random_step_check(made, why, sizeof why)) {
        report(b, step, "parts in shuffled order", why);
        return 0;
    }
    return 1;
}

typedef struct part_thread {
    bench *b;
    pthread_barrier_t *start;
    void *const *operands;
    uint32_t step, part;
    hsched_status status;
    char detail[256];
} part_thread;

static void *run_part_thread(void *user)
{
    part_thread *t = user;
    pthread_barrier_wait(t->start);
    t->status = run_one(t->b, t->step, t->operands, t->part);
    if (t->status != HSCHED_OK)
        snprintf(t->detail, sizeof t->detail, "%s", hsched_error_detail());
    return NULL;
}

/* All parts at the same time; out must hold the same bits as `first` afterwards. */
static void run_together(bench *b, uint32_t step, const uint8_t *first)
{
    random_step *made = &b->made[step];
    void *operands[HSCHED_STEP_MAX_INPUTS + 1];
    const uint32_t parts = b->steps[step].parts;
    part_thread threads[MAX_PARTS];
    pthread_t ids[MAX_PARTS];
    pthread_barrier_t start;
    random_step_reset(made);
    random_step_operands(made, operands);
    assert_int_equal(pthread_barrier_init(&start, NULL, parts), 0);
    for (uint32_t p = 0; p < parts; p++) {
        threads[p] = (part_thread){
            .b = b, .start = &start, .operands = operands, .step = step, .part = p
        };
        /* The calling thread takes the last part. */
        if (p + 1 < parts)
            assert_int_equal(pthread_create(&ids[p], NULL, run_part_thread, &threads[p]),
                             0);
    }
    run_part_thread(&threads[parts - 1]);
    for (uint32_t p = 0; p + 1 < parts; p++)
        pthread_join(ids[p], NULL);
    pthread_barrier_destroy(&start);
    for (uint32_t p = 0; p < parts; p++) {
        if (threads[p].status != HSCHED_OK) {
            report(b, step, "run_part failed", threads[p].detail);
            return;
        }
    }
    if (memcmp(made->out.block, first, made->out.size) != 0) {
        char why[256];
        report(b, step, "parts at the same time",
               random_step_check(made, why, sizeof why) ? why : "other bits than before");
    }
}

static void run_step(bench *b, uint32_t step)
{
    if (!run_shuffled(b, step))
        return;
    random_step *made = &b->made[step];
    uint8_t *first = random_alloc(made->out.size);
    memcpy(first, made->out.block, made->out.size);
    run_together(b, step, first);
    free(first);
}

/* Kernels in bfloat16 are as exact as others where their operands are bfloat16 already, as those of
 * every other step are; else each product of two operands of about 1 is off by at most 2^-7, and
 * sums of them are scaled to about 1. */
static void make_step(bench *b, hsched_step_kind kind, uint64_t from, uint32_t index)
{
    random_step *made = &b->made[b->count++];
    random_step_make(made, kind, from, index);
    if (b->on->math == HSCHED_MATH_BF16 && index % 2)
        made->tolerance = 0.02;
    else if (b->on->math == HSCHED_MATH_BF16)
        random_step_round(made);
}

/* What prepare has to leave behind. */
static void check_prepared(bench *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const char *name = b->on->backend->kernel_name(b->section, i);
        assert_non_null(name);
        count_kernel(b->on, name);
        if (b->steps[i].parts < 1 || b->steps[i].parts > b->made[i].step.parts)
            report(b, i, "prepare", "it raised the number of parts, or made it 0");
    }
}

/* Prepares and runs the steps made in b, which it frees. Returns the number of failures.
 */
static int run_section(bench *b)
{
    const hsched_backend *backend = b->on->backend;
    for (uint32_t i = 0; i < b->count; i++)
        if (backend->supports(b->on->device, &b->made[i].step) != 1)
            report(b, i, "supports", "it refuses a step that keeps the contract");
    if (b->failures == 0) {
        if (prepare(b, b->on->device, random_chance(&b->rng, 50)) == HSCHED_OK) {
            check_prepared(b);
            make_scratch(b);
            for (uint32_t i = 0; b->failures == 0 && i < b->count; i++)
                run_step(b, i);
        } else {
            report(b, 0, "prepare failed (this step or one after it)",
                   hsched_error_detail());
        }
    }
    clear_bench(b);
    for (uint32_t i = 0; i < b->count; i++)
        random_step_free(&b->made[i]);
    return b->failures;
}

/* ---- Tests ---- */

/* What the process knows of instruction sets and kernels is as the setup wants it. */
static void enter(const setup *on)
{
    hsi_cpu_choose_only = on->only;
    hsi_isa_limit = (hsi_isa)(HSI_ISA_AVX512 - on->hidden);
}

typedef struct test_case {
    setup *on;
    hsched_step_kind kind;
    char name[64];
} test_case;

/* Steps of one kind, in sections of one to eight. */
static void test_kind(void **state)
{
    const test_case *t = *state;
    enter(t->on);
    int failures = 0;
    /* All kinds on lesser instruction sets: the same loops once more. */
    const uint32_t steps =
        t->on->hidden && !t->on->only ? steps_per_kind / 4 : steps_per_kind;
    assert_non_null(t->on->device);
    for (uint32_t next = 0; next < steps && failures < MAX_FAILURES;) {
        bench b = { .on = t->on, .rng = seed + next };
        uint32_t want = (uint32_t)random_range(&b.rng, 1, 8);
        for (; b.count < want && next < steps; next++)
            make_step(&b, t->kind, seed, next);
        failures += run_section(&b);
    }
    assert_int_equal(failures, 0);
}

/* One step of each kind in a section. */
static void test_mixed(void **state)
{
    const test_case *t = *state;
    enter(t->on);
    int failures = 0;
    assert_non_null(t->on->device);
    for (uint32_t next = 0; next < steps_per_kind / 8 + 1 && failures < MAX_FAILURES;
         next++) {
        bench b = { .on = t->on, .rng = seed + next };
        for (int kind = 1; kind <= RANDOM_STEP_KINDS; kind++)
            if (random_step_has(kind))
                make_step(&b, (hsched_step_kind)kind, seed + 1, next);
        failures += run_section(&b);
    }
    assert_int_equal(failures, 0);
}

static void forget_choices(void)
{
    char path[sizeof measured + 32];
    const char *files[] = { "cpu-tuning.txt", "cpu-tuning.lock" };
    for (size_t k = 0; k < COUNT(files); k++) {
        snprintf(path, sizeof path, "%s/%s", measured, files[k]);
        unlink(path);
    }
}

static void close_device(setup *on)
{
    if (on->device)
        on->backend->device_close(on->device);
    on->device = NULL;
}

/* Every single heap call of opening and preparing fails once: an error, no leak, no
 * crash. */
static void test_out_of_memory(void **state)
{
    const test_case *t = *state;
    enter(t->on);
    const hsched_backend *backend = t->on->backend;
    bench b = { .on = t->on };
    for (int kind = 1; kind <= RANDOM_STEP_KINDS; kind++)
        if (random_step_has(kind) && (!t->on->kind || (int)t->on->kind == kind))
            make_step(&b, (hsched_step_kind)kind, seed + 2, 0);
    close_device(t->on); /* devices share what was measured */
    hsched_status status = HSCHED_ERROR_OUT_OF_MEMORY;
    for (uint64_t k = 1; status != HSCHED_OK; k++) {
        forget_choices();
        const uint64_t held = hsi_alloc_bytes();
        hsched_backend_device *device = NULL;
        hsi_alloc_fail_after(k);
        status = open_device(t->on, &device);
        if (status == HSCHED_OK)
            status = prepare(&b, device, 0);
        hsi_alloc_fail_after(0);
        if (status != HSCHED_OK)
            assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        else
            assert_true(k > 1);
        clear_bench(&b);
        if (device)
            backend->device_close(device);
        assert_int_equal(hsi_alloc_bytes(), held);
    }
    for (uint32_t i = 0; i < b.count; i++)
        random_step_free(&b.made[i]);
    assert_int_equal(open_device(t->on, &t->on->device), HSCHED_OK);
}

/* Does this processor have what the setup's kernel needs? */
static int can(const setup *on)
{
    enter(on);
    if (strcmp(on->only, "own/int8") == 0)
        return hsi_int8_kernels_best() != 0;
    if (on->math == HSCHED_MATH_BF16 && strncmp(on->only, "onednn/", 7) == 0)
        return hsi_onednn_has_bf16();
    return 1;
}

/* Only kernels of the enabled libraries were taken; says which, since that is what was
 * tested. */
static void test_kernels(void **state)
{
    const setup *on = ((const test_case *)*state)->on;
    const int plain = on->reference || on->backend->kind == HSCHED_DEVICE_SIM;
    uint32_t of_onednn = 0, of_only = 0;
    assert_true(on->kernel_count > 0);
    for (uint32_t k = 0; k < on->kernel_count; k++) {
        const char *name = on->kernels[k].name;
        print_message("    %5u steps by %s\n", on->kernels[k].steps, name);
        if (plain)
            assert_memory_equal(name, "ref", 3); /* "ref" or "reference" */
        of_onednn += strstr(name, "onednn") != NULL;
        /* "openblas/1x1", or with what the library says, "onednn/bf16/jit:avx512_core_bf16" */
        const size_t length = on->only ? strlen(on->only) : 0;
        of_only += on->only && !strncmp(name, on->only, length) &&
                   (name[length] == '\0' || name[length] == '/');
        if (!(on->libraries & HSCHED_LIBRARY_OPENBLAS))
            assert_null(strstr(name, "openblas"));
    }
    if (on->only)
        assert_int_equal(of_only > 0, can(on));
    else if (!plain && !on->measured)
        assert_int_equal(of_onednn > 0, (on->libraries & HSCHED_LIBRARY_ONEDNN) != 0);
}

static void test_device(void **state)
{
    const setup *on = ((const test_case *)*state)->on;
    int available = 0;
    const char *text = on->backend->describe(&available);
    assert_true(text && text[0] && available);
    assert_int_equal(on->backend->abi, HSCHED_BACKEND_ABI);
    assert_non_null(on->device);
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    on->backend->device_info(on->device, &info);
    assert_true(info.name && info.description && info.libraries);
    assert_int_equal(info.kind, on->backend->kind);
    assert_true(info.workers >= 1 && info.memory_bytes > 0 && !info.lost);
}

static int open_devices(void **state)
{
    (void)state;
    if (!mkdtemp(cache))
        return -1;
    snprintf(measured, sizeof measured, "%s/measured", cache);
    for (size_t k = 0; k < COUNT(setups); k++)
        if (open_device(&setups[k], &setups[k].device) != HSCHED_OK)
            print_error("%s: the device did not open: %s\n", setups[k].name,
                        hsched_error_detail());
    return 0; /* the tests of a device that is not there fail */
}

static int close_devices(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(setups); k++)
        close_device(&setups[k]);
    forget_choices();
    rmdir(measured); /* if anything was */
    return rmdir(cache);
}

static struct CMUnitTest add_test(test_case *t, setup *on, const char *what,
                                  CMUnitTestFunction function)
{
    t->on = on;
    snprintf(t->name, sizeof t->name, "%s: %s", on->name, what);
    return (
        struct CMUnitTest){ .name = t->name, .test_func = function, .initial_state = t };
}

int main(void)
{
    enum {
        PER_SETUP = RANDOM_STEP_KINDS + 4
    };
    static test_case cases[COUNT(setups)][PER_SETUP];
    struct CMUnitTest tests[COUNT(setups) * PER_SETUP];
    size_t count = 0;
    if (getenv("HSCHED_TEST_SEED"))
        seed = strtoull(getenv("HSCHED_TEST_SEED"), NULL, 0);
    /* Parts that are executed by several threads race in a few steps, or in none. */
    const char *mode = getenv("HSCHED_TEST_MODE");
    if (mode && strcmp(mode, "tsan") == 0)
        steps_per_kind = DEFAULT_STEPS / 4;
    if (getenv("HSCHED_TEST_STEPS"))
        steps_per_kind = (uint32_t)strtoul(getenv("HSCHED_TEST_STEPS"), NULL, 0);
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    print_message("HSCHED_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (size_t k = 0; k < COUNT(setups); k++) {
        test_case *t = cases[k];
        if (setups[k].math == HSCHED_MATH_BF16 && !hsi_cpu_has_bf16()) {
            print_message("%s: skipped, the processor has no bfloat16\n", setups[k].name);
            continue;
        }
        tests[count++] = add_test(t++, &setups[k], "device", test_device);
        for (int kind = 1; kind <= RANDOM_STEP_KINDS; kind++) {
            if (!random_step_has(kind) || (setups[k].kind && (int)setups[k].kind != kind))
                continue;
            t->kind = (hsched_step_kind)kind;
            tests[count++] =
                add_test(t++, &setups[k], hsched_step_kind_name((hsched_step_kind)kind),
                         test_kind);
        }
        if (!setups[k].kind)
            tests[count++] = add_test(t++, &setups[k], "mixed", test_mixed);
        tests[count++] = add_test(t++, &setups[k], "out of memory", test_out_of_memory);
        tests[count++] = add_test(t++, &setups[k], "kernels", test_kernels);
    }
    return _cmocka_run_group_tests("backend", tests, count, open_devices, close_devices);
}
