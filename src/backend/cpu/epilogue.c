/* Bias, residual and activation over a tile that a matrix product has just left in the
 * cache. */
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"

#include <string.h>

/* One row; the combinations are loops of their own, so that each is straight vector code.
 * A residual may be the very row that is written. */
HSI_ISA_INLINE void finish_row(float *y, const float *bias, const float *residual,
                               float lo, float hi, int64_t n)
{
    if (bias && residual) {
        for (int64_t i = 0; i < n; i++) {
            float x = y[i] + bias[i] + residual[i];
            x = x < lo ? lo : x;
            y[i] = x > hi ? hi : x;
        }
    } else if (bias || residual) {
        const float *term = bias ? bias : residual;
        for (int64_t i = 0; i < n; i++) {
            float x = y[i] + term[i];
            x = x < lo ? lo : x;
            y[i] = x > hi ? hi : x;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            float x = y[i];
            x = x < lo ? lo : x;
            y[i] = x > hi ? hi : x;
        }
    }
}

HSI_ISA_INLINE void finish_body(float *y, int64_t ys, const float *bias,
                                const float *residual, int64_t rs, float lo, float hi,
                                int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++)
        finish_row(y + r * ys, bias, residual ? residual + r * rs : NULL, lo, hi,
                   columns);
}
HSI_ISA_DISPATCH(finish,
                 (float *y, int64_t ys, const float *bias, const float *residual,
                  int64_t rs, float lo, float hi, int64_t rows, int64_t columns),
                 (y, ys, bias, residual, rs, lo, hi, rows, columns))

void hsi_cpu_epilogue_run(const hsi_cpu_epilogue *epilogue, float *y, int64_t y_stride,
                          const float *residual, int64_t residual_stride, int64_t rows,
                          int64_t columns)
{
    float lo, hi;
    int clamp = hsi_cpu_activation_is_clamp(epilogue->act, &lo, &hi);
    int bounded = clamp && epilogue->act.kind != HSCHED_ACTIVATION_NONE;
    if (epilogue->bias || residual || bounded)
        finish(y, y_stride, epilogue->bias, residual, residual_stride, lo, hi, rows,
               columns);
    if (clamp)
        return;
    if (y_stride == columns)
        hsi_cpu_activate(epilogue->act, y, (size_t)(rows * columns));
    else
        for (int64_t r = 0; r < rows; r++)
            hsi_cpu_activate(epilogue->act, y + r * y_stride, (size_t)columns);
}

HSI_ISA_INLINE void copy_rows_body(float *restrict y, int64_t ys, const float *restrict x,
                                   int64_t xs, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < columns; i++)
            y[r * ys + i] = x[r * xs + i];
}
HSI_ISA_DISPATCH(copy_rows,
                 (float *restrict y, int64_t ys, const float *restrict x, int64_t xs,
                  int64_t rows, int64_t columns),
                 (y, ys, x, xs, rows, columns))

void hsi_cpu_copy_rows(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                       int64_t rows, int64_t columns)
{
    if (y_stride == columns && x_stride == columns)
        memcpy(y, x, (size_t)(rows * columns) * sizeof *y);
    else
        copy_rows(y, y_stride, x, x_stride, rows, columns);
}
