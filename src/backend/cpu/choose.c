#include "backend/cpu/choose.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/measure.h"
#include "backend/cpu/tuned.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"

/* More kernels of a kind are not compared. */
#define MAX_RIVALS 8
/* Times closer than this are the same. */
#define NOTICEABLY_FASTER 0.98

const char *hsi_cpu_choose_only;

static const hsi_cpu_kernel *const *const kernel_lists[] = {
    [HSCHED_STEP_CONV2D] = hsi_cpu_kernels_conv2d,
    [HSCHED_STEP_FC] = hsi_cpu_kernels_fc,
    [HSCHED_STEP_MATMUL] = hsi_cpu_kernels_matmul,
    [HSCHED_STEP_POOL2D] = hsi_cpu_kernels_pool2d,
    [HSCHED_STEP_SCALE] = hsi_cpu_kernels_scale,
    [HSCHED_STEP_LRN] = hsi_cpu_kernels_lrn,
    [HSCHED_STEP_SOFTMAX] = hsi_cpu_kernels_softmax,
    [HSCHED_STEP_NORM] = hsi_cpu_kernels_norm,
    [HSCHED_STEP_UNARY] = hsi_cpu_kernels_unary,
    [HSCHED_STEP_BINARY] = hsi_cpu_kernels_binary,
    [HSCHED_STEP_COPY] = hsi_cpu_kernels_copy,
    [HSCHED_STEP_PAD] = hsi_cpu_kernels_pad,
    [HSCHED_STEP_REDUCE] = hsi_cpu_kernels_reduce,
    [HSCHED_STEP_IMAGE] = hsi_cpu_kernels_image,
    [HSCHED_STEP_RESIZE] = hsi_cpu_kernels_resize,
    [HSCHED_STEP_GATHER] = hsi_cpu_kernels_gather,
    [HSCHED_STEP_ARG] = hsi_cpu_kernels_arg,
    [HSCHED_STEP_TOP_K] = hsi_cpu_kernels_top_k,
    [HSCHED_STEP_TUPLE_INDEX] = hsi_cpu_kernels_tuple_index,
    [HSCHED_STEP_SCATTER] = hsi_cpu_kernels_scatter,
    [HSCHED_STEP_CUMSUM] = hsi_cpu_kernels_cumsum,
    [HSCHED_STEP_GRID_SAMPLE] = hsi_cpu_kernels_grid_sample,
    [HSCHED_STEP_ROI_ALIGN] = hsi_cpu_kernels_roi_align,
    [HSCHED_STEP_POOL_INDEX] = hsi_cpu_kernels_pool_index,
    [HSCHED_STEP_NMS] = hsi_cpu_kernels_nms,
    [HSCHED_STEP_RECURRENT] = hsi_cpu_kernels_recurrent,
    [HSCHED_STEP_ROTARY] = hsi_cpu_kernels_rotary,
    [HSCHED_STEP_SEPARABLE_CONV2D] = hsi_cpu_kernels_separable_conv2d,
    [HSCHED_STEP_CAST] = hsi_cpu_kernels_cast,
    [HSCHED_STEP_WHERE] = hsi_cpu_kernels_where,
};

void hsi_cpu_choice_clear(hsi_cpu_choice *choice)
{
    if (choice->kernel && choice->kernel->destroy && choice->prepared.state)
        choice->kernel->destroy(choice->prepared.state);
    hsi_free(choice->name);
    *choice = (hsi_cpu_choice){ 0 };
}

/* Tries one kernel; UNSUPPORTED passes the step on as it was. */
static hsched_status try_kernel(const hsi_cpu_prepare_context *context,
                                const hsi_cpu_kernel *kernel, hsched_step *step,
                                hsi_cpu_choice *choice)
{
    uint32_t parts = step->parts;
    choice->prepared = (hsi_cpu_prepared){ 0 };
    hsched_status status =
        kernel->prepare ? kernel->prepare(context, step, &choice->prepared) : HSCHED_OK;
    if (status != HSCHED_OK) {
        step->parts = parts;
        return status;
    }
    choice->kernel = kernel;
    choice->name = choice->prepared.detail
                       ? hsi_asprintf("%s/%s", kernel->name, choice->prepared.detail)
                       : hsi_strdup(kernel->name);
    return choice->name ? HSCHED_OK : hsi_out_of_memory("a kernel's name");
}

static int can(const hsi_cpu_prepare_context *context, const hsi_cpu_kernel *kernel,
               const hsched_step *step)
{
    return (context->libraries & kernel->library) &&
           (!kernel->maths || (kernel->maths & HSI_CPU_MATH(context->math))) &&
           (!kernel->supports || kernel->supports(step));
}

/* A kernel is asked in round 0 if it is likely to be the fastest, in round 1 if not. */
static int is_asked(const hsi_cpu_prepare_context *context, const hsi_cpu_kernel *kernel,
                    const hsched_step *step, int round)
{
    if (!can(context, kernel, step))
        return 0;
    const int likely = hsi_cpu_choose_only ? !strcmp(kernel->name, hsi_cpu_choose_only)
                                           : !kernel->likely || kernel->likely(step);
    return likely == (round == 0);
}

/* By the rules of the lists. */
static hsched_status choose_likely(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_choice *choice)
{
    const hsi_cpu_kernel *const *list = kernel_lists[step->kind];
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; list[i]; i++) {
            if (!is_asked(context, list[i], step, round))
                continue;
            hsched_status status = try_kernel(context, list[i], step, choice);
            if (status != HSCHED_ERROR_UNSUPPORTED)
                return status;
        }
    return try_kernel(context, &hsi_cpu_kernel_reference, step, choice);
}

/* The kernel of that name, if it still can do it. */
static hsched_status choose_named(const hsi_cpu_prepare_context *context,
                                  const char *name, hsched_step *step,
                                  hsi_cpu_choice *choice)
{
    const hsi_cpu_kernel *const *list = kernel_lists[step->kind];
    for (uint32_t i = 0; list[i]; i++)
        if (!strcmp(list[i]->name, name) && can(context, list[i], step))
            return try_kernel(context, list[i], step, choice);
    return HSCHED_ERROR_UNSUPPORTED;
}

/* All kernels that can do the step, prepared, the likely ones first. */
static hsched_status prepare_rivals(const hsi_cpu_prepare_context *context,
                                    const hsched_step *step, hsi_cpu_rival *rivals,
                                    uint32_t *count)
{
    const hsi_cpu_kernel *const *list = kernel_lists[step->kind];
    hsi_cpu_prepare_context unkept = *context; /* most of them are not taken */
    unkept.store = NULL;
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; list[i] && *count < MAX_RIVALS; i++) {
            hsi_cpu_rival *r = &rivals[*count];
            if (!is_asked(context, list[i], step, round))
                continue;
            *r = (hsi_cpu_rival){ .step = *step };
            hsched_status status = try_kernel(&unkept, list[i], &r->step, &r->choice);
            if (status == HSCHED_OK) {
                ++*count;
            } else if (status != HSCHED_ERROR_UNSUPPORTED) {
                hsi_cpu_choice_clear(&r->choice);
                return status;
            }
        }
    return HSCHED_OK;
}

static void tell(const char *key, const hsi_cpu_rival *rivals, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        hsi_log(HSCHED_LOG_DEBUG, "%s: %s takes %.1f us", key, rivals[i].choice.name,
                rivals[i].us);
}

/* Of rivals as fast as each other the likely one. */
static uint32_t find_fastest(const hsi_cpu_rival *rivals, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (rivals[i].us < NOTICEABLY_FASTER * rivals[best].us)
            best = i;
    return best;
}

static hsched_status choose_measured(const hsched_backend_device *device,
                                     const hsi_cpu_prepare_context *context,
                                     const char *key, hsched_step *step,
                                     hsi_cpu_choice *choice)
{
    hsi_cpu_rival rivals[MAX_RIVALS];
    uint32_t count = 0, best = 0;
    hsched_status status = prepare_rivals(context, step, rivals, &count);
    if (status == HSCHED_OK && count > 1)
        status = hsi_cpu_measure(rivals, count);
    if (status == HSCHED_OK && count > 0) {
        best = find_fastest(rivals, count);
        tell(key, rivals, count);
        *choice = rivals[best].choice;
        rivals[best].choice = (hsi_cpu_choice){ 0 };
        step->parts = rivals[best].step.parts;
        if (count > 1 &&
            isfinite(rivals[best].us)) /* else its runs will say why they fail */
            hsi_cpu_tuned_put(device->tuned, key, choice->kernel->name, rivals[best].us);
    }
    for (uint32_t i = 0; i < count; i++)
        hsi_cpu_choice_clear(&rivals[i].choice);
    return status == HSCHED_OK && count == 0 ? HSCHED_ERROR_UNSUPPORTED : status;
}

/* What was measured before, or else is now. UNSUPPORTED: neither. */
static hsched_status choose_tuned(const hsched_backend_device *device,
                                  const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_choice *choice)
{
    char key[HSI_TUNE_STEP_KEY], name[HSI_TUNE_VARIANT];
    hsched_status status = HSCHED_ERROR_UNSUPPORTED;
    if (!device->tuned || hsi_cpu_choose_only ||
        !hsi_cpu_tuned_key(step, context->math, key))
        return status;
    int known = hsi_cpu_tuned_get(device->tuned, key, name);
    if (!known && device->measures) {
        hsi_cpu_tuned_lock(device->tuned);
        known =
            hsi_cpu_tuned_get(device->tuned, key, name); /* another thread's, meanwhile */
        if (!known)
            status = choose_measured(device, context, key, step, choice);
        hsi_cpu_tuned_unlock(device->tuned);
    }
    /* Weights are packed without the lock: models may be loaded side by side. */
    return known ? choose_named(context, name, step, choice) : status;
}

hsched_status hsi_cpu_choose(const hsched_backend_device *device,
                             const hsi_cpu_prepare_context *context, hsched_step *step,
                             hsi_cpu_choice *choice)
{
    if (step->parts < 1)
        step->parts = 1;
    if (device->reference)
        return try_kernel(context, &hsi_cpu_kernel_reference, step, choice);
    hsched_status status = choose_tuned(device, context, step, choice);
    if (status == HSCHED_ERROR_UNSUPPORTED)
        status = choose_likely(context, step, choice);
    return status;
}
