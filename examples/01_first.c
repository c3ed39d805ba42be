/* Classifies one handwritten digit. From the project's folder: build/examples/01_first
 * [INDEX] */
#include <hsched/hsched.h>
#include <stdio.h>
#include <stdlib.h>

#define DATA "examples/data/"

int main(int argc, char **argv)
{
    long index = argc > 1 ? strtol(argv[1], NULL, 10) : 0, failed;
    unsigned char pixels[64];
    float image[64], probabilities[10];
    FILE *file =
        fopen(DATA "digits-test-images.npy", "rb"); /* a header of 128 bytes, 8x8 each */
    if (!file || index < 0 || fseek(file, 128 + 64 * index, SEEK_SET) ||
        fread(pixels, 64, 1, file) != 1) {
        fprintf(stderr, "no digit %ld in " DATA "; run this in the project's folder\n",
                index);
        return 1;
    }
    fclose(file);
    for (int i = 0; i < 64; i++) {
        image[i] = (float)pixels[i] / 16;
        printf("%c%s", " .:-=+*#%@"[pixels[i] * 9 / 16], i % 8 == 7 ? "\n" : "");
    }

    hsched_runtime *runtime = NULL; /* all cores */
    hsched_model *model = NULL;
    hsched_binding in = HSCHED_DATA(image, sizeof image);
    hsched_binding out = HSCHED_DATA(probabilities, sizeof probabilities);
    failed = hsched_runtime_create(NULL, &runtime) ||
             hsched_model_load(runtime, DATA "digits-cnn.onnx", NULL, &model) ||
             hsched_infer(model, &in, 1, &out, 1);
    if (failed)
        fprintf(stderr, "%s\n", hsched_error_detail());
    for (int digit = 0; digit < 10 && !failed; digit++)
        if (probabilities[digit] > 0.1f)
            printf("%d: %.1f%%\n", digit, 100 * (double)probabilities[digit]);
    hsched_model_release(model);
    hsched_runtime_destroy(runtime);
    return failed != 0;
}
