#include "backend/cpu/int8.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/isa.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

#if HSI_ISA_X86
#include <immintrin.h>

typedef int32_t four_bytes __attribute__((aligned(1), may_alias));

/* sum += x * w, of four numbers in each lane. For the intrinsics gcc 12 keeps a copy of every
 * sum in memory, at half the speed. */
#define DOT_FUNCTION(name, type, instruction)                                            \
    TARGET HSI_ISA_INLINE type name(type sum, type x, type w)                            \
    {                                                                                    \
        __asm__(instruction " %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));                 \
        return sum;                                                                      \
    }

#define LANES  16
#define PIXELS 12
#define NAME   "avx512_vnni"
#define SUFFIX avx512
#define TARGET                                                                           \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,"      \
                          "prefer-vector-width=512")))
#define INTS           __m512i
#define FLOATS         __m512
#define SPREAD(x)      _mm512_set1_ps(x)
#define SPREAD_INT(x)  _mm512_set1_epi32(x)
#define READ(p)        _mm512_loadu_ps(p)
#define WRITE(p, x)    _mm512_storeu_ps(p, x)
#define READ_INTS(p)   _mm512_loadu_si512((const void *)(p))
#define TO_FLOATS(x)   _mm512_cvtepi32_ps(x)
#define DOT(sum, x, w) dot_avx512(sum, x, w)
#define FMA(a, b, c)   _mm512_fmadd_ps(a, b, c)
#define FNMA(a, b, c)  _mm512_fnmadd_ps(a, b, c)
#define MIN(a, b)      _mm512_min_ps(a, b) /* NaN in the second stays */
#define MAX(a, b)      _mm512_max_ps(a, b)
DOT_FUNCTION(dot_avx512, __m512i, "vpdpbusd")
#include "backend/cpu/int8_tile.h"

#define LANES          8
#define PIXELS         6
#define NAME           "avx_vnni"
#define SUFFIX         avx2
#define TARGET         __attribute__((target("avxvnni,avx2,fma")))
#define INTS           __m256i
#define FLOATS         __m256
#define SPREAD(x)      _mm256_set1_ps(x)
#define SPREAD_INT(x)  _mm256_set1_epi32(x)
#define READ(p)        _mm256_loadu_ps(p)
#define WRITE(p, x)    _mm256_storeu_ps(p, x)
#define READ_INTS(p)   _mm256_loadu_si256((const void *)(p))
#define TO_FLOATS(x)   _mm256_cvtepi32_ps(x)
#define DOT(sum, x, w) dot_avx2(sum, x, w)
#define FMA(a, b, c)   _mm256_fmadd_ps(a, b, c)
#define FNMA(a, b, c)  _mm256_fnmadd_ps(a, b, c)
#define MIN(a, b)      _mm256_min_ps(a, b)
#define MAX(a, b)      _mm256_max_ps(a, b)
DOT_FUNCTION(dot_avx2, __m256i, "%{vex%} vpdpbusd")
#include "backend/cpu/int8_tile.h"
#endif

const hsi_int8_kernels *hsi_int8_kernels_best(void)
{
#if HSI_ISA_X86
    const hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512 && __builtin_cpu_supports("avx512vnni"))
        return &kernels_avx512;
    if (isa >= HSI_ISA_AVX2 && __builtin_cpu_supports("avxvnni"))
        return &kernels_avx2;
#endif
    return NULL;
}

/* ---- What comes in, and what becomes of sums --------------------------------- */

int hsi_int8_has_levels(const hsched_operand *x)
{
    return x->dtype == HSCHED_FLOAT32 && x->levels.step >= 1e-30f &&
           x->levels.step <= 1e30f && x->levels.lowest <= 0 && x->levels.lowest >= -255;
}

/* By the last bits of a float that is so large that they are those of a whole number. */
HSI_ISA_INLINE void read_body(const float *restrict x, int64_t n, float inverse,
                              float zero, uint8_t *restrict bytes)
{
    for (int64_t i = 0; i < n; i++) {
        const float level = x[i] * inverse + zero;
        uint32_t bits;
        memcpy(&bits, &level, sizeof bits);
        bytes[i] = (uint8_t)bits;
    }
}
HSI_ISA_DISPATCH(read,
                 (const float *restrict x, int64_t n, float inverse, float zero,
                  uint8_t *restrict bytes),
                 (x, n, inverse, zero, bytes))

void hsi_int8_read(const float *x, int64_t n, hsched_levels levels, uint8_t *bytes)
{
    read(x, n, 1.0f / levels.step, 12582912.0f - levels.lowest, bytes);
}

int hsi_int8_finish_make(hsched_activation act, hsi_int8_finish *finish)
{
    *finish = (hsi_int8_finish){ 0 };
    if (hsi_cpu_activation_is_clamp(act, &finish->lo, &finish->hi))
        return 1;
    finish->lo = -INFINITY;
    finish->hi = INFINITY;
    if (act.kind != HSCHED_ACTIVATION_FAKE_QUANTIZE || !(act.a >= 1e-30f) ||
        !(act.a <= 1e30f))
        return 0;
    /* No infinity comes to where quotients are made; what is beyond is the same level. */
    *finish = (hsi_int8_finish){ .lo = act.a * (act.b - 2),
                                 .hi = act.a * (act.b + 257),
                                 .quantises = 1,
                                 .step = act.a,
                                 .inverse = 1.0f / act.a,
                                 .lowest = act.b };
    return 1;
}

/* ---- Weights ----------------------------------------------------------------- */

/* 1 if all are whole numbers times s, none beyond 8 bits. Each was rounded, when it was made and
 * where a scale was folded into it. */
static int are_multiples(const float *given, int64_t n, double s)
{
    const double inverse = 1 / s;
    for (int64_t i = 0; i < n; i++) {
        const double exact = (double)given[i] * inverse, whole = nearbyint(exact);
        if (!(fabs(exact - whole) <= fabs(whole) * 0x1p-21) || whole < -128 ||
            whole > 127)
            return 0;
    }
    return 1;
}

/* The scale of a column; 0 if there is none. */
static double find_scale(const float *given, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)given[i]));
    if (most == 0)
        return 1;
    for (int whole = 128; whole > 0 && most < INFINITY; whole--)
        if (are_multiples(given, n, most / whole))
            return most / whole;
    return 0;
}

static int32_t pack_column(const hsi_int8_source *source, const float *given,
                           double scale, int8_t *packed, int64_t stride)
{
    int32_t sum = 0;
    for (int64_t r = 0; r < source->runs; r++) {
        const float *run = given + r * source->run;
        for (int64_t j = 0; j < source->length; j++) {
            const float w = run[j / source->inner * source->outer_step +
                                j % source->inner * source->inner_step];
            const int8_t q = (int8_t)nearbyint((double)w / scale);
            packed[j / 4 * stride + j % 4] = q;
            sum += q;
        }
        packed += (source->length + 3) / 4 * stride;
    }
    return sum;
}

/* Lanes of the panel that begins at `column`, those that are filled up included. */
static int64_t panel_lanes(const hsi_int8_weights *w, int64_t column)
{
    const int64_t lanes = w->kernels->lanes;
    return w->columns - column > lanes ? HSI_INT8_MAX_VECTORS * lanes : lanes;
}

static hsched_status pack(const hsi_int8_source *source, hsi_int8_weights *w)
{
    const int64_t width = hsi_int8_width(w), rows = w->runs * w->depth,
                  count = source->runs * source->length;
    const double step = (double)source->levels.step;
    for (int64_t c = 0; c < w->columns; c++) {
        const float *given = source->given + c * count;
        const double scale = find_scale(given, count);
        const int64_t panel = c / width * width, lanes = panel_lanes(w, panel);
        if (scale == 0)
            return HSCHED_ERROR_UNSUPPORTED;
        const int32_t sum = pack_column(
            source, given, scale, w->packed + 4 * (panel * rows + c - panel), 4 * lanes);
        w->shift[c] = (int32_t)source->levels.lowest * sum;
        w->scale[c] = (float)(step * scale);
        w->bias[c] = source->bias ? source->bias[c] : 0;
    }
    return HSCHED_OK;
}

void hsi_int8_weights_clear(hsi_int8_weights *weights)
{
    hsi_free(weights->packed);
    hsi_free(weights->shift);
    hsi_free(weights->scale);
    hsi_free(weights->bias);
    *weights = (hsi_int8_weights){ 0 };
}

hsched_status hsi_int8_weights_make(const hsi_int8_source *source,
                                    hsi_int8_weights *weights, uint64_t *weight_bytes)
{
    const hsi_int8_kernels *kernels = hsi_int8_kernels_best();
    /* No sum may exceed an int32. */
    if (!kernels || source->runs * source->length > INT32_MAX / (255 * 128))
        return HSCHED_ERROR_UNSUPPORTED;
    hsi_int8_weights w = { .kernels = kernels,
                           .columns = source->columns,
                           .runs = source->runs,
                           .depth = (source->length + 3) / 4 };
    const int64_t width = hsi_int8_width(&w);
    w.panels = (w.columns - 1) / width + 1;
    const size_t room = (size_t)(w.panels * width);
    size_t size;
    if (!hsi_mul_size(room, 4 * (size_t)(w.runs * w.depth), &size))
        return HSCHED_ERROR_UNSUPPORTED;
    w.packed = hsi_alloc_aligned(size);
    w.shift = hsi_calloc(room, sizeof *w.shift);
    w.scale = hsi_calloc(room, sizeof *w.scale);
    w.bias = hsi_calloc(room, sizeof *w.bias);
    const hsched_status status = w.packed && w.shift && w.scale && w.bias
                                     ? pack(source, &w)
                                     : hsi_out_of_memory("weights of 8 bits");
    if (status != HSCHED_OK) {
        hsi_int8_weights_clear(&w);
        return status;
    }
    *weight_bytes += size + room * (sizeof *w.shift + 2 * sizeof *w.scale);
    *weights = w;
    return HSCHED_OK;
}

/* ---- Run --------------------------------------------------------------------- */

/* A tile whose last vector is not full: in a room of its own. */
static void run_partial(const hsi_int8_kernels *kernels, const hsi_int8_tile *given,
                        int64_t vectors, int64_t pixels, int64_t columns)
{
    _Alignas(64) float room[HSI_INT8_MAX_PIXELS * HSI_INT8_MAX_VECTORS * 16];
    hsi_int8_tile tile = *given;
    tile.y = room;
    tile.y_pixel = vectors * kernels->lanes;
    if (given->residual) {
        memset(room, 0, (size_t)(pixels * tile.y_pixel) * sizeof *room);
        hsi_cpu_copy_rows(room, tile.y_pixel, given->residual, given->residual_pixel,
                          pixels, columns);
        tile.residual = room;
        tile.residual_pixel = tile.y_pixel;
    }
    kernels->tile[vectors][pixels](&tile);
    hsi_cpu_copy_rows(given->y, given->y_pixel, room, tile.y_pixel, pixels, columns);
}

static void run_panel(const hsi_int8_weights *w, const hsi_int8_call *call,
                      int64_t column)
{
    const hsi_int8_kernels *kernels = w->kernels;
    const int64_t lanes = panel_lanes(w, column), left = w->columns - column,
                  rows = w->runs * w->depth, bytes = 4 * rows * lanes,
                  tiles = (call->pixels + kernels->pixels - 1) / kernels->pixels;
    hsi_int8_tile tile = { .runs = call->runs,
                           .run_count = w->runs,
                           .depth = w->depth,
                           .weights = w->packed + 4 * rows * column,
                           .shift = w->shift + column,
                           .scale = w->scale + column,
                           .bias = w->bias + column,
                           .residual_pixel = call->residual_pixel,
                           .y_pixel = call->y_pixel,
                           .finish = call->finish };
    tile.next_step = bytes / (tiles * rows) + 1;
    for (int64_t t = 0, end, begin = 0; t < tiles; t++, begin = end) {
        end = call->pixels * (t + 1) / tiles;
        for (int64_t p = begin; p < end; p++)
            tile.rows[p - begin] = call->x + call->at[p];
        tile.next = tile.weights + bytes + bytes * t / tiles;
        tile.y = call->y + begin * call->y_pixel + column;
        if (call->residual)
            tile.residual = call->residual + begin * call->residual_pixel + column;
        if (left < lanes)
            run_partial(kernels, &tile, lanes / kernels->lanes, end - begin, left);
        else
            kernels->tile[lanes / kernels->lanes][end - begin](&tile);
    }
}

void hsi_int8_run(const hsi_int8_weights *weights, const hsi_int8_call *call)
{
    const int64_t width = hsi_int8_width(weights);
    for (int64_t panel = call->begin; panel < call->end; panel++)
        run_panel(weights, call, panel * width);
}
