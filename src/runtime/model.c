/* Models: compiling, loading, reference counting, and what they tell about themselves. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/status.h"
#include "runtime/planner.h"
#include "runtime/tracing.h"
#include "worker/queue.h"

enum {
    DEFAULT_MAX_BATCH = 16,
    LEARN_FIRST = 64 /* jobs; then twice as many each time */
};

hsched_status hsi_model_check_policy(const hsched_runtime *rt, hsched_policy policy)
{
    switch (policy) {
    case HSCHED_POLICY_PLUGIN:
        if (rt->plugin.hooks.place)
            return HSCHED_OK;
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "policy PLUGIN is asked for, and the runtime has none; set "
                         "hsched_runtime_config.policy_plugin");
    case HSCHED_POLICY_DEFAULT:
    case HSCHED_POLICY_CPU_ONLY:
    case HSCHED_POLICY_LAYER_TYPE:
    case HSCHED_POLICY_GPU_ONLY:
    case HSCHED_POLICY_COST:
        return HSCHED_OK;
    }
    return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                     "policy %d is not known to version %s; use one of HSCHED_POLICY_...",
                     (int)policy, HSCHED_VERSION_STRING);
}

hsched_policy hsi_model_policy(const hsched_runtime *rt,
                               const hsched_model_config *config)
{
    if (config->policy != HSCHED_POLICY_DEFAULT)
        return config->policy;
    return config->flags & HSCHED_MODEL_DETERMINISTIC ? rt->steady_policy : rt->policy;
}

static const hsi_policy *policy_of(const hsched_runtime *rt,
                                   const hsched_model_config *config)
{
    const hsched_policy policy = hsi_model_policy(rt, config);
    if (policy == HSCHED_POLICY_PLUGIN)
        return &rt->plugin.policy;
    if (policy == HSCHED_POLICY_LAYER_TYPE && rt->device_count > 1)
        return &hsi_policy_layer_type;
    if (policy == HSCHED_POLICY_GPU_ONLY && rt->device_count > 1)
        return &hsi_policy_gpu_only;
    if (policy == HSCHED_POLICY_COST && rt->device_count > 1)
        return &hsi_policy_cost;
    return &hsi_policy_cpu_only;
}

static hsched_status check_config(const hsched_runtime *rt,
                                  const hsched_model_config *config)
{
    const uint32_t known = HSCHED_MODEL_MAP_WEIGHTS | HSCHED_MODEL_ALLOW_EXTERNAL_DATA |
                           HSCHED_MODEL_NO_FUSION | HSCHED_MODEL_KEEP_CONSTANTS |
                           HSCHED_MODEL_DETERMINISTIC | HSCHED_MODEL_STEP_JOBS |
                           HSCHED_MODEL_DYNAMIC | HSCHED_MODEL_CACHE_WEIGHTS;
    if (config->flags & ~known)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_model_config: flags 0x%x has bits that are not HSCHED_MODEL_...",
            config->flags);
    if ((unsigned)config->input_layout > HSCHED_LAYOUT_NHWC ||
        (unsigned)config->output_layout > HSCHED_LAYOUT_NHWC)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_config: input_layout and output_layout must be "
                         "HSCHED_LAYOUT_DENSE or HSCHED_LAYOUT_NHWC");
    if ((unsigned)config->math > HSCHED_MATH_BF16)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_config: math %d is not HSCHED_MATH_...",
                         (int)config->math);
    if (config->max_batch > HSI_QUEUE_BATCH)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_config: max_batch is %u; at most %d",
                         config->max_batch, HSI_QUEUE_BATCH);
    if ((config->tap_count > 0 && !config->taps) ||
        (config->symbol_count > 0 && !config->symbols))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_config: a count is set and its array is NULL");
    return hsi_model_check_policy(rt, config->policy);
}

/* If a device without memory of its own is lost, what was done elsewhere stays done: the
 * inputs of its sections must be whole then. Runs on other devices start again. */
static int keeps_section_inputs(const hsched_runtime *rt, const hsi_policy *policy)
{
    if (policy == &hsi_policy_cpu_only)
        return 0;
    for (uint32_t d = 1; d < rt->device_count; d++)
        if (!rt->devices[d].has_queue)
            return 1;
    return 0;
}

static int supports(const void *user, uint32_t device, const hsched_step *step)
{
    const hsi_exec_device *d = &((const hsched_runtime *)user)->devices[device];
    return d->backend->supports(d->handle, step);
}

/* A section goes to one device: a step that an accelerator cannot take must not keep the others
 * of its section from there, and the user's policy may cut. That shows when there are steps:
 * then the plan is made once more. */
static hsched_status make_plan(hsched_model *model, const hsi_policy *policy,
                               hsi_plan_config *config)
{
    hsched_status status = hsi_plan_create(model->graph, config, &model->plan);
    if (status != HSCHED_OK || policy == &hsi_policy_cpu_only ||
        model->runtime->device_count < 2)
        return status;
    const uint64_t lacking = hsi_plan_lacking(model->plan, model->runtime->device_count,
                                              supports, model->runtime);
    if (lacking) {
        hsi_plan_destroy(model->plan);
        model->plan = NULL;
        config->without |= lacking;
        status = hsi_plan_create(model->graph, config, &model->plan);
        if (status != HSCHED_OK)
            return status;
    }
    uint32_t *groups = HSI_NEW_ARRAY(uint32_t, model->plan->step_count);
    if (!groups)
        return hsi_out_of_memory("a model's sections");
    if (hsi_model_find_groups(model->runtime, policy, model->plan, groups)) {
        hsi_plan_destroy(model->plan);
        model->plan = NULL;
        config->groups = groups;
        status = hsi_plan_create(model->graph, config, &model->plan);
    }
    hsi_free(groups);
    return status;
}

/* Makes the plan and has the devices prepare it. model->graph is the specialised copy. */
static hsched_status build(hsched_model *model, const hsched_model_config *config)
{
    hsched_runtime *rt = model->runtime;
    const hsi_policy *policy = policy_of(rt, config);
    hsi_plan_config plan_config = {
        .input_layout = config->input_layout,
        .output_layout = config->output_layout,
        .taps = config->taps,
        .tap_count = config->tap_count,
        .no_fusion = (config->flags & HSCHED_MODEL_NO_FUSION) != 0,
        .without =
            hsi_plan_without(model->math) | hsi_cpu_slower_kinds(rt->cpu_libraries),
        .step_sections = (config->flags & HSCHED_MODEL_STEP_JOBS) != 0,
        .max_parts = config->max_parts ? config->max_parts : rt->workers[0],
        .cut = policy->cut,
        .preserve_section_inputs = keeps_section_inputs(rt, policy),
        .parallel_steps =
            (policy == &hsi_policy_gpu_only || policy == &hsi_policy_cost) &&
            hsi_runtime_mapper(rt) != NULL,
    };
    hsched_status status = make_plan(model, policy, &plan_config);
    if (status == HSCHED_OK)
        status = hsi_tracing_describe(model);
    if (status == HSCHED_OK)
        status = hsi_model_prepare(model, policy);
    if (status != HSCHED_OK)
        return status;
    model->core.objective = model->objective;
    hsi_costs_identify(model, config);
    hsi_plan_packed(model->plan, model->constants_stay);
    if (!model->constants_stay) {
        hsched_graph_destroy(model->graph);
        model->graph = NULL;
    }
    model->weight_bytes += model->plan->constants_size;
    return hsi_planner_admit(model);
}

static void destroy(hsched_model *model)
{
    hsi_sizes_destroy(model->sizes);
    while (model->free_runs) {
        hsched_run *run = model->free_runs;
        model->free_runs = run->next_free;
        hsi_run_destroy(run);
    }
    hsi_planner_dismiss(model);
    hsi_model_unprepare(model);
    hsi_trace_model_release(model->exec.trace_model);
    hsi_plan_destroy(model->plan);
    hsched_graph_destroy(model->graph);
    hsched_graph_destroy(model->own_graph);
    pthread_mutex_destroy(&model->run_mutex);
    hsi_free(model->name);
    hsi_runtime_release(model->runtime);
    hsi_free(model);
}

HSCHED_API hsched_status hsched_model_compile(hsched_runtime *rt, hsched_graph *graph,
                                              const hsched_model_config *user_config,
                                              hsched_model **result)
{
    hsched_model_config config;
    if (!rt || !graph || !result)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_compile: runtime, graph or model is NULL");
    *result = NULL;
    hsched_objective objective;
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status == HSCHED_OK)
        status = check_config(rt, &config);
    if (status == HSCHED_OK)
        status = hsi_power_model_objective(rt, &config, &objective);
    if (status != HSCHED_OK)
        return status;
    if (graph->output_count == 0)
        return hsi_error(
            HSCHED_ERROR_STATE,
            "graph '%s' has no outputs; mark one with hsched_graph_add_output",
            graph->name);

    hsched_model *model = HSI_NEW(hsched_model);
    if (!model)
        return hsi_out_of_memory("a model");
    if (pthread_mutex_init(&model->run_mutex, NULL) != 0) {
        hsi_free(model);
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    }
    atomic_init(&model->references, 1);
    hsi_runtime_retain(rt);
    model->runtime = rt;
    model->learn_until = LEARN_FIRST;
    model->constants_stay =
        (config.flags & (HSCHED_MODEL_MAP_WEIGHTS | HSCHED_MODEL_KEEP_CONSTANTS)) != 0;
    model->cache_weights = (config.flags & HSCHED_MODEL_CACHE_WEIGHTS) != 0;
    model->math = config.math;
    model->objective = objective;
    model->deterministic = (config.flags & HSCHED_MODEL_DETERMINISTIC) != 0;
    model->max_batch = config.max_batch ? config.max_batch : DEFAULT_MAX_BATCH;
    model->batch_wait_us = config.batch_wait_us;
    model->step_jobs = (config.flags & HSCHED_MODEL_STEP_JOBS) != 0;
    graph->frozen = 1;
    model->name = hsi_strdup(config.name ? config.name : graph->name);
    status = model->name ? hsi_graph_specialise(graph, config.symbols,
                                                config.symbol_count, &model->graph)
                         : hsi_out_of_memory("a model");
    if (status == HSCHED_OK)
        status = build(model, &config);
    if (status == HSCHED_OK && config.flags & HSCHED_MODEL_DYNAMIC)
        status = hsi_sizes_create(model, NULL, graph, &config);
    if (status != HSCHED_OK) {
        destroy(model);
        return status;
    }
    *result = model;
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_model_load(hsched_runtime *rt, const char *path,
                                           const hsched_model_config *user_config,
                                           hsched_model **result)
{
    hsched_model_config config;
    if (!rt || !path || !result)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_load: runtime, path or model is NULL");
    *result = NULL;
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status == HSCHED_OK)
        status = check_config(rt, &config);
    if (status != HSCHED_OK)
        return status;
    hsched_onnx_config onnx = {
        HSCHED_ONNX_CONFIG_INIT,
        .symbols = config.symbols,
        .symbol_count = config.symbol_count,
        .allow_external_data = (config.flags & HSCHED_MODEL_ALLOW_EXTERNAL_DATA) != 0,
    };
    hsched_graph *graph;
    status = hsched_graph_load_onnx(path, &onnx, &graph);
    if (status != HSCHED_OK)
        return status;
    /* The graph has these values now; import may have made plain numbers of some symbols.
     */
    hsched_model_config of_graph = config;
    of_graph.symbols = NULL;
    of_graph.symbol_count = 0;
    of_graph.flags &= ~(uint32_t)HSCHED_MODEL_DYNAMIC;
    status = hsched_model_compile(rt, graph, &of_graph, result);
    if (status == HSCHED_OK && (*result)->constants_stay)
        (*result)->own_graph = graph;
    else
        hsched_graph_destroy(graph);
    if (status == HSCHED_OK && config.flags & HSCHED_MODEL_DYNAMIC) {
        status = hsi_sizes_create(*result, path, NULL, &config);
        if (status != HSCHED_OK) {
            destroy(*result);
            *result = NULL;
        }
    }
    return status == HSCHED_OK ? status : hsi_error_prefix(status, "%s: ", path);
}

HSCHED_API hsched_model *hsched_model_retain(hsched_model *model)
{
    if (model)
        atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

HSCHED_API void hsched_model_release(hsched_model *model)
{
    /* acq_rel: whoever destroys sees all that the other holders did. */
    if (model &&
        atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) == 1)
        destroy(model);
}

/* ---- Information ---------------------------------------------------------- */

HSCHED_API const char *hsched_model_name(const hsched_model *model)
{
    return model ? model->name : "";
}

HSCHED_API uint32_t hsched_model_input_count(const hsched_model *model)
{
    return model ? model->plan->input_count : 0;
}

HSCHED_API uint32_t hsched_model_output_count(const hsched_model *model)
{
    return model ? model->plan->output_count : 0;
}

static hsched_status write_io_info(const hsi_plan_io *ios, uint32_t count, uint32_t index,
                                   const char *function, hsched_tensor_info *info)
{
    if (index >= count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "%s: there is no number %u; there are %u", function, index,
                         count);
    const hsi_plan_io *io = &ios[index];
    hsched_tensor_info filled = { HSCHED_TENSOR_INFO_INIT, .name = io->name,
                                  .dtype = io->dtype,      .layout = io->layout,
                                  .rank = io->rank,        .byte_size = io->byte_size };
    for (uint32_t i = 0; i < io->rank; i++) {
        filled.dims[i] = io->dims[i];
        filled.symbols[i] = io->symbols[i];
    }
    return hsi_info_write(info, &filled, sizeof filled, "hsched_tensor_info");
}

HSCHED_API hsched_status hsched_model_input_info(const hsched_model *model,
                                                 uint32_t index, hsched_tensor_info *info)
{
    if (!model)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_input_info: model is NULL");
    return write_io_info(model->plan->inputs, model->plan->input_count, index,
                         "hsched_model_input_info", info);
}

HSCHED_API hsched_status hsched_model_output_info(const hsched_model *model,
                                                  uint32_t index,
                                                  hsched_tensor_info *info)
{
    if (!model)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_output_info: model is NULL");
    return write_io_info(model->plan->outputs, model->plan->output_count, index,
                         "hsched_model_output_info", info);
}

HSCHED_API uint32_t hsched_model_step_count(const hsched_model *model)
{
    return model ? model->plan->step_count : 0;
}

/* The devices that have a kernel for a step, as bits. */
static uint32_t able_devices(const hsched_runtime *rt, const hsched_step *step)
{
    uint32_t able = 0;
    for (uint32_t d = 0; d < rt->device_count; d++)
        if (supports(rt, d, step))
            able |= 1u << d;
    return able;
}

HSCHED_API hsched_status hsched_model_step_info(const hsched_model *model, uint32_t index,
                                                hsched_step_info *info)
{
    if (!model || index >= model->plan->step_count)
        return hsi_error(model ? HSCHED_ERROR_NOT_FOUND : HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_step_info: there is no step %u", index);
    const hsi_exec_model *exec = &model->exec;
    const hsi_plan_step *s = &model->plan->steps[index];
    const uint32_t *row = exec->section_prepared + s->section * exec->device_count;
    uint32_t device =
        exec->device_count - 1; /* the accelerator that prepared it, else the CPU */
    while (device > 0 && row[device] == HSI_NOT_PREPARED)
        device--;
    const hsi_exec_prepared *p = &exec->prepared[row[device]];
    hsched_step_info filled = {
        HSCHED_STEP_INFO_INIT,
        .name = s->step.name,
        .kind = hsched_step_kind_name(s->step.kind),
        .kernel = p->backend->kernel_name(p->section, index - p->first_step),
        .device = device,
        .section = s->section,
        .parts = p->steps[index - p->first_step].parts,
        .macs = s->step.macs,
        .output = { HSCHED_TENSOR_INFO_INIT, .name = s->step.name,
                    .dtype = s->step.out.dtype, .rank = s->step.out.rank },
        .able = able_devices(model->runtime, &s->step),
    };
    size_t bytes = hsched_dtype_size(s->step.out.dtype);
    for (uint32_t i = 0; i < s->step.out.rank; i++) {
        filled.output.dims[i] = s->step.out.dims[i];
        bytes *= (size_t)s->step.out.dims[i];
    }
    filled.output.byte_size = bytes;
    return hsi_info_write(info, &filled, sizeof filled, "hsched_step_info");
}

HSCHED_API hsched_status hsched_model_get_stats(const hsched_model *model,
                                                hsched_model_stats *stats)
{
    if (!model)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_get_stats: model is NULL");
    hsched_model *m = (hsched_model *)model; /* for its mutexes */
    hsched_model_stats filled = { HSCHED_MODEL_STATS_INIT,
                                  .weight_bytes = m->weight_bytes,
                                  .arena_bytes = m->plan->arena_size,
                                  .sections = m->plan->section_count };
    pthread_mutex_lock(&m->exec.slot_mutex);
    filled.slots = m->exec.slot_count;
    pthread_mutex_unlock(&m->exec.slot_mutex);
    pthread_mutex_lock(&m->runtime->pool->lock);
    const hsi_histogram *h = &m->latency;
    filled.runs_succeeded = h->count;
    filled.runs_failed = m->failed;
    filled.runs_cancelled = m->cancelled;
    filled.deadline_misses = m->missed;
    filled.runs_dropped = m->dropped;
    filled.latency_mean_us = h->count ? (double)h->sum / (double)h->count : 0;
    filled.latency_p50_us = hsi_histogram_percentile(h, 0.50);
    filled.latency_p99_us = hsi_histogram_percentile(h, 0.99);
    filled.latency_max_us = (double)h->max;
    pthread_mutex_unlock(&m->runtime->pool->lock);
    return hsi_info_write(stats, &filled, sizeof filled, "hsched_model_stats");
}
