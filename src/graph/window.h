/* What the layers that slide a window over an image share when their shapes are inferred. */
#ifndef HSI_GRAPH_WINDOW_H
#define HSI_GRAPH_WINDOW_H

#include "graph/infer.h"

/* One spatial axis of a convolution or pooling. */
typedef struct hsi_window {
    const char *axis; /* "height" */
    int64_t in, kernel, stride, dilation;
    int64_t before, after; /* padding; filled in where auto_pad asks for it */
    int64_t out;           /* result */
} hsi_window;

static inline int64_t hsi_window_extent(const hsi_window *w)
{
    return (w->kernel - 1) * w->dilation + 1;
}

/* What an axis is called among so many. */
const char *hsi_axis_name(uint32_t spatial, uint32_t axis);
/* Fills in default strides and dilations and checks all numbers on their own. */
hsched_status hsi_check_window(uint32_t spatial, const int64_t *kernel, int64_t *strides,
                               int64_t *dilations, const int64_t *pads,
                               hsched_auto_pad auto_pad);
hsi_window hsi_make_window(const hsi_graph_tensor *x, uint32_t axis, int64_t kernel,
                           const int64_t *strides, const int64_t *dilations,
                           const int64_t *pads);
void hsi_resolve_auto_pad(hsi_window *w, hsched_auto_pad auto_pad);
hsched_status hsi_count_windows(hsi_window *w, int ceil_mode);
/* Both, and that every window of a pooling sees an element. */
hsched_status hsi_pool_window(const hsi_graph_tensor *x, hsi_window *w,
                              hsched_auto_pad auto_pad, int ceil_mode);
hsched_status hsi_check_pool_kind(hsched_pool_kind kind);
/* Fills in the default of groups, too. */
hsched_status hsi_check_conv_channels(const hsi_graph_tensor *x,
                                      const hsi_graph_tensor *weights, int64_t *groups);

/* LIMIT where weights are computed and x, as the windows that they are multiplied with, would not
 * fit into memory; the output's dims are known. */
hsched_status hsi_check_columns(const hsi_infer *f);

#endif
