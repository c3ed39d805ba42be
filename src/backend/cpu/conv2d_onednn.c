/*
 * Convolution by oneDNN, channels-last.
 *
 * A part is a range of the rows of all images of y. It is computed in pieces, each a
 * convolution with its own padding: whole images where all tensors are dense; bands of
 * rows where a part begins or ends inside an image, and where something is to be done
 * while the rows are in the cache. That is: oneDNN 2.6 has only a plain loop for tensors
 * whose pixel stride is not their channel count (slices of a joint tensor), so such rows
 * are copied in or out through scratch; and activations that its post-ops do not have are
 * applied band by band.
 *
 * For HSCHED_MATH_BF16 there is a second kernel, for x and weights in bfloat16. Here, too, x is
 * copied band by band, and rounded meanwhile; y is float32.
 *
 * Pieces of the same shape share a primitive, and primitives share packed weights. All of
 * that is immutable; memory objects, which carry addresses, are made for each piece in
 * each slot.
 */
#include "backend/cpu/onednn.h"

#if HSI_HAVE_ONEDNN

#include <string.h>

#include "backend/cpu/bf16.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* Bytes of a band's rows of y: they, and what produces them, fit a second-level cache. */
#define BAND_BYTES (256 * 1024)
/* Of a band of x and y, where x is rounded: processors with bfloat16 have larger caches, and rows
 * that two bands need are rounded twice. */
#define BF16_BAND_BYTES (512 * 1024)

typedef struct piece {
    uint32_t band; /* its primitive */
    uint32_t weights;
    int64_t image, in_row, out_row;
} piece;

typedef struct packed_weights {
    dnnl_memory_desc_t desc;
    dnnl_memory_t memory;
    void *owned;
} packed_weights;

typedef struct onednn_state {
    hsi_conv2d conv;
    dnnl_data_type_t type;          /* of x and the weights, as oneDNN sees them */
    hsched_activation fused, after; /* by a post-op; by us */
    hsi_onednn_residual residual;
    int copy_x, copy_y; /* through scratch */
    hsi_onednn_band *bands;
    uint32_t band_count, band_capacity;
    packed_weights *weights;
    uint32_t weights_count, weights_capacity;
    piece *pieces;
    uint32_t piece_count, piece_capacity;
    uint32_t *part_pieces; /* part p: pieces [part_pieces[p], part_pieces[p + 1]) */
    uint32_t parts;
    dnnl_memory_t bias;
    void *owned_bias;
    size_t y_offset, work_offset, scratch_size; /* x is at 0 */
} onednn_state;

/* Of one piece; weights and bias, whose addresses are fixed, are in the state. */
typedef struct piece_memory {
    dnnl_memory_t x, y, residual, work;
} piece_memory;

typedef struct onednn_slot {
    uint32_t piece_count, parts;
    piece_memory *memories;
    dnnl_stream_t *streams; /* one for each part */
} onednn_slot;

static void onednn_destroy(void *pointer)
{
    onednn_state *state = pointer;
    if (!state)
        return;
    for (uint32_t i = 0; i < state->band_count; i++)
        dnnl_primitive_destroy(state->bands[i].primitive);
    for (uint32_t i = 0; i < state->weights_count; i++) {
        dnnl_memory_destroy(state->weights[i].memory);
        hsi_free(state->weights[i].owned);
    }
    if (state->bias)
        dnnl_memory_destroy(state->bias);
    hsi_free(state->owned_bias);
    hsi_free(state->bands);
    hsi_free(state->weights);
    hsi_free(state->pieces);
    hsi_free(state->part_pieces);
    hsi_free(state);
}

/* ---- Prepare -------------------------------------------------------------- */

/* 1 if each of `count` outputs along one axis has a tap inside the input. */
static int all_have_taps(int64_t count, int64_t stride, int64_t pad, int64_t size,
                         int64_t taps, int64_t dilation)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t at = i * stride - pad, k = 0;
        while (k < taps && (at + k * dilation < 0 || at + k * dilation >= size))
            k++;
        if (k == taps)
            return 0;
    }
    return 1;
}

/* Outputs that see nothing but padding are outside of what oneDNN 2.6 computes correctly:
 * its batch-reduce convolution (brgconv) leaves such pixels without bias and residual, or
 * crashes. */
static int onednn_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) &&
           all_have_taps(conv.oh, conv.stride_h, conv.pad_top, conv.h, conv.kh,
                         conv.dilation_h) &&
           all_have_taps(conv.ow, conv.stride_w, conv.pad_left, conv.w, conv.kw,
                         conv.dilation_w);
}

/* Slices of joint tensors are copied. */
static int onednn_likely(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && conv.x_pixel == conv.c &&
           conv.y_pixel == conv.o;
}

static int bf16_supports(const hsched_step *step)
{
    return hsi_onednn_has_bf16() && onednn_supports(step);
}

/* Few channels, and so all depthwise ones, leave most of a tile of AMX empty. */
static int bf16_likely(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_cpu_has_amx() && hsi_conv2d_read(step, &conv) && conv.group_c >= 16;
}

/* The packed weights in the layout that a band wants, made at the first use. */
static hsched_status find_weights(onednn_state *state, const float *weights,
                                  const dnnl_memory_desc_t *desc, uint32_t *index)
{
    for (uint32_t i = 0; i < state->weights_count; i++)
        if (dnnl_memory_desc_equal(&state->weights[i].desc, desc)) {
            *index = i;
            return HSCHED_OK;
        }
    if (!HSI_GROW(state->weights, state->weights_count, state->weights_capacity))
        return hsi_out_of_memory("a convolution");
    packed_weights made = { .desc = *desc };
    hsched_status status =
        hsi_onednn_pack_weights(&state->conv, weights, desc, &made.owned);
    dnnl_engine_t engine = NULL;
    if (status == HSCHED_OK)
        status = hsi_onednn_engine(&engine);
    if (status == HSCHED_OK)
        status =
            hsi_onednn_status(dnnl_memory_create(&made.memory, desc, engine, made.owned),
                              "memory for weights");
    if (status != HSCHED_OK) {
        hsi_free(made.owned);
        return status;
    }
    *index = state->weights_count;
    state->weights[state->weights_count++] = made;
    return HSCHED_OK;
}

/* The primitive for a band of that shape. Layouts of weights that exist already are tried
 * first, so that they are seldom packed twice. */
static hsched_status find_band(onednn_state *state, const hsi_onednn_band *shape,
                               uint32_t *index)
{
    for (uint32_t i = 0; i < state->band_count; i++) {
        const hsi_onednn_band *band = &state->bands[i];
        if (band->images == shape->images && band->in_rows == shape->in_rows &&
            band->out_rows == shape->out_rows && band->pad_top == shape->pad_top &&
            band->pad_bottom == shape->pad_bottom) {
            *index = i;
            return HSCHED_OK;
        }
    }
    if (!HSI_GROW(state->bands, state->band_count, state->band_capacity))
        return hsi_out_of_memory("a convolution");
    hsi_onednn_band made = *shape;
    hsched_status status = HSCHED_ERROR_UNSUPPORTED;
    for (uint32_t i = 0; i < state->weights_count && status == HSCHED_ERROR_UNSUPPORTED;
         i++)
        status = hsi_onednn_band_create(&state->conv, state->fused, state->residual,
                                        &state->weights[i].desc, &made);
    if (status == HSCHED_ERROR_UNSUPPORTED)
        status = hsi_onednn_band_create(&state->conv, state->fused, state->residual, NULL,
                                        &made);
    if (status != HSCHED_OK)
        return status;
    *index = state->band_count;
    state->bands[state->band_count++] = made;
    return HSCHED_OK;
}

/* Appends the piece for rows [row, row + rows) of `images` images from `image` on. */
static hsched_status add_piece(onednn_state *state, const float *weights, int64_t image,
                               int64_t images, int64_t row, int64_t rows)
{
    const hsi_conv2d *conv = &state->conv;
    int64_t first = row * conv->stride_h - conv->pad_top;
    int64_t end =
        first + (rows - 1) * conv->stride_h + (conv->kh - 1) * conv->dilation_h + 1;
    int64_t in_begin = first > 0 ? first : 0;
    int64_t in_end = end < conv->h && images == 1 ? end : conv->h;
    if (in_end <= in_begin)
        return HSCHED_ERROR_UNSUPPORTED; /* nothing but padding */
    hsi_onednn_band shape = {
        .type = state->type,
        .images = images,
        .in_rows = in_end - in_begin,
        .out_rows = rows,
        .pad_top = in_begin - first,
        .pad_bottom = end - in_end,
    };
    if (!HSI_GROW(state->pieces, state->piece_count, state->piece_capacity))
        return hsi_out_of_memory("a convolution");
    piece *added = &state->pieces[state->piece_count];
    *added = (piece){ .image = image, .in_row = in_begin, .out_row = row };
    hsched_status status = find_band(state, &shape, &added->band);
    if (status == HSCHED_OK)
        status = find_weights(state, weights, &state->bands[added->band].weights,
                              &added->weights);
    if (status == HSCHED_OK)
        state->piece_count++;
    return status;
}

/* A bfloat16 band reads and writes about as many bytes as the weights, which every band reads
 * anew, and so many at least. */
static int64_t bf16_band_rows(const hsi_conv2d *conv)
{
    const int64_t weights = conv->o * conv->group_c * conv->kh * conv->kw * 2;
    const int64_t row = conv->ow * conv->o * 4 +
                        hsi_least(conv->stride_h, conv->h) * conv->w * conv->c * 2;
    return hsi_most(hsi_most(weights, BF16_BAND_BYTES) / row, 1);
}

/* Rows of a band, or 0 where bands bring nothing. */
static int64_t band_rows(const onednn_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    if (state->type == dnnl_bf16)
        return bf16_band_rows(conv);
    if (!state->copy_x && !state->copy_y && state->after.kind == HSCHED_ACTIVATION_NONE)
        return 0;
    int64_t row_bytes = conv->ow * conv->o * (int64_t)sizeof(float);
    int64_t rows = BAND_BYTES / row_bytes;
    return rows > 0 ? rows : 1;
}

/* 1 if whole images are pieces. */
static int is_of_images(const onednn_state *state, int64_t most)
{
    return !most || (state->type == dnnl_bf16 && most >= state->conv.oh);
}

/* Cuts rows [begin, end) of all images into pieces. */
static hsched_status cut_part(onednn_state *state, const float *weights, int64_t begin,
                              int64_t end)
{
    const hsi_conv2d *conv = &state->conv;
    int64_t most = band_rows(state);
    hsched_status status = HSCHED_OK;
    while (begin < end && status == HSCHED_OK) {
        int64_t image = begin / conv->oh, row = begin % conv->oh;
        if (row == 0 && end - begin >= conv->oh && is_of_images(state, most)) {
            int64_t images = (end - begin) / conv->oh;
            if (most)
                images = hsi_least(images, most / conv->oh);
            status = add_piece(state, weights, image, images, 0, conv->oh);
            begin += images * conv->oh;
            continue;
        }
        int64_t rows = conv->oh - row < end - begin ? conv->oh - row : end - begin;
        int64_t bands = most ? (rows + most - 1) / most : 1;
        for (int64_t i = 0; i < bands && status == HSCHED_OK; i++) {
            int64_t from = rows * i / bands, to = rows * (i + 1) / bands;
            status = add_piece(state, weights, image, 1, row + from, to - from);
        }
        begin += rows;
    }
    return status;
}

/* Places of x, y and the primitive's own memory in the scratch of a part. */
static hsched_status lay_out_scratch(onednn_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    size_t x = 0, y = 0, work = 0;
    for (uint32_t i = 0; i < state->band_count; i++) {
        const hsi_onednn_band *band = &state->bands[i];
        size_t x_size = dnnl_memory_desc_get_size(&band->x);
        size_t y_size = dnnl_memory_desc_get_size(&band->y);
        size_t work_size = dnnl_memory_desc_get_size(&band->work);
        x = x_size > x ? x_size : x;
        y = y_size > y ? y_size : y;
        work = work_size > work ? work_size : work;
    }
    state->y_offset = state->work_offset = 0;
    if ((state->copy_x && !hsi_round_up_size(x, 64, &state->y_offset)) ||
        !hsi_round_up_size(state->copy_y ? y : 0, 64, &y) ||
        !hsi_add_size(state->y_offset, y, &state->work_offset) ||
        !hsi_add_size(state->work_offset, work, &state->scratch_size))
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "scratch memory for a convolution of %lldx%lld pixels overflows",
                         (long long)conv->oh, (long long)conv->ow);
    return HSCHED_OK;
}

/* A copy, filled up with zeros to whole vectors, which some kernels read. */
static hsched_status make_bias(const hsched_step *step, onednn_state *state,
                               uint64_t *weight_bytes)
{
    dnnl_dims_t dims = { state->conv.o };
    dnnl_memory_desc_t desc;
    dnnl_engine_t engine;
    hsched_status status = hsi_onednn_engine(&engine);
    if (status != HSCHED_OK)
        return status;
    size_t size = (size_t)state->conv.o * sizeof(float), room = (size + 63) / 64 * 64;
    state->owned_bias = hsi_alloc_aligned(room);
    if (!state->owned_bias)
        return hsi_out_of_memory("a bias");
    memcpy(state->owned_bias, step->in[2].constant, size);
    *weight_bytes += room;
    dnnl_status_t done = dnnl_memory_desc_init_by_tag(&desc, 1, dims, dnnl_f32, dnnl_a);
    if (done == dnnl_success)
        done = dnnl_memory_create(&state->bias, &desc, engine, state->owned_bias);
    return hsi_onednn_status(done, "memory for a bias");
}

/* A residual elsewhere is read as an operand, where the sum would need a copy first.
 * oneDNN reads whole vectors of such an operand, so also past the end of a tensor that
 * does not end with one. */
static int can_be_operand(const onednn_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    return !conv->residual_in_place && !state->copy_y &&
           conv->residual_pixel == conv->o && conv->o % 16 == 0;
}

/* With post-ops for activation and residual as far as `fuse` allows. */
static hsched_status make_state(const hsched_step *step, dnnl_data_type_t type, int fuse,
                                uint64_t *weight_bytes, onednn_state **result)
{
    onednn_state *state = HSI_NEW(onednn_state);
    if (!state)
        return hsi_out_of_memory("a convolution");
    hsi_conv2d *conv = &state->conv;
    hsched_status status =
        hsi_conv2d_read(step, conv) ? HSCHED_OK : HSCHED_ERROR_UNSUPPORTED;
    state->type = type;
    state->copy_x = type != dnnl_f32 || conv->x_pixel != conv->c;
    state->copy_y = conv->y_pixel != conv->o;
    if (fuse && hsi_onednn_fuses(step->act))
        state->fused = step->act;
    else
        state->after = step->act;
    if (conv->has_residual)
        state->residual = fuse && can_be_operand(state) ? HSI_ONEDNN_RESIDUAL_BINARY
                                                        : HSI_ONEDNN_RESIDUAL_SUM;
    state->parts = hsi_cpu_parts(step, (uint64_t)(conv->n * conv->oh));
    state->part_pieces = HSI_NEW_ARRAY(uint32_t, state->parts + (size_t)1);
    if (!state->part_pieces)
        status = hsi_out_of_memory("a convolution");
    for (uint32_t p = 0; p < state->parts && status == HSCHED_OK; p++) {
        int64_t rows = conv->n * conv->oh;
        status = cut_part(state, step->in[1].constant,
                          hsi_cpu_part_begin(rows, p, state->parts),
                          hsi_cpu_part_begin(rows, p + 1, state->parts));
        state->part_pieces[p + 1] = state->piece_count;
    }
    if (status == HSCHED_OK)
        status = lay_out_scratch(state);
    if (status == HSCHED_OK && conv->has_bias)
        status = make_bias(step, state, weight_bytes);
    if (status != HSCHED_OK) {
        onednn_destroy(state);
        return status;
    }
    *result = state;
    return HSCHED_OK;
}

static hsched_status prepare(dnnl_data_type_t type, hsched_step *step,
                             hsi_cpu_prepared *prepared)
{
    onednn_state *state = NULL;
    hsched_status status = make_state(step, type, 1, &prepared->weight_bytes, &state);
    if (status == HSCHED_ERROR_UNSUPPORTED) {
        prepared->weight_bytes = 0;
        status = make_state(step, type, 0, &prepared->weight_bytes, &state);
    }
    if (status != HSCHED_OK)
        return status;
    for (uint32_t i = 0; i < state->weights_count; i++)
        prepared->weight_bytes += dnnl_memory_desc_get_size(&state->weights[i].desc);
    step->parts = state->parts;
    prepared->state = state;
    prepared->detail = state->bands[0].implementation;
    prepared->scratch_size = state->scratch_size;
    return HSCHED_OK;
}

static hsched_status onednn_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    return prepare(dnnl_f32, step, prepared);
}

static hsched_status bf16_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    return prepare(dnnl_bf16, step, prepared);
}

/* ---- Slots ---------------------------------------------------------------- */

static void onednn_slot_destroy(void *pointer)
{
    onednn_slot *slot = pointer;
    if (!slot)
        return;
    for (uint32_t i = 0; slot->memories && i < slot->piece_count; i++) {
        dnnl_memory_t all[] = { slot->memories[i].x, slot->memories[i].y,
                                slot->memories[i].residual, slot->memories[i].work };
        for (uint32_t k = 0; k < 4; k++)
            if (all[k])
                dnnl_memory_destroy(all[k]);
    }
    for (uint32_t i = 0; slot->streams && i < slot->parts; i++)
        if (slot->streams[i])
            dnnl_stream_destroy(slot->streams[i]);
    hsi_free(slot->memories);
    hsi_free(slot->streams);
    hsi_free(slot);
}

static hsched_status onednn_slot_create(const hsched_step *step, const void *pointer,
                                        void **slot_state)
{
    (void)step;
    const onednn_state *state = pointer;
    dnnl_engine_t engine;
    *slot_state = NULL;
    hsched_status result = hsi_onednn_engine(&engine);
    if (result != HSCHED_OK)
        return result;
    onednn_slot *slot = HSI_NEW(onednn_slot);
    if (!slot)
        return hsi_out_of_memory("a slot's convolution");
    slot->piece_count = state->piece_count;
    slot->parts = state->parts;
    slot->memories = HSI_NEW_ARRAY(piece_memory, state->piece_count);
    slot->streams = HSI_NEW_ARRAY(dnnl_stream_t, state->parts);
    dnnl_status_t status =
        slot->memories && slot->streams ? dnnl_success : dnnl_out_of_memory;
    for (uint32_t i = 0; i < state->parts && status == dnnl_success; i++)
        status = dnnl_stream_create(&slot->streams[i], engine, dnnl_stream_default_flags);
    for (uint32_t i = 0; i < state->piece_count && status == dnnl_success; i++) {
        const hsi_onednn_band *band = &state->bands[state->pieces[i].band];
        piece_memory *memory = &slot->memories[i];
        status = dnnl_memory_create(&memory->x, &band->x, engine, DNNL_MEMORY_NONE);
        if (status == dnnl_success)
            status = dnnl_memory_create(&memory->y, &band->y, engine, DNNL_MEMORY_NONE);
        if (status == dnnl_success)
            status =
                dnnl_memory_create(&memory->residual, &band->y, engine, DNNL_MEMORY_NONE);
        if (status == dnnl_success)
            status =
                dnnl_memory_create(&memory->work, &band->work, engine, DNNL_MEMORY_NONE);
    }
    if (status != dnnl_success) {
        onednn_slot_destroy(slot);
        return hsi_onednn_status(status, "memory objects of a slot");
    }
    *slot_state = slot;
    return HSCHED_OK;
}

/* ---- Run ------------------------------------------------------------------ */

static dnnl_status_t execute(const onednn_state *state, const piece *what,
                             const piece_memory *memory, dnnl_stream_t stream, void *x,
                             float *y, float *residual, char *work)
{
    dnnl_status_t status = dnnl_memory_set_data_handle(memory->x, x);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(memory->y, y);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(memory->work, work);
    dnnl_exec_arg_t args[6] = { { DNNL_ARG_SRC, memory->x },
                                { DNNL_ARG_WEIGHTS,
                                  state->weights[what->weights].memory },
                                { DNNL_ARG_DST, memory->y },
                                { DNNL_ARG_SCRATCHPAD, memory->work } };
    int count = 4;
    if (state->bias)
        args[count++] = (dnnl_exec_arg_t){ DNNL_ARG_BIAS, state->bias };
    if (state->residual == HSI_ONEDNN_RESIDUAL_BINARY) {
        if (status == dnnl_success)
            status = dnnl_memory_set_data_handle(memory->residual, residual);
        args[count++] =
            (dnnl_exec_arg_t){ DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                               memory->residual };
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(state->bands[what->band].primitive, stream, count,
                                        args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    return status;
}

/* The piece's rows of x, where oneDNN finds them. */
static void *bring_x(const onednn_state *state, const piece *what, float *x,
                     char *scratch)
{
    const hsi_conv2d *conv = &state->conv;
    const hsi_onednn_band *band = &state->bands[what->band];
    const int64_t pixels = band->images * band->in_rows * conv->w;
    x += (what->image * conv->h + what->in_row) * conv->w * conv->x_pixel;
    if (!state->copy_x)
        return x;
    if (state->type == dnnl_bf16)
        hsi_cpu_to_bf16((uint16_t *)scratch, conv->c, x, conv->x_pixel, pixels, conv->c);
    else
        hsi_cpu_copy_rows((float *)scratch, conv->c, x, conv->x_pixel, pixels, conv->c);
    return scratch;
}

static dnnl_status_t run_piece(const onednn_state *state, const piece *what,
                               const piece_memory *memory, dnnl_stream_t stream,
                               void *const *operands, uint32_t out, char *scratch)
{
    const hsi_conv2d *conv = &state->conv;
    const hsi_onednn_band *band = &state->bands[what->band];
    int64_t pixels = band->images * band->out_rows * conv->ow;
    int64_t at =
        (what->image * conv->oh + what->out_row) * conv->ow; /* first pixel of y */
    void *x = bring_x(state, what, operands[0], scratch);
    float *y = (float *)operands[out] + at * conv->y_pixel;
    float *residual = NULL;
    int64_t residual_pixel =
        conv->residual_in_place ? conv->y_pixel : conv->residual_pixel;
    if (conv->residual_in_place)
        residual = y;
    else if (conv->has_residual)
        residual = (float *)operands[3] + at * residual_pixel;

    float *target = state->copy_y ? (float *)(scratch + state->y_offset) : y;
    if (state->residual == HSI_ONEDNN_RESIDUAL_SUM && residual != target)
        hsi_cpu_copy_rows(target, conv->o, residual, residual_pixel, pixels, conv->o);
    dnnl_status_t status = execute(state, what, memory, stream, x, target, residual,
                                   scratch ? scratch + state->work_offset : NULL);
    if (status != dnnl_success)
        return status;
    hsi_cpu_activate(state->after, target, (size_t)(pixels * conv->o));
    if (state->copy_y)
        hsi_cpu_copy_rows(y, conv->y_pixel, target, conv->o, pixels, conv->o);
    return dnnl_success;
}

static hsched_status onednn_run(const hsched_step *step, const void *pointer,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const onednn_state *state = pointer;
    const onednn_slot *slot = slot_state;
    for (uint32_t i = state->part_pieces[part]; i < state->part_pieces[part + 1]; i++) {
        dnnl_status_t status =
            run_piece(state, &state->pieces[i], &slot->memories[i], slot->streams[part],
                      operands, step->input_count, scratch);
        if (status != dnnl_success)
            return hsi_error_prefix(hsi_onednn_status(status, "to run a convolution"),
                                    "step '%s': ", step->name ? step->name : "");
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_conv2d_onednn = {
    .name = "onednn",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_ONEDNN,
    .supports = onednn_supports,
    .likely = onednn_likely,
    .prepare = onednn_prepare,
    .destroy = onednn_destroy,
    .slot_create = onednn_slot_create,
    .slot_destroy = onednn_slot_destroy,
    .run = onednn_run,
};

const hsi_cpu_kernel hsi_cpu_conv2d_bf16 = {
    .name = "onednn/bf16",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_ONEDNN,
    .maths = HSI_CPU_MATH(HSCHED_MATH_BF16),
    .supports = bf16_supports,
    .likely = bf16_likely,
    .prepare = bf16_prepare,
    .destroy = onednn_destroy,
    .slot_create = onednn_slot_create,
    .slot_destroy = onednn_slot_destroy,
    .run = onednn_run,
};

#else
typedef int hsi_conv2d_onednn_is_absent; /* a translation unit is never empty */
#endif
