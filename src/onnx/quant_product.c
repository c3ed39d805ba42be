/*
 * Products of levels, exactly. Whole numbers are multiplied and summed in floats, which hold them
 * up to 2^24: exact, in whatever order it is done, where no sum can be larger in size. What sums
 * can become is known from the weights where they are constant, and from the number of terms where
 * they are not; where it is too much the sum is made of several, each of so few terms that it is
 * exact, and these are added as int32, as ONNX Runtime does it. Not exact beyond 2^24 are
 * convolutions in groups of more than 258 terms.
 *
 * Sums that may be rounded are made at once: it is up to the backend how.
 */
#include "onnx/quant_product.h"

#include <math.h>
#include <string.h>

#include "base/status.h"

#include "onnx/file.h"
#include "onnx/fold.h"

#define EXACT    16777216.0 /* 2^24 */
#define MAX_CUTS 64

/* ---- Where sums are cut -------------------------------------------------------- */

/* Adds the sizes of the weights of term k to the sums of each output; the largest sum. */
static double add_term(const hsi_quant_factors *p, int64_t k, double *sums)
{
    const hsi_onnx_constant *w = p->weights;
    const float *data = w->data;
    size_t inner = 1;
    double largest = 0;
    for (uint32_t d = p->axis_b + 1; d < w->rank; d++)
        inner *= (size_t)w->dims[d];
    const size_t terms = (size_t)w->dims[p->axis_b], outer = w->count / inner / terms;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            double *sum = &sums[p->matrices ? o * inner + i : o];
            *sum += fabs((double)data[(o * terms + (size_t)k) * inner + i]);
            largest = fmax(largest, *sum);
        }
    return largest;
}

/* One for each column or filter. */
static size_t sum_count(const hsi_quant_factors *p)
{
    const hsi_onnx_constant *w = p->weights;
    return p->matrices ? w->count / (size_t)w->dims[p->axis_b] : (size_t)w->dims[0];
}

static double *new_sums(const hsi_quant_factors *p)
{
    double *sums = HSI_ONNX_NEW_ARRAY(&p->c->im->arena, double, sum_count(p));
    if (!sums)
        p->c->status = hsi_onnx_no_memory(p->c->im, p->c->node);
    return sums;
}

/* The largest size that a result may have. */
static double reach(const hsi_quant_factors *p)
{
    double most = (double)p->terms * (double)p->each * p->reach_b, *sums;
    if (p->weights && (sums = new_sums(p)) != NULL)
        for (int64_t k = 0; k < p->terms; k++)
            most = add_term(p, k, sums);
    return most * p->reach_a;
}

/* cuts[0..count] are the terms at which the partial sums begin, and the end. */
static void find_cuts(const hsi_quant_factors *p, int64_t *cuts, uint32_t *count)
{
    hsi_composer *c = p->c;
    const double room = EXACT / p->reach_a, one = (double)p->each * p->reach_b;
    double *sums = p->weights ? new_sums(p) : NULL;
    cuts[0] = 0;
    *count = 1;
    for (int64_t k = 0; k < p->terms && c->status == HSCHED_OK; k++) {
        const double sum =
            sums ? add_term(p, k, sums) : (double)(k + 1 - cuts[*count - 1]) * one;
        if (sum <= room || k == cuts[*count - 1])
            continue;
        if (*count == MAX_CUTS) {
            c->status = hsi_onnx_unsupported(c->im, c->node, "a sum of %lld terms",
                                             (long long)p->terms);
            return;
        }
        cuts[(*count)++] = k;
        if (sums) {
            memset(sums, 0, sum_count(p) * sizeof *sums);
            add_term(p, k, sums);
        }
    }
    cuts[*count] = p->terms;
}

/* ---- The product ----------------------------------------------------------------- */

/* The weights of terms from..to, for a fully connected layer [N,K]. */
static hsched_tensor weights_of(const hsi_quant_factors *p, int64_t from, int64_t to,
                                int layer)
{
    hsi_composer *c = p->c;
    const hsi_onnx_constant *w = p->weights;
    const float *data = w->data;
    int64_t dims[HSCHED_MAX_DIMS];
    size_t inner = 1;
    memcpy(dims, w->dims, sizeof dims);
    for (uint32_t d = p->axis_b + 1; d < w->rank; d++)
        inner *= (size_t)w->dims[d];
    const size_t terms = (size_t)w->dims[p->axis_b], outer = w->count / inner / terms;
    const size_t part = (size_t)(to - from);
    dims[p->axis_b] = to - from;
    if (layer && !p->transposed) {
        dims[0] = (int64_t)inner;
        dims[1] = to - from;
    }
    const size_t bytes = w->count / terms * part * sizeof(float);
    const char *name = hsi_onnx_made_name(c->im, c->node->label, "weights");
    float *made = name ? hsi_onnx_graph_memory(c->im->graph, bytes) : NULL;
    if (!made) {
        c->status = hsi_onnx_at_node(c->node, hsi_out_of_memory("its weights"));
        return HSCHED_NO_TENSOR;
    }
    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < part; k++) {
            const float *row = data + (o * terms + (size_t)from + k) * inner;
            for (size_t i = 0; i < inner; i++)
                made[layer && !p->transposed ? i * part + k
                                             : (o * part + k) * inner + i] = row[i];
        }
    hsched_tensor y = HSCHED_NO_TENSOR;
    hsched_status status =
        hsched_graph_add_constant(c->im->graph, name, HSCHED_FLOAT32, w->rank, dims, made,
                                  bytes, HSCHED_DATA_BORROW, &y);
    c->status = hsi_onnx_at_node(c->node, status ? status : hsi_onnx_track(c->im));
    return y;
}

/* That of terms from..to. */
static hsched_tensor multiply(const hsi_quant_factors *p, int64_t from, int64_t to,
                              hsched_tensor bias)
{
    hsi_composer *c = p->c;
    hsched_tensor a = p->a, b = p->b, y = HSCHED_NO_TENSOR;
    const int layer =
        p->matrices && p->weights && p->weights->rank == 2 && hsi_compose_rank(c, a) == 2;
    const int whole = from == 0 && to == p->terms;
    if (!whole)
        a = hsi_compose_slice(c, a, p->axis_a, from, to, 1);
    if (c->status == HSCHED_OK && p->weights)
        b = weights_of(p, from, to, layer);
    else if (!whole)
        b = hsi_compose_slice(c, b, p->axis_b, from, to, 1);
    const char *name = hsi_onnx_made_name(c->im, c->node->label, "product");
    if (c->status == HSCHED_OK && !name)
        c->status = hsi_onnx_no_memory(c->im, c->node);
    if (c->status != HSCHED_OK)
        return y;
    hsched_graph *graph = c->im->graph;
    c->status = layer ? hsched_graph_add_fully_connected(graph, name, a, b, bias, &y)
                : p->matrices
                    ? hsched_graph_add_matmul(graph, name, a, b, &y)
                    : hsched_graph_add_conv(graph, name, a, b, bias, &p->conv, &y);
    c->status = hsi_onnx_at_node(c->node, c->status);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_track(c->im);
    return y;
}

/* The bias as `dtype`, as it is or, for sums, one number for each channel of an image. */
static hsched_tensor bias_of(const hsi_quant_factors *p, hsched_tensor sum,
                             hsched_dtype dtype)
{
    hsi_composer *c = p->c;
    const hsi_onnx_constant *known = hsi_onnx_constant_input(c->im, c->node, p->bias);
    hsched_tensor bias;
    known = known && known->tags ? NULL : known;
    if (known && c->status == HSCHED_OK)
        c->status = hsi_onnx_cast(c->im, c->node, known, dtype, &known);
    if (known && c->status == HSCHED_OK)
        bias = hsi_compose_constant(c, dtype, known->rank, known->dims, known->data);
    else
        bias = hsi_compose_cast(c, hsi_compose_input(c, p->bias), dtype);
    int64_t axes[HSCHED_MAX_DIMS];
    uint32_t behind = 0;
    const uint32_t rank = sum == HSCHED_NO_TENSOR ? 0 : hsi_compose_rank(c, sum);
    for (; !p->matrices && behind + 2 < rank; behind++)
        axes[behind] = 1 + behind;
    return hsi_compose_unsqueeze(c, bias, behind, axes);
}

/* The largest size in the bias; infinite if it is not known. */
static double bias_reach(const hsi_quant_factors *p)
{
    double most = 0;
    if (!p->bias)
        return 0;
    const hsi_onnx_constant *bias =
        hsi_onnx_constant_input(p->c->im, p->c->node, p->bias);
    for (size_t i = 0; bias && i < bias->count; i++)
        most = fmax(most, fabs(hsi_onnx_get_float(bias, i)));
    return bias && !bias->tags ? most : INFINITY;
}

hsched_tensor hsi_quant_product(const hsi_quant_factors *p)
{
    hsi_composer *c = p->c;
    int64_t cuts[MAX_CUTS + 1] = { 0, p->terms };
    uint32_t count = 1;
    hsched_tensor sum = HSCHED_NO_TENSOR;
    if (c->status != HSCHED_OK)
        return sum;
    const double bias = bias_reach(p), most = p->rounded ? 0 : reach(p);
    if (most + bias <= EXACT || (p->rounded && bias < INFINITY)) {
        if (p->bias && !p->matrices)
            return multiply(p, 0, p->terms, bias_of(p, HSCHED_NO_TENSOR, HSCHED_FLOAT32));
        sum = multiply(p, 0, p->terms, HSCHED_NO_TENSOR);
        return p->bias ? hsi_compose_pair(c, HSCHED_BINARY_ADD, sum,
                                          bias_of(p, sum, HSCHED_FLOAT32))
                       : sum;
    }
    if (c->status == HSCHED_OK && p->conv.groups <= 1 && most > EXACT)
        find_cuts(p, cuts, &count);
    for (uint32_t k = 0; k < count && c->status == HSCHED_OK; k++) {
        hsched_tensor part = multiply(p, cuts[k], cuts[k + 1], HSCHED_NO_TENSOR);
        part = hsi_compose_cast(c, part, HSCHED_INT32);
        sum = k == 0 ? part : hsi_compose_pair(c, HSCHED_BINARY_ADD, sum, part);
    }
    return p->bias && c->status == HSCHED_OK
               ? hsi_compose_pair(c, HSCHED_BINARY_ADD, sum,
                                  bias_of(p, sum, HSCHED_INT32))
               : sum;
}
