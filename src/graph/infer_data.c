/* Shapes of the layers that move data of any type. */
#include "graph/infer.h"

#include "base/checked.h"

/* [..,D1,..], [..,D2,..], ... -> [..,D1+D2+..,..] */
hsched_status hsi_infer_concat(hsi_infer *f)
{
    const hsi_graph_tensor *first = hsi_infer_input(f, 0);
    int64_t axis = 0, sum = 0;
    hsched_status status = hsi_resolve_axis(f->given->concat.axis, first->rank, &axis);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "input " HSI_TENSOR_FMT ": ",
                                HSI_TENSOR_ARGS(first));
    for (uint32_t k = 0; k < f->input_count; k++) {
        const hsi_graph_tensor *t = hsi_infer_input(f, k);
        int fits = t->dtype == first->dtype && t->rank == first->rank;
        for (uint32_t i = 0; fits && i < t->rank; i++)
            fits = i == axis || t->dims[i] == first->dims[i];
        if (!fits)
            return hsi_error(HSCHED_ERROR_SHAPE,
                             "input %u " HSI_TENSOR_FMT
                             " (%s) cannot be joined to input 0 " HSI_TENSOR_FMT
                             " (%s) along axis %lld: types and all other "
                             "dimensions must agree; reshape one of them",
                             k, HSI_TENSOR_ARGS(t), hsched_dtype_name(t->dtype),
                             HSI_TENSOR_ARGS(first), hsched_dtype_name(first->dtype),
                             (long long)axis);
        if (!hsi_add_i64(sum, t->dims[axis], &sum))
            return hsi_error(
                HSCHED_ERROR_LIMIT,
                "the sum of the dimensions along axis %lld does not fit into 64 "
                "bits; join fewer tensors",
                (long long)axis);
    }
    f->attrs->concat.axis = (int)axis;
    hsi_infer_same(f, first);
    f->dims[axis] = sum;
    return HSCHED_OK;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* One axis of a slice, by the rules of ONNX: the clamped start, and how many elements. */
static int64_t slice_axis(int64_t dim, int64_t start, int64_t end, int64_t step,
                          int64_t *clamped)
{
    /* Adding a dimension to a negative number cannot overflow. */
    if (start < 0)
        start += dim;
    if (end < 0)
        end += dim;
    if (step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        *clamped = start;
        return start < end ? (end - start - 1) / step + 1 : 0;
    }
    start = clamp(start, 0, dim - 1);
    end = clamp(end, -1, dim - 1);
    *clamped = start;
    /* A step beyond the whole dimension is like one of just its size, and can be negated.
     */
    if (step < -dim)
        step = -dim;
    return start > end ? (start - end - 1) / -step + 1 : 0;
}

/* x -> x[start:end:step, ...] */
hsched_status hsi_infer_slice(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    unsigned seen = 0;
    hsi_infer_same(f, x);
    for (uint32_t i = 0; i < HSCHED_MAX_DIMS; i++) {
        f->attrs->slice.starts[i] = 0;
        f->attrs->slice.steps[i] = 1;
        f->attrs->slice.ends[i] = f->attrs->slice.axes[i] = 0;
    }
    f->attrs->slice.count = x->rank;
    for (uint32_t k = 0; k < f->given->slice.count; k++) {
        int64_t axis = 0, start = 0, step = f->given->slice.steps[k];
        hsched_status status = hsi_resolve_axis(f->given->slice.axes[k], x->rank, &axis);
        if (status != HSCHED_OK)
            return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
        if (seen & 1u << axis)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "axis %lld is named twice; slice it once", (long long)axis);
        seen |= 1u << axis;
        if (step == 0)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "the step along axis %lld is 0; use 1 to take every element",
                             (long long)axis);
        int64_t count = slice_axis(x->dims[axis], f->given->slice.starts[k],
                                   f->given->slice.ends[k], step, &start);
        if (count == 0)
            return hsi_error(
                HSCHED_ERROR_SHAPE,
                "nothing is left of x " HSI_TENSOR_FMT " along axis %lld from "
                "%lld to %lld in steps of %lld, and empty tensors are not "
                "allowed; choose other positions",
                HSI_TENSOR_ARGS(x), (long long)axis, (long long)f->given->slice.starts[k],
                (long long)f->given->slice.ends[k], (long long)step);
        f->attrs->slice.starts[axis] = start;
        f->attrs->slice.steps[axis] = count == 1 ? 1 : step;
        f->dims[axis] = count;
    }
    return HSCHED_OK;
}

/* 1 if a value can be stored in a tensor of the type. Floats take any. */
static int value_fits(hsched_dtype dtype, double value)
{
    double least, past; /* least <= value < past */
    switch (dtype) {
    case HSCHED_BOOL:
        least = 0, past = 2;
        break;
    case HSCHED_UINT8:
        least = 0, past = 256;
        break;
    case HSCHED_INT8:
        least = -128, past = 128;
        break;
    case HSCHED_INT32:
        least = -2147483648.0, past = 2147483648.0;
        break;
    case HSCHED_INT64:
        least = -9223372036854775808.0, past = 9223372036854775808.0;
        break;
    default:
        return 1;
    }
    return value >= least && value < past && (double)(int64_t)value == value;
}

/* x -> x with before[i] and after[i] elements around it along each dimension i */
hsched_status hsi_infer_pad(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_pad_mode mode = f->attrs->pad.mode;
    double value = (double)f->attrs->pad.value;
    if ((unsigned)mode > HSCHED_PAD_MODE_EDGE)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "pad mode %d is not known; use one of the HSCHED_PAD_MODE_ values",
            (int)mode);
    if (mode == HSCHED_PAD_MODE_CONSTANT && !value_fits(x->dtype, value))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "the value %g cannot be stored in x " HSI_TENSOR_FMT
                         " of type %s; "
                         "give a whole number in the type's range",
                         value, HSI_TENSOR_ARGS(x), hsched_dtype_name(x->dtype));
    hsi_infer_same(f, x);
    for (uint32_t i = 0; i < x->rank; i++) {
        int64_t before = f->attrs->pad.before[i], after = f->attrs->pad.after[i];
        if (before < 0 || after < 0)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "the padding %lld before and %lld after along axis %u must not "
                "be negative; use hsched_graph_add_slice to cut",
                (long long)before, (long long)after, i);
        if (mode == HSCHED_PAD_MODE_REFLECT &&
            (before >= x->dims[i] || after >= x->dims[i]))
            return hsi_error(
                HSCHED_ERROR_SHAPE,
                "reflecting needs less padding than elements, but along axis %u "
                "x " HSI_TENSOR_FMT " is to get %lld before and %lld after; use "
                "less padding or another mode",
                i, HSI_TENSOR_ARGS(x), (long long)before, (long long)after);
        if (!hsi_add_i64(x->dims[i], before, &f->dims[i]) ||
            !hsi_add_i64(f->dims[i], after, &f->dims[i]))
            return hsi_error(
                HSCHED_ERROR_LIMIT,
                "the padding %lld before and %lld after along axis %u is too "
                "large; use less",
                (long long)before, (long long)after, i);
    }
    return HSCHED_OK;
}

/* The target dims with 0 and symbols replaced; *infer is the place of the one to be
 * inferred. */
static hsched_status reshape_dims(hsi_infer *f, const hsi_graph_tensor *x, int64_t *dims,
                                  uint32_t *infer)
{
    *infer = HSI_NO_INDEX;
    for (uint32_t i = 0; i < f->given->reshape.rank; i++) {
        int64_t dim = f->given->reshape.dims[i];
        uint32_t symbol;
        if (dim == HSCHED_DIM_INFER) {
            if (*infer != HSI_NO_INDEX)
                return hsi_error(
                    HSCHED_ERROR_INVALID_ARGUMENT,
                    "dimensions %u and %u are both HSCHED_DIM_INFER; leave one "
                    "to be inferred",
                    *infer, i);
            *infer = i;
            dims[i] = 1;
        } else if (dim == 0) {
            if (i >= x->rank)
                return hsi_error(
                    HSCHED_ERROR_INVALID_ARGUMENT,
                    "dimension %u is 0, which copies that of x, but x " HSI_TENSOR_FMT
                    " has only %u; give a size",
                    i, HSI_TENSOR_ARGS(x), x->rank);
            dims[i] = x->dims[i];
        } else {
            hsched_status status =
                hsi_resolve_dim(f->symbols, f->symbol_count, dim, &dims[i], &symbol);
            if (status != HSCHED_OK)
                return status;
        }
    }
    return HSCHED_OK;
}

/* x -> the dims given, of as many elements. attrs keep the dims as given. */
hsched_status hsi_infer_reshape(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    uint32_t rank = f->given->reshape.rank, infer;
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_status status = reshape_dims(f, x, dims, &infer);
    if (status != HSCHED_OK)
        return status;
    size_t have = 0, want = 0;
    int fits = hsi_element_count(x->rank, x->dims, &have) &&
               hsi_element_count(rank, dims, &want);
    if (fits && infer != HSI_NO_INDEX && have % want == 0) {
        dims[infer] = (int64_t)(have / want);
        want = have;
    }
    if (!fits || have != want)
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            "x " HSI_TENSOR_FMT " of %zu elements cannot be reshaped to %s (%s); "
            "give dimensions of that product",
            HSI_TENSOR_ARGS(x), have, hsi_shape_text(rank, f->given->reshape.dims),
            hsi_shape_text(rank, dims));
    hsi_infer_set(f, x->dtype, rank, dims);
    return HSCHED_OK;
}

/* x [A,1] and dims {B,1,C} -> [B,A,C] */
hsched_status hsi_infer_expand(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    const uint32_t given = f->given->reshape.rank;
    const uint32_t rank = given > x->rank ? given : x->rank;
    int64_t dims[HSCHED_MAX_DIMS];
    for (uint32_t i = 0; i < rank; i++) {
        int64_t wanted = 1, own = i + x->rank < rank ? 1 : x->dims[i + x->rank - rank];
        uint32_t symbol;
        if (i + given >= rank) {
            hsched_status status = hsi_resolve_dim(
                f->symbols, f->symbol_count, f->given->reshape.dims[i + given - rank],
                &wanted, &symbol);
            if (status != HSCHED_OK)
                return status;
        }
        if (own != 1 && wanted != 1 && own != wanted)
            return hsi_error(
                HSCHED_ERROR_SHAPE,
                "x " HSI_TENSOR_FMT " does not broadcast to %s: %lld is neither "
                "1 nor %lld; give its own size or 1",
                HSI_TENSOR_ARGS(x), hsi_shape_text(given, f->given->reshape.dims),
                (long long)own, (long long)wanted);
        dims[i] = own != 1 ? own : wanted;
    }
    hsi_infer_set(f, x->dtype, rank, dims);
    return HSCHED_OK;
}

/* x [A,B,C,D], axis 2 -> [A*B,C*D] */
hsched_status hsi_infer_flatten(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    int64_t axis = f->given->flatten.axis, dims[2] = { 1, 1 };
    if (axis < -(int64_t)x->rank || axis > (int64_t)x->rank)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "axis %lld is outside -%u..%u of x " HSI_TENSOR_FMT
                         "; choose one of "
                         "these",
                         (long long)axis, x->rank, x->rank, HSI_TENSOR_ARGS(x));
    if (axis < 0)
        axis += x->rank;
    for (uint32_t i = 0; i < x->rank; i++)
        dims[i >= axis] *= x->dims[i]; /* at most x's element count, which fits */
    f->attrs->flatten.axis = (int)axis;
    hsi_infer_set(f, x->dtype, 2, dims);
    return HSCHED_OK;
}

/* x [A,1,B] -> [A,B] */
hsched_status hsi_infer_squeeze(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    int64_t *axes = f->attrs->axes.axes, dims[HSCHED_MAX_DIMS];
    uint32_t count = f->given->axes.count, rank = 0;
    if (count == 0)
        for (uint32_t i = 0; i < x->rank; i++)
            if (x->dims[i] == 1)
                axes[count++] = i;
    hsched_status status = hsi_resolve_axes(axes, count, x->rank);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "x " HSI_TENSOR_FMT ": ", HSI_TENSOR_ARGS(x));
    f->attrs->axes.count = count;
    for (uint32_t i = 0, next = 0; i < x->rank; i++) {
        if (next == count || axes[next] != i) {
            dims[rank++] = x->dims[i];
            continue;
        }
        next++;
        if (x->dims[i] != 1)
            return hsi_error(HSCHED_ERROR_SHAPE,
                             "axis %u of x " HSI_TENSOR_FMT " has size %lld, and only "
                             "dimensions of size 1 can be dropped; use "
                             "hsched_graph_add_reshape",
                             i, HSI_TENSOR_ARGS(x), (long long)x->dims[i]);
    }
    hsi_infer_set(f, x->dtype, rank, dims);
    return HSCHED_OK;
}

/* x [A,B], axes {0,2} -> [1,A,1,B] */
hsched_status hsi_infer_unsqueeze(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    int64_t *axes = f->attrs->axes.axes, dims[HSCHED_MAX_DIMS];
    uint32_t count = f->given->axes.count, rank = x->rank + count;
    if (rank > HSCHED_MAX_DIMS)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "%u more dimensions than those of x " HSI_TENSOR_FMT
                         " are more than "
                         "%d; add fewer",
                         count, HSI_TENSOR_ARGS(x), HSCHED_MAX_DIMS);
    hsched_status status = hsi_resolve_axes(axes, count, rank);
    if (status != HSCHED_OK)
        return hsi_error_prefix(status,
                                "the result of x " HSI_TENSOR_FMT " and %u more: ",
                                HSI_TENSOR_ARGS(x), count);
    for (uint32_t i = 0, next = 0; i < rank; i++) {
        int added = next < count && axes[next] == i;
        dims[i] = added ? 1 : x->dims[i - next];
        next += (uint32_t)added;
    }
    hsi_infer_set(f, x->dtype, rank, dims);
    return HSCHED_OK;
}

/* x [D0,D1,...] -> [D(perm[0]),D(perm[1]),...] */
hsched_status hsi_infer_transpose(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    const int64_t *perm = f->attrs->transpose.perm;
    int64_t dims[HSCHED_MAX_DIMS];
    unsigned seen = 0;
    for (uint32_t i = 0; i < x->rank; i++) {
        if (perm[i] < 0 || perm[i] >= (int64_t)x->rank || (seen & 1u << perm[i]))
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "perm %s must name each of the %u dimensions of x " HSI_TENSOR_FMT
                " once, counted from 0; correct entry %u",
                hsi_shape_text(x->rank, perm), x->rank, HSI_TENSOR_ARGS(x), i);
        seen |= 1u << perm[i];
        dims[i] = x->dims[perm[i]];
    }
    hsi_infer_set(f, x->dtype, x->rank, dims);
    return HSCHED_OK;
}
