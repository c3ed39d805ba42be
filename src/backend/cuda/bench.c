#include "backend/cuda/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cuda/host.h"
#include "backend/cuda/record.h"
#include "base/checked.h"

#define REPEATS_MAX 16      /* launches in the graph */
#define GRAPH_US    2000.0f /* about what the graph should take at most */
#define JOBS_SHARE  9 /* jobs, while there are any, get so many times what tuning takes */
#define LAUNCH_US   50.0f /* a single launch outside a graph may look this much longer */
#define OUT         HSCHED_STEP_MAX_INPUTS
#define CHUNK       ((size_t)1 << 20) /* bytes that are compared at once */
#define PATTERN     ((size_t)1 << 16)
#define ALIGNMENT   256

static const char doing[] = "timing a kernel";

/* ---- Memory --------------------------------------------------------------- */

static hsched_status take(hsi_cuda_bench *b, size_t size, hsi_cuda_bench_memory *memory)
{
    CUdeviceptr address = 0;
    hsched_status status =
        hsi_cuda_memory_alloc(&b->step->device->memory, size, &address);
    *memory = status == HSCHED_OK ? (hsi_cuda_bench_memory){ address, size }
                                  : (hsi_cuda_bench_memory){ 0 };
    return status;
}

static void give_back(hsi_cuda_bench *b, hsi_cuda_bench_memory *memory)
{
    if (memory->address)
        hsi_cuda_memory_free(&b->step->device->memory, memory->address, memory->size);
    *memory = (hsi_cuda_bench_memory){ 0 };
}

/* ---- Operands ------------------------------------------------------------- */

/* Bytes before and from the element 0 of an operand on, the former a multiple of ALIGNMENT. */
static hsched_status extent(const hsched_operand *o, hsi_cuda_type type, size_t *before,
                            size_t *after)
{
    int64_t low = 0, high = 1, reach = 0;
    const int64_t element = (int64_t)hsi_cuda_element_size(o, type);
    int fine = 1;
    for (uint32_t i = 0; i < o->rank && fine; i++) {
        fine = hsi_mul_i64(o->dims[i] - 1, o->strides[i], &reach) &&
               hsi_add_i64(reach < 0 ? low : high, reach, reach < 0 ? &low : &high);
    }
    fine = fine && hsi_mul_i64(low, -element, &low) &&
           hsi_mul_i64(high, element, &high) &&
           hsi_round_up_size((size_t)low, ALIGNMENT, before);
    *after = (size_t)high;
    return fine ? HSCHED_OK
                : hsi_cuda_host->set_error(HSCHED_ERROR_LIMIT,
                                           "GPU: %s: an operand is too large", doing);
}

/* Numbers of size 0.5 to 1 with random signs and digits: zeros would run faster than data. */
static void make_pattern(hsi_cuda_type type, uint32_t *words)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < PATTERN / sizeof *words; i++) {
        state = state * 1664525u + 1013904223u;
        const uint32_t random = state ^ state >> 15;
        switch (type) {
        case HSI_CUDA_F32:
            words[i] = (random & 0x807fffff) | 0x3f000000;
            break;
        case HSI_CUDA_F16:
            words[i] = (random & 0x83ff83ff) | 0x38003800;
            break;
        case HSI_CUDA_BF16:
            words[i] = (random & 0x807f807f) | 0x3f003f00;
            break;
        }
    }
}

static hsched_status fill(hsi_cuda_bench *b, CUdeviceptr memory, size_t bytes)
{
    size_t filled = bytes < PATTERN ? bytes : PATTERN;
    uint32_t *pattern = hsi_cuda_host->alloc(PATTERN);
    if (!pattern)
        return hsi_cuda_no_memory(doing);
    make_pattern(b->step->type, pattern);
    hsched_status status =
        CU_CHECK(doing, cuMemcpyHtoDAsync, memory, pattern, filled, b->stream);
    while (status == HSCHED_OK && filled < bytes) {
        const size_t more = filled < bytes - filled ? filled : bytes - filled;
        status =
            CU_CHECK(doing, cuMemcpyDtoDAsync, memory + filled, memory, more, b->stream);
        filled += more;
    }
    hsi_cuda_host->free(pattern); /* pageable: it was read when the call came back */
    return status;
}

/* Memory for an operand, whose element 0 is aligned as the step says and no better. */
static hsched_status add_operand(hsi_cuda_bench *b, const hsched_operand *operand,
                                 uint32_t alignment, hsi_cuda_bench_memory *memory,
                                 CUdeviceptr *address)
{
    size_t before, after, bytes;
    hsched_status status = extent(operand, b->step->type, &before, &after);
    if (status != HSCHED_OK)
        return status;
    const size_t shift = alignment < ALIGNMENT ? alignment : 0;
    if (!hsi_add_size(before + shift, after, &bytes))
        return hsi_cuda_host->set_error(HSCHED_ERROR_LIMIT,
                                        "GPU: %s: an operand is too large", doing);
    status = take(b, bytes, memory);
    if (status == HSCHED_OK)
        status = fill(b, memory->address, bytes);
    *address = memory->address + before + shift;
    return status;
}

static hsched_status add_operands(hsi_cuda_bench *b)
{
    const hsi_cuda_step *step = b->step;
    const hsched_step *s = &step->step;
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < s->input_count && status == HSCHED_OK; i++) {
        if (s->in[i].dtype == HSCHED_DTYPE_NONE)
            continue;
        if (step->constants[i])
            b->call.in[i] = step->constants[i];
        else
            status = add_operand(b, &s->in[i], step->alignment[i], &b->memory[i],
                                 &b->call.in[i]);
    }
    if (status == HSCHED_OK && s->out_aliases >= 0)
        b->call.out = b->call.in[s->out_aliases];
    else if (status == HSCHED_OK)
        status =
            add_operand(b, &s->out, step->out_alignment, &b->memory[OUT], &b->call.out);
    return status;
}

/* ---- Opening and closing -------------------------------------------------- */

hsched_status hsi_cuda_bench_open(hsi_cuda_bench *b, const hsi_cuda_step *step,
                                  int background)
{
    hsched_status status;
    memset(b, 0, sizeof *b);
    b->step = step;
    b->background = background;
    status = hsi_cuda_stream_create(step->device, 0, &b->stream);
    for (int i = 0; i <= HSI_CUDA_BENCH_REPLAYS && status == HSCHED_OK; i++)
        status = CU_CHECK(doing, cuEventCreate, &b->events[i], CU_EVENT_DEFAULT);
    b->call.stream = b->stream;
    return status == HSCHED_OK ? add_operands(b) : status;
}

/* Here and below: not through CU, lest what a test made fail would leak. */
static void drop_graph(hsi_cuda_bench *b)
{
    if (b->exec)
        hsi_cuda.cuGraphExecDestroy(b->exec);
    if (b->graph)
        hsi_cuda.cuGraphDestroy(b->graph);
    b->exec = NULL;
    b->graph = NULL;
}

void hsi_cuda_bench_close(hsi_cuda_bench *b)
{
    drop_graph(b);
    if (b->stream) /* idle, unless something failed */
        hsi_cuda.cuStreamSynchronize(b->stream);
    give_back(b, &b->workspace);
    for (uint32_t i = 0; i <= OUT; i++)
        give_back(b, &b->memory[i]);
    for (int i = 0; i <= HSI_CUDA_BENCH_REPLAYS; i++)
        if (b->events[i])
            hsi_cuda.cuEventDestroy(b->events[i]);
    if (b->stream)
        hsi_cuda.cuStreamDestroy(b->stream);
    memset(b, 0, sizeof *b);
}

/* ---- Waiting -------------------------------------------------------------- */

static hsched_status pause_outside(hsi_cuda_bench *b)
{
    hsi_cuda_leave(b->step->device);
    nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    const hsched_status status = hsi_cuda_enter(b->step->device);
    b->outside = status != HSCHED_OK;
    return status;
}

/* As far as words in mapped memory tell, where streams write such. */
static int jobs_are_running(const hsi_cuda_device *d)
{
    for (uint32_t i = 0; i < d->lane_count && d->stream_writes; i++)
        if (d->done[i * HSI_CUDA_DONE_STRIDE] != d->lanes[i].sequence)
            return 1;
    return 0;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

hsched_status hsi_cuda_bench_breathe(hsi_cuda_bench *b)
{
    if (!b->background)
        return HSCHED_OK;
    hsched_status status = HSCHED_OK;
    const uint64_t begin = now_us();
    const uint64_t end = begin + JOBS_SHARE * (begin - b->breathed_us);
    do
        status = pause_outside(b);
    while (status == HSCHED_OK && b->breathed_us && now_us() < end &&
           jobs_are_running(b->step->device) && !atomic_load(&b->step->device->yield));
    b->breathed_us = now_us();
    return status;
}

/* Waits for all that was put on the stream. */
static hsched_status wait_for_stream(hsi_cuda_bench *b)
{
    if (!b->background)
        return CU_CHECK(doing, cuStreamSynchronize, b->stream);
    for (;;) {
        const CUresult result = CU(cuStreamQuery, b->stream);
        if (result != CUDA_ERROR_NOT_READY)
            return hsi_cuda_check(result, "cuStreamQuery", doing);
        const hsched_status status = pause_outside(b);
        if (status != HSCHED_OK)
            return status;
    }
}

/* ---- Timing --------------------------------------------------------------- */

/* Room for the op's workspace, its counters at 0. */
static hsched_status prepare_workspace(hsi_cuda_bench *b, const hsi_cuda_op *op)
{
    hsched_status status = HSCHED_OK;
    if (op->workspace > b->workspace.size) {
        give_back(b, &b->workspace);
        status = take(b, op->workspace, &b->workspace);
    }
    b->call.workspace = b->workspace.address;
    if (status == HSCHED_OK && op->zeroed > 0)
        status = CU_CHECK(doing, cuMemsetD8Async, b->workspace.address, 0, op->zeroed,
                          b->stream);
    return status;
}

static hsched_status record(hsi_cuda_bench *b, int event)
{
    return CU_CHECK(doing, cuEventRecord, b->events[event], b->stream);
}

static hsched_status elapsed(hsi_cuda_bench *b, int event, float *microseconds)
{
    float milliseconds = 0;
    hsched_status status = CU_CHECK(doing, cuEventElapsedTime, &milliseconds,
                                    b->events[event], b->events[event + 1]);
    *microseconds = milliseconds * 1000;
    return status;
}

/* Two launches, since the first may load kernels; the time of the second. */
static hsched_status time_single(hsi_cuda_bench *b, const hsi_cuda_op *op,
                                 float *microseconds)
{
    hsched_status status = op->enqueue(op, &b->call);
    if (status == HSCHED_OK)
        status = wait_for_stream(b);
    if (status == HSCHED_OK)
        status = record(b, 0);
    if (status == HSCHED_OK)
        status = op->enqueue(op, &b->call);
    if (status == HSCHED_OK)
        status = record(b, 1);
    if (status == HSCHED_OK)
        status = wait_for_stream(b);
    return status == HSCHED_OK ? elapsed(b, 0, microseconds) : status;
}

/* A graph of launches one after the other. */
static hsched_status make_graph(hsi_cuda_bench *b, const hsi_cuda_op *op, int repeats)
{
    hsi_cuda_recorder recorder;
    hsched_status status = hsi_cuda_record_begin(b->step->device, 0, &recorder);
    hsi_cuda_call call = b->call;
    call.recorder = &recorder;
    for (int i = 0; i < repeats && status == HSCHED_OK; i++)
        status = op->enqueue(op, &call);
    hsi_cuda_record_end(&recorder);
    b->graph = recorder.graph;
    if (status == HSCHED_OK)
        status = CU_CHECK(doing, cuGraphInstantiateWithFlags, &b->exec, b->graph, 0);
    return status;
}

/* Launches the graph `count` times, with an event before, between and after. */
static hsched_status replay(hsi_cuda_bench *b, int count)
{
    hsched_status status = record(b, 0);
    for (int i = 0; i < count && status == HSCHED_OK; i++) {
        status = CU_CHECK(doing, cuGraphLaunch, b->exec, b->stream);
        if (status == HSCHED_OK)
            status = record(b, i + 1);
    }
    return status == HSCHED_OK ? wait_for_stream(b) : status;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static hsched_status time_graph(hsi_cuda_bench *b, int repeats, float limit,
                                float *microseconds)
{
    float times[HSI_CUDA_BENCH_REPLAYS];
    hsched_status status = replay(b, 1);
    if (status == HSCHED_OK)
        status = elapsed(b, 0, &times[0]);
    if (status != HSCHED_OK || times[0] / (float)repeats > 2 * limit)
        return status;
    status = replay(b, HSI_CUDA_BENCH_REPLAYS);
    for (int i = 0; i < HSI_CUDA_BENCH_REPLAYS && status == HSCHED_OK; i++)
        status = elapsed(b, i, &times[i]);
    if (status != HSCHED_OK)
        return status;
    qsort(times, HSI_CUDA_BENCH_REPLAYS, sizeof times[0], compare_floats);
    *microseconds =
        times[b->background ? 0 : HSI_CUDA_BENCH_REPLAYS / 2] / (float)repeats;
    return HSCHED_OK;
}

hsched_status hsi_cuda_bench_time(hsi_cuda_bench *b, const hsi_cuda_op *op, float limit,
                                  float *microseconds)
{
    float single = 0;
    *microseconds = INFINITY;
    hsched_status status = prepare_workspace(b, op);
    if (status == HSCHED_OK)
        status = time_single(b, op, &single);
    if (status != HSCHED_OK || single > 2 * limit + LAUNCH_US)
        return status;
    const float fit = GRAPH_US / (single > 1 ? single : 1);
    const int repeats = fit > REPEATS_MAX ? REPEATS_MAX : fit < 2 ? 2 : (int)fit;
    status = make_graph(b, op, repeats);
    if (status == HSCHED_OK)
        status = time_graph(b, repeats, limit, microseconds);
    drop_graph(b);
    return status;
}

/* ---- In place ------------------------------------------------------------- */

static float load(const void *data, size_t index, hsi_cuda_type type)
{
    uint32_t bits;
    float value;
    if (type == HSI_CUDA_F32)
        return ((const float *)data)[index];
    const uint32_t half = ((const uint16_t *)data)[index];
    if (type == HSI_CUDA_BF16) {
        bits = half << 16;
    } else {
        const uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
        if (exponent == 0)
            return (half & 0x8000 ? -1.0f : 1.0f) * (float)mantissa * 0x1p-24f;
        bits = (half & 0x8000) << 16 | mantissa << 13 |
               (exponent == 31 ? 255u : exponent + 112) << 23;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/*
 * Compares two images with out's strides. Sums may be added in another order each time, so a
 * few values may differ; where something was overwritten, most do.
 */
static hsched_status same(hsi_cuda_bench *b, CUdeviceptr first, CUdeviceptr second,
                          size_t bytes, int *equal)
{
    const hsi_cuda_type type = b->step->type;
    const size_t element = hsi_cuda_type_size(type);
    const size_t pixel = (size_t)b->step->step.out.strides[3];
    const size_t channels = (size_t)b->step->step.out.dims[1];
    uint64_t compared = 0, different = 0;
    hsched_status status = HSCHED_OK;
    char *const data = hsi_cuda_host->alloc(2 * CHUNK);
    if (!data)
        return hsi_cuda_no_memory(doing);
    for (size_t at = 0; at < bytes && status == HSCHED_OK; at += CHUNK) {
        const size_t size = bytes - at < CHUNK ? bytes - at : CHUNK;
        status = CU_CHECK(doing, cuMemcpyDtoH, data, first + at, size);
        if (status == HSCHED_OK)
            status = CU_CHECK(doing, cuMemcpyDtoH, data + CHUNK, second + at, size);
        for (size_t i = 0; i < size / element && status == HSCHED_OK; i++) {
            if (pixel > channels && (at / element + i) % pixel >= channels)
                continue; /* another slice of the joint tensor */
            const float x = load(data, i, type), y = load(data + CHUNK, i, type);
            const float size_of_both = fabsf(x) + fabsf(y);
            compared++;
            different +=
                !(fabsf(x - y) <= 0.05f * size_of_both) && !(isnan(x) && isnan(y));
        }
    }
    hsi_cuda_host->free(data);
    *equal = different <= compared / 64;
    return status;
}

hsched_status hsi_cuda_bench_alias(hsi_cuda_bench *b, const hsi_cuda_op *op, int *safe)
{
    const hsched_step *s = &b->step->step;
    size_t before, bytes;
    hsi_cuda_bench_memory saved = { 0 }, apart = { 0 };
    *safe = 0;
    hsched_status status = prepare_workspace(b, op);
    if (status == HSCHED_OK)
        status = extent(&s->out, b->step->type, &before, &bytes);
    if (status == HSCHED_OK)
        status = take(b, bytes, &saved);
    if (status == HSCHED_OK)
        status = take(b, bytes, &apart);
    hsi_cuda_call call = b->call;
    call.in[s->out_aliases] = saved.address;
    call.out = apart.address;
    /* Earlier runs have left sums of sums in the residual: small numbers again. */
    if (status == HSCHED_OK)
        status = fill(b, saved.address, bytes);
    if (status == HSCHED_OK)
        status = CU_CHECK(doing, cuMemcpyDtoDAsync, b->call.out, saved.address, bytes,
                          b->stream);
    if (status == HSCHED_OK)
        status = op->enqueue(op, &call);
    if (status == HSCHED_OK)
        status = op->enqueue(op, &b->call);
    if (status == HSCHED_OK)
        status = wait_for_stream(b);
    else
        hsi_cuda.cuStreamSynchronize(b->stream); /* what was enqueued uses the memory */
    if (status == HSCHED_OK)
        status = same(b, apart.address, b->call.out, bytes, safe);
    give_back(b, &saved);
    give_back(b, &apart);
    return status;
}
