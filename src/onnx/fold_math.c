/* Evaluating arithmetic on constants. Integers wrap as the machine's do; floats are
 * computed in double precision and rounded once. */
#include "onnx/fold.h"

#include <math.h>
#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

static int is(const hsi_onnx_node *node, const char *op)
{
    return strcmp(node->op, op) == 0;
}

/* What a result depends on that was computed, not moved. */
static uint64_t mixed(uint64_t a, uint64_t b)
{
    return (a | b) & ~HSI_ONNX_EXACT;
}

static uint64_t tag_at(const hsi_onnx_constant *c, size_t i)
{
    return c->tags ? c->tags[i] : 0;
}

/* ---- Of one input --------------------------------------------------------- */

hsched_status hsi_onnx_fold_cast(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0), *result;
    int64_t to;
    if (!x)
        return hsi_onnx_malformed(node, "its input is missing");
    hsched_status status = hsi_onnx_attr_int(node, "to", 0, &to);
    if (status)
        return status;
    hsched_dtype dtype =
        to > 0 && to < 64 ? hsi_onnx_dtype((int32_t)to) : HSCHED_DTYPE_NONE;
    if (!hsi_onnx_can_make(dtype) && dtype != x->dtype)
        return hsi_onnx_unsupported(
            im, node, "cast to %s",
            hsi_onnx_type_name(to > 0 && to < 64 ? (int32_t)to : -1));
    status = hsi_onnx_cast(im, node, x, dtype, &result);
    if (!status)
        hsi_onnx_set_constant(im, node, 0, result);
    return status;
}

static const struct {
    const char *op;
    double (*compute)(double);
} unary_ops[] = {
    { "Floor", floor }, { "Ceil", ceil }, { "Sqrt", sqrt },  { "Exp", exp },
    { "Log", log },     { "Abs", fabs },  { "Tanh", tanh },  { "Erf", erf },
    { "Sin", sin },     { "Cos", cos },   { "Round", rint },
};

static int64_t unary_int(const hsi_onnx_node *node, int64_t v)
{
    int negate = is(node, "Neg") || (is(node, "Abs") && v < 0);
    return negate ? (int64_t)(0 - (uint64_t)v) : v;
}

static double unary_float(const hsi_onnx_node *node, double v)
{
    for (size_t k = 0; k < sizeof unary_ops / sizeof *unary_ops; k++)
        if (is(node, unary_ops[k].op))
            return unary_ops[k].compute(v);
    if (is(node, "Neg"))
        return -v;
    if (is(node, "Reciprocal"))
        return 1 / v;
    if (is(node, "Relu"))
        return v < 0 ? 0 : v; /* a NaN passes through */
    return 1 / (1 + exp(-v)); /* Sigmoid */
}

/* To the type of the second input. */
hsched_status hsi_onnx_fold_cast_like(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0), *result;
    const hsi_onnx_constant *like = hsi_onnx_constant_input(im, node, 1);
    if (!x || !like)
        return hsi_onnx_malformed(node, "an input is missing");
    hsched_status status = hsi_onnx_cast(im, node, x, like->dtype, &result);
    if (!status)
        hsi_onnx_set_constant(im, node, 0, result);
    return status;
}

hsched_status hsi_onnx_fold_unary(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    hsi_onnx_draft *draft;
    if (!x)
        return hsi_onnx_malformed(node, "its input is missing");
    int floats = hsi_onnx_is_float(x->dtype);
    if (!hsi_onnx_can_make(x->dtype) || (!floats && !is(node, "Neg") && !is(node, "Abs")))
        return HSCHED_OK;
    hsched_status status = hsi_onnx_draft_make(im, node, x->dtype, x->rank, x->dims,
                                               x->tags != NULL, &draft);
    if (status)
        return status;
    for (size_t i = 0; i < x->count; i++) {
        if (floats)
            hsi_onnx_put_float(draft, i, unary_float(node, hsi_onnx_get_float(x, i)));
        else
            hsi_onnx_put_int(draft, i, unary_int(node, hsi_onnx_get_int(x, i)));
        if (draft->tags)
            draft->tags[i] = mixed(tag_at(x, i), 0);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_not(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    hsi_onnx_draft *draft;
    if (!x || x->dtype != HSCHED_BOOL)
        return hsi_onnx_malformed(node, "its input is no bool");
    hsched_status status = hsi_onnx_draft_make(im, node, HSCHED_BOOL, x->rank, x->dims,
                                               x->tags != NULL, &draft);
    if (status)
        return status;
    for (size_t i = 0; i < x->count; i++) {
        hsi_onnx_put_int(draft, i, !hsi_onnx_get_int(x, i));
        if (draft->tags)
            draft->tags[i] = mixed(tag_at(x, i), 0);
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- Of two inputs -------------------------------------------------------- */

/* 0: division by zero. */
static int binary_int(const hsi_onnx_node *node, int64_t a, int64_t b, int fmod_like,
                      int64_t *out)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    if ((is(node, "Div") || is(node, "Mod")) && b == 0)
        return 0;
    if (is(node, "Add") || is(node, "Sum"))
        *out = (int64_t)(x + y);
    else if (is(node, "Sub"))
        *out = (int64_t)(x - y);
    else if (is(node, "Mul"))
        *out = (int64_t)(x * y);
    else if (is(node, "Min"))
        *out = a < b ? a : b;
    else if (is(node, "Max"))
        *out = a > b ? a : b;
    else if (is(node, "Div"))
        *out = b == -1 ? (int64_t)(0 - x) : a / b;
    else if (b == -1)
        *out = 0;
    else /* Mod: the result has the sign of b, unless it follows C */
        *out = a % b && !fmod_like && (a % b < 0) != (b < 0) ? a % b + b : a % b;
    return 1;
}

/* Mod without fmod: the result has the sign of b. */
static double floor_mod(double a, double b)
{
    double rest = fmod(a, b);
    if (rest == 0)
        return copysign(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

static double binary_float(const hsi_onnx_node *node, double a, double b)
{
    if (is(node, "Add") || is(node, "Sum"))
        return a + b;
    if (is(node, "Sub"))
        return a - b;
    if (is(node, "Mul"))
        return a * b;
    if (is(node, "Div"))
        return a / b;
    if (is(node, "Min"))
        return isnan(a) || isnan(b) ? a + b : fmin(a, b);
    if (is(node, "Max"))
        return isnan(a) || isnan(b) ? a + b : fmax(a, b);
    return is(node, "Mod") ? fmod(a, b) : pow(a, b);
}

static int compare(const hsi_onnx_node *node, double order)
{
    if (is(node, "Equal"))
        return order == 0;
    if (is(node, "Greater"))
        return order > 0;
    if (is(node, "Less"))
        return order < 0;
    return is(node, "GreaterOrEqual") ? order >= 0 : order <= 0;
}

static int logical(const hsi_onnx_node *node, int a, int b)
{
    return is(node, "And") ? a && b : is(node, "Or") ? a || b : a != b;
}

/* How both compare: negative, 0, positive, or NaN. */
static double order_of(const hsi_onnx_constant *a, size_t i, const hsi_onnx_constant *b,
                       size_t j)
{
    if (hsi_onnx_is_float(a->dtype)) {
        double x = hsi_onnx_get_float(a, i), y = hsi_onnx_get_float(b, j);
        return isnan(x) || isnan(y) ? (double)NAN : (x > y) - (x < y);
    }
    int64_t x = hsi_onnx_get_int(a, i), y = hsi_onnx_get_int(b, j);
    return (x > y) - (x < y);
}

typedef struct pair {
    const hsi_onnx_constant *a, *b;
    int fmod_like;
} pair;

static int is_logical(const hsi_onnx_node *node)
{
    return is(node, "And") || is(node, "Or") || is(node, "Xor");
}

static int is_comparison(const hsi_onnx_node *node)
{
    return is(node, "Equal") || is(node, "Greater") || is(node, "Less") ||
           is(node, "GreaterOrEqual") || is(node, "LessOrEqual");
}

static hsched_status compute_pair(const hsi_onnx_node *node, const pair *p, size_t i,
                                  size_t j, hsi_onnx_draft *draft, size_t at)
{
    int64_t v;
    if (is_logical(node)) {
        hsi_onnx_put_int(draft, at,
                         logical(node, hsi_onnx_get_int(p->a, i) != 0,
                                 hsi_onnx_get_int(p->b, j) != 0));
    } else if (is_comparison(node)) {
        hsi_onnx_put_int(draft, at, compare(node, order_of(p->a, i, p->b, j)));
    } else if (hsi_onnx_is_float(p->a->dtype) && is(node, "Mod") && !p->fmod_like) {
        hsi_onnx_put_float(
            draft, at,
            floor_mod(hsi_onnx_get_float(p->a, i), hsi_onnx_get_float(p->b, j)));
    } else if (hsi_onnx_is_float(p->a->dtype) || is(node, "Pow")) {
        hsi_onnx_put_float(
            draft, at,
            binary_float(node, hsi_onnx_get_float(p->a, i), hsi_onnx_get_float(p->b, j)));
    } else {
        if (!binary_int(node, hsi_onnx_get_int(p->a, i), hsi_onnx_get_int(p->b, j),
                        p->fmod_like, &v))
            return hsi_onnx_malformed(node, "an integer is divided by zero");
        hsi_onnx_put_int(draft, at, v);
    }
    if (draft->tags)
        draft->tags[at] = mixed(tag_at(p->a, i), tag_at(p->b, j));
    return HSCHED_OK;
}

static hsched_status fold_pair(hsi_onnx_import *im, const hsi_onnx_node *node,
                               const pair *p, hsched_dtype dtype,
                               const hsi_onnx_constant **result)
{
    int64_t dims[HSCHED_MAX_DIMS], sa[HSCHED_MAX_DIMS], sb[HSCHED_MAX_DIMS];
    uint32_t rank;
    hsi_onnx_draft *draft;
    hsched_status status = hsi_onnx_broadcast(node, p->a, p->b, &rank, dims);
    if (!status)
        status = hsi_onnx_draft_make(im, node, dtype, rank, dims,
                                     p->a->tags || p->b->tags, &draft);
    if (status)
        return status;
    hsi_onnx_broadcast_strides(p->a, rank, dims, sa);
    hsi_onnx_broadcast_strides(p->b, rank, dims, sb);
    for (size_t at = 0; at < draft->result.count && !status; at++) {
        size_t rest = at, i = 0, j = 0;
        for (uint32_t k = rank; k-- > 0; rest /= (size_t)dims[k]) {
            size_t index = rest % (size_t)dims[k];
            i += index * (size_t)sa[k];
            j += index * (size_t)sb[k];
        }
        status = compute_pair(node, p, i, j, draft, at);
    }
    *result = &draft->result;
    return status;
}

/* Add, Sub, Mul, Div, Mod, Pow; Min, Max and Sum of any number. */
hsched_status hsi_onnx_fold_binary(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *all = hsi_onnx_constant_input(im, node, 0);
    int variadic = is(node, "Min") || is(node, "Max") || is(node, "Sum");
    int64_t fmod_like = 0;
    if (!all || (!variadic && node->input_count != 2))
        return hsi_onnx_malformed(node, "it has %u inputs", node->input_count);
    if (!hsi_onnx_can_make(all->dtype) || all->dtype == HSCHED_BOOL)
        return HSCHED_OK;
    hsched_status status =
        is(node, "Mod") ? hsi_onnx_attr_int(node, "fmod", 0, &fmod_like) : HSCHED_OK;
    for (uint32_t k = 1; k < node->input_count && !status; k++) {
        pair p = { all, hsi_onnx_constant_input(im, node, k), fmod_like != 0 };
        if (!p.b || (p.b->dtype != all->dtype && !is(node, "Pow")))
            return hsi_onnx_malformed(node, "its inputs have different types");
        if (!hsi_onnx_can_make(p.b->dtype))
            return HSCHED_OK;
        status = fold_pair(im, node, &p, all->dtype, &all);
    }
    if (!status)
        hsi_onnx_set_constant(im, node, 0, all);
    return status;
}

hsched_status hsi_onnx_fold_compare(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    pair p = { hsi_onnx_constant_input(im, node, 0), hsi_onnx_constant_input(im, node, 1),
               0 };
    const hsi_onnx_constant *result;
    if (!p.a || !p.b || p.a->dtype != p.b->dtype)
        return hsi_onnx_malformed(node, "it needs two inputs of the same type");
    if (is_logical(node) && p.a->dtype != HSCHED_BOOL)
        return hsi_onnx_malformed(node, "its inputs are no bools");
    if (!hsi_onnx_can_make(p.a->dtype))
        return HSCHED_OK;
    hsched_status status = fold_pair(im, node, &p, HSCHED_BOOL, &result);
    if (!status)
        hsi_onnx_set_constant(im, node, 0, result);
    return status;
}

/* ---- Range and reductions ------------------------------------------------- */

hsched_status hsi_onnx_fold_range(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *in[3];
    for (uint32_t k = 0; k < 3; k++) {
        in[k] = hsi_onnx_constant_input(im, node, k);
        if (!in[k] || in[k]->count != 1 || in[k]->dtype != in[0]->dtype)
            return hsi_onnx_malformed(node, "it needs three numbers of the same type");
        hsi_onnx_pin(im, tag_at(in[k], 0));
    }
    double start = hsi_onnx_get_float(in[0], 0), limit = hsi_onnx_get_float(in[1], 0);
    double delta = hsi_onnx_get_float(in[2], 0), count = ceil((limit - start) / delta);
    if (!(delta != 0) || !(count <= 9e15))
        return hsi_onnx_malformed(node, "its step is 0 or its numbers are not finite");
    int64_t dims[1] = { count > 0 ? (int64_t)count : 0 };
    hsi_onnx_draft *draft;
    hsched_status status =
        hsi_onnx_draft_make(im, node, in[0]->dtype, 1, dims, 0, &draft);
    if (status)
        return status;
    for (int64_t k = 0; k < dims[0]; k++) {
        if (hsi_onnx_is_float(in[0]->dtype))
            hsi_onnx_put_float(draft, (size_t)k, start + (double)k * delta);
        else
            hsi_onnx_put_int(draft, (size_t)k,
                             hsi_onnx_get_int(in[0], 0) + k * hsi_onnx_get_int(in[2], 0));
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

typedef struct reduction {
    const hsi_onnx_constant *x;
    uint32_t axes;                    /* bits */
    int64_t strides[HSCHED_MAX_DIMS]; /* of the result, 0 along the axes */
} reduction;

/* Combines element i into its place. */
static void reduce_one(const hsi_onnx_node *node, const reduction *r, size_t i,
                       uint8_t *started, hsi_onnx_draft *draft)
{
    size_t rest = i, at = 0;
    for (uint32_t k = r->x->rank; k-- > 0; rest /= (size_t)r->x->dims[k])
        at += rest % (size_t)r->x->dims[k] * (size_t)r->strides[k];
    static const hsi_onnx_node add = { .op = "Add" }, mul = { .op = "Mul" },
                               min = { .op = "Min" }, max = { .op = "Max" };
    const hsi_onnx_node *op = is(node, "ReduceProd")  ? &mul
                              : is(node, "ReduceMin") ? &min
                              : is(node, "ReduceMax") ? &max
                                                      : &add;
    if (draft->tags)
        draft->tags[at] = mixed(draft->tags[at], tag_at(r->x, i));
    if (!started[at]) {
        started[at] = 1;
        hsi_onnx_put_float(draft, at, hsi_onnx_get_float(r->x, i));
        if (!hsi_onnx_is_float(r->x->dtype))
            hsi_onnx_put_int(draft, at, hsi_onnx_get_int(r->x, i));
        return;
    }
    if (hsi_onnx_is_float(r->x->dtype)) {
        hsi_onnx_put_float(draft, at,
                           binary_float(op, hsi_onnx_get_float(&draft->result, at),
                                        hsi_onnx_get_float(r->x, i)));
        return;
    }
    int64_t v = 0;
    binary_int(op, hsi_onnx_get_int(&draft->result, at), hsi_onnx_get_int(r->x, i), 0,
               &v);
    hsi_onnx_put_int(draft, at, v);
}

static int is_plain(const hsi_onnx_node *node)
{
    return is(node, "ReduceSum") || is(node, "ReduceProd") || is(node, "ReduceMin") ||
           is(node, "ReduceMax");
}

/* What each reduction gives for no elements. */
static void reduce_none(const hsi_onnx_node *node, hsi_onnx_draft *draft)
{
    const int least = is(node, "ReduceMin");
    double value = is(node, "ReduceProd") ? 1 : 0;
    if (is(node, "ReduceMax") || is(node, "ReduceLogSum") || is(node, "ReduceLogSumExp"))
        value = -(double)INFINITY;
    if (least)
        value = (double)INFINITY;
    if (is(node, "ReduceMean"))
        value = (double)NAN;
    for (size_t i = 0; i < draft->result.count; i++) {
        if (draft->result.dtype == HSCHED_BOOL)
            hsi_onnx_put_int(draft, i, least);
        else
            hsi_onnx_put_float(draft, i, value);
    }
}

/* ReduceProd, ReduceSum, ReduceMin, ReduceMax; all of them of no elements. */
hsched_status hsi_onnx_fold_reduce(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    reduction r = { .x = hsi_onnx_constant_input(im, node, 0) };
    const int64_t *axes;
    int64_t keep, noop, kept[HSCHED_MAX_DIMS], shown[HSCHED_MAX_DIMS];
    uint32_t count, at, rank = 0;
    if (!r.x)
        return hsi_onnx_malformed(node, "its input is missing");
    if (!hsi_onnx_can_make(r.x->dtype) || (r.x->count && !is_plain(node)))
        return HSCHED_OK;
    hsched_status status = hsi_onnx_ints(
        im, node, "axes", is(node, "ReduceSum") ? 13 : 18, 1, &axes, &count);
    if (!status)
        status = hsi_onnx_attr_int(node, "keepdims", 1, &keep);
    if (!status)
        status = hsi_onnx_attr_int(node, "noop_with_empty_axes", 0, &noop);
    for (uint32_t k = 0; k < count && !status; k++) {
        status = hsi_onnx_axis(node, axes[k], r.x->rank, r.x->rank, &at);
        if (!status)
            r.axes |= 1u << at;
    }
    if (status)
        return status;
    if (count == 0 && noop)
        return hsi_onnx_alias(im, node, 0);
    if (count == 0)
        r.axes = (1u << r.x->rank) - 1;
    for (uint32_t k = 0; k < r.x->rank; k++) {
        kept[k] = r.axes >> k & 1 ? 1 : r.x->dims[k];
        if (keep || !(r.axes >> k & 1))
            shown[rank++] = kept[k];
    }
    hsi_onnx_draft *draft;
    status =
        hsi_onnx_draft_make(im, node, r.x->dtype, rank, shown, r.x->tags != NULL, &draft);
    if (status)
        return status;
    uint8_t *started = HSI_ONNX_NEW_ARRAY(&im->arena, uint8_t, draft->result.count);
    if (!started)
        return hsi_onnx_no_memory(im, node);
    hsi_dense_strides(r.x->rank, kept, r.strides);
    for (uint32_t k = 0; k < r.x->rank; k++)
        if (r.axes >> k & 1)
            r.strides[k] = 0;
    if (r.x->count == 0)
        reduce_none(node, draft);
    for (size_t i = 0; i < r.x->count; i++)
        reduce_one(node, &r, i, started, draft);
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}
