/*
 * All operations of the GPU plug-in: seeded random steps of every kind, and others of the shapes
 * that networks have (op_steps.h), in every number format, through every maker and every variant
 * of every family that takes them, compared with the reference (op_trial.h says how closely).
 * The environment: op_session.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cuda/op.h"
#include "backend/cuda/section.h"
#include "backend/random_step.h"
#include "gpu/op_steps.h"
#include "gpu/op_trial.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- A step through what takes it ------------------------------------------- */

static void try_maker(op_trial *t, const char *name, hsi_cuda_maker *maker, int must)
{
    hsi_cuda_op *op = (hsi_cuda_op *)&op; /* is to be set, whatever happens */
    const hsched_status status = maker(&t->step, &op);
    op_trial_run(t, name, status, op, must);
}

/* The first `most` of a family's variants, or `few` of those, evenly spread. */
static void try_family(op_trial *t, const hsi_cuda_family *family, uint32_t most,
                       uint32_t few)
{
    char texts[OP_MOST_VARIANTS][HSI_CUDA_VARIANT_LENGTH];
    const size_t length = strlen(family->name);
    const uint32_t count = family->variants(&t->step, most, texts);
    t->what = family->name;
    if (count > most)
        op_trial_report(t, "variants", "more than there is room for");
    const uint32_t listed = count < most ? count : most;
    const uint32_t tried = listed < few ? listed : few;
    for (uint32_t i = 0; i < tried && op_session_goes_on(); i++) {
        const uint32_t k = i * listed / tried;
        hsi_cuda_op *op = (hsi_cuda_op *)&op;
        texts[k][HSI_CUDA_VARIANT_LENGTH - 1] = '\0';
        t->what = texts[k];
        if (strncmp(texts[k], family->name, length) != 0 || texts[k][length] != ':' ||
            strchr(texts[k], ' '))
            op_trial_report(t, "variants", "not a text of this family's form");
        const hsched_status status = family->make(&t->step, texts[k], &op);
        op_trial_run(t, texts[k], status, op, 0);
    }
}

/* The makers of kinds that have one; convolutions and products have several. */
static hsi_cuda_maker *const makers[RANDOM_STEP_KINDS + 1] = {
    [HSCHED_STEP_POOL2D] = hsi_cuda_make_pool,
    [HSCHED_STEP_SCALE] = hsi_cuda_make_scale,
    [HSCHED_STEP_LRN] = hsi_cuda_make_lrn,
    [HSCHED_STEP_SOFTMAX] = hsi_cuda_make_softmax,
    [HSCHED_STEP_NORM] = hsi_cuda_make_norm,
    [HSCHED_STEP_UNARY] = hsi_cuda_make_unary,
    [HSCHED_STEP_BINARY] = hsi_cuda_make_binary,
    [HSCHED_STEP_COPY] = hsi_cuda_make_copy,
    [HSCHED_STEP_PAD] = hsi_cuda_make_pad,
    [HSCHED_STEP_REDUCE] = hsi_cuda_make_reduce,
    [HSCHED_STEP_IMAGE] = hsi_cuda_make_image,
    [HSCHED_STEP_RECURRENT] = hsi_cuda_make_recurrent, /* and cuDNN */
    [HSCHED_STEP_ARG] = hsi_cuda_make_arg,
    [HSCHED_STEP_TOP_K] = hsi_cuda_make_top_k,
    [HSCHED_STEP_CUMSUM] = hsi_cuda_make_cumsum,
    [HSCHED_STEP_ROTARY] = hsi_cuda_make_rotary,
    [HSCHED_STEP_CAST] = hsi_cuda_make_cast,
    [HSCHED_STEP_WHERE] = hsi_cuda_make_where,
    [HSCHED_STEP_RESIZE] = hsi_cuda_make_resize,
    [HSCHED_STEP_GATHER] = hsi_cuda_make_gather,
    [HSCHED_STEP_TUPLE_INDEX] = hsi_cuda_make_tuple_index,
    [HSCHED_STEP_SCATTER] = hsi_cuda_make_scatter,
    [HSCHED_STEP_GRID_SAMPLE] = hsi_cuda_make_grid_sample,
    [HSCHED_STEP_ROI_ALIGN] = hsi_cuda_make_roi_align,
    [HSCHED_STEP_POOL_INDEX] = hsi_cuda_make_pool_index,
};

/* Does cuDNN have such a network? By the letter of its documentation. */
static int is_for_cudnn(const hsched_step *s)
{
    static const hsched_activation_kind usual[] = { HSCHED_ACTIVATION_SIGMOID,
                                                    HSCHED_ACTIVATION_TANH,
                                                    HSCHED_ACTIVATION_TANH };
    const hsched_recurrent_kind kind = s->u.recurrent.kind;
    const int used = kind == HSCHED_RECURRENT_LSTM ? 3 : 2;
    if (s->in[4].dtype != HSCHED_DTYPE_NONE || s->u.recurrent.clip > 0 ||
        s->u.recurrent.input_forget ||
        (kind == HSCHED_RECURRENT_GRU && !s->u.recurrent.linear_before_reset))
        return 0;
    for (int64_t d = 0; d < s->out.dims[1]; d++) {
        const hsched_activation *act = s->u.recurrent.activations[d];
        if (kind == HSCHED_RECURRENT_RNN) {
            if ((act[0].kind != HSCHED_ACTIVATION_TANH &&
                 act[0].kind != HSCHED_ACTIVATION_RELU) ||
                act[0].kind != s->u.recurrent.activations[0][0].kind)
                return 0;
            continue;
        }
        for (int k = 0; k < used; k++)
            if (act[k].kind != usual[k])
                return 0;
    }
    return 1;
}

/* The same step through cuDNN, which has its own order of the weights, and refuses what it has no
 * network for; a format may be missing in a version of it. */
static void try_rnn(op_trial *t)
{
    const int fits = hsi_cuda.cudnnRNNForward && is_for_cudnn(&t->made->step);
    const int packed = op_trial_pack_rnn(t);
    t->what = "rnn";
    if (packed && !fits)
        op_trial_report(t, "made", "cuDNN has no such network");
    if (!packed && fits && t->format->type != HSI_CUDA_BF16)
        op_trial_report(t, "not made", hsched_error_detail());
    if (packed && fits)
        try_maker(t, "rnn", hsi_cuda_make_rnn, 1);
}

static void try_all(op_trial *t)
{
    const hsched_step_kind kind = t->made->step.kind;
    if (kind == HSCHED_STEP_CONV2D) {
        const hsched_step *s = &t->made->step;
        try_maker(t, "conv_direct", hsi_cuda_make_conv_direct, 1);
        try_maker(t, "conv_depthwise", hsi_cuda_make_conv_depthwise,
                  s->u.conv2d.groups == s->in[0].dims[1] &&
                      s->u.conv2d.groups == s->out.dims[1] && s->u.conv2d.groups > 1);
        try_family(t, &hsi_cuda_family_tile, OP_MOST_VARIANTS, session.own);
        try_family(t, &hsi_cuda_family_cudnn, session.variants, session.variants);
    } else if (kind == HSCHED_STEP_FC || kind == HSCHED_STEP_MATMUL) {
        try_maker(t, "matmul", hsi_cuda_make_matmul, 1);
        if (kind == HSCHED_STEP_FC) {
            try_family(t, &hsi_cuda_family_rows, OP_MOST_VARIANTS, session.own);
            try_family(t, &hsi_cuda_family_tile, OP_MOST_VARIANTS, session.own);
        }
        try_family(t, &hsi_cuda_family_lt, session.variants, session.variants);
    } else if (kind == HSCHED_STEP_RECURRENT) {
        try_maker(t, "recurrent", hsi_cuda_make_recurrent, 1);
        try_rnn(t);
    } else {
        try_maker(t, hsched_step_kind_name(kind), makers[kind], 1);
    }
}

/* One step in all formats that make a difference to it. */
static void run_step(random_step *made, uint32_t index)
{
    const hsched_step_kind kind = made->step.kind;
    if (!hsi_cuda_supports(NULL, &made->step)) { /* for the CPU */
        random_step_free(made);
        return;
    }
    session.met[kind].steps++;
    for (size_t f = 0; f < OP_FORMATS && op_session_goes_on(); f++) {
        op_trial t = { .made = made, .format = &op_formats[f] };
        if (session.device->capability < t.format->capability)
            continue;
        if (t.format->type == HSI_CUDA_F32 && !t.format->strict && !op_is_sum(kind))
            continue; /* the same as strict */
        if (t.format->type != HSI_CUDA_F32) {
            if (!op_has_floats(&made->step))
                continue;
            op_round_inputs(made, t.format->type);
        }
        op_trial_prepare(&t, index);
        try_all(&t);
    }
    random_step_free(made);
}

/* ---- Tests ------------------------------------------------------------------ */

static void test_kind(void **state)
{
    const hsched_step_kind kind = *(const hsched_step_kind *)*state;
    op_session_begin();
    for (uint32_t i = 0; i < session.steps && op_session_goes_on(); i++) {
        random_step made;
        random_step_make(&made, kind, session.seed, i);
        run_step(&made, i);
        if (!op_has_usual_step(kind))
            continue; /* random ones are usual enough */
        op_usual_step(&made, kind, session.seed, i);
        run_step(&made, i);
    }
    op_session_end();
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
    op_session_begin();
    for (int kind = HSCHED_STEP_CONV2D; kind <= HSCHED_STEP_MATMUL; kind++) {
        random_step made;
        random_step_make(&made, (hsched_step_kind)kind, session.seed, 0);
        op_trial t = { .made = &made,
                       .format = &op_formats[OP_FORMAT_F16],
                       .what = "bad variants" };
        op_trial_prepare(&t, 0);
        for (size_t f = 0; f < COUNT(families); f++)
            for (size_t k = 0; k < COUNT(rests); k++) {
                char text[HSI_CUDA_VARIANT_LENGTH];
                hsi_cuda_op *op = (hsi_cuda_op *)&op;
                snprintf(text, sizeof text, "%s%s", families[f]->name, rests[k]);
                const hsched_status status = families[f]->make(&t.step, text, &op);
                if ((status != HSCHED_ERROR_UNSUPPORTED &&
                     status != HSCHED_ERROR_FORMAT) ||
                    op)
                    op_trial_report(&t, text,
                                    status == HSCHED_OK ? "it was made"
                                                        : hsched_error_detail());
                if (status == HSCHED_OK)
                    op->destroy(op);
            }
        random_step_free(&made);
    }
    op_session_end();
}

int main(void)
{
    static hsched_step_kind kinds[RANDOM_STEP_KINDS];
    struct CMUnitTest tests[RANDOM_STEP_KINDS + 2];
    size_t count = 0;
    op_session_configure();
    for (int kind = 1; kind <= RANDOM_STEP_KINDS; kind++) {
        if (kind > HSCHED_STEP_MATMUL && !makers[kind])
            continue; /* no such kind, or the GPU does not take it */
        kinds[kind - 1] = (hsched_step_kind)kind;
        tests[count++] =
            (struct CMUnitTest){ .name = hsched_step_kind_name((hsched_step_kind)kind),
                                 .test_func = test_kind,
                                 .initial_state = &kinds[kind - 1] };
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_bad_variants);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(op_session_tell);
    return _cmocka_run_group_tests("gpu ops", tests, count, op_session_open,
                                   op_session_close);
}
