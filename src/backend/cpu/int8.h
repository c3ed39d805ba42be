/*
 * Products of levels with weights of 8 bits: sums are whole numbers and exact, what they stand for
 * is one multiplication away.
 *
 * x is read as bytes: level - lowest, 0 to 255. Weights are int8, times a scale for each column,
 * which is found out: nothing but floats comes in, and those that are no such multiples are
 * refused. Sums are made by VPDPBUSD, four products in a lane at a time; processors without it gain
 * nothing by 8 bits.
 *
 * Weights are packed as in panel.h, four numbers of a column side by side, and tiles of pixels by
 * vectors of columns stay in registers likewise.
 */
#ifndef HSI_BACKEND_CPU_INT8_H
#define HSI_BACKEND_CPU_INT8_H

#include "backend/cpu/kernel.h"

#define HSI_INT8_MAX_PIXELS  12
#define HSI_INT8_MAX_VECTORS 2

/* Bytes behind the last run that are read, times weights of 0. */
#define HSI_INT8_SLACK 4

/* What becomes of a sum and its bias: min(max(it, lo), hi), then, if `quantises`, the level next to
 * it. */
typedef struct hsi_int8_finish {
    float lo, hi;
    int quantises;
    float step, inverse, lowest; /* inverse: 1 / step */
} hsi_int8_finish;

/* y[p, c] = finish((shift[c] + sum over runs and k of rows[p][runs[run] + k] * weights) * scale[c]
 * + bias[c] + residual[p, c]) */
typedef struct hsi_int8_tile {
    const uint8_t *rows[HSI_INT8_MAX_PIXELS];
    const int64_t *runs;      /* where each begins, from the row's pointer on */
    int64_t run_count, depth; /* depth: groups of four bytes of each */
    const int8_t *weights;    /* the panel */
    const int8_t *next; /* fetched from memory meanwhile, `next_step` bytes at a time */
    int64_t next_step;
    const int32_t *shift;
    const float *scale, *bias;
    const float *residual; /* or NULL; may be y */
    float *y;
    int64_t residual_pixel, y_pixel;
    const hsi_int8_finish *finish;
} hsi_int8_tile;

/* Of one instruction set. */
typedef struct hsi_int8_kernels {
    const char *name; /* "avx512_vnni" */
    int64_t lanes, pixels;
    /* [vectors][pixels] */
    void (*tile[HSI_INT8_MAX_VECTORS + 1][HSI_INT8_MAX_PIXELS + 1])(
        const hsi_int8_tile *);
} hsi_int8_kernels;

/* Of this processor and hsi_isa_limit; NULL: 8 bits bring nothing. */
const hsi_int8_kernels *hsi_int8_kernels_best(void);

/* 1 if x's operand can be read as bytes: on levels, of which 0 is one. */
int hsi_int8_has_levels(const hsched_operand *x);
/* What follows the sums, as far as tiles can do it; 0: the activation is the caller's, after
 * them. */
int hsi_int8_finish_make(hsched_activation act, hsi_int8_finish *finish);

/* How the weights lie: byte j of run r of column c belongs to given[c * length * runs + r * run +
 * j / inner * outer_step + j % inner * inner_step]. */
typedef struct hsi_int8_source {
    const float *given, *bias; /* bias: NULL: none */
    int64_t columns, runs, length;
    int64_t run, inner, outer_step, inner_step;
    hsched_levels levels; /* of x */
} hsi_int8_source;

typedef struct hsi_int8_weights {
    const hsi_int8_kernels *kernels;
    int64_t columns, runs, depth;
    int64_t panels;
    int8_t *packed;
    int32_t *shift;
    float *scale, *bias;
} hsi_int8_weights;

/* UNSUPPORTED, with no detail: weights are no multiples, or the processor is not for this. */
hsched_status hsi_int8_weights_make(const hsi_int8_source *source,
                                    hsi_int8_weights *weights, uint64_t *weight_bytes);
void hsi_int8_weights_clear(hsi_int8_weights *weights);
static inline int64_t hsi_int8_width(const hsi_int8_weights *weights)
{
    return weights->kernels->lanes * HSI_INT8_MAX_VECTORS;
}

/* n floats as bytes. */
void hsi_int8_read(const float *x, int64_t n, hsched_levels levels, uint8_t *bytes);

/* Panels [begin, end) of all pixels; y and residual are of column 0. */
typedef struct hsi_int8_call {
    const uint8_t *x;
    const int32_t *at;   /* [pixels]: where each begins in x */
    const int64_t *runs; /* [runs] */
    int64_t pixels, begin, end;
    const float *residual;
    float *y;
    int64_t residual_pixel, y_pixel;
    const hsi_int8_finish *finish;
} hsi_int8_call;
void hsi_int8_run(const hsi_int8_weights *weights, const hsi_int8_call *call);

#endif
