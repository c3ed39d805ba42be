/* The list of networks. */
#include "zoo/zoo.h"

#include <string.h>

#include "zoo/net.h"

static const struct {
    const char *name;
    const char *description;
    void (*build)(zoo_net *net);
} networks[] = {
    { "alexnet", "AlexNet: 5 convolutions, 3 fully connected, no normalization",
      zoo_alexnet },
    { "vgg16", "VGG-16: 13 convolutions of 3x3, 3 fully connected", zoo_vgg16 },
    { "resnet18", "ResNet-18: basic residual blocks", zoo_resnet18 },
    { "resnet50", "ResNet-50: bottleneck residual blocks, stride in the 3x3",
      zoo_resnet50 },
    { "resnet152", "ResNet-152: 50 bottleneck blocks", zoo_resnet152 },
    { "densenet121", "DenseNet-121: 58 dense layers", zoo_densenet121 },
    { "densenet201", "DenseNet-201: 98 dense layers", zoo_densenet201 },
    { "googlenet", "GoogLeNet: 9 inception blocks with batch normalization",
      zoo_googlenet },
    { "mobilenet_v1", "MobileNet v1: depthwise and pointwise convolutions",
      zoo_mobilenet_v1 },
    { "mobilenet_v2", "MobileNet v2: inverted residual blocks, ReLU6", zoo_mobilenet_v2 },
    { "squeezenet1_1", "SqueezeNet 1.1: 8 fire blocks", zoo_squeezenet1_1 },
    { "mlp", "Multi-layer perceptron 784-1024-1024-10", zoo_mlp },
    { "inception_v3", "Inception v3: 11 blocks, long filters, images of 299x299",
      zoo_inception_v3 },
    { "efficientnet_b0", "EfficientNet-B0: inverted residual blocks, squeeze-excitation",
      zoo_efficientnet_b0 },
    { "shufflenet_v2", "ShuffleNet v2 x1.0: 16 blocks that shuffle channels",
      zoo_shufflenet_v2 },
    { "unet", "U-Net: segmentation of 256x256, transposed convolutions", zoo_unet },
    { "yolov3_tiny", "YOLOv3-tiny: detector, 2535 decoded boxes of 416x416",
      zoo_yolov3_tiny },
    { "yolov3", "YOLOv3: detector, Darknet-53, 10647 decoded boxes of 416x416",
      zoo_yolov3 },
    { "yolov3_tiny_nms", "YOLOv3-tiny that chooses its boxes: non-maximum suppression",
      zoo_yolov3_tiny_nms },
    { "yolov3_nms", "YOLOv3 that chooses its boxes", zoo_yolov3_nms },
    { "text_bilstm", "Text classifier: bidirectional LSTM, 64 tokens of 25000",
      zoo_text_bilstm },
    { "text_gru", "Text classifier: two GRU layers, 64 tokens of 25000", zoo_text_gru },
    { "vit_tiny", "ViT-Tiny/16: 12 transformer blocks of 3 heads, 197 tokens",
      zoo_vit_tiny },
};

uint32_t zoo_count(void)
{
    return (uint32_t)(sizeof networks / sizeof networks[0]);
}

const char *zoo_name(uint32_t index)
{
    return index < zoo_count() ? networks[index].name : NULL;
}

const char *zoo_describe(uint32_t index)
{
    return index < zoo_count() ? networks[index].description : NULL;
}

hsched_status zoo_build(const char *name, uint64_t seed, hsched_graph **graph)
{
    if (!graph)
        return HSCHED_ERROR_INVALID_ARGUMENT;
    *graph = NULL;
    if (!name)
        return HSCHED_ERROR_INVALID_ARGUMENT;
    for (uint32_t i = 0; i < zoo_count(); i++) {
        if (strcmp(networks[i].name, name) != 0)
            continue;
        zoo_net net;
        zoo_net_init(&net, name, seed);
        networks[i].build(&net);
        return zoo_net_finish(&net, graph);
    }
    return HSCHED_ERROR_NOT_FOUND;
}
