/* Weights and other constants: from the plan's form (float32, O,C,kh,kw) to the GPU's (op.h). */
#include "backend/cuda/section.h"

#include <string.h>

#include "backend/cuda/host.h"
#include "backend/cuda/recurrent.h"

enum {
    ALIGNMENT = 256
};

/* ---- Number formats ------------------------------------------------------- */

/* To the nearest half, ties to even; IEEE 754 binary16. */
static uint16_t half_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) /* infinite, NaN */
        return (uint16_t)(sign | 0x7c00u | (magnitude > 0x7f800000u ? 0x200u : 0));
    if (magnitude >= 0x477ff000u) /* rounds to more than the largest half */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* subnormal: the float addition rounds */
        float shifted;
        memcpy(&shifted, &magnitude, sizeof shifted);
        shifted += 0.5f;
        uint32_t low;
        memcpy(&low, &shifted, sizeof low);
        return (uint16_t)(sign | (low - 0x3f000000u));
    }
    const uint32_t odd = magnitude >> 13 & 1u;
    return (uint16_t)(sign | (magnitude - 0x38000000u + 0xfffu + odd) >> 13);
}

static uint16_t bfloat_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) /* NaN stays one */
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

void hsi_cuda_put_float(void *to, size_t index, float value, hsi_cuda_type type)
{
    if (type == HSI_CUDA_F32)
        ((float *)to)[index] = value;
    else
        ((uint16_t *)to)[index] =
            type == HSI_CUDA_F16 ? half_of(value) : bfloat_of(value);
}

void hsi_cuda_store_float(void *to, hsi_cuda_type type, float value)
{
    put(to, 0, value, type);
}

/* ---- Packing -------------------------------------------------------------- */

/* [O][C][kh*kw] to [O][kh*kw][C], or for depthwise ([O][1][kh*kw]) to [kh*kw][O]. */
static void pack_conv(const hsched_step *step, void *to, hsi_cuda_type type)
{
    const hsched_operand *w = &step->in[1];
    const float *from = w->constant;
    const size_t o_count = (size_t)w->dims[0], c_count = (size_t)w->dims[1];
    const size_t window = (size_t)(w->dims[2] * w->dims[3]);
    const int depthwise =
        c_count == 1 && step->u.conv2d.groups > 1 && step->u.conv2d.groups == w->dims[0];
    for (size_t o = 0; o < o_count; o++)
        for (size_t c = 0; c < c_count; c++)
            for (size_t p = 0; p < window; p++) {
                size_t at = depthwise ? p * o_count + o : (o * window + p) * c_count + c;
                hsi_cuda_put_float(to, at, from[(o * c_count + c) * window + p], type);
            }
}

/* The elements that an operand's strides reach, as [-before, after] around element 0. */
static void span(const hsched_operand *op, size_t *before, size_t *after)
{
    *before = *after = 0;
    for (uint32_t d = 0; d < op->rank; d++) {
        int64_t reach = (op->dims[d] - 1) * op->strides[d];
        if (reach < 0)
            *before += (size_t)-reach;
        else
            *after += (size_t)reach;
    }
}

static int is_packed_kind(hsched_step_kind kind, uint32_t k)
{
    return (kind == HSCHED_STEP_CONV2D || kind == HSCHED_STEP_FC ||
            kind == HSCHED_STEP_SCALE) &&
           (k == 1 || k == 2);
}

/* Weights have the model's number format, biases and scales are always float. */
static hsi_cuda_type type_of(const hsched_backend_section *s, hsched_step_kind kind,
                             uint32_t k)
{
    if (is_packed_kind(kind, k) && (k == 2 || kind == HSCHED_STEP_SCALE))
        return HSI_CUDA_F32;
    return s->type;
}

static size_t constant_bytes(const hsched_backend_section *s, const hsched_step *step,
                             uint32_t k)
{
    size_t before, after;
    span(&step->in[k], &before, &after);
    return (before + after + 1) *
           hsi_cuda_element_size(&step->in[k], type_of(s, step->kind, k));
}

static void pack_constant(const hsched_backend_section *s, const hsched_step *step,
                          uint32_t k, char *to)
{
    const hsched_operand *op = &step->in[k];
    const hsi_cuda_type type = type_of(s, step->kind, k);
    if (step->kind == HSCHED_STEP_CONV2D && k == 1) {
        pack_conv(step, to, type);
        return;
    }
    size_t before, after, element = hsi_cuda_dtype_size(op->dtype);
    span(op, &before, &after);
    const char *from = (const char *)op->constant - before * element;
    if (op->dtype != HSCHED_FLOAT32 || type == HSI_CUDA_F32) {
        memcpy(to, from, (before + after + 1) * element);
        return;
    }
    for (size_t i = 0; i <= before + after; i++)
        hsi_cuda_put_float(to, i, ((const float *)from)[i], type);
}

/* Finds out where cuDNN has the weights of a recurrent step. layouts[i] stays NULL where plain
 * ones are used, and for other steps. */
static hsched_status lay_out_recurrent(const hsched_backend_section *s, uint32_t i,
                                       hsi_cuda_rnn_layout **layouts)
{
    if (!s->places[i].here || s->steps[i].kind != HSCHED_STEP_RECURRENT)
        return HSCHED_OK;
    hsi_cuda_step step = { .device = s->device,
                           .step = s->steps[i],
                           .type = s->type,
                           .strict = s->strict,
                           .deterministic = s->deterministic };
    layouts[i] = HSI_CUDA_NEW(hsi_cuda_rnn_layout);
    if (!layouts[i])
        return hsi_cuda_no_memory("a model's weights");
    hsched_status status = hsi_cuda_enter(s->device);
    if (status != HSCHED_OK)
        return status;
    status = hsi_cuda_rnn_lay_out(&step, layouts[i]);
    hsi_cuda_leave(s->device);
    if (status != HSCHED_ERROR_UNSUPPORTED)
        return status;
    hsi_cuda_host->free(layouts[i]);
    layouts[i] = NULL;
    return HSCHED_OK;
}

static size_t place_rnn(hsched_backend_section *s, uint32_t i,
                        const hsi_cuda_rnn_layout *layout, char *block, size_t total)
{
    if (block)
        hsi_cuda_rnn_pack(&s->steps[i], layout, s->type, block + total);
    s->constants[i][1] = total + 1;
    return (layout->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* One round over all constants: gives them places, and fills them if there is a block. */
static size_t place_constants(hsched_backend_section *s,
                              hsi_cuda_rnn_layout *const *layouts, char *block)
{
    size_t total = 0;
    for (uint32_t i = 0; i < s->step_count; i++) {
        const hsched_step *step = &s->steps[i];
        if (layouts[i])
            total += place_rnn(s, i, layouts[i], block, total);
        for (uint32_t k = 0; k < step->input_count && s->places[i].here; k++) {
            const hsched_operand *op = &step->in[k];
            if (op->dtype == HSCHED_DTYPE_NONE || !op->constant ||
                (layouts[i] && k >= 1 && k <= 3))
                continue;
            size_t before = 0, after;
            if (!is_packed_kind(step->kind, k))
                span(op, &before, &after);
            if (block)
                pack_constant(s, step, k, block + total);
            s->constants[i][k] =
                total + before * hsi_cuda_element_size(op, type_of(s, step->kind, k)) + 1;
            total += (constant_bytes(s, step, k) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
    }
    return total;
}

static hsched_status pack(hsched_backend_section *section, hsi_cuda_rnn_layout **layouts)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < section->step_count && status == HSCHED_OK; i++)
        status = lay_out_recurrent(section, i, layouts);
    if (status != HSCHED_OK)
        return status;
    section->weight_bytes = place_constants(section, layouts, NULL);
    if (section->weight_bytes == 0)
        return HSCHED_OK;
    section->weights_on_host = hsi_cuda_host->alloc(section->weight_bytes);
    if (!section->weights_on_host)
        return hsi_cuda_no_memory("a model's weights");
    place_constants(section, layouts, section->weights_on_host);
    return HSCHED_OK;
}

hsched_status hsi_cuda_pack_weights(hsched_backend_section *section,
                                    const hsched_section_config *config)
{
    section->constants =
        hsi_cuda_new_array(config->step_count, sizeof *section->constants);
    hsi_cuda_rnn_layout **layouts =
        HSI_CUDA_NEW_ARRAY(hsi_cuda_rnn_layout *, config->step_count);
    hsched_status status = section->constants && layouts
                               ? pack(section, layouts)
                               : hsi_cuda_no_memory("a model's weights");
    for (uint32_t i = 0; layouts && i < config->step_count; i++)
        hsi_cuda_host->free(layouts[i]);
    hsi_cuda_host->free(layouts);
    return status;
}

hsched_status hsi_cuda_load_weights(hsched_backend_section *section)
{
    hsi_cuda_device *d = section->device;
    if (hsi_cuda_has_weights(section))
        return HSCHED_OK;
    CUdeviceptr address;
    hsched_status status =
        hsi_cuda_memory_alloc(&d->memory, section->weight_bytes, &address);
    if (status != HSCHED_OK)
        return status;
    status = CU_CHECK("copying weights", cuMemcpyHtoD, address, section->weights_on_host,
                      section->weight_bytes);
    if (status == HSCHED_OK)
        status = hsi_cuda_finish_default();
    if (status != HSCHED_OK)
        hsi_cuda_memory_free(&d->memory, address, section->weight_bytes);
    else
        section->weights = address;
    return status;
}

void hsi_cuda_drop_weights(hsched_backend_section *section)
{
    hsi_cuda_memory_free(&section->device->memory, section->weights,
                         section->weight_bytes);
    section->weights = 0;
}
