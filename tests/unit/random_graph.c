#include "unit/random_graph_maker.h"

#include <stdlib.h>
#include <string.h>

uint64_t random_graph_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t random_graph_range(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(random_graph_next(state) % (uint64_t)(high - low + 1));
}

static float uniform(uint64_t *state, double low, double high)
{
    return (float)(low +
                   (high - low) * (double)(random_graph_next(state) >> 11) * 0x1p-53);
}

int64_t maker_range(maker *m, int64_t low, int64_t high)
{
    return random_graph_range(&m->random, low, high);
}

int maker_chance(maker *m, int percent)
{
    return maker_range(m, 0, 99) < percent;
}

void random_graph_fill(uint64_t seed, const hsched_tensor_info *info, void *data)
{
    const size_t size = hsched_dtype_size(info->dtype), count = info->byte_size / size;
    for (size_t i = 0; i < count; i++) {
        if (info->dtype == HSCHED_FLOAT32) {
            ((float *)data)[i] = uniform(&seed, -1, 1);
        } else {
            uint64_t bits = random_graph_next(&seed);
            memcpy((char *)data + i * size, &bits, size);
        }
    }
}

/* ---- Tensors ---- */

int64_t maker_elements(uint32_t rank, const int64_t *dims)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < rank; i++)
        count *= dims[i];
    return count;
}

item *maker_made(maker *m, hsched_status status, const hsched_tensor *tensor, double size)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    if (m->status == HSCHED_OK)
        m->status = status;
    if (m->status == HSCHED_OK && m->count == MAX_TENSORS)
        m->status = HSCHED_ERROR_LIMIT;
    if (m->status == HSCHED_OK)
        m->status = hsched_graph_tensor_info(m->graph, *tensor, &info);
    if (m->status != HSCHED_OK)
        return NULL;
    item *to = &m->items[m->count++];
    memset(to, 0, sizeof *to);
    to->tensor = *tensor;
    to->dtype = info.dtype;
    to->rank = info.rank;
    memcpy(to->dims, info.dims, sizeof to->dims);
    to->size = size;
    return to;
}

hsched_tensor maker_constant(maker *m, uint32_t rank, const int64_t *dims, double low,
                             double high)
{
    hsched_tensor tensor = HSCHED_NO_TENSOR;
    const size_t count = (size_t)maker_elements(rank, dims);
    float *data = malloc(count * sizeof *data);
    if (data == NULL || m->status != HSCHED_OK) {
        if (m->status == HSCHED_OK)
            m->status = HSCHED_ERROR_OUT_OF_MEMORY;
        free(data);
        return tensor;
    }
    for (size_t i = 0; i < count; i++)
        data[i] = uniform(&m->random, low, high);
    m->status =
        hsched_graph_add_constant(m->graph, NULL, HSCHED_FLOAT32, rank, dims, data,
                                  count * sizeof *data, HSCHED_DATA_COPY, &tensor);
    free(data);
    return tensor;
}

item *maker_pick(maker *m, uint32_t rank_min, uint32_t rank_max, int any_type)
{
    for (int attempt = 0; attempt < 24; attempt++) {
        int64_t back = maker_range(m, 0, maker_chance(m, 60) ? 5 : m->count - 1);
        if (back >= m->count)
            continue;
        item *x = &m->items[m->count - 1 - back];
        if (x->rank >= rank_min && x->rank <= rank_max &&
            (any_type || x->dtype == HSCHED_FLOAT32) &&
            (!x->constant || maker_chance(m, 15)))
            return x;
    }
    return NULL;
}

/* ---- Motifs: what real networks are made of, and optimisers look for ---- */

static item *conv_block(maker *m, item *x, int64_t filters, int64_t kernel)
{
    item *y = maker_add_conv(m, x, filters, kernel, 1, 1);
    if (y != NULL && maker_chance(m, 60))
        y = maker_add_batch_norm(m, y);
    return y != NULL && maker_chance(m, 70) ? maker_add_activation(m, y) : y;
}

static void residual_block(maker *m)
{
    item *x = maker_pick(m, 4, 4, 0);
    if (x == NULL || x->dims[1] > 10)
        return;
    item *y = conv_block(m, x, x->dims[1], 3);
    if (y == NULL || (y = maker_add_conv(m, y, x->dims[1], 3, 1, 1)) == NULL)
        return;
    if (maker_chance(m, 50))
        y = maker_add_batch_norm(m, y);
    item *side = maker_chance(m, 40) ? maker_add_conv(m, x, x->dims[1], 1, 1, 1) : x;
    if (y == NULL || side == NULL || y->dims[1] != side->dims[1] ||
        y->size + side->size > MAX_SIZE)
        return;
    hsched_tensor sum;
    y->used = side->used = 1;
    const hsched_tensor a = maker_chance(m, 50) ? y->tensor : side->tensor;
    const hsched_tensor b = a == y->tensor ? side->tensor : y->tensor;
    y = maker_made(m,
                   hsched_graph_add_binary(m->graph, NULL, HSCHED_BINARY_ADD, a, b, &sum),
                   &sum, y->size + side->size);
    if (y != NULL && maker_chance(m, 60))
        maker_add_activation(m, y);
}

/* Each layer sees all layers before it, joined (PyTorch's DenseNet). */
static void dense_block(maker *m)
{
    item *x = maker_pick(m, 4, 4, 0);
    hsched_tensor all[4], joint;
    if (x == NULL || x->size > 8 || maker_elements(4, x->dims) > MAX_ELEMENTS / 8)
        return;
    all[0] = x->tensor;
    double size = x->size;
    for (uint32_t k = 1; k < 4; k++) {
        item *y = x;
        if (k > 1)
            y = maker_made(m, hsched_graph_add_concat(m->graph, NULL, all, k, 1, &joint),
                           &joint, size);
        if (y != NULL && maker_chance(m, 50))
            y = maker_add_batch_norm(m, y);
        y = conv_block(m, y, maker_range(m, 1, 4), 1 + 2 * maker_range(m, 0, 1));
        if (y == NULL)
            return;
        y->used = 1;
        all[k] = y->tensor;
        size = y->size > size ? y->size : size;
    }
    x->used = 1;
    maker_made(m, hsched_graph_add_concat(m->graph, NULL, all, 4, 1, &joint), &joint,
               size);
}

static void inception_block(maker *m)
{
    item *x = maker_pick(m, 4, 4, 0);
    hsched_tensor all[3], joint;
    double size = 0;
    for (uint32_t k = 0; k < 3; k++) {
        item *y =
            x != NULL ? conv_block(m, x, maker_range(m, 1, 4), k == 1 ? 3 : 1) : NULL;
        if (y == NULL)
            return;
        y->used = 1;
        all[k] = y->tensor;
        size = y->size > size ? y->size : size;
    }
    item *y = maker_made(m, hsched_graph_add_concat(m->graph, NULL, all, 3, 1, &joint),
                         &joint, size);
    if (y != NULL && maker_chance(m, 50)) { /* a nested join */
        y->used = 1;
        const hsched_tensor both[2] = { joint, x->tensor };
        maker_made(m, hsched_graph_add_concat(m->graph, NULL, both, 2, 1, &joint), &joint,
                   size > x->size ? size : x->size);
    }
}

/* Heads of a detector: convolution, transpose, reshape to rows, joined along the rows. */
static void detector_heads(maker *m)
{
    hsched_tensor rows[3], y;
    uint32_t count = 0;
    double size = 0;
    int64_t batch = 0;
    for (uint32_t k = 0; k < 3; k++) {
        item *x = maker_pick(m, 4, 4, 0);
        if (x == NULL || (count > 0 && x->dims[0] != batch))
            continue;
        item *head = maker_add_conv(m, x, 4, 3, 1, 1);
        if (head == NULL || head->dims[1] != 4)
            continue;
        const int64_t perm[4] = { 0, 2, 3, 1 }, dims[3] = { head->dims[0], -1, 2 };
        head->used = 1;
        item *turned = maker_made(
            m, hsched_graph_add_transpose(m->graph, NULL, head->tensor, perm, &y), &y,
            head->size);
        if (turned == NULL)
            return;
        turned->used = 1;
        item *row = maker_made(
            m, hsched_graph_add_reshape(m->graph, NULL, turned->tensor, 3, dims, &y), &y,
            head->size);
        if (row == NULL)
            return;
        row->used = 1;
        batch = row->dims[0];
        size = row->size > size ? row->size : size;
        rows[count++] = row->tensor;
    }
    if (count == 0)
        return;
    item *joint = maker_made(
        m, hsched_graph_add_concat(m->graph, NULL, rows, count, 1, &y), &y, size);
    if (joint != NULL && maker_chance(m, 50))
        maker_add_softmax(m, joint);
}

static void pad_and_conv(maker *m)
{
    item *x = maker_pick(m, 4, 4, 0);
    hsched_tensor y;
    if (x == NULL || maker_elements(4, x->dims) > MAX_ELEMENTS / 4)
        return;
    const int64_t before[4] = { 0, 0, 1, 1 },
                  after[4] = { 0, 0, 1, maker_range(m, 0, 1) };
    x->used = 1;
    item *padded =
        maker_made(m,
                   hsched_graph_add_pad(m->graph, NULL, x->tensor, before, after,
                                        HSCHED_PAD_MODE_CONSTANT, 0, &y),
                   &y, x->size);
    maker_add_conv(m, padded, maker_range(m, 1, 6), 3, maker_range(m, 1, 2), 0);
}

/* An image of one or three spatial dimensions, or of two; made of one, if need be. */
static item *image_any(maker *m)
{
    const int line = maker_chance(m, 50);
    item *x = maker_pick(m, 3, 5, 0);
    hsched_tensor y;
    if (x == NULL || x->rank != 4 || maker_chance(m, 40))
        return x;
    const int64_t dims[3] = { x->dims[0], x->dims[1], x->dims[2] * x->dims[3] },
                  axis = maker_range(m, 2, 4);
    x->used = 1;
    return maker_made(
        m,
        line ? hsched_graph_add_reshape(m->graph, NULL, x->tensor, 3, dims, &y)
             : hsched_graph_add_unsqueeze(m->graph, NULL, x->tensor, 1, &axis, &y),
        &y, x->size);
}

/* ---- The whole ---- */

static void add_indexing(maker *m)
{
    switch (maker_range(m, 0, 5)) {
    case 0:
    case 1:
        maker_add_typed(m);
        break;
    case 2:
    case 3:
        maker_add_indexed(m);
        break;
    case 4:
        maker_add_ordered(m);
        break;
    default:
        maker_add_recurrent(m, maker_pick(m, 1, 4, 0));
        break;
    }
}

static void add_random(maker *m)
{
    if (m->indexing && maker_chance(m, 60)) {
        add_indexing(m);
        return;
    }
    if (maker_chance(m, 6)) {
        maker_add_doubles(m, maker_pick(m, 0, 4, 0));
        return;
    }
    switch (maker_range(m, 0, 32)) {
    case 0:
    case 1:
        maker_add_conv(m, maker_pick(m, 4, 4, 0), maker_range(m, 1, 8),
                       maker_range(m, 1, 3), maker_range(m, 1, 2), maker_chance(m, 50));
        break;
    case 2:
        maker_add_batch_norm(m, maker_pick(m, 2, 5, 0));
        break;
    case 3:
    case 4:
        maker_add_activation(m, maker_pick(m, 0, 8, 0));
        break;
    case 5:
    case 6:
        maker_add_pool(m, maker_pick(m, 4, 4, 0));
        break;
    case 7:
        maker_add_fully_connected(m, maker_pick(m, 2, 5, 0));
        break;
    case 8:
        maker_add_matmul(m, maker_pick(m, 1, 4, 0));
        break;
    case 9:
    case 10:
        maker_add_binary(m, maker_pick(m, 0, 6, 0));
        break;
    case 11:
    case 12:
        maker_add_concat(m, maker_pick(m, 1, 6, 1));
        break;
    case 13:
        maker_add_slice(m, maker_pick(m, 1, 6, 1));
        break;
    case 14:
        maker_add_pad(m, maker_pick(m, 1, 5, 1));
        break;
    case 15:
    case 16:
        maker_add_reshape(m, maker_pick(m, 0, 6, 1));
        break;
    case 17:
        maker_add_transpose(m, maker_pick(m, 1, 6, 1));
        break;
    case 18:
        maker_add_reduce(m, maker_pick(m, 1, 5, 0));
        break;
    case 19:
        maker_add_lrn(m, maker_pick(m, 2, 5, 0));
        break;
    case 20:
        if (maker_chance(m, 40))
            maker_add_softmax(m, maker_pick(m, 1, 5, 0));
        else
            maker_add_norm(m, maker_pick(m, 1, 5, 0));
        break;
    case 21:
        residual_block(m);
        break;
    case 22:
        dense_block(m);
        break;
    case 23:
        inception_block(m);
        break;
    case 24:
        detector_heads(m);
        break;
    case 25:
        pad_and_conv(m);
        break;
    case 26:
        maker_add_conv_any(m, image_any(m));
        break;
    case 27:
        maker_add_conv_transpose(m, image_any(m));
        break;
    case 28:
        maker_add_pool_any(m, image_any(m));
        break;
    case 29:
        maker_add_resize(m, maker_pick(m, 1, 5, 0));
        break;
    case 30:
    case 31:
        maker_add_expand(m, maker_pick(m, 0, 5, 1));
        break;
    default: /* an image again, of anything */
        maker_add_activation(
            m, conv_block(m, maker_pick(m, 4, 4, 0), maker_range(m, 1, 8), 3));
        break;
    }
}

static void add_inputs(maker *m)
{
    hsched_tensor t, frame = HSCHED_NO_TENSOR;
    const int64_t batch = maker_chance(m, 30) ? 2 : 1;
    if (maker_chance(m, 25)) {
        hsched_image_config config = { HSCHED_IMAGE_CONFIG_INIT, .mean = { 127, 100, 90 },
                                       .scale = { 0.008f, 0.01f, 0.009f },
                                       .swap_red_blue = maker_chance(m, 50) };
        maker_made(m,
                   hsched_graph_add_image_input(m->graph, "frame", batch,
                                                maker_range(m, 4, 8),
                                                maker_range(m, 4, 8), 3, &config, &frame),
                   &frame, 1.5);
    }
    if (m->indexing) {
        const int64_t dims[3] = { maker_range(m, 1, 4), maker_range(m, 1, 4),
                                  maker_range(m, 1, 4) };
        maker_made(m,
                   hsched_graph_add_input(m->graph, "numbers", HSCHED_INT64, 3, dims, &t),
                   &t, 1e19);
    }
    if (maker_chance(m, 40)) {
        int64_t dims[5];
        const uint32_t rank = (uint32_t)maker_range(m, 1, 5);
        for (uint32_t i = 0; i < rank; i++)
            dims[i] = maker_range(m, 1, 5);
        maker_made(
            m, hsched_graph_add_input(m->graph, "side", HSCHED_FLOAT32, rank, dims, &t),
            &t, 1);
    }
    if (maker_chance(m, 30)) { /* layers of constants alone */
        const int64_t dims[2] = { maker_range(m, 1, 4), maker_range(m, 1, 6) };
        t = maker_constant(m, 2, dims, -1, 1);
        item *c = maker_made(m, m->status, &t, 1);
        if (c != NULL)
            c->constant = 1;
    }
    const int64_t dims[4] = { batch, maker_chance(m, 20) ? 1 : maker_range(m, 2, 6),
                              maker_range(m, 3, 8), maker_range(m, 3, 8) };
    maker_made(m, hsched_graph_add_input(m->graph, "image", HSCHED_FLOAT32, 4, dims, &t),
               &t, 1);
    for (uint32_t i = 0; i < m->count; i++) /* a frame becomes an image by a layer */
        m->items[i].given = m->items[i].tensor != frame;
}

hsched_status random_graph_make(uint64_t seed, uint32_t layers, hsched_graph **graph)
{
    *graph = NULL;
    maker *m = calloc(1, sizeof *m);
    if (m == NULL)
        return HSCHED_ERROR_OUT_OF_MEMORY;
    m->random = seed * 77 + 5;
    m->indexing = maker_chance(m, 50);
    m->status = hsched_graph_create("random", &m->graph);
    if (m->status == HSCHED_OK)
        add_inputs(m);
    for (uint32_t i = 0; i < 8 * layers && m->status == HSCHED_OK &&
                         hsched_graph_layer_count(m->graph) < layers;
         i++)
        add_random(m);
    /* What nothing uses is an output, and so is now and then what something uses. */
    uint32_t outputs = 0;
    for (uint32_t i = 0; i < m->count && m->status == HSCHED_OK; i++) {
        const item *x = &m->items[i];
        if (x->constant ||
            (x->used ? !maker_chance(m, 8) : i + 1 < m->count && maker_chance(m, 20)))
            continue;
        m->status = hsched_graph_add_output(m->graph, x->tensor);
        outputs++;
    }
    if (outputs == 0 && m->status == HSCHED_OK)
        m->status = hsched_graph_add_output(m->graph, m->items[m->count - 1].tensor);
    hsched_status status = m->status;
    if (status == HSCHED_OK)
        *graph = m->graph;
    else
        hsched_graph_destroy(m->graph);
    free(m);
    return status;
}
