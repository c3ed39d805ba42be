#include "backend/cpu/onednn_product.h"

#if HSI_HAVE_ONEDNN

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

static dnnl_status_t describe(const dnnl_memory_desc_t *b, hsi_onednn_product *p,
                              dnnl_matmul_desc_t *desc)
{
    dnnl_dims_t a_dims = { p->m, p->k }, b_dims = { p->k, p->n }, c_dims = { p->m, p->n };
    dnnl_memory_desc_t any;
    dnnl_status_t status =
        dnnl_memory_desc_init_by_tag(&p->a, 2, a_dims, dnnl_bf16, dnnl_ab);
    if (status == dnnl_success)
        status =
            dnnl_memory_desc_init_by_tag(&any, 2, b_dims, dnnl_bf16, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&p->c, 2, c_dims, dnnl_f32, dnnl_ab);
    if (status == dnnl_success)
        status = dnnl_matmul_desc_init(desc, &p->a, b ? b : &any, NULL, &p->c);
    return status;
}

/* ref is a plain loop; gemm takes memory from the heap in every call. */
static int is_refused(const char *implementation)
{
    return strstr(implementation, "ref:") || strstr(implementation, "gemm:");
}

hsched_status hsi_onednn_product_create(const dnnl_memory_desc_t *b,
                                        hsi_onednn_product *product)
{
    dnnl_engine_t engine;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t chosen = NULL;
    const char *name = "";
    product->primitive = NULL;
    hsched_status result = hsi_onednn_engine(&engine);
    if (result != HSCHED_OK)
        return result;
    dnnl_status_t status = describe(b, product, &desc);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&chosen, &desc, attr, engine, NULL);
    if (status == dnnl_success)
        status =
            dnnl_primitive_desc_query(chosen, dnnl_query_impl_info_str, 0, (void *)&name);
    if (status == dnnl_success && is_refused(name))
        status = dnnl_unimplemented;
    if (status == dnnl_success)
        status = dnnl_primitive_create(&product->primitive, chosen);
    if (status == dnnl_success) {
        product->b = *dnnl_primitive_desc_query_md(chosen, dnnl_query_weights_md, 0);
        product->work =
            *dnnl_primitive_desc_query_md(chosen, dnnl_query_scratchpad_md, 0);
        snprintf(product->implementation, sizeof product->implementation, "%s", name);
    }
    if (chosen)
        dnnl_primitive_desc_destroy(chosen);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (status == dnnl_out_of_memory)
        return hsi_out_of_memory("a matrix product of oneDNN");
    return status == dnnl_success ? HSCHED_OK : HSCHED_ERROR_UNSUPPORTED;
}

hsched_status hsi_onednn_product_plain(int64_t k, int64_t n, int flipped,
                                       dnnl_memory_desc_t *b)
{
    dnnl_dims_t dims = { k, n };
    return hsi_onednn_status(
        dnnl_memory_desc_init_by_tag(b, 2, dims, dnnl_bf16, flipped ? dnnl_ba : dnnl_ab),
        "a matrix");
}

void hsi_onednn_product_clear(hsi_onednn_product *product)
{
    if (product->primitive)
        dnnl_primitive_destroy(product->primitive);
    product->primitive = NULL;
}

hsched_status hsi_onednn_product_pack(const hsi_onednn_product *product,
                                      const float *weights, int64_t row, int64_t column,
                                      void **packed)
{
    dnnl_dims_t dims = { product->k, product->n }, strides = { row, column };
    dnnl_memory_desc_t plain;
    *packed = NULL;
    hsched_status status = hsi_onednn_status(
        dnnl_memory_desc_init_by_strides(&plain, 2, dims, dnnl_f32, strides),
        "weights of a matrix product");
    return status == HSCHED_OK ? hsi_onednn_reorder(&plain, weights, &product->b, packed)
                               : status;
}

hsched_status hsi_onednn_call_create(const hsi_onednn_product *product,
                                     hsi_onednn_call *call)
{
    dnnl_engine_t engine;
    *call = (hsi_onednn_call){ NULL };
    hsched_status result = hsi_onednn_engine(&engine);
    if (result != HSCHED_OK)
        return result;
    dnnl_status_t status =
        dnnl_memory_create(&call->a, &product->a, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&call->b, &product->b, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&call->c, &product->c, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status =
            dnnl_memory_create(&call->work, &product->work, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_stream_create(&call->stream, engine, dnnl_stream_default_flags);
    if (status != dnnl_success)
        hsi_onednn_call_clear(call);
    return hsi_onednn_status(status, "memory objects of a slot");
}

void hsi_onednn_call_clear(hsi_onednn_call *call)
{
    dnnl_memory_t all[] = { call->a, call->b, call->c, call->work };
    for (int i = 0; i < 4; i++)
        if (all[i])
            dnnl_memory_destroy(all[i]);
    if (call->stream)
        dnnl_stream_destroy(call->stream);
    *call = (hsi_onednn_call){ NULL };
}

hsched_status hsi_onednn_call_run(const hsi_onednn_call *call,
                                  const hsi_onednn_product *product, void *a, void *b,
                                  float *c, void *work)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, call->a },
                                     { DNNL_ARG_WEIGHTS, call->b },
                                     { DNNL_ARG_DST, call->c },
                                     { DNNL_ARG_SCRATCHPAD, call->work } };
    dnnl_status_t status = dnnl_memory_set_data_handle(call->a, a);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(call->b, b);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(call->c, c);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(call->work, work);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(product->primitive, call->stream, 4, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(call->stream);
    return hsi_onednn_status(status, "to run a matrix product");
}

#else
typedef int hsi_onednn_product_is_absent; /* a translation unit is never empty */
#endif
