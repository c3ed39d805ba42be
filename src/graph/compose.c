#include "graph/compose.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/tensor.h"
#include "graph/build.h"

enum {
    MAX_BLOCK = 1 << 15 /* so that its square is a size that exists */
};

/* x seen as `apart`, its dimensions in another order (NULL: repeated to `wide`), seen as
 * `whole`. */
typedef struct rearrangement {
    uint32_t rank, whole_rank;
    int64_t apart[HSCHED_MAX_DIMS], wide[HSCHED_MAX_DIMS], whole[HSCHED_MAX_DIMS];
    const int64_t *perm;
} rearrangement;

static hsched_status rearrange(hsched_graph *graph, const char *const names[3],
                               hsched_tensor x, const rearrangement *r, hsched_tensor *y)
{
    hsched_tensor made;
    hsched_status status =
        hsched_graph_add_reshape(graph, names[0], x, r->rank, r->apart, &made);
    if (status == HSCHED_OK)
        status =
            r->perm
                ? hsched_graph_add_transpose(graph, names[1], made, r->perm, &made)
                : hsched_graph_add_expand(graph, names[1], made, r->rank, r->wide, &made);
    if (status == HSCHED_OK)
        status =
            hsched_graph_add_reshape(graph, names[2], made, r->whole_rank, r->whole, y);
    return status;
}

/* ---- Tile ----------------------------------------------------------------- */

/* Every dimension is repeated behind one of its own, as far as it is. */
hsched_status hsi_compose_tile(hsched_graph *graph, const char *const names[3],
                               hsched_tensor x, const int64_t *repeats, hsched_tensor *y)
{
    const hsi_graph_tensor *t = &graph->tensors[x];
    rearrangement r = { .whole_rank = t->rank };
    for (uint32_t k = 0; k < t->rank; k++) {
        if (repeats[k] < 1)
            return hsi_error(HSCHED_ERROR_SHAPE,
                             "dimension %u is repeated %lld times, and empty tensors are "
                             "not allowed; give 1 or more",
                             k, (long long)repeats[k]);
        if (r.rank + 1 + (repeats[k] != 1) > HSCHED_MAX_DIMS)
            return hsi_error(
                HSCHED_ERROR_LIMIT,
                "so many repeated dimensions of %u; join some, or repeat one "
                "after the other",
                t->rank);
        if (repeats[k] != 1) {
            r.apart[r.rank] = 1;
            r.wide[r.rank++] = repeats[k];
        }
        /* A 0 copies the dimension, a symbol, too; a 1 broadcasts. */
        const int same = r.rank == k;
        r.apart[r.rank] = same ? 0 : t->dims[k];
        r.wide[r.rank++] = 1;
        if (__builtin_mul_overflow(t->dims[k], repeats[k], &r.whole[k]))
            return hsi_error(HSCHED_ERROR_LIMIT, "dimension %u, repeated, is too large",
                             k);
        if (same)
            r.whole[k] = 0;
    }
    return rearrange(graph, names, x, &r, y);
}

/* ---- Blocks --------------------------------------------------------------- */

/* A dimension 0 of a reshape copies x's, a symbol, too. */
static void apart_to_space(rearrangement *r, const int64_t *dims, int64_t block,
                           hsched_block_order order)
{
    static const int64_t dcr[6] = { 0, 3, 4, 1, 5, 2 }, crd[6] = { 0, 1, 4, 2, 5, 3 };
    const int64_t channels = dims[1] / (block * block);
    const int last = order == HSCHED_BLOCK_ORDER_CRD;
    *r = (rearrangement){
        .rank = 6,
        .whole_rank = 4,
        .apart = { 0, last ? channels : block, block, last ? block : channels, dims[2],
                   dims[3] },
        .whole = { 0, channels, dims[2] * block, dims[3] * block },
        .perm = last ? crd : dcr,
    };
}

static void apart_to_depth(rearrangement *r, const int64_t *dims, int64_t block,
                           hsched_block_order order)
{
    static const int64_t dcr[6] = { 0, 3, 5, 1, 2, 4 }, crd[6] = { 0, 1, 3, 5, 2, 4 };
    const int64_t height = dims[2] / block, width = dims[3] / block;
    *r = (rearrangement){
        .rank = 6,
        .whole_rank = 4,
        .apart = { 0, dims[1], height, block, width, block },
        .whole = { 0, dims[1] * block * block, height, width },
        .perm = order == HSCHED_BLOCK_ORDER_CRD ? crd : dcr,
    };
}

static hsched_status check_blocks(const hsi_graph_tensor *x, int64_t block,
                                  hsched_block_order order, int to_space)
{
    const char *shape = hsi_shape_text(x->rank, x->dims);
    if (x->rank != 4)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "x has shape %s, and four dimensions, [N,C,H,W], are needed; reshape "
            "it",
            shape);
    if (block < 1 || block > MAX_BLOCK)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "blocks of %lld are not possible; give 1 to %d",
                         (long long)block, MAX_BLOCK);
    if (order != HSCHED_BLOCK_ORDER_DCR && order != HSCHED_BLOCK_ORDER_CRD)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "the order of blocks, %d, is no hsched_block_order", (int)order);
    if (to_space && x->dims[1] % (block * block))
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "the %lld channels of x %s are no blocks of %lld by %lld; give a "
            "multiple",
            (long long)x->dims[1], shape, (long long)block, (long long)block);
    if (!to_space && (x->dims[2] % block || x->dims[3] % block))
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "height and width of x %s are no blocks of %lld; pad it", shape,
                         (long long)block);
    return HSCHED_OK;
}

hsched_status hsi_compose_blocks(hsched_graph *graph, const char *const names[3],
                                 hsched_tensor x, int64_t block, hsched_block_order order,
                                 int to_space, hsched_tensor *y)
{
    rearrangement r;
    const hsi_graph_tensor *t = &graph->tensors[x];
    hsched_status status = check_blocks(t, block, order, to_space);
    if (status != HSCHED_OK)
        return status;
    if (to_space)
        apart_to_space(&r, t->dims, block, order);
    else
        apart_to_depth(&r, t->dims, block, order);
    return rearrange(graph, names, x, &r, y);
}

/* ---- The public functions: whole or not at all ---------------------------- */

typedef struct composition {
    hsi_draft draft;
    uint32_t tensors, layers; /* before */
    char *names[3];           /* the result's last */
} composition;

static hsched_status begin(composition *c, const char *stem)
{
    static const char *const parts[] = { "apart", "moved" };
    hsched_status status = hsi_draft_begin(&c->draft);
    if (status != HSCHED_OK)
        return status;
    c->tensors = c->draft.graph->tensor_count;
    c->layers = c->draft.graph->layer_count;
    status = hsi_names_choose(c->draft.graph, c->draft.name, stem, &c->names[2]);
    for (int k = 0; k < 2 && status == HSCHED_OK; k++)
        status =
            hsi_names_choose_like(c->draft.graph, c->names[2], parts[k], &c->names[k]);
    return status;
}

static hsched_status end(composition *c, const char *what, hsched_status status)
{
    if (status != HSCHED_OK && c->names[2]) {
        hsi_graph_rewind(c->draft.graph, c->tensors, c->layers);
        *c->draft.y = HSCHED_NO_TENSOR;
        status = hsi_error_prefix(status, "layer '%.200s' (%s): ", c->names[2], what);
    }
    for (int k = 0; k < 3; k++)
        hsi_free(c->names[k]);
    return status;
}

HSCHED_API hsched_status hsched_graph_add_tile(hsched_graph *graph, const char *name,
                                               hsched_tensor x, const int64_t *repeats,
                                               hsched_tensor *y)
{
    composition c = { .draft = { graph, HSI_LAYER_EXPAND, name, &x, 1, y } };
    hsched_status status = begin(&c, "tile");
    if (status == HSCHED_OK && !repeats)
        status = hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                           "repeats is NULL; give a count for each dimension");
    if (status == HSCHED_OK)
        status = hsi_compose_tile(graph, (const char *const *)c.names, x, repeats, y);
    return end(&c, "tile", status);
}

static hsched_status add_blocks(hsched_graph *graph, const char *name, hsched_tensor x,
                                int64_t block, hsched_block_order order, int to_space,
                                hsched_tensor *y)
{
    const char *what = to_space ? "depth_to_space" : "space_to_depth";
    composition c = { .draft = { graph, HSI_LAYER_TRANSPOSE, name, &x, 1, y } };
    hsched_status status = begin(&c, what);
    if (status == HSCHED_OK)
        status = hsi_compose_blocks(graph, (const char *const *)c.names, x, block, order,
                                    to_space, y);
    return end(&c, what, status);
}

HSCHED_API hsched_status hsched_graph_add_depth_to_space(hsched_graph *graph,
                                                         const char *name,
                                                         hsched_tensor x, int64_t block,
                                                         hsched_block_order order,
                                                         hsched_tensor *y)
{
    return add_blocks(graph, name, x, block, order, 1, y);
}

HSCHED_API hsched_status hsched_graph_add_space_to_depth(hsched_graph *graph,
                                                         const char *name,
                                                         hsched_tensor x, int64_t block,
                                                         hsched_block_order order,
                                                         hsched_tensor *y)
{
    return add_blocks(graph, name, x, block, order, 0, y);
}

/* ---- Split ---------------------------------------------------------------- */

static hsched_status check_split(const hsi_graph_tensor *x, int axis, uint32_t count,
                                 const int64_t *sizes, uint32_t *along)
{
    const int64_t rank = x->rank, at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "axis %d is none of x %s; give one from %lld to %lld", axis,
                         hsi_shape_text(x->rank, x->dims), (long long)-rank,
                         (long long)rank - 1);
    const int64_t size = x->dims[at];
    int64_t left = size;
    if (!sizes && (count == 0 || size % count))
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "dimension %lld of x %s has no %u equal parts; give their sizes",
                         (long long)at, hsi_shape_text(x->rank, x->dims), count);
    for (uint32_t k = 0; sizes && k < count; k++) {
        if (sizes[k] < 1 || sizes[k] > left)
            return hsi_error(
                HSCHED_ERROR_SHAPE, "part %u of %lld does not fit dimension %lld of x %s",
                k, (long long)sizes[k], (long long)at, hsi_shape_text(x->rank, x->dims));
        left -= sizes[k];
    }
    if (sizes && left)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "the parts leave %lld of dimension %lld of x %s; give sizes that "
            "fill it",
            (long long)left, (long long)at, hsi_shape_text(x->rank, x->dims));
    *along = (uint32_t)at;
    return HSCHED_OK;
}

static hsched_status add_parts(hsched_graph *graph, const char *name, hsched_tensor x,
                               int64_t axis, uint32_t count, const int64_t *sizes,
                               hsched_tensor *parts)
{
    const int64_t equal = graph->tensors[x].dims[axis] / count;
    int64_t start = 0;
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < count && status == HSCHED_OK; k++) {
        int64_t end_at = start + (sizes ? sizes[k] : equal);
        char *part = hsi_asprintf("%s/%u", name, k);
        if (!part)
            return hsi_out_of_memory("a layer's name");
        status = hsched_graph_add_slice(graph, part, x, 1, &start, &end_at, &axis, NULL,
                                        &parts[k]);
        hsi_free(part);
        start = end_at;
    }
    return status;
}

HSCHED_API hsched_status hsched_graph_add_split(hsched_graph *graph, const char *name,
                                                hsched_tensor x, int axis, uint32_t count,
                                                const int64_t *sizes,
                                                hsched_tensor *parts)
{
    composition c = { .draft = { graph, HSI_LAYER_SLICE, name, &x, 1, parts } };
    uint32_t along = 0;
    hsched_status status = begin(&c, "split");
    if (status == HSCHED_OK)
        status = check_split(&graph->tensors[x], axis, count, sizes, &along);
    if (status == HSCHED_OK)
        status = add_parts(graph, c.names[2], x, along, count, sizes, parts);
    status = end(&c, "split", status);
    for (uint32_t k = 0; status != HSCHED_OK && parts && k < count; k++)
        parts[k] = HSCHED_NO_TENSOR;
    return status;
}
