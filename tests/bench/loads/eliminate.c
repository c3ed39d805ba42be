/* Gaussian elimination, column by column: see reference.h. */
#include "reference.h"

void load_matrix_inputs(float *matrix, int side)
{
    uint64_t seed = 4;
    for (int row = 0; row < side; row++)
        for (int column = 0; column < side; column++)
            *matrix++ = 2 * load_uniform(&seed) - 1 + (row == column ? (float)side : 0);
}

void load_eliminate(float *matrix, int side)
{
    const size_t n = (size_t)side;
    for (size_t k = 0; k + 1 < n; k++) {
        const float *pivots = matrix + k * n;
        for (size_t i = k + 1; i < n; i++) {
            float *row = matrix + i * n;
            row[k] /= pivots[k];
            for (size_t j = k + 1; j < n; j++)
                row[j] -= row[k] * pivots[j];
        }
    }
}
