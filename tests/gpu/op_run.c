#include "gpu/op_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/record.h"
#include "backend/random_step.h"

/* ---- Number formats ---- */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* value / 2^shift, rounded to nearest even; shift is 1 to 31. */
static uint32_t round_shift(uint32_t value, uint32_t shift)
{
    const uint32_t rest = value & ((1u << shift) - 1), half = 1u << (shift - 1);
    const uint32_t whole = value >> shift;
    return whole + (rest > half || (rest == half && (whole & 1)));
}

static uint16_t to_f16(float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000,
                   magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) /* 65520 and more */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude >= 0x38800000) /* normal: 2^-14 and more */
        return (uint16_t)(sign | (round_shift(magnitude, 13) - ((127 - 15) << 10)));
    const uint32_t exponent = magnitude >> 23; /* below 113 */
    if (exponent < 102)
        return (uint16_t)sign; /* less than half of the smallest */
    const uint32_t digits = (magnitude & 0x7fffff) | 0x800000;
    return (uint16_t)(sign | round_shift(digits, 126 - exponent));
}

static float from_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
                   digits = half & 0x3ff;
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | digits << 13);
    if (exponent > 0)
        return float_of(sign | (exponent + 127 - 15) << 23 | digits << 13);
    const float small = (float)digits * 0x1p-24f;
    return sign ? -small : small;
}

static uint16_t to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)((bits >> 16 & 0x8000) | 0x7fff);
    return (uint16_t)round_shift(bits,
                                 16); /* carries run into the exponent, as they should */
}

void op_store_float(void *to, hsi_cuda_type type, float value)
{
    if (type == HSI_CUDA_F32) {
        memcpy(to, &value, sizeof value);
        return;
    }
    const uint16_t half = type == HSI_CUDA_F16 ? to_f16(value) : to_bf16(value);
    memcpy(to, &half, sizeof half);
}

float op_load_float(const void *from, hsi_cuda_type type)
{
    float value;
    uint16_t half;
    if (type == HSI_CUDA_F32) {
        memcpy(&value, from, sizeof value);
        return value;
    }
    memcpy(&half, from, sizeof half);
    return type == HSI_CUDA_F16 ? from_f16(half) : float_of((uint32_t)half << 16);
}

/* ---- Memory ---- */

hsched_status op_memory_create(op_memory *memory, size_t size, int mapped)
{
    hsched_status status;
    memset(memory, 0, sizeof *memory);
    memory->size = size;
    if (mapped) {
        void *host = NULL;
        status = CU_CHECK("test memory", cuMemHostAlloc, &host, size,
                          CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
        memory->mapped = host;
        if (status == HSCHED_OK)
            status = CU_CHECK("test memory", cuMemHostGetDevicePointer, &memory->device,
                              host, 0);
    } else {
        status = CU_CHECK("test memory", cuMemAlloc, &memory->device, size);
    }
    if (status != HSCHED_OK)
        return status;
    memory->image = random_alloc(size);
    memory->expected = random_alloc(size);
    memory->after = random_alloc(size);
    memory->used = size;
    op_memory_clear(memory);
    return HSCHED_OK;
}

void op_memory_destroy(op_memory *memory)
{
    if (memory->mapped)
        CU(cuMemFreeHost, memory->mapped);
    else if (memory->device)
        CU(cuMemFree, memory->device);
    free(memory->image);
    free(memory->expected);
    free(memory->after);
    memset(memory, 0, sizeof *memory);
}

void op_memory_clear(op_memory *memory)
{
    memset(memory->image, 0xff, memory->used);
    memory->used = 0;
}

size_t op_memory_place(op_memory *memory, size_t bytes, size_t first, size_t residue)
{
    /* 64 bytes of nothing at least between two rooms, and behind the last. */
    size_t at = (memory->used + 255) / 256 * 256 + (residue + 256 - first % 256) % 256;
    if (at + bytes + 64 > memory->size) {
        fprintf(stderr, "op_run: the test's memory is full\n");
        exit(1);
    }
    memory->used = at + bytes + 64;
    return at;
}

static hsched_status upload(const op_memory *memory)
{
    if (memory->used == 0)
        return HSCHED_OK;
    if (memory->mapped) {
        memcpy(memory->mapped, memory->image, memory->used);
        return HSCHED_OK;
    }
    hsched_status status = CU_CHECK("uploading for a test", cuMemcpyHtoD, memory->device,
                                    memory->image, memory->used);
    return status == HSCHED_OK ? hsi_cuda_finish_default() : status;
}

static hsched_status download(const op_memory *memory)
{
    if (memory->used == 0)
        return HSCHED_OK;
    if (memory->mapped) {
        memcpy(memory->after, memory->mapped, memory->used);
        return HSCHED_OK;
    }
    return CU_CHECK("downloading for a test", cuMemcpyDtoH, memory->after, memory->device,
                    memory->used);
}

/* ---- Running ---- */

hsched_status op_bench_create(op_bench *bench, hsi_cuda_device *device)
{
    memset(bench, 0, sizeof *bench);
    bench->device = device;
    hsched_status status = hsi_cuda_stream_create(device, 0, &bench->stream);
    if (status == HSCHED_OK)
        status =
            CU_CHECK("test memory", cuMemAlloc, &bench->workspace, OP_WORKSPACE + 256);
    if (status == HSCHED_OK)
        status = op_memory_create(&bench->memory, (size_t)32 << 20, 0);
    if (status == HSCHED_OK)
        status = op_memory_create(&bench->mapped, (size_t)32 << 20, 1);
    return status;
}

void op_bench_destroy(op_bench *bench)
{
    op_memory_destroy(&bench->memory);
    op_memory_destroy(&bench->mapped);
    if (bench->workspace)
        CU(cuMemFree, bench->workspace);
    if (bench->stream)
        CU(cuStreamDestroy, bench->stream);
    memset(bench, 0, sizeof *bench);
}

static hsched_status run_graph(op_bench *bench, const hsi_cuda_op *op,
                               const hsi_cuda_call *call)
{
    CUgraphExec exec = NULL;
    hsi_cuda_recorder recorder;
    hsi_cuda_call recorded = *call;
    recorded.recorder = &recorder;
    hsched_status status = hsi_cuda_record_begin(bench->device, 0, &recorder);
    if (status == HSCHED_OK)
        status = op->enqueue(op, &recorded);
    if (status == HSCHED_OK)
        status = CU_CHECK("making a graph", cuGraphInstantiateWithFlags, &exec,
                          recorder.graph, 0);
    if (status == HSCHED_OK)
        status = CU_CHECK("running a graph", cuGraphLaunch, exec, bench->stream);
    if (status == HSCHED_OK)
        status = CU_CHECK("running a graph", cuStreamSynchronize, bench->stream);
    if (exec)
        CU(cuGraphExecDestroy, exec);
    hsi_cuda_record_end(&recorder);
    if (recorder.graph)
        CU(cuGraphDestroy, recorder.graph);
    return status;
}

/* Counters are 0 again, and nothing behind the workspace was written. */
static const char *check_workspace(op_bench *bench, const hsi_cuda_op *op,
                                   hsched_status *status)
{
    uint8_t behind[256];
    const char *why = NULL;
    uint8_t *counters = random_alloc(op->zeroed);
    if (op->zeroed > 0)
        *status = CU_CHECK("downloading for a test", cuMemcpyDtoH, counters,
                           bench->workspace, op->zeroed);
    if (*status == HSCHED_OK)
        *status = CU_CHECK("downloading for a test", cuMemcpyDtoH, behind,
                           bench->workspace + op->workspace, sizeof behind);
    for (size_t i = 0; *status == HSCHED_OK && i < op->zeroed; i++)
        if (counters[i] != 0)
            why = "the op left counters that are not 0";
    for (size_t i = 0; *status == HSCHED_OK && i < sizeof behind; i++)
        if (behind[i] != 0xff)
            why = "the op wrote behind its workspace";
    free(counters);
    return why;
}

hsched_status op_run(op_bench *bench, const hsi_cuda_op *op, const hsi_cuda_call *call,
                     int as_graph, const char **why)
{
    hsi_cuda_call own = *call;
    *why = NULL;
    if (op->workspace > OP_WORKSPACE || op->zeroed > op->workspace) {
        *why = "the op wants more than 64 MiB of workspace, or more counters than that";
        return HSCHED_ERROR_INTERNAL;
    }
    own.stream = bench->stream;
    own.workspace = bench->workspace;
    hsched_status status = CU_CHECK("clearing for a test", cuMemsetD8, bench->workspace,
                                    0xff, op->workspace + 256);
    if (status == HSCHED_OK && op->zeroed > 0)
        status =
            CU_CHECK("clearing for a test", cuMemsetD8, bench->workspace, 0, op->zeroed);
    if (status == HSCHED_OK)
        status = upload(&bench->memory);
    if (status == HSCHED_OK)
        status = upload(&bench->mapped);
    if (status == HSCHED_OK) /* memsets need not have ended */
        status = CU_CHECK("waiting", cuCtxSynchronize);
    if (status == HSCHED_OK && as_graph)
        status = run_graph(bench, op, &own);
    else if (status == HSCHED_OK)
        status = op->enqueue(op, &own);
    if (status == HSCHED_OK)
        status = CU_CHECK("running an op", cuStreamSynchronize, bench->stream);
    if (status == HSCHED_OK)
        status = download(&bench->memory);
    if (status == HSCHED_OK)
        status = download(&bench->mapped);
    if (status == HSCHED_OK)
        *why = check_workspace(bench, op, &status);
    return *why ? HSCHED_ERROR_INTERNAL : status;
}

uint32_t op_alignment(CUdeviceptr address)
{
    uint32_t alignment = 256;
    while (address % alignment != 0)
        alignment /= 2;
    return alignment;
}
