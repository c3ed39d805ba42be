/* hsched_model_verify: every step of the CPU's kernels against the reference kernels. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <hsched/experimental.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/tensor.h"
#include "runtime/bind.h"
#include "runtime/runtime.h"

typedef struct verifier {
    hsched_run *run;
    hsched_step_check_callback callback;
    void *user;
    hsched_status status;
    char detail[HSI_ERROR_DETAIL_MAX];
    void *scratch;
    void *before;   /* what an in-place step's output held before the step: its input */
    void *expected; /* the reference's output; laid out as the step's, hence by extent */
} verifier;

/* Elements from the first to the last one that the operand addresses; strides of out are
 * > 0. */
static size_t extent(const hsched_operand *o)
{
    size_t last = 0;
    for (uint32_t i = 0; i < o->rank; i++)
        last += (size_t)((o->dims[i] - 1) * o->strides[i]);
    return last + 1;
}

static size_t largest_output(const hsi_plan *plan)
{
    size_t largest = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsched_operand *o = &plan->steps[i].step.out;
        size_t bytes = extent(o) * hsched_dtype_size(o->dtype);
        if (bytes > largest)
            largest = bytes;
    }
    return largest;
}

/* Floats by norm; anything else is equal or not. */
static void compare_element(const hsched_operand *o, size_t at, const void *out,
                            const void *reference, hsched_step_check *check,
                            double *difference, double *norm)
{
    const int wide = o->dtype == HSCHED_FLOAT64;
    if (o->dtype != HSCHED_FLOAT32 && !wide) {
        size_t size = hsched_dtype_size(o->dtype);
        if (memcmp((const char *)out + at * size, (const char *)reference + at * size,
                   size))
            *difference = *norm = check->max_abs_error = 1;
        return;
    }
    const double a = wide ? ((const double *)out)[at] : (double)((const float *)out)[at],
                 b = wide ? ((const double *)reference)[at]
                          : (double)((const float *)reference)[at];
    if (isfinite(a) && isfinite(b)) {
        *difference += (a - b) * (a - b);
        *norm += b * b;
        if (fabs(a - b) > check->max_abs_error)
            check->max_abs_error = fabs(a - b);
    } else if (isfinite(b) || isnan(a) != isnan(b)) {
        check->not_finite++;
    }
}

static void compare(const hsched_operand *o, const void *out, const void *reference,
                    hsched_step_check *check)
{
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    double difference = 0, norm = 0;
    for (;;) {
        size_t at = 0;
        for (uint32_t i = 0; i < o->rank; i++)
            at += (size_t)(index[i] * o->strides[i]);
        compare_element(o, at, out, reference, check, &difference, &norm);
        uint32_t i = o->rank;
        while (i > 0 && ++index[i - 1] == o->dims[i - 1])
            index[--i] = 0;
        if (i == 0)
            break;
    }
    check->error = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

static hsched_status check_step(verifier *v, uint32_t index, hsched_step_check *check)
{
    const hsched_step *s = &v->run->model->plan->steps[index].step;
    hsi_exec_step step;
    hsi_exec_describe_step(&v->run->exec, 0, index, &step);
    const void *inputs[HSCHED_STEP_MAX_INPUTS] = { NULL };
    for (uint32_t i = 0; i < s->input_count; i++)
        inputs[i] = step.operands[i];
    void *out = step.operands[s->input_count];
    size_t bytes = extent(&s->out) * hsched_dtype_size(s->out.dtype);
    memcpy(v->before, out, bytes);

    hsched_status status = HSCHED_OK;
    for (uint32_t part = 0; part < step.parts && status == HSCHED_OK; part++)
        status =
            step.backend->run_part(step.slot, step.step, step.operands, part, v->scratch);
    if (status != HSCHED_OK)
        return status;
    for (uint32_t i = 0; s->out_aliases >= 0 && i < s->input_count; i++)
        if (inputs[i] == out) /* a square reads it twice */
            inputs[i] = v->before;
    memset(v->expected, 0xff, bytes); /* NaN: an element that is not written shows */
    status = hsi_ref_run(s, inputs, v->expected);
    if (status != HSCHED_OK)
        return status;
    check->step = index;
    compare(&s->out, out, v->expected, check);
    return HSCHED_OK;
}

static hsched_status check_all(verifier *v)
{
    const hsched_model *model = v->run->model;
    size_t bytes = largest_output(model->plan);
    v->scratch = hsi_alloc_aligned(model->exec.scratch_size);
    v->before = hsi_alloc_aligned(bytes);
    v->expected = hsi_alloc_aligned(bytes);
    if (!v->scratch || !v->before || !v->expected)
        return hsi_out_of_memory("what verification compares with");
    hsched_status status = hsi_exec_acquire_slot(&v->run->exec, 1);
    if (status == HSCHED_OK)
        status = hsi_exec_shadow(&v->run->exec);
    if (status == HSCHED_OK)
        status = hsi_exec_need_host(&v->run->exec, 0);
    for (uint32_t i = 0; i < model->plan->step_count && status == HSCHED_OK; i++) {
        hsched_step_check check = { .struct_size = sizeof check };
        status = check_step(v, i, &check);
        if (status != HSCHED_OK)
            hsi_error_prefix(status, "step '%s': ", model->plan->steps[i].step.name);
        else if (v->callback(v->user, &check) != 0)
            status = hsi_error(
                HSCHED_ERROR_CANCELLED,
                "model '%s': the callback stopped the verification at step '%s'",
                model->name, model->plan->steps[i].step.name);
    }
    return status;
}

static void *verifier_main(void *argument)
{
    verifier *v = argument;
    v->status = check_all(v);
    snprintf(v->detail, sizeof v->detail, "%s", hsched_error_detail());
    return NULL;
}

/* On a thread of its own: kernels set the OpenMP thread count of the thread they run on, and the
 * caller's is not ours to change. */
static hsched_status check_apart(verifier *v)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, verifier_main, v) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM,
                         "hsched_model_verify: a thread could not be started");
    pthread_join(thread, NULL);
    if (v->status != HSCHED_OK)
        hsi_error_set_detail(v->detail);
    return v->status;
}

HSCHED_API hsched_status hsched_model_verify(hsched_model *model,
                                             const hsched_binding *inputs,
                                             uint32_t input_count,
                                             hsched_step_check_callback callback,
                                             void *user)
{
    if (!model || !callback)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_verify: model or callback is NULL");
    if (!model->constants_stay)
        return hsi_error(HSCHED_ERROR_STATE,
                         "model '%s' has dropped its unpacked weights; load it with "
                         "HSCHED_MODEL_KEEP_CONSTANTS to verify it",
                         model->name);
    uint32_t given = input_count ? input_count : model->plan->input_count;
    for (uint32_t i = 0; inputs && i < given; i++)
        if (inputs[i].run)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "hsched_model_verify: input %u is another run's output; give data", i);
    verifier v = { .callback = callback, .user = user };
    hsched_status status = hsi_run_acquire(model, &v.run);
    if (status != HSCHED_OK)
        return status;
    status = hsi_bind_inputs(v.run, inputs, input_count);
    if (status == HSCHED_OK)
        status = hsi_bind_outputs(v.run, NULL, 0);
    if (status == HSCHED_OK)
        status = check_apart(&v);
    hsi_exec_release_slot(&v.run->exec);
    hsi_run_dispose(v.run);
    hsi_free(v.scratch);
    hsi_free(v.before);
    hsi_free(v.expected);
    return status;
}
