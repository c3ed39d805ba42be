/* PAD, IMAGE and the entry of camera frames. */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/copy.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

/* ---- PAD ------------------------------------------------------------------ */

/* 1 if dimension d of out, which is not padded, continues the last one of p, which is not
 * padded either. */
static int continues(const hsi_cuda_pad_params *p, const hsched_step *s, uint32_t d)
{
    if (p->rank == 0)
        return 0;
    const uint32_t last = p->rank - 1;
    const int64_t size = p->dims[last].divisor;
    return p->before[last] == 0 && p->in_dims[last] == size &&
           s->in[0].strides[d] == p->in_strides[last] * size &&
           s->out.strides[d] == p->out_strides[last] * size;
}

static void add_dim(hsi_cuda_pad_params *p, const hsched_step *s, uint32_t d)
{
    const int64_t size = s->out.dims[d];
    const int plain = s->u.pad.before[d] == 0 && s->in[0].dims[d] == size;
    if (plain && size == 1)
        return;
    if (plain && continues(p, s, d)) {
        const uint32_t last = p->rank - 1;
        p->in_dims[last] *= size;
        p->dims[last] = hsi_cuda_divide_by(p->dims[last].divisor * (uint32_t)size);
        return;
    }
    p->dims[p->rank] = hsi_cuda_divide_by((uint32_t)size);
    p->in_dims[p->rank] = s->in[0].dims[d];
    p->before[p->rank] = s->u.pad.before[d];
    p->in_strides[p->rank] = s->in[0].strides[d];
    p->out_strides[p->rank] = s->out.strides[d];
    p->rank++;
}

/* Writes the constant as it is stored, and says how large it is. */
static uint32_t store_value(const hsi_cuda_step *s, void *to)
{
    const double value = (double)s->step.u.pad.value;
    switch (s->step.out.dtype) {
    case HSCHED_FLOAT64:
        memcpy(to, &value, sizeof value);
        break;
    case HSCHED_INT64:
        memcpy(to, &(int64_t){ (int64_t)value }, sizeof(int64_t));
        break;
    case HSCHED_INT32:
        memcpy(to, &(int32_t){ (int32_t)value }, sizeof(int32_t));
        break;
    case HSCHED_INT8:
        memcpy(to, &(int8_t){ (int8_t)value }, sizeof(int8_t));
        break;
    case HSCHED_UINT8:
    case HSCHED_BOOL:
        memcpy(to, &(uint8_t){ (uint8_t)value }, sizeof(uint8_t));
        break;
    default:
        hsi_cuda_store_float(to, s->type, s->step.u.pad.value);
        break;
    }
    return (uint32_t)hsi_cuda_element_size(&s->step.out, s->type);
}

/* 1 if `width` elements at a time can be copied: the innermost dimension is not padded. */
static int pad_is_wide(const hsi_cuda_pad_params *p, int64_t width)
{
    if (p->rank == 0 || p->before[0] != 0 || p->in_dims[0] != p->dims[0].divisor ||
        p->in_dims[0] % width != 0 || p->in_strides[0] != 1 || p->out_strides[0] != 1)
        return 0;
    for (uint32_t d = 1; d < p->rank; d++)
        if (p->in_strides[d] % width != 0 || p->out_strides[d] % width != 0)
            return 0;
    return 1;
}

static void count_in_words(hsi_cuda_pad_params *p, uint32_t elements)
{
    if (elements == 1)
        return;
    p->count /= elements;
    p->dims[0] = hsi_cuda_divide_by(p->dims[0].divisor / elements);
    p->in_dims[0] /= elements;
    for (uint32_t d = 1; d < p->rank; d++) {
        p->in_strides[d] /= (int64_t)elements;
        p->out_strides[d] /= (int64_t)elements;
    }
}

hsched_status hsi_cuda_make_pad(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    uint32_t order[HSCHED_MAX_DIMS];
    hsi_cuda_nest whole; /* for its check of the size, and its count */
    *op = NULL;
    hsched_status status =
        hsi_cuda_nest_make(&whole, step->out.rank, step->out.dims, 1,
                           (const int64_t *const[]){ step->out.strides });
    if (status != HSCHED_OK)
        return status;
    hsi_cuda_pad_params p = { .count = whole.count, .mode = (int32_t)step->u.pad.mode };
    const uint32_t element = store_value(s, p.fill);
    for (uint32_t at = element; at < sizeof p.fill; at += element)
        memcpy((char *)p.fill + at, p.fill, element);
    hsi_cuda_order_dims(step->out.rank, step->out.strides, order);
    for (uint32_t k = step->out.rank; k-- > 0;)
        add_dim(&p, step, order[k]);
    uint32_t word = 16;
    while (word > element &&
           !(pad_is_wide(&p, word / element) && s->alignment[0] % word == 0 &&
             s->out_alignment % word == 0))
        word /= 2;
    count_in_words(&p, word / element);
    const hsi_cuda_kernel_launch launch = {
        .device = s->device,
        .module = HSI_CUDA_MODULE_COPY,
        .blocks = hsi_cuda_loop_blocks(s->device, p.count, HSI_CUDA_COPY_THREADS),
        .threads = HSI_CUDA_COPY_THREADS,
        .params = &p,
        .params_size = sizeof p
    };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "pad_%u", word);
    return hsi_cuda_make_launch(&launch, kernel, op, "own/pad %u of %u", word, element);
}

/* ---- IMAGE ---------------------------------------------------------------- */

/* `images_each`: images behind each address of a table; 0: there is none. */
static hsched_status make_image(const hsi_cuda_step *s, uint32_t images_each,
                                hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const int64_t *dims = step->out.dims; /* n, c, h, w */
    *op = NULL;
    if (dims[0] > 65535 || dims[2] * dims[3] > INT32_MAX / 4)
        return hsi_cuda_unsupported("too many or too large images");
    hsi_cuda_image_params p = { .from_table = images_each > 0,
                                .images_each = images_each > 0 ? images_each : 1,
                                .pixels = (uint32_t)(dims[2] * dims[3]),
                                .channels = (uint32_t)dims[1],
                                .width = hsi_cuda_divide_by((uint32_t)dims[3]),
                                .image_bytes = dims[1] * dims[2] * dims[3] };
    for (uint32_t c = 0; c < 4; c++) {
        p.strides[c] = step->out.strides[c];
        p.source[c] = step->u.image.swap_red_blue && c < 3 ? 2 - c : c;
        p.mean[c] = step->u.image.mean[c];
        p.scale[c] = step->u.image.scale[c];
    }
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_COPY,
                                            .blocks = hsi_cuda_blocks(
                                                p.pixels, HSI_CUDA_IMAGE_PIXELS),
                                            .rows = (uint32_t)dims[0],
                                            .threads = HSI_CUDA_IMAGE_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "image_%s", hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s%s", kernel,
                                images_each > 0 ? " entry" : "");
}

hsched_status hsi_cuda_make_image(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    return make_image(s, 0, op);
}

hsched_status hsi_cuda_make_image_entry(const hsi_cuda_step *s, uint32_t members,
                                        hsi_cuda_op **op)
{
    *op = NULL;
    if (members < 1 || s->step.out.dims[0] % members != 0)
        return hsi_cuda_unsupported("the members do not divide the batch of frames");
    return make_image(s, (uint32_t)(s->step.out.dims[0] / members), op);
}
