#include "backend/cpu/panel.h"

#include <string.h>

#include "backend/cpu/kernel.h"
#include "base/alloc.h"

#define VECTOR_SOURCE "backend/cpu/panel_tile.h"
#include "backend/cpu/vector_variants.h"

const hsi_panel_kernels *hsi_panel_kernels_best(void)
{
#if HSI_ISA_X86
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512)
        return &panel_kernels_avx512;
    if (isa == HSI_ISA_AVX2)
        return &panel_kernels_avx2;
#endif
    return &panel_kernels_base;
}

/* Columns of the panel that begins at `column`, those that are filled up included. */
static int64_t panel_width(const hsi_panel_kernels *kernels, int64_t columns,
                           int64_t column)
{
    return hsi_panel_vectors(kernels, columns - column) * kernels->lanes;
}

size_t hsi_panel_floats(const hsi_panel_kernels *kernels, int64_t depth, int64_t columns)
{
    const int64_t width = hsi_panel_width(kernels), last = (columns - 1) / width * width;
    return (size_t)(depth * (last + panel_width(kernels, columns, last)));
}

/* A tile of a panel that is not full: in a room of its own, of whole vectors. */
static void run_partial(const hsi_panel_kernels *kernels, const hsi_panel_tile *given,
                        int64_t vectors, int64_t pixels)
{
    _Alignas(64) float room[HSI_PANEL_MAX_PIXELS * HSI_PANEL_MAX_COLUMNS];
    hsi_panel_tile tile = *given;
    tile.y = room;
    tile.y_pixel = vectors * kernels->lanes;
    if (given->residual) {
        memset(room, 0, (size_t)(pixels * tile.y_pixel) * sizeof *room);
        hsi_cpu_copy_rows(room, tile.y_pixel, given->residual, given->residual_pixel,
                          pixels, given->columns);
        tile.residual = room;
        tile.residual_pixel = tile.y_pixel;
    }
    kernels->tile[vectors][pixels](&tile);
    hsi_cpu_copy_rows(given->y, given->y_pixel, room, tile.y_pixel, pixels,
                      given->columns);
}

void hsi_panel_run(const hsi_panel_kernels *kernels, const hsi_panel_tile *all,
                   int64_t pixels)
{
    const int64_t vectors = hsi_panel_vectors(kernels, all->columns);
    const int64_t tiles =
        (pixels + kernels->pixels[vectors] - 1) / kernels->pixels[vectors];
    hsi_panel_tile tile = *all;
    tile.next_step = all->next_floats / (tiles * all->runs * all->depth) + 1;
    for (int64_t t = 0, end, begin = 0; t < tiles; t++, begin = end) {
        end = pixels * (t + 1) / tiles;
        tile.rows = all->rows + begin;
        tile.y = all->y + begin * all->y_pixel;
        tile.next = all->next + all->next_floats * t / tiles;
        if (all->residual)
            tile.residual = all->residual + begin * all->residual_pixel;
        if (tile.columns < vectors * kernels->lanes)
            run_partial(kernels, &tile, vectors, end - begin);
        else
            kernels->tile[vectors][end - begin](&tile);
    }
}

static void pack_row(const hsi_panel_source *source, const float *row, int64_t begin,
                     int64_t end, float *packed)
{
    for (int64_t c = begin; c < end; c++)
        *packed++ = row[c * source->column_stride];
}

void hsi_panel_pack(const hsi_panel_kernels *kernels, const hsi_panel_source *source,
                    float *packed)
{
    for (int64_t at = 0; at < source->columns; at += hsi_panel_width(kernels)) {
        const int64_t width = panel_width(kernels, source->columns, at),
                      left = source->columns - at, filled = left < width ? left : width;
        for (int64_t i = 0; i < source->outer; i++)
            for (int64_t j = 0; j < source->inner; j++, packed += width) {
                pack_row(source,
                         source->given + i * source->outer_stride +
                             j * source->inner_stride,
                         at, at + filled, packed);
                memset(packed + filled, 0, (size_t)(width - filled) * sizeof *packed);
            }
    }
}
