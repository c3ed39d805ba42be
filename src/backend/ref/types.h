/* Elements of any type as numbers, for the reference kernels. */
#ifndef HSI_BACKEND_REF_TYPES_H
#define HSI_BACKEND_REF_TYPES_H

#include <hsched/hsched.h>

/* Element `offset` of memory that holds that type; integers and bool (0 or 1) only, or
 * any type. */
int64_t hsi_ref_get_int(hsched_dtype dtype, const void *data, int64_t offset);
double hsi_ref_get_real(hsched_dtype dtype, const void *data, int64_t offset);
/* An integer keeps its low bits; for bool, what is not 0 is 1. */
void hsi_ref_put_int(hsched_dtype dtype, void *data, int64_t offset, int64_t value);
/* By the rules of hsched_graph_add_cast. */
void hsi_ref_put_real(hsched_dtype dtype, void *data, int64_t offset, double value);

#endif
