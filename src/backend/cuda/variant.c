#include "backend/cuda/section.h"

#include <string.h>

#include "backend/cuda/crossing.h"
#include "backend/cuda/host.h"

/* ---- Making --------------------------------------------------------------- */

/* The largest power of two, up to 256, that divides an offset: blocks are aligned to 256. */
static uint32_t alignment_of(size_t offset)
{
    size_t low = offset & (~offset + 1);
    return low == 0 || low > 256 ? 256 : (uint32_t)low;
}

static uint32_t operand_alignment(const hsched_backend_section *s, uint32_t members,
                                  const hsched_place *place, hsched_dtype dtype)
{
    size_t arena, io;
    if (place->storage == HSCHED_STORAGE_NONE ||
        place->storage == HSCHED_STORAGE_CONSTANT)
        return (uint32_t)hsi_cuda_scaled(s, dtype, hsi_cuda_dtype_size(dtype));
    hsi_cuda_slot_sizes(s, members, &arena, &io);
    return alignment_of(hsi_cuda_slot_offset(s, members, place, dtype));
}

void hsi_cuda_locate_constants(const hsched_backend_section *s, uint32_t i,
                               hsi_cuda_step *step)
{
    for (uint32_t k = 0; k < step->step.input_count; k++)
        step->constants[k] =
            s->weights && s->constants[i][k] ? s->weights + s->constants[i][k] - 1 : 0;
}

static void describe_step(const hsched_backend_section *s, uint32_t i, uint32_t members,
                          hsi_cuda_step *step)
{
    const hsched_step_places *places = &s->places[i];
    step->device = s->device;
    step->type = s->type;
    step->strict = s->strict;
    step->deterministic = s->deterministic;
    for (uint32_t k = 0; k < step->step.input_count; k++) {
        if (step->step.in[k].dtype == HSCHED_DTYPE_NONE)
            continue;
        step->alignment[k] =
            operand_alignment(s, members, &places->in[k], step->step.in[k].dtype);
        if (s->constants[i][k])
            step->alignment[k] = alignment_of(s->constants[i][k] - 1);
        step->step.in[k].constant = NULL;
    }
    /* One place for all of the weights: cuDNN's. */
    step->rnn = step->step.kind == HSCHED_STEP_RECURRENT && s->constants[i][1] &&
                !s->constants[i][2];
    hsi_cuda_locate_constants(s, i, step);
    step->out_alignment =
        operand_alignment(s, members, &places->out, step->step.out.dtype);
}

static hsched_status make_transfer(const hsched_backend_section *s, uint32_t members,
                                   const hsi_cuda_port *port,
                                   const hsched_operand *inside, hsi_cuda_op **op)
{
    hsi_cuda_transfer transfer = { .device = s->device,
                                   .type = s->type,
                                   .members = members,
                                   .to_slot = port->to_slot,
                                   .member = port->tensor,
                                   .slot = *inside };
    transfer.member.constant = transfer.slot.constant = NULL;
    transfer.slot_stride = (int64_t)(hsi_cuda_member_bytes(s, &port->place) /
                                     hsi_cuda_dtype_size(inside->dtype));
    return port->kind == HSI_CUDA_PORT_ARENA ? hsi_cuda_make_crossing(&transfer, op)
                                             : hsi_cuda_make_transfer(&transfer, op);
}

static hsched_status make_op(const hsi_cuda_step *step, const hsi_cuda_step *like,
                             hsi_cuda_op **op)
{
    switch (step->step.kind) {
    case HSCHED_STEP_CONV2D:
    case HSCHED_STEP_FC:
    case HSCHED_STEP_MATMUL:
        return hsi_cuda_make_tuned(step, like, op);
    case HSCHED_STEP_POOL2D:
        return hsi_cuda_make_pool(step, op);
    case HSCHED_STEP_SCALE:
        return hsi_cuda_make_scale(step, op);
    case HSCHED_STEP_LRN:
        return hsi_cuda_make_lrn(step, op);
    case HSCHED_STEP_SOFTMAX:
        return hsi_cuda_make_softmax(step, op);
    case HSCHED_STEP_NORM:
        return hsi_cuda_make_norm(step, op);
    case HSCHED_STEP_UNARY:
        return hsi_cuda_make_unary(step, op);
    case HSCHED_STEP_BINARY:
        return hsi_cuda_make_binary(step, op);
    case HSCHED_STEP_COPY:
        return hsi_cuda_make_copy(step, op);
    case HSCHED_STEP_PAD:
        return hsi_cuda_make_pad(step, op);
    case HSCHED_STEP_REDUCE:
        return hsi_cuda_make_reduce(step, op);
    case HSCHED_STEP_IMAGE:
        return hsi_cuda_make_image(step, op);
    case HSCHED_STEP_RECURRENT:
        return step->rnn ? hsi_cuda_make_rnn(step, op)
                         : hsi_cuda_make_recurrent(step, op);
    case HSCHED_STEP_ARG:
        return hsi_cuda_make_arg(step, op);
    case HSCHED_STEP_TOP_K:
        return hsi_cuda_make_top_k(step, op);
    case HSCHED_STEP_CUMSUM:
        return hsi_cuda_make_cumsum(step, op);
    case HSCHED_STEP_ROTARY:
        return hsi_cuda_make_rotary(step, op);
    case HSCHED_STEP_CAST:
        return hsi_cuda_make_cast(step, op);
    case HSCHED_STEP_WHERE:
        return hsi_cuda_make_where(step, op);
    case HSCHED_STEP_RESIZE:
        return hsi_cuda_make_resize(step, op);
    case HSCHED_STEP_GATHER:
        return hsi_cuda_make_gather(step, op);
    case HSCHED_STEP_TUPLE_INDEX:
        return hsi_cuda_make_tuple_index(step, op);
    case HSCHED_STEP_SCATTER:
        return hsi_cuda_make_scatter(step, op);
    case HSCHED_STEP_GRID_SAMPLE:
        return hsi_cuda_make_grid_sample(step, op);
    case HSCHED_STEP_ROI_ALIGN:
        return hsi_cuda_make_roi_align(step, op);
    case HSCHED_STEP_POOL_INDEX:
        return hsi_cuda_make_pool_index(step, op);
    default: /* hsi_cuda_supports says no */
        break;
    }
    return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                    "GPU: step '%s' is of unknown kind %d",
                                    step->step.name, (int)step->step.kind);
}

static hsched_status make_step_op(hsched_backend_section *s, hsi_cuda_variant *v,
                                  uint32_t i)
{
    hsi_cuda_step *step = &v->steps[i];
    if (!hsi_cuda_batch_step(s, i, v->members, &step->step))
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_UNSUPPORTED, "GPU: step '%s' cannot run for %u members at once",
            s->steps[i].name, v->members);
    describe_step(s, i, v->members, step);
    const hsi_cuda_port *port = hsi_cuda_fused_port(s, i);
    if (!port)
        return make_op(step, v->like ? &v->like->steps[i] : NULL, &v->ops[i]);
    if (step->step.kind == HSCHED_STEP_IMAGE)
        return hsi_cuda_make_image_entry(step, v->members, &v->ops[i]);
    const hsched_step *single = &s->steps[i];
    return make_transfer(s, v->members, port,
                         port->to_slot ? &single->out : &single->in[0], &v->ops[i]);
}

static hsched_status make_transfers(hsched_backend_section *s, hsi_cuda_variant *v)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t p = 0; p < s->port_count && status == HSCHED_OK; p++)
        if (hsi_cuda_is_transferred(&s->ports[p], v->members))
            status = make_transfer(s, v->members, &s->ports[p], &s->ports[p].tensor,
                                   &v->transfers[p]);
    return status;
}

hsched_status hsi_cuda_variant_measure(const hsched_backend_section *s,
                                       hsi_cuda_variant *v)
{
    v->workspace_bytes = HSI_CUDA_COUNTERS;
    for (uint32_t i = 0; i < s->step_count; i++) {
        const hsi_cuda_op *op = v->ops[i];
        if (!op)
            continue;
        if (op->zeroed > HSI_CUDA_COUNTERS || op->zeroed > op->workspace)
            return hsi_cuda_host->set_error(
                HSCHED_ERROR_INTERNAL, "GPU: step '%s': %s wants %zu bytes of counters",
                s->steps[i].name, op->name, op->zeroed);
        size_t bytes = HSI_CUDA_COUNTERS + op->workspace - op->zeroed;
        if (bytes > v->workspace_bytes)
            v->workspace_bytes =
                (bytes + 255) / 256 * 256; /* a table follows in the slot */
    }
    return HSCHED_OK;
}

static hsched_status fill_variant(hsched_backend_section *s, hsi_cuda_variant *v,
                                  hsi_cuda_rest *rest)
{
    v->steps = HSI_CUDA_NEW_ARRAY(hsi_cuda_step, s->step_count);
    v->ops = HSI_CUDA_NEW_ARRAY(hsi_cuda_op *, s->step_count);
    v->transfers = HSI_CUDA_NEW_ARRAY(hsi_cuda_op *, s->port_count);
    if (!v->steps || !v->ops || !v->transfers)
        return hsi_cuda_no_memory("a model's ops");
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < s->step_count && status == HSCHED_OK; i++) {
        if (!s->places[i].here)
            continue;
        status = make_step_op(s, v, i);
        if (status == HSCHED_OK && rest)
            status = rest(s->device);
    }
    if (status == HSCHED_OK)
        status = make_transfers(s, v);
    hsi_cuda_slot_sizes(s, v->members, &v->arena_bytes, &v->io_bytes);
    return status == HSCHED_OK ? hsi_cuda_variant_measure(s, v) : status;
}

/* The old op may still be running somewhere, and graphs may need it: it is kept. */
hsched_status hsi_cuda_replace_op(hsched_backend_section *s, hsi_cuda_variant *v,
                                  uint32_t i, hsi_cuda_op *other)
{
    hsi_cuda_op **retired = HSI_CUDA_NEW_ARRAY(hsi_cuda_op *, s->retired_count + 1);
    if (!retired) {
        other->destroy(other);
        return hsi_cuda_no_memory("another kernel");
    }
    for (uint32_t k = 0; k < s->retired_count; k++)
        retired[k] = s->retired[k];
    retired[s->retired_count++] = v->ops[i];
    hsi_cuda_host->free(s->retired);
    s->retired = retired;
    v->ops[i] = other;
    v->generation++;
    return hsi_cuda_variant_measure(s, v);
}

hsi_cuda_variant *hsi_cuda_variant_find(hsched_backend_section *section, uint32_t members)
{
    hsi_cuda_variant *v = section->variants;
    while (v && v->members != members)
        v = v->next;
    return v;
}

uint32_t hsi_cuda_tuned_size(const hsched_backend_section *section, uint32_t members)
{
    uint32_t size = 1;
    while (size < members)
        size *= 2;
    return size < section->max_batch ? size : section->max_batch;
}

hsched_status hsi_cuda_variant_get(hsched_backend_section *section, uint32_t members,
                                   hsi_cuda_rest *rest, hsi_cuda_variant **variant)
{
    *variant = hsi_cuda_variant_find(section, members);
    if (*variant)
        return HSCHED_OK;
    hsi_cuda_variant *v = HSI_CUDA_NEW(hsi_cuda_variant);
    if (!v)
        return hsi_cuda_no_memory("a model's ops");
    v->members = members;
    if (hsi_cuda_tuned_size(section, members) != members)
        v->like = hsi_cuda_variant_find(section, hsi_cuda_tuned_size(section, members));
    hsched_status status = fill_variant(section, v, rest);
    *variant = hsi_cuda_variant_find(section, members); /* made while this one rested? */
    if (status != HSCHED_OK || *variant) {
        hsi_cuda_variant_destroy(section, v);
        return status;
    }
    v->next = section->variants;
    section->variants = v;
    *variant = v;
    return HSCHED_OK;
}

void hsi_cuda_variant_destroy(hsched_backend_section *section, hsi_cuda_variant *v)
{
    for (uint32_t i = 0; v->ops && i < section->step_count; i++)
        if (v->ops[i])
            v->ops[i]->destroy(v->ops[i]);
    for (uint32_t p = 0; v->transfers && p < section->port_count; p++)
        if (v->transfers[p])
            v->transfers[p]->destroy(v->transfers[p]);
    hsi_cuda_host->free(v->steps);
    hsi_cuda_host->free(v->ops);
    hsi_cuda_host->free(v->transfers);
    hsi_cuda_host->free(v);
}
