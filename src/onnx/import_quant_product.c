/*
 * Operators that multiply levels: ConvInteger, MatMulInteger, QLinearConv, QLinearMatMul, and QGemm
 * of ONNX Runtime. The products of the first two are exact (quant_product.c). In the others a
 * factor follows, which makes levels of the sum: this is as exact as the backend makes it, and the
 * factor may be folded into the weights, which are then rounded: a result that lies next to the
 * middle of two levels may become the other one.
 */
#include "onnx/fold.h"
#include "onnx/quant_product.h"
#include "onnx/window.h"

/* The second factor, known or not. */
static void read_weights(hsi_quant_factors *p, uint32_t k, const hsi_onnx_scheme *scheme)
{
    p->weights = hsi_quant_whole_constant(p->c, k, scheme);
    if (p->weights && p->weights->count == 0)
        p->c->status = hsi_onnx_malformed(p->c->node, "its weights are empty");
    p->b = HSCHED_NO_TENSOR;
    if (!p->weights)
        p->b = hsi_quant_whole(p->c, k, scheme);
    p->reach_b = hsi_quant_reach(p->c, k, scheme->zero_point);
}

static uint32_t rank_b(const hsi_quant_factors *p)
{
    return p->weights ? p->weights->rank : hsi_compose_rank(p->c, p->b);
}

static int64_t size_b(const hsi_quant_factors *p, uint32_t d)
{
    return p->weights ? p->weights->dims[d] : hsi_compose_fixed(p->c, p->b, d);
}

/* ---- Matrices --------------------------------------------------------------------- */

typedef struct matrix_inputs {
    uint32_t a, a_zero, b, b_zero, bias; /* inputs; bias 0: none */
    int trans_a, trans_b;                /* of two dimensions */
    int rounded;
} matrix_inputs;

/* Both less their zero points: along the rows of the first and the columns of the second where
 * there are several. */
static hsched_tensor matrix_product(hsi_composer *c, const matrix_inputs *f)
{
    static const int64_t swap[2] = { 1, 0 };
    const uint32_t a = f->a, b = f->b;
    hsi_quant_factors p = {
        .c = c, .matrices = 1, .each = 1, .bias = f->bias, .rounded = f->rounded
    };
    hsi_onnx_scheme rows = { .zero_point = f->a_zero };
    hsi_onnx_scheme columns = { .zero_point = f->b_zero };
    uint32_t rank = hsi_quant_rank(c, a);
    rows.axis = rank > 1 ? rank - 2 : 0;
    p.a = hsi_quant_whole(c, a, &rows);
    p.reach_a = hsi_quant_reach(c, a, f->a_zero);
    rank = hsi_quant_rank(c, b);
    columns.axis = rank > 0 && !f->trans_b ? rank - 1 : 0;
    read_weights(&p, b, &columns);
    if (f->trans_a)
        p.a = hsi_compose_transpose(c, p.a, swap);
    p.transposed = f->trans_b && p.weights;
    if (f->trans_b && !p.weights)
        p.b = hsi_compose_transpose(c, p.b, swap);
    if (c->status == HSCHED_OK && (hsi_compose_rank(c, p.a) < 1 || rank_b(&p) < 1))
        c->status = hsi_onnx_malformed(c->node, "a factor has no dimensions");
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    p.axis_a = hsi_compose_rank(c, p.a) - 1;
    p.axis_b = p.transposed ? 1 : rank_b(&p) > 1 ? rank_b(&p) - 2 : 0;
    p.terms = size_b(&p, p.axis_b);
    return hsi_quant_product(&p);
}

hsched_status hsi_onnx_build_matmul_integer(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const matrix_inputs f = { .a = 0, .a_zero = 2, .b = 1, .b_zero = 3 };
    const hsched_tensor y = matrix_product(&c, &f);
    hsi_quant_sum_output(&c, y);
    return c.status;
}

/* ---- What the levels of a result stand for ------------------------------------------- */

/* Which inputs are scales: of both factors and of the result. */
typedef struct scales {
    uint32_t a, b, y;       /* y 0: the result is no levels */
    float alpha;            /* a factor more */
    int64_t axis_a, axis_b; /* of the result, along which those of the factors lie */
} scales;

/* sum * a * b / y as ONNX Runtime has it: the factor is made first. */
static hsched_tensor rescale(hsi_composer *c, hsched_tensor sum, const scales *s)
{
    const hsi_onnx_constant *b = hsi_onnx_constant_input(c->im, c->node, s->b);
    const hsi_onnx_scheme along_a = { .axis = s->axis_a },
                          along_b = { .axis = s->axis_b };
    double first, last = 1;
    hsched_tensor factor;
    sum = hsi_compose_cast(c, sum, HSCHED_FLOAT32);
    const uint32_t rank = hsi_compose_rank(c, sum);
    if (b && b->rank <= 1 && !b->tags && hsi_quant_number(c, s->a, &first) &&
        (!s->y || hsi_quant_number(c, s->y, &last)) && c->status == HSCHED_OK) {
        int64_t dims[HSCHED_MAX_DIMS] = { (int64_t)b->count };
        float *data = HSI_ONNX_NEW_ARRAY(&c->im->arena, float, b->count);
        if (!data) {
            c->status = hsi_onnx_no_memory(c->im, c->node);
            return sum;
        }
        for (size_t i = 0; i < b->count; i++)
            data[i] =
                s->alpha * (float)first * (float)hsi_onnx_get_float(b, i) / (float)last;
        const uint32_t behind = b->count > 1 && rank ? rank - 1 - (uint32_t)s->axis_b : 0;
        for (uint32_t d = 1; d <= behind; d++)
            dims[d] = 1;
        factor = b->count == 1
                     ? hsi_compose_number(c, HSCHED_FLOAT32, (double)data[0])
                     : hsi_compose_constant(c, HSCHED_FLOAT32, 1 + behind, dims, data);
    } else {
        factor = hsi_compose_pair(c, HSCHED_BINARY_MUL,
                                  hsi_quant_parameter(c, s->a, sum, &along_a),
                                  hsi_quant_parameter(c, s->b, sum, &along_b));
        if (s->alpha != 1)
            factor =
                hsi_compose_pair(c, HSCHED_BINARY_MUL, factor,
                                 hsi_compose_number(c, HSCHED_FLOAT32, (double)s->alpha));
        if (s->y)
            factor = hsi_compose_pair(c, HSCHED_BINARY_DIV, factor,
                                      hsi_quant_parameter(c, s->y, sum, &along_b));
    }
    return hsi_compose_pair(c, HSCHED_BINARY_MUL, sum, factor);
}

hsched_status hsi_onnx_build_qlinear_matmul(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const matrix_inputs f = { .a = 0, .a_zero = 2, .b = 3, .b_zero = 5, .rounded = 1 };
    const hsi_onnx_scheme scheme = { .scale = 6, .zero_point = 7 };
    scales s = { .a = 1, .b = 4, .y = 6, .alpha = 1 };
    hsched_tensor y = matrix_product(&c, &f);
    const uint32_t rank = hsi_compose_rank(&c, y);
    s.axis_a = rank > 1 ? rank - 2 : 0;
    s.axis_b = rank > 0 ? rank - 1 : 0;
    y = rescale(&c, y, &s);
    hsi_quant_output(&c, y, 1, &scheme, hsi_quant_dtype(&c, 7, HSCHED_UINT8));
    return c.status;
}

hsched_status hsi_onnx_build_qgemm(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const hsi_onnx_scheme scheme = { .scale = 7, .zero_point = 8 };
    matrix_inputs f = { .a = 0, .a_zero = 2, .b = 3, .b_zero = 5, .rounded = 1 };
    scales s = { .a = 1, .b = 4, .alpha = 1, .axis_a = 0, .axis_b = 1 };
    int64_t trans_a, trans_b;
    f.bias = hsi_onnx_has_input(node, 6) ? 6 : 0;
    s.y = hsi_onnx_has_input(node, 7) ? 7 : 0;
    c.status = hsi_onnx_attr_float(node, "alpha", 1, &s.alpha);
    if (!c.status)
        c.status = hsi_onnx_attr_int(node, "transA", 0, &trans_a);
    if (!c.status)
        c.status = hsi_onnx_attr_int(node, "transB", 0, &trans_b);
    if (!c.status && (hsi_quant_rank(&c, 0) != 2 || hsi_quant_rank(&c, 3) != 2))
        c.status = hsi_onnx_malformed(node, "a factor does not have two dimensions");
    if (c.status)
        return c.status;
    f.trans_a = trans_a != 0;
    f.trans_b = trans_b != 0;
    hsched_tensor y = rescale(&c, matrix_product(&c, &f), &s);
    if (s.y)
        hsi_quant_output(&c, y, 1, &scheme, hsi_quant_dtype(&c, 8, HSCHED_UINT8));
    else
        hsi_compose_output(&c, 0, y);
    return c.status;
}

/* ---- Convolutions -------------------------------------------------------------------- */

static hsched_status read_conv(hsi_quant_factors *p, uint32_t spatial)
{
    hsi_composer *c = p->c;
    int64_t kernel[HSCHED_MAX_DIMS];
    hsched_status status = hsi_onnx_attr_int(c->node, "group", 1, &p->conv.groups);
    if (!status && p->conv.groups < 1)
        status = hsi_onnx_malformed(c->node, "attribute 'group' is not positive");
    if (!status)
        status = hsi_onnx_read_window(c->node, spatial, p->conv.strides, p->conv.pads,
                                      p->conv.dilations, &p->conv.auto_pad);
    if (!status && hsi_onnx_attr(c->node, "kernel_shape")) {
        status = hsi_onnx_read_numbers(c->node, "kernel_shape", spatial, 0, kernel);
        for (uint32_t d = 0; d < spatial && !status; d++)
            if (kernel[d] != size_b(p, 2 + d))
                status = hsi_onnx_malformed(c->node,
                                            "kernel_shape is not that of its weights");
    }
    return status;
}

typedef struct image_inputs {
    uint32_t x, x_zero, w, w_zero, bias; /* inputs; bias 0: none */
    int rounded;
} image_inputs;

/* Padding is the zero point, which is 0 once it is taken away. */
static hsched_tensor image_product(hsi_composer *c, const image_inputs *f)
{
    const uint32_t x = f->x, x_zero = f->x_zero, w = f->w, w_zero = f->w_zero;
    hsi_quant_factors p = { .c = c,
                            .each = 1,
                            .bias = f->bias,
                            .axis_a = 1,
                            .axis_b = 1,
                            .rounded = f->rounded };
    const hsched_conv_config unset = { HSCHED_CONV_CONFIG_INIT };
    const hsi_onnx_scheme image = { .zero_point = x_zero },
                          filters = { .zero_point = w_zero };
    p.conv = unset;
    p.a = hsi_quant_whole(c, x, &image);
    p.reach_a = hsi_quant_reach(c, x, x_zero);
    read_weights(&p, w, &filters);
    const uint32_t rank = hsi_compose_rank(c, p.a);
    if (c->status == HSCHED_OK && (rank < 3 || rank > 5 || rank_b(&p) != rank))
        c->status = hsi_onnx_unsupported(c->im, c->node,
                                         "an input of %u dimensions and weights of %u",
                                         rank, rank_b(&p));
    if (c->status == HSCHED_OK)
        c->status = read_conv(&p, rank - 2);
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    p.terms = size_b(&p, 1);
    for (uint32_t d = 2; d < rank; d++)
        p.each *= size_b(&p, d);
    return hsi_quant_product(&p);
}

hsched_status hsi_onnx_build_conv_integer(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const image_inputs f = { .x = 0, .x_zero = 2, .w = 1, .w_zero = 3 };
    const hsched_tensor y = image_product(&c, &f);
    hsi_quant_sum_output(&c, y);
    return c.status;
}

hsched_status hsi_onnx_build_qlinear_conv(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const hsi_onnx_scheme scheme = { .scale = 6, .zero_point = 7 };
    const scales s = { .a = 1, .b = 4, .y = 6, .alpha = 1, .axis_a = 1, .axis_b = 1 };
    const image_inputs f = { .x = 0,
                             .x_zero = 2,
                             .w = 3,
                             .w_zero = 5,
                             .bias = hsi_onnx_has_input(node, 8) ? 8 : 0,
                             .rounded = 1 };
    hsched_tensor y = image_product(&c, &f);
    y = rescale(&c, y, &s);
    hsi_quant_output(&c, y, 1, &scheme, hsi_quant_dtype(&c, 7, HSCHED_UINT8));
    return c.status;
}
