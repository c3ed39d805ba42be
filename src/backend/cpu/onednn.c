#include "backend/cpu/onednn.h"

#if HSI_HAVE_ONEDNN

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

static dnnl_engine_t the_engine; /* never destroyed: sections of any runtime may use it */
static dnnl_status_t engine_status;

static void make_engine(void)
{
    engine_status = dnnl_engine_create(&the_engine, dnnl_cpu, 0);
}

hsched_status hsi_onednn_engine(dnnl_engine_t *engine)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_engine);
    *engine = the_engine;
    return hsi_onednn_status(engine_status, "an engine for the CPU");
}

hsched_status hsi_onednn_status(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return HSCHED_OK;
    if (status == dnnl_out_of_memory)
        return hsi_out_of_memory(what);
    return hsi_error(HSCHED_ERROR_INTERNAL,
                     "oneDNN refused %s (status %d); leave HSCHED_LIBRARY_ONEDNN out of "
                     "cpu_libraries to go on without it",
                     what, (int)status);
}

static int post_op_of(hsched_activation act, dnnl_alg_kind_t *algorithm, float *alpha,
                      float *beta)
{
    *alpha = *beta = 0.0f;
    switch (act.kind) {
    case HSCHED_ACTIVATION_RELU:
        *algorithm = dnnl_eltwise_relu;
        return 1;
    case HSCHED_ACTIVATION_LEAKY_RELU:
        *algorithm = dnnl_eltwise_relu;
        *alpha = act.a;
        return 1;
    case HSCHED_ACTIVATION_CLIP:
        *algorithm = dnnl_eltwise_clip;
        *alpha = act.a;
        *beta = act.b;
        return act.a <= act.b;
    case HSCHED_ACTIVATION_SIGMOID:
        *algorithm = dnnl_eltwise_logistic;
        return 1;
    case HSCHED_ACTIVATION_SILU:
        *algorithm = dnnl_eltwise_swish;
        *alpha = 1.0f;
        return 1;
    case HSCHED_ACTIVATION_HARD_SWISH:
        *algorithm = dnnl_eltwise_hardswish;
        return 1;
    default:
        return 0;
    }
}

int hsi_onednn_fuses(hsched_activation act)
{
    dnnl_alg_kind_t algorithm;
    float alpha, beta;
    return act.kind == HSCHED_ACTIVATION_NONE ||
           post_op_of(act, &algorithm, &alpha, &beta);
}

/* Post-ops in the order of the formula: residual, activation. The scratchpad is the
 * caller's. */
static dnnl_status_t make_attr(hsched_activation act, hsi_onednn_residual residual,
                               const dnnl_memory_desc_t *y, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_alg_kind_t algorithm;
    float alpha, beta;
    *attr = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status == dnnl_success)
        status =
            dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && residual == HSI_ONEDNN_RESIDUAL_SUM)
        status = dnnl_post_ops_append_sum(ops, 1.0f);
    if (status == dnnl_success && residual == HSI_ONEDNN_RESIDUAL_BINARY)
        status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, y);
    if (status == dnnl_success && post_op_of(act, &algorithm, &alpha, &beta))
        status = dnnl_post_ops_append_eltwise(ops, 1.0f, algorithm, alpha, beta);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops)
        dnnl_post_ops_destroy(ops);
    return status;
}

static dnnl_status_t weights_desc(const hsi_conv2d *conv, dnnl_data_type_t type,
                                  dnnl_format_tag_t grouped_tag,
                                  dnnl_format_tag_t plain_tag, dnnl_memory_desc_t *desc)
{
    dnnl_dims_t grouped = { conv->groups, conv->group_o, conv->group_c, conv->kh,
                            conv->kw };
    dnnl_dims_t plain = { conv->o, conv->c, conv->kh, conv->kw };
    if (conv->groups > 1)
        return dnnl_memory_desc_init_by_tag(desc, 5, grouped, type, grouped_tag);
    return dnnl_memory_desc_init_by_tag(desc, 4, plain, type, plain_tag);
}

static dnnl_status_t image_desc(dnnl_memory_desc_t *desc, dnnl_data_type_t type,
                                int64_t n, int64_t c, int64_t h, int64_t w)
{
    dnnl_dims_t dims = { n, c, h, w };
    return dnnl_memory_desc_init_by_tag(desc, 4, dims, type, dnnl_nhwc);
}

/* What the band computes, in oneDNN's terms. */
static dnnl_status_t describe_band(const hsi_conv2d *conv,
                                   const dnnl_memory_desc_t *weights,
                                   hsi_onednn_band *band, dnnl_convolution_desc_t *desc)
{
    int64_t reach =
        (conv->ow - 1) * conv->stride_w + (conv->kw - 1) * conv->dilation_w + 1;
    dnnl_dims_t strides = { conv->stride_h, conv->stride_w };
    dnnl_dims_t dilations = { conv->dilation_h - 1, conv->dilation_w - 1 };
    dnnl_dims_t before = { band->pad_top, conv->pad_left };
    dnnl_dims_t after = { band->pad_bottom, reach - conv->pad_left - conv->w };
    dnnl_dims_t bias_dims = { conv->o };
    dnnl_memory_desc_t any, bias;
    dnnl_status_t status =
        image_desc(&band->x, band->type, band->images, conv->c, band->in_rows, conv->w);
    if (status == dnnl_success)
        status = image_desc(&band->y, dnnl_f32, band->images, conv->o, band->out_rows,
                            conv->ow);
    if (status == dnnl_success)
        status = weights_desc(conv, band->type, dnnl_format_tag_any, dnnl_format_tag_any,
                              &any);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&bias, 1, bias_dims, dnnl_f32, dnnl_a);
    if (status == dnnl_success)
        status = dnnl_dilated_convolution_forward_desc_init(
            desc, dnnl_forward_inference, dnnl_convolution_direct, &band->x,
            weights ? weights : &any, conv->has_bias ? &bias : NULL, &band->y, strides,
            dilations, before, after);
    return status;
}

/*
 * Implementations of oneDNN 2.6 that are not to be used: ref, a plain loop; gemm, an
 * im2col as the OpenBLAS kernel's, which unlike it cannot write into slices; those for
 * SSE4.1, of which the depthwise one crashed on rows that are not aligned to 16 bytes;
 * brdgmm, a depthwise kernel, with a residual: for outputs of one pixel it added the
 * wrong channels; jit_bf16_1x1, which with strides computed the third of three images wrong.
 */
static int is_refused(const char *implementation, hsi_onednn_residual residual)
{
    return strstr(implementation, "ref:") || strstr(implementation, "gemm:") ||
           strstr(implementation, "sse41") || strstr(implementation, "jit_bf16_1x1") ||
           (strstr(implementation, "brdgmm") && residual != HSI_ONEDNN_RESIDUAL_NONE);
}

hsched_status hsi_onednn_band_create(const hsi_conv2d *conv, hsched_activation act,
                                     hsi_onednn_residual residual,
                                     const dnnl_memory_desc_t *weights,
                                     hsi_onednn_band *band)
{
    dnnl_engine_t engine;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t chosen = NULL;
    const char *name = "";

    band->primitive = NULL;
    hsched_status result = hsi_onednn_engine(&engine);
    if (result != HSCHED_OK)
        return result;
    dnnl_status_t status = describe_band(conv, weights, band, &desc);
    if (status == dnnl_success)
        status = make_attr(act, residual, &band->y, &attr);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&chosen, &desc, attr, engine, NULL);
    if (status == dnnl_success)
        status =
            dnnl_primitive_desc_query(chosen, dnnl_query_impl_info_str, 0, (void *)&name);
    if (status == dnnl_success && is_refused(name, residual))
        status = dnnl_unimplemented;
    if (status == dnnl_success)
        status = dnnl_primitive_create(&band->primitive, chosen);
    if (status == dnnl_success) {
        band->weights = *dnnl_primitive_desc_query_md(chosen, dnnl_query_weights_md, 0);
        band->work = *dnnl_primitive_desc_query_md(chosen, dnnl_query_scratchpad_md, 0);
        snprintf(band->implementation, sizeof band->implementation, "%s", name);
    }
    if (chosen)
        dnnl_primitive_desc_destroy(chosen);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (status == dnnl_out_of_memory)
        return hsi_out_of_memory("a convolution of oneDNN");
    return status == dnnl_success ? HSCHED_OK : HSCHED_ERROR_UNSUPPORTED;
}

/* Executes a reorder, whose memory objects exist. */
static dnnl_status_t reorder(dnnl_engine_t engine, dnnl_memory_t from,
                             const dnnl_memory_desc_t *from_desc, dnnl_memory_t to,
                             const dnnl_memory_desc_t *to_desc)
{
    dnnl_primitive_desc_t chosen = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&chosen, from_desc, engine,
                                                              to_desc, engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, chosen);
    if (status == dnnl_success)
        status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, stream, 2, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    if (stream)
        dnnl_stream_destroy(stream);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (chosen)
        dnnl_primitive_desc_destroy(chosen);
    return status;
}

hsched_status hsi_onednn_reorder(const dnnl_memory_desc_t *from, const float *data,
                                 const dnnl_memory_desc_t *to, void **made)
{
    dnnl_engine_t engine;
    dnnl_memory_t source = NULL, target = NULL;
    *made = NULL;
    hsched_status result = hsi_onednn_engine(&engine);
    if (result != HSCHED_OK)
        return result;
    void *room = hsi_alloc_aligned(dnnl_memory_desc_get_size(to));
    if (!room)
        return hsi_out_of_memory("packed weights");
    dnnl_status_t status = dnnl_memory_create(&source, from, engine, (void *)data);
    if (status == dnnl_success)
        status = dnnl_memory_create(&target, to, engine, room);
    if (status == dnnl_success)
        status = reorder(engine, source, from, target, to);
    if (target)
        dnnl_memory_destroy(target);
    if (source)
        dnnl_memory_destroy(source);
    if (status == dnnl_success)
        *made = room;
    else
        hsi_free(room);
    return hsi_onednn_status(status, "to pack weights");
}

hsched_status hsi_onednn_pack_weights(const hsi_conv2d *conv, const float *weights,
                                      const dnnl_memory_desc_t *desc, void **packed)
{
    dnnl_memory_desc_t plain;
    *packed = NULL;
    hsched_status status =
        hsi_onednn_status(weights_desc(conv, dnnl_f32, dnnl_goihw, dnnl_oihw, &plain),
                          "the weights of a convolution");
    return status == HSCHED_OK ? hsi_onednn_reorder(&plain, weights, desc, packed)
                               : status;
}

#else
typedef int hsi_onednn_is_absent; /* a translation unit is never empty */
#endif
