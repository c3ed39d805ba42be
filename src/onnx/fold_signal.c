/* Windows of signals and mel filters: constants of a size, which must be known. */
#include "onnx/fold.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* Input k, one integer of at least 0. */
static hsched_status size_input(hsi_onnx_import *im, const hsi_onnx_node *node,
                                uint32_t k, int64_t *value)
{
    const int64_t *list;
    uint32_t count;
    hsched_status status = hsi_onnx_ints_input(im, node, k, &list, &count);
    if (!status && (!list || count != 1 || list[0] < 0))
        status = hsi_onnx_malformed(node, "input %u is not one size", k);
    if (!status)
        *value = list[0];
    return status;
}

static hsched_status output_type(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 hsched_dtype *dtype)
{
    int64_t given;
    hsched_status status = hsi_onnx_attr_int(
        node, "output_datatype", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, &given);
    if (status)
        return status;
    *dtype = given > 0 && given < 64 ? hsi_onnx_dtype((int32_t)given) : HSCHED_DTYPE_NONE;
    if (*dtype == HSCHED_DTYPE_NONE || *dtype == HSCHED_BOOL)
        return hsi_onnx_unsupported(im, node, "its type");
    return HSCHED_OK;
}

/* ---- Windows: a0 - a1 cos(x) + a2 cos(2 x) for x from 0 to 2 pi --------------- */

static double window_at(const hsi_onnx_node *node, double x)
{
    if (strcmp(node->op, "HannWindow") == 0)
        return 0.5 - 0.5 * cos(x);
    if (strcmp(node->op, "HammingWindow") == 0)
        return 25.0 / 46 - 21.0 / 46 * cos(x);
    return 0.08 * cos(2 * x) - 0.5 * cos(x) + 0.42; /* exactly 1 in the middle */
}

/* A symmetric window of one element is not defined: ONNX's formula gives a NaN. */
hsched_status hsi_onnx_fold_window(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t size = 0, periodic;
    hsched_dtype dtype;
    hsi_onnx_draft *draft;
    hsched_status status = size_input(im, node, 0, &size);
    if (!status)
        status = output_type(im, node, &dtype);
    if (!status)
        status = hsi_onnx_attr_int(node, "periodic", 1, &periodic);
    if (!status)
        status = hsi_onnx_draft_make(im, node, dtype, 1, &size, 0, &draft);
    if (status)
        return status;
    const double length = (double)(periodic ? size : size - 1);
    for (int64_t k = 0; k < size; k++)
        hsi_onnx_put_float(draft, (size_t)k,
                           window_at(node, 2 * PI * (double)k / length));
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

/* ---- Mel filters ------------------------------------------------------------- */

typedef struct mel {
    int64_t bands, bins; /* filters, and entries of a spectrum */
    int64_t length, rate;
    double low, high; /* of the frequencies, as mel */
} mel;

static hsched_status read_mel(hsi_onnx_import *im, const hsi_onnx_node *node, mel *m)
{
    float low = 0, high = 0;
    hsched_status status = size_input(im, node, 0, &m->bands);
    if (!status)
        status = size_input(im, node, 1, &m->length);
    if (!status)
        status = size_input(im, node, 2, &m->rate);
    if (!status)
        status = hsi_onnx_float_input(im, node, 3, 0, &low);
    if (!status)
        status = hsi_onnx_float_input(im, node, 4, 0, &high);
    if (status)
        return status;
    if (m->rate == 0 || !(low >= 0) || !(high >= low) || !isfinite(high))
        return hsi_onnx_malformed(node, "its rate or frequencies are out of range");
    m->bins = m->length / 2 + 1;
    m->low = 2595 * log1p((double)low / 700) / log(10);
    m->high = 2595 * log1p((double)high / 700) / log(10);
    return HSCHED_OK;
}

/* Where in the spectrum edge k lies, of bands + 2; its end for all that lies behind. */
static int64_t edge(const mel *m, int64_t k)
{
    const double step = (m->high - m->low) / (double)(m->bands + 2);
    const double hertz = 700 * expm1(((double)k * step + m->low) / 2595 * log(10));
    const double bin = floor((double)(m->length + 1) * hertz / (double)m->rate);
    return bin <= (double)m->bins ? (int64_t)bin : m->bins + 1;
}

/* A triangle: up to 1 at the middle edge, down to 0 at the last one. */
static void put_band(const mel *m, hsi_onnx_draft *draft, int64_t band, const int64_t *at)
{
    const double rise = (double)(at[1] - at[0]), fall = (double)(at[2] - at[1]);
    for (int64_t k = at[0]; k < at[1]; k++)
        hsi_onnx_put_float(draft, (size_t)(k * m->bands + band),
                           (double)(k - at[0]) / rise);
    hsi_onnx_put_float(draft, (size_t)(at[1] * m->bands + band), 1);
    for (int64_t k = at[1] + 1; k < at[2]; k++)
        hsi_onnx_put_float(draft, (size_t)(k * m->bands + band),
                           (double)(at[2] - k) / fall);
}

hsched_status hsi_onnx_fold_mel(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    mel m = { .bands = 0 };
    hsched_dtype dtype;
    hsi_onnx_draft *draft;
    hsched_status status = read_mel(im, node, &m);
    if (!status)
        status = output_type(im, node, &dtype);
    const int64_t dims[2] = { m.bins, m.bands };
    if (!status)
        status = hsi_onnx_draft_make(im, node, dtype, 2, dims, 0, &draft);
    for (int64_t band = 0; band < m.bands && !status; band++) {
        const int64_t at[3] = { edge(&m, band), edge(&m, band + 1), edge(&m, band + 2) };
        if (at[1] >= m.bins || at[2] > m.bins)
            return hsi_onnx_malformed(node, "band %lld ends past the spectrum",
                                      (long long)band);
        put_band(&m, draft, band, at);
    }
    if (!status)
        hsi_onnx_set_constant(im, node, 0, &draft->result);
    return status;
}
