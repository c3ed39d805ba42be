/*
 * DFT and STFT: products with a constant matrix of cosines and sines, or, for long signals whose
 * length is a product, with two. Real and imaginary parts lie beside each other, so that
 * [n,1 or 2] elements of a signal are one row.
 */
#include "onnx/compose.h"
#include "onnx/ops.h"

#include <math.h>

#define MAX_MATRIX ((int64_t)1 << 24) /* elements */
#define FEW        ((int64_t)1 << 19) /* of which one product is made in any case */
#define MAX_FACTOR 4096

typedef struct transform {
    hsi_composer c;
    int64_t length;            /* of the signal, with zeros behind it or cut off */
    int64_t used;              /* elements of the input that count */
    int64_t bins;              /* of the result */
    int64_t parts, made_parts; /* 1: real; 2: complex; of input and result */
    int inverse, onesided;
} transform;

/* ---- The matrix ---------------------------------------------------------------- */

/* The cosine of 2 pi k/n, exact where it is 0, 1 or -1. */
static double cosine(int64_t k, int64_t n)
{
    if (k * 2 > n)
        k = n - k;
    if (k * 4 == n)
        return 0;
    if (k * 4 > n)
        return -cosine(n - 2 * k, 2 * n);
    return cos(2 * 3.14159265358979323846 * (double)k / (double)n);
}

/* 2 pi k/n less a quarter of a turn. */
static double sine(int64_t k, int64_t n)
{
    return cosine((4 * k + 3 * n) % (4 * n), 4 * n);
}

/* How much of input element `from` is in element `to` of the result. */
static void factor(const transform *t, int64_t from, int64_t to, double *real,
                   double *imaginary)
{
    const int64_t turn = (int64_t)((uint64_t)from * (uint64_t)to % (uint64_t)t->length);
    const int twice = t->inverse && t->onesided && from != 0 && from * 2 != t->length;
    const double scale = t->inverse ? (twice ? 2 : 1) / (double)t->length : 1;
    *real = scale * cosine(turn, t->length);
    *imaginary = (t->inverse ? scale : -scale) * sine(turn, t->length);
}

/* What element `from` adds to element `to`, at its place in a matrix of so many columns. */
static void put_factor(const transform *t, hsi_onnx_draft *draft, size_t at,
                       int64_t columns, double weight, int64_t from, int64_t to)
{
    double z[2];
    factor(t, from, to, &z[0], &z[1]);
    for (int64_t k = 0; k < t->made_parts; k++)
        hsi_onnx_put_float(draft, at + (size_t)k, weight * z[k]);
    if (t->parts == 1)
        return;
    hsi_onnx_put_float(draft, at + (size_t)columns, weight * -z[1]); /* times i */
    if (t->made_parts == 2)
        hsi_onnx_put_float(draft, at + (size_t)columns + 1, weight * z[0]);
}

static hsi_onnx_draft *matrix_draft(transform *t, hsched_dtype dtype, uint32_t rank,
                                    const int64_t *dims)
{
    hsi_composer *c = &t->c;
    hsi_onnx_draft *draft = NULL;
    int64_t count = 1;
    for (uint32_t k = 0; k < rank && c->status == HSCHED_OK; k++) {
        if (dims[k] > MAX_MATRIX / count)
            c->status = hsi_onnx_unsupported(c->im, c->node, "a length of %lld",
                                             (long long)t->length);
        else
            count *= dims[k];
    }
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_draft_make(c->im, c->node, dtype, rank, dims, 0, &draft);
    return c->status == HSCHED_OK ? draft : NULL;
}

/* [used * parts, bins * made_parts], each row times its entry of the window, if there is one. */
static hsched_tensor matrix(transform *t, hsched_dtype dtype,
                            const hsi_onnx_constant *window)
{
    const int64_t dims[2] = { t->used * t->parts, t->bins * t->made_parts };
    hsi_onnx_draft *draft = matrix_draft(t, dtype, 2, dims);
    if (!draft)
        return HSCHED_NO_TENSOR;
    for (int64_t from = 0; from < t->used; from++)
        for (int64_t to = 0; to < t->bins; to++)
            put_factor(t, draft, (size_t)(from * t->parts * dims[1] + to * t->made_parts),
                       dims[1], window ? hsi_onnx_get_float(window, (size_t)from) : 1,
                       from, to);
    return hsi_compose_constant(&t->c, dtype, 2, dims, draft->data);
}

/* ---- A product, or two ----------------------------------------------------------- */

/* The last two dimensions of x, [used,parts], transformed to [bins,made_parts]. */
static hsched_tensor in_one(transform *t, hsched_tensor x,
                            const hsi_onnx_constant *window)
{
    hsi_composer *c = &t->c;
    const uint32_t rank = hsi_compose_rank(c, x);
    int64_t flat[HSCHED_MAX_DIMS] = { 0 }, split[HSCHED_MAX_DIMS] = { 0 };
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    if (rank == 2) { /* a row */
        flat[0] = 1;
        flat[1] = t->used * t->parts;
        split[0] = t->bins;
        split[1] = t->made_parts;
    } else {
        flat[rank - 2] = t->used * t->parts;
        split[rank - 2] = t->bins;
        split[rank - 1] = t->made_parts;
    }
    x = hsi_compose_reshape(c, x, rank == 2 ? 2 : rank - 1, flat);
    x = hsi_compose_matmul(c, x, matrix(t, hsi_compose_dtype(c, x), window));
    return hsi_compose_reshape(c, x, rank, split);
}

/* The length as a * b elements: b transforms of length a, then a of length b, with matrices of
 * a * a and a * b * b entries. Gives b, or 0 if one product is as good, or the only way. */
static int64_t factor_of(const transform *t)
{
    const int64_t n = t->length, one = t->used * t->parts * t->bins * t->made_parts;
    int64_t best = 0, least = one / 4;
    if ((t->inverse && t->onesided) || one < FEW)
        return 0;
    for (int64_t b = 2; b * 2 <= n && b <= MAX_FACTOR; b++) {
        const int64_t a = n / b;
        const int64_t work = 2 * n * (t->parts * a + 2 * b);
        if (a * b == n && work < least && 4 * n * b <= MAX_MATRIX &&
            2 * t->parts * a <= MAX_MATRIX / a) {
            best = b;
            least = work;
        }
    }
    return best;
}

/* [a,2 * b,2 * b]: the second transforms, and what turns the results of the first. */
static hsched_tensor turning_matrix(transform *t, hsched_dtype dtype, int64_t a,
                                    int64_t b)
{
    const int64_t dims[3] = { a, 2 * b, 2 * b };
    hsi_onnx_draft *draft = matrix_draft(t, dtype, 3, dims);
    transform whole = *t;
    whole.parts = whole.made_parts = 2;
    for (int64_t k = 0; draft && k < a; k++)
        for (int64_t from = 0; from < b; from++)
            for (int64_t to = 0; to < b; to++)
                put_factor(&whole, draft,
                           (size_t)((k * 2 * b + from * 2) * 2 * b + to * 2), 2 * b,
                           t->inverse ? (double)a : 1, from, k + a * to);
    return draft ? hsi_compose_constant(&t->c, dtype, 3, dims, draft->data)
                 : HSCHED_NO_TENSOR;
}

static hsched_tensor in_two(transform *t, hsched_tensor x, int64_t b)
{
    static const int64_t first[4] = { 2, 0, 1, 3 }, second[4] = { 2, 1, 0, 3 },
                         last[4] = { 1, 2, 0, 3 };
    hsi_composer *c = &t->c;
    const uint32_t rank = hsi_compose_rank(c, x);
    const hsched_dtype dtype = hsi_compose_dtype(c, x);
    const int64_t a = t->length / b;
    transform part = { .length = a,
                       .used = a,
                       .bins = a,
                       .parts = t->parts,
                       .made_parts = 2,
                       .inverse = t->inverse };
    const int64_t apart[4] = { rank == 2   ? 1
                               : rank == 3 ? 0
                                           : HSCHED_DIM_INFER,
                               a, b, t->parts };
    const int64_t rows[3] = { 0, 0, a * t->parts }, of_rows[4] = { 0, 0, a, 2 };
    const int64_t turned[3] = { 0, 0, b * 2 }, of_turned[4] = { 0, 0, b, 2 };
    const int64_t whole[3] = { 0, t->length, 2 };
    int64_t dims[HSCHED_MAX_DIMS];
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    for (uint32_t k = 0; k + 2 < rank; k++)
        dims[k] = hsi_compose_dim(c, x, k);
    dims[rank - 2] = t->bins;
    dims[rank - 1] = 2;
    x = hsi_compose_pad(c, x, rank - 2, 0, t->length - t->used, 0);
    x = hsi_compose_reshape(c, x, 4, apart);
    x = hsi_compose_reshape(c, hsi_compose_transpose(c, x, first), 3, rows);
    part.c = *c;
    hsched_tensor m = matrix(&part, dtype, NULL);
    c->status = part.c.status;
    x = hsi_compose_reshape(c, hsi_compose_matmul(c, x, m), 4, of_rows);
    x = hsi_compose_reshape(c, hsi_compose_transpose(c, x, second), 3, turned);
    x = hsi_compose_matmul(c, x, turning_matrix(t, dtype, a, b));
    x = hsi_compose_reshape(c, x, 4, of_turned);
    x = hsi_compose_reshape(c, hsi_compose_transpose(c, x, last), 3, whole);
    if (t->bins < t->length)
        x = hsi_compose_slice(c, x, 1, 0, t->bins, 1);
    return hsi_compose_reshape(c, x, rank, dims);
}

/* The last two dimensions of x, [used,parts], transformed to [bins,made_parts]. */
static hsched_tensor transformed(transform *t, hsched_tensor x,
                                 const hsi_onnx_constant *window)
{
    hsi_composer *c = &t->c;
    const int64_t b = c->status == HSCHED_OK ? factor_of(t) : 0;
    if (b == 0)
        return in_one(t, x, window);
    if (window) {
        const int64_t dims[2] = { t->used, 1 };
        const hsched_dtype dtype = hsi_compose_dtype(c, x);
        hsi_onnx_draft *draft = matrix_draft(t, dtype, 2, dims);
        for (int64_t k = 0; draft && k < t->used; k++)
            hsi_onnx_put_float(draft, (size_t)k, hsi_onnx_get_float(window, (size_t)k));
        if (!draft)
            return HSCHED_NO_TENSOR;
        x = hsi_compose_pair(c, HSCHED_BINARY_MUL, x,
                             hsi_compose_constant(c, dtype, 2, dims, draft->data));
    }
    return in_two(t, x, b);
}

/* ---- DFT ------------------------------------------------------------------------ */

/* Input k, one number that is known; the fallback if it is left out. */
static int64_t one_number(hsi_composer *c, uint32_t k, int64_t fallback)
{
    const int64_t *list = NULL;
    uint32_t count;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_ints_input(c->im, c->node, k, &list, &count);
    if (c->status == HSCHED_OK && list && count != 1)
        c->status = hsi_onnx_malformed(c->node, "input %u is not one number", k);
    return c->status == HSCHED_OK && list ? list[0] : fallback;
}

static int flag(hsi_composer *c, const char *name, int64_t fallback)
{
    int64_t given = 0;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_int(c->node, name, fallback, &given);
    return given != 0;
}

/* An attribute before opset 20; never the last dimension. */
static uint32_t axis_of(hsi_composer *c, uint32_t rank)
{
    int64_t given = 0;
    uint32_t axis = 0;
    if (c->node->version >= 20)
        given = one_number(c, 2, -2);
    else if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_int(c->node, "axis", 1, &given);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_axis(c->node, given, rank, rank, &axis);
    if (c->status == HSCHED_OK && axis + 1 == rank)
        c->status = hsi_onnx_malformed(c->node, "its axis is the last one");
    return axis;
}

/* Parts of x, [...,1 or 2], and what of them is asked for. */
static void read_parts(transform *t, hsched_tensor x)
{
    hsi_composer *c = &t->c;
    const uint32_t rank = hsi_compose_rank(c, x);
    if (c->status == HSCHED_OK && rank < 2)
        c->status = hsi_onnx_malformed(c->node, "its input has %u dimensions", rank);
    t->parts = hsi_compose_fixed(c, x, rank - 1);
    if (c->status == HSCHED_OK && t->parts != 1 && t->parts != 2)
        c->status = hsi_onnx_malformed(c->node, "its input has %lld parts, not 1 or 2",
                                       (long long)t->parts);
    if (c->status == HSCHED_OK && t->onesided && !t->inverse && t->parts == 2)
        c->status = hsi_onnx_malformed(c->node, "it is one-sided and its input complex");
    t->made_parts = t->onesided && t->inverse ? 1 : 2;
}

/* How much of an axis of that size counts, and what becomes of it. */
static void read_length(transform *t, int64_t size, int64_t length)
{
    const int folded = t->onesided && t->inverse; /* half of the spectrum is given */
    if (t->c.status == HSCHED_OK && length < 1)
        t->c.status = hsi_onnx_malformed(t->c.node, "its length is not positive");
    if (t->c.status == HSCHED_OK && length > MAX_MATRIX)
        t->c.status = hsi_onnx_unsupported(t->c.im, t->c.node, "a length of %lld",
                                           (long long)length);
    t->length = length;
    t->used = folded ? length / 2 + 1 : length;
    if (t->used > size)
        t->used = size;
    t->bins = t->onesided && !t->inverse ? length / 2 + 1 : length;
}

/* Brings the axis before the last one, and back. */
static hsched_tensor moved(hsi_composer *c, hsched_tensor x, uint32_t axis)
{
    const uint32_t rank = hsi_compose_rank(c, x);
    int64_t perm[HSCHED_MAX_DIMS];
    for (uint32_t k = 0; k < rank; k++)
        perm[k] = k;
    if (c->status == HSCHED_OK) {
        perm[axis] = rank - 2;
        perm[rank - 2] = axis;
    }
    return hsi_compose_transpose(c, x, perm);
}

hsched_status hsi_onnx_build_dft(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    transform t = { .c = { im, node, HSCHED_OK } };
    hsi_composer *c = &t.c;
    hsched_tensor x = hsi_compose_input(c, 0);
    t.inverse = flag(c, "inverse", 0);
    t.onesided = flag(c, "onesided", 0);
    read_parts(&t, x);
    const uint32_t axis = axis_of(c, hsi_compose_rank(c, x));
    const int64_t size = hsi_compose_fixed(c, x, axis);
    read_length(&t, size,
                one_number(c, 1, t.inverse && t.onesided ? 2 * (size - 1) : size));
    if (t.used < size)
        x = hsi_compose_slice(c, x, axis, 0, t.used, 1);
    x = transformed(&t, moved(c, x, axis), NULL);
    hsi_compose_output(c, 0, moved(c, x, axis));
    return c->status;
}

/* ---- STFT ----------------------------------------------------------------------- */

enum stft_input {
    WINDOW = 2
};

/* x, [N,T,parts], as [N,frames,length,parts]. */
static hsched_tensor frames_of(transform *t, hsched_tensor x, int64_t step)
{
    hsi_composer *c = &t->c;
    const int64_t size = hsi_compose_fixed(c, x, 1);
    hsi_onnx_draft *draft;
    if (c->status == HSCHED_OK && (step < 1 || t->length < 1 || t->length > size))
        c->status =
            hsi_onnx_malformed(c->node, "frames of %lld each %lld of %lld elements",
                               (long long)t->length, (long long)step, (long long)size);
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    const int64_t dims[2] = { 1 + (size - t->length) / step, t->length };
    c->status = hsi_onnx_draft_make(c->im, c->node, HSCHED_INT64, 2, dims, 0, &draft);
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    for (int64_t k = 0; k < dims[0]; k++)
        for (int64_t i = 0; i < dims[1]; i++)
            hsi_onnx_put_int(draft, (size_t)(k * dims[1] + i), k * step + i);
    return hsi_compose_gather(
        c, x, hsi_compose_constant(c, HSCHED_INT64, 2, dims, draft->data), 1);
}

/* The window's size; 0 if there is none. */
static int64_t window_size(hsi_composer *c)
{
    const hsi_onnx_constant *known = hsi_onnx_constant_input(c->im, c->node, WINDOW);
    if (c->status != HSCHED_OK || !hsi_onnx_has_input(c->node, WINDOW))
        return 0;
    const hsched_tensor x = known ? HSCHED_NO_TENSOR : hsi_compose_input(c, WINDOW);
    const uint32_t rank = known ? known->rank : hsi_compose_rank(c, x);
    if (rank != 1) {
        c->status = hsi_onnx_malformed(c->node, "its window has %u dimensions", rank);
        return 0;
    }
    return known ? known->dims[0] : hsi_compose_fixed(c, x, 0);
}

hsched_status hsi_onnx_build_stft(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t last[1] = { -1 };
    transform t = { .c = { im, node, HSCHED_OK } };
    hsi_composer *c = &t.c;
    hsched_tensor x = hsi_compose_input(c, 0);
    const hsi_onnx_constant *known = hsi_onnx_constant_input(im, node, WINDOW);
    if (hsi_compose_rank(c, x) == 2) /* real */
        x = hsi_compose_unsqueeze(c, x, 1, last);
    if (c->status == HSCHED_OK && hsi_compose_rank(c, x) != 3)
        c->status = hsi_onnx_malformed(node, "its signal is not 3-d");
    t.onesided = flag(c, "onesided", 1);
    read_parts(&t, x);
    const int64_t step = one_number(c, 1, 0), window = window_size(c);
    const int64_t length = one_number(c, 3, window ? window : hsi_compose_fixed(c, x, 1));
    if (c->status == HSCHED_OK && window && window != length)
        c->status = hsi_onnx_malformed(node, "its window is not as long as a frame");
    read_length(&t, length, length);
    x = frames_of(&t, x, step);
    if (window && !known)
        x = hsi_compose_pair(
            c, HSCHED_BINARY_MUL, x,
            hsi_compose_unsqueeze(c, hsi_compose_input(c, WINDOW), 1, last));
    hsi_compose_output(c, 0, transformed(&t, x, known));
    return c->status;
}
