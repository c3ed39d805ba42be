/* Random layers on float64: a float32 tensor becomes one, some layers follow, and it is made
 * float32 again, so that all else is as before. */
#include <stdlib.h>
#include <string.h>

#include "unit/random_graph_maker.h"

typedef struct doubles {
    maker *m;
    hsched_tensor x, first; /* the present one, and that of the cast */
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    double size;
    int given; /* nothing has rounded what it began with: comparisons come out the same */
} doubles;

/* The result of a call, of which shape it may be. */
static void made(doubles *d, hsched_status status, const hsched_tensor *y, double size)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    if (d->m->status == HSCHED_OK)
        d->m->status = status;
    if (d->m->status == HSCHED_OK)
        d->m->status = hsched_graph_tensor_info(d->m->graph, *y, &info);
    if (d->m->status != HSCHED_OK)
        return;
    d->x = *y;
    d->rank = info.rank;
    memcpy(d->dims, info.dims, sizeof d->dims);
    d->size = size;
}

static hsched_tensor constant(doubles *d, uint32_t rank, const int64_t *dims, double low,
                              double high)
{
    hsched_tensor tensor = HSCHED_NO_TENSOR;
    const size_t count = (size_t)maker_elements(rank, dims);
    double *data = malloc(count * sizeof *data);
    if (data == NULL && d->m->status == HSCHED_OK)
        d->m->status = HSCHED_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count && data != NULL; i++)
        data[i] = low + (high - low) * (double)maker_range(d->m, 0, 1 << 30) / (1 << 30);
    if (d->m->status == HSCHED_OK)
        d->m->status =
            hsched_graph_add_constant(d->m->graph, NULL, HSCHED_FLOAT64, rank, dims, data,
                                      count * sizeof *data, HSCHED_DATA_COPY, &tensor);
    free(data);
    return tensor;
}

static int is_like_first(const doubles *d)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    return hsched_graph_tensor_info(d->m->graph, d->first, &info) == HSCHED_OK &&
           info.rank == d->rank &&
           memcmp(info.dims, d->dims, d->rank * sizeof *d->dims) == 0;
}

static void add_activation(doubles *d)
{
    static const hsched_activation choices[] = {
        { HSCHED_ACTIVATION_RELU },        { HSCHED_ACTIVATION_LEAKY_RELU, 0.1f },
        { HSCHED_ACTIVATION_CLIP, -1, 2 }, { HSCHED_ACTIVATION_SIGMOID },
        { HSCHED_ACTIVATION_TANH },        { HSCHED_ACTIVATION_HARD_SWISH },
        { HSCHED_ACTIVATION_GELU },        { HSCHED_ACTIVATION_GELU_TANH },
        { HSCHED_ACTIVATION_SILU },        { HSCHED_ACTIVATION_MISH },
        { HSCHED_ACTIVATION_ABS },         { HSCHED_ACTIVATION_SOFTSIGN },
        { HSCHED_ACTIVATION_ELU, 1 },      { HSCHED_ACTIVATION_ERF },
    };
    hsched_tensor y;
    const hsched_activation act =
        choices[maker_range(d->m, 0, sizeof choices / sizeof *choices - 1)];
    made(d, hsched_graph_add_activation(d->m->graph, NULL, d->x, act, &y), &y,
         d->size + 0.1);
}

/* With a constant that broadcasts, or what it began with. */
static void add_binary(doubles *d)
{
    static const hsched_binary_kind kinds[] = { HSCHED_BINARY_ADD, HSCHED_BINARY_SUB,
                                                HSCHED_BINARY_MIN, HSCHED_BINARY_MAX,
                                                HSCHED_BINARY_MUL, HSCHED_BINARY_DIV };
    const int own = is_like_first(d) && maker_chance(d->m, 40);
    const hsched_binary_kind kind = kinds[maker_range(d->m, 0, own ? 3 : 5)];
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor y, other = d->first;
    for (uint32_t i = 0; i < d->rank; i++)
        dims[i] = maker_chance(d->m, 50) ? 1 : d->dims[i];
    if (!own) /* none that amplifies much */
        other = constant(d, d->rank, dims, 0.6, 1.5);
    made(d, hsched_graph_add_binary(d->m->graph, NULL, kind, d->x, other, &y), &y,
         d->size * 1.7 + 1.5);
}

/* x > constant ? x : what it began with, or a number. */
static void add_choice(doubles *d)
{
    hsched_tensor more, y;
    const hsched_tensor by = constant(d, 0, NULL, -0.5, 0.5),
                        other = is_like_first(d) ? d->first : by;
    hsched_status status = hsched_graph_add_binary(
        d->m->graph, NULL, HSCHED_BINARY_GREATER, d->first, by, &more);
    if (status == HSCHED_OK && is_like_first(d))
        status = hsched_graph_add_where(d->m->graph, NULL, more, d->x, other, &y);
    else if (status == HSCHED_OK)
        status = hsched_graph_add_cast(d->m->graph, NULL, more, HSCHED_FLOAT64, &y);
    made(d, status, &y, d->size + 1);
}

static void add_reduce(doubles *d)
{
    static const hsched_reduce_kind kinds[] = { HSCHED_REDUCE_MEAN, HSCHED_REDUCE_MAX,
                                                HSCHED_REDUCE_MIN };
    const int64_t axis = maker_range(d->m, 0, d->rank - 1);
    hsched_tensor y;
    made(d,
         hsched_graph_add_reduce(d->m->graph, NULL, kinds[maker_range(d->m, 0, 2)], d->x,
                                 1, &axis, maker_chance(d->m, 60), &y),
         &y, d->size);
}

static void add_product(doubles *d)
{
    const int64_t k = d->dims[d->rank - 1], n = maker_range(d->m, 1, 6);
    const double radius = 1.0 / (double)k;
    hsched_tensor y, bias = HSCHED_NO_TENSOR;
    if (d->rank == 2 && maker_chance(d->m, 50)) {
        const hsched_tensor w =
            constant(d, 2, (const int64_t[]){ n, k }, -radius, radius);
        if (maker_chance(d->m, 50))
            bias = constant(d, 1, &n, -0.5, 0.5);
        made(d, hsched_graph_add_fully_connected(d->m->graph, NULL, d->x, w, bias, &y),
             &y, d->size + 0.5);
        return;
    }
    const hsched_tensor w = constant(d, 2, (const int64_t[]){ k, n }, -radius, radius);
    made(d, hsched_graph_add_matmul(d->m->graph, NULL, d->x, w, &y), &y, d->size);
}

static void add_norm(doubles *d)
{
    const uint32_t last = d->rank - 1;
    const hsched_tensor scale = constant(d, 1, &d->dims[last], -1.2, 1.2);
    hsched_tensor y;
    made(d,
         hsched_graph_add_layer_norm(d->m->graph, NULL, d->x, scale, HSCHED_NO_TENSOR,
                                     (int)last, 0.25f, &y),
         &y, 3);
}

static void add_transpose(doubles *d)
{
    int64_t perm[HSCHED_MAX_DIMS];
    hsched_tensor y;
    for (uint32_t i = 0; i < d->rank; i++)
        perm[i] = d->rank - 1 - i;
    made(d, hsched_graph_add_transpose(d->m->graph, NULL, d->x, perm, &y), &y, d->size);
}

static void add_layer(doubles *d)
{
    hsched_tensor y;
    switch (d->rank == 0 ? maker_range(d->m, 0, 2) : maker_range(d->m, 0, 8)) {
    case 0:
        add_activation(d);
        break;
    case 1:
        add_binary(d);
        break;
    case 2:
        if (d->given)
            add_choice(d);
        else
            add_activation(d);
        break;
    case 3:
        add_reduce(d);
        break;
    case 4:
        add_norm(d);
        break;
    case 5:
        add_transpose(d);
        break;
    case 6:
        made(d, hsched_graph_add_softmax(d->m->graph, NULL, d->x, -1, &y), &y, 1);
        break;
    case 7:
        made(d,
             hsched_graph_add_concat(d->m->graph, NULL,
                                     (const hsched_tensor[]){ d->x, d->x }, 2, 0, &y),
             &y, d->size);
        break;
    default:
        add_product(d);
        break;
    }
}

item *maker_add_doubles(maker *m, item *x)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    doubles d = { .m = m };
    if (x == NULL || x->size > MAX_SIZE / 8 ||
        maker_elements(x->rank, x->dims) > MAX_ELEMENTS / 8)
        return NULL;
    x->used = 1;
    d.given = x->given;
    const hsched_status status =
        hsched_graph_add_cast(m->graph, NULL, x->tensor, HSCHED_FLOAT64, &y);
    made(&d, status, &y, x->size);
    d.first = d.x;
    for (int64_t k = maker_range(m, 1, 4);
         k > 0 && d.size < MAX_SIZE / 4 && m->status == HSCHED_OK; k--)
        add_layer(&d);
    if (m->status != HSCHED_OK)
        return NULL;
    return maker_made(m, hsched_graph_add_cast(m->graph, NULL, d.x, HSCHED_FLOAT32, &y),
                      &y, d.size);
}
