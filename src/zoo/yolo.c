/*
 * YOLOv3 and YOLOv3-tiny (Redmon, Farhadi 2018): images of 416x416, three and two grids of
 * cells with three boxes each. The heads are decoded: output "boxes" [1,K,4], x and y of
 * the upper left and the lower right corner in pixels, and "scores" [1,K,80], for each
 * class the probability that the box is one times that of the class. Which boxes to keep
 * (non-maximum suppression) is left to the caller, but for the variants that choose them: they
 * have a third output, "selected" [8000,3], at most 100 boxes for each class.
 */
#include "zoo/net.h"

#include <stdio.h>

enum {
    SIZE = 416,
    CLASSES = 80,
    VALUES = 5 + CLASSES,
    BOXES = 3,
    FINEST = SIZE / 8
};

static const hsched_activation sigmoid = { HSCHED_ACTIVATION_SIGMOID, 0, 0 };

/* Layers are numbered, as the original's are. */
typedef struct yolo {
    zoo_net *net;
    float head_gain; /* so that widths and heights stay within some images */
    int convs, others;
} yolo;

static hsched_tensor conv_of(yolo *y, hsched_tensor x, const zoo_conv *conv, float gain)
{
    char block[ZOO_BLOCK_MAX];
    snprintf(block, sizeof block, "conv%d", ++y->convs);
    zoo_norm norm = { 1e-5f, gain, { HSCHED_ACTIVATION_LEAKY_RELU, 0.1f, 0 } };
    return zoo_unit(y->net, block, "", x, conv, &norm);
}

static hsched_tensor conv(yolo *y, hsched_tensor x, int64_t out, int64_t kernel)
{
    return conv_of(y, x, &(zoo_conv){ .out = out, .kernel = kernel, .pad = kernel / 2 },
                   0.9f);
}

static hsched_tensor first_conv(yolo *y, int64_t out)
{
    return conv_of(
        y, zoo_square(y->net, SIZE),
        &(zoo_conv){ .out = out, .kernel = 3, .pad = 1, .from = ZOO_FROM_LINEAR }, 1.0f);
}

/* What a head says about its cells, not decoded yet. */
static hsched_tensor head_conv(yolo *y, hsched_tensor x)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "conv%d.conv", ++y->convs);
    return zoo_conv2d(
        y->net, name, x,
        &(zoo_conv){
            .out = BOXES * VALUES, .kernel = 1, .bias = 1, .gain = y->head_gain });
}

/* Narrowed, doubled in size and put before `finer` along the channels. */
static hsched_tensor up(yolo *y, hsched_tensor x, int64_t out, hsched_tensor finer)
{
    char name[ZOO_NAME_MAX];
    hsched_tensor pair[2];
    x = conv(y, x, out, 1);
    snprintf(name, sizeof name, "upsample%d", ++y->others);
    pair[0] = zoo_upsample(y->net, name, x);
    pair[1] = finer;
    snprintf(name, sizeof name, "route%d", y->others);
    return zoo_concat(y->net, name, pair, 2);
}

/* ---- Decoding ------------------------------------------------------------- */

typedef struct head {
    const char *name;
    hsched_tensor values;        /* [1,255,cells,cells] */
    float anchors[BOXES * 2];    /* width and height in pixels */
    hsched_tensor boxes, scores; /* decoded */
} head;

/* "head.part"; valid until the next call with the same memory. */
static const char *part(char name[ZOO_NAME_MAX], const head *h, const char *what)
{
    snprintf(name, ZOO_NAME_MAX, "%s.%s", h->name, what);
    return name;
}

/* The centre: the sigmoid is where in its cell it lies, the constants are the cells. */
static hsched_tensor decode_centre(zoo_net *net, const head *h, hsched_tensor v,
                                   int64_t cells)
{
    char name[ZOO_NAME_MAX];
    float grid[FINEST * FINEST * 2], stride = (float)SIZE / (float)cells;
    for (int64_t i = 0; i < cells * cells; i++) {
        grid[2 * i] = (float)(i % cells);
        grid[2 * i + 1] = (float)(i / cells);
    }
    hsched_tensor places = zoo_constant(net, part(name, h, "grid"), 5,
                                        (const int64_t[]){ 1, 1, cells, cells, 2 }, grid);
    hsched_tensor scale =
        zoo_constant(net, part(name, h, "stride"), 1, (const int64_t[]){ 1 }, &stride);
    v = zoo_slice(net, part(name, h, "xy"), v, 4, 0, 2);
    v = zoo_activation(net, part(name, h, "xy.sigmoid"), v, sigmoid);
    v = zoo_add(net, part(name, h, "xy.cell"), v, places);
    return zoo_binary(net, part(name, h, "xy.pixel"), HSCHED_BINARY_MUL, v, scale);
}

/* Half of width and height: the anchor's times what the exponential says. */
static hsched_tensor decode_half(zoo_net *net, const head *h, hsched_tensor v)
{
    char name[ZOO_NAME_MAX];
    float half[BOXES * 2];
    for (int i = 0; i < BOXES * 2; i++)
        half[i] = h->anchors[i] / 2;
    hsched_tensor anchors = zoo_constant(net, part(name, h, "anchors"), 5,
                                         (const int64_t[]){ 1, BOXES, 1, 1, 2 }, half);
    v = zoo_slice(net, part(name, h, "wh"), v, 4, 2, 4);
    v = zoo_activation(net, part(name, h, "wh.exp"), v,
                       (hsched_activation){ HSCHED_ACTIVATION_EXP, 0, 0 });
    return zoo_binary(net, part(name, h, "wh.half"), HSCHED_BINARY_MUL, v, anchors);
}

static void decode(zoo_net *net, head *h)
{
    char name[ZOO_NAME_MAX];
    int64_t cells = zoo_dim(net, h->values, 2), count = BOXES * cells * cells;
    hsched_tensor v = zoo_reshape(net, part(name, h, "split"), h->values, 5,
                                  (const int64_t[]){ 1, BOXES, VALUES, cells, cells });
    v = zoo_transpose(net, part(name, h, "transpose"), v,
                      (const int64_t[]){ 0, 1, 3, 4, 2 });
    hsched_tensor centre = decode_centre(net, h, v, cells);
    hsched_tensor half = decode_half(net, h, v), corners[2];
    corners[0] = zoo_binary(net, part(name, h, "first"), HSCHED_BINARY_SUB, centre, half);
    corners[1] = zoo_add(net, part(name, h, "last"), centre, half);
    hsched_tensor boxes = zoo_concat_along(net, part(name, h, "corners"), corners, 2, 4);
    h->boxes = zoo_reshape(net, part(name, h, "boxes"), boxes, 3,
                           (const int64_t[]){ 1, count, 4 });
    hsched_tensor object = zoo_slice(net, part(name, h, "object"), v, 4, 4, 5);
    object = zoo_activation(net, part(name, h, "object.sigmoid"), object, sigmoid);
    hsched_tensor classes = zoo_slice(net, part(name, h, "classes"), v, 4, 5, VALUES);
    classes = zoo_activation(net, part(name, h, "classes.sigmoid"), classes, sigmoid);
    classes =
        zoo_binary(net, part(name, h, "product"), HSCHED_BINARY_MUL, classes, object);
    h->scores = zoo_reshape(net, part(name, h, "scores"), classes, 3,
                            (const int64_t[]){ 1, count, CLASSES });
}

/* Boxes are compared by areas alone, which do not mind that columns come first here. */
static void choose(zoo_net *net, hsched_tensor boxes, hsched_tensor scores)
{
    const hsched_nms_config config = { HSCHED_NMS_CONFIG_INIT, .max_per_class = 100,
                                       .iou_threshold = 0.45f, .score_threshold = 0.25f };
    hsched_tensor selected;
    scores = zoo_transpose(net, "scores.turned", scores, (const int64_t[]){ 0, 2, 1 });
    zoo_mark(net, zoo_made(net,
                           hsched_graph_add_non_max_suppression(
                               net->graph, "selected", boxes, scores, &config, &selected),
                           &selected));
}

static void finish(zoo_net *net, head *heads, uint32_t count, int chooses)
{
    hsched_tensor boxes[3], scores[3];
    for (uint32_t i = 0; i < count; i++) {
        decode(net, &heads[i]);
        boxes[i] = heads[i].boxes;
        scores[i] = heads[i].scores;
    }
    hsched_tensor all_boxes = zoo_concat_along(net, "boxes", boxes, count, 1);
    hsched_tensor all_scores = zoo_concat_along(net, "scores", scores, count, 1);
    zoo_mark(net, all_boxes);
    zoo_mark(net, all_scores);
    if (chooses)
        choose(net, all_boxes, all_scores);
}

/* ---- Tiny ----------------------------------------------------------------- */

static hsched_tensor pool(yolo *y, hsched_tensor x, int64_t stride)
{
    char name[ZOO_NAME_MAX];
    snprintf(name, sizeof name, "maxpool%d", ++y->others);
    return zoo_max_pool(y->net, name, x,
                        &(zoo_pool){ .kernel = 2, .stride = stride, .same = 1 });
}

static void tiny(zoo_net *net, int chooses)
{
    yolo y = { net, 0.4f, 0, 0 };
    head heads[2] = { { .name = "head1", .anchors = { 81, 82, 135, 169, 344, 319 } },
                      { .name = "head2", .anchors = { 10, 14, 23, 27, 37, 58 } } };
    hsched_tensor x = first_conv(&y, 16), finer;
    for (int64_t out = 32; out <= 256; out *= 2)
        x = conv(&y, pool(&y, x, 2), out, 3);
    finer = x;
    x = conv(&y, pool(&y, x, 2), 512, 3);
    x = conv(&y, pool(&y, x, 1), 1024, 3);
    x = conv(&y, x, 256, 1);
    heads[0].values = head_conv(&y, conv(&y, x, 512, 3));
    x = up(&y, x, 128, finer);
    heads[1].values = head_conv(&y, conv(&y, x, 256, 3));
    finish(net, heads, 2, chooses);
}

void zoo_yolov3_tiny(zoo_net *net)
{
    tiny(net, 0);
}

void zoo_yolov3_tiny_nms(zoo_net *net)
{
    tiny(net, 1);
}

/* ---- The large one -------------------------------------------------------- */

/* A stage of Darknet-53: halved in size, then `count` residual blocks. */
static hsched_tensor stage(yolo *y, hsched_tensor x, int64_t out, int count)
{
    char name[ZOO_NAME_MAX];
    x = conv_of(y, x, &(zoo_conv){ .out = out, .kernel = 3, .stride = 2, .pad = 1 },
                0.9f);
    for (int i = 0; i < count; i++) {
        hsched_tensor t = conv(y, x, out / 2, 1);
        t = conv_of(y, t, &(zoo_conv){ .out = out, .kernel = 3, .pad = 1 }, 0.3f);
        snprintf(name, sizeof name, "shortcut%d", ++y->others);
        x = zoo_add(y->net, name, x, t);
    }
    return x;
}

/* The five convolutions before a head. */
static hsched_tensor neck(yolo *y, hsched_tensor x, int64_t out)
{
    for (int i = 0; i < 2; i++) {
        x = conv(y, x, out, 1);
        x = conv(y, x, out * 2, 3);
    }
    return conv(y, x, out, 1);
}

static void large(zoo_net *net, int chooses)
{
    yolo y = { net, 0.25f, 0, 0 };
    head heads[3] = { { .name = "head1", .anchors = { 116, 90, 156, 198, 373, 326 } },
                      { .name = "head2", .anchors = { 30, 61, 62, 45, 59, 119 } },
                      { .name = "head3", .anchors = { 10, 13, 16, 30, 33, 23 } } };
    hsched_tensor x = first_conv(&y, 32), finer[2];
    x = stage(&y, x, 64, 1);
    x = stage(&y, x, 128, 2);
    finer[1] = x = stage(&y, x, 256, 8);
    finer[0] = x = stage(&y, x, 512, 8);
    x = stage(&y, x, 1024, 4);
    for (int h = 0; h < 3; h++) {
        int64_t out = 512 >> h;
        if (h > 0)
            x = up(&y, x, out, finer[h - 1]);
        x = neck(&y, x, out);
        heads[h].values = head_conv(&y, conv(&y, x, out * 2, 3));
    }
    finish(net, heads, 3, chooses);
}

void zoo_yolov3(zoo_net *net)
{
    large(net, 0);
}

void zoo_yolov3_nms(zoo_net *net)
{
    large(net, 1);
}
