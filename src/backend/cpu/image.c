/*
 * IMAGE: uint8 [N,H,W,C] dense -> float32 [N,C,H,W], any strides, C <= 4:
 * out[n,c,h,w] = (in[n,h,w,c'] - mean[c]) * scale[c], c' = c or, swapped, 2 - c for c
 * < 3.
 *
 * Three forms: pixels dense in the output (channels-last), rows dense (planes), neither.
 */
#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

/* Floats; a multiple of 1, 2, 3 and 4 channels and of all vectors. */
#define PATTERN 192
/* Bytes, a multiple of PATTERN. */
#define SWAP_BLOCK 960

/* The channels' constants, repeated: element i of a row of pixels takes those at i %
 * PATTERN. */
typedef struct image_state {
    float mean[PATTERN], scale[PATTERN];
} image_state;

/* Which channel of the frame becomes channel c. */
static int64_t source_channel(const hsched_step *step, int64_t c)
{
    return step->u.image.swap_red_blue && step->out.dims[1] >= 3 && c < 3 ? 2 - c : c;
}

/* y[i] = (x[i] - mean[i % PATTERN]) * scale[i % PATTERN] */
HSI_ISA_INLINE void convert_pixels_body(const uint8_t *restrict x,
                                        const float *restrict mean,
                                        const float *restrict scale, float *restrict y,
                                        int64_t n)
{
    for (int64_t i = 0; i < n; i += PATTERN) {
        int64_t count = n - i < PATTERN ? n - i : PATTERN;
        for (int64_t k = 0; k < count; k++)
            y[i + k] = ((float)x[i + k] - mean[k]) * scale[k];
    }
}
HSI_ISA_DISPATCH(convert_pixels,
                 (const uint8_t *restrict x, const float *restrict mean,
                  const float *restrict scale, float *restrict y, int64_t n),
                 (x, mean, scale, y, n))

/* n bytes of pixels of three or four channels. */
HSI_ISA_INLINE void swap_pixels_body(const uint8_t *restrict x, uint8_t *restrict y,
                                     int64_t n, int64_t channels)
{
    if (channels == 3) {
        for (int64_t i = 0; i < n / 3; i++) {
            y[3 * i] = x[3 * i + 2];
            y[3 * i + 1] = x[3 * i + 1];
            y[3 * i + 2] = x[3 * i];
        }
        return;
    }
    for (int64_t i = 0; i < n / 4; i++) {
        y[4 * i] = x[4 * i + 2];
        y[4 * i + 1] = x[4 * i + 1];
        y[4 * i + 2] = x[4 * i];
        y[4 * i + 3] = x[4 * i + 3];
    }
}
HSI_ISA_DISPATCH(swap_pixels,
                 (const uint8_t *restrict x, uint8_t *restrict y, int64_t n,
                  int64_t channels),
                 (x, y, n, channels))

/* n bytes of dense pixels. */
static void run_pixels(const hsched_step *step, const image_state *s, const uint8_t *x,
                       float *y, int64_t n)
{
    uint8_t swapped[SWAP_BLOCK];
    int64_t channels = step->out.dims[1];
    if (!step->u.image.swap_red_blue || channels < 3) {
        convert_pixels(x, s->mean, s->scale, y, n);
        return;
    }
    for (int64_t i = 0; i < n; i += SWAP_BLOCK) {
        int64_t count = n - i < SWAP_BLOCK ? n - i : SWAP_BLOCK;
        swap_pixels(x + i, swapped, count, channels);
        convert_pixels(swapped, s->mean, s->scale, y + i, count);
    }
}

/* One channel of a row of n pixels into a row of its plane. */
HSI_ISA_INLINE void convert_plane_body(const uint8_t *restrict x, int64_t channels,
                                       float mean, float scale, float *restrict y,
                                       int64_t n)
{
    if (channels == 3)
        for (int64_t i = 0; i < n; i++)
            y[i] = ((float)x[i * 3] - mean) * scale;
    else if (channels == 4)
        for (int64_t i = 0; i < n; i++)
            y[i] = ((float)x[i * 4] - mean) * scale;
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = ((float)x[i * channels] - mean) * scale;
}
HSI_ISA_DISPATCH(convert_plane,
                 (const uint8_t *restrict x, int64_t channels, float mean, float scale,
                  float *restrict y, int64_t n),
                 (x, channels, mean, scale, y, n))

static void run_row(const hsched_step *step, const uint8_t *x, float *y)
{
    int64_t channels = step->out.dims[1], width = step->out.dims[3];
    for (int64_t c = 0; c < channels; c++) {
        const uint8_t *from = x + source_channel(step, c);
        float *to = y + c * step->out.strides[1];
        float mean = step->u.image.mean[c], scale = step->u.image.scale[c];
        if (hsi_is_unit(&step->out, 3)) {
            convert_plane(from, channels, mean, scale, to, width);
            continue;
        }
        for (int64_t w = 0; w < width; w++)
            to[w * step->out.strides[3]] = ((float)from[w * channels] - mean) * scale;
    }
}

static hsched_status image_run(const hsched_step *step, const void *state,
                               void *slot_state, void *const *operands, uint32_t part,
                               void *scratch)
{
    const hsched_operand *out = &step->out;
    const uint8_t *x = operands[0];
    int64_t height = out->dims[2], row_bytes = out->dims[1] * out->dims[3], begin, end;
    int dense_pixels =
        hsi_is_unit(out, 1) && (out->strides[3] == out->dims[1] || out->dims[3] == 1);
    (void)slot_state;
    (void)scratch;
    hsi_part_range(out->dims[0] * height, part, step->parts, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        float *y = (float *)operands[1] + row / height * out->strides[0] +
                   row % height * out->strides[2];
        if (dense_pixels)
            run_pixels(step, state, x + row * row_bytes, y, row_bytes);
        else
            run_row(step, x + row * row_bytes, y);
    }
    return HSCHED_OK;
}

static int image_supports(const hsched_step *step)
{
    const hsched_operand *in = &step->in[0], *out = &step->out;
    return in->dtype == HSCHED_UINT8 && hsi_is_float(out) && in->rank == 4 &&
           out->rank == 4 && out->dims[1] >= 1 && out->dims[1] <= 4 &&
           step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status image_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    image_state *s = HSI_NEW(image_state);
    if (s == NULL)
        return hsi_out_of_memory("the constants of an image step");
    for (int64_t k = 0; k < PATTERN; k++) {
        s->mean[k] = step->u.image.mean[k % step->out.dims[1]];
        s->scale[k] = step->u.image.scale[k % step->out.dims[1]];
    }
    prepared->state = s;
    hsi_lower_parts(step, hsi_operand_count(&step->out) * (sizeof(float) + 1),
                    step->out.dims[0] * step->out.dims[2]);
    return HSCHED_OK;
}

static const hsi_cpu_kernel image_kernel = {
    .name = "own/image",
    .kind = HSCHED_STEP_IMAGE,
    .library = HSCHED_LIBRARY_OWN,
    .supports = image_supports,
    .prepare = image_prepare,
    .destroy = hsi_free,
    .run = image_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_image[] = { &image_kernel, NULL };
