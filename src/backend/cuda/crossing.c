#include "backend/cuda/crossing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/bench.h"
#include "backend/cuda/host.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/record.h"
#include "backend/cuda/tune.h"

enum {
    LEAST_BYTES = 4096 /* what is smaller takes as long */
};

/* ---- Copies --------------------------------------------------------------- */

typedef struct copy_op {
    hsi_cuda_op op; /* first */
    size_t bytes;
    int to_slot;
} copy_op;

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const copy_op *o = (const copy_op *)op;
    const CUdeviceptr to = o->to_slot ? call->out : call->outside,
                      from = o->to_slot ? call->outside : call->out;
    if (call->recorder)
        return hsi_cuda_record_copy(call->recorder, to, from, o->bytes);
    return CU_CHECK(op->name, cuMemcpyAsync, to, from, o->bytes, call->stream);
}

static void destroy(hsi_cuda_op *op)
{
    hsi_cuda_host->free(op);
}

/* The bytes of a tensor that lies in one piece from its first element on; 0: it does not. */
static size_t piece(const hsched_operand *o, size_t element)
{
    int64_t count = 1, reach = 1;
    for (uint32_t i = 0; i < o->rank; i++) {
        if (o->dims[i] > 1 && o->strides[i] < 0)
            return 0;
        count *= o->dims[i];
        reach += (o->dims[i] - 1) * o->strides[i];
    }
    return count == reach ? (size_t)count * element : 0;
}

static size_t copied_bytes(const hsi_cuda_transfer *t)
{
    const int converts = t->member.dtype == HSCHED_FLOAT32 && t->type != HSI_CUDA_F32;
    if (converts || t->members != 1 || t->member.rank != t->slot.rank ||
        memcmp(t->member.strides, t->slot.strides,
               t->slot.rank * sizeof t->slot.strides[0]) != 0)
        return 0;
    return piece(&t->member, hsi_cuda_element_size(&t->member, HSI_CUDA_F32));
}

hsched_status hsi_cuda_make_copied(const hsi_cuda_transfer *t, hsi_cuda_op **op)
{
    const size_t bytes = copied_bytes(t);
    *op = NULL;
    if (bytes == 0)
        return hsi_cuda_unsupported("a copy engine takes one piece, as it is");
    copy_op *o = HSI_CUDA_NEW(copy_op);
    if (!o)
        return hsi_cuda_no_memory("an operation");
    snprintf(o->op.name, sizeof o->op.name, "cuda/copy %s", t->to_slot ? "in" : "out");
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    o->bytes = bytes;
    o->to_slot = t->to_slot;
    *op = &o->op;
    return HSCHED_OK;
}

/* ---- Measuring ------------------------------------------------------------ */

static hsi_cuda_transfer transfer_of(hsi_cuda_device *device, size_t bytes, int to_slot)
{
    hsi_cuda_transfer t = { .device = device,
                            .type = HSI_CUDA_F32,
                            .members = 1,
                            .to_slot = to_slot,
                            .member = { .dtype = HSCHED_FLOAT32,
                                        .rank = 1,
                                        .dims = { (int64_t)(bytes / sizeof(float)) },
                                        .strides = { 1 } } };
    t.slot = t.member;
    return t;
}

static hsched_status time_one(hsi_cuda_bench *bench, const hsi_cuda_transfer *t,
                              hsched_status (*make)(const hsi_cuda_transfer *,
                                                    hsi_cuda_op **),
                              float limit, float *microseconds)
{
    hsi_cuda_op *op;
    hsched_status status = make(t, &op);
    if (status != HSCHED_OK)
        return status;
    status = hsi_cuda_bench_time(bench, op, limit, microseconds);
    op->destroy(op);
    return status;
}

/* `mapped` is host memory at least as large. The bench's input holds the table. */
static hsched_status time_both(hsi_cuda_bench *bench, const hsi_cuda_transfer *t,
                               CUdeviceptr mapped, float times[2])
{
    const uint64_t table = mapped;
    bench->call.outside = mapped;
    hsched_status status = CU_CHECK("timing a crossing", cuMemcpyHtoD, bench->call.in[0],
                                    &table, sizeof table);
    if (status == HSCHED_OK)
        status = hsi_cuda_finish_default();
    if (status == HSCHED_OK)
        status = time_one(bench, t, hsi_cuda_make_transfer, 1e9f, &times[0]);
    if (status == HSCHED_OK)
        status = time_one(bench, t, hsi_cuda_make_copied, 1e9f, &times[1]);
    return status;
}

static hsched_status measure(hsi_cuda_device *device, size_t bytes, int to_slot,
                             float times[2])
{
    const hsi_cuda_transfer t = transfer_of(device, bytes, to_slot);
    hsi_cuda_step step = { .device = device,
                           .step = { .kind = HSCHED_STEP_COPY,
                                     .name = "crossing",
                                     .input_count = 1,
                                     .out_aliases = -1,
                                     .in = { t.member },
                                     .out = t.member },
                           .type = HSI_CUDA_F32,
                           .alignment = { 256 },
                           .out_alignment = 256 };
    hsi_cuda_bench bench;
    void *host = NULL;
    CUdeviceptr mapped = 0;
    hsched_status status = CU_CHECK("timing a crossing", cuMemHostAlloc, &host, bytes,
                                    CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    if (status != HSCHED_OK)
        return status;
    status = CU_CHECK("timing a crossing", cuMemHostGetDevicePointer, &mapped, host, 0);
    if (status == HSCHED_OK) {
        memset(host, 0, bytes);
        status = hsi_cuda_bench_open(&bench, &step, 0);
        if (status == HSCHED_OK)
            status = time_both(&bench, &t, mapped, times);
        hsi_cuda_bench_close(&bench);
    }
    hsi_cuda.cuMemFreeHost(host);
    return status;
}

/* ---- Choosing ------------------------------------------------------------- */

static const char *const ways[] = { "mapped", "copied" };

/* Sizes between two powers of two go by the larger. */
static size_t class_of(size_t bytes)
{
    size_t size = LEAST_BYTES;
    while (size < bytes)
        size *= 2;
    return size;
}

/* 1: by a copy engine. What cannot be measured is mapped. */
static int is_better_copied(hsi_cuda_device *d, size_t bytes, int to_slot)
{
    char key[64], way[HSI_TUNE_VARIANT];
    float times[2] = { 0 }, microseconds;
    int full;
    if (d->integrated || d->tuning == HSI_CUDA_TUNING_NONE || !d->tune_cache)
        return 0;
    snprintf(key, sizeof key, "crossing;%s;%zu", to_slot ? "in" : "out", class_of(bytes));
    if (hsi_tune_cache_get(d->tune_cache, key, way, &microseconds, &full))
        return strcmp(way, ways[1]) == 0;
    if (measure(d, class_of(bytes), to_slot, times) != HSCHED_OK)
        return 0;
    const int copied = times[1] < times[0];
    hsi_cuda_host->log(HSCHED_LOG_DEBUG, "GPU: %s: mapped %.2f us, copied %.2f us", key,
                       (double)times[0], (double)times[1]);
    hsi_tune_cache_put(d->tune_cache, key, ways[copied], times[copied], 1);
    atomic_fetch_add(&d->tunings, 1);
    return copied;
}

hsched_status hsi_cuda_make_crossing(const hsi_cuda_transfer *t, hsi_cuda_op **op)
{
    const size_t bytes = copied_bytes(t);
    if (bytes > 0 && is_better_copied(t->device, bytes, t->to_slot) &&
        hsi_cuda_make_copied(t, op) == HSCHED_OK)
        return HSCHED_OK;
    return hsi_cuda_make_transfer(t, op);
}
