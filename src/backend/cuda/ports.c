/*
 * What passes between a slot and memory outside of it, found from the places of the steps:
 *
 * - entry: an input that a step here reads. A COPY or IMAGE step reads it through the table by
 *   itself (fused); for other kinds the whole input is copied to the slot first.
 * - import: a tensor in the host's arena that a step elsewhere (on the CPU) has written.
 * - export: a tensor that a step elsewhere will read, to the host's arena.
 *   Where sections float, what passes between two of them has both; a job that has only one of
 *   the two uses it, unless its run stays in the slot (hsi_cuda_port_is_used).
 * - exit: what a step writes into an output's memory; fused if the step is a COPY and no step
 *   here reads the output again.
 *
 * Entries and imports are done before the first step of a job that needs them, the others right
 * after the step that writes.
 *
 * A small import or export is none if its steps can do without: they read or write the host's
 * mapped arena themselves, which spares a launch.
 */
#include "backend/cuda/section.h"

#include <string.h>

#include "backend/cuda/host.h"

typedef struct making {
    hsched_backend_section *section;
    const hsched_section_config *config;
    uint32_t capacity;
    int counting; /* first round: how many there are at most */
} making;

static int add_port(making *m, hsi_cuda_port port)
{
    hsched_backend_section *s = m->section;
    for (uint32_t p = 0; p < s->port_count && !m->counting; p++) {
        const hsi_cuda_port *other = &s->ports[p];
        if (!port.fused && !other->fused && other->kind == port.kind &&
            other->to_slot == port.to_slot && other->step == port.step &&
            other->index == port.index)
            return (int)p;
    }
    if (m->counting)
        m->capacity++;
    else
        s->ports[s->port_count++] = port;
    return (int)s->port_count - 1;
}

static int is_written_by(const hsched_step_places *places, uint32_t operand,
                         uint32_t writer)
{
    for (uint32_t w = 0; w < places->writer_count[operand]; w++)
        if (places->writers[operand][w] == writer)
            return 1;
    return 0;
}

static hsched_status add_action(making *m, uint32_t step, int before, int port)
{
    hsi_cuda_actions *a = &m->section->actions[step];
    if (m->counting)
        return HSCHED_OK;
    uint32_t **list = before ? &a->before : &a->after;
    uint32_t *count = before ? &a->before_count : &a->after_count;
    for (uint32_t i = 0; i < *count; i++)
        if ((*list)[i] == (uint32_t)port)
            return HSCHED_OK;
    uint32_t *grown = HSI_CUDA_NEW_ARRAY(uint32_t, *count + 1);
    if (!grown)
        return hsi_cuda_no_memory("a model's ports");
    if (*count)
        memcpy(grown, *list, *count * sizeof **list);
    grown[(*count)++] = (uint32_t)port;
    hsi_cuda_host->free(*list);
    *list = grown;
    return HSCHED_OK;
}

/* A whole input as one line of elements. */
static hsi_cuda_port whole_input(const hsched_backend_section *s, uint32_t input)
{
    hsched_dtype dtype = s->io_types[input];
    int64_t count = (int64_t)(s->io_bytes[input] / hsi_cuda_dtype_size(dtype));
    hsi_cuda_port port = { .kind = HSI_CUDA_PORT_INPUT,
                           .index = input,
                           .to_slot = 1,
                           .step = UINT32_MAX,
                           .tensor = { .dtype = dtype, .rank = 1 } };
    port.tensor.dims[0] = count;
    port.tensor.strides[0] = 1;
    port.place = (hsched_place){ .storage = HSCHED_STORAGE_INPUT, .index = input };
    return port;
}

/* The result of a step, to or from where the rest of the world keeps it. */
static hsi_cuda_port result_of(const making *m, uint32_t step, int to_slot)
{
    const hsched_place *place = &m->config->places[step].out;
    int is_output = place->storage == HSCHED_STORAGE_OUTPUT;
    return (hsi_cuda_port){ .kind =
                                is_output ? HSI_CUDA_PORT_OUTPUT : HSI_CUDA_PORT_ARENA,
                            .index = is_output ? place->index : 0,
                            .offset = place->offset,
                            .to_slot = to_slot,
                            .step = step,
                            .tensor = m->section->steps[step].out,
                            .place = *place };
}

static hsched_status find_entries(making *m, uint32_t i)
{
    const hsched_step *step = &m->section->steps[i];
    const hsched_step_places *places = &m->config->places[i];
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < step->input_count && status == HSCHED_OK; k++) {
        if (places->in[k].storage != HSCHED_STORAGE_INPUT)
            continue;
        if (step->kind == HSCHED_STEP_COPY || step->kind == HSCHED_STEP_IMAGE)
            add_port(m, (hsi_cuda_port){ .kind = HSI_CUDA_PORT_INPUT,
                                         .index = places->in[k].index,
                                         .offset = places->in[k].offset,
                                         .to_slot = 1,
                                         .step = i,
                                         .fused = 1,
                                         .tensor = step->in[k],
                                         .place = places->out });
        else
            status = add_action(
                m, i, 1, add_port(m, whole_input(m->section, places->in[k].index)));
    }
    return status;
}

/* May the two steps be executed in different places? */
static int may_part(const making *m, uint32_t writer, uint32_t reader)
{
    const hsched_step_places *a = &m->config->places[writer],
                             *b = &m->config->places[reader];
    return !a->here || (a->floats && a->section != b->section);
}

static hsched_status find_imports(making *m, uint32_t i)
{
    const hsched_step_places *places = &m->config->places[i];
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < m->section->steps[i].input_count; k++)
        for (uint32_t w = 0; w < places->writer_count[k] && status == HSCHED_OK; w++) {
            uint32_t writer = places->writers[k][w];
            if (may_part(m, writer, i))
                status = add_action(m, i, 1, add_port(m, result_of(m, writer, 1)));
        }
    return status;
}

static uint32_t last_reader(const making *m, uint32_t writer)
{
    uint32_t last = writer;
    for (uint32_t i = writer + 1; i < m->config->step_count; i++)
        for (uint32_t k = 0; k < m->section->steps[i].input_count; k++)
            if (is_written_by(&m->config->places[i], k, writer))
                last = i;
    return last;
}

/* Does any step here read this output's memory? */
static int is_read_again(const making *m, uint32_t output)
{
    for (uint32_t i = 0; i < m->config->step_count; i++)
        for (uint32_t k = 0; k < m->section->steps[i].input_count; k++) {
            const hsched_place *in = &m->config->places[i].in[k];
            if (m->config->places[i].here && in->storage == HSCHED_STORAGE_OUTPUT &&
                in->index == output)
                return 1;
        }
    return 0;
}

static int reads_arena(const hsched_step_places *places)
{
    return places->in[0].storage == HSCHED_STORAGE_ARENA;
}

static hsched_status find_exits(making *m, uint32_t i)
{
    const hsched_step *step = &m->section->steps[i];
    const hsched_step_places *places = &m->config->places[i];
    if (places->out.storage == HSCHED_STORAGE_OUTPUT) {
        hsi_cuda_port port = result_of(m, i, 0);
        if (step->kind == HSCHED_STEP_COPY && reads_arena(places) &&
            !is_read_again(m, places->out.index)) {
            port.fused = 1;
            port.place = places->in[0];
            add_port(m, port);
            return HSCHED_OK;
        }
        return add_action(m, i, 0, add_port(m, port));
    }
    if (!places->exported)
        return HSCHED_OK;
    hsi_cuda_port port = result_of(m, i, 0);
    port.last_reader = last_reader(m, i);
    return add_action(m, i, 0, add_port(m, port));
}

static hsched_status find_all(making *m)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < m->config->step_count && status == HSCHED_OK; i++) {
        if (!m->config->places[i].here)
            continue;
        status = find_entries(m, i);
        if (status == HSCHED_OK)
            status = find_imports(m, i);
        if (status == HSCHED_OK)
            status = find_exits(m, i);
    }
    return status;
}

/* ---- In place ------------------------------------------------------------- */

static int is_small(const hsched_backend_section *s, const hsched_operand *tensor)
{
    size_t bytes = hsi_cuda_dtype_size(tensor->dtype);
    if (hsi_cuda_scaled(s, tensor->dtype, 2) != 2)
        return 0; /* converted on the way */
    for (uint32_t d = 0; d < tensor->rank; d++)
        bytes *= (size_t)tensor->dims[d]; /* fits: the tensor does */
    return bytes <= s->device->mapped_most;
}

/* Can every step here that reads what `writer` has written read that in the host's arena? Not
 * if others wrote parts of the operand, or if the result takes its place. With `mark` the steps
 * are told to. */
static int map_reads(const making *m, uint32_t writer, int mark)
{
    for (uint32_t i = 0; i < m->config->step_count; i++) {
        const hsched_step_places *places = &m->config->places[i];
        const hsched_step *step = &m->section->steps[i];
        for (uint32_t k = 0; places->here && k < step->input_count; k++) {
            if (!is_written_by(places, k, writer))
                continue;
            if (mark)
                m->section->mapped[i] |= UINT32_C(1) << k;
            else if (places->writer_count[k] != 1 || step->out_aliases == (int32_t)k)
                return 0;
        }
    }
    return 1;
}

/* Can the step write to the host's arena only? Not if a step here reads it again. */
static int can_write_mapped(const making *m, uint32_t writer)
{
    for (uint32_t i = 0; i < m->config->step_count; i++)
        for (uint32_t k = 0; k < m->section->steps[i].input_count; k++)
            if (m->config->places[i].here &&
                is_written_by(&m->config->places[i], k, writer))
                return 0;
    return m->section->steps[writer].out_aliases < 0;
}

static void map_ports(making *m)
{
    for (uint32_t p = 0; p < m->section->port_count; p++) {
        hsi_cuda_port *port = &m->section->ports[p];
        if (port->kind != HSI_CUDA_PORT_ARENA || !is_small(m->section, &port->tensor) ||
            m->config->places[port->step].floats) /* a job may have both ends */
            continue;
        if (port->to_slot) {
            port->mapped = map_reads(m, port->step, 0);
            if (port->mapped)
                map_reads(m, port->step, 1);
        } else if (can_write_mapped(m, port->step)) {
            port->mapped = 1;
            m->section->mapped[port->step] |= HSI_CUDA_MAPPED_OUT;
        }
    }
}

hsched_status hsi_cuda_make_ports(hsched_backend_section *section,
                                  const hsched_section_config *config)
{
    making m = { .section = section, .config = config, .counting = 1 };
    section->actions = HSI_CUDA_NEW_ARRAY(hsi_cuda_actions, config->step_count);
    section->mapped = HSI_CUDA_NEW_ARRAY(uint32_t, config->step_count);
    if (!section->actions || !section->mapped)
        return hsi_cuda_no_memory("a model's ports");
    hsched_status status = find_all(&m);
    section->ports = HSI_CUDA_NEW_ARRAY(hsi_cuda_port, m.capacity);
    if (!section->ports)
        return hsi_cuda_no_memory("a model's ports");
    m.counting = 0;
    if (status == HSCHED_OK)
        status = find_all(&m);
    if (status == HSCHED_OK)
        map_ports(&m);
    return status;
}

static int is_brought_in(const hsched_backend_section *s, uint32_t port, uint32_t first,
                         uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        for (uint32_t a = 0; a < s->actions[i].before_count; a++)
            if (s->actions[i].before[a] == port)
                return 1;
    return 0;
}

int hsi_cuda_port_is_used(const hsched_backend_section *s, const hsi_cuda_port *port,
                          uint32_t first, uint32_t count, int stays)
{
    if (port->step == UINT32_MAX)
        return 1;
    const int inside = port->step >= first && port->step - first < count;
    if (port->kind == HSI_CUDA_PORT_INPUT || !s->places[port->step].floats)
        return port->to_slot || (s->places[port->step].here && inside);
    if (stays)
        return inside && !port->to_slot && port->kind == HSI_CUDA_PORT_OUTPUT;
    /* Another job of the run may be writing, right now, what this one does not read. */
    if (port->to_slot)
        return !inside && is_brought_in(s, (uint32_t)(port - s->ports), first, count);
    return inside &&
           (port->kind == HSI_CUDA_PORT_OUTPUT || port->last_reader - first >= count);
}

const hsi_cuda_port *hsi_cuda_fused_port(const hsched_backend_section *s, uint32_t step)
{
    for (uint32_t p = 0; p < s->port_count; p++)
        if (s->ports[p].fused && s->ports[p].step == step)
            return &s->ports[p];
    return NULL;
}

void hsi_cuda_free_ports(hsched_backend_section *section)
{
    for (uint32_t i = 0; section->actions && i < section->step_count; i++) {
        hsi_cuda_host->free(section->actions[i].before);
        hsi_cuda_host->free(section->actions[i].after);
    }
    hsi_cuda_host->free(section->actions);
    hsi_cuda_host->free(section->mapped);
    hsi_cuda_host->free(section->ports);
}
