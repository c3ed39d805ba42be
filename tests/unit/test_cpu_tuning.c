/* Which kernel of the CPU a convolution or a product gets: by rules, by measuring, by what was
 * measured. */
#include "common/support.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "backend/cpu/bf16.h"

#define CHANNELS 32
#define SIDE     16

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hsched-tuning-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *file_path(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file_path("cpu-tuning.txt"));
    unlink(file_path("cpu-tuning.lock"));
    return rmdir(folder);
}

/* x of ones through a 3x3 convolution whose weights are 1/(9 * CHANNELS): ones inside. */
static hsched_graph *one_convolution(void)
{
    static float weights[CHANNELS * CHANNELS * 9];
    const int64_t dims[] = { 1, CHANNELS, SIDE, SIDE },
                  weight_dims[] = { CHANNELS, CHANNELS, 3, 3 };
    const hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT,
                                          .pads = { 1, 1, 1, 1 } };
    hsched_graph *g;
    hsched_tensor x, w, y;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = 1.0f / (9 * CHANNELS);
    assert_ok(hsched_graph_create("net", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4, dims, &x));
    assert_ok(hsched_graph_add_constant(g, "w", HSCHED_FLOAT32, 4, weight_dims, weights,
                                        sizeof weights, HSCHED_DATA_BORROW, &w));
    assert_ok(hsched_graph_add_conv2d(g, "conv", x, w, HSCHED_NO_TENSOR, &config, &y));
    assert_ok(hsched_graph_add_output(g, y));
    return g;
}

/* The name of the convolution's kernel, after a run that gave the right result. */
static const char *kernel_of(hsched_cpu_tuning tuning, hsched_math math)
{
    static char name[64];
    static float x[CHANNELS * SIDE * SIDE], y[CHANNELS * SIDE * SIDE];
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                           .policy = HSCHED_POLICY_CPU_ONLY,
                                           .cpu_tuning = tuning, .cache_dir = folder };
    const hsched_model_config model_config = { HSCHED_MODEL_CONFIG_INIT, .math = math };
    hsched_graph *g = one_convolution();
    hsched_runtime *rt;
    hsched_model *model;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = 1;
    assert_ok(hsched_runtime_create(&config, &rt));
    assert_ok(hsched_model_compile(rt, g, &model_config, &model));
    const hsched_binding in = HSCHED_DATA(x, sizeof x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    for (size_t i = SIDE + 1; i < SIDE * SIDE - SIDE - 1; i++)
        if (i % SIDE > 0 && i % SIDE < SIDE - 1)
            assert_true(fabsf(y[i] - 1) < (math == HSCHED_MATH_BF16 ? 1e-2f : 1e-4f));
    hsched_step_info step = { HSCHED_STEP_INFO_INIT };
    name[0] = '\0';
    for (uint32_t i = 0; hsched_model_step_info(model, i, &step) == HSCHED_OK; i++)
        if (strcmp(step.kind, "conv2d") == 0)
            snprintf(name, sizeof name, "%s", step.kernel);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
    return name;
}

static int is_winograd(const char *kernel)
{
    return strncmp(kernel, "own/winograd", 12) == 0; /* whatever the tile */
}

static void rules_go_by_the_shape_and_by_math(void **state)
{
    (void)state;
    assert_string_equal(kernel_of(HSCHED_CPU_TUNING_NONE, HSCHED_MATH_DEFAULT),
                        "own/winograd");
    assert_false(is_winograd(kernel_of(HSCHED_CPU_TUNING_NONE, HSCHED_MATH_STRICT)));
    assert_int_not_equal(access(file_path("cpu-tuning.txt"), F_OK), 0);
}

static void strict_math_is_measured_without_winograd(void **state)
{
    (void)state;
    assert_false(is_winograd(kernel_of(HSCHED_CPU_TUNING_MEASURE, HSCHED_MATH_STRICT)));
}

/* Replaces the one choice in the file; the texts have the same length or more room behind. */
static void rewrite_choice(const char *kernel)
{
    char text[4096], *at[5];
    FILE *file = fopen(file_path("cpu-tuning.txt"), "r+");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    at[0] = strchr(text, '\n');
    for (int i = 1; i < 5; i++) {
        at[i] = strchr(at[i - 1] + 1, '\t');
        assert_non_null(at[i]);
    }
    char *rest = strdup(at[3]);
    rewind(file);
    fprintf(file, "%.*s\t%s%s", (int)(at[2] - text), text, kernel, rest);
    assert_int_equal(ftruncate(fileno(file), ftell(file)), 0);
    assert_int_equal(fclose(file), 0);
    free(rest);
}

static void choices_are_kept_and_followed(void **state)
{
    (void)state;
    const char *measured = kernel_of(HSCHED_CPU_TUNING_MEASURE, HSCHED_MATH_DEFAULT);
    assert_true(measured[0] != '\0');
    assert_int_equal(access(file_path("cpu-tuning.txt"), R_OK), 0);
    rewrite_choice("openblas/im2col");
    assert_string_equal(kernel_of(HSCHED_CPU_TUNING_NONE, HSCHED_MATH_DEFAULT),
                        "openblas/im2col");
    assert_string_equal(kernel_of(HSCHED_CPU_TUNING_MEASURE, HSCHED_MATH_DEFAULT),
                        "openblas/im2col");
    /* Kernels come and go. */
    rewrite_choice("own/forgotten");
    assert_string_equal(kernel_of(HSCHED_CPU_TUNING_NONE, HSCHED_MATH_DEFAULT),
                        "own/winograd");
}

static int file_has(const char *what)
{
    char text[4096];
    FILE *file = fopen(file_path("cpu-tuning.txt"), "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return strstr(text, what) != NULL;
}

/* What was measured for float32 says nothing of it, nor the other way round. */
static void bfloat16_is_measured_apart(void **state)
{
    (void)state;
    kernel_of(HSCHED_CPU_TUNING_MEASURE, HSCHED_MATH_DEFAULT);
    rewrite_choice("openblas/im2col");
    const char *kernel = kernel_of(HSCHED_CPU_TUNING_MEASURE, HSCHED_MATH_BF16);
    assert_int_equal(file_has(":bf16"), hsi_cpu_has_bf16());
    if (!hsi_cpu_has_bf16())
        assert_string_equal(kernel, "openblas/im2col");
    assert_string_equal(kernel_of(HSCHED_CPU_TUNING_MEASURE, HSCHED_MATH_FP16),
                        "openblas/im2col");
}

/* Has a runtime measure y = x * weights, rows of ones of `depth` floats, and checks y. */
static void multiply(int64_t rows, int64_t depth, int64_t columns)
{
    const int64_t dims[] = { rows, depth }, weight_dims[] = { columns, depth };
    const size_t x_size = (size_t)(rows * depth) * sizeof(float),
                 w_size = (size_t)(columns * depth) * sizeof(float),
                 y_size = (size_t)(rows * columns) * sizeof(float);
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                           .policy = HSCHED_POLICY_CPU_ONLY,
                                           .cache_dir = folder };
    const hsched_model_config model_config = { HSCHED_MODEL_CONFIG_INIT };
    float *x = malloc(x_size), *weights = malloc(w_size), *y = malloc(y_size);
    hsched_runtime *rt;
    hsched_model *model;
    hsched_graph *g;
    hsched_tensor in, w, out;
    assert_true(x && weights && y);
    for (int64_t i = 0; i < rows * depth; i++)
        x[i] = 1;
    for (int64_t i = 0; i < columns * depth; i++)
        weights[i] = 1.0f / (float)depth;
    assert_ok(hsched_graph_create("net", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, dims, &in));
    assert_ok(hsched_graph_add_constant(g, "w", HSCHED_FLOAT32, 2, weight_dims, weights,
                                        w_size, HSCHED_DATA_BORROW, &w));
    assert_ok(hsched_graph_add_fully_connected(g, "fc", in, w, HSCHED_NO_TENSOR, &out));
    assert_ok(hsched_graph_add_output(g, out));
    assert_ok(hsched_runtime_create(&config, &rt));
    assert_ok(hsched_model_compile(rt, g, &model_config, &model));
    const hsched_binding given = HSCHED_DATA(x, x_size), taken = HSCHED_DATA(y, y_size);
    assert_ok(hsched_infer(model, &given, 1, &taken, 1));
    for (int64_t i = 0; i < rows * columns; i++)
        assert_true(y[i] > 0.9999f && y[i] < 1.0001f);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
    free(x);
    free(weights);
    free(y);
}

/* One with so many weights that it waits for them is not measured. */
static void products_are_measured_but_for_long_rows(void **state)
{
    (void)state;
    char text[4096];
    multiply(1, 1024, 600);
    assert_int_not_equal(access(file_path("cpu-tuning.txt"), F_OK), 0);
    multiply(1, 64, 100);
    multiply(5, 1024, 600);
    FILE *file = fopen(file_path("cpu-tuning.txt"), "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(text, "\tfc:x1x64/0:y100/0:"));
    assert_non_null(strstr(text, "\tfc:x5x1024/1024:y600/600:"));
    assert_null(strstr(text, "\tfc:x1x1024"));
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(rules_go_by_the_shape_and_by_math),
        IN_A_FOLDER(strict_math_is_measured_without_winograd),
        IN_A_FOLDER(choices_are_kept_and_followed),
        IN_A_FOLDER(bfloat16_is_measured_apart),
        IN_A_FOLDER(products_are_measured_but_for_long_rows),
    };
    return cmocka_run_group_tests_name("cpu tuning", tests, NULL, NULL);
}
