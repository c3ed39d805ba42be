/*
 * FC of few rows. Variants: "rows:rRsS", R rows of weights to a warp, read 16 bytes at a time, and
 * S warps that share the K of a row; "rows:any-sS" where shapes or addresses do not allow 16 bytes.
 */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/matmul.h"
#include "backend/cuda/launch.h"

typedef struct rows_choice {
    uint32_t together; /* rows of weights to a warp; 0: "any" */
    uint32_t split;    /* 1, 2, 4 or 8 */
} rows_choice;

/* Rows of x that a kernel was compiled for, and the `together` it exists in (bits). */
static const struct {
    uint32_t m, together;
} kernels[] = { { 1, 1 | 2 | 4 },
                { 2, 1 | 2 },
                { 4, 1 | 2 | 4 },
                { 8, 2 | 4 },
                { HSI_CUDA_ROWS_MOST, 2 | 4 } };

/* Not 0 if the family can take this step; *at: its kernels. */
static int takes(const hsi_cuda_step *s, uint32_t *at)
{
    const hsched_operand *x = &s->step.in[0], *out = &s->step.out;
    if (s->step.kind != HSCHED_STEP_FC || out->dims[0] > HSI_CUDA_ROWS_MOST ||
        out->dims[1] > INT32_MAX / 16 || x->dims[1] > INT32_MAX / 2)
        return 0;
    if ((x->dims[1] > 1 && x->strides[1] != 1) ||
        (out->dims[1] > 1 && out->strides[1] != 1))
        return 0;
    for (*at = 0; kernels[*at].m < out->dims[0];)
        ++*at;
    return 1;
}

/* Weights and x can be read 16 bytes at a time. */
static int is_wide(const hsi_cuda_step *s)
{
    const hsched_operand *x = &s->step.in[0];
    const int64_t width = 16 / (int64_t)hsi_cuda_type_size(s->type);
    return x->dims[1] % width == 0 && s->alignment[0] % 16 == 0 &&
           (x->dims[0] == 1 || x->strides[0] % width == 0);
}

static int is_known(rows_choice c, uint32_t at, int wide)
{
    if (c.split < 1 || c.split > 8 || (c.split & (c.split - 1)) != 0)
        return 0;
    if (c.together == 0)
        return !wide;
    return wide && c.together <= 4 && (c.together & (c.together - 1)) == 0 &&
           (kernels[at].together & c.together) != 0;
}

static void write_text(rows_choice c, char *text)
{
    if (c.together == 0)
        snprintf(text, HSI_CUDA_VARIANT_LENGTH, "rows:any-s%u", c.split);
    else
        snprintf(text, HSI_CUDA_VARIANT_LENGTH, "rows:r%us%u", c.together, c.split);
}

/* 1 if the text is one that write_text writes. */
static int read_text(const char *text, rows_choice *c)
{
    char again[HSI_CUDA_VARIANT_LENGTH];
    *c = (rows_choice){ 0, 0 };
    if (sscanf(text, "rows:r%us%u", &c->together, &c->split) != 2 &&
        sscanf(text, "rows:any-s%u", &c->split) != 1)
        return 0;
    write_text(*c, again);
    return strcmp(text, again) == 0;
}

/* Enough warps to keep all multiprocessors reading, and no more than have something to
 * read. */
static rows_choice guess(const hsi_cuda_step *s, uint32_t at, int wide)
{
    const uint32_t width = wide ? 16 / (uint32_t)hsi_cuda_type_size(s->type) : 1;
    rows_choice c = { 0, 1 };
    if (wide)
        c.together = kernels[at].m <= 2 ? 1 : kernels[at].m <= 4 ? 2 : 4;
    const uint64_t teams =
        hsi_cuda_blocks((uint64_t)s->step.out.dims[1], c.together ? c.together : 1);
    const int64_t groups = s->step.in[0].dims[1] / width;
    while (c.split < 8 && teams * c.split < (uint64_t)s->device->sm_count * 16 &&
           groups > 32 * (int64_t)c.split)
        c.split *= 2;
    return c;
}

static uint32_t list(const hsi_cuda_step *s, uint32_t most,
                     char (*texts)[HSI_CUDA_VARIANT_LENGTH])
{
    uint32_t at, count = 0;
    if (!takes(s, &at) || most == 0)
        return 0;
    const int wide = is_wide(s);
    const rows_choice first = guess(s, at, wide);
    write_text(first, texts[count++]);
    for (uint32_t together = wide ? 1 : 0; together <= (wide ? 4u : 0u);
         together += together ? together : 1)
        for (uint32_t split = 1; split <= 8 && count < most; split *= 2) {
            const rows_choice c = { together, split };
            if (is_known(c, at, wide) &&
                (together != first.together || split != first.split))
                write_text(c, texts[count++]);
        }
    return count;
}

static void describe(hsi_cuda_rows_params *p, const hsched_step *s, uint32_t width)
{
    *p = (hsi_cuda_rows_params){ .m = (uint32_t)s->out.dims[0],
                                 .o = (uint32_t)s->out.dims[1],
                                 .groups = (uint32_t)s->in[0].dims[1] / width,
                                 .k = s->in[0].dims[1],
                                 .x_row = s->in[0].strides[0],
                                 .out_row = s->out.strides[0],
                                 .act = s->act };
    p->has_bias = s->input_count > 2 && s->in[2].dtype != HSCHED_DTYPE_NONE;
}

static hsched_status make(const hsi_cuda_step *s, const char *text, hsi_cuda_op **op)
{
    rows_choice c;
    uint32_t at;
    hsi_cuda_rows_params p;
    char kernel[40], together[16] = "any";
    *op = NULL;
    if (!read_text(text, &c))
        return hsi_cuda_unsupported("no variant of this name");
    if (!takes(s, &at) || !is_known(c, at, is_wide(s)))
        return hsi_cuda_unsupported("this variant does not take this step");
    describe(&p, &s->step, c.together ? 16 / (uint32_t)hsi_cuda_type_size(s->type) : 1);
    while ((1u << p.split_log2) < c.split)
        p.split_log2++;
    const uint32_t warps = c.split == 8 ? 8 : 4;
    const uint32_t rows_each = warps / c.split * (c.together ? c.together : 1);
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_MATMUL,
                                            .blocks = hsi_cuda_blocks(p.o, rows_each),
                                            .threads = warps * 32,
                                            .params = &p,
                                            .params_size = sizeof p };
    if (c.together)
        snprintf(together, sizeof together, "r%u", c.together);
    snprintf(kernel, sizeof kernel, "rows_m%u_%s_%s", kernels[at].m, together,
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s split %u", kernel, c.split);
}

const hsi_cuda_family hsi_cuda_family_rows = { .name = "rows",
                                               .variants = list,
                                               .make = make };
