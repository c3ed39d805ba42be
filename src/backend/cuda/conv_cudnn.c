/*
 * CONV2D through cuDNN's graphs: convolution, residual, bias and activation as one graph of
 * operations with virtual float tensors between them, executed by one of cuDNN's engines.
 *
 * A variant is "cudnn:ENGINE:KNOB=VALUE,...": what an engine configuration consists of, so that
 * a stored choice is made again without asking the heuristics. With "a" after the engine the
 * activation is no part of the graph and follows as an own kernel, in place: for activations
 * that cuDNN has not, or not exactly, or only in engines that it compiles at run time. Those
 * have a "c", and come last.
 */
#include "backend/cuda/bias.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/conv_dnn_graph.h"
#include "backend/cuda/host.h"
#include "backend/cuda/record.h"
#include "backend/cuda/tune.h"

#define WORKSPACE_MAX ((int64_t)64 << 20)
#define KNOBS_MAX     32
#define CONFIGS_MAX   128 /* that are asked of the heuristics */
#define NOTES_MAX     32
#define COMPILED_MAX  24 /* variants with engines that are compiled at run time */

/* ---- Engines -------------------------------------------------------------- */

typedef struct choice {
    int fused;    /* the activation, if there is one, is part of the graph */
    int compiled; /* at run time */
    int64_t engine;
    int64_t knobs; /* how many */
    int64_t types[KNOBS_MAX], values[KNOBS_MAX];
} choice;

static int engine_is_compiled(hsi_dnn_desc engine)
{
    cudnnBackendBehaviorNote_t notes[NOTES_MAX];
    int64_t count = 0;
    if (DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, engine,
                  CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                  CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &count, notes) != HSCHED_OK)
        return 1; /* not known: as if */
    for (int64_t i = 0; i < count && i < NOTES_MAX; i++)
        if (notes[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)
            return 1;
    return 0;
}

/* Is x a slice of a joint tensor? Engines compiled at run time take what lies between its
 * pixels for zeros that may be multiplied (seen with cuDNN 9.14, engine 4: 16 channels, a pixel
 * stride of 17): if it is no number, neither is the result. */
static int is_slice(const hsched_operand *x)
{
    return x->strides[3] != x->dims[1] || x->strides[2] != x->dims[3] * x->dims[1];
}

/* 1 if what the engine says of its arithmetic is what the step allows. */
static int engine_is_allowed(const hsi_cuda_step *step, hsi_dnn_desc engine)
{
    cudnnBackendNumericalNote_t notes[NOTES_MAX];
    int64_t count = 0;
    if (is_slice(&step->step.in[0]) && engine_is_compiled(engine))
        return 0;
    if (DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, engine,
                  CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                  CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes) != HSCHED_OK)
        return 0;
    for (int64_t i = 0; i < count && i < NOTES_MAX; i++)
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: /* to half, not to tf32 */
            if (step->type == HSI_CUDA_F32)
                return 0;
            break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD:
            if (step->strict)
                return 0;
            break;
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
            if (step->deterministic)
                return 0;
            break;
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6: /* lose digits */
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
            return 0;
        default:
            break;
        }
    return 1;
}

/* Reads an engine configuration; 0 if it is of no use for the step. */
static int read_config(hsi_dnn_pool *p, const hsi_cuda_step *step, hsi_dnn_desc config,
                       choice *out)
{
    hsi_dnn_desc engine = hsi_dnn_create(p, CUDNN_BACKEND_ENGINE_DESCRIPTOR),
                 knobs[KNOBS_MAX];
    int64_t count = 0;
    for (int i = 0; i < KNOBS_MAX; i++)
        knobs[i] = hsi_dnn_create(p, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    if (p->status != HSCHED_OK ||
        DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, config,
                  CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                  &engine) != HSCHED_OK ||
        DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, engine,
                  CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count,
                  &out->engine) != HSCHED_OK ||
        !engine_is_allowed(step, engine) ||
        DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, config,
                  CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                  KNOBS_MAX, &out->knobs, knobs) != HSCHED_OK ||
        out->knobs > KNOBS_MAX)
        return 0;
    out->compiled = engine_is_compiled(engine);
    for (int64_t i = 0; i < out->knobs; i++) {
        cudnnBackendKnobType_t type = CUDNN_KNOB_TYPE_COUNTS;
        if (DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, knobs[i],
                      CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &count,
                      &type) != HSCHED_OK ||
            DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, knobs[i],
                      CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &count,
                      &out->values[i]) != HSCHED_OK)
            return 0;
        out->types[i] = type;
    }
    return 1;
}

/* ---- Variants ------------------------------------------------------------- */

/* 0 if it is too long to be stored. */
static int write_variant(const choice *c, char *text)
{
    int length =
        snprintf(text, HSI_CUDA_VARIANT_LENGTH, "cudnn:%" PRId64 "%s%s:", c->engine,
                 c->compiled ? "c" : "", c->fused ? "" : "a");
    for (int64_t i = 0; i < c->knobs && length < HSI_CUDA_VARIANT_LENGTH; i++)
        length += snprintf(text + length, (size_t)(HSI_CUDA_VARIANT_LENGTH - length),
                           "%s%" PRId64 "=%" PRId64, i > 0 ? "," : "", c->types[i],
                           c->values[i]);
    return length < HSI_CUDA_VARIANT_LENGTH;
}

/* Takes a decimal number off *text; 0 if there is none or it is too long. */
static int read_number(const char **text, int64_t *value)
{
    const char *at = *text;
    const int negative = *at == '-';
    at += negative;
    const char *first = at;
    for (*value = 0; *at >= '0' && *at <= '9' && at - first < 18; at++)
        *value = *value * 10 + (*at - '0');
    if (at == first)
        return 0;
    if (negative)
        *value = -*value;
    *text = at;
    return 1;
}

static int read_char(const char **text, char c)
{
    return **text == c ? ((*text)++, 1) : 0;
}

static int parse_variant(const char *text, choice *c)
{
    static const char head[] = "cudnn:";
    if (strncmp(text, head, sizeof head - 1) != 0)
        return 0;
    text += sizeof head - 1;
    c->knobs = 0;
    if (!read_number(&text, &c->engine) || c->engine < 0)
        return 0;
    c->compiled = read_char(&text, 'c');
    c->fused = !read_char(&text, 'a');
    if (!read_char(&text, ':'))
        return 0;
    while (*text) {
        if (c->knobs == KNOBS_MAX || (c->knobs > 0 && !read_char(&text, ',')) ||
            !read_number(&text, &c->types[c->knobs]) || c->types[c->knobs] < 0 ||
            c->types[c->knobs] > 1000 || !read_char(&text, '=') ||
            !read_number(&text, &c->values[c->knobs]))
            return 0;
        c->knobs++;
    }
    return 1;
}

/* ---- Heuristics ----------------------------------------------------------- */

typedef struct list {
    const hsi_cuda_step *step;
    char (*texts)[HSI_CUDA_VARIANT_LENGTH];
    uint32_t count;
    char compiled[COMPILED_MAX][HSI_CUDA_VARIANT_LENGTH]; /* to come last */
    uint32_t compiled_count;
} list;

/* The fallbacks repeat some of the best. */
static void add_text(char (*texts)[HSI_CUDA_VARIANT_LENGTH], uint32_t *count,
                     const char *text)
{
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp(texts[i], text) == 0)
            return;
    strcpy(texts[(*count)++], text);
}

static void add_config(list *l, int fused, hsi_dnn_desc config)
{
    hsi_dnn_pool p = { .status = HSCHED_OK };
    choice c = { .fused = fused };
    char text[HSI_CUDA_VARIANT_LENGTH];
    if (read_config(&p, l->step, config, &c) && write_variant(&c, text)) {
        if (!c.compiled)
            add_text(l->texts, &l->count, text);
        else if (l->compiled_count < COMPILED_MAX)
            add_text(l->compiled, &l->compiled_count, text);
    }
    hsi_dnn_pool_end(&p);
}

/* The configurations that a heuristic proposes, to be destroyed; at most CONFIGS_MAX. */
static int64_t read_results(hsi_dnn_pool *p, hsi_dnn_desc heuristic,
                            hsi_dnn_desc *configs)
{
    int64_t there = 0, made = 0;
    if (p->status == HSCHED_OK)
        p->status = DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, heuristic,
                              CUDNN_ATTR_ENGINEHEUR_RESULTS,
                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &there, NULL);
    if (there > CONFIGS_MAX)
        there = CONFIGS_MAX;
    while (p->status == HSCHED_OK && made < there) {
        p->status = DNN_CHECK(hsi_dnn_doing, cudnnBackendCreateDescriptor,
                              CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[made]);
        made += p->status == HSCHED_OK;
    }
    there = 0; /* fewer than announced: those that do not run here are left out */
    if (p->status == HSCHED_OK && made > 0)
        p->status = DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, heuristic,
                              CUDNN_ATTR_ENGINEHEUR_RESULTS,
                              CUDNN_TYPE_BACKEND_DESCRIPTOR, made, &there, configs);
    if (p->status != HSCHED_OK)
        there = 0;
    while (made > there)
        hsi_dnn_destroy_desc(configs[--made]);
    return made;
}

/* Appends what one of cuDNN's heuristics proposes for a graph, up to `most` texts in all. */
static void ask(list *l, int fused, cudnnBackendHeurMode_t mode, uint32_t most)
{
    const hsi_cuda_device *device = l->step->device;
    hsi_dnn_pool p = { .status = HSCHED_OK };
    hsi_dnn_desc configs[CONFIGS_MAX];
    hsi_dnn_desc graph =
        hsi_dnn_make_graph(&p, l->step, fused && hsi_dnn_can_fuse(l->step));
    hsi_dnn_desc heuristic = hsi_dnn_create(&p, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    hsi_dnn_set_desc(&p, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    hsi_dnn_set(&p, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1,
                &mode);
    if (p.status == HSCHED_OK && device->sm_count < device->sm_total) {
        /* A hint: a cuDNN that does not know it proposes for the whole GPU. */
        const int32_t sms = device->sm_count;
        (void)DNN(cudnnBackendSetAttribute, heuristic,
                  CUDNN_ATTR_ENGINEHEUR_SM_COUNT_TARGET, CUDNN_TYPE_INT32, 1, &sms);
    }
    hsi_dnn_finalize(&p, heuristic);
    int64_t count = read_results(&p, heuristic, configs);
    for (int64_t i = 0; i < count && l->count < most; i++)
        add_config(l, fused, configs[i]);
    while (count > 0)
        hsi_dnn_destroy_desc(configs[--count]);
    hsi_dnn_pool_end(&p);
}

/*
 * An activation other than relu is fused only by engines that cuDNN compiles at run time,
 * while the convolution without it has many that are ready.
 */
static uint32_t variants(const hsi_cuda_step *step, uint32_t most,
                         char (*texts)[HSI_CUDA_VARIANT_LENGTH])
{
    const hsched_activation_kind act = step->step.act.kind;
    const int fused = act == HSCHED_ACTIVATION_NONE || hsi_dnn_can_fuse(step);
    const int apart = act != HSCHED_ACTIVATION_NONE && act != HSCHED_ACTIVATION_RELU;
    if (hsi_dnn_check_step(step) != HSCHED_OK)
        return 0;
    list *l = HSI_CUDA_NEW(list);
    if (!l)
        return 0;
    l->step = step;
    l->texts = texts;
    if (fused)
        ask(l, 1, CUDNN_HEUR_MODE_A, most);
    if (apart)
        ask(l, 0, CUDNN_HEUR_MODE_A, most);
    if (fused)
        ask(l, 1, CUDNN_HEUR_MODE_FALLBACK, most);
    if (apart)
        ask(l, 0, CUDNN_HEUR_MODE_FALLBACK, most);
    for (uint32_t i = 0; i < l->compiled_count && l->count < most; i++)
        add_text(texts, &l->count, l->compiled[i]);
    const uint32_t count = l->count;
    hsi_cuda_host->free(l);
    return count;
}

int hsi_cuda_cudnn_compiles(const char *variant)
{
    choice c;
    return parse_variant(variant, &c) && c.compiled;
}

/* ---- The op --------------------------------------------------------------- */

typedef struct cudnn_op {
    hsi_cuda_op op;
    hsi_cuda_device *device;
    hsi_dnn_pool descriptors;
    hsi_dnn_desc plan;
    int64_t tensors, ids[HSI_DNN_OUT];
    hsi_cuda_bias bias; /* own copy, or none: the step's */
    hsi_cuda_op *after; /* the activation, in place; or NULL */
} cudnn_op;

static void destroy(hsi_cuda_op *op)
{
    cudnn_op *o = (cudnn_op *)op;
    if (o->after)
        o->after->destroy(o->after);
    hsi_dnn_pool_end(&o->descriptors);
    hsi_cuda_bias_free(o->device, &o->bias);
    hsi_cuda_host->free(o);
}

/* Addresses change from call to call, and a finalized variant pack does not: so each call has
 * its own. The heap that it takes is cuDNN's. */
static hsi_dnn_desc make_pack(hsi_dnn_pool *p, const cudnn_op *o,
                              const hsi_cuda_call *call)
{
    void *addresses[HSI_DNN_OUT], *workspace = (void *)(uintptr_t)call->workspace;
    for (int64_t i = 0; i < o->tensors; i++) {
        const int64_t id = o->ids[i];
        addresses[i] = (void *)(uintptr_t)(id == HSI_DNN_OUT ? call->out
                                           : id == HSI_DNN_BIAS && o->bias.address
                                               ? o->bias.address
                                               : call->in[id - HSI_DNN_X]);
    }
    hsi_dnn_desc pack = hsi_dnn_create(p, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    hsi_dnn_set(p, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, o->tensors,
                o->ids);
    hsi_dnn_set(p, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                o->tensors, addresses);
    hsi_dnn_set(p, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                &workspace);
    hsi_dnn_finalize(p, pack);
    return pack;
}

/* Some engines can say what they launch as a graph. 0: not this one. */
static int record_plan(const cudnn_op *o, const hsi_cuda_call *call,
                       hsched_status *status)
{
    CUgraph child = NULL;
    if (!hsi_cuda.cudnnBackendPopulateCudaGraph || o->device->green)
        return 0;
    hsi_dnn_pool p = { .status = HSCHED_OK };
    hsi_dnn_desc pack = make_pack(&p, o, call);
    if (p.status == HSCHED_OK)
        p.status = CU_CHECK(hsi_dnn_doing, cuGraphCreate, &child, 0);
    const int populated = p.status == HSCHED_OK &&
                          DNN(cudnnBackendPopulateCudaGraph, o->device->cudnn, o->plan,
                              pack, (cudaGraph_t)child) == CUDNN_STATUS_SUCCESS;
    *status = populated ? hsi_cuda_record_child(call->recorder, child) : p.status;
    if (child)
        hsi_cuda.cuGraphDestroy(child);
    hsi_dnn_pool_end(&p);
    return populated;
}

static hsched_status execute(const cudnn_op *o, const hsi_cuda_call *call)
{
    hsi_dnn_pool p = { .status = HSCHED_OK };
    hsi_dnn_desc pack = make_pack(&p, o, call);
    if (p.status == HSCHED_OK)
        p.status = DNN_CHECK(hsi_dnn_doing, cudnnSetStream, o->device->cudnn,
                             (cudaStream_t)call->stream);
    if (p.status == HSCHED_OK)
        p.status =
            DNN_CHECK(o->op.name, cudnnBackendExecute, o->device->cudnn, o->plan, pack);
    hsi_dnn_pool_end(&p);
    return p.status;
}

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const cudnn_op *o = (const cudnn_op *)op;
    hsched_status status;
    if (!call->recorder)
        status = execute(o, call);
    else if (!record_plan(o, call, &status))
        return hsi_cuda_record_captured(op, call);
    if (status != HSCHED_OK || !o->after)
        return status;
    hsi_cuda_call after = { .stream = call->stream,
                            .recorder = call->recorder,
                            .in = { call->out },
                            .out = call->out,
                            .workspace = call->workspace };
    return o->after->enqueue(o->after, &after);
}

/* Engine, configuration and plan of a choice. */
static void make_plan(cudnn_op *o, const hsi_cuda_step *step, const choice *c)
{
    hsi_dnn_pool *p = &o->descriptors;
    hsi_dnn_desc graph = hsi_dnn_make_graph(p, step, c->fused && hsi_dnn_can_fuse(step));
    hsi_dnn_desc engine = hsi_dnn_create(p, CUDNN_BACKEND_ENGINE_DESCRIPTOR),
                 knobs[KNOBS_MAX];
    hsi_dnn_set_desc(p, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    hsi_dnn_set(p, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1,
                &c->engine);
    hsi_dnn_finalize(p, engine);
    if (p->status == HSCHED_OK && !engine_is_allowed(step, engine))
        p->status =
            hsi_dnn_refuse("the engine's arithmetic is not what the step asks for");
    for (int64_t i = 0; i < c->knobs; i++) {
        const cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)c->types[i];
        knobs[i] = hsi_dnn_create(p, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        hsi_dnn_set(p, knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE,
                    1, &type);
        hsi_dnn_set(p, knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
                    &c->values[i]);
        hsi_dnn_finalize(p, knobs[i]);
    }
    hsi_dnn_desc config = hsi_dnn_create(p, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    hsi_dnn_set_desc(p, config, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    if (c->knobs > 0)
        hsi_dnn_set(p, config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                    CUDNN_TYPE_BACKEND_DESCRIPTOR, c->knobs, knobs);
    hsi_dnn_finalize(p, config);
    o->plan = hsi_dnn_create(p, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    hsi_dnn_set(p, o->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                &step->device->cudnn);
    hsi_dnn_set_desc(p, o->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    hsi_dnn_finalize(p, o->plan);
}

/* The activation that is no part of the graph. */
static hsched_status make_after(cudnn_op *o, const hsi_cuda_step *step)
{
    const hsched_step *s = &step->step;
    hsi_cuda_step act = { .device = step->device,
                          .type = step->type,
                          .strict = step->strict,
                          .deterministic = step->deterministic,
                          .out_alignment = step->out_alignment };
    act.step = (hsched_step){ .struct_size = sizeof(hsched_step),
                              .kind = HSCHED_STEP_UNARY,
                              .name = s->name,
                              .input_count = 1,
                              .in = { s->out },
                              .out = s->out,
                              .out_aliases = 0,
                              .act = s->act,
                              .parts = 1 };
    act.alignment[0] = step->out_alignment;
    hsched_status status = hsi_cuda_make_unary(&act, &o->after);
    if (status == HSCHED_OK && o->after->zeroed > 0)
        status = hsi_dnn_refuse(
            "the activation needs counters"); /* cuDNN would overwrite them */
    return status;
}

/* What the op needs besides the plan. */
static hsched_status make_rest(cudnn_op *o, const hsi_cuda_step *step, int fused)
{
    const int has_bias = hsi_dnn_graph_has_bias(step, fused && hsi_dnn_can_fuse(step));
    int64_t workspace = 0, count = 0;
    hsched_status status = DNN_CHECK(hsi_dnn_doing, cudnnBackendGetAttribute, o->plan,
                                     CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                     CUDNN_TYPE_INT64, 1, &count, &workspace);
    if (status == HSCHED_OK && (workspace < 0 || workspace > WORKSPACE_MAX))
        status = hsi_dnn_refuse("the engine needs too much workspace");
    if (status == HSCHED_OK && has_bias && hsi_cuda_bias_needs_copy(step))
        status = hsi_cuda_bias_copy(step, &o->bias);
    if (status == HSCHED_OK && !fused)
        status = make_after(o, step);
    if (status != HSCHED_OK)
        return status;
    o->op.workspace = (size_t)workspace;
    if (o->after && o->after->workspace > o->op.workspace)
        o->op.workspace = o->after->workspace;
    for (int64_t id = HSI_DNN_X; id <= HSI_DNN_OUT; id++)
        if (id == HSI_DNN_OUT || (id == HSI_DNN_BIAS && has_bias) ||
            (id != HSI_DNN_BIAS &&
             hsi_dnn_is_present(&step->step, (uint32_t)(id - HSI_DNN_X))))
            o->ids[o->tensors++] = id;
    return HSCHED_OK;
}

static hsched_status make(const hsi_cuda_step *step, const char *text, hsi_cuda_op **op)
{
    choice c;
    *op = NULL;
    if (!parse_variant(text, &c))
        return hsi_cuda_host->set_error(HSCHED_ERROR_FORMAT,
                                        "GPU: \"%s\" is no variant of cuDNN's", text);
    hsched_status status = hsi_dnn_check_step(step);
    if (status == HSCHED_OK &&
        !(c.fused
              ? step->step.act.kind == HSCHED_ACTIVATION_NONE || hsi_dnn_can_fuse(step)
              : step->step.act.kind != HSCHED_ACTIVATION_NONE))
        status = hsi_dnn_refuse("the variant is of another activation");
    if (status != HSCHED_OK)
        return status;
    cudnn_op *o = HSI_CUDA_NEW(cudnn_op);
    if (!o)
        return hsi_cuda_no_memory(hsi_dnn_doing);
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    o->device = step->device;
    make_plan(o, step, &c);
    status = o->descriptors.status;
    if (status == HSCHED_OK)
        status = make_rest(o, step, c.fused);
    if (status != HSCHED_OK) {
        destroy(&o->op);
        return status;
    }
    snprintf(o->op.name, sizeof o->op.name, "cudnn/eng %" PRId64 "%s", c.engine,
             o->after ? " + activation" : "");
    *op = &o->op;
    return HSCHED_OK;
}

const hsi_cuda_family hsi_cuda_family_cudnn = { .name = "cudnn",
                                                .variants = variants,
                                                .make = make };
