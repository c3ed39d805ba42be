/* Compiling a graph: the passes in their order, and the life of what they make. */
#include "plan/passes.h"

#include <string.h>

#include "backend/separable.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/tensor.h"

/* ---- Inputs and outputs as the user binds them ---------------------------- */

static int is_camera_frame(const hsched_graph *graph, hsched_tensor tensor)
{
    for (uint32_t l = 0; l < graph->layer_count; l++)
        if (graph->layers[l].kind == HSI_LAYER_IMAGE_INPUT &&
            graph->layers[l].inputs[0] == tensor)
            return 1;
    return 0;
}

static hsched_status describe_io(hsi_pool *keep, const hsched_graph *graph,
                                 hsched_tensor tensor, hsched_layout layout,
                                 hsi_plan_io *io)
{
    const hsi_graph_tensor *from = &graph->tensors[tensor];
    io->name = hsi_pool_strdup(keep, from->name);
    if (io->name == NULL)
        return hsi_ir_no_memory();
    io->dtype = from->dtype;
    io->rank = from->rank;
    memcpy(io->dims, from->dims, sizeof io->dims);
    /* A camera frame's logical shape is N,H,W,C already. */
    if (from->rank == 4 && !is_camera_frame(graph, tensor))
        io->layout = layout;
    for (uint32_t d = 0; from->is_input && d < from->rank; d++) {
        if (from->symbols[d] == HSI_NO_INDEX)
            continue;
        io->symbols[d] = hsi_pool_strdup(keep, graph->symbols[from->symbols[d]].name);
        if (io->symbols[d] == NULL)
            return hsi_ir_no_memory();
    }
    if (!hsi_byte_size(io->dtype, io->rank, io->dims, &io->byte_size))
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "tensor '%s' of shape %s is too large for this machine; make the "
            "network's input smaller",
            from->name, hsi_shape_text(from->rank, from->dims));
    return HSCHED_OK;
}

static hsched_status find_tensor(const hsched_graph *graph, const char *name,
                                 hsched_tensor *tensor)
{
    for (uint32_t i = 0; name != NULL && i < graph->tensor_count; i++)
        if (strcmp(graph->tensors[i].name, name) == 0) {
            *tensor = i;
            return HSCHED_OK;
        }
    return hsi_error(
        HSCHED_ERROR_NOT_FOUND,
        "the graph '%s' has no tensor '%s' to be tapped; a tap is named as the "
        "layer or the input that makes the tensor",
        graph->name != NULL ? graph->name : "", name != NULL ? name : "(null)");
}

static hsched_status describe_ios(hsi_ir *ir)
{
    const hsched_graph *graph = ir->graph;
    const hsi_plan_config *config = ir->config;
    hsi_plan *plan = ir->plan;
    hsi_pool *keep = &ir->memory->keep;
    if (graph->output_count == 0)
        return hsi_error(HSCHED_ERROR_STATE,
                         "the graph '%s' has no outputs; name one with "
                         "hsched_graph_add_output",
                         graph->name != NULL ? graph->name : "");
    plan->inputs = HSI_POOL_ARRAY(keep, hsi_plan_io, graph->input_count);
    plan->outputs = HSI_POOL_ARRAY(keep, hsi_plan_io,
                                   (size_t)graph->output_count + config->tap_count);
    ir->output_tensors = HSI_POOL_ARRAY(&ir->temporary, hsched_tensor,
                                        (size_t)graph->output_count + config->tap_count);
    if (plan->inputs == NULL || plan->outputs == NULL || ir->output_tensors == NULL)
        return hsi_ir_no_memory();
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < graph->input_count && status == HSCHED_OK; i++)
        status = describe_io(keep, graph, graph->inputs[i], config->input_layout,
                             &plan->inputs[plan->input_count++]);
    for (uint32_t i = 0; i < graph->output_count; i++)
        ir->output_tensors[i] = graph->outputs[i];
    for (uint32_t i = 0; i < config->tap_count && status == HSCHED_OK; i++)
        status = find_tensor(graph, config->taps[i],
                             &ir->output_tensors[graph->output_count + i]);
    for (uint32_t i = 0;
         i < graph->output_count + config->tap_count && status == HSCHED_OK; i++)
        status = describe_io(keep, graph, ir->output_tensors[i], config->output_layout,
                             &plan->outputs[plan->output_count++]);
    return status;
}

/* ---- Creation ------------------------------------------------------------- */

static hsched_status run_passes(hsi_ir *ir)
{
    hsched_status status = describe_ios(ir);
    if (status == HSCHED_OK)
        status = hsi_pass_lower(ir);
    if (status == HSCHED_OK && !ir->config->no_fusion)
        status = hsi_pass_recognise(ir);
    if (status == HSCHED_OK && !ir->config->no_fusion)
        status = hsi_pass_fuse(ir);
    if (status == HSCHED_OK)
        hsi_pass_levels(ir);
    if (status == HSCHED_OK && !ir->config->no_fusion)
        status = hsi_pass_separable(ir);
    if (status == HSCHED_OK)
        status = hsi_pass_layout(ir);
    if (status == HSCHED_OK)
        status = hsi_pass_views(ir, 0);
    if (status == HSCHED_OK)
        status = hsi_pass_concat(ir);
    if (status == HSCHED_OK)
        status = hsi_pass_views(ir, 1);
    if (status == HSCHED_OK)
        status = hsi_pass_sections(ir);
    if (status == HSCHED_OK)
        hsi_pass_alias(ir);
    if (status == HSCHED_OK)
        status = hsi_pass_memory(ir);
    if (status == HSCHED_OK)
        status = hsi_pass_emit(ir);
    return status;
}

/* Steps like those in whose place `step` is, as many as count; 0: it is in none's. */
static uint32_t find_made_of(const hsched_step *step, hsched_step made_of[2])
{
    switch (step->kind) {
    case HSCHED_STEP_ROTARY: /* of sums, too, which are no different */
        made_of[0] = *step;
        made_of[0].kind = HSCHED_STEP_BINARY;
        made_of[0].u.binary.kind = HSCHED_BINARY_MUL;
        made_of[0].input_count = 2;
        return 1;
    case HSCHED_STEP_SEPARABLE_CONV2D:
        hsi_separable_split(step, &made_of[0], &made_of[1]);
        return 2;
    default:
        return 0;
    }
}

uint64_t hsi_plan_lacking(const hsi_plan *plan, uint32_t count,
                          int (*supports)(const void *user, uint32_t device,
                                          const hsched_step *step),
                          const void *user)
{
    uint64_t lacking = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsched_step *step = &plan->steps[i].step;
        hsched_step made_of[2];
        const uint32_t parts = find_made_of(step, made_of);
        for (uint32_t d = 1; d < count && parts > 0; d++)
            if (!supports(user, d, step) && supports(user, d, &made_of[0]) &&
                supports(user, d, &made_of[parts - 1]))
                lacking |= UINT64_C(1) << step->kind;
    }
    return lacking;
}

hsched_status hsi_plan_create(const hsched_graph *graph, const hsi_plan_config *config,
                              hsi_plan **plan)
{
    hsi_ir ir = { .graph = graph, .config = config };
    *plan = NULL;
    ir.plan = HSI_NEW(hsi_plan);
    ir.memory = HSI_NEW(hsi_plan_memory);
    if (ir.plan == NULL || ir.memory == NULL) {
        hsi_free(ir.plan);
        hsi_free(ir.memory);
        return hsi_ir_no_memory();
    }
    ir.plan->pass_memory = ir.memory;
    hsched_status status = run_passes(&ir);
    hsi_pool_free(&ir.temporary);
    if (status != HSCHED_OK) {
        hsi_plan_destroy(ir.plan);
        return status;
    }
    *plan = ir.plan;
    return HSCHED_OK;
}

void hsi_plan_packed(hsi_plan *plan, int constants_stay)
{
    hsi_plan_memory *memory = plan->pass_memory;
    if (constants_stay)
        return;
    for (uint32_t s = 0; s < plan->step_count; s++)
        for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
            plan->steps[s].step.in[i].constant = NULL;
    hsi_pool_free(&memory->weights);
}

void hsi_plan_destroy(hsi_plan *plan)
{
    if (plan == NULL)
        return;
    hsi_plan_memory *memory = plan->pass_memory;
    hsi_pool_free(&memory->keep);
    hsi_pool_free(&memory->weights);
    hsi_free(memory);
    hsi_free(plan->constants);
    hsi_free(plan);
}
