/*
 * Einsum: operands are joined two at a time, from the left. A label that no later operand and not
 * the result has is summed as soon as that is possible: over one operand before it is joined, over
 * both by a matrix product, whose rows, columns and sums are each the dimensions of several labels.
 */
#include "onnx/compose.h"
#include "onnx/equation.h"
#include "onnx/ops.h"

#include <string.h>

#include "base/element.h"

#define BIT HSI_EINSUM_BIT

typedef struct operand {
    hsched_tensor x;
    hsi_einsum_term term;
} operand;

static uint32_t place_of(const hsi_einsum_term *term, uint8_t label)
{
    uint32_t k = 0;
    while (k < term->rank && term->labels[k] != label)
        k++;
    return k;
}

/* Appends those of the term's labels that are in the set. */
static void append(hsi_einsum_term *to, const hsi_einsum_term *from, uint64_t set)
{
    for (uint32_t k = 0; k < from->rank; k++)
        if (set & BIT(from->labels[k]) && to->rank < HSCHED_MAX_DIMS)
            to->labels[to->rank++] = from->labels[k];
}

/* Brings the dimensions in the order of the labels of `to`, which are the operand's. */
static void order(hsi_composer *c, operand *a, const hsi_einsum_term *to)
{
    int64_t perm[HSCHED_MAX_DIMS];
    for (uint32_t k = 0; k < to->rank; k++)
        perm[k] = place_of(&a->term, to->labels[k]);
    a->x = hsi_compose_transpose(c, a->x, perm);
    a->term = *to;
}

static void sum_over(hsi_composer *c, operand *a, uint64_t set)
{
    int64_t axes[HSCHED_MAX_DIMS];
    uint32_t count = 0;
    hsi_einsum_term left = { 0 };
    for (uint32_t k = 0; k < a->term.rank; k++)
        if (set & BIT(a->term.labels[k]))
            axes[count++] = k;
    if (count == 0)
        return;
    append(&left, &a->term, ~set);
    a->x = hsi_compose_reduce(c, HSCHED_REDUCE_SUM, a->x, count, axes, 0);
    a->term = left;
}

/* ---- Diagonals --------------------------------------------------------------- */

/* 1 if the labels at i < j are the same. */
static int finds_twin(const hsi_einsum_term *term, uint32_t *i, uint32_t *j)
{
    for (*j = 1; *j < term->rank; ++*j) {
        *i = place_of(term, term->labels[*j]);
        if (*i < *j)
            return 1;
    }
    return 0;
}

/* Dimensions i and j, both of size n, come last; of the n * n elements that they then are, the
 * diagonal is every (n + 1)th. */
static void take_diagonal(hsi_composer *c, operand *a, uint32_t i, uint32_t j)
{
    const uint32_t rank = a->term.rank;
    int64_t perm[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS];
    hsi_einsum_term to = { 0 };
    for (uint32_t k = 0; k < rank; k++) {
        if (k == i || k == j)
            continue;
        perm[to.rank] = k;
        dims[to.rank] = hsi_compose_dim(c, a->x, k);
        to.labels[to.rank++] = a->term.labels[k];
    }
    perm[rank - 2] = i;
    perm[rank - 1] = j;
    const int64_t n = hsi_compose_fixed(c, a->x, i);
    if (c->status == HSCHED_OK && hsi_compose_fixed(c, a->x, j) != n)
        c->status =
            hsi_onnx_malformed(c->node, "a diagonal of dimensions that are not equal");
    dims[to.rank] = n * n;
    to.labels[to.rank++] = a->term.labels[j];
    a->x = hsi_compose_transpose(c, a->x, perm);
    a->x = hsi_compose_reshape(c, a->x, to.rank, dims);
    a->x = hsi_compose_slice(c, a->x, to.rank - 1, 0, n * n, n + 1);
    a->term = to;
}

/* ---- Two operands ------------------------------------------------------------ */

/* A label with 1 in one operand is repeated there, so that the sums can be taken apart. */
static uint64_t unequal(hsi_composer *c, const operand *a, const operand *b, uint64_t set)
{
    uint64_t found = 0;
    for (uint32_t k = 0; k < a->term.rank; k++) {
        const uint8_t label = a->term.labels[k];
        const uint32_t other = place_of(&b->term, label);
        const int64_t n = hsi_compose_size(c, a->x, k);
        const int64_t m = hsi_compose_size(c, b->x, other);
        if (!(set & BIT(label)) || n == m)
            continue;
        if (n != 1 && m != 1)
            c->status =
                hsi_onnx_malformed(c->node, "a label stands for %lld and for %lld",
                                   (long long)n, (long long)m);
        hsi_compose_fixed(c, a->x, k);
        hsi_compose_fixed(c, b->x, other);
        found |= BIT(label);
    }
    return found;
}

/* The operand with a 1 for every label of `all` that it does not have. */
static hsched_tensor spread(hsi_composer *c, operand *a, const hsi_einsum_term *all)
{
    int64_t axes[HSCHED_MAX_DIMS];
    uint32_t count = 0;
    hsi_einsum_term own = { 0 };
    append(&own, all, hsi_einsum_set(&a->term));
    for (uint32_t k = 0; k < all->rank; k++)
        if (place_of(&own, all->labels[k]) == own.rank)
            axes[count++] = k;
    order(c, a, &own);
    return hsi_compose_unsqueeze(c, a->x, count, axes);
}

static void multiply(hsi_composer *c, operand *a, operand *b, const hsi_einsum_term *all)
{
    hsched_tensor x = spread(c, a, all), y = spread(c, b, all);
    a->x = hsi_compose_pair(c, HSCHED_BINARY_MUL, x, y);
    a->term = *all;
}

/* Consecutive dimensions become `groups` ones, of counts[g] dimensions each: 1 for none. A product
 * of symbols is left to be inferred, which can be said once. */
static hsched_tensor regroup(hsi_composer *c, hsched_tensor x, uint32_t groups,
                             const uint32_t *counts)
{
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t from = 0;
    int same = 1, inferred = 0;
    for (uint32_t g = 0; g < groups; g++) {
        uint64_t tags = 0;
        for (uint32_t k = 0; k < counts[g] && c->status == HSCHED_OK; k++)
            tags |= hsi_onnx_dim_tag(c->im, x, from + k);
        same &= counts[g] == 1;
        if (counts[g] == 1) {
            dims[g] = hsi_compose_dim(c, x, from);
        } else if (tags && !inferred) {
            dims[g] = HSCHED_DIM_INFER;
            inferred = 1;
        } else {
            dims[g] = 1;
            for (uint32_t k = 0; k < counts[g]; k++)
                dims[g] *= hsi_compose_fixed(c, x, from + k);
        }
        from += counts[g];
    }
    return same ? x : hsi_compose_reshape(c, x, groups, dims);
}

/* The dimensions of labels that the product keeps from one operand. */
static uint32_t dims_of(hsi_composer *c, const operand *a, const hsi_einsum_term *labels,
                        int64_t *dims)
{
    for (uint32_t k = 0; k < labels->rank; k++)
        dims[k] = hsi_compose_dim(c, a->x, place_of(&a->term, labels->labels[k]));
    return labels->rank;
}

/* The product's dimensions: those of the batch, then those of rows and columns apart. */
static void split_product(hsi_composer *c, hsched_tensor *y, uint32_t batch,
                          uint32_t count, const int64_t *apart)
{
    int64_t dims[HSCHED_MAX_DIMS];
    for (uint32_t k = 0; k < batch; k++)
        dims[k] = hsi_compose_dim(c, *y, k);
    memcpy(dims + batch, apart, count * sizeof *apart);
    *y = hsi_compose_reshape(c, *y, batch + count, dims);
}

/* batch, rows, sums of a times batch, sums, columns of b. The operands' labels are so in order. */
static void product(hsi_composer *c, operand *a, operand *b, const hsi_einsum_term *batch,
                    const hsi_einsum_term *rows, const hsi_einsum_term *columns,
                    uint32_t sums)
{
    uint32_t counts[HSCHED_MAX_DIMS];
    int64_t apart[2 * HSCHED_MAX_DIMS];
    const uint32_t n = batch->rank;
    uint32_t count = dims_of(c, a, rows, apart);
    count += dims_of(c, b, columns, apart + count);
    if (c->status == HSCHED_OK &&
        (n + 2 > HSCHED_MAX_DIMS || n + count > HSCHED_MAX_DIMS))
        c->status = hsi_onnx_unsupported(c->im, c->node, "more than %d dimensions",
                                         HSCHED_MAX_DIMS);
    if (c->status != HSCHED_OK)
        return;
    for (uint32_t k = 0; k < n; k++)
        counts[k] = 1;
    /* Without a batch the rows' dimensions are matrices' own. */
    const int rows_apart = n == 0 && columns->rank == 1 && sums == 1 && rows->rank > 0;
    counts[n] = rows->rank;
    counts[n + 1] = sums;
    hsched_tensor x = rows_apart ? a->x : regroup(c, a->x, n + 2, counts);
    counts[n] = sums;
    counts[n + 1] = columns->rank;
    hsched_tensor y = hsi_compose_matmul(c, x, regroup(c, b->x, n + 2, counts));
    if (!rows_apart && (rows->rank != 1 || columns->rank != 1))
        split_product(c, &y, n, count, apart);
    a->x = y;
    a->term = *batch;
    append(&a->term, rows, ~UINT64_C(0));
    append(&a->term, columns, ~UINT64_C(0));
}

static void concatenate(hsi_einsum_term *to, const hsi_einsum_term *a,
                        const hsi_einsum_term *b, const hsi_einsum_term *c)
{
    *to = (hsi_einsum_term){ 0 };
    append(to, a, ~UINT64_C(0));
    append(to, b, ~UINT64_C(0));
    append(to, c, ~UINT64_C(0));
}

/* Joins b to a. `keep`: what later operands or the result have; `result` gives the order. */
static void join(hsi_composer *c, operand *a, operand *b, uint64_t keep,
                 const hsi_einsum_term *result)
{
    sum_over(c, a, hsi_einsum_set(&a->term) & ~keep & ~hsi_einsum_set(&b->term));
    sum_over(c, b, hsi_einsum_set(&b->term) & ~keep & ~hsi_einsum_set(&a->term));
    uint64_t both = hsi_einsum_set(&a->term) & hsi_einsum_set(&b->term);
    const uint64_t apart = unequal(c, a, b, both & ~keep);
    sum_over(c, a, apart);
    sum_over(c, b, apart);
    if (c->status != HSCHED_OK)
        return;

    const uint64_t of_a = hsi_einsum_set(&a->term), of_b = hsi_einsum_set(&b->term);
    const uint64_t summed = of_a & of_b & ~keep;
    const int by_pairs = summed == 0 || hsi_is_integer(hsi_compose_dtype(c, a->x));
    hsi_einsum_term all = { 0 }, sums = { 0 };
    if (__builtin_popcountll((of_a | of_b) & ~(by_pairs ? 0 : summed)) >
        HSCHED_MAX_DIMS) {
        c->status = hsi_onnx_unsupported(c->im, c->node, "more than %d dimensions",
                                         HSCHED_MAX_DIMS);
        return;
    }
    append(&all, result, of_a | of_b);
    append(&all, &a->term, ~hsi_einsum_set(&all) & ~summed);
    append(&all, &b->term, ~hsi_einsum_set(&all) & ~summed);
    append(&sums, &a->term, summed);
    if (by_pairs) {
        append(&all, &sums, ~UINT64_C(0));
        multiply(c, a, b, &all);
        sum_over(c, a, summed);
        return;
    }
    hsi_einsum_term batch = { 0 }, rows = { 0 }, columns = { 0 }, left, right;
    /* What the result has last are columns. */
    const int swapped = all.rank > 0 && of_a & ~of_b & BIT(all.labels[all.rank - 1]);
    append(&batch, &all, of_a & of_b);
    append(&rows, &all, swapped ? of_b & ~of_a : of_a & ~of_b);
    append(&columns, &all, swapped ? of_a & ~of_b : of_b & ~of_a);
    operand *l = swapped ? b : a, *r = swapped ? a : b, made;
    concatenate(&left, &batch, &rows, &sums);
    concatenate(&right, &batch, &sums, &columns);
    order(c, l, &left);
    order(c, r, &right);
    made = *l;
    product(c, &made, r, &batch, &rows, &columns, sums.rank);
    *a = made;
}

/* ---- The node ---------------------------------------------------------------- */

static void build(hsi_composer *c, operand *operands, uint32_t count,
                  const hsi_einsum_term *result)
{
    const uint64_t wanted = hsi_einsum_set(result);
    operand *a = &operands[0];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t one, other;
        while (c->status == HSCHED_OK && finds_twin(&operands[i].term, &one, &other))
            take_diagonal(c, &operands[i], one, other);
    }
    for (uint32_t i = 1; i < count; i++) {
        uint64_t keep = wanted;
        for (uint32_t k = i + 1; k < count; k++)
            keep |= hsi_einsum_set(&operands[k].term);
        join(c, a, &operands[i], keep, result);
    }
    sum_over(c, a, hsi_einsum_set(&a->term) & ~wanted);
    order(c, a, result);
    hsi_compose_output(c, 0, a->x);
}

hsched_status hsi_onnx_build_einsum(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const uint32_t count = node->input_count;
    operand *operands = HSI_ONNX_NEW_ARRAY(&im->arena, operand, count + 1);
    hsi_einsum_term *terms = HSI_ONNX_NEW_ARRAY(&im->arena, hsi_einsum_term, count + 1);
    uint32_t *ranks = HSI_ONNX_NEW_ARRAY(&im->arena, uint32_t, count + 1);
    hsi_einsum_term result;
    if (!operands || !terms || !ranks)
        return hsi_onnx_no_memory(im, node);
    if (count == 0)
        return hsi_onnx_malformed(node, "it has no operand");
    for (uint32_t i = 0; i < count; i++) {
        operands[i].x = hsi_compose_input(&c, i);
        ranks[i] = hsi_compose_rank(&c, operands[i].x);
    }
    if (c.status == HSCHED_OK)
        c.status = hsi_einsum_parse(im, node, ranks, terms, &result);
    for (uint32_t i = 0; i < count && c.status == HSCHED_OK; i++)
        operands[i].term = terms[i];
    if (c.status == HSCHED_OK)
        build(&c, operands, count, &result);
    return c.status;
}
