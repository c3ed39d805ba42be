#include "unit/graph_compare.h"

#include <math.h>
#include <string.h>

/* Offset of dense element `i` of a tensor in memory of the given layout. */
static size_t place_of(const hsched_tensor_info *info, size_t i)
{
    if (info->rank != 4 || info->layout != HSCHED_LAYOUT_NHWC)
        return i;
    size_t w = i % (size_t)info->dims[3],
           h = i / (size_t)info->dims[3] % (size_t)info->dims[2];
    size_t hw = (size_t)(info->dims[2] * info->dims[3]);
    size_t c = i / hw % (size_t)info->dims[1], n = i / hw / (size_t)info->dims[1];
    return ((n * (size_t)info->dims[2] + h) * (size_t)info->dims[3] + w) *
               (size_t)info->dims[1] +
           c;
}

static void permute(const hsched_tensor_info *info, const void *from, void *to,
                    int to_dense)
{
    size_t element = hsched_dtype_size(info->dtype), count = info->byte_size / element;
    for (size_t i = 0; i < count; i++) {
        size_t a = to_dense ? place_of(info, i) : i, b = to_dense ? i : place_of(info, i);
        memcpy((char *)to + b * element, (const char *)from + a * element, element);
    }
}

void graph_to_layout(const hsched_tensor_info *info, const void *dense, void *memory)
{
    permute(info, dense, memory, 0);
}

void graph_to_dense(const hsched_tensor_info *info, const void *memory, void *dense)
{
    permute(info, memory, dense, 1);
}

double graph_error(const hsched_tensor_info *info, const void *got, const void *expected,
                   double *norm)
{
    *norm = 0;
    if (info->dtype != HSCHED_FLOAT32 && info->dtype != HSCHED_FLOAT64)
        return memcmp(got, expected, info->byte_size) == 0 ? 0 : INFINITY;
    const int wide = info->dtype == HSCHED_FLOAT64;
    double difference = 0, squares = 0;
    for (size_t i = 0; i < info->byte_size / hsched_dtype_size(info->dtype); i++) {
        const double y = wide ? ((const double *)got)[i] : ((const float *)got)[i],
                     e = wide ? ((const double *)expected)[i]
                              : ((const float *)expected)[i];
        difference += (y - e) * (y - e);
        squares += e * e;
    }
    *norm = sqrt(squares);
    return isnan(difference) ? INFINITY : sqrt(difference);
}
