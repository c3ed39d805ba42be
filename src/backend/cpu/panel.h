/*
 * Products with packed weights, the heart of the own convolution kernels: a tile of y, some
 * pixels by the columns of one panel, is computed in registers from first product to last.
 *
 * Weights [depth, columns] are packed into panels of some vectors of columns, each row by row: what
 * a tile reads lies in memory in the order in which it is read. The last panel has as many vectors
 * as its columns need, filled up with zeros.
 *
 * After: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008; the
 * rows by pointers: Dukhan, The Indirect Convolution Algorithm, 2019.
 */
#ifndef HSI_BACKEND_CPU_PANEL_H
#define HSI_BACKEND_CPU_PANEL_H

#include <stddef.h>
#include <stdint.h>

#define HSI_PANEL_MAX_PIXELS  12
#define HSI_PANEL_MAX_VECTORS 4
#define HSI_PANEL_MAX_COLUMNS 64

/* y[p, c] = clamp(bias[c] + residual[p, c] + sum over runs and k of rows[run][p][offset + k] *
 * weights[run * depth + k, c]) */
typedef struct hsi_panel_tile {
    const float *const
        *rows; /* [runs][row_stride]; as many of each as there are pixels */
    int64_t row_stride, offset;
    int64_t runs, depth;  /* floats of each row */
    const float *weights; /* the panel, or some rows of it */
    const float *next; /* what is read after it, to be fetched from memory meanwhile; */
    int64_t next_floats, next_step; /*   step: set by hsi_panel_run */
    const float *bias;              /* of the panel's columns, those filled up, too */
    const float *residual;          /* or NULL; may be y */
    float *y;
    int64_t residual_pixel, y_pixel; /* floats from pixel to pixel */
    int64_t columns;                 /* of the panel, those filled up not counted */
    float lo, hi;                    /* -inf, +inf: as it is */
} hsi_panel_tile;

/* Of one instruction set. */
typedef struct hsi_panel_kernels {
    int64_t lanes, vectors; /* of a panel; its columns are their product */
    int64_t pixels[HSI_PANEL_MAX_VECTORS + 1]; /* at most, of a tile of so many vectors */
    /* [vectors][pixels] */
    void (*tile[HSI_PANEL_MAX_VECTORS + 1][HSI_PANEL_MAX_PIXELS + 1])(
        const hsi_panel_tile *tile);
} hsi_panel_kernels;

static inline int64_t hsi_panel_width(const hsi_panel_kernels *kernels)
{
    return kernels->lanes * kernels->vectors;
}

/* Vectors of the panel that begins where `columns` are left. */
static inline int64_t hsi_panel_vectors(const hsi_panel_kernels *kernels, int64_t columns)
{
    const int64_t vectors = (columns - 1) / kernels->lanes + 1;
    return vectors < kernels->vectors ? vectors : kernels->vectors;
}

/* Of this processor (hsi_isa_best). */
const hsi_panel_kernels *hsi_panel_kernels_best(void);

/* Floats of all panels. */
size_t hsi_panel_floats(const hsi_panel_kernels *kernels, int64_t depth, int64_t columns);
/* Where the panel begins that column `column` is in, a multiple of width. */
static inline size_t hsi_panel_at(int64_t depth, int64_t column)
{
    return (size_t)(depth * column);
}
/* How the weights lie that are packed: row (i, j) of `outer` * `inner`, column c at
 * given[i * outer_stride + j * inner_stride + c * column_stride]. */
typedef struct hsi_panel_source {
    const float *given;
    int64_t outer, inner, columns;
    int64_t outer_stride, inner_stride, column_stride;
} hsi_panel_source;
/* To hsi_panel_floats(kernels, outer * inner, columns) floats. */
void hsi_panel_pack(const hsi_panel_kernels *kernels, const hsi_panel_source *source,
                    float *packed);
/* Panels [begin, end) of them only; `packed`: where panel 0 begins. */
void hsi_panel_pack_some(const hsi_panel_kernels *kernels, const hsi_panel_source *source,
                         int64_t begin, int64_t end, float *packed);
static inline int64_t hsi_panel_count(const hsi_panel_kernels *kernels, int64_t columns)
{
    return (columns - 1) / hsi_panel_width(kernels) + 1;
}

/* A tile of any number of pixels, cut evenly into such that there are kernels for: small ones are
 * slow. */
void hsi_panel_run(const hsi_panel_kernels *kernels, const hsi_panel_tile *all,
                   int64_t pixels);

/* So many runs, and so many floats of each, are read of a panel before others: all pixels of a
 * block come to them while they are in the second-level cache. */
typedef struct hsi_panel_chunks {
    int64_t runs, depth;
} hsi_panel_chunks;
hsi_panel_chunks hsi_panel_choose_chunks(const hsi_panel_kernels *kernels, int64_t runs,
                                         int64_t depth);
/* Likewise, chunk by chunk; sums in between, `pixels` of a panel's columns, are kept in `sums`.
 * next and next_floats are set: what follows in the weights. */
void hsi_panel_run_chunks(const hsi_panel_kernels *kernels, hsi_panel_chunks chunks,
                          const hsi_panel_tile *whole, int64_t pixels, float *sums);
#endif
