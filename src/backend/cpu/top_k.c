/*
 * TOP_K: elements become 64-bit keys, more where they come earlier; the best are kept in a heap
 * whose root is the worst of them, so that most elements are looked at once.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

#define BLOCK 256 /* keys at a time */

typedef struct entry {
    int64_t key, index;
} entry;

/* Keys of n elements `stride` apart; `flip` is -1 where the smallest are wanted, else 0. */
typedef void make_keys(const void *x, int64_t stride, int64_t n, int64_t flip,
                       int64_t *keys);

typedef struct top_k_state {
    hsi_loop loop;            /* x and output without the axis */
    int64_t stride, count;    /* of x along the axis */
    int64_t y_stride, wanted; /* of the output */
    int64_t size, flip;
    make_keys *keys;
} top_k_state;

/* The bits of floats are in their order, but for the sign; one zero. */
static inline __attribute__((always_inline)) int64_t key_of_float(float value)
{
    const float v = value == 0 ? 0 : value;
    int32_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits ^= (bits >> 31) & INT32_MAX;
    return v != v ? (int64_t)INT32_MAX + 1 : bits;
}
static inline __attribute__((always_inline)) int64_t key_of_double(double value)
{
    const double v = value == 0 ? 0 : value;
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits ^= (bits >> 63) & INT64_MAX;
    return v != v ? INT64_MAX : bits; /* infinity is less */
}
#define SAME(v) (v)

#define KEYS(type, key)                                                                  \
    HSI_ISA_INLINE void type##_keys_body(const void *from, int64_t stride, int64_t n,    \
                                         int64_t flip, int64_t *keys)                    \
    {                                                                                    \
        const type *x = from;                                                            \
        if (stride == 1)                                                                 \
            for (int64_t i = 0; i < n; i++)                                              \
                keys[i] = key(x[i]) ^ flip;                                              \
        else                                                                             \
            for (int64_t i = 0; i < n; i++)                                              \
                keys[i] = key(x[i * stride]) ^ flip;                                     \
    }                                                                                    \
    HSI_ISA_DISPATCH(                                                                    \
        type##_keys,                                                                     \
        (const void *from, int64_t stride, int64_t n, int64_t flip, int64_t *keys),      \
        (from, stride, n, flip, keys))

KEYS(float, key_of_float)
KEYS(double, key_of_double)
KEYS(int64_t, SAME)
KEYS(int32_t, SAME)
KEYS(uint8_t, SAME)
KEYS(int8_t, SAME)

static make_keys *const key_makers[] = {
    [HSCHED_FLOAT32] = float_keys, [HSCHED_INT64] = int64_t_keys,
    [HSCHED_INT32] = int32_t_keys, [HSCHED_UINT8] = uint8_t_keys,
    [HSCHED_INT8] = int8_t_keys,   [HSCHED_FLOAT64] = double_keys,
};

static int is_worse(const entry *a, const entry *b)
{
    return a->key != b->key ? a->key < b->key : a->index > b->index;
}

/* Puts `e` in place of the root. */
static void sift_down(entry *heap, int64_t n, entry e)
{
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && is_worse(&heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(&heap[child], &e))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = e;
}

static void sift_up(entry *heap, int64_t at, entry e)
{
    while (at > 0 && is_worse(&e, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = e;
}

static void find(const top_k_state *s, const char *x, int64_t *y, entry *heap)
{
    int64_t keys[BLOCK], kept = 0;
    for (int64_t i = 0; i < s->count; i += BLOCK) {
        const int64_t n = s->count - i < BLOCK ? s->count - i : BLOCK;
        int64_t k = 0;
        s->keys(x + i * s->stride * s->size, s->stride, n, s->flip, keys);
        for (; k < n && kept < s->wanted; k++, kept++)
            sift_up(heap, kept, (entry){ keys[k], i + k });
        for (; k < n; k++) /* of equal ones the first is there already */
            if (keys[k] > heap[0].key)
                sift_down(heap, kept, (entry){ keys[k], i + k });
    }
    while (kept > 0) {
        y[(kept - 1) * s->y_stride] = heap[0].index;
        kept--;
        sift_down(heap, kept, heap[kept]);
    }
}

static hsched_status top_k_run(const hsched_step *step, const void *state,
                               void *slot_state, void *const *operands, uint32_t part,
                               void *scratch)
{
    const top_k_state *s = state;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    hsi_part_range(s->loop.total, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c++)
                find(s,
                     (const char *)operands[0] +
                         (t.offset[0] + r * t.row_stride[0] + c * t.col_stride[0]) *
                             s->size,
                     (int64_t *)operands[1] + t.offset[1] + r * t.row_stride[1] +
                         c * t.col_stride[1],
                     scratch);
    return HSCHED_OK;
}

static int top_k_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->act.kind == HSCHED_ACTIVATION_NONE;
}

static hsched_status top_k_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t axis = step->u.top_k.axis;
    int64_t groups[HSCHED_MAX_DIMS];
    const int64_t *strides[2] = { x->strides, y->strides };
    (void)context;
    if (!hsi_mul_size((size_t)y->dims[axis], sizeof(entry), &prepared->scratch_size))
        return hsi_out_of_memory("the elements of a top_k");
    top_k_state *s = HSI_NEW(top_k_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a top_k");
    memcpy(groups, y->dims, sizeof groups);
    groups[axis] = 1;
    hsi_loop_init(&s->loop, y->rank, groups, 2, strides);
    s->stride = x->strides[axis];
    s->count = x->dims[axis];
    s->y_stride = y->strides[axis];
    s->wanted = y->dims[axis];
    s->size = (int64_t)hsched_dtype_size(x->dtype);
    s->flip = step->u.top_k.smallest ? -1 : 0;
    s->keys = key_makers[x->dtype];
    prepared->state = s;
    hsi_lower_parts(step, hsi_operand_count(x) * 16, s->loop.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel top_k_kernel = {
    .name = "own/top_k",
    .kind = HSCHED_STEP_TOP_K,
    .library = HSCHED_LIBRARY_OWN,
    .supports = top_k_supports,
    .prepare = top_k_prepare,
    .destroy = hsi_free,
    .run = top_k_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_top_k[] = { &top_k_kernel, NULL };
