/*
 * The launches of a job: its steps, and what brings tensors in before them and out after them. On a
 * stream they go one after the other; into a graph each is announced with the memory of the slot
 * that it uses.
 */
#include "backend/cuda/section.h"

#include "backend/cuda/host.h"
#include "backend/cuda/record.h"

/* What one launch at a time may use. */
enum {
    OUTSIDE = 1,  /* memory outside the slot: what lies where is not known here */
    WORKSPACE = 2 /* the slot's */
};

/* ---- Announcing ----------------------------------------------------------- */

static hsi_cuda_extent extent_in_slot(const hsched_backend_section *s, uint32_t members,
                                      const hsched_operand *operand,
                                      const hsched_place *place)
{
    return hsi_cuda_extent_of(operand, hsi_cuda_element_size(operand, s->type),
                              hsi_cuda_slot_offset(s, members, place, operand->dtype));
}

static void announce_transfer(const hsched_backend_section *s, const hsi_cuda_variant *v,
                              hsi_cuda_recorder *recorder, const hsi_cuda_port *port)
{
    hsi_cuda_access access = { .exclusive = OUTSIDE };
    hsi_cuda_extent e = extent_in_slot(s, v->members, &port->tensor, &port->place);
    if (v->members > 1) { /* all that lies between the members, too */
        e.end +=
            (v->members - 1) * hsi_cuda_scaled(s, port->tensor.dtype,
                                               hsi_cuda_member_bytes(s, &port->place));
        e.pitch = 0;
    }
    if (port->to_slot)
        access.write = e;
    else
        access.reads[access.read_count++] = e;
    hsi_cuda_record_launch(recorder, &access);
}

/* `port`: what the step itself reads (its first operand) or writes outside, or NULL. */
static void announce_step(const hsched_backend_section *s, const hsi_cuda_variant *v,
                          hsi_cuda_recorder *recorder, uint32_t i,
                          const hsi_cuda_port *port)
{
    const hsched_step_places *places = &s->places[i];
    const hsched_step *step = &v->steps[i].step;
    const uint32_t mapped = hsi_cuda_mapped(s, v->members, i);
    hsi_cuda_access access = { 0 };
    if (port || mapped)
        access.exclusive |= OUTSIDE;
    if (v->ops[i]->workspace > 0)
        access.exclusive |= WORKSPACE;
    for (uint32_t k = 0; k < step->input_count; k++) {
        const int outside = (k == 0 && port && port->to_slot) || (mapped >> k & 1);
        if (!outside && !s->constants[i][k] &&
            places->in[k].storage != HSCHED_STORAGE_NONE)
            access.reads[access.read_count++] =
                extent_in_slot(s, v->members, &step->in[k], &places->in[k]);
    }
    if ((!port || port->to_slot) && !(mapped & HSI_CUDA_MAPPED_OUT))
        access.write = extent_in_slot(s, v->members, &step->out, &places->out);
    hsi_cuda_record_launch(recorder, &access);
}

/* ---- Launching ------------------------------------------------------------ */

/* A job's table has an address for each port and member. */
static CUdeviceptr table_entry(const hsi_cuda_variant *v, const hsi_cuda_launch *launch,
                               uint32_t port)
{
    return launch->table + (CUdeviceptr)port * v->members * sizeof(uint64_t);
}

static hsched_status launch_transfer(const hsched_backend_section *s,
                                     const hsi_cuda_variant *v,
                                     const hsi_cuda_launch *launch, uint32_t p)
{
    const hsi_cuda_port *port = &s->ports[p];
    if (!v->transfers[p] ||
        !hsi_cuda_port_is_used(s, port, launch->first, launch->count, launch->arena == 0))
        return HSCHED_OK;
    hsi_cuda_call call = { .stream = launch->stream, .recorder = launch->recorder };
    call.in[0] = table_entry(v, launch, p);
    call.out = launch->memory +
               hsi_cuda_slot_offset(s, v->members, &port->place, port->tensor.dtype);
    if (port->kind == HSI_CUDA_PORT_ARENA)
        call.outside = launch->arena + port->offset;
    if (launch->recorder)
        announce_transfer(s, v, launch->recorder, port);
    return v->transfers[p]->enqueue(v->transfers[p], &call);
}

/* Was this port used by an earlier step of the job already? */
static int used_before(const hsched_backend_section *s, const hsi_cuda_launch *launch,
                       uint32_t step, uint32_t port)
{
    for (uint32_t i = launch->first; i < step; i++)
        for (uint32_t a = 0; a < s->actions[i].before_count; a++)
            if (s->actions[i].before[a] == port)
                return 1;
    return 0;
}

/* A library may refuse operands only now: the kernel that takes anything replaces it. */
static hsched_status launch_instead(hsched_backend_section *s, hsi_cuda_variant *v,
                                    uint32_t i, const hsi_cuda_call *call)
{
    const hsi_cuda_step *step = &v->steps[i];
    hsi_cuda_op *other;
    hsched_status status = step->step.kind == HSCHED_STEP_CONV2D
                               ? hsi_cuda_make_conv_direct(step, &other)
                               : hsi_cuda_make_matmul(step, &other);
    if (status != HSCHED_OK)
        return status;
    if (other->workspace > 0) { /* the slot's may be too small */
        other->destroy(other);
        return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                        "GPU: step '%s': no kernel could be launched",
                                        step->step.name);
    }
    hsi_cuda_host->log(HSCHED_LOG_INFO,
                       "GPU: step '%s': %s refused its operands; %s goes on",
                       step->step.name, v->ops[i]->name, other->name);
    status = hsi_cuda_replace_op(s, v, i, other);
    return status == HSCHED_OK ? other->enqueue(other, call) : status;
}

/* Where an operand's element 0 is. */
static CUdeviceptr operand_address(const hsched_backend_section *s,
                                   const hsi_cuda_variant *v,
                                   const hsi_cuda_launch *launch,
                                   const hsched_place *place, hsched_dtype dtype,
                                   int mapped)
{
    return mapped ? launch->arena + place->offset
                  : launch->memory + hsi_cuda_slot_offset(s, v->members, place, dtype);
}

static hsched_status launch_step(hsched_backend_section *s, hsi_cuda_variant *v,
                                 const hsi_cuda_launch *launch, uint32_t i)
{
    const hsched_step_places *places = &s->places[i];
    const hsi_cuda_step *step = &v->steps[i];
    const hsi_cuda_op *op = v->ops[i];
    const uint32_t mapped = hsi_cuda_mapped(s, v->members, i);
    hsi_cuda_call call = { .stream = launch->stream, .recorder = launch->recorder };
    call.workspace = launch->workspace + HSI_CUDA_COUNTERS - op->zeroed;
    for (uint32_t k = 0; k < step->step.input_count; k++) {
        if (s->constants[i][k])
            call.in[k] = s->weights + s->constants[i][k] - 1;
        else if (places->in[k].storage != HSCHED_STORAGE_NONE)
            call.in[k] = operand_address(s, v, launch, &places->in[k],
                                         step->step.in[k].dtype, mapped >> k & 1);
    }
    call.out = operand_address(s, v, launch, &places->out, step->step.out.dtype,
                               (mapped & HSI_CUDA_MAPPED_OUT) != 0);
    const hsi_cuda_port *port = hsi_cuda_fused_port(s, i);
    if (port) {
        if (!port->to_slot) /* a transfer's call: the table, then the tensor in the slot */
            call.out = call.in[0];
        call.in[0] = table_entry(v, launch, (uint32_t)(port - s->ports));
    }
    if (launch->recorder)
        announce_step(s, v, launch->recorder, i, port);
    hsched_status status = op->enqueue(op, &call);
    if (status == HSCHED_ERROR_UNSUPPORTED && step->step.kind != HSCHED_STEP_RECURRENT)
        status = launch_instead(s, v, i, &call);
    return status;
}

hsched_status hsi_cuda_variant_launch(hsched_backend_section *s, hsi_cuda_variant *v,
                                      const hsi_cuda_launch *launch)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t i = launch->first;
         i < launch->first + launch->count && status == HSCHED_OK; i++) {
        const hsi_cuda_actions *actions = &s->actions[i];
        for (uint32_t a = 0; a < actions->before_count && status == HSCHED_OK; a++)
            if (!used_before(s, launch, i, actions->before[a]))
                status = launch_transfer(s, v, launch, actions->before[a]);
        if (status == HSCHED_OK)
            status = launch_step(s, v, launch, i);
        for (uint32_t a = 0; a < actions->after_count && status == HSCHED_OK; a++)
            status = launch_transfer(s, v, launch, actions->after[a]);
    }
    return status;
}
