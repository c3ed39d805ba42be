#include "backend/cpu/panel_product.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/packing.h"
#include "base/alloc.h"
#include "base/status.h"

/* Of x that a block reads: half of a second-level cache of 1 MB. */
#define BLOCK_BYTES    (512 * 1024)
#define BLOCK_ROWS     384
#define MIN_BLOCK_ROWS 24

void hsi_panel_product_init(hsi_panel_product *product, int64_t depth, int64_t columns,
                            hsched_activation act)
{
    const hsi_panel_kernels *kernels = hsi_panel_kernels_best();
    const int64_t rows = BLOCK_BYTES / (depth * (int64_t)sizeof(float));
    *product = (hsi_panel_product){
        .kernels = kernels,
        .chunks = hsi_panel_choose_chunks(kernels, 1, depth),
        .depth = depth,
        .columns = columns,
        .panels = (columns - 1) / hsi_panel_width(kernels) + 1,
        .block = hsi_most(hsi_least(rows, BLOCK_ROWS), MIN_BLOCK_ROWS),
        .act = act,
    };
    product->clamp = hsi_cpu_activation_is_clamp(act, &product->lo, &product->hi);
    if (!product->clamp) {
        product->lo = -INFINITY;
        product->hi = INFINITY;
    }
}

size_t hsi_panel_product_scratch(const hsi_panel_product *product, int64_t rows)
{
    if (product->chunks.depth == product->depth)
        return 0;
    return (size_t)(hsi_least(rows, product->block) * hsi_panel_width(product->kernels)) *
           sizeof(float);
}

typedef struct panels_of {
    const hsi_panel_kernels *kernels;
    hsi_panel_source source;
} panels_of;

static void pack_panels(const void *how, void *to, int64_t begin, int64_t end)
{
    const panels_of *of = how;
    hsi_panel_pack_some(of->kernels, &of->source, begin, end, to);
}

hsched_status hsi_panel_weights_init(hsi_panel_weights *packed,
                                     const hsi_cpu_prepare_context *context,
                                     const hsi_panel_product *product,
                                     const hsched_operand *weights, const float *bias,
                                     uint64_t *weight_bytes)
{
    const panels_of of = { .kernels = product->kernels,
                           .source = { .given = weights->constant,
                                       .outer = 1,
                                       .inner = product->depth,
                                       .columns = product->columns,
                                       .inner_stride = 1,
                                       .column_stride = product->depth } };
    const size_t bias_size =
        bias ? hsi_panel_floats(product->kernels, 1, product->columns) * sizeof(float)
             : 0;
    *packed = (hsi_panel_weights){ 0 };
    packed->bias = bias ? hsi_alloc_aligned(bias_size) : NULL;
    if (bias && !packed->bias)
        return hsi_out_of_memory("a bias of packed weights");
    if (bias)
        memcpy(packed->bias, bias, (size_t)product->columns * sizeof *bias);
    *weight_bytes += bias_size;
    const hsi_cpu_packing packing = {
        .bytes = hsi_panel_floats(product->kernels, product->depth, product->columns) *
                 sizeof(float),
        .units = product->panels,
        .pack = pack_panels,
        .how = &of,
        .what = "packed weights of a product",
        .layout = "panels/1",
        .from = weights,
    };
    return hsi_cpu_pack(context, &packing, &packed->weights, &packed->owned,
                        weight_bytes);
}

void hsi_panel_weights_clear(hsi_panel_weights *packed)
{
    hsi_free(packed->owned);
    hsi_free(packed->bias);
}

static void run_block(const hsi_panel_product *product, const hsi_panel_operands *o,
                      int64_t begin, int64_t rows, float *sums)
{
    static const float zeros[HSI_PANEL_MAX_COLUMNS];
    const int64_t width = hsi_panel_width(product->kernels);
    const int64_t first = o->panel * width,
                  end = hsi_least(o->panel_end * width, product->columns);
    const float *at[BLOCK_ROWS];
    for (int64_t r = 0; r < rows; r++)
        at[r] = o->x + (begin + r) * o->x_row;
    float *y = o->y + begin * o->y_row;
    hsi_panel_tile tile = { .rows = at,
                            .row_stride = rows,
                            .runs = 1,
                            .depth = product->depth,
                            .y_pixel = o->y_row,
                            .residual_pixel = o->residual_row,
                            .lo = product->lo,
                            .hi = product->hi };
    for (int64_t c = first; c < end; c += width) {
        tile.columns = hsi_least(width, end - c);
        tile.weights = o->weights + hsi_panel_at(product->depth, c);
        tile.bias = o->bias ? o->bias + c : zeros;
        tile.residual = o->residual ? o->residual + begin * o->residual_row + c : NULL;
        tile.y = y + c;
        hsi_panel_run_chunks(product->kernels, product->chunks, &tile, rows, sums);
    }
    const hsi_cpu_epilogue epilogue = { .act = product->act };
    if (!product->clamp && first < end)
        hsi_cpu_epilogue_run(&epilogue, y + first, o->y_row, NULL, 0, rows, end - first);
}

void hsi_panel_product_run(const hsi_panel_product *product,
                           const hsi_panel_operands *operands, float *sums)
{
    const int64_t blocks = (operands->rows - 1) / product->block + 1;
    for (int64_t b = 0, end, begin = 0; b < blocks; b++, begin = end) {
        end = operands->rows * (b + 1) / blocks;
        run_block(product, operands, begin, end - begin, sums);
    }
}
