/*
 * Own convolution kernels: are they right, and how fast is which variant?
 *
 *   bench_conv check              every variant on odd shapes, against sums in double
 *   bench_conv time [CSV [SECONDS]] the layers of well-known networks, one line each; every
 *                                 variant tried goes to the CSV file
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cuda/record.h"
#include "gpu/conv_problem.h"

enum {
    LAUNCHES = 20 /* in a graph */
};

/* ---- Checking ------------------------------------------------------------- */

static int failures, checks;

static void check_op(conv_problem *p, hsched_status made, hsi_cuda_op *op,
                     const char *text, int64_t most)
{
    char first[128] = "";
    if (made != HSCHED_OK) {
        printf("FAIL %s %s: %s\n", p->of->name, text, conv_error);
        failures++;
        return;
    }
    checks++;
    CONV_NEED(cuMemsetD8Async, p->blocks[4], 0xff,
              (size_t)p->out_size * hsi_cuda_type_size(p->step.type), conv_bench.stream);
    hsched_status status = HSCHED_OK;
    for (int i = 0; i < 3 && status == HSCHED_OK; i++) /* the counters are zero again */
        status = conv_enqueue(op, &p->call);
    if (status != HSCHED_OK) {
        printf("FAIL %s %s: %s\n", p->of->name, text, conv_error);
        failures++;
    } else {
        conv_need(CU_CHECK(text, cuStreamSynchronize, conv_bench.stream), p->of->name);
        const int64_t wrong = conv_problem_wrong(p, most, first, sizeof first);
        const int64_t stray = most ? 0 : conv_problem_stray(p);
        if (wrong || stray) {
            printf("FAIL %s type %d %s (%s): %" PRId64 " wrong, %" PRId64 " stray; %s\n",
                   p->of->name, (int)p->step.type, text, op->name, wrong, stray, first);
            failures++;
        }
    }
    op->destroy(op);
}

static const char *const shape_texts[] = { "16x64",  "32x32",  "32x64",  "32x128",
                                           "64x32",  "64x64",  "64x128", "128x32",
                                           "128x64", "128x128" };
#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static const char *const plan_texts[] = { "s4:k1",    "s2:k1",   "s3:k2c",  "s4:k2t",
                                          "s6:k3c",   "s3:k5t",  "s4:k8c",  "s4:k8t",
                                          "s4:k2c:w", "s3:k12c", "s3:k16c", "s2:k16t",
                                          "s5:k1:w" };

static void check_tiles(conv_problem *p, int64_t most)
{
    int made = 0;
    for (int s = 0; s < COUNT(shape_texts); s++)
        for (int i = 0; i < COUNT(plan_texts); i++) {
            char text[HSI_CUDA_VARIANT_LENGTH];
            hsi_cuda_op *op;
            snprintf(text, sizeof text, "tile:%s%s", shape_texts[s], plan_texts[i]);
            if (hsi_cuda_family_tile.make(&p->step, text, &op) != HSCHED_OK)
                continue;
            check_op(p, HSCHED_OK, op, text, most);
            made++;
        }
    if (!made) {
        printf("FAIL %s: no tile can be made: %s\n", p->of->name, conv_error);
        failures++;
    }
}

static const conv_layer odd_layers[] = {
    { "plain 3x3", 2, 64, 9, 64, 3, 1, 1, 1, 0, 0 },
    { "residual", 1, 32, 7, 48, 3, 1, 1, 1, 1, 11 },
    { "1x1", 3, 96, 5, 40, 1, 1, 0, 1, 0, 0 },
    { "1x1/2", 1, 64, 9, 72, 1, 2, 0, 1, 1, 0 },
    { "1x1 padded", 1, 64, 6, 32, 1, 1, 1, 1, 0, 0 },
    { "3 channels", 2, 3, 23, 24, 7, 2, 3, 1, 0, 19 },
    { "3 channels 11x11", 1, 3, 31, 64, 11, 4, 2, 1, 0, 0 },
    { "odd", 2, 5, 11, 7, 3, 1, 2, 1, 1, 6 },
    { "odd outputs", 1, 64, 8, 37, 3, 2, 1, 1, 1, 0 },
    { "dilated", 1, 16, 13, 36, 3, 1, 2, 1, 0, 0, 2 },
    { "slices", 2, 24, 10, 20, 3, 1, 1, 1, 1, 0, 0, 40, 12 },
    { "shifted slices", 2, 24, 10, 20, 3, 1, 1, 1, 1, 0, 0, 5, 3, 1 },
    { "clip", 1, 40, 6, 33, 5, 1, 2, 1, 0, 0, 0, 0, 0, 0, HSCHED_ACTIVATION_CLIP },
    { "sigmoid", 1, 48, 6, 130, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, HSCHED_ACTIVATION_SIGMOID },
    { "one pixel", 1, 512, 1, 129, 1, 1, 0, 1, 0, 0 },
    { "row", 1, 32, 1, 32, 1, 1, 0, 1, 0, 200 },
    { "deep", 1, 512, 7, 64, 3, 1, 1, 1, 1, 0 },
    { "one channel", 3, 1, 12, 1, 3, 1, 1, 1, 0, 0 },
    { "large", 4, 64, 32, 130, 3, 1, 1, 1, 1, 0 },
    { "rounded", 1, 64, 8, 64, 3, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1.0f / 3 },
    { "groups", 2, 12, 9, 8, 3, 1, 1, 4, 1, 0 },
    { "groups of 20", 1, 36, 9, 60, 3, 2, 1, 3, 1, 0 },
    { "groups of 64", 2, 96, 17, 128, 3, 1, 1, 2, 0, 0 },
    { "depthwise", 2, 24, 9, 24, 3, 1, 1, 24, 0, 0, 0, 0, 0, 0, HSCHED_ACTIVATION_CLIP },
    { "depthwise/2", 1, 32, 15, 32, 3, 2, 1, 32, 1, 10 },
    { "depthwise 5x5", 2, 20, 11, 20, 5, 2, 2, 20, 1, 0 },
    { "depthwise odd", 2, 7, 9, 7, 3, 1, 1, 7, 1, 0 },
    { "depthwise slices", 1, 16, 9, 16, 3, 1, 1, 16, 1, 0, 0, 16, 4 },
    { "depthwise shifted", 1, 16, 9, 16, 3, 1, 1, 16, 1, 0, 0, 16, 4, 1 },
    { "depthwise dilated", 1, 16, 12, 16, 3, 1, 2, 16, 0, 0, 2 },
    { "depthwise large", 8, 64, 28, 64, 3, 1, 1, 64, 0, 0 },
    { "depthwise large/2", 8, 64, 57, 64, 3, 2, 1, 64, 0, 0 },
};

static void check_odd_layers(void)
{
    for (int i = 0; i < COUNT(odd_layers); i++)
        for (int type = 0; type < 3; type++) {
            conv_problem p;
            hsi_cuda_op *op;
            conv_problem_make(&p, &odd_layers[i], (hsi_cuda_type)type);
            const conv_layer *l = p.of;
            const int64_t most = l->batch > 2 && l->channels >= 64 ? 2000 : 0;
            if (l->groups == 1)
                check_tiles(&p, most);
            p.step.strict = 1;
            hsched_status made = hsi_cuda_make_conv_direct(&p.step, &op);
            check_op(&p, made, op, "direct", most);
            if (l->groups == l->channels && l->groups == l->outputs) {
                made = hsi_cuda_make_conv_depthwise(&p.step, &op);
                check_op(&p, made, op, "depthwise", most);
            }
            conv_problem_free(&p);
        }
}

/*
 * Two convolutions in turn, each reading what the other wrote, as a graph: kernels that begin
 * early must give what kernels that wait do, bit for bit.
 */
static void run_chain(conv_problem *p, hsi_cuda_op *const *ops, int count,
                      unsigned char *result)
{
    const size_t bytes = (size_t)p->out_size * hsi_cuda_type_size(p->step.type);
    hsi_cuda_call there = p->call, back = there;
    CUdeviceptr again;
    CUgraphExec exec;
    hsi_cuda_recorder recorder;
    conv_need(hsi_cuda_record_begin(conv_bench.device, 0, &recorder), "chain");
    there.recorder = back.recorder = &recorder;
    back.in[0] = there.out;
    back.out = there.in[0];
    conv_upload(p->x, p->x_size, p->step.type, &again);
    CONV_NEED(cuMemcpyDtoDAsync, p->blocks[0], again, bytes, conv_bench.stream);
    for (int i = 0; i < 2 * LAUNCHES; i++)
        conv_need(conv_enqueue(ops[i % count], i % 2 ? &back : &there), "chain");
    CONV_NEED(cuGraphInstantiateWithFlags, &exec, recorder.graph, 0);
    for (int i = 0; i < 10; i++)
        CONV_NEED(cuGraphLaunch, exec, conv_bench.stream);
    CONV_NEED(cuStreamSynchronize, conv_bench.stream);
    CONV_NEED(cuMemcpyDtoH, result, p->blocks[4], bytes);
    CONV_NEED(cuGraphExecDestroy, exec);
    hsi_cuda_record_end(&recorder);
    CONV_NEED(cuGraphDestroy, recorder.graph);
    CONV_NEED(cuMemFree, again);
}

static const char *const chain_texts[] = { "tile:32x32s4:k1", "tile:64x64s4:k3c",
                                           "tile:64x32s3:k4t", "tile:32x64s6:k8c",
                                           "tile:128x64s4:k2t" };

static void check_chain(const conv_layer *l, hsi_cuda_type type)
{
    conv_problem p;
    hsi_cuda_op *early[COUNT(chain_texts) + 2], *waiting[COUNT(chain_texts) + 2];
    int count = 0;
    conv_problem_make(&p, l, type);
    for (int i = 0; i < COUNT(chain_texts); i++) {
        char text[HSI_CUDA_VARIANT_LENGTH];
        snprintf(text, sizeof text, "%s:w", chain_texts[i]);
        conv_need(hsi_cuda_family_tile.make(&p.step, chain_texts[i], &early[count]),
                  "chain");
        conv_need(hsi_cuda_family_tile.make(&p.step, text, &waiting[count++]), "chain");
    }
    for (int i = 0; i < 2; i++) {
        conv_need(hsi_cuda_make_conv_direct(&p.step, &early[count]), "chain");
        conv_need(hsi_cuda_make_conv_direct(&p.step, &waiting[count++]), "chain");
    }
    const size_t bytes = (size_t)p.out_size * hsi_cuda_type_size(type);
    unsigned char *a = malloc(bytes), *b = malloc(bytes);
    for (int i = 0; i <= COUNT(chain_texts); i++) {
        const int all = i == COUNT(chain_texts);
        run_chain(&p, all ? early : &early[i], all ? count : 1, a);
        run_chain(&p, all ? waiting : &waiting[i], all ? count : 1, b);
        checks++;
        if (memcmp(a, b, bytes) != 0) {
            printf("FAIL chain of %s type %d %s: not the same when it begins early\n",
                   l->name, (int)type, all ? "all" : chain_texts[i]);
            failures++;
        }
    }
    for (int i = 0; i < count; i++) {
        early[i]->destroy(early[i]);
        waiting[i]->destroy(waiting[i]);
    }
    free(a);
    free(b);
    conv_problem_free(&p);
}

static void check_chains(void)
{
    static const conv_layer chains[] = { { "3x3 64 14", 1, 64, 14, 64, 3, 1, 1, 1, 0 },
                                         { "3x3 128 28", 1, 128, 28, 128, 3, 1, 1, 1, 0 },
                                         { "1x1 512 7", 1, 512, 7, 512, 1, 1, 0, 1, 1 } };
    for (int i = 0; i < COUNT(chains); i++)
        for (int type = 0; type < 3; type++)
            check_chain(&chains[i], (hsi_cuda_type)type);
}

/* ---- Timing --------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Microseconds of a launch inside a graph; negative: it cannot be launched. */
static float time_op(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    enum {
        REPEATS = 5
    };
    CUgraph graph;
    CUgraphExec exec;
    CUevent begin, end;
    float times[REPEATS];
    hsched_status status = HSCHED_OK;
    CONV_NEED(cuStreamBeginCapture, conv_bench.stream,
              CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    for (int i = 0; i < LAUNCHES && status == HSCHED_OK; i++)
        status = conv_enqueue(op, call);
    if (hsi_cuda.cuStreamEndCapture(conv_bench.stream, &graph) != CUDA_SUCCESS ||
        status != HSCHED_OK)
        return -1;
    if (hsi_cuda.cuGraphInstantiateWithFlags(&exec, graph, 0) != CUDA_SUCCESS) {
        hsi_cuda.cuGraphDestroy(graph);
        return -1;
    }
    CONV_NEED(cuEventCreate, &begin, 0);
    CONV_NEED(cuEventCreate, &end, 0);
    CONV_NEED(cuGraphLaunch, exec, conv_bench.stream);
    for (int i = 0; i < REPEATS; i++) {
        CONV_NEED(cuEventRecord, begin, conv_bench.stream);
        CONV_NEED(cuGraphLaunch, exec, conv_bench.stream);
        CONV_NEED(cuEventRecord, end, conv_bench.stream);
        CONV_NEED(cuEventSynchronize, end);
        CONV_NEED(cuEventElapsedTime, &times[i], begin, end);
    }
    CONV_NEED(cuEventDestroy, begin);
    CONV_NEED(cuEventDestroy, end);
    CONV_NEED(cuGraphExecDestroy, exec);
    CONV_NEED(cuGraphDestroy, graph);
    qsort(times, REPEATS, sizeof *times, by_size);
    return times[REPEATS / 2] * 1000 / LAUNCHES;
}

typedef struct best {
    char text[HSI_CUDA_VARIANT_LENGTH];
    float us;
} best;

static void try_variant(conv_problem *p, const hsi_cuda_family *family, const char *text,
                        best *b, FILE *csv)
{
    hsi_cuda_op *op;
    if (family->make(&p->step, text, &op) != HSCHED_OK)
        return;
    const float us = time_op(op, &p->call);
    op->destroy(op);
    if (csv)
        fprintf(csv, "%s,%d,%s,%.3f\n", p->of->name, (int)p->step.type, text, (double)us);
    if (us > 0 && (b->us == 0 || us < b->us)) {
        b->us = us;
        snprintf(b->text, sizeof b->text, "%s", text);
    }
}

static best best_of(conv_problem *p, const hsi_cuda_family *family, uint32_t most,
                    FILE *csv)
{
    char texts[64][HSI_CUDA_VARIANT_LENGTH];
    best b = { "tile:none", 0 };
    const uint32_t count = family->variants(&p->step, most, texts);
    for (uint32_t i = 0; i < count; i++)
        try_variant(p, family, texts[i], &b, csv);
    return b;
}

static const int sweep_splits[] = { 1, 2, 3, 4, 6, 8, 12, 16, 24 };

/* All shapes, splits and joins that are not absurd. */
static best sweep(conv_problem *p, FILE *csv, int stages)
{
    best b = { "tile:none", 0 };
    const hsched_operand *t = &p->step.step.out;
    const int64_t m = t->dims[0] * t->dims[2] * t->dims[3];
    for (int s = 0; s < COUNT(shape_texts); s++)
        for (int i = 0; i < COUNT(sweep_splits); i++)
            for (int join = 0; join < 2; join++) {
                char text[HSI_CUDA_VARIANT_LENGTH];
                int bm, bn;
                const int splits = sweep_splits[i];
                if (sscanf(shape_texts[s], "%dx%d", &bm, &bn) != 2)
                    continue;
                const int64_t blocks =
                    (m + bm - 1) / bm * ((t->dims[1] + bn - 1) / bn) * splits;
                if ((splits == 1 && join) || (splits > 1 && blocks > 6 * 132) ||
                    (splits > 1 && join && blocks > 3 * 132) || blocks > 40 * 132 ||
                    (blocks < 24 && splits < 8))
                    continue;
                snprintf(text, sizeof text, "tile:%ss%d:k%d%s", shape_texts[s], stages,
                         splits,
                         splits == 1 ? ""
                         : join      ? "t"
                                     : "c");
                try_variant(p, &hsi_cuda_family_tile, text, &b, csv);
            }
    return b;
}

static const conv_layer layers[] = {
    /* ResNet50 */
    { "r50 7x7/2 3-64 224", 1, 3, 224, 64, 7, 2, 3, 1, 0 },
    { "r50 1x1 64-64 56", 1, 64, 56, 64, 1, 1, 0, 1, 0 },
    { "r50 3x3 64-64 56", 1, 64, 56, 64, 3, 1, 1, 1, 0 },
    { "r50 1x1 64-256 56 res", 1, 64, 56, 256, 1, 1, 0, 1, 1 },
    { "r50 1x1 256-64 56", 1, 256, 56, 64, 1, 1, 0, 1, 0 },
    { "r50 1x1 256-128 56", 1, 256, 56, 128, 1, 1, 0, 1, 0 },
    { "r50 3x3/2 128-128 56", 1, 128, 56, 128, 3, 2, 1, 1, 0 },
    { "r50 1x1/2 256-512 56", 1, 256, 56, 512, 1, 2, 0, 1, 0 },
    { "r50 1x1 128-512 28 res", 1, 128, 28, 512, 1, 1, 0, 1, 1 },
    { "r50 1x1 512-128 28", 1, 512, 28, 128, 1, 1, 0, 1, 0 },
    { "r50 3x3 128-128 28", 1, 128, 28, 128, 3, 1, 1, 1, 0 },
    { "r50 1x1 512-256 28", 1, 512, 28, 256, 1, 1, 0, 1, 0 },
    { "r50 3x3/2 256-256 28", 1, 256, 28, 256, 3, 2, 1, 1, 0 },
    { "r50 1x1/2 512-1024 28", 1, 512, 28, 1024, 1, 2, 0, 1, 0 },
    { "r50 1x1 256-1024 14 res", 1, 256, 14, 1024, 1, 1, 0, 1, 1 },
    { "r50 1x1 1024-256 14", 1, 1024, 14, 256, 1, 1, 0, 1, 0 },
    { "r50 3x3 256-256 14", 1, 256, 14, 256, 3, 1, 1, 1, 0 },
    { "r50 1x1 1024-512 14", 1, 1024, 14, 512, 1, 1, 0, 1, 0 },
    { "r50 3x3/2 512-512 14", 1, 512, 14, 512, 3, 2, 1, 1, 0 },
    { "r50 1x1/2 1024-2048 14", 1, 1024, 14, 2048, 1, 2, 0, 1, 0 },
    { "r50 1x1 512-2048 7 res", 1, 512, 7, 2048, 1, 1, 0, 1, 1 },
    { "r50 1x1 2048-512 7", 1, 2048, 7, 512, 1, 1, 0, 1, 0 },
    { "r50 3x3 512-512 7", 1, 512, 7, 512, 3, 1, 1, 1, 0 },
    /* DenseNet201, a sample; x is a slice of the block's tensor */
    { "dense 1x1 160-128 56", 1, 160, 56, 128, 1, 1, 0, 1, 0, 0, 0, 96 },
    { "dense 3x3 128-32 56", 1, 128, 56, 32, 3, 1, 1, 1, 0, 0, 0, 0, 224 },
    { "dense 1x1 320-128 28", 1, 320, 28, 128, 1, 1, 0, 1, 0, 0, 0, 192 },
    { "dense 3x3 128-32 28", 1, 128, 28, 32, 3, 1, 1, 1, 0, 0, 0, 0, 480 },
    { "dense 1x1 896-128 14", 1, 896, 14, 128, 1, 1, 0, 1, 0, 0, 0, 896 },
    { "dense 3x3 128-32 14", 1, 128, 14, 32, 3, 1, 1, 1, 0, 0, 0, 0, 1760 },
    { "dense 1x1 1792-896 14", 1, 1792, 14, 896, 1, 1, 0, 1, 0 },
    { "dense 1x1 1888-128 7", 1, 1888, 7, 128, 1, 1, 0, 1, 0, 0, 0, 32 },
    { "dense 3x3 128-32 7", 1, 128, 7, 32, 3, 1, 1, 1, 0, 0, 0, 0, 1888 },
    /* VGG16 */
    { "vgg 3x3 3-64 224", 1, 3, 224, 64, 3, 1, 1, 1, 0 },
    { "vgg 3x3 64-64 224", 1, 64, 224, 64, 3, 1, 1, 1, 0 },
    { "vgg 3x3 128-128 112", 1, 128, 112, 128, 3, 1, 1, 1, 0 },
    { "vgg 3x3 256-256 56", 1, 256, 56, 256, 3, 1, 1, 1, 0 },
    { "vgg 3x3 512-512 28", 1, 512, 28, 512, 3, 1, 1, 1, 0 },
    { "vgg 3x3 512-512 14", 1, 512, 14, 512, 3, 1, 1, 1, 0 },
    /* AlexNet */
    { "alex 11x11/4 3-64 224", 1, 3, 224, 64, 11, 4, 2, 1, 0 },
    { "alex 5x5 64-192 27", 1, 64, 27, 192, 5, 1, 2, 1, 0 },
    { "alex 3x3 192-384 13", 1, 192, 13, 384, 3, 1, 1, 1, 0 },
    { "alex 3x3 384-256 13", 1, 384, 13, 256, 3, 1, 1, 1, 0 },
    /* MobileNet v2 */
    { "mobile 3x3/2 3-32 224", 1, 3, 224, 32, 3, 2, 1, 1, 0 },
    { "mobile 1x1 32-16 112", 1, 32, 112, 16, 1, 1, 0, 1, 0 },
    { "mobile 1x1 16-96 112", 1, 16, 112, 96, 1, 1, 0, 1, 0 },
    { "mobile 1x1 96-24 56", 1, 96, 56, 24, 1, 1, 0, 1, 0 },
    { "mobile 1x1 24-144 56", 1, 24, 56, 144, 1, 1, 0, 1, 0 },
    { "mobile 1x1 192-32 28 res", 1, 192, 28, 32, 1, 1, 0, 1, 1 },
    { "mobile 1x1 64-384 14", 1, 64, 14, 384, 1, 1, 0, 1, 0 },
    { "mobile 1x1 576-96 14 res", 1, 576, 14, 96, 1, 1, 0, 1, 1 },
    { "mobile 1x1 160-960 7", 1, 160, 7, 960, 1, 1, 0, 1, 0 },
    { "mobile 1x1 960-160 7 res", 1, 960, 7, 160, 1, 1, 0, 1, 1 },
    { "mobile 1x1 320-1280 7", 1, 320, 7, 1280, 1, 1, 0, 1, 0 },
    { "mobile dw 32 112", 1, 32, 112, 32, 3, 1, 1, 32, 0 },
    { "mobile dw/2 96 112", 1, 96, 112, 96, 3, 2, 1, 96, 0 },
    { "mobile dw 144 56", 1, 144, 56, 144, 3, 1, 1, 144, 0 },
    { "mobile dw 192 28", 1, 192, 28, 192, 3, 1, 1, 192, 0 },
    { "mobile dw 576 14", 1, 576, 14, 576, 3, 1, 1, 576, 0 },
    { "mobile dw 960 7", 1, 960, 7, 960, 3, 1, 1, 960, 0 },
    /* SqueezeNet 1.1, GoogLeNet */
    { "squeeze 3x3/2 3-64 224", 1, 3, 224, 64, 3, 2, 0, 1, 0 },
    { "squeeze 1x1 128-16 55", 1, 128, 55, 16, 1, 1, 0, 1, 0 },
    { "squeeze 3x3 16-64 55", 1, 16, 55, 64, 3, 1, 1, 1, 0, 0, 0, 0, 64 },
    { "squeeze 3x3 32-128 27", 1, 32, 27, 128, 3, 1, 1, 1, 0, 0, 0, 0, 128 },
    { "squeeze 3x3 64-256 13", 1, 64, 13, 256, 3, 1, 1, 1, 0, 0, 0, 0, 256 },
    { "squeeze 1x1 512-1000 13", 1, 512, 13, 1000, 1, 1, 0, 1, 0 },
    { "google 3x3 96-128 28", 1, 96, 28, 128, 3, 1, 1, 1, 0, 0, 0, 0, 128 },
    { "google 1x1 480-192 14", 1, 480, 14, 192, 1, 1, 0, 1, 0, 0, 0, 0, 320 },
    { "google 3x3 112-224 14", 1, 112, 14, 224, 3, 1, 1, 1, 0, 0, 0, 0, 288 },
    { "google 3x3 192-384 7", 1, 192, 7, 384, 3, 1, 1, 1, 0, 0, 0, 0, 640 },
    /* Batch 16 */
    { "b16 3x3 64-64 56", 16, 64, 56, 64, 3, 1, 1, 1, 0 },
    { "b16 1x1 64-256 56 res", 16, 64, 56, 256, 1, 1, 0, 1, 1 },
    { "b16 1x1 256-64 56", 16, 256, 56, 64, 1, 1, 0, 1, 0 },
    { "b16 3x3 128-128 28", 16, 128, 28, 128, 3, 1, 1, 1, 0 },
    { "b16 3x3 256-256 14", 16, 256, 14, 256, 3, 1, 1, 1, 0 },
    { "b16 1x1 256-1024 14 res", 16, 256, 14, 1024, 1, 1, 0, 1, 1 },
    { "b16 3x3 512-512 7", 16, 512, 7, 512, 3, 1, 1, 1, 0 },
};

static const char *const type_names[] = { "tf32", "f16", "bf16" };

static void time_depthwise(conv_problem *p, FILE *csv)
{
    hsi_cuda_op *op;
    conv_need(hsi_cuda_make_conv_depthwise(&p->step, &op), p->of->name);
    const float us = time_op(op, &p->call);
    printf("%-26s %-5s %6.2f  %s\n", p->of->name, type_names[p->step.type], (double)us,
           op->name);
    if (csv)
        fprintf(csv, "%s,%d,%s,%.3f\n", p->of->name, (int)p->step.type, op->name,
                (double)us);
    op->destroy(op);
}

static void time_layer(const conv_layer *l, hsi_cuda_type type, FILE *csv, int full)
{
    conv_problem p;
    hsi_cuda_op *op;
    char text[HSI_CUDA_VARIANT_LENGTH + 2];
    float direct = 0;
    conv_problem_make(&p, l, type);
    if (l->groups > 1) {
        time_depthwise(&p, csv);
        conv_problem_free(&p);
        return;
    }
    const best first = best_of(&p, &hsi_cuda_family_tile, 3, csv);
    const best some = best_of(&p, &hsi_cuda_family_tile, 12, csv);
    const best all = full ? sweep(&p, csv, 4) : (best){ "", 0 };
    if (full)
        sweep(&p, csv, 3);
    if (hsi_cuda_make_conv_direct(&p.step, &op) == HSCHED_OK) {
        direct = time_op(op, &p.call);
        op->destroy(op);
    }
    best waits = { "", 0 }, dnn = { "", 0 };
    const best *top = all.us > 0 && all.us < some.us ? &all : &some;
    snprintf(text, sizeof text, "%s:w", top->text);
    try_variant(&p, &hsi_cuda_family_tile, text, &waits, csv);
    if (!csv)
        dnn = best_of(&p, &hsi_cuda_family_cudnn, 8, NULL);
    printf("%-24s %-4s %6.2f %-16s of 12 %6.2f %-16s first 3 %6.2f waits %6.2f "
           "cudnn %6.2f %s direct %6.2f\n",
           l->name, type_names[type], (double)top->us, top->text + 5, (double)some.us,
           some.text + 5, (double)first.us, (double)waits.us, (double)dnn.us, dnn.text,
           (double)direct);
    if (hsi_cuda_family_tile.make(&p.step, top->text, &op) == HSCHED_OK)
        check_op(&p, HSCHED_OK, op, top->text, 300);
    fflush(stdout);
    conv_problem_free(&p);
}

/* ---- Main ----------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* How many clusters of 320 threads and so much shared memory run at the same time. */
static void print_clusters(void)
{
    for (uint32_t size = 2; size <= 16; size *= 2)
        for (uint32_t kib = 64; kib <= 200; kib += 136) {
            CUfunction function;
            CUlaunchAttribute attribute = { .id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION };
            CUlaunchConfig config = { .gridDimX = 1,
                                      .gridDimY = size,
                                      .gridDimZ = 1,
                                      .blockDimX = 320,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .sharedMemBytes = kib << 10,
                                      .hStream = conv_bench.stream,
                                      .attrs = &attribute,
                                      .numAttrs = 1 };
            int count = -1;
            attribute.value.clusterDim.x = attribute.value.clusterDim.z = 1;
            attribute.value.clusterDim.y = size;
            conv_need(hsi_cuda_kernel(conv_bench.device, HSI_CUDA_MODULE_CONV_TILE,
                                      "tile_f16_64x64", 220 << 10, &function),
                      "a kernel");
            CONV_NEED(cuKernelSetAttribute,
                      CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1,
                      (CUkernel)function, conv_bench.device->device);
            CU(cuOccupancyMaxActiveClusters, &count, function, &config);
            printf("clusters of %u, %u KiB: %d at once\n", size, kib, count);
        }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "check";
    const double begin = now(), seconds = argc > 3 ? atof(argv[3]) : 1e9;
    conv_open();
    if (strcmp(what, "check") == 0) {
        check_odd_layers();
        check_chains();
    }
    if (strcmp(what, "time") == 0) {
        print_clusters();
        FILE *csv = argc > 2 && argv[2][0] ? fopen(argv[2], "w") : NULL;
        for (int i = 0; i < COUNT(layers); i++)
            for (int type = 0; type < 2 && now() - begin < seconds; type++)
                time_layer(&layers[i], (hsi_cuda_type)type, csv, csv != NULL);
        if (csv)
            fclose(csv);
    }
    conv_close();
    printf("%d checks, %d failures, %.1f s\n", checks, failures, now() - begin);
    return failures > 0;
}
