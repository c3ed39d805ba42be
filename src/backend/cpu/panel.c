#include "backend/cpu/panel.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/kernel.h"

#define VECTOR_SOURCE "backend/cpu/panel_tile.h"
#include "backend/cpu/vector_variants.h"

/* Of a chunk: some of a second-level cache. */
#define CHUNK_BYTES (128 * 1024)

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
        kernels->tile[vectors][end - begin](&tile);
    }
}

/* A panel of two chunks' size is one still. */
hsi_panel_chunks hsi_panel_choose_chunks(const hsi_panel_kernels *kernels, int64_t runs,
                                         int64_t depth)
{
    const int64_t rows =
        CHUNK_BYTES / (hsi_panel_width(kernels) * (int64_t)sizeof(float));
    hsi_panel_chunks chunks = { runs, depth };
    if (runs * depth <= 2 * rows)
        return chunks;
    chunks.runs = hsi_most(rows / depth, 1);
    if (depth > rows)
        chunks.depth = (depth - 1) / ((depth - 1) / rows + 1) + 1;
    return chunks;
}

void hsi_panel_run_chunks(const hsi_panel_kernels *kernels, hsi_panel_chunks chunks,
                          const hsi_panel_tile *whole, int64_t pixels, float *sums)
{
    static const float zeros[HSI_PANEL_MAX_COLUMNS];
    const int64_t vectors = hsi_panel_vectors(kernels, whole->columns),
                  width = vectors * kernels->lanes;
    hsi_panel_tile chunk = *whole;
    for (int64_t run = 0; run < whole->runs; run += chunks.runs)
        for (int64_t k = 0; k < whole->depth; k += chunks.depth) {
            chunk.runs = hsi_least(chunks.runs, whole->runs - run);
            chunk.depth = hsi_least(chunks.depth, whole->depth - k);
            chunk.rows = whole->rows + run * whole->row_stride;
            chunk.offset = k;
            chunk.weights = whole->weights + (run * whole->depth + k) * width;
            chunk.next_floats = chunk.runs * chunk.depth * width;
            chunk.next = chunk.weights + chunk.next_floats;
            const int last =
                run + chunk.runs == whole->runs && k + chunk.depth == whole->depth;
            chunk.y = last ? whole->y : sums;
            chunk.y_pixel = last ? whole->y_pixel : width;
            chunk.lo = last ? whole->lo : -INFINITY;
            chunk.hi = last ? whole->hi : INFINITY;
            hsi_panel_run(kernels, &chunk, pixels);
            chunk.bias = zeros;
            chunk.residual = sums;
            chunk.residual_pixel = width;
        }
}

typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_ints __attribute__((vector_size(16)));

/* to[j * width + i] = from[i * stride + j], i, j < 4 */
static void transpose_four(const float *from, int64_t stride, float *to, int64_t width)
{
    four_floats row[4], pair[4];
    for (int i = 0; i < 4; i++)
        row[i] = *(const four_floats *)(from + i * stride);
    for (int i = 0; i < 2; i++) {
        pair[i] = __builtin_shuffle(row[i], row[i + 2], (four_ints){ 0, 4, 1, 5 });
        pair[i + 2] = __builtin_shuffle(row[i], row[i + 2], (four_ints){ 2, 6, 3, 7 });
    }
    for (int i = 0; i < 4; i += 2) {
        *(four_floats *)(to + i * width) =
            __builtin_shuffle(pair[i], pair[i + 1], (four_ints){ 0, 4, 1, 5 });
        *(four_floats *)(to + (i + 1) * width) =
            __builtin_shuffle(pair[i], pair[i + 1], (four_ints){ 2, 6, 3, 7 });
    }
}

/* A row of a panel's source, of any strides. */
static void pack_row(const float *row, int64_t stride, int64_t columns, float *packed)
{
    if (stride == 1)
        memcpy(packed, row, (size_t)columns * sizeof *packed);
    else
        for (int64_t c = 0; c < columns; c++)
            packed[c] = row[c * stride];
}

/* Of rows whose floats at a column lie side by side: squares, in turns that read whole lines of the
 * cache. */
static void pack_flipped(const float *from, int64_t stride, int64_t rows, int64_t columns,
                         float *packed, int64_t width)
{
    const int64_t line = 16, whole = columns / 4 * 4;
    for (int64_t begin = 0; begin < rows; begin += line) {
        const int64_t end = hsi_least(begin + line, rows),
                      squares = (end - begin) / 4 * 4;
        for (int64_t c = 0; c < whole; c += 4)
            for (int64_t j = begin; j < begin + squares; j += 4)
                transpose_four(from + c * stride + j, stride, packed + j * width + c,
                               width);
        for (int64_t j = begin; j < end; j++) {
            const int64_t done = j < begin + squares ? whole : 0;
            pack_row(from + done * stride + j, stride, columns - done,
                     packed + j * width + done);
        }
    }
}

/* One panel: columns [at, at + filled), and zeros up to width. */
static void pack_panel(const hsi_panel_source *source, int64_t at, int64_t filled,
                       float *packed, int64_t width)
{
    const int flipped = source->inner_stride == 1 && source->column_stride != 1;
    for (int64_t i = 0; i < source->outer; i++, packed += source->inner * width) {
        const float *from =
            source->given + i * source->outer_stride + at * source->column_stride;
        if (flipped)
            pack_flipped(from, source->column_stride, source->inner, filled, packed,
                         width);
        for (int64_t j = 0; j < source->inner; j++) {
            if (!flipped)
                pack_row(from + j * source->inner_stride, source->column_stride, filled,
                         packed + j * width);
            memset(packed + j * width + filled, 0,
                   (size_t)(width - filled) * sizeof *packed);
        }
    }
}

void hsi_panel_pack_some(const hsi_panel_kernels *kernels, const hsi_panel_source *source,
                         int64_t begin, int64_t end, float *packed)
{
    const int64_t rows = source->outer * source->inner, full = hsi_panel_width(kernels);
    for (int64_t at = begin * full; at < end * full; at += full) {
        const int64_t width = panel_width(kernels, source->columns, at);
        pack_panel(source, at, hsi_least(width, source->columns - at),
                   packed + hsi_panel_at(rows, at), width);
    }
}

void hsi_panel_pack(const hsi_panel_kernels *kernels, const hsi_panel_source *source,
                    float *packed)
{
    hsi_panel_pack_some(kernels, source, 0, hsi_panel_count(kernels, source->columns),
                        packed);
}
