/*
 * NMS: boxes that score enough are a heap of keys, from which the best is taken as long as there
 * is room; each is compared with many chosen ones at a time. Parts share the classes.
 */
#include <string.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/nms.h"
#include "backend/ref/ref.h"
#include "base/status.h"

#define TOGETHER 16 /* chosen boxes that are looked at together */

/* ---- Chosen boxes --------------------------------------------------------- */

/* Their numbers in arrays of their own, padded with empty boxes. */
typedef struct chosen {
    float *left, *top, *right, *bottom, *area;
} chosen;

HSI_ISA_INLINE int suppressed_body(const chosen *c, int64_t count, hsi_nms_box box,
                                   float threshold)
{
    for (int64_t k = 0; k < count; k += TOGETHER) {
        int any = 0;
        for (int64_t i = k; i < k + TOGETHER; i++)
            any |= hsi_nms_suppresses(threshold, box,
                                      (hsi_nms_box){ c->left[i], c->top[i], c->right[i],
                                                     c->bottom[i], c->area[i] });
        if (any)
            return 1;
    }
    return 0;
}

/* Without fused products, whose other rounding would choose other boxes. */
#if HSI_ISA_X86
__attribute__((target("avx2"), optimize("O3", "fp-contract=off"))) static int
suppressed_avx2(const chosen *c, int64_t count, hsi_nms_box box, float threshold)
{
    return suppressed_body(c, count, box, threshold);
}
#endif

__attribute__((optimize("O3", "fp-contract=off"))) static int suppressed_base(
    const chosen *c, int64_t count, hsi_nms_box box, float threshold)
{
    return suppressed_body(c, count, box, threshold);
}

static int suppressed(const chosen *c, int64_t count, hsi_nms_box box, float threshold)
{
#if HSI_ISA_X86
    if (hsi_isa_best() != HSI_ISA_BASE)
        return suppressed_avx2(c, count, box, threshold);
#endif
    return suppressed_base(c, count, box, threshold);
}

/* ---- The order of scores -------------------------------------------------- */

/* Larger for a larger score and, of equal ones, for the first box. */
static uint64_t key_of(float score, int64_t box)
{
    uint32_t bits;
    score += 0.0f; /* one zero */
    memcpy(&bits, &score, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
    return (uint64_t)bits << 32 | (UINT32_MAX - (uint32_t)box);
}

/* Moves keys[at] down to where no child is larger. */
static void sink(uint64_t *keys, int64_t count, int64_t at)
{
    const uint64_t key = keys[at];
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && keys[child + 1] > keys[child];
        if (keys[child] <= key)
            break;
        keys[at] = keys[child];
    }
    keys[at] = key;
}

/* The keys of a class as a heap; how many. */
static int64_t make_heap(const hsched_step *step, const float *scores, uint64_t *keys)
{
    const int64_t stride = step->in[1].strides[2];
    int64_t count = 0;
    for (int64_t i = 0; i < step->in[1].dims[2]; i++)
        if (hsi_nms_scores(step, scores[i * stride]))
            keys[count++] = key_of(scores[i * stride], i);
    for (int64_t k = count / 2; k-- > 0;)
        sink(keys, count, k);
    return count;
}

/* ---- One class ------------------------------------------------------------ */

static void put_box(chosen *c, int64_t k, hsi_nms_box box)
{
    if (k % TOGETHER == 0)
        for (int64_t i = k; i < k + TOGETHER; i++)
            c->left[i] = c->top[i] = c->right[i] = c->bottom[i] = c->area[i] = 0;
    c->left[k] = box.left;
    c->top[k] = box.top;
    c->right[k] = box.right;
    c->bottom[k] = box.bottom;
    c->area[k] = box.area;
}

static void choose(const hsched_step *step, const float *boxes, const float *scores,
                   int64_t *y, uint64_t *keys, chosen *c)
{
    const int64_t most = step->out.dims[2], stride = step->out.strides[2];
    int64_t left = make_heap(step, scores, keys), count = 0;
    while (left > 0 && count < most) {
        const int64_t at = UINT32_MAX - (uint32_t)keys[0];
        keys[0] = keys[--left];
        if (left > 0)
            sink(keys, left, 0);
        const hsi_nms_box box = hsi_nms_box_at(step, boxes + at * step->in[0].strides[1],
                                               step->in[0].strides[2]);
        if (suppressed(c, count, box, step->u.nms.iou_threshold))
            continue;
        put_box(c, count, box);
        y[count++ * stride] = at;
    }
    while (count < most)
        y[count++ * stride] = -1;
}

static int64_t room_for(int64_t most)
{
    return (most + TOGETHER - 1) / TOGETHER * TOGETHER;
}

static hsched_status nms_run(const hsched_step *step, const void *state, void *slot_state,
                             void *const *operands, uint32_t part, void *scratch)
{
    const hsched_operand *boxes = &step->in[0], *scores = &step->in[1], *y = &step->out;
    uint64_t *keys = scratch;
    const int64_t room = room_for(y->dims[2]);
    float *numbers = (float *)(keys + scores->dims[2]);
    chosen c = { numbers, numbers + room, numbers + 2 * room, numbers + 3 * room,
                 numbers + 4 * room };
    int64_t begin, end;
    (void)state;
    (void)slot_state;
    hsi_part_range(y->dims[0] * y->dims[1], part, step->parts, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t b = unit / y->dims[1], k = unit % y->dims[1];
        choose(step, (const float *)operands[0] + b * boxes->strides[0],
               (const float *)operands[1] + b * scores->strides[0] +
                   k * scores->strides[1],
               (int64_t *)operands[2] + b * y->strides[0] + k * y->strides[1], keys, &c);
    }
    return HSCHED_OK;
}

/* Boxes are numbered in half a key. */
static int nms_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL && step->in[1].dims[2] < UINT32_MAX;
}

static hsched_status nms_prepare(const hsi_cpu_prepare_context *context,
                                 hsched_step *step, hsi_cpu_prepared *prepared)
{
    const size_t size = (size_t)step->in[1].dims[2] * sizeof(uint64_t) +
                        5 * (size_t)room_for(step->out.dims[2]) * sizeof(float);
    (void)context;
    prepared->scratch_size = (size + 63) / 64 * 64;
    /* A score is looked at, and compared with others, more than once. */
    hsi_lower_parts(step, 16.0 * sizeof(float) * hsi_operand_count(&step->in[1]),
                    step->out.dims[0] * step->out.dims[1]);
    return HSCHED_OK;
}

static const hsi_cpu_kernel nms_kernel = {
    .name = "own/nms",
    .kind = HSCHED_STEP_NMS,
    .library = HSCHED_LIBRARY_OWN,
    .supports = nms_supports,
    .prepare = nms_prepare,
    .run = nms_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_nms[] = { &nms_kernel, NULL };
