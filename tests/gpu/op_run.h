/*
 * For tests of the GPU plug-in's operations: number formats on the host, and memory of the GPU as
 * an image on the host, which is uploaded before an operation runs and compared, byte by byte,
 * afterwards.
 */
#ifndef TESTS_GPU_OP_RUN_H
#define TESTS_GPU_OP_RUN_H

#include "backend/cuda/op.h"

/* ---- Number formats: round to nearest even, as the GPU does ---- */

void op_store_float(void *to, hsi_cuda_type type, float value);
float op_load_float(const void *from, hsi_cuda_type type);

/* ---- Memory ---- */

typedef struct op_memory {
    uint8_t *image;    /* what the memory holds before an operation */
    uint8_t *expected; /* and what after it, for those who compare all of it */
    uint8_t *after;    /* what it did hold */
    CUdeviceptr device;
    uint8_t *mapped; /* the host's address if it is mapped host memory, else NULL */
    size_t size, used;
} op_memory;

hsched_status op_memory_create(op_memory *memory, size_t size, int mapped);
void op_memory_destroy(op_memory *memory);
/* Forgets what is in it: 0xff everywhere, which is a NaN in all formats. */
void op_memory_clear(op_memory *memory);
/* Room for `bytes`; byte `first` of them will lie `residue` bytes behind a multiple of 256. The
 * offset of the room's start; the test ends when the memory is full. */
size_t op_memory_place(op_memory *memory, size_t bytes, size_t first, size_t residue);

/* ---- Running ---- */

#define OP_WORKSPACE ((size_t)64 << 20)

typedef struct op_bench {
    hsi_cuda_device *device; /* entered */
    CUstream stream;
    CUdeviceptr workspace;
    op_memory memory, mapped; /* GPU memory, and mapped host memory */
} op_bench;

hsched_status op_bench_create(op_bench *bench, hsi_cuda_device *device);
void op_bench_destroy(op_bench *bench);

/*
 * Uploads both memories' images, runs the op, and downloads what they hold then. `as_graph`: the op
 * is captured into a CUDA graph, and that is run. On failure *why says what is wrong if the op
 * breaks its own contract; else hsched_error_detail() does.
 */
hsched_status op_run(op_bench *bench, const hsi_cuda_op *op, const hsi_cuda_call *call,
                     int as_graph, const char **why);

/* The largest power of two that divides the address, 256 at most. */
uint32_t op_alignment(CUdeviceptr address);

#endif
