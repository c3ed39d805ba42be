/* Depthwise convolution, a step of its own: rows of y one after the other (depthwise.h). */
#include "backend/cpu/depthwise.h"
#include "base/alloc.h"
#include "base/status.h"

/* 3x3 kernels: oneDNN's took 0.9 to 1.1 of the time for 14x14 and more, up to twice as much for
 * less (AVX-512, one thread); where vectors are few and the last is not full, less. */
static int depthwise_likely(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && conv.kh == 3 && conv.kw == 3 &&
           conv.stride_w <= 2 && conv.dilation_w == 1 &&
           (conv.c % 16 == 0 || conv.c > 32);
}

static void depthwise_destroy(void *pointer)
{
    hsi_depthwise *depthwise = pointer;
    if (!depthwise)
        return;
    hsi_depthwise_clear(depthwise);
    hsi_free(depthwise);
}

static hsched_status depthwise_prepare(const hsi_cpu_prepare_context *context,
                                       hsched_step *step, hsi_cpu_prepared *prepared)
{
    hsi_depthwise *depthwise = HSI_NEW(hsi_depthwise);
    if (!depthwise)
        return hsi_out_of_memory("a depthwise convolution");
    const hsched_status status =
        hsi_depthwise_init(depthwise, context, step, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        depthwise_destroy(depthwise);
        return status;
    }
    const hsi_conv2d *conv = &depthwise->conv;
    step->parts = hsi_cpu_parts(step, (uint64_t)(conv->n * conv->oh));
    prepared->state = depthwise;
    return HSCHED_OK;
}

static hsched_status depthwise_run(const hsched_step *step, const void *pointer,
                                   void *slot_state, void *const *operands, uint32_t part,
                                   void *scratch)
{
    (void)slot_state;
    (void)scratch;
    const hsi_depthwise *depthwise = pointer;
    const hsi_conv2d *conv = &depthwise->conv;
    const int64_t rows = conv->n * conv->oh,
                  begin = hsi_cpu_part_begin(rows, part, step->parts),
                  end = hsi_cpu_part_begin(rows, part + 1, step->parts);
    float *y = operands[step->input_count];
    const float *residual = conv->has_residual ? operands[3] : NULL;
    hsi_depthwise_rows(depthwise, operands[0],
                       residual ? residual + begin * conv->ow * conv->residual_pixel
                                : NULL,
                       y + begin * conv->ow * conv->y_pixel, begin, end);
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_conv2d_depthwise = {
    .name = "own/depthwise",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = hsi_depthwise_supports,
    .likely = depthwise_likely,
    .prepare = depthwise_prepare,
    .destroy = depthwise_destroy,
    .run = depthwise_run,
};
