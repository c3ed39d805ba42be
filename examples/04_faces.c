/*
 * Finds faces in a photo with a detector of two outputs: scores [1,n,2] (no face, face)
 * and boxes [1,n,4] (left, top, right, bottom, as parts of the image). Such as the models
 * of github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB.
 *
 *     build/examples/04_faces MODEL.onnx PHOTO.jpg [--out ANNOTATED.jpg]
 *
 * The photo goes in as bytes: the graph's float input is turned into a camera-frame
 * input, and the library does (pixel - 127) / 128 and the change of layout.
 */
#include <hsched/hsched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

enum {
    FACES_MAX = 1024,
    BYTES_MAX = 256 << 20
};
#define SCORE_MIN 0.7f
#define IOU_MAX   0.5f

typedef struct image {
    unsigned char *rgb; /* [height][width][3] */
    int width, height;
} image;

typedef struct face {
    float left, top, right, bottom, score;
} face;

static int check(hsched_status status, const char *what)
{
    if (status != HSCHED_OK)
        fprintf(stderr, "%s: %s\n%s\n", what, hsched_status_text(status),
                hsched_error_detail());
    return status == HSCHED_OK;
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    long length = -1;
    if (file && fseek(file, 0, SEEK_END) == 0)
        length = ftell(file);
    if (length > 0 && length <= BYTES_MAX && fseek(file, 0, SEEK_SET) == 0)
        bytes = malloc((size_t)length);
    if (bytes && fread(bytes, (size_t)length, 1, file) != 1) {
        free(bytes);
        bytes = NULL;
    }
    if (!bytes)
        fprintf(stderr, "%s could not be read\n", path);
    if (file)
        fclose(file);
    *size = bytes ? (size_t)length : 0;
    return bytes;
}

static int load_jpeg(const char *path, image *photo)
{
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    tjhandle jpeg = tjInitDecompress();
    int subsampling, colorspace, ok = 0;
    if (bytes && jpeg &&
        tjDecompressHeader3(jpeg, bytes, size, &photo->width, &photo->height,
                            &subsampling, &colorspace) == 0) {
        photo->rgb = malloc((size_t)photo->width * (size_t)photo->height * 3);
        ok =
            photo->rgb && tjDecompress2(jpeg, bytes, size, photo->rgb, photo->width, 0,
                                        photo->height, TJPF_RGB, TJFLAG_ACCURATEDCT) == 0;
    }
    if (bytes && !ok)
        fprintf(stderr, "%s: %s\n", path, tjGetErrorStr2(jpeg));
    if (jpeg)
        tjDestroy(jpeg);
    free(bytes);
    return ok;
}

static int save_jpeg(const char *path, const image *photo)
{
    tjhandle jpeg = tjInitCompress();
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    int ok = jpeg && tjCompress2(jpeg, photo->rgb, photo->width, 0, photo->height,
                                 TJPF_RGB, &bytes, &size, TJSAMP_444, 92, 0) == 0;
    FILE *file = ok ? fopen(path, "wb") : NULL;
    ok = file && fwrite(bytes, size, 1, file) == 1;
    if (file && fclose(file) != 0)
        ok = 0;
    if (!ok)
        fprintf(stderr, "%s could not be written\n", path);
    tjFree(bytes);
    if (jpeg)
        tjDestroy(jpeg);
    return ok;
}

/* Where output pixel i of `to` lies among `from` pixels: between `lower` and the next,
 * `part` of the way; centres of pixels are compared, as OpenCV does. */
static void sample(int i, int from, int to, int *lower, int *upper, float *part)
{
    float at = ((float)i + 0.5f) * (float)from / (float)to - 0.5f;
    at = at < 0 ? 0 : at;
    *lower = (int)at < from - 1 ? (int)at : from - 1;
    *upper = *lower + 1 < from ? *lower + 1 : *lower;
    *part = at - (float)*lower;
}

static void resize(const image *from, const image *to)
{
    for (int y = 0; y < to->height; y++) {
        int y0, y1;
        float fy;
        sample(y, from->height, to->height, &y0, &y1, &fy);
        const unsigned char *row0 = from->rgb + (size_t)y0 * (size_t)from->width * 3;
        const unsigned char *row1 = from->rgb + (size_t)y1 * (size_t)from->width * 3;
        for (int x = 0; x < to->width; x++) {
            int x0, x1;
            float fx;
            sample(x, from->width, to->width, &x0, &x1, &fx);
            for (int c = 0; c < 3; c++) {
                float above =
                    (float)row0[3 * x0 + c] * (1 - fx) + (float)row0[3 * x1 + c] * fx;
                float below =
                    (float)row1[3 * x0 + c] * (1 - fx) + (float)row1[3 * x1 + c] * fx;
                to->rgb[3 * ((size_t)y * (size_t)to->width + (size_t)x) + (size_t)c] =
                    (unsigned char)(above * (1 - fy) + below * fy + 0.5f);
            }
        }
    }
}

static float intersection_over_union(const face *a, const face *b)
{
    float left = a->left > b->left ? a->left : b->left;
    float top = a->top > b->top ? a->top : b->top;
    float right = a->right < b->right ? a->right : b->right;
    float bottom = a->bottom < b->bottom ? a->bottom : b->bottom;
    if (right <= left || bottom <= top)
        return 0;
    float both = (right - left) * (bottom - top);
    return both / ((a->right - a->left) * (a->bottom - a->top) +
                   (b->right - b->left) * (b->bottom - b->top) - both);
}

static int by_score(const void *a, const void *b)
{
    float x = ((const face *)a)->score, y = ((const face *)b)->score;
    return (x < y) - (x > y);
}

/* Non-maximum suppression: of faces that overlap, the best stays. Gives how many are
 * left. */
static int keep_best(face *faces, int count)
{
    int kept = 0;
    qsort(faces, (size_t)count, sizeof *faces, by_score);
    for (int i = 0; i < count; i++) {
        int covered = 0;
        for (int k = 0; k < kept && !covered; k++)
            covered = intersection_over_union(&faces[i], &faces[k]) > IOU_MAX;
        if (!covered)
            faces[kept++] = faces[i];
    }
    return kept;
}

/* A coordinate as a pixel inside the image, whatever the detector says (NaN included). */
static int clamp(float part, int size)
{
    float at = part * (float)size + 0.5f;
    if (!(at > 0))
        return 0;
    return at < (float)size ? (int)at : size - 1;
}

static void draw_box(const image *photo, const face *box)
{
    int left = clamp(box->left, photo->width), right = clamp(box->right, photo->width);
    int top = clamp(box->top, photo->height), bottom = clamp(box->bottom, photo->height);
    int thick = 1 + photo->width / 400;
    static const unsigned char green[3] = { 0, 255, 0 };
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++)
            if (x < left + thick || x > right - thick || y < top + thick ||
                y > bottom - thick)
                memcpy(photo->rgb + 3 * ((size_t)y * (size_t)photo->width + (size_t)x),
                       green, 3);
}

static int load_detector(hsched_runtime *runtime, const char *path, hsched_model **model)
{
    const hsched_image_config image_input = {
        HSCHED_IMAGE_CONFIG_INIT, .mean = { 127, 127, 127 },
        .scale = { 1 / 128.0f, 1 / 128.0f, 1 / 128.0f }
    };
    hsched_graph *graph = NULL;
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    int ok = check(hsched_graph_load_onnx(path, NULL, &graph), path);
    if (ok && hsched_graph_input_count(graph) != 1) {
        fprintf(stderr, "%s: a detector has one input\n", path);
        ok = 0;
    }
    ok = ok &&
         check(hsched_graph_tensor_info(graph, hsched_graph_input(graph, 0), &info),
               path) &&
         check(hsched_graph_convert_input_to_image(graph, info.name, &image_input),
               path) &&
         check(hsched_model_compile(runtime, graph, NULL, model), path);
    hsched_graph_destroy(graph);
    return ok;
}

/* Output 0 or 1 if it is float32 [1,n,columns]; its data in *values. */
static int read_output(hsched_model *model, hsched_run *run, uint32_t index,
                       int64_t columns, int64_t *rows, const float **values)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    const void *data;
    size_t size;
    if (!check(hsched_model_output_info(model, index, &info), "output") ||
        !check(hsched_run_output(run, index, &data, &size), "output"))
        return 0;
    if (info.dtype != HSCHED_FLOAT32 || info.rank != 3 || info.dims[0] != 1 ||
        info.dims[2] != columns) {
        fprintf(stderr, "output '%s' is not float32 [1,n,%d]\n", info.name, (int)columns);
        return 0;
    }
    *rows = info.dims[1];
    *values = data;
    return 1;
}

/* Gives the number of faces, or -1. */
static int detect(hsched_model *model, const image *photo, face faces[FACES_MAX])
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    hsched_run *run = NULL;
    int count = -1;
    if (!check(hsched_model_input_info(model, 0, &info), "input"))
        return -1;
    /* The camera-frame input: uint8 [1,height,width,3]. */
    image small = { malloc(info.byte_size), (int)info.dims[2], (int)info.dims[1] };
    if (!small.rgb || info.dims[0] != 1 || info.dims[3] != 3) {
        fprintf(stderr,
                small.rgb ? "input '%s' is not one image of three channels\n"
                          : "no memory for input '%s'\n",
                info.name);
        goto done;
    }
    resize(photo, &small);
    hsched_binding in = HSCHED_DATA(small.rgb, info.byte_size);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    int64_t rows, box_rows;
    const float *scores, *boxes;
    if (!check(hsched_submit(model, &config, &run), "submit") ||
        !check(hsched_run_wait(run, HSCHED_FOREVER), "run") ||
        !read_output(model, run, 0, 2, &rows, &scores) ||
        !read_output(model, run, 1, 4, &box_rows, &boxes) || rows != box_rows)
        goto done;
    count = 0;
    for (int64_t i = 0; i < rows && count < FACES_MAX; i++)
        if (scores[2 * i + 1] > SCORE_MIN)
            faces[count++] = (face){ boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2],
                                     boxes[4 * i + 3], scores[2 * i + 1] };
    count = keep_best(faces, count);
done:
    hsched_run_release(run);
    free(small.rgb);
    return count;
}

int main(int argc, char **argv)
{
    static face faces[FACES_MAX];
    image photo = { 0 };
    hsched_runtime *runtime = NULL;
    hsched_model *model = NULL;
    int count = -1;
    if (argc != 3 && !(argc == 5 && strcmp(argv[3], "--out") == 0)) {
        fprintf(stderr, "usage: %s MODEL.onnx PHOTO.jpg [--out ANNOTATED.jpg]\n",
                argv[0]);
        return 2;
    }
    if (load_jpeg(argv[2], &photo) &&
        check(hsched_runtime_create(NULL, &runtime), "runtime") &&
        load_detector(runtime, argv[1], &model))
        count = detect(model, &photo, faces);
    if (count >= 0)
        printf("%d faces\n", count);
    for (int i = 0; i < count; i++) {
        printf("%5.1f%%  left %d top %d right %d bottom %d\n",
               100 * (double)faces[i].score, clamp(faces[i].left, photo.width),
               clamp(faces[i].top, photo.height), clamp(faces[i].right, photo.width),
               clamp(faces[i].bottom, photo.height));
        draw_box(&photo, &faces[i]);
    }
    if (count >= 0 && argc == 5 && !save_jpeg(argv[4], &photo))
        count = -1;
    hsched_model_release(model);
    hsched_runtime_destroy(runtime);
    free(photo.rgb);
    return count >= 0 ? 0 : 1;
}
