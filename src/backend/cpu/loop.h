/*
 * Walking over tensors of one shape but different strides: what all light kernels share.
 *
 * A loop is a nest over up to four operands. Dimensions of size 1 are dropped, the others
 * are ordered so that the last operand (the output) is walked in the order of its memory,
 * and neighbours are merged where the strides of all operands allow it: contiguous
 * tensors of any rank become one dimension.
 *
 * A cursor cuts the elements [begin, end) of a loop into tiles of rows and columns, in
 * order.
 */
#ifndef HSI_BACKEND_CPU_LOOP_H
#define HSI_BACKEND_CPU_LOOP_H

#include "backend/cpu/kernel.h"

#define HSI_LOOP_OPERANDS 4

typedef struct hsi_loop {
    uint32_t rank; /* at least 1 */
    uint32_t operands;
    int64_t total; /* elements; 0 if any dimension is 0 */
    int64_t dims[HSCHED_MAX_DIMS];
    int64_t strides[HSI_LOOP_OPERANDS][HSCHED_MAX_DIMS];
} hsi_loop;

/* rank <= HSCHED_MAX_DIMS, 1 <= operands <= HSI_LOOP_OPERANDS; strides[k] are operand
 * k's. */
void hsi_loop_init(hsi_loop *loop, uint32_t rank, const int64_t *dims, uint32_t operands,
                   const int64_t *const *strides);

/* Rows of a few elements and the dimension around them change places, if that one is longer: for
 * work whose every row costs something by itself. */
void hsi_loop_lengthen_rows(hsi_loop *loop);

/* The stride of an operand along the innermost dimension. */
static inline int64_t hsi_loop_inner(const hsi_loop *loop, uint32_t operand)
{
    return loop->strides[operand][loop->rank - 1];
}

/* The elements that a part computes: whole rows where there are enough of them. */
void hsi_loop_part(const hsi_loop *loop, uint32_t part, uint32_t parts, int64_t *begin,
                   int64_t *end);

typedef struct hsi_tile {
    int64_t rows, cols; /* both at least 1 */
    int64_t offset[HSI_LOOP_OPERANDS];
    int64_t row_stride[HSI_LOOP_OPERANDS]; /* 0 for a loop of one dimension */
    int64_t col_stride[HSI_LOOP_OPERANDS];
} hsi_tile;

typedef struct hsi_cursor {
    const hsi_loop *loop;
    int64_t left; /* elements */
    int64_t index[HSCHED_MAX_DIMS];
    int64_t offset[HSI_LOOP_OPERANDS];
} hsi_cursor;

void hsi_cursor_begin(hsi_cursor *cursor, const hsi_loop *loop, int64_t begin,
                      int64_t end);
/* The next tile; 0 when there is none. */
int hsi_cursor_next(hsi_cursor *cursor, hsi_tile *tile);

/* Units [begin, end) of part `part`, the n units spread evenly. */
static inline void hsi_part_range(int64_t n, uint32_t part, uint32_t parts,
                                  int64_t *begin, int64_t *end)
{
    *begin = hsi_cpu_part_begin(n, part, parts);
    *end = hsi_cpu_part_begin(n, part + 1, parts);
}

/* Lowers step->parts so that each part moves some 64 KiB or more and has a unit of work.
 */
void hsi_lower_parts(hsched_step *step, double bytes, int64_t units);

/* Elements of an operand, as the kernels count their traffic. */
double hsi_operand_count(const hsched_operand *operand);

/* 1 if the operand is there and holds floats. */
static inline int hsi_is_float(const hsched_operand *operand)
{
    return operand->dtype == HSCHED_FLOAT32;
}

/* 1 if stepping along dimension `dim` steps by one element, or is never done. */
static inline int hsi_is_unit(const hsched_operand *operand, uint32_t dim)
{
    return operand->strides[dim] == 1 || operand->dims[dim] == 1;
}

/* Floats in a block that kernels pass through twice: small against the first-level cache.
 */
#define HSI_BLOCK 1024

/* n floats `stride` apart: x itself if they are neighbours, else copied to buffer [n]. */
const float *hsi_gather(const float *x, int64_t stride, int64_t n, float *buffer);
/* y[i * stride] = buffer[i], i < n, for any n. */
void hsi_scatter(const float *buffer, float *y, int64_t stride, int64_t n);

#endif
