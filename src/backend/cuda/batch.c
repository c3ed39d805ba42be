/*
 * Batches: a step of one run becomes a step of several by one more outer dimension.
 *
 * In a slot, what one run keeps in a block of memory, a batch keeps in as many such blocks,
 * one behind the other. So the step of member b reads and writes what the single step would,
 * b * (block size) further on: an outer dimension of size `members` with that stride, whatever
 * the step computes. Kinds whose dimensions have fixed meanings (convolution: N,C,H,W) take
 * it into their outermost dimension, which must then be 1 or lie densely in the block.
 */
#include "backend/cuda/section.h"

#include <string.h>

static size_t round_up(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

size_t hsi_cuda_member_bytes(const hsched_backend_section *section,
                             const hsched_place *place)
{
    switch (place->storage) {
    case HSCHED_STORAGE_ARENA:
        return round_up(place->root_bytes, 64);
    case HSCHED_STORAGE_INPUT:
        return round_up(section->io_bytes[place->index], 64);
    case HSCHED_STORAGE_OUTPUT:
        return round_up(section->io_bytes[section->input_count + place->index], 64);
    default:
        return 0;
    }
}

/* ---- Steps ---------------------------------------------------------------- */

static int is_constant(const hsched_place *place)
{
    return place->storage == HSCHED_STORAGE_NONE ||
           place->storage == HSCHED_STORAGE_CONSTANT;
}

/* The operand's members in its outermost dimension, if that is one or lies densely. */
static int merge(hsched_operand *op, uint32_t members, int64_t stride)
{
    if (op->rank == 0)
        return 0;
    if (op->dims[0] == 1)
        op->strides[0] = stride;
    else if (op->dims[0] * op->strides[0] != stride)
        return 0;
    op->dims[0] *= members;
    return 1;
}

static int prepend(hsched_operand *op, uint32_t members, int64_t stride)
{
    if (op->rank == HSCHED_MAX_DIMS)
        return 0;
    memmove(op->dims + 1, op->dims, op->rank * sizeof op->dims[0]);
    memmove(op->strides + 1, op->strides, op->rank * sizeof op->strides[0]);
    op->dims[0] = members;
    op->strides[0] = stride;
    op->rank++;
    return 1;
}

static int has_fixed_dimensions(hsched_step_kind kind)
{
    switch (kind) {
    case HSCHED_STEP_CONV2D:
    case HSCHED_STEP_FC:
    case HSCHED_STEP_POOL2D:
    case HSCHED_STEP_SCALE:
    case HSCHED_STEP_LRN:
    case HSCHED_STEP_IMAGE:
    case HSCHED_STEP_RESIZE:
        return 1;
    default:
        return 0;
    }
}

/* A product of rows with one constant matrix: the members are more rows. */
static int has_constant_matrix(const hsched_step *step, const hsched_step_places *places)
{
    return step->kind == HSCHED_STEP_MATMUL && step->out.rank == 2 &&
           is_constant(&places->in[1]) && !is_constant(&places->in[0]);
}

static int64_t stride_of(const hsched_backend_section *section, const hsched_place *place,
                         const hsched_operand *op)
{
    return (int64_t)(hsi_cuda_member_bytes(section, place) /
                     hsi_cuda_dtype_size(op->dtype));
}

int hsi_cuda_batch_step(const hsched_backend_section *section, uint32_t index,
                        uint32_t members, hsched_step *step)
{
    const hsched_step_places *places = &section->places[index];
    *step = section->steps[index];
    if (members == 1)
        return 1;
    if (step->kind == HSCHED_STEP_RECURRENT ||   /* sequences stand in the middle */
        step->kind == HSCHED_STEP_GRID_SAMPLE || /* only images have a grid each */
        step->kind == HSCHED_STEP_ROI_ALIGN ||   /* only regions have an image each */
        step->kind == HSCHED_STEP_NMS ||         /* classes are in the middle */
        step->kind == HSCHED_STEP_POOL_INDEX)    /* numbers depend on the image's */
        return 0;
    if (step->kind == HSCHED_STEP_RESIZE &&
        (step->in[0].rank == 0 || step->in[0].dims[0] != step->out.dims[0] ||
         step->u.resize.scales[0] != 1 ||
         step->u.resize.coordinates == HSCHED_RESIZE_CROP))
        return 0; /* what is resized is no place for members */
    const int rows = has_constant_matrix(step, places);
    const int fixed = rows || has_fixed_dimensions(step->kind);
    int (*add)(hsched_operand *, uint32_t, int64_t) = fixed ? merge : prepend;
    for (uint32_t k = 0; k < step->input_count; k++) {
        if (step->in[k].dtype == HSCHED_DTYPE_NONE)
            continue;
        int constant = is_constant(&places->in[k]);
        if (constant && fixed)
            continue;
        int64_t stride = constant ? 0 : stride_of(section, &places->in[k], &step->in[k]);
        if (!add(&step->in[k], members, stride))
            return 0;
    }
    if (!add(&step->out, members, stride_of(section, &places->out, &step->out)))
        return 0;
    if (fixed)
        return 1;
    if (step->kind == HSCHED_STEP_SOFTMAX)
        step->u.softmax.axis++;
    if (step->kind == HSCHED_STEP_NORM)
        step->u.norm.axis++;
    if (step->kind == HSCHED_STEP_GATHER)
        step->u.gather.axis++;
    if (step->kind == HSCHED_STEP_ARG)
        step->u.arg.axis++;
    if (step->kind == HSCHED_STEP_SCATTER)
        step->u.scatter.axis++;
    if (step->kind == HSCHED_STEP_TOP_K)
        step->u.top_k.axis++;
    if (step->kind == HSCHED_STEP_CUMSUM)
        step->u.cumsum.axis++;
    if (step->kind == HSCHED_STEP_ROTARY)
        step->u.rotary.axis++;
    if (step->kind == HSCHED_STEP_PAD) {
        int64_t *before = step->u.pad.before;
        memmove(before + 1, before, (HSCHED_MAX_DIMS - 1) * sizeof before[0]);
        before[0] = 0;
    }
    return 1;
}

/* ---- Addresses ------------------------------------------------------------ */

static size_t io_offset(const hsched_backend_section *section, uint32_t members,
                        uint32_t io)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < io; i++)
        offset += round_up(hsi_cuda_scaled(section, section->io_types[i],
                                           round_up(section->io_bytes[i], 64)) *
                               members,
                           256);
    return offset;
}

void hsi_cuda_slot_sizes(const hsched_backend_section *section, uint32_t members,
                         size_t *arena_bytes, size_t *io_bytes)
{
    size_t floats =
        hsi_cuda_scaled(section, HSCHED_FLOAT32, section->arena_size) * members;
    *arena_bytes = round_up(floats, 256);
    if (section->other_types && section->type != HSI_CUDA_F32)
        *arena_bytes += round_up(section->arena_size * members, 256);
    *io_bytes = io_offset(section, members, section->input_count + section->output_count);
}

size_t hsi_cuda_slot_offset(const hsched_backend_section *section, uint32_t members,
                            const hsched_place *place, hsched_dtype dtype)
{
    size_t arena_bytes, io_bytes;
    hsi_cuda_slot_sizes(section, members, &arena_bytes, &io_bytes);
    if (place->storage == HSCHED_STORAGE_ARENA) {
        size_t at = place->root * members + (place->offset - place->root);
        size_t start = 0;
        if (dtype != HSCHED_FLOAT32 && section->type != HSI_CUDA_F32)
            start = round_up(section->arena_size / 2 * members, 256);
        return start + hsi_cuda_scaled(section, dtype, at);
    }
    uint32_t io = place->index;
    if (place->storage == HSCHED_STORAGE_OUTPUT)
        io += section->input_count;
    return arena_bytes + io_offset(section, members, io) +
           hsi_cuda_scaled(section, dtype, place->offset);
}
