/* One step of the heat equation at a time: see reference.h. */
#include "reference.h"

void load_heat_inputs(float *heat, int side)
{
    uint64_t seed = 3;
    for (size_t i = 0; i < (size_t)side * (size_t)side; i++)
        heat[i] = 100.0f * load_uniform(&seed);
}

void load_heat_step(const float *from, float *to, int side)
{
    for (int y = 0; y < side; y++) {
        const float *row = from + (size_t)y * (size_t)side;
        const float *above = y > 0 ? row - side : row;
        const float *below = y + 1 < side ? row + side : row;
        for (int x = 0; x < side; x++) {
            const float left = row[x > 0 ? x - 1 : x];
            const float right = row[x + 1 < side ? x + 1 : x];
            const float flow = left + right + above[x] + below[x] - 4 * row[x];
            to[(size_t)y * (size_t)side + (size_t)x] = row[x] + LOAD_HEAT_RATE * flow;
        }
    }
}
