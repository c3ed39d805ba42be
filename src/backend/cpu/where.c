/* WHERE: one of two elements of 1, 2, 4 or 8 bytes, whatever their type. With one
 * condition for all, as in what an expansion becomes, it is a copy. */
#include "base/alloc.h"
#include "backend/cpu/blocks.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "base/status.h"

/* y may be a or b, or the condition: each element is read before it is written, which is
 * what ivdep promises. */
#define WHERE_LOOP(name, type)                                                           \
    HSI_ISA_INLINE void name##_body(const void *const *in, void *out, int64_t n)         \
    {                                                                                    \
        const uint8_t *condition = in[0];                                                \
        const type *a = in[1], *b = in[2];                                               \
        type *y = out;                                                                   \
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                             \
        {                                                                                \
            type u = a[i], v = b[i];                                                     \
            y[i] = condition[i] != 0 ? u : v;                                            \
        }                                                                                \
    }                                                                                    \
    HSI_ISA_DISPATCH(name, (const void *const *in, void *out, int64_t n), (in, out, n))

WHERE_LOOP(where_1, uint8_t)
WHERE_LOOP(where_2, uint16_t)
WHERE_LOOP(where_4, uint32_t)
WHERE_LOOP(where_8, uint64_t)

static hsched_status where_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    const size_t size = hsched_dtype_size(step->out.dtype);
    (void)context;
    return hsi_cpu_blocks_prepare(step, 3,
                                  size == 1   ? where_1
                                  : size == 2 ? where_2
                                  : size == 4 ? where_4
                                              : where_8,
                                  prepared);
}

static const hsi_cpu_kernel where_kernel = {
    .name = "own/where",
    .kind = HSCHED_STEP_WHERE,
    .library = HSCHED_LIBRARY_OWN,
    .prepare = where_prepare,
    .destroy = hsi_free,
    .run = hsi_cpu_blocks_run,
};

/* ---- One condition -------------------------------------------------------- */

#define COPY (hsi_cpu_kernels_copy[0])

typedef struct chosen_state {
    hsched_step copy[2]; /* of the second choice and of the first */
    hsi_cpu_prepared made[2];
} chosen_state;

static int chosen_supports(const hsched_step *step)
{
    const hsched_operand *condition = &step->in[0];
    for (uint32_t d = 0; d < condition->rank; d++)
        if (condition->dims[d] != 1 && condition->strides[d] != 0)
            return 0;
    return step->act.kind == HSCHED_ACTIVATION_NONE;
}

static void chosen_destroy(void *state)
{
    chosen_state *s = state;
    for (int first = 0; s != NULL && first < 2; first++)
        if (s->made[first].state != NULL)
            COPY->destroy(s->made[first].state);
    hsi_free(s);
}

static hsched_status chosen_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    chosen_state *s = HSI_NEW(chosen_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a choice");
    hsched_status status = HSCHED_OK;
    for (int first = 0; first < 2 && status == HSCHED_OK; first++) {
        hsched_step *copy = &s->copy[first];
        *copy = *step;
        copy->kind = HSCHED_STEP_COPY;
        copy->in[0] = step->in[first ? 1 : 2];
        copy->input_count = 1;
        status = COPY->prepare(context, copy, &s->made[first]);
        step->parts = copy->parts;
    }
    if (status != HSCHED_OK) {
        chosen_destroy(s);
        return status;
    }
    s->copy[0].parts = step->parts; /* the fewer of both */
    prepared->state = s;
    return HSCHED_OK;
}

static hsched_status chosen_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const chosen_state *s = state;
    const int first = *(const uint8_t *)operands[0] != 0, k = first ? 1 : 2;
    void *const of_copy[2] = { operands[k], operands[step->input_count] };
    if (step->out_aliases == k)
        return HSCHED_OK; /* it is there already */
    return COPY->run(&s->copy[first], s->made[first].state, slot_state, of_copy, part,
                     scratch);
}

static const hsi_cpu_kernel chosen_kernel = {
    .name = "own/where-copy",
    .kind = HSCHED_STEP_WHERE,
    .library = HSCHED_LIBRARY_OWN,
    .supports = chosen_supports,
    .prepare = chosen_prepare,
    .destroy = chosen_destroy,
    .run = chosen_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_where[] = { &chosen_kernel, &where_kernel,
                                                        NULL };
