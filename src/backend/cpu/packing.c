#include "backend/cpu/packing.h"

#include "base/alloc.h"
#include "base/status.h"

/* A piece takes a fraction of a millisecond; waking a helper, some hundredths. */
#define PIECE_BYTES ((size_t)512 * 1024)

typedef struct pieces {
    const hsi_cpu_packing *packing;
    void *to;
    uint32_t count;
} pieces;

static void pack_piece(void *user, uint32_t piece)
{
    const pieces *p = user;
    p->packing->pack(p->packing->how, p->to,
                     hsi_cpu_part_begin(p->packing->units, piece, p->count),
                     hsi_cpu_part_begin(p->packing->units, piece + 1, p->count));
}

hsched_status hsi_cpu_pack(const hsi_cpu_prepare_context *context,
                           const hsi_cpu_packing *packing, const float **packed,
                           void **owned, uint64_t *weight_bytes)
{
    void *to = *owned = hsi_alloc_unset(packing->bytes);
    if (!to)
        return hsi_out_of_memory(packing->what);
    const size_t most = packing->bytes / PIECE_BYTES + 1;
    pieces p = { packing, to,
                 most < (uint64_t)packing->units ? (uint32_t)most
                                                 : (uint32_t)packing->units };
    if (context->share_pieces && p.count > 1)
        context->share_pieces(context->workers, p.count, pack_piece, &p);
    else
        packing->pack(packing->how, to, 0, packing->units);
    *packed = to;
    *weight_bytes += packing->bytes;
    return HSCHED_OK;
}
