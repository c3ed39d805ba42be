/*
 * Matrix products of two activations in bfloat16, by oneDNN: out [..., m, n] = act(a [..., m, k] *
 * b [..., k, n]).
 *
 * Both are rounded into scratch. A part is a range of the matrices of the batch, so that none is
 * rounded twice, or of the rows where there is one matrix only. oneDNN 2.6 has only its gemm where
 * the rows of out lie apart: they are written to scratch then, and copied.
 */
#include "backend/cpu/onednn_product.h"

#if HSI_HAVE_ONEDNN

#include "backend/cpu/bf16.h"
#include "backend/cpu/matmul.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* Smaller ones are not likely to repay what rounding and the call of a library cost. */
#define LIKELY_ROWS 16
#define LIKELY_MACS 100000

typedef struct bf16_state {
    hsi_matmul matmul;
    int flipped; /* the columns of b are contiguous, not its rows */
    hsi_onednn_product
        *products; /* of each part; of all, if there are several matrices */
    uint32_t count, parts;
    size_t b_offset, y_offset, work_offset, scratch_size; /* a is at 0 */
} bf16_state;

typedef struct bf16_slot {
    uint32_t parts;
    hsi_onednn_call calls[];
} bf16_slot;

static void bf16_destroy(void *pointer)
{
    bf16_state *state = pointer;
    if (!state)
        return;
    for (uint32_t i = 0; state->products && i < state->count; i++)
        hsi_onednn_product_clear(&state->products[i]);
    hsi_free(state->products);
    hsi_free(state);
}

/* ---- Prepare ---- */

static int read_step(const hsched_step *step, bf16_state *state)
{
    hsi_matmul *matmul = &state->matmul;
    if (step->out.dtype != HSCHED_FLOAT32 || !hsi_matmul_read(step, matmul) ||
        matmul->m < 1 || matmul->k < 1 || matmul->n < 1)
        return 0;
    const int rows = matmul->b_column == 1 || matmul->n == 1;
    state->flipped = !rows;
    return (matmul->a_column == 1 || matmul->k == 1) &&
           (rows || matmul->b_row == 1 || matmul->k == 1);
}

static int bf16_supports(const hsched_step *step)
{
    bf16_state state = { .flipped = 0 };
    return hsi_onednn_has_bf16() && read_step(step, &state);
}

static int bf16_likely(const hsched_step *step)
{
    bf16_state state = { .flipped = 0 };
    return hsi_cpu_has_amx() && read_step(step, &state) &&
           state.matmul.m >= LIKELY_ROWS &&
           state.matmul.m * state.matmul.k * state.matmul.n >= LIKELY_MACS;
}

static hsched_status lay_out_scratch(bf16_state *state)
{
    const int copy = state->matmul.out_row != state->matmul.n;
    size_t a = 0, b = dnnl_memory_desc_get_size(&state->products[0].b), y = 0, work = 0;
    for (uint32_t i = 0; i < state->count; i++) {
        const hsi_onednn_product *product = &state->products[i];
        const size_t sizes[] = { dnnl_memory_desc_get_size(&product->a),
                                 dnnl_memory_desc_get_size(&product->c),
                                 dnnl_memory_desc_get_size(&product->work) };
        a = sizes[0] > a ? sizes[0] : a;
        y = copy && sizes[1] > y ? sizes[1] : y;
        work = sizes[2] > work ? sizes[2] : work;
    }
    if (hsi_round_up_size(a, 64, &state->b_offset) && hsi_round_up_size(b, 64, &b) &&
        hsi_round_up_size(y, 64, &y) &&
        hsi_add_size(state->b_offset, b, &state->y_offset) &&
        hsi_add_size(state->y_offset, y, &state->work_offset) &&
        hsi_add_size(state->work_offset, work, &state->scratch_size))
        return HSCHED_OK;
    return hsi_error(
        HSCHED_ERROR_LIMIT,
        "copies of matrices [%lld,%lld] and [%lld,%lld] overflow; use smaller ones",
        (long long)state->matmul.m, (long long)state->matmul.k,
        (long long)state->matmul.k, (long long)state->matmul.n);
}

static hsched_status make_products(const hsched_step *step, bf16_state *state)
{
    const hsi_matmul *matmul = &state->matmul;
    dnnl_memory_desc_t b;
    state->parts =
        hsi_cpu_parts(step, (uint64_t)(matmul->batch > 1 ? matmul->batch : matmul->m));
    const uint32_t count = matmul->batch > 1 ? 1 : state->parts;
    state->products = HSI_NEW_ARRAY(hsi_onednn_product, count);
    if (!state->products)
        return hsi_out_of_memory("a matrix product");
    hsched_status status =
        hsi_onednn_product_plain(matmul->k, matmul->n, state->flipped, &b);
    for (; state->count < count && status == HSCHED_OK; state->count++) {
        hsi_onednn_product *made = &state->products[state->count];
        made->m = hsi_cpu_part_begin(matmul->m, state->count + 1, count) -
                  hsi_cpu_part_begin(matmul->m, state->count, count);
        made->k = matmul->k;
        made->n = matmul->n;
        status = hsi_onednn_product_create(&b, made);
    }
    return status == HSCHED_OK ? lay_out_scratch(state) : status;
}

static hsched_status bf16_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    bf16_state *state = HSI_NEW(bf16_state);
    if (!state)
        return hsi_out_of_memory("a matrix product");
    hsched_status status =
        read_step(step, state) ? make_products(step, state) : HSCHED_ERROR_UNSUPPORTED;
    if (status != HSCHED_OK) {
        bf16_destroy(state);
        return status;
    }
    step->parts = state->parts;
    prepared->state = state;
    prepared->detail = state->products[0].implementation;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

/* ---- Slots ---- */

/* Of a part. */
static const hsi_onednn_product *product_of(const bf16_state *state, uint32_t part)
{
    return &state->products[state->count > 1 ? part : 0];
}

static void bf16_slot_destroy(void *pointer)
{
    bf16_slot *slot = pointer;
    for (uint32_t p = 0; p < slot->parts; p++)
        hsi_onednn_call_clear(&slot->calls[p]);
    hsi_free(slot);
}

static hsched_status bf16_slot_create(const hsched_step *step, const void *pointer,
                                      void **slot_state)
{
    (void)step;
    const bf16_state *state = pointer;
    bf16_slot *slot = hsi_calloc(1, sizeof *slot + state->parts * sizeof *slot->calls);
    *slot_state = NULL;
    if (!slot)
        return hsi_out_of_memory("a slot's matrix product");
    slot->parts = state->parts;
    hsched_status status = HSCHED_OK;
    for (uint32_t p = 0; p < state->parts && status == HSCHED_OK; p++)
        status = hsi_onednn_call_create(product_of(state, p), &slot->calls[p]);
    if (status != HSCHED_OK) {
        bf16_slot_destroy(slot);
        return status;
    }
    *slot_state = slot;
    return HSCHED_OK;
}

/* ---- Run ---- */

static void round_b(const bf16_state *state, const float *b, uint16_t *to)
{
    const hsi_matmul *matmul = &state->matmul;
    if (state->flipped)
        hsi_cpu_to_bf16(to, matmul->k, b, matmul->b_column, matmul->n, matmul->k);
    else
        hsi_cpu_to_bf16(to, matmul->n, b, matmul->b_row, matmul->k, matmul->n);
}

static hsched_status bf16_run(const hsched_step *step, const void *pointer,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    const bf16_state *state = pointer;
    const bf16_slot *slot = slot_state;
    const hsi_matmul *matmul = &state->matmul;
    const hsi_onednn_product *product = product_of(state, part);
    char *room = scratch;
    uint16_t *b_room = (uint16_t *)(room + state->b_offset);
    const int is_split = matmul->batch > 1;
    const int64_t row = is_split ? 0 : hsi_cpu_part_begin(matmul->m, part, step->parts);
    const int64_t end =
        is_split ? hsi_cpu_part_begin(matmul->batch, part + 1, step->parts) : 1;
    const float *rounded_b = NULL; /* which one b_room holds */
    for (int64_t at = is_split ? hsi_cpu_part_begin(matmul->batch, part, step->parts) : 0;
         at < end; at++) {
        int64_t a_offset, b_offset, out_offset;
        hsi_matmul_offsets(matmul, at, &a_offset, &b_offset, &out_offset);
        const float *a = (const float *)operands[0] + a_offset + row * matmul->a_row;
        const float *b = (const float *)operands[1] + b_offset;
        float *y =
            (float *)operands[step->input_count] + out_offset + row * matmul->out_row;
        float *target =
            matmul->out_row == matmul->n ? y : (float *)(room + state->y_offset);
        hsi_cpu_to_bf16(scratch, matmul->k, a, matmul->a_row, product->m, matmul->k);
        if (b != rounded_b)
            round_b(state, b, b_room);
        rounded_b = b;
        hsched_status status =
            hsi_onednn_call_run(&slot->calls[part], product, scratch, b_room, target,
                                room + state->work_offset);
        if (status != HSCHED_OK)
            return hsi_error_prefix(status, "step '%s': ", step->name ? step->name : "");
        if (target != y)
            hsi_cpu_copy_rows(y, matmul->out_row, target, matmul->n, product->m,
                              matmul->n);
        hsi_matmul_activate(step->act, y, product->m, matmul);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_matmul_onednn_bf16 = {
    .name = "onednn/matmul-bf16",
    .kind = HSCHED_STEP_MATMUL,
    .library = HSCHED_LIBRARY_ONEDNN,
    .maths = HSI_CPU_MATH(HSCHED_MATH_BF16),
    .supports = bf16_supports,
    .likely = bf16_likely,
    .prepare = bf16_prepare,
    .destroy = bf16_destroy,
    .slot_create = bf16_slot_create,
    .slot_destroy = bf16_slot_destroy,
    .run = bf16_run,
};

#else
typedef int hsi_matmul_bf16_is_absent; /* a translation unit is never empty */
#endif
