/* Random layers on integers and bool: what indices, lengths and conditions are made of. */
#include <stdlib.h>
#include <string.h>

#include "unit/random_graph_maker.h"

/* Uniform in [low, high], which the type holds. */
hsched_tensor maker_integers_constant(maker *m, hsched_dtype dtype, uint32_t rank,
                                      const int64_t *dims, int64_t low, int64_t high)
{
    hsched_tensor tensor = HSCHED_NO_TENSOR;
    const size_t count = (size_t)maker_elements(rank, dims),
                 size = hsched_dtype_size(dtype);
    char *data = malloc(count * size);
    if (data == NULL && m->status == HSCHED_OK)
        m->status = HSCHED_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count && data != NULL; i++) {
        const int64_t value = maker_range(m, low, high);
        memcpy(data + i * size, &value, size); /* its low bytes come first */
    }
    if (m->status == HSCHED_OK)
        m->status = hsched_graph_add_constant(m->graph, NULL, dtype, rank, dims, data,
                                              count * size, HSCHED_DATA_COPY, &tensor);
    free(data);
    return tensor;
}

item *maker_cast(maker *m, item *x, hsched_dtype dtype, double size)
{
    hsched_tensor y;
    if (x == NULL || x->dtype == dtype)
        return x;
    x->used = 1;
    return maker_made(m, hsched_graph_add_cast(m->graph, NULL, x->tensor, dtype, &y), &y,
                      size);
}

static int is_integer(const item *x)
{
    return x->dtype == HSCHED_INT64 || x->dtype == HSCHED_INT32 ||
           x->dtype == HSCHED_INT8 || x->dtype == HSCHED_UINT8;
}

static int is_bool(const item *x)
{
    return x->dtype == HSCHED_BOOL;
}

/* Any of all that fit, if there is one: there are few of them. */
static item *pick_that(maker *m, int (*fits)(const item *), uint32_t rank_min,
                       uint32_t rank_max)
{
    const int64_t first = maker_range(m, 0, m->count - 1);
    for (uint32_t k = 0; k < m->count; k++) {
        item *x = &m->items[(first + k) % m->count];
        if (x->rank >= rank_min && x->rank <= rank_max && fits(x))
            return x;
    }
    return NULL;
}

item *maker_pick_integers(maker *m, uint32_t rank_min, uint32_t rank_max)
{
    return pick_that(m, is_integer, rank_min, rank_max);
}

item *maker_modulo(maker *m, item *x, int64_t count, hsched_dtype dtype)
{
    hsched_tensor y;
    if (x == NULL)
        return NULL;
    /* An int8 holds the divisor, as every type does. */
    const int64_t divisor = count < 120 ? count : 120;
    const hsched_tensor by =
        maker_integers_constant(m, x->dtype, 0, NULL, divisor, divisor);
    x->used = 1;
    x = maker_made(
        m, hsched_graph_add_binary(m->graph, NULL, HSCHED_BINARY_MOD, x->tensor, by, &y),
        &y, (double)divisor);
    return maker_cast(m, x, dtype, (double)divisor);
}

static item *add_activation(maker *m, item *x)
{
    static const hsched_activation_kind kinds[] = {
        HSCHED_ACTIVATION_NONE, HSCHED_ACTIVATION_RELU, HSCHED_ACTIVATION_ABS,
        HSCHED_ACTIVATION_NEG, HSCHED_ACTIVATION_SIGN
    };
    const hsched_activation act = { .kind = kinds[maker_range(m, 0, 4)] };
    hsched_tensor y;
    x->used = 1;
    return maker_made(m, hsched_graph_add_activation(m->graph, NULL, x->tensor, act, &y),
                      &y, x->size);
}

/* Arithmetic, bits and comparisons with another of the same type, or a constant. */
static item *add_binary(maker *m, item *x)
{
    static const hsched_binary_kind kinds[] = {
        HSCHED_BINARY_ADD,     HSCHED_BINARY_SUB,
        HSCHED_BINARY_MUL,     HSCHED_BINARY_DIV,
        HSCHED_BINARY_MIN,     HSCHED_BINARY_MAX,
        HSCHED_BINARY_MOD,     HSCHED_BINARY_FMOD,
        HSCHED_BINARY_BIT_AND, HSCHED_BINARY_BIT_OR,
        HSCHED_BINARY_BIT_XOR, HSCHED_BINARY_EQUAL,
        HSCHED_BINARY_GREATER, HSCHED_BINARY_GREATER_OR_EQUAL,
        HSCHED_BINARY_LESS,    HSCHED_BINARY_LESS_OR_EQUAL
    };
    const hsched_binary_kind kind =
        kinds[maker_range(m, 0, sizeof kinds / sizeof *kinds - 1)];
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor other, y;
    item *same = maker_pick_integers(m, x->rank, x->rank);
    if (same != NULL && same->dtype == x->dtype &&
        memcmp(same->dims, x->dims, x->rank * sizeof *x->dims) == 0) {
        same->used = 1;
        other = same->tensor;
    } else {
        for (uint32_t i = 0; i < x->rank; i++)
            dims[i] = maker_chance(m, 50) ? 1 : x->dims[i];
        other = maker_integers_constant(m, x->dtype, x->rank, dims,
                                        x->dtype == HSCHED_UINT8 ? 0 : -9, 9);
    }
    const int first = maker_chance(m, 70);
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_binary(m->graph, NULL, kind,
                                              first ? x->tensor : other,
                                              first ? other : x->tensor, &y),
                      &y, 1e19);
}

static item *add_reduce(maker *m, item *x)
{
    static const hsched_reduce_kind kinds[] = { HSCHED_REDUCE_MAX, HSCHED_REDUCE_MIN,
                                                HSCHED_REDUCE_SUM };
    const int narrow = x->dtype == HSCHED_INT8 || x->dtype == HSCHED_UINT8;
    const hsched_reduce_kind kind = kinds[maker_range(m, 0, narrow ? 1 : 2)];
    int64_t axes[HSCHED_MAX_DIMS];
    uint32_t count = 0;
    hsched_tensor y;
    for (uint32_t i = 0; i < x->rank; i++)
        if (maker_chance(m, 40))
            axes[count++] = i;
    x->used = 1;
    return maker_made(m,
                      hsched_graph_add_reduce(m->graph, NULL, kind, x->tensor, count,
                                              axes, maker_chance(m, 50), &y),
                      &y, 1e19);
}

/* Another of the same shape, or what broadcasts to it. */
static item *partner(maker *m, const item *x)
{
    for (int attempt = 0; attempt < 6; attempt++) {
        item *y = maker_pick(m, x->rank, x->rank, 1);
        if (y != NULL && y != x &&
            memcmp(y->dims, x->dims, x->rank * sizeof *x->dims) == 0)
            return y;
    }
    int64_t dims[HSCHED_MAX_DIMS];
    for (uint32_t i = 0; i < x->rank; i++)
        dims[i] = maker_chance(m, 50) ? 1 : x->dims[i];
    const hsched_tensor y =
        maker_chance(m, 50)
            ? maker_constant(m, x->rank, dims, -1, 1)
            : maker_integers_constant(m, HSCHED_BOOL, x->rank, dims, 0, 1);
    item *made = maker_made(m, m->status, &y, 1);
    if (made != NULL)
        made->constant = made->given = 1;
    return made;
}

/* Two conditions to one, or a choice between floats or integers. */
static item *add_choice(maker *m, item *x)
{
    hsched_tensor y;
    const hsched_binary_kind kind =
        (hsched_binary_kind)maker_range(m, HSCHED_BINARY_AND, HSCHED_BINARY_XOR);
    item *other = partner(m, x);
    if (other == NULL)
        return NULL;
    x->used = other->used = 1;
    if (other->dtype == HSCHED_BOOL && maker_chance(m, 50))
        return maker_made(
            m,
            hsched_graph_add_binary(m->graph, NULL, kind, x->tensor, other->tensor, &y),
            &y, 1);
    const hsched_tensor number =
        other->dtype == HSCHED_FLOAT32
            ? maker_constant(m, 0, NULL, -1, 1)
            : maker_integers_constant(m, other->dtype, 0, NULL, 0,
                                      other->dtype == HSCHED_BOOL ? 1 : 9);
    const int first = maker_chance(m, 50);
    return maker_made(m,
                      hsched_graph_add_where(m->graph, NULL, x->tensor,
                                             first ? other->tensor : number,
                                             first ? number : other->tensor, &y),
                      &y, other->size > 9 ? other->size : 9);
}

/* To floats what is small enough, else to another type of integers. */
static item *add_cast(maker *m, item *x)
{
    static const hsched_dtype types[] = { HSCHED_INT64, HSCHED_INT32, HSCHED_INT8,
                                          HSCHED_UINT8, HSCHED_BOOL };
    const hsched_dtype dtype = types[maker_range(m, 0, 4)];
    if (x->size <= MAX_SIZE && maker_chance(m, 50))
        return maker_cast(m, x, HSCHED_FLOAT32, x->size);
    const double most = dtype == HSCHED_BOOL                            ? 1
                        : dtype == HSCHED_INT8 || dtype == HSCHED_UINT8 ? 255
                        : dtype == HSCHED_INT32                         ? 3e9
                                                                        : 1e19;
    const int wraps = x->size >= 128; /* negative ones may, too */
    return maker_cast(m, x, dtype,
                      wraps || dtype == HSCHED_UINT8 || x->size > most ? most : x->size);
}

item *maker_add_typed(maker *m)
{
    item *x = maker_pick_integers(m, 0, 5);
    if (x == NULL)
        return NULL;
    if (maker_chance(m, 40)) {
        item *condition = pick_that(m, is_bool, 0, 5);
        if (condition == NULL)
            condition = maker_cast(m, x, HSCHED_BOOL, 1);
        if (condition == NULL)
            return NULL;
        return maker_chance(m, 80) ? add_choice(m, condition) : add_cast(m, condition);
    }
    switch (maker_range(m, 0, 6)) {
    case 0:
        return add_activation(m, x);
    case 1:
    case 2:
        return add_binary(m, x);
    case 3:
        return add_reduce(m, x);
    case 4:
        return maker_modulo(m, x, maker_range(m, 1, 20), x->dtype);
    default:
        return add_cast(m, x);
    }
}
