/* A plan against the graph it was made from. */
#include "unit/plan_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/element.h"
#include "unit/graph_eval.h"
#include "unit/random_graph.h"

static char complaint[256];

#define COMPLAIN(...) (snprintf(complaint, sizeof complaint, __VA_ARGS__), complaint)

/* Turns dense [N,C,H,W] data into [N,H,W,C] or, back = 1, the other way round. */
static void permute(const hsi_plan_io *io, const void *from, void *to, int back)
{
    const size_t size = hsched_dtype_size(io->dtype);
    const int64_t *d = io->dims, pixels = d[2] * d[3];
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t c = 0; c < d[1]; c++)
            for (int64_t p = 0; p < pixels; p++) {
                const size_t dense = (size_t)((n * d[1] + c) * pixels + p) * size;
                const size_t nhwc = (size_t)((n * pixels + p) * d[1] + c) * size;
                memcpy((char *)to + (back ? dense : nhwc),
                       (const char *)from + (back ? nhwc : dense), size);
            }
}

static double real_at(hsched_dtype dtype, const void *data, size_t i)
{
    return dtype == HSCHED_FLOAT64 ? ((const double *)data)[i]
                                   : (double)((const float *)data)[i];
}

static const char *compare(const hsi_plan_io *io, const void *got, const void *want)
{
    if (!hsi_is_real(io->dtype))
        return memcmp(got, want, io->byte_size) == 0 ? NULL
                                                     : COMPLAIN("'%s' differs", io->name);
    const size_t count = io->byte_size / hsched_dtype_size(io->dtype);
    double largest = 1;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(real_at(io->dtype, want, i)));
    for (size_t i = 0; i < count; i++) {
        const double a = real_at(io->dtype, got, i), b = real_at(io->dtype, want, i);
        if (!(fabs(a - b) <= 1e-4 * largest)) /* a NaN fails as well */
            return COMPLAIN("'%s'[%zu] is %g, not %g", io->name, i, a, b);
    }
    return NULL;
}

typedef struct data {
    uint32_t input_count, output_count;
    void **dense; /* inputs as the graph has them */
    void **bound; /* inputs as the plan wants them */
    void **kept;  /* copies of bound */
    void **outputs, **turned;
} data;

static void **make_blocks(const hsi_plan_io *ios, uint32_t count)
{
    void **blocks = calloc((size_t)count + 1, sizeof *blocks);
    for (uint32_t i = 0; blocks != NULL && i < count; i++)
        blocks[i] = malloc(ios[i].byte_size);
    return blocks;
}

static void free_blocks(void **blocks, uint32_t count)
{
    for (uint32_t i = 0; blocks != NULL && i < count; i++)
        free(blocks[i]);
    free(blocks);
}

static int is_complete(void *const *blocks, uint32_t count)
{
    for (uint32_t i = 0; blocks != NULL && i < count; i++)
        if (blocks[i] == NULL)
            return 0;
    return blocks != NULL;
}

static const char *fill_inputs(const hsched_graph *graph, const hsi_plan *plan,
                               uint64_t seed, data *d)
{
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const hsi_plan_io *io = &plan->inputs[i];
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        if (hsched_graph_tensor_info(graph, graph->inputs[i], &info) != HSCHED_OK ||
            info.byte_size != io->byte_size || strcmp(info.name, io->name) != 0)
            return COMPLAIN("input %u is described wrongly", i);
        random_graph_fill(seed + i, &info, d->dense[i]);
        if (io->layout == HSCHED_LAYOUT_NHWC)
            permute(io, d->dense[i], d->bound[i], 0);
        else
            memcpy(d->bound[i], d->dense[i], io->byte_size);
        memcpy(d->kept[i], d->bound[i], io->byte_size);
    }
    return NULL;
}

static const char *check_results(const hsched_graph *graph, const hsi_plan *plan,
                                 const data *d)
{
    graph_values values;
    const char *wrong = NULL;
    if (!graph_eval(graph, (const void *const *)d->dense, &values))
        return COMPLAIN("out of memory");
    for (uint32_t i = 0; i < plan->output_count && wrong == NULL; i++) {
        const hsi_plan_io *io = &plan->outputs[i];
        const void *got = d->outputs[i];
        hsched_tensor tensor;
        if (io->layout == HSCHED_LAYOUT_NHWC) {
            permute(io, d->outputs[i], d->turned[i], 1);
            got = d->turned[i];
        }
        if (hsched_graph_find_tensor(graph, io->name, &tensor) != HSCHED_OK)
            wrong = COMPLAIN("output '%s' is no tensor of the graph", io->name);
        else
            wrong = compare(io, got, values.data[tensor]);
    }
    for (uint32_t i = 0; i < plan->input_count && wrong == NULL; i++)
        if (memcmp(d->bound[i], d->kept[i], plan->inputs[i].byte_size) != 0)
            wrong = COMPLAIN("input '%s' was written to", plan->inputs[i].name);
    graph_values_free(&values);
    return wrong;
}

const char *plan_compare_run(const hsched_graph *graph, const hsi_plan *plan,
                             uint64_t seed, plan_runner *run, void *user)
{
    const char *wrong = COMPLAIN("out of memory");
    data d = { plan->input_count,
               plan->output_count,
               make_blocks(plan->inputs, plan->input_count),
               make_blocks(plan->inputs, plan->input_count),
               make_blocks(plan->inputs, plan->input_count),
               make_blocks(plan->outputs, plan->output_count),
               make_blocks(plan->outputs, plan->output_count) };
    if (is_complete(d.dense, d.input_count) && is_complete(d.bound, d.input_count) &&
        is_complete(d.kept, d.input_count) && is_complete(d.outputs, d.output_count) &&
        is_complete(d.turned, d.output_count)) {
        wrong = fill_inputs(graph, plan, seed, &d);
        if (wrong == NULL)
            wrong = run(plan, (const void *const *)d.bound, d.outputs, user);
        if (wrong == NULL)
            wrong = check_results(graph, plan, &d);
    }
    free_blocks(d.dense, d.input_count);
    free_blocks(d.bound, d.input_count);
    free_blocks(d.kept, d.input_count);
    free_blocks(d.outputs, d.output_count);
    free_blocks(d.turned, d.output_count);
    return wrong;
}

typedef struct usual {
    uint64_t seed;
    int restart;
} usual;

static const char *run_usually(const hsi_plan *plan, const void *const *inputs,
                               void *const *outputs, void *user)
{
    const usual *how = user;
    return plan_run(plan, how->seed, how->restart, inputs, outputs);
}

const char *plan_compare(const hsched_graph *graph, const hsi_plan *plan, uint64_t seed,
                         int restart)
{
    usual how = { seed, restart };
    return plan_compare_run(graph, plan, seed, run_usually, &how);
}
