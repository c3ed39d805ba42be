/* COPY, and the entry and exit of a batch. */
#include <stdio.h>

#include "backend/cuda/kernels/copy.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

#define MEMBER 0 /* operands of the nests of tiles and transfers */
#define SLOT   1

/* ---- Tiles ---------------------------------------------------------------- */

/* The dimension along which this operand's elements lie one behind the other, or -1. */
static int unit_dim(const hsi_cuda_nest *nest, uint32_t operand)
{
    for (uint32_t d = 0; d < nest->rank; d++)
        if (nest->strides[operand][d] == 1)
            return (int)d;
    return -1;
}

/* 1 if member and slot are best copied in tiles: each has an innermost dimension of its
 * own, and those are large enough. */
static int suits_tiles(const hsi_cuda_nest *nest)
{
    const int column = unit_dim(nest, MEMBER), row = unit_dim(nest, SLOT);
    return column >= 0 && row >= 0 && column != row &&
           (uint64_t)nest->dims[column].divisor * nest->dims[row].divisor >= 64;
}

/* As square as the dimensions allow: 32 x 32, but no more rows, or columns, than are of
 * use. */
static uint32_t tile_rows_log2(uint32_t rows, uint32_t columns)
{
    uint32_t log2 = 5;
    while (log2 > 2 && (1u << (log2 - 1)) >= rows)
        log2--;
    if (log2 == 5)
        while (log2 < 7 && (1024u >> (log2 + 1)) >= columns)
            log2++;
    return log2;
}

static uint64_t make_tiles(hsi_cuda_tile_params *p, const hsi_cuda_nest *nest,
                           int to_slot)
{
    const uint32_t column = (uint32_t)unit_dim(nest, MEMBER),
                   row = (uint32_t)unit_dim(nest, SLOT);
    hsi_cuda_nest others;
    *p = (hsi_cuda_tile_params){ .to_slot = to_slot };
    p->rows = nest->dims[row].divisor;
    p->columns = nest->dims[column].divisor;
    p->member_row = nest->strides[MEMBER][row];
    p->slot_column = nest->strides[SLOT][column];
    p->rows_log2 = tile_rows_log2(p->rows, p->columns);
    const uint32_t tall = 1u << p->rows_log2, broad = 1024u >> p->rows_log2;
    p->row_tiles = hsi_cuda_divide_by((p->rows + tall - 1) / tall);
    p->column_tiles = hsi_cuda_divide_by((p->columns + broad - 1) / broad);
    hsi_cuda_nest_drop(nest, row > column ? row : column, &others);
    hsi_cuda_nest_drop(&others, row > column ? column : row, &p->rest);
    p->wide = p->columns % 4 == 0 && p->member_row % 4 == 0;
    for (uint32_t d = 0; d < p->rest.rank; d++)
        p->wide &= p->rest.strides[MEMBER][d] % 4 == 0;
    return (uint64_t)p->row_tiles.divisor * p->column_tiles.divisor * p->rest.count;
}

/* ---- COPY ----------------------------------------------------------------- */

/* The largest words that the elements of both tensors can be copied in. */
static uint32_t word_size(const hsi_cuda_step *s, const hsi_cuda_nest *nest,
                          uint32_t element)
{
    for (uint32_t size = 16; size > element; size /= 2)
        if (hsi_cuda_nest_is_wide(nest, 0, size / element, 0) &&
            hsi_cuda_nest_is_wide(nest, 1, size / element, 0) &&
            s->alignment[0] % size == 0 && s->out_alignment % size == 0)
            return size;
    return element;
}

static void count_in_words(hsi_cuda_nest *nest, uint32_t elements)
{
    if (elements == 1)
        return;
    nest->count /= elements;
    nest->dims[0] = hsi_cuda_divide_by(nest->dims[0].divisor / elements);
    for (uint32_t d = 1; d < nest->rank; d++)
        for (uint32_t k = 0; k < HSI_CUDA_NEST_OPERANDS; k++)
            nest->strides[k][d] /= (int64_t)elements;
}

static hsched_status make_tile_copy(const hsi_cuda_step *s, const hsi_cuda_nest *nest,
                                    uint32_t element, hsi_cuda_op **op)
{
    hsi_cuda_tile_params p;
    char kernel[32];
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_COPY,
                                            .blocks = make_tiles(&p, nest, 1),
                                            .threads = HSI_CUDA_TILE_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    snprintf(kernel, sizeof kernel, "copy_tile_%u", element);
    return hsi_cuda_make_launch(&launch, kernel, op, "own/copy tile %ux%u of %u",
                                1u << p.rows_log2, 1024u >> p.rows_log2, element);
}

hsched_status hsi_cuda_make_copy(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_operand *in = &s->step.in[0], *out = &s->step.out;
    const uint32_t element = (uint32_t)hsi_cuda_element_size(out, s->type);
    hsi_cuda_nest tiles;
    hsi_cuda_copy_params p;
    *op = NULL;
    hsched_status status =
        hsi_cuda_nest_make(&tiles, out->rank, out->dims, 2,
                           (const int64_t *const[]){ in->strides, out->strides });
    if (status != HSCHED_OK)
        return status;
    if (suits_tiles(&tiles))
        return make_tile_copy(s, &tiles, element, op);
    status = hsi_cuda_nest_make(&p.nest, out->rank, out->dims, 2,
                                (const int64_t *const[]){ out->strides, in->strides });
    if (status != HSCHED_OK)
        return status;
    const uint32_t word = word_size(s, &p.nest, element);
    count_in_words(&p.nest, word / element);
    const hsi_cuda_kernel_launch launch = {
        .device = s->device,
        .module = HSI_CUDA_MODULE_COPY,
        .blocks = hsi_cuda_loop_blocks(s->device, p.nest.count, HSI_CUDA_COPY_THREADS),
        .threads = HSI_CUDA_COPY_THREADS,
        .params = &p,
        .params_size = sizeof p
    };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "copy_%u", word);
    return hsi_cuda_make_launch(&launch, kernel, op, "own/copy %u of %u", word, element);
}

/* ---- Entry and exit ------------------------------------------------------- */

/* What the kernels for this transfer end in: a size, or the slot's format; element sizes on
 * both sides. */
static void transfer_formats(const hsi_cuda_transfer *t, char *suffix, size_t size,
                             uint32_t *member)
{
    const int converts = t->member.dtype == HSCHED_FLOAT32 && t->type != HSI_CUDA_F32;
    *member = (uint32_t)hsi_cuda_element_size(&t->member, HSI_CUDA_F32);
    if (converts)
        snprintf(suffix, size, "%s", hsi_cuda_type_suffix(t->type));
    else
        snprintf(suffix, size, "%u", *member);
}

hsched_status hsi_cuda_make_transfer(const hsi_cuda_transfer *t, hsi_cuda_op **op)
{
    union {
        hsi_cuda_tile_params tiles;
        hsi_cuda_transfer_params nest;
    } p;
    hsi_cuda_nest nest;
    char suffix[8], kernel[32];
    uint32_t element;
    const char *way = t->to_slot ? "entry" : "exit";
    *op = NULL;
    hsched_status status = hsi_cuda_nest_make(
        &nest, t->member.rank, t->member.dims, 2,
        (const int64_t *const[]){ t->member.strides, t->slot.strides });
    if (status != HSCHED_OK)
        return status;
    transfer_formats(t, suffix, sizeof suffix, &element);
    hsi_cuda_kernel_launch launch = { .device = t->device,
                                      .module = HSI_CUDA_MODULE_COPY,
                                      .rows = t->members,
                                      .params = &p };
    if (suits_tiles(&nest)) {
        launch.blocks = make_tiles(&p.tiles, &nest, t->to_slot);
        launch.threads = HSI_CUDA_TILE_THREADS;
        launch.params_size = sizeof p.tiles;
        p.tiles.slot_stride = t->slot_stride;
        snprintf(kernel, sizeof kernel, "transfer_tile_%s", suffix);
        return hsi_cuda_make_launch(&launch, kernel, op, "own/%s tile %ux%u %s", way,
                                    1u << p.tiles.rows_log2, 1024u >> p.tiles.rows_log2,
                                    suffix);
    }
    const uint32_t width = 16 / element;
    p.nest = (hsi_cuda_transfer_params){ .nest = nest,
                                         .to_slot = t->to_slot,
                                         .slot_stride = t->slot_stride };
    p.nest.wide = hsi_cuda_nest_is_wide(&nest, MEMBER, width, 0) &&
                  hsi_cuda_nest_is_wide(&nest, SLOT, width, 0);
    launch.blocks = hsi_cuda_loop_blocks(
        t->device, nest.count / (p.nest.wide ? width : 1), HSI_CUDA_COPY_THREADS);
    launch.threads = HSI_CUDA_COPY_THREADS;
    launch.params_size = sizeof p.nest;
    snprintf(kernel, sizeof kernel, "transfer_%s", suffix);
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s%s %s", way,
                                p.nest.wide ? " wide" : "", suffix);
}
