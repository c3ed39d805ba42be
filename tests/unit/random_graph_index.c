/* Random layers that look up, or put, elements by indices, and that order elements. */
#include <string.h>

#include "unit/random_graph_maker.h"

/* Indices into a dimension of `size`, some negative, a few out of range. */
static hsched_tensor constant_indices(maker *m, uint32_t rank, const int64_t *dims,
                                      int64_t size)
{
    const int64_t beyond = maker_chance(m, 10) ? 1 : 0;
    return maker_integers_constant(m, maker_chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32,
                                   rank, dims, -size - beyond, size - 1 + beyond);
}

/* Computed ones: not negative. NULL: there is nothing to compute them from. */
static item *computed_indices(maker *m, uint32_t rank_min, uint32_t rank_max,
                              int64_t size)
{
    return maker_modulo(m, maker_pick_integers(m, rank_min, rank_max), size,
                        maker_chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32);
}

static void some_dims(maker *m, uint32_t rank, int64_t *dims)
{
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = maker_range(m, 1, 4);
}

static item *add_gather(maker *m, item *x)
{
    const int axis = (int)maker_range(m, 0, x->rank - 1);
    uint32_t rank = (uint32_t)maker_range(m, 0, 2);
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor indices, y;
    const item *computed =
        maker_chance(m, 50) ? computed_indices(m, 0, 2, x->dims[axis]) : NULL;
    some_dims(m, rank, dims);
    if (computed != NULL) {
        rank = computed->rank;
        memcpy(dims, computed->dims, sizeof dims);
    }
    if (maker_elements(x->rank, x->dims) / x->dims[axis] * maker_elements(rank, dims) >
        MAX_ELEMENTS)
        return NULL;
    indices =
        computed ? computed->tensor : constant_indices(m, rank, dims, x->dims[axis]);
    x->used = 1;
    return maker_made(
        m,
        hsched_graph_add_gather(m->graph, NULL, x->tensor, indices,
                                maker_chance(m, 30) ? axis - (int)x->rank : axis, &y),
        &y, x->size);
}

/* No dimension but that of the axis is larger than x's. */
static hsched_tensor element_indices(maker *m, const item *x, int axis, int64_t *dims)
{
    for (uint32_t i = 0; i < x->rank; i++)
        dims[i] = (int)i == axis ? maker_range(m, 1, 5) : maker_range(m, 1, x->dims[i]);
    return constant_indices(m, x->rank, dims, x->dims[axis]);
}

static item *add_gather_elements(maker *m, item *x)
{
    const int axis = (int)maker_range(m, 0, x->rank - 1);
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor y;
    if (maker_elements(x->rank, x->dims) > MAX_ELEMENTS / 5)
        return NULL;
    const hsched_tensor indices = element_indices(m, x, axis, dims);
    x->used = 1;
    return maker_made(
        m, hsched_graph_add_gather_elements(m->graph, NULL, x->tensor, indices, axis, &y),
        &y, x->size);
}

/* Indices, each in range for all of the dimensions that they are for. */
static hsched_tensor tuples(maker *m, const item *x, uint32_t batch, uint32_t count,
                            uint32_t rank, const int64_t *dims)
{
    int64_t least = x->dims[batch];
    for (uint32_t i = batch; i < batch + count; i++)
        least = x->dims[i] < least ? x->dims[i] : least;
    return constant_indices(m, rank, dims, least);
}

static item *add_gather_nd(maker *m, item *x)
{
    const uint32_t batch = x->rank > 1 ? (uint32_t)maker_range(m, 0, x->rank - 1) / 2 : 0,
                   count = (uint32_t)maker_range(m, 1, x->rank - batch),
                   own = (uint32_t)maker_range(m, 0, 2);
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor y;
    memcpy(dims, x->dims, batch * sizeof *dims);
    some_dims(m, own, dims + batch);
    dims[batch + own] = count;
    if (maker_elements(batch + own, dims) *
            maker_elements(x->rank - batch - count, x->dims + batch + count) >
        MAX_ELEMENTS)
        return NULL;
    const hsched_tensor indices = tuples(m, x, batch, count, batch + own + 1, dims);
    x->used = 1;
    return maker_made(
        m, hsched_graph_add_gather_nd(m->graph, NULL, x->tensor, indices, (int)batch, &y),
        &y, x->size);
}

/* ---- Putting ---- */

static hsched_tensor updates_for(maker *m, const item *x, uint32_t rank,
                                 const int64_t *dims)
{
    if (x->dtype == HSCHED_FLOAT32)
        return maker_constant(m, rank, dims, -1, 1);
    return maker_integers_constant(m, x->dtype, rank, dims, 0,
                                   x->dtype == HSCHED_BOOL ? 1 : 9);
}

/* Computed ones: x itself, cut to size. */
static hsched_tensor computed_updates(maker *m, const item *x, const int64_t *dims)
{
    static const int64_t starts[HSCHED_MAX_DIMS];
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (m->status == HSCHED_OK)
        m->status = hsched_graph_add_slice(m->graph, NULL, x->tensor, x->rank, starts,
                                           dims, NULL, NULL, &y);
    return y;
}

static hsched_scatter_kind scatter_kind(maker *m, const item *x)
{
    return x->dtype == HSCHED_BOOL ? HSCHED_SCATTER_SET
                                   : (hsched_scatter_kind)maker_range(
                                         m, HSCHED_SCATTER_SET, HSCHED_SCATTER_MIN);
}

/* An estimate: most elements meet few others. */
static double scattered_size(const item *x, hsched_scatter_kind kind)
{
    return kind == HSCHED_SCATTER_ADD ? 3 * x->size + 3 : x->size > 1 ? x->size : 1;
}

static item *add_scatter_elements(maker *m, item *x)
{
    const int axis = (int)maker_range(m, 0, x->rank - 1);
    const hsched_scatter_kind kind = scatter_kind(m, x);
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor y;
    const hsched_tensor indices = element_indices(m, x, axis, dims);
    const int computed =
        dims[axis] <= x->dims[axis] && kind != HSCHED_SCATTER_MUL && maker_chance(m, 50);
    const hsched_tensor updates =
        computed ? computed_updates(m, x, dims) : updates_for(m, x, x->rank, dims);
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_scatter_elements(m->graph, NULL, x->tensor,
                                                        indices, updates, axis, kind, &y),
                      &y, scattered_size(x, kind));
}

static item *add_scatter_nd(maker *m, item *x)
{
    const uint32_t count = (uint32_t)maker_range(m, 1, x->rank),
                   own = (uint32_t)maker_range(m, 0, 2), rest = x->rank - count;
    const hsched_scatter_kind kind = scatter_kind(m, x);
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor y;
    some_dims(m, own, dims);
    dims[own] = count;
    const hsched_tensor indices = tuples(m, x, 0, count, own + 1, dims);
    memcpy(dims + own, x->dims + count, rest * sizeof *dims);
    if (maker_elements(own + rest, dims) > MAX_ELEMENTS)
        return NULL;
    const hsched_tensor updates = updates_for(m, x, own + rest, dims);
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_scatter_nd(m->graph, NULL, x->tensor, indices,
                                                  updates, kind, &y),
                      &y, scattered_size(x, kind));
}

item *maker_add_indexed(maker *m)
{
    item *x = maker_pick(m, 1, 4, 1);
    if (x == NULL || (x->dtype == HSCHED_FLOAT32 && x->size > MAX_SIZE / 4))
        return NULL;
    switch (maker_range(m, 0, 5)) {
    case 0:
        return add_gather_elements(m, x);
    case 1:
        return add_gather_nd(m, x);
    case 2:
        return add_scatter_elements(m, x);
    case 3:
        return add_scatter_nd(m, x);
    default:
        return add_gather(m, x);
    }
}

/* ---- Ordering ---- */

/* Numbers that rounding does not bring into another order. */
static item *pick_exact(maker *m)
{
    for (int attempt = 0; attempt < 8; attempt++) {
        item *x = maker_pick(m, 1, 5, 1);
        if (x != NULL && x->dtype != HSCHED_BOOL &&
            (x->dtype != HSCHED_FLOAT32 || x->given))
            return x;
    }
    return NULL;
}

static item *add_arg(maker *m, item *x)
{
    const int axis = (int)maker_range(m, 0, x->rank - 1);
    hsched_tensor y;
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_arg(
                          m->graph, NULL,
                          maker_chance(m, 50) ? HSCHED_ARG_MAX : HSCHED_ARG_MIN,
                          x->tensor, axis, maker_chance(m, 50), maker_chance(m, 50), &y),
                      &y, (double)x->dims[axis]);
}

static item *add_top_k(maker *m, item *x)
{
    const int axis = (int)maker_range(m, 0, x->rank - 1);
    const int64_t k = maker_range(m, 1, x->dims[axis]);
    const int with_values = maker_chance(m, 60);
    hsched_tensor values, indices;
    const double size = x->size, places = (double)x->dims[axis];
    x->used = 1;
    item *y = maker_made(m,
                         hsched_graph_add_top_k(m->graph, NULL, x->tensor, k, axis,
                                                maker_chance(m, 50),
                                                with_values ? &values : NULL, &indices),
                         &indices, places);
    return y != NULL && with_values ? maker_made(m, m->status, &values, size) : y;
}

static item *add_cumsum(maker *m, item *x)
{
    const int axis = (int)maker_range(m, 0, x->rank - 1);
    const double size = x->size * (double)x->dims[axis];
    hsched_tensor y;
    if (x->dtype == HSCHED_FLOAT32 ? size > MAX_SIZE
                                   : x->dtype != HSCHED_INT64 && x->dtype != HSCHED_INT32)
        return NULL;
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_cumsum(m->graph, NULL, x->tensor, axis,
                                              maker_chance(m, 30), maker_chance(m, 30),
                                              &y),
                      &y, size);
}

item *maker_add_ordered(maker *m)
{
    const int64_t kind = maker_range(m, 0, 2);
    item *x = kind == 2 ? maker_pick(m, 1, 5, 1) : pick_exact(m);
    if (x == NULL)
        return NULL;
    return kind == 0 ? add_arg(m, x) : kind == 1 ? add_top_k(m, x) : add_cumsum(m, x);
}
