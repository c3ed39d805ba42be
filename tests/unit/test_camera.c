/* Camera frames: uint8 HWC in, a normalised float image inside; saved and loaded again. */
#include "common/support.h"

#include <math.h>
#include <unistd.h>

enum {
    H = 5,
    W = 7
};

static void infer(hsched_runtime *rt, hsched_graph *g, const uint8_t *frame, size_t size,
                  float *y, size_t y_size)
{
    hsched_model *model;
    hsched_binding in = HSCHED_DATA(frame, size), out = HSCHED_DATA(y, y_size);
    memset(y, 0xff, y_size);
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_model_release(model);
}

static void a_frame_with(int channels, int swap)
{
    hsched_runtime *rt;
    hsched_graph *g, *again;
    hsched_tensor y;
    uint8_t frame[H * W * 4];
    float made[4 * H * W], reloaded[4 * H * W];
    char path[] = "/tmp/hsched-camera-XXXXXX";
    size_t frame_size = (size_t)(H * W * channels);
    size_t size = frame_size * sizeof(float);
    hsched_image_config config = { HSCHED_IMAGE_CONFIG_INIT, .mean = { 10, 20, 30, 40 },
                                   .scale = { 0.5f, 0.25f, 2, 1 },
                                   .swap_red_blue = swap };
    for (int i = 0; i < H * W * 4; i++)
        frame[i] = (uint8_t)(i * 37);
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_graph_create("camera", &g));
    assert_ok(hsched_graph_add_image_input(g, "frame", 1, H, W, channels, &config, &y));
    assert_ok(hsched_graph_add_output(g, y));
    infer(rt, g, frame, frame_size, made, size);
    for (int c = 0; c < channels; c++)
        for (int p = 0; p < H * W; p++) {
            int from = swap && c < 3 ? 2 - c : c;
            float expected =
                ((float)frame[p * channels + from] - config.mean[c]) * config.scale[c];
            assert_true(fabsf(made[c * H * W + p] - expected) < 1e-4f);
        }
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(hsched_graph_save_onnx(g, path));
    assert_ok(hsched_graph_load_onnx(path, NULL, &again));
    unlink(path);
    infer(rt, again, frame, frame_size, reloaded, size);
    for (size_t i = 0; i < frame_size; i++)
        assert_true(fabsf(reloaded[i] - made[i]) < 1e-4f);
    hsched_graph_destroy(g);
    hsched_graph_destroy(again);
    hsched_runtime_destroy(rt);
}

static void every_form_of_frame(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 4; channels++)
        a_frame_with(channels, 0);
    a_frame_with(3, 1);
    a_frame_with(4, 1);
}

/* An input of a network that wants floats is turned into a camera frame. */
static void an_input_becomes_a_frame(void **state)
{
    (void)state;
    enum {
        SIZE = 16
    };
    hsched_runtime *rt;
    uint8_t frame[SIZE * SIZE * 3];
    float x[3 * SIZE * SIZE], expected[10], y[10];
    hsched_image_config config = { HSCHED_IMAGE_CONFIG_INIT, .mean = { 127, 127, 127 },
                                   .scale = { 1.0f / 128, 1.0f / 128, 1.0f / 128 } };
    for (int i = 0; i < SIZE * SIZE * 3; i++)
        frame[i] = (uint8_t)(i * 31);
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < SIZE * SIZE; p++)
            x[c * SIZE * SIZE + p] = ((float)frame[p * 3 + c] - 127) / 128;
    assert_ok(hsched_runtime_create(NULL, &rt));
    hsched_graph *g = tiny_network(SIZE, 3);
    infer(rt, g, (const uint8_t *)x, sizeof x, expected, sizeof expected);
    hsched_graph_destroy(g);
    g = tiny_network(SIZE, 3);
    assert_ok(hsched_graph_convert_input_to_image(g, "x", &config));
    infer(rt, g, frame, sizeof frame, y, sizeof y);
    for (int i = 0; i < 10; i++)
        assert_true(fabsf(y[i] - expected[i]) < 1e-5f);
    hsched_graph_destroy(g);
    hsched_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_frame),
        cmocka_unit_test(an_input_becomes_a_frame),
    };
    return cmocka_run_group_tests_name("camera", tests, NULL, NULL);
}
