/*
 * Which launches of a job may run beside each other: those that share no memory of the slot, or
 * only read it. Launches are added in the order of the plan; a graph then needs an edge only
 * where a launch waits for another. (The plan uses memory again as soon as its order allows, so
 * this order is finer than that of data alone.)
 */
#ifndef HSI_BACKEND_CUDA_ORDER_H
#define HSI_BACKEND_CUDA_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include <hsched/backend.h>

/* Bytes of the slot's memory: [begin, end), or of these only the `width` from `begin` on in
 * every `pitch`, if the pitch is not 0: a slice of the channels of a joint tensor. */
typedef struct hsi_cuda_extent {
    size_t begin, end, pitch, width;
} hsi_cuda_extent;

typedef struct hsi_cuda_access {
    hsi_cuda_extent reads[HSCHED_STEP_MAX_INPUTS];
    uint32_t read_count;
    hsi_cuda_extent write; /* empty: none */
    uint32_t exclusive;    /* resources that one launch at a time may use, as bits */
} hsi_cuda_access;

/* Where the elements of an operand lie whose element 0 is at `offset`. */
hsi_cuda_extent hsi_cuda_extent_of(const hsched_operand *operand, size_t element_size,
                                   size_t offset);
int hsi_cuda_extents_overlap(const hsi_cuda_extent *a, const hsi_cuda_extent *b);

typedef struct hsi_cuda_order hsi_cuda_order;

/* For so many launches at most. NULL: no memory. */
hsi_cuda_order *hsi_cuda_order_create(uint32_t most);
void hsi_cuda_order_destroy(hsi_cuda_order *order);

/* Adds the next launch and fills in `waits`, with room for all before it: those that it must
 * wait for, the latest first, without those that one of the others waits for. Returns how
 * many. */
uint32_t hsi_cuda_order_add(hsi_cuda_order *order, const hsi_cuda_access *access,
                            uint32_t *waits);

#endif
