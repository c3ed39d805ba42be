#include "unit/plan_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/tensor.h"

static char complaint[512];

#define COMPLAIN(...) (snprintf(complaint, sizeof complaint, __VA_ARGS__), complaint)

/* ---- Memory ---- */

static size_t storage_size(const hsi_plan *plan, const hsched_place *place)
{
    switch (place->storage) {
    case HSCHED_STORAGE_ARENA:
        return plan->arena_size;
    case HSCHED_STORAGE_CONSTANT:
        return plan->constants_size;
    case HSCHED_STORAGE_INPUT:
        return place->index < plan->input_count ? plan->inputs[place->index].byte_size
                                                : 0;
    case HSCHED_STORAGE_OUTPUT:
        return place->index < plan->output_count ? plan->outputs[place->index].byte_size
                                                 : 0;
    case HSCHED_STORAGE_NONE:
        break;
    }
    return 0;
}

/* First and last byte that the operand touches lie inside its storage. */
static int is_inside(const hsi_plan *plan, const hsched_operand *operand,
                     const hsched_place *place)
{
    const int64_t size = (int64_t)hsched_dtype_size(operand->dtype);
    int64_t first = (int64_t)place->offset, last = first + size;
    if (place->offset % (size_t)size != 0)
        return 0;
    for (uint32_t i = 0; i < operand->rank; i++) {
        int64_t reach = (operand->dims[i] - 1) * operand->strides[i] * size;
        if (reach > 0)
            last += reach;
        else
            first += reach;
    }
    return first >= 0 && last <= (int64_t)storage_size(plan, place);
}

/* No two elements share an address: sorted by stride, each dimension steps over those
 * below. */
static int is_injective(const hsched_operand *operand)
{
    int used[HSCHED_MAX_DIMS] = { 0 };
    int64_t covered = 0;
    for (;;) {
        int best = -1;
        for (uint32_t i = 0; i < operand->rank; i++)
            if (!used[i] && operand->dims[i] > 1 &&
                (best < 0 || operand->strides[i] < operand->strides[best]))
                best = (int)i;
        if (best < 0)
            return 1;
        used[best] = 1;
        if (operand->strides[best] <= covered)
            return 0;
        covered += (operand->dims[best] - 1) * operand->strides[best];
    }
}

/* ---- Contracts of backend.h ---- */

static int channels_last(const hsched_operand *operand)
{
    int64_t dense[HSCHED_MAX_DIMS];
    const int64_t pixel = operand->strides[3];
    if (operand->rank != 4 || pixel < operand->dims[1])
        return 0;
    hsi_nhwc_strides(operand->dims, pixel, dense);
    return memcmp(dense, operand->strides, 4 * sizeof *dense) == 0;
}

static int rows(const hsched_operand *operand)
{
    return operand->rank == 2 && operand->strides[1] == 1 &&
           operand->strides[0] >= operand->dims[1];
}

static int matrices(const hsched_operand *operand)
{
    const int64_t *dims = operand->dims + operand->rank - 2;
    const int64_t *strides = operand->strides + operand->rank - 2;
    return operand->rank >= 2 && (dims[1] == 1 || strides[1] == 1) &&
           (dims[0] == 1 || strides[0] >= dims[1]);
}

static int is_constant_operand(hsched_step_kind kind, uint32_t i)
{
    return (kind == HSCHED_STEP_CONV2D || kind == HSCHED_STEP_FC ||
            kind == HSCHED_STEP_SCALE || kind == HSCHED_STEP_RECURRENT ||
            kind == HSCHED_STEP_SEPARABLE_CONV2D) &&
           i >= 1 &&
           i <= (kind == HSCHED_STEP_RECURRENT          ? 3
                 : kind == HSCHED_STEP_SEPARABLE_CONV2D ? 4
                                                        : 2);
}

static int keeps_kind_contract(const hsched_step *step)
{
    const hsched_operand *in = step->in, *out = &step->out;
    switch (step->kind) {
    case HSCHED_STEP_CONV2D:
        return channels_last(&in[0]) && channels_last(out) &&
               (step->input_count < 4 || channels_last(&in[3])) &&
               hsi_is_dense(4, in[1].dims, in[1].strides);
    case HSCHED_STEP_SEPARABLE_CONV2D:
        return channels_last(&in[0]) && channels_last(out) &&
               (in[5].dtype == HSCHED_DTYPE_NONE || channels_last(&in[5])) &&
               hsi_is_dense(4, in[1].dims, in[1].strides) &&
               hsi_is_dense(4, in[3].dims, in[3].strides);
    case HSCHED_STEP_POOL2D:
        return channels_last(&in[0]) && channels_last(out);
    case HSCHED_STEP_FC:
        return rows(&in[0]) && rows(out) && hsi_is_dense(2, in[1].dims, in[1].strides);
    case HSCHED_STEP_MATMUL:
        return matrices(out);
    case HSCHED_STEP_IMAGE:
        return hsi_is_dense(in[0].rank, in[0].dims, in[0].strides);
    case HSCHED_STEP_RECURRENT:
        for (uint32_t i = 0; i < step->input_count; i++)
            if (in[i].dtype != HSCHED_DTYPE_NONE &&
                !hsi_is_dense(in[i].rank, in[i].dims, in[i].strides))
                return 0;
        return hsi_is_dense(out->rank, out->dims, out->strides);
    default:
        return 1;
    }
}

static const char *check_alias(const hsi_plan_step *s)
{
    const hsched_step *step = &s->step;
    const int a = step->out_aliases;
    if (a < 0)
        return NULL;
    const int allowed = (step->kind == HSCHED_STEP_CONV2D && a == 3) ||
                        (step->kind == HSCHED_STEP_SEPARABLE_CONV2D && a == 5) ||
                        (step->kind == HSCHED_STEP_UNARY && a == 0) ||
                        (step->kind == HSCHED_STEP_SCATTER && a == 0) ||
                        (step->kind == HSCHED_STEP_ROTARY && a == 0) ||
                        (step->kind == HSCHED_STEP_BINARY && a <= 1) ||
                        (step->kind == HSCHED_STEP_WHERE && a <= 2);
    if (!allowed || s->in[a].storage != HSCHED_STORAGE_ARENA ||
        memcmp(&s->in[a], &s->out, sizeof s->out) != 0 ||
        step->in[a].rank != step->out.rank ||
        memcmp(step->in[a].strides, step->out.strides,
               step->out.rank * sizeof *step->out.strides) != 0)
        return COMPLAIN("step '%s': in place where it must not be", step->name);
    return NULL;
}

static const char *check_step(const hsi_plan *plan, const hsi_plan_config *config,
                              const hsi_plan_step *s)
{
    const hsched_step *step = &s->step;
    if (step->struct_size != sizeof *step || step->name == NULL || step->parts < 1 ||
        step->parts > config->max_parts)
        return COMPLAIN("step '%s': size, name or parts", step->name ? step->name : "");
    if (!keeps_kind_contract(step))
        return COMPLAIN("step '%s': strides against the contract", step->name);
    for (uint32_t i = 0; i < step->input_count; i++) {
        if (step->in[i].dtype == HSCHED_DTYPE_NONE) {
            if (s->in[i].storage != HSCHED_STORAGE_NONE)
                return COMPLAIN("step '%s': an absent operand has a place", step->name);
        } else if (is_constant_operand(step->kind, i)) {
            if (step->in[i].constant == NULL || s->in[i].storage != HSCHED_STORAGE_NONE)
                return COMPLAIN("step '%s': constant %u is not there", step->name, i);
        } else if (step->in[i].constant != NULL ||
                   !is_inside(plan, &step->in[i], &s->in[i])) {
            return COMPLAIN("step '%s': operand %u lies outside its memory", step->name,
                            i);
        }
    }
    if ((s->out.storage != HSCHED_STORAGE_ARENA &&
         s->out.storage != HSCHED_STORAGE_OUTPUT) ||
        !is_inside(plan, &step->out, &s->out) || !is_injective(&step->out))
        return COMPLAIN("step '%s': the output's memory", step->name);
    return check_alias(s);
}

static const char *check_sections(const hsi_plan *plan)
{
    uint32_t step = 0;
    for (uint32_t i = 0; i < plan->section_count; i++) {
        const hsi_plan_section *section = &plan->sections[i];
        if (section->first_step != step || section->step_count == 0)
            return COMPLAIN("section %u: its steps", i);
        for (uint32_t k = 0; k < section->step_count; k++)
            if (plan->steps[step++].section != i)
                return COMPLAIN("section %u: a step of another one", i);
        for (uint32_t d = 0; d < section->dep_count; d++) {
            const uint32_t dep = section->deps[d];
            if (dep >= i || (d > 0 && dep <= section->deps[d - 1]) ||
                section->crossing_counts[d] == 0)
                return COMPLAIN("section %u: dependency %u", i, dep);
            int found = 0;
            for (uint32_t u = 0; u < plan->sections[dep].user_count; u++)
                found += plan->sections[dep].users[u] == i;
            if (found != 1)
                return COMPLAIN("section %u is not a user of %u", i, dep);
        }
    }
    return step == plan->step_count ? NULL : COMPLAIN("steps outside of sections");
}

const char *plan_check(const hsi_plan *plan, const hsi_plan_config *config)
{
    const char *wrong = check_sections(plan);
    if (plan->arena_size % 64 != 0)
        return COMPLAIN("the arena's size");
    for (uint32_t s = 0; s < plan->step_count && wrong == NULL; s++)
        wrong = check_step(plan, config, &plan->steps[s]);
    return wrong;
}

/* ---- Execution ---- */

typedef struct runner {
    const hsi_plan *plan;
    char *arena;
    const void *const *inputs;
    void *const *outputs;
    uint32_t *next; /* per section: the step to do next, or step_count when it is done */
    uint64_t random;
} runner;

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ (z >> 31);
}

static void *address(const runner *r, const hsched_place *place)
{
    switch (place->storage) {
    case HSCHED_STORAGE_ARENA:
        return r->arena + place->offset;
    case HSCHED_STORAGE_CONSTANT:
        return (char *)r->plan->constants + place->offset;
    case HSCHED_STORAGE_INPUT:
        return (char *)r->inputs[place->index] + place->offset;
    case HSCHED_STORAGE_OUTPUT:
        return (char *)r->outputs[place->index] + place->offset;
    case HSCHED_STORAGE_NONE:
        break;
    }
    return NULL;
}

static const char *run_step(const runner *r, uint32_t index)
{
    const hsi_plan_step *s = &r->plan->steps[index];
    const void *in[HSCHED_STEP_MAX_INPUTS];
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        in[i] = address(r, &s->in[i]);
    if (hsi_ref_run(&s->step, in, address(r, &s->out)) != HSCHED_OK)
        return COMPLAIN("step '%s': %s", s->step.name, hsched_error_detail());
    return NULL;
}

static int is_done(const runner *r, uint32_t section)
{
    return r->next[section] == r->plan->sections[section].step_count;
}

static int may_go_on(const runner *r, uint32_t section)
{
    const hsi_plan_section *of = &r->plan->sections[section];
    if (is_done(r, section))
        return 0;
    for (uint32_t d = 0; d < of->dep_count; d++)
        if (!is_done(r, of->deps[d]))
            return 0;
    return 1;
}

/* Restarts in all, so that it comes to an end. */
enum {
    MAX_RESTARTS = 40
};

static const char *run_sections(runner *r, int restart)
{
    const uint32_t count = r->plan->section_count;
    uint32_t restarts = 0;
    for (;;) {
        uint32_t ready = 0, chosen = 0;
        for (uint32_t s = 0; s < count; s++)
            if (may_go_on(r, s) && next_random(&r->random) % ++ready == 0)
                chosen = s;
        if (ready == 0)
            break;
        const hsi_plan_section *section = &r->plan->sections[chosen];
        const char *wrong = run_step(r, section->first_step + r->next[chosen]);
        if (wrong != NULL)
            return wrong;
        if (next_random(&r->random) % 100 < (uint64_t)restart &&
            restarts++ < MAX_RESTARTS)
            r->next[chosen] = 0;
        else
            r->next[chosen]++;
    }
    for (uint32_t s = 0; s < count; s++)
        if (!is_done(r, s))
            return COMPLAIN("section %u never became ready", s);
    return NULL;
}

static int may_run(const runner *r, const uint8_t *done, uint32_t step)
{
    const hsi_plan_step *s = &r->plan->steps[step];
    if (done[step])
        return 0;
    for (uint32_t i = 0; i < s->step.input_count; i++)
        for (uint32_t w = 0; w < s->writer_count[i]; w++)
            if (!done[s->writers[i][w]])
                return 0;
    return 1;
}

static const char *run_steps_apart(runner *r)
{
    const uint32_t count = r->plan->step_count;
    const char *wrong = NULL;
    uint8_t *done = calloc(count, 1);
    if (done == NULL)
        return COMPLAIN("out of memory");
    for (uint32_t left = count; left > 0 && wrong == NULL; left--) {
        uint32_t ready = 0, chosen = 0;
        for (uint32_t s = 0; s < count; s++)
            if (may_run(r, done, s) && next_random(&r->random) % ++ready == 0)
                chosen = s;
        wrong = ready > 0 ? run_step(r, chosen) : COMPLAIN("steps wait for each other");
        done[chosen] = 1;
    }
    free(done);
    return wrong;
}

const char *plan_run(const hsi_plan *plan, uint64_t seed, int restart,
                     const void *const *inputs, void *const *outputs)
{
    runner r = { plan, NULL, inputs, outputs, NULL, seed };
    const char *wrong = COMPLAIN("out of memory");
    /* Exactly as large as it must be, for sanitizers; malloc(0) may give NULL. */
    r.arena = malloc(plan->arena_size + (plan->arena_size == 0));
    r.next = calloc(plan->section_count, sizeof *r.next);
    if (r.arena != NULL && r.next != NULL) {
        memset(r.arena, 0xff, plan->arena_size);
        for (uint32_t i = 0; i < plan->output_count; i++)
            memset(outputs[i], 0xff, plan->outputs[i].byte_size);
        wrong =
            restart == PLAN_STEPS_APART ? run_steps_apart(&r) : run_sections(&r, restart);
    }
    free(r.arena);
    free(r.next);
    return wrong;
}
