#include "backend/cpu/packing.h"

#include <stdatomic.h>

#include "backend/cpu/content.h"
#include "backend/cpu/store.h"
#include "base/alloc.h"
#include "base/status.h"

/* A piece takes a fraction of a millisecond; waking a helper, some hundredths. */
#define PIECE_BYTES ((size_t)512 * 1024)
/* Below, packing takes no longer than finding a file. */
#define STORED_BYTES ((size_t)256 * 1024)

static void share(const hsi_cpu_prepare_context *context, uint32_t count,
                  hsched_piece *piece, void *user)
{
    if (context->share_pieces && count > 1)
        context->share_pieces(context->workers, count, piece, user);
    else
        for (uint32_t i = 0; i < count; i++)
            piece(user, i);
}

/* ---- Hashing -------------------------------------------------------------- */

typedef struct contents {
    const char *data;
    size_t size;
    atomic_uint_least64_t sum; /* of all pieces' hashes: their order does not matter */
} contents;

static void hash_piece(void *user, uint32_t piece)
{
    contents *c = user;
    const size_t begin = piece * PIECE_BYTES, left = c->size - begin;
    const uint64_t hash = hsi_cpu_content_hash(
        c->data + begin, left < PIECE_BYTES ? left : PIECE_BYTES, piece);
    atomic_fetch_add_explicit(&c->sum, hash, memory_order_relaxed);
}

static uint64_t hash_of(const hsi_cpu_prepare_context *context,
                        const hsched_operand *from)
{
    contents c = { .data = from->constant, .size = hsi_cpu_operand_span(from) };
    share(context, (uint32_t)((c.size + PIECE_BYTES - 1) / PIECE_BYTES), hash_piece, &c);
    return atomic_load_explicit(&c.sum, memory_order_relaxed);
}

/* ---- Packing -------------------------------------------------------------- */

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

static hsched_status pack(const hsi_cpu_prepare_context *context,
                          const hsi_cpu_packing *packing, void **packed)
{
    *packed = hsi_alloc_unset(packing->bytes);
    if (!*packed)
        return hsi_out_of_memory(packing->what);
    const size_t most = packing->bytes / PIECE_BYTES + 1;
    pieces p = { packing, *packed,
                 most < (uint64_t)packing->units ? (uint32_t)most
                                                 : (uint32_t)packing->units };
    share(context, p.count, pack_piece, &p);
    return HSCHED_OK;
}

hsched_status hsi_cpu_pack(const hsi_cpu_prepare_context *context,
                           const hsi_cpu_packing *packing, const float **packed,
                           void **owned, uint64_t *weight_bytes)
{
    const int stored =
        context->store && packing->layout && packing->bytes >= STORED_BYTES;
    const uint64_t hash = stored ? hash_of(context, packing->from) : 0;
    const void *found = NULL;
    *owned = NULL;
    hsched_status status =
        stored ? hsi_cpu_store_find(context->store, packing, hash, &found) : HSCHED_OK;
    if (status == HSCHED_OK && !found) {
        status = pack(context, packing, owned);
        found = *owned;
        if (status == HSCHED_OK && stored)
            hsi_cpu_store_keep(context->store, packing, hash, found);
    }
    if (status != HSCHED_OK)
        return status;
    *packed = found;
    *weight_bytes += packing->bytes;
    return HSCHED_OK;
}
