/* The triad: see reference.h. */
#include "reference.h"

void load_triad_inputs(float *b, float *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        b[i] = (float)(i % 1024);
        c[i] = (float)(i % 1000);
    }
}

void load_triad(float *a, const float *b, const float *c, float scale, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a[i] = b[i] + scale * c[i];
}
