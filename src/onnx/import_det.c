/*
 * Det of matrices of up to four rows: minors of two rows each. The last dimension of a row is
 * picked from by constant columns; changing the columns of a minor changes its sign.
 */
#include "onnx/compose.h"
#include "onnx/ops.h"

enum {
    MAX_SIZE = 4
};

typedef struct rows {
    hsi_composer c;
    hsched_tensor x; /* [...,n,n] */
    uint32_t rank;
} rows;

static hsched_tensor columns(rows *r, hsched_tensor x, int64_t count,
                             const int64_t *which)
{
    return hsi_compose_gather(&r->c, x,
                              hsi_compose_constant(&r->c, HSCHED_INT64, 1, &count, which),
                              (int)r->rank - 1);
}

static hsched_tensor row(rows *r, int64_t k)
{
    return hsi_compose_slice(&r->c, r->x, (int64_t)r->rank - 2, k, k + 1, 1);
}

/* `count` minors of rows k and k + 1: a[p] b[q] - a[q] b[p]. */
static hsched_tensor minors(rows *r, int64_t k, int64_t count, const int64_t *p,
                            const int64_t *q)
{
    hsi_composer *c = &r->c;
    hsched_tensor a = row(r, k), b = row(r, k + 1);
    return hsi_compose_pair(
        c, HSCHED_BINARY_SUB,
        hsi_compose_pair(c, HSCHED_BINARY_MUL, columns(r, a, count, p),
                         columns(r, b, count, q)),
        hsi_compose_pair(c, HSCHED_BINARY_MUL, columns(r, a, count, q),
                         columns(r, b, count, p)));
}

/* What adds up to the determinants, [...,1,some]. */
static hsched_tensor terms(rows *r, int64_t size)
{
    static const int64_t three[2][3] = { { 1, 2, 0 }, { 2, 0, 1 } };
    static const int64_t upper[2][6] = { { 0, 0, 0, 1, 1, 2 }, { 1, 2, 3, 2, 3, 3 } };
    static const int64_t lower[2][6] = { { 2, 3, 1, 0, 2, 0 }, { 3, 1, 2, 3, 0, 1 } };
    switch (size) {
    case 1:
        return r->x;
    case 2:
        return minors(r, 0, 1, &upper[0][0], &upper[1][0]);
    case 3:
        return hsi_compose_pair(&r->c, HSCHED_BINARY_MUL, row(r, 0),
                                minors(r, 1, 3, three[0], three[1]));
    default:
        return hsi_compose_pair(&r->c, HSCHED_BINARY_MUL,
                                minors(r, 0, 6, upper[0], upper[1]),
                                minors(r, 2, 6, lower[0], lower[1]));
    }
}

hsched_status hsi_onnx_build_det(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t last[2] = { -2, -1 };
    rows r = { .c = { im, node, HSCHED_OK } };
    hsi_composer *c = &r.c;
    r.x = hsi_compose_input(c, 0);
    r.rank = hsi_compose_rank(c, r.x);
    if (c->status == HSCHED_OK && r.rank < 2)
        return hsi_onnx_malformed(node, "its input has %u dimensions", r.rank);
    const int64_t size = hsi_compose_fixed(c, r.x, r.rank - 1);
    if (c->status == HSCHED_OK && hsi_compose_fixed(c, r.x, r.rank - 2) != size)
        return hsi_onnx_malformed(node, "its matrices are not square");
    if (c->status == HSCHED_OK && size > MAX_SIZE)
        return hsi_onnx_unsupported(im, node, "matrices of more than %d rows", MAX_SIZE);
    hsched_tensor y = terms(&r, size);
    y = size < 3 ? hsi_compose_squeeze(c, y, 2, last)
                 : hsi_compose_reduce(c, HSCHED_REDUCE_SUM, y, 2, last, 0);
    hsi_compose_output(c, 0, y);
    return c->status;
}
