#include "backend/cpu/blocks.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/loop.h"

typedef struct blocks {
    hsi_loop loop; /* the inputs, then out */
    uint32_t inputs;
    size_t sizes[HSI_BLOCKS_INPUTS + 1]; /* of an element */
    hsi_cpu_block_loop *compute;
} blocks;

/* What a buffer holds: n elements from that address on, which do not change while the
 * step runs where they are one element repeated (no step in place repeats its own
 * output). */
typedef struct buffer {
    _Alignas(64) uint8_t data[HSI_BLOCK_LENGTH * 8];
    const void *repeats;
} buffer;

#define STRIDED_COPY(type)                                                               \
    if (from_stride == 0 && to_stride == 1) {                                            \
        const type value = *(const type *)from;                                          \
        type *restrict row = to;                                                         \
        for (int64_t i = 0; i < n; i++)                                                  \
            row[i] = value;                                                              \
        break;                                                                           \
    }                                                                                    \
    for (int64_t i = 0; i < n; i++)                                                      \
        ((type *)to)[i * to_stride] = ((const type *)from)[i * from_stride];             \
    break

HSI_ISA_INLINE void strided_copy_body(size_t size, const void *from, int64_t from_stride,
                                      void *to, int64_t to_stride, int64_t n)
{
    switch (size) {
    case 1:
        STRIDED_COPY(uint8_t);
    case 2:
        STRIDED_COPY(uint16_t);
    case 4:
        STRIDED_COPY(uint32_t);
    default:
        STRIDED_COPY(uint64_t);
    }
}
HSI_ISA_DISPATCH(strided_copy,
                 (size_t size, const void *from, int64_t from_stride, void *to,
                  int64_t to_stride, int64_t n),
                 (size, from, from_stride, to, to_stride, n))

/* n elements `stride` apart as neighbours. */
static const void *block_of(size_t size, const void *from, int64_t stride, int64_t n,
                            int64_t longest, buffer *b)
{
    if (stride == 1)
        return from;
    if (stride == 0) {
        if (b->repeats != from)
            strided_copy(size, from, 0, b->data, 1, longest);
        b->repeats = from;
    } else {
        strided_copy(size, from, stride, b->data, 1, n);
    }
    return b->data;
}

static void run_row(const blocks *s, const int64_t *strides, const char *const *in,
                    char *out, int64_t cols, buffer *buffers)
{
    const uint32_t last = s->inputs;
    const int64_t longest = cols < HSI_BLOCK_LENGTH ? cols : HSI_BLOCK_LENGTH;
    for (int64_t c = 0; c < cols; c += HSI_BLOCK_LENGTH) {
        const int64_t n = cols - c < HSI_BLOCK_LENGTH ? cols - c : HSI_BLOCK_LENGTH;
        const void *from[HSI_BLOCKS_INPUTS];
        for (uint32_t k = 0; k < last; k++)
            from[k] = block_of(s->sizes[k], in[k] + c * strides[k] * (int64_t)s->sizes[k],
                               strides[k], n, longest, &buffers[k]);
        char *to = out + c * strides[last] * (int64_t)s->sizes[last];
        if (strides[last] == 1) {
            s->compute(from, to, n);
        } else {
            s->compute(from, buffers[last].data, n);
            strided_copy(s->sizes[last], buffers[last].data, 1, to, strides[last], n);
        }
    }
}

hsched_status hsi_cpu_blocks_run(const hsched_step *step, const void *state,
                                 void *slot_state, void *const *operands, uint32_t part,
                                 void *scratch)
{
    const blocks *s = state;
    buffer buffers[HSI_BLOCKS_INPUTS + 1];
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(&s->loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &t)) {
        /* Buffers hold as much as the longest row of one tile. */
        for (uint32_t k = 0; k < s->inputs; k++)
            buffers[k].repeats = NULL;
        for (int64_t r = 0; r < t.rows; r++) {
            const char *in[HSI_BLOCKS_INPUTS];
            for (uint32_t k = 0; k < s->inputs; k++)
                in[k] = (const char *)operands[k] +
                        (t.offset[k] + r * t.row_stride[k]) * (int64_t)s->sizes[k];
            const uint32_t k = s->inputs;
            run_row(s, t.col_stride, in,
                    (char *)operands[k] +
                        (t.offset[k] + r * t.row_stride[k]) * (int64_t)s->sizes[k],
                    t.cols, buffers);
        }
    }
    return HSCHED_OK;
}

hsched_status hsi_cpu_blocks_prepare(hsched_step *step, uint32_t inputs,
                                     hsi_cpu_block_loop *loop, hsi_cpu_prepared *prepared)
{
    const int64_t *strides[HSI_BLOCKS_INPUTS + 1];
    blocks *s = HSI_NEW(blocks);
    if (s == NULL)
        return hsi_out_of_memory("the plan of an element-wise step");
    double bytes = 0;
    for (uint32_t k = 0; k <= inputs; k++) {
        const hsched_operand *operand = k < inputs ? &step->in[k] : &step->out;
        s->sizes[k] = hsched_dtype_size(operand->dtype);
        strides[k] = operand->strides;
        bytes += hsi_operand_count(operand) * (double)s->sizes[k];
    }
    s->inputs = inputs;
    s->compute = loop;
    hsi_loop_init(&s->loop, step->out.rank, step->out.dims, inputs + 1, strides);
    hsi_lower_parts(step, bytes, (s->loop.total + 63) / 64);
    prepared->state = s;
    return HSCHED_OK;
}
