/*
 * All operations of the GPU plug-in: seeded random steps of every kind, and others of the shapes
 * that networks have (op_steps.h), in every number format, through every maker and every variant
 * of every family that takes them, compared with the reference; and the entry and exit of a batch.
 *
 * Each operation runs twice, launched and as a CUDA graph. Nothing but elements of out may change
 * in all the memory around the operands. For half formats the reference computes from the rounded
 * inputs, so that only the operation's own rounding is judged.
 *
 * Tolerances, in the terms of random_step.h:
 *                                 f32 strict   f32 (tf32)   f16    bf16
 *   conv2d, fully_connected, matmul     1e-5         2e-3   1e-2   8e-2
 *   all else                            1e-5         1e-5   1e-3   5e-3
 *   copy, pad, max pooling              the same bits, after rounding to the format
 *
 * HSCHED_TEST_SEED sets the seed (printed with every failure), HSCHED_TEST_STEPS the steps of each
 * kind, HSCHED_TEST_VARIANTS how many variants of cuDNN and cuBLASLt are tried for a step, and
 * HSCHED_TEST_FILTER the tests by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "backend/cuda/host.h"
#include "backend/cuda/op.h"
#include "backend/random_maker.h"
#include "gpu/op_run.h"
#include "gpu/op_steps.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define MAX_FAILURES     8 /* described per test, before it gives up */
#define MAX_NAMES        512
#define MAX_VARIANTS     64
#define DEFAULT_STEPS    100
#define DEFAULT_VARIANTS 3 /* of the libraries: making one may take seconds */
#define F16_LARGEST      65504.0

static uint64_t seed = 20211126;
static uint32_t steps_per_kind = DEFAULT_STEPS;
static uint32_t library_variants = DEFAULT_VARIANTS;

static hsi_cuda_device *device; /* NULL: see why_not */
static char why_not[400];
static int broken; /* a call poisoned the context, or the device did not open */
static op_bench bench;
static int failures; /* of the present test */

/* What was met, to be told at the end. */
static struct {
    char name[80];
    int kind;
    uint32_t runs;
} names[MAX_NAMES];
static uint32_t name_count;
static struct {
    uint32_t steps, runs, refused;
} met[RANDOM_STEP_KINDS + 1];

static const char *kind_name(int kind)
{
    switch (kind) {
#define KIND_NAME(name, value, text, layer_class)                                        \
    case value:                                                                          \
        return text;
        HSCHED_STEP_LIST(KIND_NAME)
#undef KIND_NAME
    default:
        return "";
    }
}

static void count_name(int kind, const char *name)
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

/* ---- A step in one number format ------------------------------------------ */

typedef struct format {
    const char *name;
    hsi_cuda_type type;
    int strict;
    double sums, others; /* tolerances */
    int capability;      /* the least */
} format;

static const format formats[] = {
    { "f32 strict", HSI_CUDA_F32, 1, RANDOM_STEP_TOLERANCE, RANDOM_STEP_TOLERANCE, 0 },
    { "f32", HSI_CUDA_F32, 0, 2e-3, RANDOM_STEP_TOLERANCE, 0 },
    { "f16", HSI_CUDA_F16, 0, 1e-2, 1e-3, 0 },
    { "bf16", HSI_CUDA_BF16, 0, 8e-2, 5e-3, 80 },
};

static int is_sum(hsched_step_kind kind)
{
    return kind == HSCHED_STEP_CONV2D || kind == HSCHED_STEP_FC ||
           kind == HSCHED_STEP_MATMUL;
}

/* Which operands the plug-in packs (op.h), and which of those stay float. */
static int is_packed(const hsched_step *s, uint32_t i)
{
    return (i == 1 || i == 2) &&
           (s->kind == HSCHED_STEP_CONV2D || s->kind == HSCHED_STEP_FC ||
            s->kind == HSCHED_STEP_SCALE);
}

static int stays_float(const hsched_step *s, uint32_t i)
{
    return is_packed(s, i) && (i == 2 || s->kind == HSCHED_STEP_SCALE);
}

static int has(const hsched_step *s, uint32_t i)
{
    return i < s->input_count && s->in[i].dtype != HSCHED_DTYPE_NONE;
}

typedef struct trial {
    random_step *made;
    const format *format;
    hsi_cuda_step step;
    hsi_cuda_call call;
    size_t out_at;    /* out's block in bench.memory */
    const char *what; /* the maker or variant under test */
} trial;

static void report(const trial *t, const char *what, const char *why)
{
    failures++;
    print_error("%s, %s, %s: %s: %s\n    %s\n", kind_name((int)t->made->step.kind),
                t->format->name, t->what, what, why, t->made->text);
}

static void round_block(random_memory *memory, hsi_cuda_type type)
{
    for (size_t i = 0; i + 4 <= memory->size; i += 4) {
        float value;
        uint8_t half[4];
        memcpy(&value, memory->pristine + i, sizeof value);
        if (isnan(value))
            continue; /* the pattern between elements stays what it is */
        op_store_float(half, type, value);
        value = op_load_float(half, type);
        memcpy(memory->pristine + i, &value, sizeof value);
    }
    memcpy(memory->block, memory->pristine, memory->size);
}

/* Rounds the inputs to the format, and computes what is expected from those. */
static void round_inputs(random_step *made, hsi_cuda_type type)
{
    const hsched_step *s = &made->step;
    for (uint32_t i = 0; i < s->input_count; i++)
        if (has(s, i) && s->in[i].dtype == HSCHED_FLOAT32 && !stays_float(s, i))
            round_block(s->out_aliases == (int)i ? &made->out : &made->in[i], type);
    op_expect_step(made);
}

/* Puts an operand's block into the GPU's memory, its floats in the format. Returns where the block
 * begins; *address is that of its first element. */
static size_t place_block(const trial *t, const random_memory *from, hsched_dtype dtype,
                          uint64_t *rng, CUdeviceptr *address)
{
    const size_t size = hsched_dtype_size(dtype);
    const size_t element =
        dtype == HSCHED_FLOAT32 ? hsi_cuda_type_size(t->format->type) : size;
    const size_t first = from->first / size * element,
                 bytes = from->size / size * element;
    /* Often as aligned as can be, which is what fast kernels want; else as the step has it. */
    const size_t residue = random_chance(rng, 60)   ? 0
                           : random_chance(rng, 30) ? 16
                                                    : first % 64;
    const size_t at = op_memory_place(&bench.memory, bytes, first, residue);
    uint8_t *to = bench.memory.image + at;
    if (dtype != HSCHED_FLOAT32)
        memcpy(to, from->pristine, bytes);
    else
        for (size_t i = 0; i < from->size / size; i++) {
            float value;
            memcpy(&value, from->pristine + i * size, sizeof value);
            op_store_float(to + i * element, t->format->type, value);
        }
    *address = bench.memory.device + at + first;
    return at;
}

/* CONV2D's weights from [O][C][kh][kw] to [O][kh][kw][C], or [kh][kw][O] if depthwise: to element
 * number i of the result, from which. */
static size_t conv_weight(const hsched_step *s, size_t i)
{
    const int64_t *dims = s->in[1].dims; /* O, C/groups, kh, kw */
    const int64_t taps = dims[2] * dims[3], at = (int64_t)i;
    const int64_t groups = s->u.conv2d.groups;
    if (groups == dims[0] && groups == s->in[0].dims[1])
        return (size_t)(at % dims[0] * taps + at / dims[0]);
    const int64_t c = at % dims[1], tap = at / dims[1] % taps, o = at / dims[1] / taps;
    return (size_t)((o * dims[1] + c) * taps + tap);
}

static CUdeviceptr place_packed(const trial *t, uint32_t i)
{
    const hsched_step *s = &t->made->step;
    const random_memory *from = &t->made->in[i];
    const hsi_cuda_type type = stays_float(s, i) ? HSI_CUDA_F32 : t->format->type;
    size_t count = 1;
    for (uint32_t d = 0; d < s->in[i].rank; d++)
        count *= (size_t)s->in[i].dims[d];
    const size_t element = hsi_cuda_type_size(type),
                 at = op_memory_place(&bench.memory, count * element, 0, 0);
    for (size_t k = 0; k < count; k++) {
        float value;
        const size_t source =
            i == 1 && s->kind == HSCHED_STEP_CONV2D ? conv_weight(s, k) : k;
        memcpy(&value, from->pristine + from->first + source * 4, sizeof value);
        op_store_float(bench.memory.image + at + k * element, type, value);
    }
    return bench.memory.device + at;
}

static void prepare(trial *t, uint32_t index)
{
    const hsched_step *s = &t->made->step;
    uint64_t rng = seed ^ index * UINT64_C(0x9e3779b97f4a7c15);
    op_memory_clear(&bench.memory);
    op_memory_clear(&bench.mapped);
    memset(&t->step, 0, sizeof t->step);
    memset(&t->call, 0, sizeof t->call);
    t->step.device = device;
    t->step.step = *s;
    t->step.type = t->format->type;
    t->step.strict = t->format->strict;
    t->out_at = place_block(t, &t->made->out, s->out.dtype, &rng, &t->call.out);
    t->step.out_alignment = op_alignment(t->call.out);
    for (uint32_t i = 0; i < s->input_count; i++) {
        if (!has(s, i))
            continue;
        if (is_packed(s, i))
            t->step.constants[i] = t->call.in[i] = place_packed(t, i);
        else if (s->out_aliases == (int)i)
            t->call.in[i] = t->call.out;
        else
            place_block(t, &t->made->in[i], s->in[i].dtype, &rng, &t->call.in[i]);
        t->step.step.in[i].constant = NULL;
        t->step.alignment[i] = op_alignment(t->call.in[i]);
    }
}

/* ---- Judging --------------------------------------------------------------- */

/* Outside out's elements nothing has changed. */
static const char *check_around(const trial *t, char *why, size_t size)
{
    const random_memory *out = &t->made->out;
    const size_t wide = hsched_dtype_size(t->made->step.out.dtype),
                 narrow = hsi_cuda_element_size(&t->made->step.out, t->format->type);
    const op_memory *m = &bench.memory;
    for (size_t i = 0; i < m->used; i++) {
        if (m->after[i] == m->image[i])
            continue;
        const size_t in_block = i - t->out_at; /* may wrap: then it is large */
        const size_t element = in_block / narrow;
        if (i >= t->out_at && element < out->size / wide &&
            t->made->is_element[element * wide])
            continue;
        snprintf(why, size, "byte %zd of memory, %zd of out, was changed", (ssize_t)i,
                 (ssize_t)(i - (t->out_at + out->first / wide * narrow)));
        return why;
    }
    return NULL;
}

/* Element number i of out's block. */
static double actual(const trial *t, size_t i)
{
    return op_load_float(bench.memory.after + t->out_at +
                             i * hsi_cuda_type_size(t->format->type),
                         t->format->type);
}

static double expected(const trial *t, size_t i)
{
    float value;
    memcpy(&value, t->made->expected + i * 4, sizeof value);
    return value;
}

static double error_of(const trial *t, size_t i, double largest)
{
    const double r = expected(t, i), y = actual(t, i);
    /* Halves end at 65504: what is larger may be infinite. */
    if (t->format->type == HSI_CUDA_F16 && fabs(r) > F16_LARGEST)
        return fabs(y) >= F16_LARGEST && signbit(y) == signbit(r) ? 0 : INFINITY;
    const double scale = t->made->compare == RANDOM_COMPARE_ELEMENTS ? fmax(1, fabs(r))
                         : t->made->compare == RANDOM_COMPARE_NORM   ? fmax(1, largest)
                                                                     : largest;
    const double error = fabs(y - r) / scale;
    return isnan(error) ? INFINITY : error;
}

static const char *check_floats(const trial *t, char *why, size_t size)
{
    const random_step *made = t->made;
    const double tolerance =
        is_sum(made->step.kind) ? t->format->sums : t->format->others;
    double largest = 0, worst = 0;
    size_t worst_at = 0;
    for (size_t i = 0; i < made->out.size / 4; i++)
        if (made->is_element[i * 4])
            largest = fmax(largest, fabs(expected(t, i)));
    for (size_t i = 0; i < made->out.size / 4; i++) {
        const double error = made->is_element[i * 4] ? error_of(t, i, largest) : 0;
        if (error > worst) {
            worst = error;
            worst_at = i;
        }
    }
    if (worst <= tolerance)
        return NULL;
    snprintf(why, size, "offset %lld is %.9g, not %.9g (error %.3g, norm %.3g)",
             (long long)worst_at - (long long)(made->out.first / 4), actual(t, worst_at),
             expected(t, worst_at), worst, largest);
    return why;
}

/* The same bits as expected, after rounding to the format. */
static const char *check_bits(const trial *t, char *why, size_t size)
{
    const random_step *made = t->made;
    const size_t wide = hsched_dtype_size(made->step.out.dtype),
                 narrow = hsi_cuda_element_size(&made->step.out, t->format->type);
    for (size_t i = 0; i < made->out.size / wide; i++) {
        const uint8_t *y = bench.memory.after + t->out_at + i * narrow;
        uint8_t r[8];
        if (!made->is_element[i * wide])
            continue;
        if (made->step.out.dtype == HSCHED_FLOAT32)
            op_store_float(r, t->format->type, (float)expected(t, i));
        else
            memcpy(r, made->expected + i * wide, wide);
        if (memcmp(y, r, narrow) == 0)
            continue;
        snprintf(why, size, "offset %lld is 0x%02x..., not 0x%02x...",
                 (long long)i - (long long)(made->out.first / wide), y[0], r[0]);
        return why;
    }
    return NULL;
}

static const char *check(const trial *t, char *why, size_t size)
{
    if (check_around(t, why, size))
        return why;
    return t->made->compare == RANDOM_COMPARE_BITS ? check_bits(t, why, size)
                                                   : check_floats(t, why, size);
}

/* ---- Running a step through what takes it ---------------------------------- */

static void note_status(hsched_status status)
{
    if (status == HSCHED_ERROR_DEVICE)
        broken = 1;
}

/* Launched, then as a graph; own kernels give the same bits both times. */
static void run_op(const trial *t, const hsi_cuda_op *op)
{
    uint8_t *first = NULL;
    char why[512];
    for (int as_graph = 0; as_graph < 2 && !broken; as_graph++) {
        const char *wrong, *what = as_graph ? "as a graph" : "launched";
        hsched_status status = op_run(&bench, op, &t->call, as_graph, &wrong);
        note_status(status);
        /* cuDNN has engines that refuse operands only when they are launched: the library then
         * takes another kernel. */
        if (status == HSCHED_ERROR_UNSUPPORTED && strncmp(op->name, "cudnn", 5) == 0)
            break;
        if (status != HSCHED_OK) {
            snprintf(why, sizeof why, "%s (%s)", wrong ? wrong : hsched_error_detail(),
                     op->name);
            report(t, what, why);
            break;
        }
        if (check(t, why, sizeof why)) {
            report(t, what, why);
            break;
        }
        if (first && strncmp(op->name, "own/", 4) == 0 &&
            memcmp(first, bench.memory.after, bench.memory.used) != 0)
            report(t, what, "other bits than when it was launched");
        if (!first) {
            first = random_alloc(bench.memory.used);
            memcpy(first, bench.memory.after, bench.memory.used);
        }
    }
    free(first);
}

/* Runs what a maker made. 1 if it took the step. `must`: it has to. */
static int finish(trial *t, const char *what, hsched_status status, hsi_cuda_op *op,
                  int must)
{
    const int kind = (int)t->made->step.kind;
    t->what = what;
    note_status(status);
    if (status != HSCHED_OK) {
        met[kind].refused++;
        if (op)
            report(t, "made", "it failed, and returned an op");
        if (must || status != HSCHED_ERROR_UNSUPPORTED)
            report(t, "not made", hsched_error_detail());
        return 0;
    }
    met[kind].runs++;
    count_name(kind, op->name);
    run_op(t, op);
    op->destroy(op);
    return 1;
}

static void try_maker(trial *t, const char *name, hsi_cuda_maker *maker, int must)
{
    hsi_cuda_op *op = (hsi_cuda_op *)&op; /* is to be set, whatever happens */
    const hsched_status status = maker(&t->step, &op);
    finish(t, name, status, op, must);
}

static void try_family(trial *t, const hsi_cuda_family *family, uint32_t most)
{
    char texts[MAX_VARIANTS][HSI_CUDA_VARIANT_LENGTH];
    const size_t length = strlen(family->name);
    const uint32_t count = family->variants(&t->step, most, texts);
    t->what = family->name;
    if (count > most)
        report(t, "variants", "more than there is room for");
    for (uint32_t k = 0; k < count && k < most && failures < MAX_FAILURES && !broken;
         k++) {
        hsi_cuda_op *op = (hsi_cuda_op *)&op;
        texts[k][HSI_CUDA_VARIANT_LENGTH - 1] = '\0';
        t->what = texts[k];
        if (strncmp(texts[k], family->name, length) != 0 || texts[k][length] != ':' ||
            strchr(texts[k], ' '))
            report(t, "variants", "not a text of this family's form");
        const hsched_status status = family->make(&t->step, texts[k], &op);
        finish(t, texts[k], status, op, 0);
    }
}

/* The makers of kinds that have one. */
static hsi_cuda_maker *const makers[RANDOM_STEP_KINDS + 1] = {
    [HSCHED_STEP_POOL2D] = hsi_cuda_make_pool,
    [HSCHED_STEP_SCALE] = hsi_cuda_make_scale,
    [HSCHED_STEP_LRN] = hsi_cuda_make_lrn,
    [HSCHED_STEP_SOFTMAX] = hsi_cuda_make_softmax,
    [HSCHED_STEP_UNARY] = hsi_cuda_make_unary,
    [HSCHED_STEP_BINARY] = hsi_cuda_make_binary,
    [HSCHED_STEP_COPY] = hsi_cuda_make_copy,
    [HSCHED_STEP_PAD] = hsi_cuda_make_pad,
    [HSCHED_STEP_REDUCE] = hsi_cuda_make_reduce,
    [HSCHED_STEP_IMAGE] = hsi_cuda_make_image,
};

static void try_all(trial *t)
{
    const hsched_step_kind kind = t->made->step.kind;
    if (kind == HSCHED_STEP_CONV2D) {
        const hsched_step *s = &t->made->step;
        try_maker(t, "conv_direct", hsi_cuda_make_conv_direct, 1);
        try_maker(t, "conv_depthwise", hsi_cuda_make_conv_depthwise,
                  s->u.conv2d.groups == s->in[0].dims[1] &&
                      s->u.conv2d.groups == s->out.dims[1] && s->u.conv2d.groups > 1);
        try_family(t, &hsi_cuda_family_tile, MAX_VARIANTS);
        try_family(t, &hsi_cuda_family_cudnn, library_variants);
    } else if (kind == HSCHED_STEP_FC || kind == HSCHED_STEP_MATMUL) {
        try_maker(t, "matmul", hsi_cuda_make_matmul, 1);
        if (kind == HSCHED_STEP_FC) {
            try_family(t, &hsi_cuda_family_rows, MAX_VARIANTS);
            try_family(t, &hsi_cuda_family_tile, MAX_VARIANTS);
        }
        try_family(t, &hsi_cuda_family_lt, library_variants);
    } else {
        try_maker(t, kind_name((int)kind), makers[kind], 1);
    }
}

/* One step in all formats that make a difference to it. */
static void run_step(random_step *made, uint32_t index)
{
    const hsched_step_kind kind = made->step.kind;
    met[kind].steps++;
    for (size_t f = 0; f < COUNT(formats) && failures < MAX_FAILURES && !broken; f++) {
        trial t = { .made = made, .format = &formats[f] };
        if (device->capability < t.format->capability)
            continue;
        if (t.format->type == HSI_CUDA_F32 && !t.format->strict && !is_sum(kind))
            continue; /* the same as strict */
        if (t.format->type != HSI_CUDA_F32) {
            if (made->step.out.dtype != HSCHED_FLOAT32)
                continue;
            round_inputs(made, t.format->type);
        }
        prepare(&t, index);
        try_all(&t);
    }
    random_step_free(made);
}

/* ---- Tests ------------------------------------------------------------------ */

/* Skips where there is no GPU; else enters the device. */
static void begin(void)
{
    failures = 0;
    if (!device && !broken) {
        print_message("skipped: %s\n", why_not);
        skip();
    }
    if (broken)
        fail_msg("%s", device ? "an earlier operation made the GPU unusable" : why_not);
    if (hsi_cuda_enter(device) != HSCHED_OK)
        fail_msg("the device could not be entered: %s", hsched_error_detail());
}

static void end(void)
{
    hsi_cuda_leave(device);
    assert_int_equal(failures, 0);
}

static void test_kind(void **state)
{
    const hsched_step_kind kind = *(const hsched_step_kind *)*state;
    begin();
    for (uint32_t i = 0; i < steps_per_kind && failures < MAX_FAILURES && !broken; i++) {
        random_step made;
        random_step_make(&made, kind, seed, i);
        run_step(&made, i);
        if (kind == HSCHED_STEP_CONV2D || kind == HSCHED_STEP_MATMUL ||
            kind == HSCHED_STEP_IMAGE)
            continue; /* random ones are usual enough */
        op_usual_step(&made, kind, seed, i);
        run_step(&made, i);
    }
    end();
}

/* Texts that no process has stored: an error, never a crash. */
static void test_bad_variants(void **state)
{
    static const hsi_cuda_family *const families[] = { &hsi_cuda_family_tile,
                                                       &hsi_cuda_family_rows,
                                                       &hsi_cuda_family_cudnn,
                                                       &hsi_cuda_family_lt };
    static const char *const rests[] = { "",        ":",     ":zzz",  ":-1",
                                         ":999999", ":r1s3", ":r0s0", ":any-s4x",
                                         ":64x64",  "::::" };
    (void)state;
    begin();
    for (int kind = HSCHED_STEP_CONV2D; kind <= HSCHED_STEP_MATMUL; kind++) {
        random_step made;
        random_step_make(&made, (hsched_step_kind)kind, seed, 0);
        trial t = { .made = &made, .format = &formats[2], .what = "bad variants" };
        prepare(&t, 0);
        for (size_t f = 0; f < COUNT(families); f++)
            for (size_t k = 0; k < COUNT(rests); k++) {
                char text[HSI_CUDA_VARIANT_LENGTH];
                hsi_cuda_op *op = (hsi_cuda_op *)&op;
                snprintf(text, sizeof text, "%s%s", families[f]->name, rests[k]);
                const hsched_status status = families[f]->make(&t.step, text, &op);
                if ((status != HSCHED_ERROR_UNSUPPORTED &&
                     status != HSCHED_ERROR_FORMAT) ||
                    op)
                    report(&t, text,
                           status == HSCHED_OK ? "it was made" : hsched_error_detail());
                if (status == HSCHED_OK)
                    op->destroy(op);
            }
        random_step_free(&made);
    }
    end();
}

/* ---- Entry and exit of a batch ---------------------------------------------- */

/* Steps to the next index of a non-empty shape; 0 after the last. */
static int next_index(const hsched_operand *op, int64_t *index)
{
    for (uint32_t d = op->rank; d-- > 0;) {
        if (++index[d] < op->dims[d])
            return 1;
        index[d] = 0;
    }
    return 0;
}

static int64_t offset_of(const hsched_operand *op, const int64_t *index)
{
    int64_t offset = 0;
    for (uint32_t d = 0; d < op->rank; d++)
        offset += index[d] * op->strides[d];
    return offset;
}

/* Elements in front of the first one, and from it to the last. */
static void extent(const hsched_operand *op, int64_t *before, int64_t *after)
{
    *before = 0;
    *after = 1;
    for (uint32_t d = 0; d < op->rank; d++) {
        const int64_t reach = (op->dims[d] - 1) * op->strides[d];
        *before -= reach < 0 ? reach : 0;
        *after += reach > 0 ? reach : 0;
    }
}

#define MAX_MEMBERS 6
typedef struct batch {
    hsi_cuda_transfer t;
    op_memory *outside;                               /* where members and table lie */
    size_t member_at[MAX_MEMBERS], table_at, slot_at; /* first elements */
    size_t member_size, slot_size;                    /* of an element */
    char text[512];
} batch;

static void random_batch_shape(random_maker *m, batch *b)
{
    static const hsched_dtype others[] = { HSCHED_UINT8, HSCHED_INT64, HSCHED_INT32,
                                           HSCHED_FLOAT16, HSCHED_FLOAT64 };
    hsi_cuda_transfer *t = &b->t;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank = (uint32_t)range(m, 0, 5);
    if (chance(m, 60)) { /* an image, or what a layer makes of it */
        rank = 4;
        do {
            dims[0] = 1;
            dims[1] = PICK(m, 1, 2, 3, 3, 3, 4, 5, 8, 16, 33, 64, 130);
            dims[2] = range(m, 1, 40);
            dims[3] = range(m, 1, 60);
        } while (dims[1] * dims[2] * dims[3] > 50000);
    } else {
        random_dims(m, rank, 6000, dims);
    }
    const hsched_dtype dtype =
        chance(m, 75) ? HSCHED_FLOAT32 : others[range(m, 0, COUNT(others) - 1)];
    t->device = device;
    t->type = (hsi_cuda_type)range(m, 0, device->capability >= 80 ? 2 : 1);
    t->members = (uint32_t)range(m, 1, MAX_MEMBERS);
    t->to_slot = chance(m, 50);
    random_set_shape(&t->member, dtype, rank, dims);
    random_set_shape(&t->slot, dtype, rank, dims);
    if (chance(m, 60))
        random_set_dense(&t->member, NULL);
    else
        random_set_any_strides(m, &t->member, t->to_slot);
    if (rank == 4 && chance(m, 60))
        random_set_channels_last(m, &t->slot);
    else
        random_set_any_strides(m, &t->slot, 0);
    b->member_size = hsched_dtype_size(dtype);
    b->slot_size = hsi_cuda_element_size(&t->slot, t->type);
}

static size_t random_residue(random_maker *m, size_t element)
{
    return chance(m, 60) ? 0 : (size_t)range(m, 0, 15) * element;
}

/* Makes the batch's memory, all but the elements. */
static void place_batch(random_maker *m, batch *b)
{
    int64_t before, after;
    hsi_cuda_transfer *t = &b->t;
    op_memory_clear(&bench.memory);
    op_memory_clear(&bench.mapped);
    b->outside = chance(m, 50) ? &bench.mapped : &bench.memory;
    extent(&t->slot, &before, &after);
    t->slot_stride = after + (chance(m, 50) ? 0 : range(m, 1, 70));
    const size_t slots = (size_t)t->slot_stride * (t->members - 1) + (size_t)after;
    b->slot_at = op_memory_place(&bench.memory, slots * b->slot_size, 0,
                                 random_residue(m, b->slot_size));
    extent(&t->member, &before, &after);
    for (uint32_t i = 0; i < t->members; i++) {
        const size_t first = (size_t)before * b->member_size;
        b->member_at[i] =
            first + op_memory_place(b->outside, first + (size_t)after * b->member_size,
                                    first, random_residue(m, b->member_size));
    }
    b->table_at = op_memory_place(b->outside, 8 * (size_t)t->members, 0, 8);
    for (uint32_t i = 0; i < t->members; i++) {
        const uint64_t address = b->outside->device + b->member_at[i];
        memcpy(b->outside->image + b->table_at + 8 * i, &address, sizeof address);
    }
}

/* An element's place in a member, and in the slot. */
static uint8_t *in_member(const batch *b, uint8_t *memory, uint32_t i, const int64_t *at)
{
    return memory + (int64_t)b->member_at[i] +
           offset_of(&b->t.member, at) * (int64_t)b->member_size;
}

static uint8_t *in_slot(const batch *b, uint8_t *memory, uint32_t i, const int64_t *at)
{
    return memory + (int64_t)b->slot_at +
           (i * b->t.slot_stride + offset_of(&b->t.slot, at)) * (int64_t)b->slot_size;
}

/* Random elements on the side that is read. */
static void fill_source(random_maker *m, batch *b)
{
    const hsi_cuda_transfer *t = &b->t;
    for (uint32_t i = 0; i < t->members; i++) {
        int64_t at[HSCHED_MAX_DIMS] = { 0 };
        do {
            uint8_t *to = t->to_slot ? in_member(b, b->outside->image, i, at)
                                     : in_slot(b, bench.memory.image, i, at);
            if (t->member.dtype == HSCHED_FLOAT32) {
                op_store_float(to, t->to_slot ? HSI_CUDA_F32 : t->type,
                               uniform(m, -3, 3));
            } else {
                const uint64_t bits = random_next(&m->rng);
                memcpy(to, &bits, b->member_size);
            }
        } while (next_index(&t->member, at));
    }
}

/* What both memories hold afterwards. */
static void expect_batch(batch *b)
{
    const hsi_cuda_transfer *t = &b->t;
    memcpy(bench.memory.expected, bench.memory.image, bench.memory.used);
    memcpy(bench.mapped.expected, bench.mapped.image, bench.mapped.used);
    for (uint32_t i = 0; i < t->members; i++) {
        int64_t at[HSCHED_MAX_DIMS] = { 0 };
        do {
            uint8_t *member = in_member(b, b->outside->expected, i, at),
                    *slot = in_slot(b, bench.memory.expected, i, at);
            if (t->member.dtype != HSCHED_FLOAT32)
                memcpy(t->to_slot ? slot : member, t->to_slot ? member : slot,
                       b->member_size);
            else if (t->to_slot)
                op_store_float(slot, t->type, op_load_float(member, HSI_CUDA_F32));
            else
                op_store_float(member, HSI_CUDA_F32, op_load_float(slot, t->type));
        } while (next_index(&t->member, at));
    }
}

static size_t describe(char *text, size_t size, const char *name,
                       const hsched_operand *op)
{
    size_t n = (size_t)snprintf(text, size, " %s", name);
    for (uint32_t d = 0; d < op->rank && n < size; d++)
        n += (size_t)snprintf(text + n, size - n, "%c%lld/%lld", d ? ',' : '[',
                              (long long)op->dims[d], (long long)op->strides[d]);
    return n < size ? n : size;
}

static void describe_batch(batch *b, uint32_t index)
{
    const hsi_cuda_transfer *t = &b->t;
    const size_t size = sizeof b->text;
    size_t n = (size_t)snprintf(
        b->text, size, "HSCHED_TEST_SEED=%llu transfer %u: %s %s as %s, %u members (%s),",
        (unsigned long long)seed, index, t->to_slot ? "entry" : "exit",
        hsched_dtype_name(t->member.dtype),
        t->type == HSI_CUDA_F32   ? "f32"
        : t->type == HSI_CUDA_F16 ? "f16"
                                  : "bf16",
        t->members, b->outside->mapped ? "mapped" : "GPU memory");
    n += describe(b->text + n, size - n, "member", &t->member);
    n += describe(b->text + n, size - n, "slot", &t->slot);
    if (n < size)
        snprintf(b->text + n, size - n, " every %lld", (long long)t->slot_stride);
}

static const char *compare_memory(const op_memory *m, char *why, size_t size)
{
    for (size_t i = 0; i < m->used; i++)
        if (m->after[i] != m->expected[i]) {
            snprintf(
                why, size, "byte %zu of %s memory is 0x%02x, not 0x%02x (was 0x%02x)", i,
                m->mapped ? "mapped" : "GPU", m->after[i], m->expected[i], m->image[i]);
            return why;
        }
    return NULL;
}

static void run_batch(const batch *b, const hsi_cuda_op *op)
{
    const hsi_cuda_call call = { .in = { b->outside->device + b->table_at },
                                 .out = bench.memory.device + b->slot_at };
    char why[256];
    for (int as_graph = 0; as_graph < 2; as_graph++) {
        const char *wrong;
        const hsched_status status = op_run(&bench, op, &call, as_graph, &wrong);
        note_status(status);
        if (status != HSCHED_OK)
            wrong = wrong ? wrong : hsched_error_detail();
        else if (compare_memory(&bench.memory, why, sizeof why) ||
                 compare_memory(&bench.mapped, why, sizeof why))
            wrong = why;
        if (!wrong)
            continue;
        failures++;
        print_error("%s: %s\n    %s\n", op->name, wrong, b->text);
        return;
    }
}

static void test_transfers(void **state)
{
    (void)state;
    begin();
    for (uint32_t k = 0; k < steps_per_kind * 4 && failures < MAX_FAILURES && !broken;
         k++) {
        random_maker m = { .rng = seed * 31 + k };
        batch b = { .outside = NULL };
        hsi_cuda_op *op = NULL;
        random_batch_shape(&m, &b);
        place_batch(&m, &b);
        fill_source(&m, &b);
        expect_batch(&b);
        describe_batch(&b, k);
        const hsched_status status = hsi_cuda_make_transfer(&b.t, &op);
        note_status(status);
        if (status != HSCHED_OK) {
            failures++;
            print_error("not made: %s\n    %s\n", hsched_error_detail(), b.text);
            continue;
        }
        count_name(0, op->name);
        run_batch(&b, op);
        op->destroy(op);
    }
    end();
}

/* ---- Entry of camera frames -------------------------------------------------- */

/* An IMAGE step of `members` times `each` frames; in[0] is dense. */
static void make_frames(random_maker *m, random_step *made, uint32_t members)
{
    hsched_step *s = &made->step;
    const int64_t n = members * range(m, 1, 2), h = range(m, 1, 30), w = range(m, 1, 50),
                  c = range(m, 1, 4);
    memset(made, 0, sizeof *made);
    m->made = made;
    s->struct_size = sizeof *s;
    s->kind = HSCHED_STEP_IMAGE;
    s->name = "frames";
    s->out_aliases = -1;
    s->parts = 1;
    s->input_count = 1;
    random_set_shape(&s->in[0], HSCHED_UINT8, 4, (const int64_t[]){ n, h, w, c });
    random_set_dense(&s->in[0], NULL);
    random_set_shape(&s->out, HSCHED_FLOAT32, 4, (const int64_t[]){ n, c, h, w });
    random_set_any_strides(m, &s->out, 0);
    for (int k = 0; k < 4; k++) {
        s->u.image.mean[k] = uniform(m, 0, 255);
        s->u.image.scale[k] = uniform(m, -2, 2);
    }
    s->u.image.swap_red_blue = c >= 3 && chance(m, 50);
    made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input(m, 0, 0, 0);
    op_finish_step(made);
}

/* Members' frames each at a place of its own, and their table. */
static CUdeviceptr place_frames(random_maker *m, const random_step *made,
                                uint32_t members, op_memory *outside)
{
    const int64_t *dims = made->step.in[0].dims;
    const size_t bytes =
        (size_t)(dims[0] * dims[1] * dims[2] * dims[3]) / (size_t)members;
    uint64_t addresses[MAX_MEMBERS];
    for (uint32_t i = 0; i < members; i++) {
        const size_t at = op_memory_place(
            outside, bytes, 0, chance(m, 50) ? 0 : (size_t)PICK(m, 1, 4, 8, 15, 16));
        memcpy(outside->image + at, made->in[0].block + made->in[0].first + i * bytes,
               bytes);
        addresses[i] = outside->device + at;
    }
    const size_t table = op_memory_place(outside, sizeof addresses, 0, 0);
    memcpy(outside->image + table, addresses, 8 * (size_t)members);
    return outside->device + table;
}

static void run_frames(uint32_t index, const format *f)
{
    random_maker m = { .rng = seed * 37 + index };
    random_step made;
    const uint32_t members = (uint32_t)range(&m, 1, MAX_MEMBERS);
    make_frames(&m, &made, members);
    snprintf(
        made.text, sizeof made.text,
        "HSCHED_TEST_SEED=%llu frames %u: %u members, [%lld,%lld,%lld,%lld], swap %d",
        (unsigned long long)seed, index, members, (long long)made.step.in[0].dims[0],
        (long long)made.step.in[0].dims[1], (long long)made.step.in[0].dims[2],
        (long long)made.step.in[0].dims[3], made.step.u.image.swap_red_blue);
    trial t = { .made = &made, .format = f, .what = "image entry" };
    uint64_t rng = m.rng;
    op_memory_clear(&bench.memory);
    op_memory_clear(&bench.mapped);
    t.step.device = device;
    t.step.step = made.step;
    t.step.type = f->type;
    t.step.alignment[0] = 1;
    t.out_at = place_block(&t, &made.out, HSCHED_FLOAT32, &rng, &t.call.out);
    t.step.out_alignment = op_alignment(t.call.out);
    t.call.in[0] =
        place_frames(&m, &made, members, chance(&m, 50) ? &bench.mapped : &bench.memory);
    hsi_cuda_op *op = (hsi_cuda_op *)&op;
    const hsched_status status = hsi_cuda_make_image_entry(&t.step, members, &op);
    finish(&t, "image entry", status, op, 1);
    random_step_free(&made);
}

static void test_frames(void **state)
{
    (void)state;
    begin();
    for (uint32_t k = 0; k < steps_per_kind && failures < MAX_FAILURES && !broken; k++)
        for (size_t f = 1; f < COUNT(formats); f++)
            if (device->capability >= formats[f].capability)
                run_frames(k, &formats[f]);
    end();
}

/* Says what was tested. */
static void test_names(void **state)
{
    (void)state;
    begin();
    for (int kind = 0; kind <= RANDOM_STEP_KINDS; kind++) {
        if (kind > 0)
            print_message("    %s: %u steps, %u operations, %u refused\n",
                          kind_name(kind), met[kind].steps, met[kind].runs,
                          met[kind].refused);
        for (uint32_t k = 0; k < name_count; k++)
            if (names[k].kind == kind)
                print_message("        %5u by %s\n", names[k].runs, names[k].name);
    }
    end();
}

static int open_device(void **state)
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
    hsched_status status = hsi_cuda_device_open(&config, &device);
    if (status == HSCHED_OK)
        status = hsi_cuda_enter(device);
    if (status == HSCHED_OK) {
        status = op_bench_create(&bench, device);
        hsi_cuda_leave(device);
    }
    if (status != HSCHED_OK) {
        broken = 1; /* every test fails */
        snprintf(why_not, sizeof why_not, "the device did not open: %s",
                 hsched_error_detail());
        print_error("%s\n", why_not);
    }
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    if (device && hsi_cuda_enter(device) == HSCHED_OK) {
        op_bench_destroy(&bench);
        hsi_cuda_leave(device);
    }
    if (device)
        hsi_cuda_device_close(device);
    return 0;
}

static void read_number(const char *name, uint32_t *number, uint32_t most)
{
    if (getenv(name))
        *number = (uint32_t)strtoul(getenv(name), NULL, 0);
    if (*number > most)
        *number = most;
}

int main(void)
{
    static hsched_step_kind kinds[RANDOM_STEP_KINDS];
    struct CMUnitTest tests[RANDOM_STEP_KINDS + 4];
    size_t count = 0;
    if (getenv("HSCHED_TEST_SEED"))
        seed = strtoull(getenv("HSCHED_TEST_SEED"), NULL, 0);
    read_number("HSCHED_TEST_STEPS", &steps_per_kind, UINT32_MAX / 4);
    read_number("HSCHED_TEST_VARIANTS", &library_variants, MAX_VARIANTS);
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    print_message("HSCHED_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (int kind = 1; kind <= RANDOM_STEP_KINDS; kind++) {
        kinds[kind - 1] = (hsched_step_kind)kind;
        tests[count++] = (struct CMUnitTest){ .name = kind_name(kind),
                                              .test_func = test_kind,
                                              .initial_state = &kinds[kind - 1] };
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_transfers);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_frames);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_bad_variants);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_names);
    return _cmocka_run_group_tests("gpu ops", tests, count, open_device, close_device);
}
