/*
 * How jobs become launches and graphs, without a GPU: the driver's table holds functions that
 * execute a kernel's step with the reference, at once or when the graph is run. Graphs run their
 * nodes in any order that the edges allow, so that a missing edge gives a wrong result for some
 * seed; and the results are compared with what the network means.
 */
#include "common/support.h"

#include "backend/backend.h"
#include "backend/cuda/api.h"
#include "backend/cuda/crossing.h"
#include "backend/cuda/host.h"
#include "backend/cuda/record.h"
#include "backend/cuda/section.h"
#include "graph/graph.h"
#include "unit/plan_run.h"
#include "unit/random_graph.h"

enum {
    SEEDS = 400,
    MOST_NODES = 4096
};

/* ---- A driver ------------------------------------------------------------- */

/* What a kernel does: a step or a transfer of the section, at these addresses. Or a copy. */
typedef struct work {
    const struct fake_op *op; /* NULL: a copy */
    hsi_cuda_call call;
    CUdeviceptr to, from;
    size_t bytes;
} work;

typedef struct node {
    work work;
    uint32_t from[64], from_count;
    int early; /* the edge to from[early - 1] lets it begin early */
    int done;
} node;

static work launched; /* by the op whose enqueue is under way */
static node nodes[MOST_NODES];
static uint32_t node_count, edge_count, early_count, copy_count, mapped_count;

static void execute(const work *w);

static CUresult launch_kernel(const CUlaunchConfig *config, CUfunction function,
                              void **arguments, void **extra)
{
    (void)config, (void)function, (void)arguments, (void)extra;
    execute(&launched);
    return CUDA_SUCCESS;
}

static CUresult create_graph(CUgraph *graph, unsigned int flags)
{
    assert_int_equal(flags, 0);
    node_count = edge_count = early_count = 0;
    *graph = (CUgraph)(uintptr_t)1;
    return CUDA_SUCCESS;
}

static uint32_t index_of(CUgraphNode n)
{
    const uintptr_t number = (uintptr_t)n;
    assert_true(number >= 1 && number <= node_count);
    return (uint32_t)number - 1;
}

static void add_edge(node *to, CUgraphNode from)
{
    assert_true(to->from_count < sizeof to->from / sizeof to->from[0]);
    assert_true(&nodes[index_of(from)] < to);
    to->from[to->from_count++] = index_of(from);
    edge_count++;
}

static CUgraphNode add_node(CUgraph graph, const CUgraphNode *from, size_t count,
                            const work *w)
{
    assert_true(graph == (CUgraph)(uintptr_t)1 && node_count < MOST_NODES);
    node *n = &nodes[node_count++];
    *n = (node){ .work = *w };
    for (size_t i = 0; i < count; i++)
        add_edge(n, from[i]);
    return (CUgraphNode)(uintptr_t)node_count;
}

static CUresult add_kernel_node(CUgraphNode *added, CUgraph graph,
                                const CUgraphNode *from, size_t count,
                                const CUDA_KERNEL_NODE_PARAMS *params)
{
    assert_int_equal(params->gridDimX, 7);
    *added = add_node(graph, from, count, &launched);
    return CUDA_SUCCESS;
}

static CUresult add_copy_node(CUgraphNode *added, CUgraph graph, const CUgraphNode *from,
                              size_t count, const CUDA_MEMCPY3D *copy, CUcontext context)
{
    (void)context;
    assert_int_equal(copy->Height * copy->Depth, 1);
    assert_int_equal(copy->srcMemoryType, CU_MEMORYTYPE_UNIFIED);
    assert_int_equal(copy->dstMemoryType, CU_MEMORYTYPE_UNIFIED);
    const work w = { .to = copy->dstDevice,
                     .from = copy->srcDevice,
                     .bytes = copy->WidthInBytes };
    *added = add_node(graph, from, count, &w);
    return CUDA_SUCCESS;
}

static CUresult copy_now(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    (void)stream;
    const work w = { .to = to, .from = from, .bytes = bytes };
    execute(&w);
    return CUDA_SUCCESS;
}

static CUresult add_dependencies(CUgraph graph, const CUgraphNode *from,
                                 const CUgraphNode *to, const CUgraphEdgeData *data,
                                 size_t count)
{
    (void)graph;
    assert_int_equal(count, 1);
    assert_int_equal(data->from_port, CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC);
    assert_int_equal(data->type, CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC);
    add_edge(&nodes[index_of(*to)], *from);
    early_count++;
    return CUDA_SUCCESS;
}

static int is_ready(const node *n)
{
    for (uint32_t i = 0; i < n->from_count; i++)
        if (!nodes[n->from[i]].done)
            return 0;
    return !n->done;
}

static void run_graph(uint64_t seed)
{
    for (uint32_t left = node_count; left > 0; left--) {
        uint32_t ready = 0, chosen = 0;
        for (uint32_t i = 0; i < node_count; i++)
            if (is_ready(&nodes[i]) && random_graph_next(&seed) % ++ready == 0)
                chosen = i;
        assert_true(ready > 0);
        nodes[chosen].done = 1;
        execute(&nodes[chosen].work);
    }
}

/* ---- Ops ------------------------------------------------------------------ */

/* Of a step, or of the transfer through a port. */
typedef struct fake_op {
    hsi_cuda_op op; /* first */
    const hsched_backend_section *section;
    const hsi_cuda_variant *variant;
    uint32_t step, port;
} fake_op;

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    CUlaunchAttribute early = {
        .id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
    };
    CUlaunchConfig config = { .gridDimX = 7, .attrs = &early };
    const fake_op *o = (const fake_op *)op;
    config.numAttrs = o->step % 3 > 0;
    launched = (work){ o, *call };
    return hsi_cuda_launch_kernel("a test", call, (CUfunction)(uintptr_t)op, &config,
                                  NULL);
}

static void *at(CUdeviceptr address)
{
    return (void *)(uintptr_t)address;
}

/* The member's tensor through the table, and in the slot. */
static void transfer(const fake_op *o, const hsi_cuda_call *call)
{
    const hsched_backend_section *s = o->section;
    const hsi_cuda_port *port = &s->ports[o->port];
    const uint64_t *table = at(call->in[0]);
    hsched_step copy = { .struct_size = sizeof copy,
                         .kind = HSCHED_STEP_COPY,
                         .name = "transfer",
                         .input_count = 1,
                         .out_aliases = -1,
                         .in = { port->tensor },
                         .out = port->tensor };
    copy.in[0].constant = NULL;
    for (uint32_t m = 0; m < o->variant->members; m++) {
        const CUdeviceptr slot = call->out + m * hsi_cuda_member_bytes(s, &port->place);
        const void *in[HSCHED_STEP_MAX_INPUTS] = { at(port->to_slot ? table[m] : slot) };
        assert_ok(hsi_ref_run(&copy, in, at(port->to_slot ? slot : table[m])));
    }
}

/* A step that reads or writes outside by itself: member by member. */
static void execute_fused(const fake_op *o, const hsi_cuda_call *call,
                          const hsi_cuda_port *port)
{
    const hsched_backend_section *s = o->section;
    const uint64_t *table = at(call->in[0]);
    const hsched_place *place =
        port->to_slot ? &s->places[o->step].out : &s->places[o->step].in[0];
    for (uint32_t m = 0; m < o->variant->members; m++) {
        const CUdeviceptr slot = call->out + m * hsi_cuda_member_bytes(s, place);
        const void *in[HSCHED_STEP_MAX_INPUTS] = { at(port->to_slot ? table[m] : slot) };
        assert_ok(
            hsi_ref_run(&s->steps[o->step], in, at(port->to_slot ? slot : table[m])));
    }
}

static void execute(const work *w)
{
    const fake_op *o = w->op;
    if (!o) {
        memcpy(at(w->to), at(w->from), w->bytes);
        copy_count++;
        return;
    }
    if (o->port != UINT32_MAX) {
        transfer(o, &w->call);
        return;
    }
    const hsi_cuda_port *port = hsi_cuda_fused_port(o->section, o->step);
    if (port) {
        execute_fused(o, &w->call, port);
        return;
    }
    const void *in[HSCHED_STEP_MAX_INPUTS] = { NULL };
    const hsched_step *step = &o->variant->steps[o->step].step;
    for (uint32_t k = 0; k < step->input_count; k++)
        if (!step->in[k].constant && step->in[k].dtype != HSCHED_DTYPE_NONE)
            in[k] = at(w->call.in[k]);
    assert_ok(hsi_ref_run(step, in, at(w->call.out)));
}

/* ---- A model -------------------------------------------------------------- */

typedef struct model {
    hsi_cuda_device device;
    hsched_backend_section section;
    hsi_cuda_variant variant;
    fake_op *ops; /* per step, then port */
    hsched_step *steps;
    hsched_step_places *places;
    size_t *io_bytes;
    hsched_dtype *io_types;
    uint32_t members, mine; /* whose inputs and outputs are those that are compared */
    uint64_t seed;
    int as_graph, split; /* split: some sections are elsewhere */
    uint8_t *here;       /* per section */
    char *arena;         /* the host's */
} model;

static void *zeroed(size_t count, size_t size)
{
    void *block = calloc(count + 1, size);
    assert_non_null(block);
    return block;
}

static void describe(model *m, const hsi_plan *plan)
{
    hsched_backend_section *s = &m->section;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsi_plan_step *from = &plan->steps[i];
        m->steps[i] = from->step;
        memcpy(m->places[i].in, from->in, sizeof from->in);
        m->places[i].out = from->out;
        m->places[i].here = m->here[from->section];
        for (uint32_t k = 0; k < from->step.input_count; k++) {
            m->places[i].writers[k] = from->writers[k];
            m->places[i].writer_count[k] = from->writer_count[k];
            for (uint32_t w = 0; w < from->writer_count[k] && !m->places[i].here; w++)
                m->places[from->writers[k][w]].exported = 1;
            if (from->in[k].storage == HSCHED_STORAGE_CONSTANT)
                m->steps[i].in[k].constant = (char *)plan->constants + from->in[k].offset;
            /* Anything but 0 says that it is one. */
            s->constants[i][k] = m->steps[i].in[k].constant != NULL;
        }
    }
    for (uint32_t i = 0; i < plan->input_count + plan->output_count; i++) {
        const hsi_plan_io *io = i < plan->input_count
                                    ? &plan->inputs[i]
                                    : &plan->outputs[i - plan->input_count];
        m->io_bytes[i] = io->byte_size;
        m->io_types[i] = io->dtype;
    }
}

static void make_section(model *m, const hsi_plan *plan)
{
    hsched_backend_section *s = &m->section;
    const uint32_t ios = plan->input_count + plan->output_count;
    m->steps = zeroed(plan->step_count, sizeof *m->steps);
    m->places = zeroed(plan->step_count, sizeof *m->places);
    m->io_bytes = zeroed(ios, sizeof *m->io_bytes);
    m->io_types = zeroed(ios, sizeof *m->io_types);
    *s = (hsched_backend_section){ .device = &m->device,
                                   .step_count = plan->step_count,
                                   .steps = m->steps,
                                   .places = m->places,
                                   .type = HSI_CUDA_F32,
                                   .max_batch = m->members,
                                   .arena_size = plan->arena_size,
                                   .other_types = 1,
                                   .input_count = plan->input_count,
                                   .output_count = plan->output_count,
                                   .io_bytes = m->io_bytes,
                                   .io_types = m->io_types };
    s->constants = zeroed(plan->step_count, sizeof *s->constants);
    m->here = zeroed(plan->section_count, 1);
    static const size_t mapped_most[] = { 0, 256, 16384, SIZE_MAX };
    m->device.mapped_most = mapped_most[m->seed % 4];
    uint64_t random = m->seed;
    for (uint32_t i = 0; i < plan->section_count; i++)
        m->here[i] = !m->split || random_graph_next(&random) % 2;
    describe(m, plan);
    const hsched_section_config config = { .steps = m->steps,
                                           .step_count = plan->step_count,
                                           .places = m->places,
                                           .input_count = plan->input_count,
                                           .output_count = plan->output_count };
    assert_ok(hsi_cuda_make_ports(s, &config));
}

static fake_op *make_op(model *m, uint32_t index, uint32_t step, uint32_t port)
{
    m->ops[index] = (fake_op){ .op = { .enqueue = enqueue },
                               .section = &m->section,
                               .variant = &m->variant,
                               .step = step,
                               .port = port };
    m->ops[index].op.workspace = port == UINT32_MAX && (m->seed + step) % 5 == 0;
    return &m->ops[index];
}

/* By the copy engine where that is possible, for some. */
static hsi_cuda_op *make_transfer_op(model *m, uint32_t port)
{
    const hsi_cuda_port *p = &m->section.ports[port];
    const hsi_cuda_transfer t = { .device = &m->device,
                                  .type = HSI_CUDA_F32,
                                  .members = m->members,
                                  .to_slot = p->to_slot,
                                  .member = p->tensor,
                                  .slot = p->tensor };
    hsi_cuda_op *op;
    if (p->kind == HSI_CUDA_PORT_ARENA && m->seed % 3 &&
        hsi_cuda_make_copied(&t, &op) == HSCHED_OK)
        return op;
    return &make_op(m, m->section.step_count + port, 1, port)->op;
}

/* 0: some step cannot be joined. */
static int make_variant(model *m)
{
    hsched_backend_section *s = &m->section;
    hsi_cuda_variant *v = &m->variant;
    *v = (hsi_cuda_variant){ .members = m->members };
    m->ops = zeroed(s->step_count + s->port_count, sizeof *m->ops);
    v->steps = zeroed(s->step_count, sizeof *v->steps);
    v->ops = zeroed(s->step_count, sizeof(void *));
    v->transfers = zeroed(s->port_count, sizeof(void *));
    hsi_cuda_slot_sizes(s, v->members, &v->arena_bytes, &v->io_bytes);
    for (uint32_t i = 0; i < s->step_count; i++) {
        if (!hsi_cuda_batch_step(s, i, v->members, &v->steps[i].step))
            return 0;
        v->ops[i] = &make_op(m, i, i, UINT32_MAX)->op;
    }
    for (uint32_t p = 0; p < s->port_count; p++)
        if (hsi_cuda_is_transferred(&s->ports[p], v->members))
            v->transfers[p] = make_transfer_op(m, p);
        else
            mapped_count += !s->ports[p].fused;
    return 1;
}

static void free_model(model *m)
{
    for (uint32_t p = 0; p < m->section.port_count; p++)
        if (m->variant.transfers && m->variant.transfers[p] &&
            m->variant.transfers[p]->destroy)
            m->variant.transfers[p]->destroy(m->variant.transfers[p]);
    hsi_cuda_free_ports(&m->section);
    free(m->here);
    free(m->section.constants);
    free(m->variant.steps);
    free(m->variant.ops);
    free(m->variant.transfers);
    free(m->ops);
    free(m->steps);
    free(m->places);
    free(m->io_bytes);
    free(m->io_types);
}

/* ---- Running a job -------------------------------------------------------- */

/* Member `mine` has the memory that is compared, the others have some of their own, full of numbers
 * that must not get into it. */
static char *member_memory(const model *m, uint32_t member, uint32_t io,
                           const void *const *inputs, void *const *outputs, char **others)
{
    const hsched_backend_section *s = &m->section;
    if (member == m->mine)
        return io < s->input_count ? (char *)(uintptr_t)inputs[io]
                                   : outputs[io - s->input_count];
    char **block = &others[member * (s->input_count + s->output_count) + io];
    if (!*block) {
        *block = zeroed(m->io_bytes[io], 1);
        memset(*block, m->io_types[io] == HSCHED_FLOAT32 ? 0x7f : 0, m->io_bytes[io]);
    }
    return *block;
}

static uint64_t *make_table(const model *m, const void *const *inputs,
                            void *const *outputs, char **others)
{
    const hsched_backend_section *s = &m->section;
    uint64_t *table = zeroed((size_t)s->port_count * m->members, sizeof *table);
    for (uint32_t p = 0; p < s->port_count; p++)
        for (uint32_t member = 0; member < m->members; member++) {
            const hsi_cuda_port *port = &s->ports[p];
            const uint32_t io = port->kind == HSI_CUDA_PORT_INPUT
                                    ? port->index
                                    : s->input_count + port->index;
            const char *memory =
                port->kind == HSI_CUDA_PORT_ARENA
                    ? m->arena
                    : member_memory(m, member, io, inputs, outputs, others);
            table[p * m->members + member] = (uintptr_t)memory + port->offset;
        }
    return table;
}

static void launch(model *m, const uint64_t *table, char *memory, uint32_t first,
                   uint32_t count)
{
    hsi_cuda_recorder recorder = { 0 };
    const hsched_backend_section *s = &m->section;
    hsi_cuda_launch job = { .memory = (uintptr_t)memory,
                            .table = (uintptr_t)table,
                            .arena = (uintptr_t)m->arena,
                            .first = first,
                            .count = count };
    if (m->as_graph) {
        assert_ok(
            hsi_cuda_record_begin(&m->device, s->step_count + s->port_count, &recorder));
        job.recorder = &recorder;
    }
    assert_ok(hsi_cuda_variant_launch(&m->section, &m->variant, &job));
    hsi_cuda_record_end(&recorder);
    if (m->as_graph)
        run_graph(m->seed);
}

static void *on_host(const model *m, const hsched_place *place, const void *const *inputs,
                     void *const *outputs)
{
    switch (place->storage) {
    case HSCHED_STORAGE_ARENA:
        return m->arena + place->offset;
    case HSCHED_STORAGE_INPUT:
        return (char *)(uintptr_t)inputs[place->index] + place->offset;
    case HSCHED_STORAGE_OUTPUT:
        return (char *)outputs[place->index] + place->offset;
    default:
        return NULL;
    }
}

/* A step that is elsewhere: on the host's arena. */
static void run_on_host(const model *m, uint32_t step, const void *const *inputs,
                        void *const *outputs)
{
    const void *in[HSCHED_STEP_MAX_INPUTS];
    for (uint32_t k = 0; k < HSCHED_STEP_MAX_INPUTS; k++)
        in[k] = on_host(m, &m->places[step].in[k], inputs, outputs);
    assert_ok(hsi_ref_run(&m->steps[step], in,
                          on_host(m, &m->places[step].out, inputs, outputs)));
}

/* Sections one after the other; those here as jobs of one or several. */
static void run_sections(model *m, const hsi_plan *plan, const uint64_t *table,
                         char *memory, const void *const *inputs, void *const *outputs)
{
    uint64_t random = m->seed;
    for (uint32_t i = 0; i < plan->section_count; i++) {
        const uint32_t first = plan->sections[i].first_step;
        uint32_t end = first + plan->sections[i].step_count;
        if (!m->here[i]) {
            for (uint32_t step = first; step < end; step++)
                run_on_host(m, step, inputs, outputs);
            continue;
        }
        while (i + 1 < plan->section_count && m->here[i + 1] &&
               (!m->split || random_graph_next(&random) % 3))
            end += plan->sections[++i].step_count;
        launch(m, table, memory, first, end - first);
    }
}

static const char *run(const hsi_plan *plan, const void *const *inputs,
                       void *const *outputs, void *user)
{
    model *m = user;
    const uint32_t ios = plan->input_count + plan->output_count;
    const size_t size = m->variant.arena_bytes + m->variant.io_bytes;
    char **others = zeroed((size_t)ios * m->members, sizeof *others);
    char *memory = zeroed(size, 1);
    m->arena = zeroed(plan->arena_size, 1);
    memset(m->arena, 0xff, plan->arena_size);
    memset(memory, 0xff, size);
    for (uint32_t i = 0; i < plan->output_count; i++)
        memset(outputs[i], 0xff, plan->outputs[i].byte_size);
    uint64_t *table = make_table(m, inputs, outputs, others);
    run_sections(m, plan, table, memory, inputs, outputs);
    for (uint32_t i = 0; i < ios * m->members; i++)
        free(others[i]);
    free(others);
    free(m->arena);
    free(memory);
    free(table);
    return NULL;
}

/* ---- The tests ------------------------------------------------------------ */

static uint32_t total_edges, total_nodes, total_early, total_joined;

static int cut_everywhere(uint32_t before, uint32_t after)
{
    (void)before, (void)after;
    return 1;
}

static void try_one(uint64_t seed, uint32_t members, int as_graph, int split)
{
    hsched_graph *graph, *special;
    hsi_plan *plan;
    model m = { .members = members, .seed = seed, .as_graph = as_graph, .split = split };
    m.mine = (uint32_t)(seed % members);
    assert_ok(random_graph_make(seed, (uint32_t)(3 + seed % 30), &graph));
    assert_ok(hsi_graph_specialise(graph, NULL, 0, &special));
    const hsi_plan_config config = {
        .max_parts = 1,
        .parallel_steps = !split || seed % 2,
        .cut = split ? cut_everywhere : NULL,
        .input_layout = seed & 1 ? HSCHED_LAYOUT_NHWC : HSCHED_LAYOUT_DENSE,
        .output_layout = seed & 2 ? HSCHED_LAYOUT_NHWC : HSCHED_LAYOUT_DENSE,
        .no_fusion = seed % 7 == 0,
    };
    assert_ok(hsi_plan_create(special, &config, &plan));
    make_section(&m, plan);
    if (make_variant(&m)) {
        const char *wrong = plan_compare_run(special, plan, seed, run, &m);
        if (wrong)
            fail_msg("seed %llu, %u members, %s%s: %s", (unsigned long long)seed, members,
                     as_graph ? "graph" : "stream", split ? ", split" : "", wrong);
        total_joined += members > 1;
        total_nodes += as_graph ? node_count : 0;
        total_edges += as_graph ? edge_count : 0;
        total_early += as_graph ? early_count : 0;
    }
    free_model(&m);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(special);
    hsched_graph_destroy(graph);
}

static void test_streams(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS / 4; seed++)
        for (uint32_t members = 1; members <= 3; members++)
            try_one(seed, members, 0, 0);
}

static void test_graphs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        try_one(seed, 1 + (uint32_t)(seed % 3), 1, 0);
    print_message("# %u nodes, %u edges, %u of them early; %u jobs joined\n", total_nodes,
                  total_edges, total_early, total_joined);
    assert_true(total_nodes > SEEDS && total_early > 0 && total_joined > 0);
}

/* Sections here and on the host in turn: tensors cross, by kernels, by copies
 * and in place. */
static void test_crossings(void **state)
{
    (void)state;
    copy_count = mapped_count = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        try_one(seed, 1, seed % 5 > 0, 1);
    print_message("# tensors crossed by %u copies, and %u in place\n", copy_count,
                  mapped_count);
    assert_true(copy_count > 0 && mapped_count > SEEDS);
}

/* Without announcements each node follows the one before. */
static void test_chain(void **state)
{
    (void)state;
    hsi_cuda_device device = { .ordinal = 0 };
    hsi_cuda_recorder recorder;
    fake_op op = { .step = 0, .port = UINT32_MAX };
    static const uint32_t early[] = { 0, 1, 2, 2, 3, 4 };
    assert_ok(hsi_cuda_record_begin(&device, 0, &recorder));
    const hsi_cuda_call call = { .recorder = &recorder };
    for (uint32_t i = 0; i < 6; i++) {
        op.step = i; /* 0, 3: they wait */
        assert_ok(enqueue(&op.op, &call));
        assert_int_equal(nodes[i].from_count, i > 0);
        assert_true(i == 0 || nodes[i].from[0] == i - 1);
        assert_int_equal(early_count, early[i]);
    }
    hsi_cuda_record_end(&recorder);
}

static CUresult no_room(CUgraphNode *added, CUgraph graph, const CUgraphNode *from,
                        size_t count, const CUDA_KERNEL_NODE_PARAMS *params)
{
    (void)added, (void)graph, (void)from, (void)count, (void)params;
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static void test_failure(void **state)
{
    (void)state;
    hsi_cuda_device device = { .ordinal = 0 };
    hsi_cuda_recorder recorder;
    const fake_op op = { .port = UINT32_MAX };
    assert_ok(hsi_cuda_record_begin(&device, 4, &recorder));
    const hsi_cuda_call call = { .recorder = &recorder };
    hsi_cuda.cuGraphAddKernelNode = no_room;
    hsi_cuda_record_launch(&recorder, &(hsi_cuda_access){ .exclusive = 1 });
    assert_int_equal(enqueue(&op.op, &call), HSCHED_ERROR_OUT_OF_MEMORY);
    hsi_cuda.cuGraphAddKernelNode = add_kernel_node;
    hsi_cuda_record_end(&recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),   cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_crossings), cmocka_unit_test(test_chain),
        cmocka_unit_test(test_failure),
    };
    hsi_cuda_host = &hsi_backend_host;
    hsi_cuda.cuLaunchKernelEx = launch_kernel;
    hsi_cuda.cuGraphCreate = create_graph;
    hsi_cuda.cuGraphAddKernelNode = add_kernel_node;
    hsi_cuda.cuGraphAddDependencies_v2 = add_dependencies;
    hsi_cuda.cuGraphAddMemcpyNode = add_copy_node;
    hsi_cuda.cuMemcpyAsync = copy_now;
    return cmocka_run_group_tests_name("launches and graphs", tests, NULL, NULL);
}
