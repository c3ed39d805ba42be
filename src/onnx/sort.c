/* An executable order of the nodes, and which of them are needed. */
#include "onnx/model.h"

#include "base/status.h"

enum {
    NEW = 0,
    OPEN = 1,
    DONE = 2
};

typedef struct visit {
    uint32_t node, next_input;
} visit;

static hsched_status cycle(const hsi_onnx_node *node)
{
    return hsi_error(
        HSCHED_ERROR_FORMAT,
        "node '%.128s' (%.64s) depends on its own output; an ONNX graph has no cycles",
        node->label, node->op);
}

/* Depth first along the inputs, with a stack of our own: a node is done when what it
 * reads is done. */
static hsched_status visit_from(hsi_onnx_model *model, uint32_t start, uint8_t *state,
                                visit *stack, uint32_t *ordered)
{
    uint32_t depth = 0;
    stack[depth++] = (visit){ start, 0 };
    state[start] = OPEN;
    while (depth > 0) {
        visit *top = &stack[depth - 1];
        const hsi_onnx_node *node = &model->nodes[top->node];
        if (top->next_input == node->input_count) {
            state[top->node] = DONE;
            model->order[(*ordered)++] = top->node;
            depth--;
            continue;
        }
        uint32_t value = node->inputs[top->next_input++];
        uint32_t producer =
            value == HSI_ONNX_NONE ? HSI_ONNX_NONE : model->values[value].producer;
        if (producer == HSI_ONNX_NONE || state[producer] == DONE)
            continue;
        if (state[producer] == OPEN)
            return cycle(&model->nodes[producer]);
        state[producer] = OPEN;
        stack[depth++] = (visit){ producer, 0 };
    }
    return HSCHED_OK;
}

/* Backwards in the order found: who uses a value comes after who makes it. */
static void mark_needed(hsi_onnx_model *model)
{
    for (uint32_t k = 0; k < model->output_count; k++)
        model->values[model->outputs[k]].used = 1;
    for (uint32_t k = model->node_count; k-- > 0;) {
        hsi_onnx_node *node = &model->nodes[model->order[k]];
        for (uint32_t i = 0; i < node->output_count; i++)
            if (node->outputs[i] != HSI_ONNX_NONE && model->values[node->outputs[i]].used)
                node->needed = 1;
        for (uint32_t i = 0; node->needed && i < node->input_count; i++)
            if (node->inputs[i] != HSI_ONNX_NONE)
                model->values[node->inputs[i]].used = 1;
    }
}

hsched_status hsi_onnx_sort_nodes(hsi_onnx_model *model)
{
    uint32_t count = model->node_count, ordered = 0;
    model->order = HSI_ONNX_NEW_ARRAY(&model->arena, uint32_t, count);
    uint8_t *state = HSI_ONNX_NEW_ARRAY(&model->arena, uint8_t, count);
    visit *stack = HSI_ONNX_NEW_ARRAY(&model->arena, visit, count);
    if (!model->order || !state || !stack)
        return hsi_onnx_arena_error(&model->arena, "the order of the nodes");
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < count && !status; k++)
        if (state[k] == NEW)
            status = visit_from(model, k, state, stack, &ordered);
    if (!status)
        mark_needed(model);
    return status;
}
