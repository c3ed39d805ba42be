/*
 * Weights as a kernel wants them, made while its step is prepared. What is large is written in
 * pieces, which idle workers help with; memory that is written for the first time costs as much as
 * what is written, and that is shared as well.
 */
#ifndef HSI_BACKEND_CPU_PACKING_H
#define HSI_BACKEND_CPU_PACKING_H

#include "backend/cpu/kernel.h"

typedef struct hsi_cpu_packing {
    size_t bytes; /* of all */
    int64_t
        units; /* parts of about the same size; each can be written without the others */
    /* Writes all bytes of units [begin, end); `to` is where unit 0 begins. */
    void (*pack)(const void *how, void *to, int64_t begin, int64_t end);
    const void *how;
    const char *what; /* "packed weights of a convolution": for errors */
    /* What they depend on, so that they can be kept on disk (store.h): `from`, all of its bytes,
     * the instruction set, a number, and how they lie: a name that ends in a version, to be changed
     * with the code that packs. NULL: they are not kept. */
    const char *layout;
    const hsched_operand *from;
    int64_t variant;
} hsi_cpu_packing;

/* Makes or maps them, aligned to 64 bytes: *packed. *owned is what to hsi_free in the end. Adds
 * to *weight_bytes. Errors: OUT_OF_MEMORY. */
hsched_status hsi_cpu_pack(const hsi_cpu_prepare_context *context,
                           const hsi_cpu_packing *packing, const float **packed,
                           void **owned, uint64_t *weight_bytes);

#endif
