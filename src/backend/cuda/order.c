#include "backend/cuda/order.h"

#include "backend/cuda/host.h"

struct hsi_cuda_order {
    uint32_t count, words;
    hsi_cuda_access *accesses;
    uint64_t *before; /* [launch * words]: bits of those that have ended when it begins */
};

/* ---- Extents -------------------------------------------------------------- */

/* Rows of pixels of which only some channels are the operand's: all strides but that of the
 * channels are multiples of a pixel's. */
static int is_slice(const hsched_operand *o)
{
    const int64_t *d = o->dims, *s = o->strides;
    if (o->rank != 4 || s[1] != 1 || s[3] < d[1] || s[3] <= 0)
        return 0;
    return (d[2] == 1 || s[2] % s[3] == 0) && (d[0] == 1 || s[0] % s[3] == 0);
}

hsi_cuda_extent hsi_cuda_extent_of(const hsched_operand *operand, size_t element_size,
                                   size_t offset)
{
    int64_t low = 0, high = 1;
    for (uint32_t i = 0; i < operand->rank; i++) {
        const int64_t reach = (operand->dims[i] - 1) * operand->strides[i];
        *(reach < 0 ? &low : &high) += reach;
    }
    hsi_cuda_extent e = { .begin = offset - (size_t)-low * element_size,
                          .end = offset + (size_t)high * element_size };
    if (is_slice(operand)) {
        e.pitch = (size_t)operand->strides[3] * element_size;
        e.width = (size_t)operand->dims[1] * element_size;
    }
    return e;
}

/* With equal pitches: where b's slice begins after a's, in the circle of one pitch. */
static int slices_overlap(const hsi_cuda_extent *a, const hsi_cuda_extent *b)
{
    const size_t pitch = a->pitch;
    const size_t distance = (b->begin % pitch + pitch - a->begin % pitch) % pitch;
    return distance < a->width || pitch - distance < b->width;
}

int hsi_cuda_extents_overlap(const hsi_cuda_extent *a, const hsi_cuda_extent *b)
{
    if (a->begin >= b->end || b->begin >= a->end)
        return 0;
    return a->pitch == 0 || a->pitch != b->pitch || slices_overlap(a, b);
}

/* ---- The order ------------------------------------------------------------ */

hsi_cuda_order *hsi_cuda_order_create(uint32_t most)
{
    hsi_cuda_order *order = HSI_CUDA_NEW(hsi_cuda_order);
    if (!order)
        return NULL;
    order->words = (most + 63) / 64;
    order->accesses = HSI_CUDA_NEW_ARRAY(hsi_cuda_access, most);
    order->before = HSI_CUDA_NEW_ARRAY(uint64_t, (size_t)most * order->words);
    if (order->accesses && order->before)
        return order;
    hsi_cuda_order_destroy(order);
    return NULL;
}

void hsi_cuda_order_destroy(hsi_cuda_order *order)
{
    if (!order)
        return;
    hsi_cuda_host->free(order->accesses);
    hsi_cuda_host->free(order->before);
    hsi_cuda_host->free(order);
}

static int reads_what_is_written(const hsi_cuda_access *reader,
                                 const hsi_cuda_access *writer)
{
    for (uint32_t i = 0; i < reader->read_count; i++)
        if (hsi_cuda_extents_overlap(&reader->reads[i], &writer->write))
            return 1;
    return 0;
}

static int conflict(const hsi_cuda_access *a, const hsi_cuda_access *b)
{
    return (a->exclusive & b->exclusive) != 0 ||
           hsi_cuda_extents_overlap(&a->write, &b->write) ||
           reads_what_is_written(a, b) || reads_what_is_written(b, a);
}

/* The latest launch before `launch` that its row lacks; UINT32_MAX: there is none. */
static uint32_t latest_missing(const uint64_t *row, uint32_t launch)
{
    while (launch > 0) {
        const uint32_t word = (launch - 1) / 64, bits = (launch - 1) % 64 + 1;
        const uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        const uint64_t missing = ~row[word] & mask;
        if (missing)
            return word * 64 + 63 - (uint32_t)__builtin_clzll(missing);
        launch = word * 64;
    }
    return UINT32_MAX;
}

uint32_t hsi_cuda_order_add(hsi_cuda_order *order, const hsi_cuda_access *access,
                            uint32_t *waits)
{
    const uint32_t launch = order->count++;
    uint64_t *row = order->before + (size_t)launch * order->words;
    uint32_t count = 0;
    order->accesses[launch] = *access;
    /* In a chain the first look ends it: who waits for the latest waits for all. */
    for (uint32_t i = latest_missing(row, launch); i != UINT32_MAX;
         i = latest_missing(row, i)) {
        if (!conflict(&order->accesses[i], access))
            continue;
        const uint64_t *other = order->before + (size_t)i * order->words;
        for (uint32_t w = 0; w < order->words; w++)
            row[w] |= other[w];
        row[i / 64] |= UINT64_C(1) << i % 64;
        waits[count++] = i;
    }
    return count;
}
