/*
 * Fully connected with some rows in bfloat16, by oneDNN: y [m, n] = act(x [m, k] * weights [n, k]^T
 * + bias).
 *
 * A part is a range of the rows of y where there are many, so that each row of x is rounded once;
 * else a range of its columns, with weights packed for it alone. x is rounded into scratch. oneDNN
 * 2.6 has only its gemm, which takes memory from the heap, where the rows of y lie apart: they are
 * written to scratch then, and copied.
 */
#include "backend/cpu/onednn_product.h"

#if HSI_HAVE_ONEDNN

#include "backend/cpu/bf16.h"
#include "backend/cpu/fc.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* With fewer rows a product is bound by reading the weights (fc_bf16.c). */
#define LEAST_ROWS 4
/* Parts are rows where each has so many. */
#define ROWS_OF_A_PART 32
/* Else they are made of so many columns. */
#define CHUNK 64
/* Smaller ones are not likely to repay what the call of a library costs. */
#define LIKELY_MACS 100000

typedef struct part_product {
    hsi_onednn_product product;
    void *weights; /* of another part, if `borrowed` */
    int borrowed;
    int64_t row, column; /* where it begins */
    int copy_y;          /* through scratch */
} part_product;

typedef struct fc_state {
    int64_t m, k, n, x_row, y_row;
    int64_t w_row, w_column; /* strides of the weights, as [k, n] */
    const float *bias;
    void *owned_bias;
    part_product *products; /* of each part */
    uint32_t parts;
    size_t y_offset, work_offset, scratch_size; /* x is at 0 */
} fc_state;

typedef struct fc_slot {
    uint32_t parts;
    hsi_onednn_call calls[];
} fc_slot;

static void fc_destroy(void *pointer)
{
    fc_state *state = pointer;
    if (!state)
        return;
    for (uint32_t p = 0; state->products && p < state->parts; p++) {
        hsi_onednn_product_clear(&state->products[p].product);
        if (!state->products[p].borrowed)
            hsi_free(state->products[p].weights);
    }
    hsi_free(state->products);
    hsi_free(state->owned_bias);
    hsi_free(state);
}

/* ---- Prepare ---- */

static int read_step(const hsched_step *step, fc_state *state)
{
    const hsched_operand *x = &step->in[0], *weights = &step->in[1], *y = &step->out;
    if (!hsi_fc_supports(step))
        return 0;
    *state = (fc_state){
        .m = x->dims[0],
        .k = x->dims[1],
        .n = y->dims[1],
        .x_row = x->strides[0],
        .y_row = y->strides[0],
        .w_row = weights->strides[1],
        .w_column = weights->strides[0],
    };
    /* A dimension of one has any stride. */
    if (state->k == 1)
        state->w_row = state->n;
    if (state->n == 1)
        state->w_column = state->k;
    return state->m >= LEAST_ROWS && state->k > 0 && state->n > 0 && state->w_row > 0 &&
           state->w_column > 0 && state->y_row >= state->n;
}

static int fc_supports(const hsched_step *step)
{
    fc_state state;
    return hsi_onednn_has_bf16() && read_step(step, &state);
}

static int fc_likely(const hsched_step *step)
{
    fc_state state;
    return hsi_cpu_has_amx() && read_step(step, &state) &&
           state.m * state.k * state.n >= LIKELY_MACS;
}

/* Weights for a part, or those of a part before it that have the same columns and layout. */
static hsched_status bring_weights(fc_state *state, const float *weights,
                                   part_product *made, uint64_t *weight_bytes)
{
    for (const part_product *p = state->products; p < made; p++)
        if (p->column == made->column &&
            dnnl_memory_desc_equal(&p->product.b, &made->product.b)) {
            made->weights = p->weights;
            made->borrowed = 1;
            return HSCHED_OK;
        }
    *weight_bytes += dnnl_memory_desc_get_size(&made->product.b);
    return hsi_onednn_product_pack(&made->product,
                                   weights + made->column * state->w_column, state->w_row,
                                   state->w_column, &made->weights);
}

/* The layout of the first part's weights is tried first where all parts have the same. */
static hsched_status make_part(fc_state *state, const float *weights, uint32_t part,
                               int by_rows, uint64_t *weight_bytes)
{
    part_product *made = &state->products[part];
    int64_t from, to;
    if (by_rows) {
        from = hsi_cpu_part_begin(state->m, part, state->parts);
        to = hsi_cpu_part_begin(state->m, part + 1, state->parts);
        made->row = from;
        made->product.m = to - from;
        made->product.n = state->n;
    } else {
        const int64_t chunks = (state->n + CHUNK - 1) / CHUNK;
        from = CHUNK * hsi_cpu_part_begin(chunks, part, state->parts);
        to = CHUNK * hsi_cpu_part_begin(chunks, part + 1, state->parts);
        made->column = from;
        made->product.m = state->m;
        made->product.n = (to < state->n ? to : state->n) - from;
    }
    made->product.k = state->k;
    made->copy_y = state->y_row != made->product.n;
    hsched_status status = HSCHED_ERROR_UNSUPPORTED;
    if (by_rows && part > 0)
        status = hsi_onednn_product_create(&state->products[0].product.b, &made->product);
    if (status == HSCHED_ERROR_UNSUPPORTED)
        status = hsi_onednn_product_create(NULL, &made->product);
    return status == HSCHED_OK ? bring_weights(state, weights, made, weight_bytes)
                               : status;
}

/* Places of x, y and oneDNN's own memory in the scratch of a part. */
static hsched_status lay_out_scratch(fc_state *state)
{
    size_t x = 0, y = 0, work = 0;
    for (uint32_t p = 0; p < state->parts; p++) {
        const part_product *made = &state->products[p];
        const size_t sizes[] = { dnnl_memory_desc_get_size(&made->product.a),
                                 dnnl_memory_desc_get_size(&made->product.c),
                                 dnnl_memory_desc_get_size(&made->product.work) };
        x = sizes[0] > x ? sizes[0] : x;
        y = made->copy_y && sizes[1] > y ? sizes[1] : y;
        work = sizes[2] > work ? sizes[2] : work;
    }
    if (hsi_round_up_size(x, 64, &state->y_offset) && hsi_round_up_size(y, 64, &y) &&
        hsi_add_size(state->y_offset, y, &state->work_offset) &&
        hsi_add_size(state->work_offset, work, &state->scratch_size))
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_LIMIT,
                     "scratch memory for a fully connected step [%lld,%lld] overflows",
                     (long long)state->m, (long long)state->n);
}

static hsched_status make_parts(const hsched_step *step, fc_state *state,
                                uint64_t *weight_bytes)
{
    const int by_rows = state->m >= (int64_t)step->parts * ROWS_OF_A_PART;
    state->parts = hsi_cpu_parts(
        step, (uint64_t)(by_rows ? state->m : (state->n + CHUNK - 1) / CHUNK));
    state->products = HSI_NEW_ARRAY(part_product, state->parts);
    if (!state->products)
        return hsi_out_of_memory("a fully connected step");
    hsched_status status = HSCHED_OK;
    for (uint32_t p = 0; p < state->parts && status == HSCHED_OK; p++)
        status = make_part(state, step->in[1].constant, p, by_rows, weight_bytes);
    return status == HSCHED_OK ? lay_out_scratch(state) : status;
}

static hsched_status fc_prepare(const hsi_cpu_prepare_context *context, hsched_step *step,
                                hsi_cpu_prepared *prepared)
{
    fc_state *state = HSI_NEW(fc_state);
    if (!state)
        return hsi_out_of_memory("a fully connected step");
    hsched_status status = read_step(step, state) ? HSCHED_OK : HSCHED_ERROR_UNSUPPORTED;
    if (status == HSCHED_OK)
        status = make_parts(step, state, &prepared->weight_bytes);
    if (status == HSCHED_OK && step->input_count > 2)
        state->bias = hsi_cpu_keep_constant(context, &step->in[2], &state->owned_bias,
                                            &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        fc_destroy(state);
        return status;
    }
    step->parts = state->parts;
    prepared->state = state;
    prepared->detail = state->products[0].product.implementation;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

/* ---- Slots ---- */

static void fc_slot_destroy(void *pointer)
{
    fc_slot *slot = pointer;
    for (uint32_t p = 0; p < slot->parts; p++)
        hsi_onednn_call_clear(&slot->calls[p]);
    hsi_free(slot);
}

static hsched_status fc_slot_create(const hsched_step *step, const void *pointer,
                                    void **slot_state)
{
    (void)step;
    const fc_state *state = pointer;
    fc_slot *slot = hsi_calloc(1, sizeof *slot + state->parts * sizeof *slot->calls);
    *slot_state = NULL;
    if (!slot)
        return hsi_out_of_memory("a slot's fully connected step");
    slot->parts = state->parts;
    hsched_status status = HSCHED_OK;
    for (uint32_t p = 0; p < state->parts && status == HSCHED_OK; p++)
        status = hsi_onednn_call_create(&state->products[p].product, &slot->calls[p]);
    if (status != HSCHED_OK) {
        fc_slot_destroy(slot);
        return status;
    }
    *slot_state = slot;
    return HSCHED_OK;
}

/* ---- Run ---- */

static hsched_status fc_run(const hsched_step *step, const void *pointer,
                            void *slot_state, void *const *operands, uint32_t part,
                            void *scratch)
{
    const fc_state *state = pointer;
    const fc_slot *slot = slot_state;
    const part_product *own = &state->products[part];
    const hsi_onednn_product *product = &own->product;
    const float *x = (const float *)operands[0] + own->row * state->x_row;
    float *y =
        (float *)operands[step->input_count] + own->row * state->y_row + own->column;
    float *target = own->copy_y ? (float *)((char *)scratch + state->y_offset) : y;

    hsi_cpu_to_bf16(scratch, state->k, x, state->x_row, product->m, state->k);
    hsched_status status =
        hsi_onednn_call_run(&slot->calls[part], product, scratch, own->weights, target,
                            (char *)scratch + state->work_offset);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "step '%s': ", step->name ? step->name : "");
    if (own->copy_y)
        hsi_cpu_copy_rows(y, state->y_row, target, product->n, product->m, product->n);
    const hsi_cpu_epilogue epilogue = { .bias = state->bias ? state->bias + own->column
                                                            : NULL,
                                        .act = step->act };
    hsi_cpu_epilogue_run(&epilogue, y, state->y_row, NULL, 0, product->m, product->n);
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_fc_onednn_bf16 = {
    .name = "onednn/fc-bf16",
    .kind = HSCHED_STEP_FC,
    .library = HSCHED_LIBRARY_ONEDNN,
    .maths = HSI_CPU_MATH(HSCHED_MATH_BF16),
    .supports = fc_supports,
    .likely = fc_likely,
    .prepare = fc_prepare,
    .destroy = fc_destroy,
    .slot_create = fc_slot_create,
    .slot_destroy = fc_slot_destroy,
    .run = fc_run,
};

#else
typedef int hsi_fc_onednn_bf16_is_absent; /* a translation unit is never empty */
#endif
