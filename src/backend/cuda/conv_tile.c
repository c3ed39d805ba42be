/*
 * The family "tile": implicit GEMM on tensor cores (kernels/conv_tile.cu).
 *
 * A variant is "tile:<bm>x<bn>s<stages>:k<splits>" and, with more than one split, how they are
 * joined: "c" as a cluster, "t" by tickets. A last ":w" keeps the kernel from beginning before
 * the one in front has ended. "tile:64x64s4:k8c"
 */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/conv_shape.h"
#include "backend/cuda/host.h"
#include "backend/cuda/kernels/conv_tile.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

typedef struct tile_shape {
    int bm, bn, wm, wn, wk;
    int loose; /* there is a loose kernel */
} tile_shape;

#define SHAPE(bm, bn, wm, wn, wk)       { bm, bn, wm, wn, wk, 0 },
#define LOOSE_SHAPE(bm, bn, wm, wn, wk) { bm, bn, wm, wn, wk, 1 },
static const tile_shape shapes[] = { HSI_CUDA_CONV_TILE_LIST(SHAPE) };
static const tile_shape loose_shapes[] = { HSI_CUDA_CONV_TILE_LOOSE_LIST(LOOSE_SHAPE) };

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

typedef struct tile_plan {
    const tile_shape *shape;
    int stages, splits, join;
    int waits; /* ":w" */
} tile_plan;

/* What is known of a step: the convolution, and how k is counted. */
typedef struct tile_work {
    hsi_cuda_conv c;
    int loose;    /* x or the weights cannot be read 16 bytes at a time */
    int row_runs; /* loose: a run is a window's whole row, not one pixel */
    int run, padded_run;
    int k, k_tiles;
    int shared; /* most bytes of shared memory of a block */
} tile_work;

typedef struct tile_op {
    hsi_cuda_op op; /* first: the op is a tile_op */
    CUfunction function;
    hsi_cuda_grid grid;
    hsi_cuda_conv_tile_params params;
    size_t partials; /* where they begin in the workspace */
} tile_op;

/* ---- Sizes ---------------------------------------------------------------- */

static int threads_of(const tile_shape *t)
{
    return 32 * (t->wm * t->wn * t->wk + (t->loose ? HSI_CUDA_CONV_TILE_LOOSE_PRODUCERS
                                                   : HSI_CUDA_CONV_TILE_PRODUCERS));
}

static int max(int a, int b)
{
    return a > b ? a : b;
}

/* The ring of stages; when it is empty, the sums lie in its place. */
static int shared_bytes(const tile_shape *t, int stages)
{
    const int ring = stages * (t->bm + t->bn) * HSI_CUDA_CONV_TILE_K_BYTES;
    const int sums = t->wk * t->bm * (t->bn + HSI_CUDA_CONV_TILE_PAD) * 4;
    return max(ring, sums);
}

static int most_shared(const hsi_cuda_device *device)
{
    int most = 0;
    if (CU(cuDeviceGetAttribute, &most,
           CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
           device->device) != CUDA_SUCCESS)
        return 48 * 1024 - 256;
    return most - 256; /* the kernels have a word of their own */
}

static int64_t tiles_of(const tile_shape *t, const hsi_cuda_conv *c)
{
    return ((int64_t)c->m + t->bm - 1) / t->bm * (((int64_t)c->n + t->bn - 1) / t->bn);
}

static int64_t partial_bytes(const tile_plan *p, const hsi_cuda_conv *c)
{
    return tiles_of(p->shape, c) * p->splits * p->shape->bm * p->shape->bn *
           p->shape->wk * 4; /* each slice of k has sums of its own */
}

static size_t ticket_bytes(const tile_plan *p, const hsi_cuda_conv *c)
{
    return ((size_t)tiles_of(p->shape, c) * 4 + 255) / 256 * 256;
}

/* Runs and k tiles; 16-byte loads need whole chunks of x's channels, which makes them whole
 * in the weights' rows too. */
static void count_k(const hsi_cuda_step *step, tile_work *w)
{
    const hsi_cuda_window *v = &w->c.window;
    const int size = (int)hsi_cuda_type_size(step->type), chunk = 16 / size;
    const int bk = HSI_CUDA_CONV_TILE_K_BYTES / size;
    w->loose = !hsi_cuda_conv_reads_wide(step, &w->c, chunk) ||
               step->alignment[1] % 16 != 0 ||
               v->kernel_h > HSI_CUDA_CONV_TILE_MAX_KERNEL ||
               v->kernel_w > HSI_CUDA_CONV_TILE_MAX_KERNEL;
    w->row_runs = v->pixel == v->channels && v->dilation_w == 1;
    w->run = w->row_runs ? v->kernel_w * v->channels : v->channels;
    w->padded_run = (w->run + chunk - 1) / chunk * chunk;
    w->k = w->loose ? w->c.k / w->run * w->padded_run : w->c.k;
    w->k_tiles = (w->k + bk - 1) / bk;
}

static hsched_status look_at(const hsi_cuda_step *step, tile_work *w)
{
    const int is_fc = step->step.kind == HSCHED_STEP_FC;
    if (step->strict && step->type == HSI_CUDA_F32)
        return hsi_cuda_unsupported("tensor cores are not strict in float32");
    if (!is_fc &&
        (step->step.kind != HSCHED_STEP_CONV2D || step->step.u.conv2d.groups != 1))
        return hsi_cuda_unsupported("tiles are for convolutions of one group");
    hsched_status status = hsi_cuda_find_conv(step, &w->c);
    if (status == HSCHED_OK && w->c.k > INT32_MAX / 16)
        return hsi_cuda_unsupported("a convolution too large"); /* k may be padded */
    if (status == HSCHED_OK) {
        count_k(step, w);
        w->shared = most_shared(step->device);
    }
    return status;
}

enum {
    MOST_TICKETS = 4096 /* the slots' counters have room for more */
};

/* 1 if the kernel can run so, as far as sizes go. */
static int is_possible(const hsi_cuda_step *step, const tile_work *w, const tile_plan *p)
{
    if (p->stages < 2 || p->stages > HSI_CUDA_CONV_TILE_MAX_STAGES ||
        shared_bytes(p->shape, p->stages) > w->shared)
        return 0;
    if (p->splits < 1 || p->splits > HSI_CUDA_CONV_TILE_MAX_SPLITS ||
        p->splits > w->k_tiles ||
        (p->splits == 1) != (p->join == HSI_CUDA_CONV_TILE_ALONE))
        return 0;
    if (p->join == HSI_CUDA_CONV_TILE_CLUSTER &&
        (step->device->capability < 90 || p->splits > 16))
        return 0;
    return tiles_of(p->shape, &w->c) < INT32_MAX &&
           (p->join != HSI_CUDA_CONV_TILE_TICKETS ||
            (tiles_of(p->shape, &w->c) <= MOST_TICKETS &&
             partial_bytes(p, &w->c) + (int64_t)ticket_bytes(p, &w->c) <= 64 << 20));
}

/* ---- Texts ---------------------------------------------------------------- */

static void plan_text(const tile_plan *p, char *text)
{
    static const char *const joins[] = { "", "t", "c" };
    snprintf(text, HSI_CUDA_VARIANT_LENGTH, "tile:%dx%ds%d:k%d%s%s", p->shape->bm,
             p->shape->bn, p->stages, p->splits, joins[p->join], p->waits ? ":w" : "");
}

static const tile_shape *find_shape(int bm, int bn, int loose)
{
    const tile_shape *list = loose ? loose_shapes : shapes;
    const int count = loose ? COUNT(loose_shapes) : COUNT(shapes);
    for (int i = 0; i < count; i++)
        if (list[i].bm == bm && list[i].bn == bn)
            return &list[i];
    return NULL;
}

/* 1 if the text is one that plan_text writes, of a tile that exists. */
static int read_plan(const char *text, int loose, tile_plan *p)
{
    int bm, bn, used = 0;
    char again[HSI_CUDA_VARIANT_LENGTH];
    if (strlen(text) >= sizeof again ||
        sscanf(text, "tile:%5dx%5ds%2d:k%3d%n", &bm, &bn, &p->stages, &p->splits,
               &used) != 4 ||
        !used)
        return 0;
    p->join = text[used] == 't'   ? HSI_CUDA_CONV_TILE_TICKETS
              : text[used] == 'c' ? HSI_CUDA_CONV_TILE_CLUSTER
                                  : HSI_CUDA_CONV_TILE_ALONE;
    p->waits = strstr(text, ":w") != NULL;
    p->shape = find_shape(bm, bn, loose);
    if (!p->shape)
        return 0;
    plan_text(p, again);
    return strcmp(text, again) == 0;
}

/* ---- Making --------------------------------------------------------------- */

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const tile_op *o = (const tile_op *)op;
    hsi_cuda_conv_tile_params params = o->params;
    params.x = call->in[0];
    params.weights = call->in[1];
    hsi_cuda_conv_addresses(&params.out, call);
    params.tickets = call->workspace;
    params.partials = call->workspace + o->partials;
    return hsi_cuda_conv_launch(op->name, o->function, &o->grid, call, &params);
}

static void destroy(hsi_cuda_op *op)
{
    hsi_cuda_host->free(op);
}

/* Loads the kernel, with room for the largest ring that may be asked of it: the limit on
 * shared memory is the kernel's, which all ops of this shape share. */
static hsched_status find_kernel(const hsi_cuda_step *step, const tile_plan *p, int most,
                                 CUfunction *function)
{
    char name[48];
    int stages = HSI_CUDA_CONV_TILE_MAX_STAGES;
    while (stages > p->stages && shared_bytes(p->shape, stages) > most)
        stages--;
    snprintf(name, sizeof name, "tile_%s%s_%dx%d", p->shape->loose ? "loose_" : "",
             hsi_cuda_type_suffix(step->type), p->shape->bm, p->shape->bn);
    hsched_status status =
        hsi_cuda_kernel(step->device, HSI_CUDA_MODULE_CONV_TILE, name,
                        (uint32_t)shared_bytes(p->shape, stages), function);
    if (status != HSCHED_OK || p->join != HSI_CUDA_CONV_TILE_CLUSTER)
        return status;
    if (!hsi_cuda_is_kernel_90(step->device, *function))
        return hsi_cuda_unsupported("this kernel was not compiled for clusters");
    if (p->splits > 8)
        status = CU_CHECK(name, cuKernelSetAttribute,
                          CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1,
                          (CUkernel)*function, step->device->device);
    return status;
}

static void fill_params(const hsi_cuda_step *step, const tile_work *w, const tile_plan *p,
                        hsi_cuda_conv_tile_params *to)
{
    const hsi_cuda_window *v = &w->c.window;
    const int tiles_m = (w->c.m + p->shape->bm - 1) / p->shape->bm;
    const int pointwise =
        v->kernel_h == 1 && v->kernel_w == 1 && v->pad_top == 0 && v->pad_left == 0 &&
        (int64_t)(v->out_height - 1) * v->stride_h < v->height && /* no padding behind */
        (int64_t)(v->out_width - 1) * v->stride_w < v->width;
    *to = (hsi_cuda_conv_tile_params){
        .window = *v,
        .out = hsi_cuda_conv_output(step, &w->c),
        .by_tiles_m = hsi_cuda_divide_by((uint32_t)tiles_m),
        .k = w->k,
        .weight_row = w->c.k,
        .run = w->run,
        .by_padded_run = hsi_cuda_divide_by((uint32_t)w->padded_run),
        .row_runs = w->row_runs,
        .k_tiles = w->k_tiles,
        .splits = p->splits,
        .stages = p->stages,
        .access = pointwise ? HSI_CUDA_CONV_TILE_POINTWISE : HSI_CUDA_CONV_TILE_GATHER,
        .join = p->join
    };
}

static hsched_status make_plan(const hsi_cuda_step *step, const tile_work *w,
                               const tile_plan *p, hsi_cuda_op **op)
{
    CUfunction function;
    hsched_status status = find_kernel(step, p, w->shared, &function);
    if (status != HSCHED_OK)
        return status;
    tile_op *o = HSI_CUDA_NEW(tile_op);
    if (!o)
        return hsi_cuda_no_memory("an operation");
    char text[HSI_CUDA_VARIANT_LENGTH];
    plan_text(p, text);
    snprintf(o->op.name, sizeof o->op.name, "own/%.40s %s", text,
             step->type == HSI_CUDA_F32 ? "tf32" : hsi_cuda_type_suffix(step->type));
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    if (p->join == HSI_CUDA_CONV_TILE_TICKETS) {
        o->op.zeroed = o->partials = ticket_bytes(p, &w->c);
        o->op.workspace = o->partials + (size_t)partial_bytes(p, &w->c);
    }
    o->function = function;
    o->grid = (hsi_cuda_grid){
        .x = (uint32_t)tiles_of(p->shape, &w->c),
        .y = (uint32_t)p->splits,
        .threads = (uint32_t)threads_of(p->shape),
        .shared_bytes = (uint32_t)shared_bytes(p->shape, p->stages),
        .cluster_y = p->join == HSI_CUDA_CONV_TILE_CLUSTER ? (uint32_t)p->splits : 0,
        .early = !p->waits && hsi_cuda_is_kernel_90(step->device, function)
    };
    fill_params(step, w, p, &o->params);
    *op = &o->op;
    return HSCHED_OK;
}

static hsched_status make(const hsi_cuda_step *step, const char *text, hsi_cuda_op **op)
{
    tile_work w;
    tile_plan p;
    *op = NULL;
    hsched_status status = look_at(step, &w);
    if (status != HSCHED_OK)
        return status;
    if (!read_plan(text, w.loose, &p))
        return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                        "GPU: there is no variant '%.40s' for this step",
                                        text);
    if (!is_possible(step, &w, &p))
        return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                        "GPU: '%s' cannot run this step here", text);
    return make_plan(step, &w, &p, op);
}

/* ---- Guessing ------------------------------------------------------------- */

typedef struct candidate {
    tile_plan plan;
    float clocks; /* guessed */
} candidate;

static float larger(float a, float b)
{
    return a > b ? a : b;
}

/*
 * Clock cycles of a launch, from what was measured on an H100: a block's way through start,
 * first loads and end; then k tiles, as fast as tensor cores, the second-level cache, or the
 * latency of one k tile allow; then the join.
 */
static float guess_clocks(const hsi_cuda_step *step, const tile_work *w,
                          const tile_plan *p)
{
    const tile_shape *t = p->shape;
    const int threads = threads_of(t), bytes = shared_bytes(t, p->stages);
    const int fit = max(1, (int)larger(1, (float)(w->shared / (bytes + 1024))));
    const int fit_threads = max(1, 680 / threads); /* at 96 registers */
    const int most = fit < fit_threads ? fit : fit_threads;
    const float blocks = (float)tiles_of(t, &w->c) * (float)p->splits;
    const float sms = (float)step->device->sm_count;
    int resident = (int)((blocks + sms - 1) / sms);
    resident = resident > most ? most : max(resident, 1);
    const float waves =
        (float)(int64_t)((blocks + sms * (float)resident - 1) / (sms * (float)resident));
    const float k_tiles = (float)((w->k_tiles + p->splits - 1) / p->splits);
    const float area = (float)(t->bm * t->bn) * (float)resident;
    const float multiply = area * 32 / 350.0f; /* both types: 128 bytes of k */
    const float copy =
        (float)((t->bm + t->bn) * HSI_CUDA_CONV_TILE_K_BYTES * resident) / 40;
    float join = 200 + area * 4 / 32;
    if (p->join == HSI_CUDA_CONV_TILE_CLUSTER)
        join = 800 + area * 4 / 14 + (p->splits > 8 ? 600 : 0);
    if (p->join == HSI_CUDA_CONV_TILE_TICKETS)
        join = 1500 + (float)(t->bm * t->bn * 4) * (float)p->splits / 40;
    return 1500 + waves * (600 + k_tiles * larger(larger(multiply, copy), 300) + join);
}

/* Keeps the best, best first. */
static void keep(candidate *best, uint32_t *count, uint32_t most, const candidate *c)
{
    uint32_t at = *count;
    while (at > 0 && best[at - 1].clocks > c->clocks)
        at--;
    if (at >= most)
        return;
    if (*count < most)
        (*count)++;
    for (uint32_t i = *count - 1; i > at; i--)
        best[i] = best[i - 1];
    best[at] = *c;
}

/* As many stages as there are k tiles ahead to copy, but so that two blocks fit. */
static int guess_stages(const tile_shape *t, int k_tiles, int shared)
{
    int stages = k_tiles + 1 < HSI_CUDA_CONV_TILE_MAX_STAGES
                     ? k_tiles + 1
                     : HSI_CUDA_CONV_TILE_MAX_STAGES;
    while (stages > 3 && 2 * (shared_bytes(t, stages) + 1024) > shared)
        stages--;
    return max(stages, 2);
}

static const unsigned char split_counts[] = { 1, 2,  3,  4,  5,  6,  7,  8,
                                              9, 10, 12, 14, 16, 20, 24, 32 };

/* The best splits of one tile shape. */
static uint32_t guess_splits(const hsi_cuda_step *step, const tile_work *w,
                             const tile_shape *t, candidate *best, uint32_t most)
{
    uint32_t count = 0;
    for (int i = 0; i < COUNT(split_counts); i++)
        for (int join = HSI_CUDA_CONV_TILE_ALONE; join <= HSI_CUDA_CONV_TILE_CLUSTER;
             join++) {
            candidate now = { .plan = {
                                  .shape = t, .splits = split_counts[i], .join = join } };
            now.plan.stages = guess_stages(
                t, (w->k_tiles + now.plan.splits - 1) / now.plan.splits, w->shared);
            if (!is_possible(step, w, &now.plan))
                continue;
            now.clocks = guess_clocks(step, w, &now.plan);
            keep(best, &count, most, &now);
        }
    return count;
}

enum {
    MOST_OF_A_SHAPE = 4, /* so that the list is not one shape's */
    MOST_LISTED = 48
};

static uint32_t variants(const hsi_cuda_step *step, uint32_t most,
                         char (*texts)[HSI_CUDA_VARIANT_LENGTH])
{
    tile_work w;
    candidate best[MOST_LISTED], of_shape[MOST_OF_A_SHAPE];
    uint32_t count = 0;
    if (look_at(step, &w) != HSCHED_OK)
        return 0;
    const tile_shape *list = w.loose ? loose_shapes : shapes;
    const int shape_count = w.loose ? COUNT(loose_shapes) : COUNT(shapes);
    most = most < MOST_LISTED ? most : MOST_LISTED;
    for (int i = 0; i < shape_count; i++) {
        const uint32_t found =
            guess_splits(step, &w, &list[i], of_shape, MOST_OF_A_SHAPE);
        for (uint32_t k = 0; k < found; k++)
            keep(best, &count, most, &of_shape[k]);
    }
    for (uint32_t i = 0; i < count; i++)
        plan_text(&best[i].plan, texts[i]);
    return count;
}

const hsi_cuda_family hsi_cuda_family_tile = { "tile", variants, make };
