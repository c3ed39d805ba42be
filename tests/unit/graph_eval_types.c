/* Layers on several types, as far as random graphs have them: numbers as double, which
 * holds all that they are made of, but for int64 that is only cast. */
#include "unit/graph_eval_types.h"

#include <string.h>

static double get(hsched_dtype dtype, const void *data, int64_t k)
{
    switch (dtype) {
    case HSCHED_FLOAT32:
        return ((const float *)data)[k];
    case HSCHED_INT8:
        return ((const int8_t *)data)[k];
    case HSCHED_INT64:
        return (double)((const int64_t *)data)[k];
    default:
        return ((const uint8_t *)data)[k] != 0;
    }
}

static void put(hsched_dtype dtype, void *data, int64_t k, double value)
{
    switch (dtype) {
    case HSCHED_FLOAT32:
        ((float *)data)[k] = (float)value;
        break;
    case HSCHED_INT8:
        ((int8_t *)data)[k] = (int8_t)(value > 127 ? value - 256 : value);
        break;
    default:
        ((uint8_t *)data)[k] = value != 0;
        break;
    }
}

void graph_eval_cast(hsched_dtype from, const void *x, hsched_dtype to, void *y,
                     int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        if (from == HSCHED_INT64 && to == HSCHED_INT8) /* the low bits */
            ((uint8_t *)y)[k] = (uint8_t)((const uint64_t *)x)[k];
        else
            put(to, y, k, get(from, x, k));
}

int graph_eval_integers(hsched_activation_kind kind, hsched_dtype dtype, const void *x,
                        void *y, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        const double v = get(dtype, x, k);
        if (kind == HSCHED_ACTIVATION_SIGN)
            put(dtype, y, k, v > 0 ? 1 : v < 0 ? -1 : 0);
        else if (kind == HSCHED_ACTIVATION_NEG)
            put(dtype, y, k, -v);
        else
            return 0;
    }
    return 1;
}

int graph_eval_less(hsched_binary_kind kind, hsched_dtype dtype, const void *a,
                    const void *b, void *y, int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        put(HSCHED_BOOL, y, k, get(dtype, a, k) < get(dtype, b, k));
    return kind == HSCHED_BINARY_LESS;
}
