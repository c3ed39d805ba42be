/*
 * The runtime with a GPU, through the public API: results against the CPU's, policies, joined
 * runs, memory limits, buffers, events, failing calls. Skips, saying why, without a GPU.
 */
#include "gpu/gpu_runtime.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/cuda/api.h"
#include "common/support.h"
#include "zoo/zoo.h"

static hsched_model *load(hsched_runtime *rt, const char *name,
                          const hsched_model_config *config)
{
    hsched_graph *graph;
    hsched_model *model;
    assert_ok(zoo_build(name, 1, &graph));
    assert_ok(hsched_model_compile(rt, graph, config, &model));
    hsched_graph_destroy(graph);
    return model;
}

enum {
    MAX_OUTPUTS = 4
};

/* Of one run: the input, and all outputs behind one another. */
typedef struct tensors {
    float *in, *out;
    size_t in_bytes, out_bytes, bytes_of[MAX_OUTPUTS];
    size_t
        compared; /* up to the first output of integers: choices, which the last bits turn */
    uint32_t outputs;
} tensors;

/* Small indices where the input is of integers: tokens. */
static void fill_input(const hsched_tensor_info *info, void *data, uint32_t seed)
{
    if (info->dtype == HSCHED_INT64)
        for (size_t i = 0; i < info->byte_size / sizeof(int64_t); i++)
            ((int64_t *)data)[i] = (int64_t)((i * 7919 + seed) % 25000);
    else
        fill(data, info->byte_size / sizeof(float), seed);
}

static tensors make_tensors(const hsched_model *model, uint32_t seed)
{
    hsched_tensor_info in = { HSCHED_TENSOR_INFO_INIT };
    assert_ok(hsched_model_input_info(model, 0, &in));
    tensors t = { .in_bytes = in.byte_size, .outputs = hsched_model_output_count(model) };
    assert_in_range(t.outputs, 1, MAX_OUTPUTS);
    for (uint32_t i = 0; i < t.outputs; i++) {
        hsched_tensor_info out = { HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_output_info(model, i, &out));
        t.bytes_of[i] = out.byte_size;
        t.out_bytes += out.byte_size;
        t.compared +=
            out.dtype == HSCHED_FLOAT32 && t.compared == t.out_bytes - out.byte_size
                ? out.byte_size
                : 0;
    }
    t.in = malloc(t.in_bytes);
    t.out = malloc(t.out_bytes);
    assert_non_null(t.in);
    assert_non_null(t.out);
    fill_input(&in, t.in, seed);
    memset(t.out, 0xff, t.out_bytes);
    return t;
}

static void free_tensors(tensors *t)
{
    free(t->in);
    free(t->out);
}

static void infer(hsched_model *model, tensors *t)
{
    hsched_binding in = HSCHED_DATA(t->in, t->in_bytes), out[MAX_OUTPUTS];
    unsigned char *next = (unsigned char *)t->out;
    for (uint32_t i = 0; i < t->outputs; next += t->bytes_of[i++])
        out[i] = (hsched_binding)HSCHED_DATA(next, t->bytes_of[i]);
    memset(t->out, 0xff, t->out_bytes);
    assert_ok(hsched_infer(model, &in, 1, out, t->outputs));
}

/* ||a - b|| / ||b||; infinite if anything is not finite. */
static double distance(const tensors *a, const tensors *b)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < b->compared / sizeof(float); i++) {
        if (!isfinite(a->out[i]))
            return INFINITY;
        difference += pow((double)a->out[i] - b->out[i], 2);
        norm += pow(b->out[i], 2);
    }
    return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

static void expect_close(const char *what, const tensors *a, const tensors *b,
                         double tolerance)
{
    double d = distance(a, b);
    if (!(d <= tolerance))
        fail_msg("%s: differs by %g, more than %g", what, d, tolerance);
}

static hsched_device_stats stats_of(hsched_runtime *rt)
{
    hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
    assert_ok(hsched_runtime_get_device_stats(rt, GPU, &stats));
    return stats;
}

/* What is compared with: by default the CPU, too, computes in ways that err more. */
static hsched_model *on_cpu(hsched_runtime *rt, const char *name)
{
    return load(rt, name,
                &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                        .policy = HSCHED_POLICY_CPU_ONLY,
                                        .math = HSCHED_MATH_STRICT });
}

/* ---- Results -------------------------------------------------------------- */

/* In float32, what the CPU gives, but for the order of long sums. Random weights amplify the
 * other formats' errors, and test_models_gpu.py knows how far; here graphs give what their
 * kernels gave directly. */
static const struct {
    hsched_math math;
    const char *name;
    double tolerance;
} maths[] = {
    { HSCHED_MATH_STRICT, "strict", 1e-4 },
    { HSCHED_MATH_DEFAULT, "tf32", 5e-3 },
    { HSCHED_MATH_FP16, "fp16", 5e-3 },
    { HSCHED_MATH_BF16, "bf16", 5e-2 },
};

static void compare_network(hsched_runtime *rt, const char *name)
{
    hsched_model *reference = on_cpu(rt, name);
    tensors cpus = make_tensors(reference, 7), direct = make_tensors(reference, 7);
    infer(reference, &cpus);
    for (size_t m = 0; m < sizeof maths / sizeof maths[0]; m++) {
        hsched_model *model = load(
            rt, name,
            &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .math = maths[m].math });
        tensors graph = make_tensors(model, 7);
        infer(model, &direct);
        print_message("# %-14s %-6s %.2g from the CPU's\n", name, maths[m].name,
                      distance(&direct, &cpus));
        if (maths[m].math == HSCHED_MATH_STRICT)
            expect_close(name, &direct, &cpus, maths[m].tolerance);
        for (int round = 0; round < 2; round++) {
            assert_ok(hsched_runtime_settle(rt));
            infer(model, &graph);
            expect_close(name, &graph, &direct, maths[m].tolerance);
        }
        free_tensors(&graph);
        hsched_model_release(model);
    }
    free_tensors(&direct);
    free_tensors(&cpus);
    hsched_model_release(reference);
}

static void every_network_gives_the_cpus_results(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    for (uint32_t i = 0; zoo_name(i); i++)
        compare_network(rt, zoo_name(i));
    hsched_device_stats stats = stats_of(rt);
    assert_true(stats.graph_launches > 0);
    assert_true(stats.captures > 0);
    hsched_runtime_stats all = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &all));
    assert_int_equal(all.runs_restarted, 0);
    hsched_runtime_destroy(rt);
}

static void steps_can_be_started_one_by_one(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(&(hsched_runtime_config){
        HSCHED_RUNTIME_CONFIG_INIT, .flags = HSCHED_RUNTIME_NO_GRAPHS });
    hsched_model *reference = on_cpu(rt, "resnet18");
    hsched_model *model =
        load(rt, "resnet18",
             &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .math = HSCHED_MATH_STRICT,
                                     .policy = HSCHED_POLICY_GPU_ONLY,
                                     .flags = HSCHED_MODEL_STEP_JOBS });
    tensors want = make_tensors(reference, 7), got = make_tensors(model, 7);
    infer(reference, &want);
    const hsched_device_stats before = stats_of(rt);
    for (int round = 0; round < 3; round++) {
        infer(model, &got);
        expect_close("resnet18 step by step", &got, &want, 1e-4);
        assert_ok(hsched_runtime_settle(rt));
    }
    const hsched_device_stats after = stats_of(rt);
    assert_int_equal(after.jobs - before.jobs, 3 * hsched_model_step_count(model));
    assert_int_equal(after.captures, 0);
    assert_int_equal(after.graph_launches, 0);
    hsched_runtime_stats all = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &all));
    assert_int_equal(all.runs_restarted, 0);
    free_tensors(&want);
    free_tensors(&got);
    hsched_model_release(model);
    hsched_model_release(reference);
    hsched_runtime_destroy(rt);
}

static void layer_type_shares_a_run_with_the_cpu(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    static const char *const names[] = { "squeezenet1_1", "resnet18", "densenet121",
                                         "googlenet" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hsched_model *reference = on_cpu(rt, names[i]);
        hsched_model *model =
            load(rt, names[i],
                 &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                         .policy = HSCHED_POLICY_LAYER_TYPE,
                                         .math = HSCHED_MATH_STRICT });
        tensors want = make_tensors(reference, 3), got = make_tensors(model, 3);
        infer(reference, &want);
        for (int round = 0; round < 4; round++) {
            infer(model, &got);
            expect_close(names[i], &got, &want, 1e-4);
            if (round == 1)
                assert_ok(hsched_runtime_settle(rt));
        }
        hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
        assert_ok(hsched_runtime_get_stats(rt, &stats));
        assert_true(stats.crossings > 0);
        assert_int_equal(stats.runs_restarted, 0);
        free_tensors(&want);
        free_tensors(&got);
        hsched_model_release(model);
        hsched_model_release(reference);
    }
    hsched_runtime_destroy(rt);
}

static void deterministic_runs_are_bit_equal(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *model =
        load(rt, "googlenet",
             &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                     .flags = HSCHED_MODEL_DETERMINISTIC });
    tensors first = make_tensors(model, 5), again = make_tensors(model, 5);
    infer(model, &first);
    for (int i = 0; i < 20; i++) {
        infer(model, &again);
        assert_memory_equal(again.out, first.out, first.out_bytes);
        if (i == 5)
            assert_ok(hsched_runtime_settle(rt));
    }
    free_tensors(&first);
    free_tensors(&again);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* ---- Joining -------------------------------------------------------------- */

#define MANY 24

/* Each run has its own input; whatever batch it is executed in, it gets its own result. */
/* MANY runs at once, several times; gives the largest batch that there was. `urgent`: one of a
 * higher priority goes first each time, so that the others are cut into segments. */
static uint32_t run_many(hsched_runtime *rt, const char *name, hsched_policy policy,
                         int urgent)
{
    hsched_model *reference = on_cpu(rt, name);
    hsched_model *model =
        load(rt, name,
             &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = policy,
                                     .math = HSCHED_MATH_STRICT });
    tensors want[MANY], got[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        want[i] = make_tensors(reference, 100 + i);
        got[i] = make_tensors(model, 100 + i);
        infer(reference, &want[i]);
    }
    uint32_t largest = 0;
    for (int round = 0; round < 12; round++) {
        hsched_run *runs[MANY];
        hsched_binding in[MANY], out[MANY];
        for (uint32_t i = 0; i < MANY; i++) {
            memset(got[i].out, 0xff, got[i].out_bytes);
            in[i] = (hsched_binding)HSCHED_DATA(got[i].in, got[i].in_bytes);
            out[i] = (hsched_binding)HSCHED_DATA(got[i].out, got[i].out_bytes);
            hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in[i],
                                         .outputs = &out[i],
                                         .priority = urgent && i == 0 };
            assert_ok(hsched_submit(model, &config, &runs[i]));
        }
        for (uint32_t i = 0; i < MANY; i++) {
            hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
            assert_ok(hsched_run_wait(runs[i], HSCHED_FOREVER));
            assert_ok(hsched_run_get_times(runs[i], &times));
            largest = times.batch > largest ? times.batch : largest;
            hsched_run_release(runs[i]);
            expect_close(name, &got[i], &want[i], 1e-4);
        }
        assert_ok(hsched_runtime_settle(rt));
    }
    for (uint32_t i = 0; i < MANY; i++) {
        free_tensors(&want[i]);
        free_tensors(&got[i]);
    }
    hsched_model_release(model);
    hsched_model_release(reference);
    return largest;
}

static void joined_runs_keep_their_own_results(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .gpu_streams = 2 });
    static const char *const names[] = { "squeezenet1_1", "mobilenet_v2", "mlp" };
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const uint32_t largest = run_many(rt, names[n], HSCHED_POLICY_GPU_ONLY, 0);
        print_message("# %s: batches of up to %u\n", names[n], largest);
        assert_true(largest >= 4);
    }
    hsched_runtime_destroy(rt);
}

/* Whatever the policy: what one segment leaves is there for the next, of a batch, too. */
static void segments_keep_results(void **state)
{
    (void)state;
    static const hsched_policy policies[] = { HSCHED_POLICY_GPU_ONLY,
                                              HSCHED_POLICY_COST };
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = gpu_runtime_open(&(hsched_runtime_config){
            HSCHED_RUNTIME_CONFIG_INIT, .gpu_streams = 2, .max_segment_us = 30 });
        const uint64_t before = stats_of(rt).pauses;
        const uint32_t largest = run_many(rt, "googlenet", policies[p], 1);
        const uint64_t pauses = stats_of(rt).pauses - before;
        print_message("# policy %d: batches of up to %u, %llu pauses\n", (int)policies[p],
                      largest, (unsigned long long)pauses);
        assert_true(largest >= 4 && pauses > 0);
        hsched_runtime_destroy(rt);
    }
}

static const char *const four[] = { "densenet201", "resnet152", "vgg16", "alexnet" };

/* Runs the four without a limit: what they give, and the memory that they need for it. */
static uint64_t run_unlimited(tensors *want)
{
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *models[4];
    for (int i = 0; i < 4; i++) {
        models[i] = load(rt, four[i], NULL);
        want[i] = make_tensors(models[i], 1);
        infer(models[i], &want[i]);
    }
    const uint64_t needed = stats_of(rt).memory_peak;
    for (int i = 0; i < 4; i++)
        hsched_model_release(models[i]);
    hsched_runtime_destroy(rt);
    return needed;
}

/* A run that went to the CPU is right, too, but not the same to the last digits. */
static void report_restarts(hsched_runtime *rt, const char *name)
{
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    print_message("# %s: %llu runs restarted on the CPU so far\n", name,
                  (unsigned long long)stats.runs_restarted);
}

static void run_limited(hsched_runtime *rt, const tensors *want)
{
    hsched_model *models[4];
    tensors got[4];
    for (int i = 0; i < 4; i++) {
        models[i] = load(rt, four[i], NULL);
        got[i] = make_tensors(models[i], 1);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 4; i++) {
            infer(models[i], &got[i]);
            report_restarts(rt, four[i]);
            expect_close(four[i], &got[i], &want[i], 1e-6); /* the same kernels */
        }
    for (int i = 0; i < 4; i++) {
        free_tensors(&got[i]);
        hsched_model_release(models[i]);
    }
}

static void four_networks_run_in_two_thirds_of_their_memory(void **state)
{
    (void)state;
    tensors want[4];
    const uint64_t limit = run_unlimited(want) * 2 / 3;
    for (int pool = 0; pool < 2; pool++) {
        hsched_runtime *rt = gpu_runtime_open(&(hsched_runtime_config){
            HSCHED_RUNTIME_CONFIG_INIT, .gpu_memory_limit = limit,
            .gpu_pool = pool ? HSCHED_GPU_POOL_FIXED : HSCHED_GPU_POOL_GROWING });
        run_limited(rt, want);
        hsched_device_stats stats = stats_of(rt);
        print_message("# limit %.0f MiB, peak %.0f MiB, %llu evictions\n",
                      limit / 1048576.0, stats.memory_peak / 1048576.0,
                      (unsigned long long)stats.evictions);
        assert_true(stats.memory_peak <= limit);
        assert_true(stats.evictions > 0);
        hsched_runtime_destroy(rt);
    }
    for (int i = 0; i < 4; i++)
        free_tensors(&want[i]);
}

static void nothing_is_taken_once_warm(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *model = load(rt, "resnet50", NULL);
    tensors t = make_tensors(model, 1);
    for (int i = 0; i < 5; i++) {
        infer(model, &t);
        assert_ok(hsched_runtime_settle(rt));
    }
    hsched_device_stats before = stats_of(rt);
    hsched_runtime_stats heap = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &heap));
    uint64_t heap_calls = heap.allocations;
    for (int i = 0; i < 50; i++)
        infer(model, &t);
    hsched_device_stats after = stats_of(rt);
    assert_ok(hsched_runtime_get_stats(rt, &heap));
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.tunings, before.tunings);
    assert_int_equal(after.direct_launches, before.direct_launches);
    assert_int_equal(after.graph_launches, before.graph_launches + 50);
    assert_int_equal(heap.allocations, heap_calls);
    free_tensors(&t);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* The driver's copies, counted. */
static __typeof__(hsi_cuda.cuMemcpyAsync) copy_async;
static __typeof__(hsi_cuda.cuMemcpyHtoDAsync) copy_in_async;
static __typeof__(hsi_cuda.cuGraphAddMemcpyNode) add_copy_node;
static uint32_t copies, copy_nodes;

static CUresult count_copy(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                           CUstream stream)
{
    copies++;
    return copy_async(to, from, bytes, stream);
}

static CUresult count_copy_in(CUdeviceptr to, const void *from, size_t bytes,
                              CUstream stream)
{
    copies++;
    return copy_in_async(to, from, bytes, stream);
}

static CUresult count_copy_node(CUgraphNode *node, CUgraph graph, const CUgraphNode *from,
                                size_t count, const CUDA_MEMCPY3D *params,
                                CUcontext context)
{
    copy_nodes++;
    return add_copy_node(node, graph, from, count, params, context);
}

static void count_copies(int on)
{
    if (on) {
        copy_async = hsi_cuda.cuMemcpyAsync;
        copy_in_async = hsi_cuda.cuMemcpyHtoDAsync;
        add_copy_node = hsi_cuda.cuGraphAddMemcpyNode;
    }
    hsi_cuda.cuMemcpyAsync = on ? count_copy : copy_async;
    hsi_cuda.cuMemcpyHtoDAsync = on ? count_copy_in : copy_in_async;
    hsi_cuda.cuGraphAddMemcpyNode = on ? count_copy_node : add_copy_node;
}

/* Without tuning all that crosses is mapped. */
static void a_mapped_plan_copies_nothing(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    count_copies(1);
    hsched_model *model =
        load(rt, "squeezenet1_1",
             &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                     .policy = HSCHED_POLICY_LAYER_TYPE });
    tensors t = make_tensors(model, 5);
    hsched_buffer *in, *out;
    assert_ok(hsched_buffer_create(rt, t.in_bytes, &in));
    assert_ok(hsched_buffer_create(rt, t.out_bytes, &out));
    hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_BUFFER(out);
    for (int i = 0; i < 8; i++) {
        assert_ok(hsched_infer(model, &b_in, 1, &b_out, 1));
        assert_ok(hsched_runtime_settle(rt));
    }
    copies = 0; /* a table of addresses was sent */
    const uint64_t staged = stats_of(rt).staged_bytes, jobs = stats_of(rt).jobs;
    for (int i = 0; i < 10; i++)
        assert_ok(hsched_infer(model, &b_in, 1, &b_out, 1));
    assert_true(stats_of(rt).jobs > jobs + 10); /* it crossed */
    assert_int_equal(copies, 0);
    assert_int_equal(copy_nodes, 0);
    assert_int_equal(stats_of(rt).staged_bytes, staged);
    hsched_buffer_release(in);
    hsched_buffer_release(out);
    free_tensors(&t);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    count_copies(0);
}

static void buffers_are_used_where_they_are(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *model = load(rt, "squeezenet1_1", NULL);
    tensors want = make_tensors(model, 9), got = make_tensors(model, 9);
    infer(model, &want);
    uint64_t staged = stats_of(rt).staged_bytes;
    assert_int_equal(staged, want.in_bytes + want.out_bytes);

    hsched_buffer *in, *out, *wrapped;
    void *data;
    assert_ok(hsched_buffer_create(rt, want.in_bytes, &in));
    assert_ok(hsched_buffer_map(in, &data));
    memcpy(data, want.in, want.in_bytes);
    assert_ok(hsched_buffer_wrap(rt, got.out, got.out_bytes, NULL, NULL, &wrapped));
    hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_BUFFER(wrapped);
    memset(got.out, 0xff, got.out_bytes);
    assert_ok(hsched_infer(model, &b_in, 1, &b_out, 1));
    assert_memory_equal(got.out, want.out, want.out_bytes);
    assert_int_equal(stats_of(rt).staged_bytes, staged);

    /* Outputs in the GPU's memory feed another run's CPU layers, too. */
    assert_ok(hsched_buffer_create_on(rt, GPU, want.out_bytes, &out));
    assert_fails(hsched_buffer_map(out, &data), HSCHED_ERROR_UNSUPPORTED, "create");
    assert_true(hsched_buffer_device_address(out) != 0);
    hsched_binding b_gpu = HSCHED_BUFFER(out);
    assert_ok(hsched_infer(model, &b_in, 1, &b_gpu, 1));
    assert_int_equal(stats_of(rt).staged_bytes, staged);
    hsched_graph *g;
    hsched_tensor x, y;
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_ok(hsched_model_output_info(model, 0, &info));
    assert_ok(hsched_graph_create("negate", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, info.rank, info.dims, &x));
    assert_ok(hsched_graph_add_activation(
        g, "y", x, (hsched_activation){ .kind = HSCHED_ACTIVATION_NEG }, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsched_model *negate;
    assert_ok(
        hsched_model_compile(rt, g,
                             &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                                     .policy = HSCHED_POLICY_CPU_ONLY },
                             &negate));
    hsched_graph_destroy(g);
    b_out = (hsched_binding)HSCHED_DATA(got.out, got.out_bytes);
    assert_ok(hsched_infer(negate, &b_gpu, 1, &b_out, 1));
    for (size_t i = 0; i < want.out_bytes / sizeof(float); i++)
        assert_true(got.out[i] == -want.out[i]);
    hsched_model_release(negate);
    hsched_buffer_release(in);
    hsched_buffer_release(out);
    hsched_buffer_release(wrapped);
    free_tensors(&want);
    free_tensors(&got);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* Memory that processes share, at an offset that no page begins at. */
static void shared_memory_is_used_where_it_is(void **state)
{
    (void)state;
    enum {
        AT = 4096 + 256
    };
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *model = load(rt, "squeezenet1_1", NULL);
    tensors want = make_tensors(model, 9), got = make_tensors(model, 9);
    infer(model, &want);
    const uint64_t staged = stats_of(rt).staged_bytes;
    int in_fd = memfd_create("hsched-in", 0), out_fd = memfd_create("hsched-out", 0);
    assert_int_equal(ftruncate(out_fd, (off_t)(AT + want.out_bytes)), 0);
    assert_int_equal(pwrite(in_fd, want.in, want.in_bytes, AT), want.in_bytes);
    hsched_buffer *in, *out;
    assert_ok(hsched_buffer_import_fd(rt, in_fd, AT, want.in_bytes, 0, &in));
    assert_ok(hsched_buffer_import_fd(rt, out_fd, AT, want.out_bytes, 0, &out));
    hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_BUFFER(out);
    assert_ok(hsched_infer(model, &b_in, 1, &b_out, 1));
    assert_int_equal(pread(out_fd, got.out, want.out_bytes, AT), want.out_bytes);
    assert_memory_equal(got.out, want.out, want.out_bytes);
    assert_int_equal(stats_of(rt).staged_bytes, staged);
    hsched_buffer_release(in);

    /* In place or by way of a copy, as the driver likes it. */
    assert_ok(hsched_buffer_import_fd(rt, in_fd, AT, want.in_bytes,
                                      HSCHED_IMPORT_READ_ONLY, &in));
    b_in.buffer = in;
    memset(got.out, 0xff, got.out_bytes);
    assert_int_equal(pwrite(out_fd, got.out, want.out_bytes, AT), want.out_bytes);
    assert_ok(hsched_infer(model, &b_in, 1, &b_out, 1));
    assert_int_equal(pread(out_fd, got.out, want.out_bytes, AT), want.out_bytes);
    assert_memory_equal(got.out, want.out, want.out_bytes);
    printf("memory that may only be read: %s\n",
           stats_of(rt).staged_bytes == staged ? "in place" : "copied");
    hsched_buffer_release(in);
    hsched_buffer_release(out);
    close(in_fd);
    close(out_fd);
    free_tensors(&want);
    free_tensors(&got);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void events_order_runs_with_the_users_streams(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *model = load(rt, "squeezenet1_1", NULL);
    tensors t = make_tensors(model, 9);
    infer(model, &t);
    CUcontext context;
    CUdevice device;
    CUstream stream;
    CUevent event;
    assert_int_equal(hsi_cuda.cuDeviceGet(&device, 0), CUDA_SUCCESS);
    assert_int_equal(hsi_cuda.cuDevicePrimaryCtxRetain(&context, device), CUDA_SUCCESS);
    assert_int_equal(hsi_cuda.cuCtxPushCurrent(context), CUDA_SUCCESS);
    assert_int_equal(
        hsi_cuda.cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, 0),
        CUDA_SUCCESS);
    assert_int_equal(hsi_cuda.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING),
                     CUDA_SUCCESS);
    hsched_buffer *in, *out;
    assert_ok(hsched_buffer_create_on(rt, GPU, t.in_bytes, &in));
    assert_ok(hsched_buffer_create_on(rt, GPU, t.out_bytes, &out));
    float *result = malloc(t.out_bytes);
    for (int round = 0; round < 20; round++) {
        CUdeviceptr to = hsched_buffer_device_address(in);
        /* Wrong input first, the right one only just before the event. */
        assert_int_equal(hsi_cuda.cuMemsetD8Async(to, 0x7f, t.in_bytes, stream),
                         CUDA_SUCCESS);
        assert_int_equal(hsi_cuda.cuMemcpyHtoDAsync(to, t.in, t.in_bytes, stream),
                         CUDA_SUCCESS);
        assert_int_equal(hsi_cuda.cuEventRecord(event, stream), CUDA_SUCCESS);
        hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_BUFFER(out);
        hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &b_in,
                                     .outputs = &b_out, .wait_event = event };
        hsched_run *run;
        void *ended;
        assert_ok(hsched_submit(model, &config, &run));
        assert_ok(hsched_run_get_event(run, &ended));
        assert_int_equal(hsi_cuda.cuStreamWaitEvent(stream, ended, 0), CUDA_SUCCESS);
        assert_int_equal(hsi_cuda.cuMemcpyDtoHAsync(result,
                                                    hsched_buffer_device_address(out),
                                                    t.out_bytes, stream),
                         CUDA_SUCCESS);
        assert_int_equal(hsi_cuda.cuStreamSynchronize(stream), CUDA_SUCCESS);
        assert_memory_equal(result, t.out, t.out_bytes);
        assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
        hsched_run_release(run);
    }
    free(result);
    hsched_buffer_release(in);
    hsched_buffer_release(out);
    hsi_cuda.cuEventDestroy(event);
    hsi_cuda.cuStreamDestroy(stream);
    hsi_cuda.cuCtxPopCurrent(&context);
    hsi_cuda.cuDevicePrimaryCtxRelease(device);
    free_tensors(&t);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* ---- A part of the GPU ---------------------------------------------------- */

static void a_partition_confines_the_runtime(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .gpu_sm_count = 8 });
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(rt, GPU, &info));
    print_message("# 8 multiprocessors asked for, %u of %u given\n", info.sm_count,
                  info.sm_total);
    assert_true(info.sm_count >= 8 && info.sm_count < info.sm_total);
    hsched_model *reference = on_cpu(rt, "resnet18");
    hsched_model *model = load(rt, "resnet18", NULL);
    tensors want = make_tensors(reference, 1), got = make_tensors(model, 1);
    infer(reference, &want);
    for (int i = 0; i < 3; i++) {
        infer(model, &got);
        expect_close("resnet18 on a partition", &got, &want, 1e-2);
        assert_ok(hsched_runtime_settle(rt));
    }
    free_tensors(&want);
    free_tensors(&got);
    hsched_model_release(model);
    hsched_model_release(reference);
    hsched_runtime_destroy(rt);
}

/* ---- Failing calls -------------------------------------------------------- */

/* Whatever call fails for want of memory, loading and running still give the right result. */
static void a_failing_call_costs_no_run(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *reference = on_cpu(rt, "squeezenet1_1");
    tensors want = make_tensors(reference, 1), got = make_tensors(reference, 1);
    infer(reference, &want);
    uint64_t k = 1, step = 1;
    for (int rounds = 0; rounds < 16; rounds++, k += step, step += rounds / 4) {
        hsi_cuda_fail_call(k, 0);
        hsched_model *model = load(rt, "squeezenet1_1", NULL);
        infer(model, &got);
        expect_close("while loading", &got, &want, 5e-2);
        infer(model, &got);
        expect_close("after loading", &got, &want, 5e-2);
        hsi_cuda_fail_call(0, 0);
        hsched_model_release(model);
    }
    hsched_model *model = load(rt, "squeezenet1_1", NULL);
    for (k = 1; k < 16; k++) {
        hsi_cuda_fail_call(k, 0);
        infer(model, &got);
        expect_close("while running", &got, &want, 5e-2);
        hsi_cuda_fail_call(0, 0);
    }
    free_tensors(&want);
    free_tensors(&got);
    hsched_model_release(model);
    hsched_model_release(reference);
    hsched_runtime_destroy(rt);
}

/* A poisoned context retires the GPU: every run ends, on the CPU. Last: it stays retired. */
static void a_lost_gpu_costs_no_run(void **state)
{
    (void)state;
    hsched_runtime *rt = gpu_runtime_open(NULL);
    hsched_model *model = load(
        rt, "resnet18",
        &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .math = HSCHED_MATH_STRICT });
    hsched_model *mixed = load(rt, "resnet18",
                               &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                                       .policy = HSCHED_POLICY_LAYER_TYPE,
                                                       .math = HSCHED_MATH_STRICT });
    hsched_model *reference = on_cpu(rt, "resnet18");
    tensors want = make_tensors(reference, 1);
    infer(reference, &want);
    hsched_run *runs[MANY];
    tensors got[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        hsched_model *m = i % 2 ? mixed : model;
        got[i] = make_tensors(m, 1);
        hsched_binding in = HSCHED_DATA(got[i].in, got[i].in_bytes);
        hsched_binding out = HSCHED_DATA(got[i].out, got[i].out_bytes);
        hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                     .outputs = &out };
        if (i == 8)
            hsi_cuda_fail_call(5, 1);
        assert_ok(hsched_submit(m, &config, &runs[i]));
    }
    for (uint32_t i = 0; i < MANY; i++) {
        assert_ok(hsched_run_wait(runs[i], HSCHED_FOREVER));
        hsched_run_release(runs[i]);
        expect_close("resnet18 around the loss", &got[i], &want, 2e-4);
        free_tensors(&got[i]);
    }
    /* The call that failed may have been one that only background work makes. */
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(rt, GPU, &info));
    for (uint64_t k = 1; k < 50 && !info.lost; k++) {
        tensors more = make_tensors(model, 1);
        hsi_cuda_fail_call(k, 1);
        infer(model, &more);
        expect_close("resnet18 around the loss", &more, &want, 2e-4);
        free_tensors(&more);
        assert_ok(hsched_runtime_device_info(rt, GPU, &info));
    }
    hsi_cuda_fail_call(0, 0);
    assert_true(info.lost);
    free_tensors(&want);
    hsched_model_release(model);
    hsched_model_release(mixed);
    hsched_model_release(reference);
    hsched_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_gives_the_cpus_results),
        cmocka_unit_test(steps_can_be_started_one_by_one),
        cmocka_unit_test(layer_type_shares_a_run_with_the_cpu),
        cmocka_unit_test(deterministic_runs_are_bit_equal),
        cmocka_unit_test(joined_runs_keep_their_own_results),
        cmocka_unit_test(segments_keep_results),
        cmocka_unit_test(four_networks_run_in_two_thirds_of_their_memory),
        cmocka_unit_test(nothing_is_taken_once_warm),
        cmocka_unit_test(a_mapped_plan_copies_nothing),
        cmocka_unit_test(buffers_are_used_where_they_are),
        cmocka_unit_test(shared_memory_is_used_where_it_is),
        cmocka_unit_test(events_order_runs_with_the_users_streams),
        cmocka_unit_test(a_partition_confines_the_runtime),
        cmocka_unit_test(a_failing_call_costs_no_run),
        cmocka_unit_test(a_lost_gpu_costs_no_run),
    };
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    return cmocka_run_group_tests_name("runtime with a GPU", tests, NULL, NULL);
}
