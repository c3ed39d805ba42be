/*
 * A network built layer by layer: two Sobel filters, their sizes added up, and the
 * strongest answer of each 2x2 kept. It finds the edges of a disc; the filters' answers
 * are looked at through a tap.
 *
 *     build/examples/03_graph [FILE.onnx]      writes the network to the file, if one is
 * given
 */
#include <hsched/hsched.h>
#include <stdio.h>

enum {
    HEIGHT = 32,
    WIDTH = 64
};

static int check(hsched_status status, const char *what)
{
    if (status != HSCHED_OK)
        fprintf(stderr, "%s: %s\n%s\n", what, hsched_status_text(status),
                hsched_error_detail());
    return status == HSCHED_OK;
}

/* image [1,1,32,64] -> sobel [1,2,32,64] -> size -> sum [1,1,32,64] -> edges [1,1,16,32]
 */
static int build(hsched_graph *graph)
{
    static const float sobel[2][9] = { { -1, 0, 1, -2, 0, 2, -1, 0, 1 },
                                       { -1, -2, -1, 0, 0, 0, 1, 2, 1 } };
    static const float ones[2] = { 0.125f, 0.125f };
    const hsched_conv2d_config same = { HSCHED_CONV2D_CONFIG_INIT,
                                        .pads = { 1, 1, 1, 1 } };
    const hsched_pool2d_config halve = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 2, 2 },
                                         .strides = { 2, 2 } };
    const hsched_activation size = { .kind = HSCHED_ACTIVATION_ABS };
    hsched_tensor x, weights, sum;
    return check(hsched_graph_add_input(graph, "image", HSCHED_FLOAT32, 4,
                                        (const int64_t[]){ 1, 1, HEIGHT, WIDTH }, &x),
                 "image") &&
           check(hsched_graph_add_constant(graph, "sobel.weight", HSCHED_FLOAT32, 4,
                                           (const int64_t[]){ 2, 1, 3, 3 }, sobel,
                                           sizeof sobel, HSCHED_DATA_BORROW, &weights),
                 "sobel.weight") &&
           check(hsched_graph_add_constant(graph, "sum.weight", HSCHED_FLOAT32, 4,
                                           (const int64_t[]){ 1, 2, 1, 1 }, ones,
                                           sizeof ones, HSCHED_DATA_BORROW, &sum),
                 "sum.weight") &&
           check(hsched_graph_add_conv2d(graph, "sobel", x, weights, HSCHED_NO_TENSOR,
                                         &same, &x),
                 "sobel") &&
           check(hsched_graph_add_activation(graph, "size", x, size, &x), "size") &&
           check(
               hsched_graph_add_conv2d(graph, "sum", x, sum, HSCHED_NO_TENSOR, NULL, &x),
               "sum") &&
           check(hsched_graph_add_pool2d(graph, "edges", HSCHED_POOL_MAX, x, &halve, &x),
                 "edges") &&
           check(hsched_graph_add_output(graph, x), "output");
}

static void draw_disc(float image[HEIGHT][WIDTH])
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            int dy = 2 * y - HEIGHT + 1, dx = x - WIDTH / 2;
            image[y][x] = dx * dx + dy * dy < 24 * 24 ? 1.0f : 0.0f;
        }
}

int main(int argc, char **argv)
{
    static float image[HEIGHT][WIDTH], edges[HEIGHT / 2][WIDTH / 2],
        sobel[2][HEIGHT][WIDTH];
    hsched_runtime *runtime = NULL;
    hsched_graph *graph = NULL;
    hsched_model *model = NULL;
    const char *const taps[] = { "sobel" };
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT, .taps = taps,
                                   .tap_count = 1 };
    draw_disc(image);

    int ok = check(hsched_graph_create("edges", &graph), "graph") && build(graph) &&
             (argc < 2 || check(hsched_graph_save_onnx(graph, argv[1]), argv[1])) &&
             check(hsched_runtime_create(NULL, &runtime), "runtime") &&
             check(hsched_model_compile(runtime, graph, &config, &model), "compile");
    /* The model took what it needs. */
    hsched_graph_destroy(graph);

    hsched_binding in = HSCHED_DATA(image, sizeof image);
    hsched_binding out[] = { HSCHED_DATA(edges, sizeof edges),
                             HSCHED_DATA(sobel, sizeof sobel) };
    ok = ok && check(hsched_infer(model, &in, 1, out, 2), "run");
    for (int y = 0; y < HEIGHT / 2 && ok; y++) {
        for (int x = 0; x < WIDTH / 2; x++)
            putchar(edges[y][x] > 0.5f ? '#' : edges[y][x] > 0.2f ? '+' : '.');
        putchar('\n');
    }
    float left_to_right = 0;
    for (int x = 0; x < WIDTH && ok; x++)
        if (sobel[0][HEIGHT / 2][x] > left_to_right)
            left_to_right = sobel[0][HEIGHT / 2][x];
    if (ok)
        printf("the strongest step from dark to bright in the middle row: %g\n",
               (double)left_to_right);
    hsched_model_release(model);
    hsched_runtime_destroy(runtime);
    return ok ? 0 : 1;
}
