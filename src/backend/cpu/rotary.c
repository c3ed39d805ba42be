/* ROTARY: pairs of numbers turned by an angle, both of a pair at once. */
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "base/alloc.h"
#include "base/status.h"

enum {
    X,
    COSINE,
    SINE,
    Y,
    OPERANDS
};

/* How the pairs of a row lie. */
typedef enum form {
    APART,  /* the first ones side by side, and the second ones: halves of a head */
    BESIDE, /* the two of a pair side by side, which have one angle */
    BESIDE_TABLES, /* cosines and sines are, too */
    ANY
} form;

typedef struct rotary {
    hsi_loop loop;          /* over the pairs */
    int64_t pair[OPERANDS]; /* from the first of a pair to the second */
    form form;
} rotary;

/* A row of n pairs. y may be x: both of a pair are read before they are written, which is what
 * ivdep promises. */
HSI_ISA_INLINE void turn(const float *x, const float *c, const float *s, float *y,
                         int64_t n, const int64_t *step, const int64_t *pair)
{
    const float *x2 = x + pair[X], *c2 = c + pair[COSINE], *s2 = s + pair[SINE];
    float *y2 = y + pair[Y];
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)
    {
        const float a = x[i * step[X]], b = x2[i * step[X]];
        const float first = a * c[i * step[COSINE]] - b * s[i * step[SINE]];
        const float second = b * c2[i * step[COSINE]] + a * s2[i * step[SINE]];
        y[i * step[Y]] = first;
        y2[i * step[Y]] = second;
    }
}

HSI_ISA_INLINE void turn_rows_body(const rotary *r, const hsi_tile *t, const float *x,
                                   const float *c, const float *s, float *y)
{
    for (int64_t row = 0; row < t->rows; row++) {
        switch (r->form) {
        case APART:
            turn(x, c, s, y, t->cols, (const int64_t[]){ 1, 1, 1, 1 }, r->pair);
            break;
        case BESIDE:
            turn(x, c, s, y, t->cols, (const int64_t[]){ 2, 1, 1, 2 },
                 (const int64_t[]){ 1, 0, 0, 1 });
            break;
        case BESIDE_TABLES:
            turn(x, c, s, y, t->cols, (const int64_t[]){ 2, 2, 2, 2 },
                 (const int64_t[]){ 1, 1, 1, 1 });
            break;
        case ANY:
            turn(x, c, s, y, t->cols, t->col_stride, r->pair);
            break;
        }
        x += t->row_stride[X];
        c += t->row_stride[COSINE];
        s += t->row_stride[SINE];
        y += t->row_stride[Y];
    }
}
HSI_ISA_DISPATCH(turn_rows,
                 (const rotary *r, const hsi_tile *t, const float *x, const float *c,
                  const float *s, float *y),
                 (r, t, x, c, s, y))

/* All operands but the tables have this stride along the rows, and the tables that one; likewise
 * from the first to the second of a pair. */
static int lies(const rotary *r, int64_t data, int64_t table, int64_t data_pair,
                int64_t table_pair)
{
    for (uint32_t k = 0; k < OPERANDS; k++) {
        const int is_table = k == COSINE || k == SINE;
        if (hsi_loop_inner(&r->loop, k) != (is_table ? table : data) ||
            r->pair[k] != (is_table ? table_pair : data_pair))
            return 0;
    }
    return 1;
}

static form form_of(const rotary *r)
{
    int neighbours = 1;
    for (uint32_t k = 0; k < OPERANDS; k++)
        neighbours &= hsi_loop_inner(&r->loop, k) == 1;
    if (neighbours)
        return APART;
    if (lies(r, 2, 1, 1, 0))
        return BESIDE;
    return lies(r, 2, 2, 1, 1) ? BESIDE_TABLES : ANY;
}

static hsched_status rotary_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    const uint32_t axis = step->u.rotary.axis;
    const hsched_operand *operands[OPERANDS] = { &step->in[0], &step->in[1], &step->in[2],
                                                 &step->out };
    const int64_t *strides[OPERANDS];
    int64_t dims[HSCHED_MAX_DIMS];
    double bytes = 0;
    (void)context;
    rotary *r = HSI_NEW(rotary);
    if (r == NULL)
        return hsi_out_of_memory("the plan of a rotation");
    for (uint32_t d = 0; d < step->out.rank; d++)
        dims[d] = d == axis ? 1 : step->out.dims[d];
    for (uint32_t k = 0; k < OPERANDS; k++) {
        strides[k] = operands[k]->strides;
        r->pair[k] = strides[k][axis];
        bytes += hsi_operand_count(operands[k]) * sizeof(float);
    }
    hsi_loop_init(&r->loop, step->out.rank, dims, OPERANDS, strides);
    r->form = form_of(r);
    hsi_lower_parts(step, bytes, r->loop.total);
    prepared->state = r;
    return HSCHED_OK;
}

static hsched_status rotary_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const rotary *r = state;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&r->loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &r->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        turn_rows(r, &t, (const float *)operands[X] + t.offset[X],
                  (const float *)operands[COSINE] + t.offset[COSINE],
                  (const float *)operands[SINE] + t.offset[SINE],
                  (float *)operands[Y] + t.offset[Y]);
    return HSCHED_OK;
}

static const hsi_cpu_kernel rotary_kernel = {
    .name = "own/rotary",
    .kind = HSCHED_STEP_ROTARY,
    .library = HSCHED_LIBRARY_OWN,
    .prepare = rotary_prepare,
    .destroy = hsi_free,
    .run = rotary_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_rotary[] = { &rotary_kernel, NULL };
