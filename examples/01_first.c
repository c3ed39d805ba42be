/* Classifies a handwritten digit. In the project's folder: build/examples/01_first [INDEX] */
#include <hsched/hsched.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    long index = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    unsigned char pixels[64]; /* 8x8; the file has a header of 128 bytes */
    FILE *file = fopen("examples/data/digits-test-images.npy", "rb");
    if (!file || index < 0 || fseek(file, 128 + 64 * index, SEEK_SET) ||
        fread(pixels, 64, 1, file) != 1)
        return fprintf(stderr, "no digit %ld in examples/data\n", index), 1;
    float image[64], scores[10];
    for (int i = 0; i < 64; i++)
        image[i] = (float)pixels[i] / 16;
    fclose(file);
    hsched_runtime *runtime; /* all cores */
    hsched_model *model;
    hsched_binding in = HSCHED_DATA(image, sizeof image);
    hsched_binding out = HSCHED_DATA(scores, sizeof scores);
    if (hsched_runtime_create(NULL, &runtime) ||
        hsched_model_load(runtime, "examples/data/digits-cnn.onnx", NULL, &model) ||
        hsched_infer(model, &in, 1, &out, 1))
        return fprintf(stderr, "%s\n", hsched_error_detail()), 1;
    for (int digit = 0; digit < 10; digit++)
        printf("%d: %5.1f%%\n", digit, 100 * (double)scores[digit]);
    hsched_model_release(model);
    hsched_runtime_destroy(runtime);
}
