/* JPEG files as a network's input. */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include <hsched/hsched.h>

typedef struct cli_image_options {
    float mean[3], scale[3]; /* of R, G, B: y = (pixel - mean) * scale */
    int bgr;                 /* the network wants B, G, R */
} cli_image_options;

#define CLI_IMAGE_OPTIONS_INIT .scale = { 1 / 255.0f, 1 / 255.0f, 1 / 255.0f }

/*
 * Decodes the file, resizes it (bilinear, the aspect ratio is not kept) and writes it as
 * the tensor that `info` describes: float32 [N,3,H,W], or [N,1,H,W] as grey; all N the
 * same. `data` holds the tensor. Says what went wrong and gives 0 then.
 */
int cli_image_read(const char *path, const cli_image_options *options,
                   const hsched_tensor_info *info, float *data);

#endif
