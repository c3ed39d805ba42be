/* All pairs of bodies, one step: see reference.h. */
#include "reference.h"

#include <math.h>

void load_bodies_inputs(float *positions, float *velocities, int count)
{
    uint64_t seed = 5;
    for (int i = 0; i < count; i++) {
        for (int axis = 0; axis < 3; axis++) {
            positions[4 * i + axis] = 2 * load_uniform(&seed) - 1;
            velocities[4 * i + axis] = 0.2f * load_uniform(&seed) - 0.1f;
        }
        positions[4 * i + 3] = (0.5f + load_uniform(&seed)) / (float)count;
        velocities[4 * i + 3] = 0;
    }
}

void load_bodies_step(const float *positions, const float *velocities,
                      float *new_positions, float *new_velocities, int count)
{
    for (int i = 0; i < count; i++) {
        const float *mine = positions + 4 * i;
        double pull[3] = { 0, 0, 0 };
        for (int j = 0; j < count; j++) {
            const float *other = positions + 4 * j;
            const float dx = other[0] - mine[0], dy = other[1] - mine[1],
                        dz = other[2] - mine[2];
            const float square = dx * dx + dy * dy + dz * dz + LOAD_SOFTENING;
            const float by = other[3] / (square * sqrtf(square));
            pull[0] += (double)(by * dx);
            pull[1] += (double)(by * dy);
            pull[2] += (double)(by * dz);
        }
        for (int axis = 0; axis < 3; axis++) {
            const float velocity =
                velocities[4 * i + axis] + LOAD_TIME_STEP * (float)pull[axis];
            new_velocities[4 * i + axis] = velocity;
            new_positions[4 * i + axis] = mine[axis] + LOAD_TIME_STEP * velocity;
        }
        new_velocities[4 * i + 3] = 0;
        new_positions[4 * i + 3] = mine[3];
    }
}
