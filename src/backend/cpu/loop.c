#include "backend/cpu/loop.h"

/* 1 if dimension a lies outside dimension b: larger steps in the output, then in the
 * inputs. */
static int is_outer(const hsi_loop *loop, uint32_t a, uint32_t b)
{
    for (uint32_t k = loop->operands; k-- > 0;) {
        int64_t sa = loop->strides[k][a], sb = loop->strides[k][b];
        sa = sa < 0 ? -sa : sa;
        sb = sb < 0 ? -sb : sb;
        if (sa != sb)
            return sa > sb;
    }
    return 0;
}

static void swap_dims(hsi_loop *loop, uint32_t a, uint32_t b)
{
    int64_t dim = loop->dims[a];
    loop->dims[a] = loop->dims[b];
    loop->dims[b] = dim;
    for (uint32_t k = 0; k < loop->operands; k++) {
        int64_t stride = loop->strides[k][a];
        loop->strides[k][a] = loop->strides[k][b];
        loop->strides[k][b] = stride;
    }
}

/* 1 if walking `outer` after `inner` goes on where `inner` stops, in every operand. */
static int can_merge(const hsi_loop *loop, uint32_t outer, uint32_t inner)
{
    for (uint32_t k = 0; k < loop->operands; k++)
        if (loop->strides[k][outer] != loop->strides[k][inner] * loop->dims[inner])
            return 0;
    return 1;
}

static void merge_dims(hsi_loop *loop)
{
    uint32_t last = 0; /* the innermost dimension kept so far */
    for (uint32_t d = 1; d < loop->rank; d++) {
        if (can_merge(loop, last, d)) {
            loop->dims[last] *= loop->dims[d];
        } else {
            last++;
            loop->dims[last] = loop->dims[d];
        }
        for (uint32_t k = 0; k < loop->operands; k++)
            loop->strides[k][last] = loop->strides[k][d];
    }
    loop->rank = last + 1;
}

void hsi_loop_init(hsi_loop *loop, uint32_t rank, const int64_t *dims, uint32_t operands,
                   const int64_t *const *strides)
{
    loop->rank = 0;
    loop->operands = operands;
    loop->total = 1;
    for (uint32_t d = 0; d < rank; d++) {
        loop->total *= dims[d];
        if (dims[d] == 1)
            continue;
        loop->dims[loop->rank] = dims[d];
        for (uint32_t k = 0; k < operands; k++)
            loop->strides[k][loop->rank] = strides[k][d];
        loop->rank++;
    }
    if (loop->rank == 0 || loop->total == 0) {
        loop->rank = 1;
        loop->dims[0] = loop->total;
        for (uint32_t k = 0; k < operands; k++)
            loop->strides[k][0] = 1;
        return;
    }
    for (uint32_t d = 1; d < loop->rank;
         d++) /* stable: equal dimensions keep their order */
        for (uint32_t e = d; e > 0 && is_outer(loop, e, e - 1); e--)
            swap_dims(loop, e, e - 1);
    merge_dims(loop);
}

void hsi_loop_lengthen_rows(hsi_loop *loop)
{
    const int64_t few = 5;
    const uint32_t inner = loop->rank - 1;
    if (inner > 0 && loop->dims[inner] < few && loop->dims[inner - 1] > loop->dims[inner])
        swap_dims(loop, inner, inner - 1);
}

void hsi_loop_part(const hsi_loop *loop, uint32_t part, uint32_t parts, int64_t *begin,
                   int64_t *end)
{
    const int64_t align =
        64; /* elements, so that parts begin at full vectors and lines */
    int64_t inner = loop->dims[loop->rank - 1];
    int64_t rows = inner > 0 ? loop->total / inner : 0;
    if (rows >= parts) {
        hsi_part_range(rows, part, parts, begin, end);
        *begin *= inner;
        *end *= inner;
        return;
    }
    hsi_part_range((loop->total + align - 1) / align, part, parts, begin, end);
    *begin = *begin * align < loop->total ? *begin * align : loop->total;
    *end = *end * align < loop->total ? *end * align : loop->total;
}

void hsi_cursor_begin(hsi_cursor *cursor, const hsi_loop *loop, int64_t begin,
                      int64_t end)
{
    cursor->loop = loop;
    cursor->left = end > begin ? end - begin : 0;
    for (uint32_t k = 0; k < loop->operands; k++)
        cursor->offset[k] = 0;
    if (cursor->left == 0)
        return;
    int64_t rest = begin;
    for (uint32_t d = loop->rank; d-- > 0;) {
        cursor->index[d] = rest % loop->dims[d];
        rest /= loop->dims[d];
        for (uint32_t k = 0; k < loop->operands; k++)
            cursor->offset[k] += cursor->index[d] * loop->strides[k][d];
    }
}

/* Moves `count` steps along dimension d, which does not pass its end, and carries
 * outwards. */
static void advance(hsi_cursor *cursor, uint32_t d, int64_t count)
{
    const hsi_loop *loop = cursor->loop;
    for (;;) {
        cursor->index[d] += count;
        for (uint32_t k = 0; k < loop->operands; k++)
            cursor->offset[k] += count * loop->strides[k][d];
        if (cursor->index[d] < loop->dims[d] || d == 0)
            return;
        cursor->index[d] = 0;
        for (uint32_t k = 0; k < loop->operands; k++)
            cursor->offset[k] -= loop->dims[d] * loop->strides[k][d];
        d--;
        count = 1;
    }
}

int hsi_cursor_next(hsi_cursor *cursor, hsi_tile *tile)
{
    const hsi_loop *loop = cursor->loop;
    uint32_t inner = loop->rank - 1;
    if (cursor->left == 0)
        return 0;
    int64_t cols = loop->dims[inner] - cursor->index[inner];
    if (cols > cursor->left)
        cols = cursor->left;
    int64_t rows = 1;
    if (inner > 0 && cols == loop->dims[inner]) {
        rows = loop->dims[inner - 1] - cursor->index[inner - 1];
        if (rows > cursor->left / cols)
            rows = cursor->left / cols;
    }
    tile->rows = rows;
    tile->cols = cols;
    for (uint32_t k = 0; k < loop->operands; k++) {
        tile->offset[k] = cursor->offset[k];
        tile->row_stride[k] = inner > 0 ? loop->strides[k][inner - 1] : 0;
        tile->col_stride[k] = loop->strides[k][inner];
    }
    cursor->left -= rows * cols;
    if (cursor->left == 0)
        return 1;
    if (cols == loop->dims[inner] && inner > 0)
        advance(cursor, inner - 1, rows);
    else
        advance(cursor, inner, cols);
    return 1;
}

void hsi_lower_parts(hsched_step *step, double bytes, int64_t units)
{
    const double least = 64 * 1024;
    if (units < (int64_t)step->parts)
        step->parts = units > 0 ? (uint32_t)units : 1;
    if (bytes < least * step->parts)
        step->parts = (uint32_t)(bytes / least);
    if (step->parts < 1)
        step->parts = 1;
}

double hsi_operand_count(const hsched_operand *operand)
{
    double count = 1;
    for (uint32_t d = 0; d < operand->rank; d++)
        if (operand->strides[d] != 0) /* a broadcast operand is read from the cache */
            count *= (double)operand->dims[d];
    return count;
}

const float *hsi_gather(const float *x, int64_t stride, int64_t n, float *buffer)
{
    if (stride == 1)
        return x;
    for (int64_t i = 0; i < n; i++)
        buffer[i] = x[i * stride];
    return buffer;
}

void hsi_scatter(const float *buffer, float *y, int64_t stride, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i * stride] = buffer[i];
}
