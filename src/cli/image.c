#include "cli/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>

#include "cli/cli.h"

enum {
    SIDE_MAX = 16384
};
#define FILE_MAX (256L << 20)

typedef struct picture {
    unsigned char *pixels; /* [height][width][channels] */
    int width, height, channels;
} picture;

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    const char *problem = NULL;
    long length = -1;
    struct stat found;
    if (!file || fstat(fileno(file), &found) != 0)
        problem = strerror(errno);
    else if (S_ISDIR(found.st_mode))
        problem = strerror(EISDIR);
    else if (fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0 ||
             fseek(file, 0, SEEK_SET) != 0)
        problem = strerror(errno);
    else if (length == 0 || length > FILE_MAX)
        problem = length ? "the file is larger than 256 MiB" : "the file is empty";
    else if (!(bytes = malloc((size_t)length)))
        problem = "out of memory";
    else if (fread(bytes, (size_t)length, 1, file) != 1)
        problem = "the file could not be read to its end";
    if (file)
        fclose(file);
    if (problem) {
        cli_error("%s: %s", path, problem);
        free(bytes);
        return NULL;
    }
    *size = (size_t)length;
    return bytes;
}

/* Decodes into `channels` (1 or 3) bytes a pixel. */
static int decode(const char *path, int channels, picture *out)
{
    size_t size = 0;
    unsigned char *bytes = read_file(path, &size);
    if (!bytes)
        return 0;
    int subsampling, colorspace, ok = 0;
    tjhandle jpeg = tjInitDecompress();
    const char *problem = NULL;
    if (!jpeg || tjDecompressHeader3(jpeg, bytes, size, &out->width, &out->height,
                                     &subsampling, &colorspace) != 0)
        problem = tjGetErrorStr2(jpeg);
    else if (out->width > SIDE_MAX || out->height > SIDE_MAX)
        problem = "the image is larger than 16384 pixels a side";
    else if (!(out->pixels =
                   malloc((size_t)out->width * (size_t)out->height * (size_t)channels)))
        problem = "out of memory";
    else if (tjDecompress2(jpeg, bytes, size, out->pixels, out->width, 0, out->height,
                           channels == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_ACCURATEDCT) != 0)
        problem = tjGetErrorStr2(jpeg); /* also where some pixels are there: it is cut off
                                           or damaged, and the results would be wrong */
    else
        ok = 1;
    if (problem) {
        cli_error("%s: %s", path, problem);
        free(out->pixels);
        out->pixels = NULL;
    }
    out->channels = channels;
    if (jpeg)
        tjDestroy(jpeg);
    free(bytes);
    return ok;
}

/* Pixel i of `to` lies between pixels `lower` and `upper` of `from`, `part` of the way;
 * centres of pixels correspond. */
typedef struct place {
    int lower, upper;
    float part;
} place;

static place locate(int i, int from, int to)
{
    float at = ((float)i + 0.5f) * (float)from / (float)to - 0.5f;
    at = at < 0 ? 0 : at;
    place p;
    p.lower = (int)at < from - 1 ? (int)at : from - 1;
    p.upper = p.lower + 1 < from ? p.lower + 1 : p.lower;
    p.part = at - (float)p.lower;
    return p;
}

/* One output pixel of one channel, 0 to 255. */
static float interpolate(const picture *image, place y, place x, int channel)
{
    size_t c = (size_t)image->channels, row = (size_t)image->width * c;
    const unsigned char *pixels = image->pixels + channel;
    size_t y0 = (size_t)y.lower * row, y1 = (size_t)y.upper * row;
    size_t x0 = (size_t)x.lower * c, x1 = (size_t)x.upper * c;
    float above = (float)pixels[y0 + x0] * (1 - x.part) + (float)pixels[y0 + x1] * x.part;
    float below = (float)pixels[y1 + x0] * (1 - x.part) + (float)pixels[y1 + x1] * x.part;
    return above * (1 - y.part) + below * y.part;
}

int cli_image_read(const char *path, const cli_image_options *options,
                   const hsched_tensor_info *info, float *data)
{
    if (info->dtype != HSCHED_FLOAT32 || info->rank != 4 ||
        (info->dims[1] != 3 && info->dims[1] != 1)) {
        cli_error(
            "%s: input '%s' is no image: it should be float32 [N,3,H,W] or [N,1,H,W]",
            path, info->name);
        return 0;
    }
    int channels = (int)info->dims[1], height = (int)info->dims[2],
        width = (int)info->dims[3];
    picture image = { 0 };
    if (!decode(path, channels, &image))
        return 0;
    size_t plane = (size_t)height * (size_t)width;
    for (int y = 0; y < height; y++) {
        place py = locate(y, image.height, height);
        for (int x = 0; x < width; x++) {
            place px = locate(x, image.width, width);
            for (int c = 0; c < channels; c++) {
                int from = options->bgr && channels == 3 ? 2 - c : c;
                float value = interpolate(&image, py, px, from);
                data[(size_t)c * plane + (size_t)y * (size_t)width + (size_t)x] =
                    (value - options->mean[from]) * options->scale[from];
            }
        }
    }
    for (int64_t n = 1; n < info->dims[0]; n++)
        memcpy(data + (size_t)n * (size_t)channels * plane, data,
               (size_t)channels * plane * sizeof *data);
    free(image.pixels);
    return 1;
}
