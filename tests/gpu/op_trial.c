#include "gpu/op_trial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "backend/cuda/recurrent.h"
#include "gpu/op_steps.h"

#define F16_LARGEST 65504.0

const op_format op_formats[OP_FORMATS] = {
    { "f32 strict", HSI_CUDA_F32, 1, RANDOM_STEP_TOLERANCE, RANDOM_STEP_TOLERANCE, 0 },
    { "f32", HSI_CUDA_F32, 0, 2e-3, RANDOM_STEP_TOLERANCE, 0 },
    { "f16", HSI_CUDA_F16, 0, 1e-2, 1e-3, 0 },
    { "bf16", HSI_CUDA_BF16, 0, 8e-2, 5e-3, 80 },
};

int op_is_sum(hsched_step_kind kind)
{
    return kind == HSCHED_STEP_CONV2D || kind == HSCHED_STEP_FC ||
           kind == HSCHED_STEP_MATMUL || kind == HSCHED_STEP_RECURRENT;
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

void op_trial_report(const op_trial *t, const char *what, const char *why)
{
    session.failures++;
    print_error("%s, %s, %s: %s: %s\n    %s\n", hsched_step_kind_name(t->made->step.kind),
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

void op_round_inputs(random_step *made, hsi_cuda_type type)
{
    const hsched_step *s = &made->step;
    for (uint32_t i = 0; i < s->input_count; i++)
        if (has(s, i) && s->in[i].dtype == HSCHED_FLOAT32 && !stays_float(s, i))
            round_block(s->out_aliases == (int)i ? &made->out : &made->in[i], type);
    op_expect_step(made);
}

size_t op_trial_place(const op_trial *t, const random_memory *from, hsched_dtype dtype,
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
    const size_t at = op_memory_place(&session.bench.memory, bytes, first, residue);
    uint8_t *to = session.bench.memory.image + at;
    if (dtype != HSCHED_FLOAT32)
        memcpy(to, from->pristine, bytes);
    else
        for (size_t i = 0; i < from->size / size; i++) {
            float value;
            memcpy(&value, from->pristine + i * size, sizeof value);
            op_store_float(to + i * element, t->format->type, value);
        }
    *address = session.bench.memory.device + at + first;
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

static CUdeviceptr place_packed(const op_trial *t, uint32_t i)
{
    const hsched_step *s = &t->made->step;
    const random_memory *from = &t->made->in[i];
    const hsi_cuda_type type = stays_float(s, i) ? HSI_CUDA_F32 : t->format->type;
    size_t count = 1;
    for (uint32_t d = 0; d < s->in[i].rank; d++)
        count *= (size_t)s->in[i].dims[d];
    const size_t element = hsi_cuda_type_size(type),
                 at = op_memory_place(&session.bench.memory, count * element, 0, 0);
    for (size_t k = 0; k < count; k++) {
        float value;
        const size_t source =
            i == 1 && s->kind == HSCHED_STEP_CONV2D ? conv_weight(s, k) : k;
        memcpy(&value, from->pristine + from->first + source * 4, sizeof value);
        op_store_float(session.bench.memory.image + at + k * element, type, value);
    }
    return session.bench.memory.device + at;
}

void op_trial_prepare(op_trial *t, uint32_t index)
{
    const hsched_step *s = &t->made->step;
    uint64_t rng = session.seed ^ index * UINT64_C(0x9e3779b97f4a7c15);
    op_memory_clear(&session.bench.memory);
    op_memory_clear(&session.bench.mapped);
    memset(&t->step, 0, sizeof t->step);
    memset(&t->call, 0, sizeof t->call);
    t->step.device = session.device;
    t->step.step = *s;
    t->step.type = t->format->type;
    t->step.strict = t->format->strict;
    t->out_at = op_trial_place(t, &t->made->out, s->out.dtype, &rng, &t->call.out);
    t->step.out_alignment = op_alignment(t->call.out);
    for (uint32_t i = 0; i < s->input_count; i++) {
        if (!has(s, i))
            continue;
        if (is_packed(s, i))
            t->step.constants[i] = t->call.in[i] = place_packed(t, i);
        else if (s->out_aliases == (int)i)
            t->call.in[i] = t->call.out;
        else
            op_trial_place(t, &t->made->in[i], s->in[i].dtype, &rng, &t->call.in[i]);
        t->step.step.in[i].constant = NULL;
        t->step.alignment[i] = op_alignment(t->call.in[i]);
    }
}

int op_trial_pack_rnn(op_trial *t)
{
    hsi_cuda_rnn_layout layout;
    const hsched_status status = hsi_cuda_rnn_lay_out(&t->step, &layout);
    op_session_note(status);
    if (status != HSCHED_OK) {
        if (status != HSCHED_ERROR_UNSUPPORTED)
            op_trial_report(t, "cuDNN's weights", hsched_error_detail());
        return 0;
    }
    const size_t at = op_memory_place(&session.bench.memory, layout.bytes, 0, 0);
    memset(session.bench.memory.image + at, 0, layout.bytes);
    hsi_cuda_rnn_pack(&t->made->step, &layout, t->format->type,
                      session.bench.memory.image + at);
    t->step.rnn = 1;
    t->step.constants[1] = t->call.in[1] = session.bench.memory.device + at;
    t->step.constants[2] = t->call.in[2] = 0;
    t->step.constants[3] = t->call.in[3] = 0;
    return 1;
}

/* ---- Judging --------------------------------------------------------------- */

/* Outside out's elements nothing has changed. */
static const char *check_around(const op_trial *t, char *why, size_t size)
{
    const random_memory *out = &t->made->out;
    const size_t wide = hsched_dtype_size(t->made->step.out.dtype),
                 narrow = hsi_cuda_element_size(&t->made->step.out, t->format->type);
    const op_memory *m = &session.bench.memory;
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
static double actual(const op_trial *t, size_t i)
{
    return op_load_float(session.bench.memory.after + t->out_at +
                             i * hsi_cuda_type_size(t->format->type),
                         t->format->type);
}

static double float_at(const uint8_t *block, size_t i)
{
    float value;
    memcpy(&value, block + i * 4, sizeof value);
    return value;
}

static double expected(const op_trial *t, size_t i)
{
    return float_at(t->made->expected, i);
}

static double error_of(const op_trial *t, size_t i, double largest)
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

static double tolerance_of(const op_trial *t)
{
    return op_is_sum(t->made->step.kind) ? t->format->sums : t->format->others;
}

static double largest_of(const random_step *made, const uint8_t *block)
{
    double largest = 0;
    for (size_t i = 0; i < made->out.size / 4; i++)
        if (made->is_element[i * 4])
            largest = fmax(largest, fabs(float_at(block, i)));
    return largest;
}

/* A block like out's of what a fake_quantize is done to, to be freed; NULL where there is none. */
static uint8_t *make_unquantised(const op_trial *t)
{
    random_step plain = *t->made;
    if (plain.step.act.kind != HSCHED_ACTIVATION_FAKE_QUANTIZE)
        return NULL;
    plain.step.act.kind = HSCHED_ACTIVATION_NONE;
    plain.expected = random_alloc(plain.out.size);
    op_expect_step(&plain);
    return plain.expected;
}

/* What lies so near to the middle of two levels that the tolerance reaches it may become the
 * other one of the two. */
static int is_other_level(const op_trial *t, size_t i, double x, double largest)
{
    const double step = (double)t->made->step.act.a, level = x / step, r = expected(t, i);
    const double to_middle = fabs(level - floor(level) - 0.5) * step;
    const double rounding = t->format->others * fmax(1, fabs(r));
    return to_middle <= tolerance_of(t) * fmax(1, largest) &&
           fabs(actual(t, i) - r) <= step + rounding;
}

static const char *check_floats(const op_trial *t, char *why, size_t size)
{
    const random_step *made = t->made;
    const double tolerance = tolerance_of(t), largest = largest_of(made, made->expected);
    double worst = 0;
    size_t worst_at = 0;
    uint8_t *before = make_unquantised(t);
    const double largest_before = before ? largest_of(made, before) : 0;
    for (size_t i = 0; i < made->out.size / 4; i++) {
        const double error = made->is_element[i * 4] ? error_of(t, i, largest) : 0;
        if (error > worst &&
            !(error > tolerance && before &&
              is_other_level(t, i, float_at(before, i), largest_before))) {
            worst = error;
            worst_at = i;
        }
    }
    free(before);
    if (worst <= tolerance)
        return NULL;
    snprintf(why, size, "offset %lld is %.9g, not %.9g (error %.3g, norm %.3g)",
             (long long)worst_at - (long long)(made->out.first / 4), actual(t, worst_at),
             expected(t, worst_at), worst, largest);
    return why;
}

/* A cast makes some not-a-number of one: which, is left open. */
static int are_not_numbers(const op_trial *t, const uint8_t *y, const uint8_t *r)
{
    const hsched_dtype dtype = t->made->step.out.dtype;
    double d[2];
    if (t->made->step.kind != HSCHED_STEP_CAST)
        return 0;
    if (dtype == HSCHED_FLOAT64) {
        memcpy(&d[0], y, sizeof d[0]);
        memcpy(&d[1], r, sizeof d[1]);
        return isnan(d[0]) && isnan(d[1]);
    }
    const hsi_cuda_type type = dtype == HSCHED_FLOAT16    ? HSI_CUDA_F16
                               : dtype == HSCHED_BFLOAT16 ? HSI_CUDA_BF16
                                                          : t->format->type;
    return (dtype == HSCHED_FLOAT32 || dtype == HSCHED_FLOAT16 ||
            dtype == HSCHED_BFLOAT16) &&
           isnan(op_load_float(y, type)) && isnan(op_load_float(r, type));
}

/* The same bits as expected, after rounding to the format. */
static const char *check_bits(const op_trial *t, char *why, size_t size)
{
    const random_step *made = t->made;
    const size_t wide = hsched_dtype_size(made->step.out.dtype),
                 narrow = hsi_cuda_element_size(&made->step.out, t->format->type);
    for (size_t i = 0; i < made->out.size / wide; i++) {
        const uint8_t *y = session.bench.memory.after + t->out_at + i * narrow;
        uint8_t r[8];
        if (!made->is_element[i * wide])
            continue;
        if (made->step.out.dtype == HSCHED_FLOAT32)
            op_store_float(r, t->format->type, (float)expected(t, i));
        else
            memcpy(r, made->expected + i * wide, wide);
        if (memcmp(y, r, narrow) == 0 || are_not_numbers(t, y, r))
            continue;
        snprintf(why, size, "offset %lld is 0x%02x..., not 0x%02x...",
                 (long long)i - (long long)(made->out.first / wide), y[0], r[0]);
        return why;
    }
    return NULL;
}

static const char *check(const op_trial *t, char *why, size_t size)
{
    if (check_around(t, why, size))
        return why;
    return t->made->compare == RANDOM_COMPARE_BITS ? check_bits(t, why, size)
                                                   : check_floats(t, why, size);
}

/* ---- Running ---------------------------------------------------------------- */

/* Launched, then as a graph; own kernels give the same bits both times. */
static void run_op(const op_trial *t, const hsi_cuda_op *op)
{
    uint8_t *first = NULL;
    char why[512];
    for (int as_graph = 0; as_graph < 2 && !session.broken; as_graph++) {
        const char *wrong, *what = as_graph ? "as a graph" : "launched";
        hsched_status status = op_run(&session.bench, op, &t->call, as_graph, &wrong);
        op_session_note(status);
        /* cuDNN has engines that refuse operands only when they are launched: the library then
         * takes another kernel. */
        if (status == HSCHED_ERROR_UNSUPPORTED && strncmp(op->name, "cudnn", 5) == 0)
            break;
        if (status != HSCHED_OK) {
            snprintf(why, sizeof why, "%s (%s)", wrong ? wrong : hsched_error_detail(),
                     op->name);
            op_trial_report(t, what, why);
            break;
        }
        if (check(t, why, sizeof why)) {
            op_trial_report(t, what, why);
            break;
        }
        if (first && strncmp(op->name, "own/", 4) == 0 &&
            memcmp(first, session.bench.memory.after, session.bench.memory.used) != 0)
            op_trial_report(t, what, "other bits than when it was launched");
        if (!first) {
            first = random_alloc(session.bench.memory.used);
            memcpy(first, session.bench.memory.after, session.bench.memory.used);
        }
    }
    free(first);
}

int op_trial_run(op_trial *t, const char *what, hsched_status status, hsi_cuda_op *op,
                 int must)
{
    const int kind = (int)t->made->step.kind;
    t->what = what;
    op_session_note(status);
    if (status != HSCHED_OK) {
        session.met[kind].refused++;
        if (op)
            op_trial_report(t, "made", "it failed, and returned an op");
        if (must || status != HSCHED_ERROR_UNSUPPORTED)
            op_trial_report(t, "not made", hsched_error_detail());
        return 0;
    }
    session.met[kind].runs++;
    op_session_count(kind, op->name);
    run_op(t, op);
    op->destroy(op);
    return 1;
}
