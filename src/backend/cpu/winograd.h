/*
 * Winograd's convolution F(4x4, 3x3): 36 multiplications for 4x4 outputs of a 3x3 kernel, where
 * 144 are spelled out. A tile of 6x6 inputs and a kernel are taken to 36 points each, and what
 * belongs to one point is multiplied: a matrix product over channels for each of them. And
 * F(2x2, 3x3): 16 points, with 36 multiplications spelled out; its weights are less than half as
 * large, and fewer of its pixels lie outside of small images.
 *
 * After: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016; the points
 * chosen as in Barabasz, Anderson, Soodhalter and Gregg, Error Analysis and Improving the Accuracy
 * of Winograd Convolution for Deep Neural Networks, 2020. Errors are about twice those of plain
 * sums.
 */
#ifndef HSI_BACKEND_CPU_WINOGRAD_H
#define HSI_BACKEND_CPU_WINOGRAD_H

#include <stdint.h>

/* From the points of one tile to its pixels: y = clamp(A^T m A + bias + residual). */
typedef struct hsi_winograd_out {
    const float *from; /* point p, channel c: from[p * plane + c], whole vectors */
    int64_t plane, channels;
    const float *bias;     /* whole vectors */
    const float *residual; /* or NULL */
    float *y;
    int64_t rows, columns; /* inside of y; at most the tile's */
    int64_t y_row, y_pixel, residual_row, residual_pixel;
    float lo, hi;
} hsi_winograd_out;

typedef struct hsi_winograd_transforms {
    int64_t tile;  /* pixels of y a side, two less than of x and of the points */
    int64_t lanes; /* at least so many channels go in */
    /* Point p, channel c: to[p * plane + c]. taps: of the pixels of x, row after row. */
    void (*in)(const float *const *taps, int64_t channels, float *to, int64_t plane);
    void (*out)(const hsi_winograd_out *out);
    /* Kernels of nine taps, `stride` floats from one to the next; point p of kernel i: to[p * plane
     * + i]. */
    void (*kernels)(const float *taps, int64_t stride, int64_t count, float *to,
                    int64_t plane);
} hsi_winograd_transforms;

/* Of this processor (hsi_isa_best). */
const hsi_winograd_transforms *hsi_winograd_4x4(void);
const hsi_winograd_transforms *hsi_winograd_2x2(void);

#endif
