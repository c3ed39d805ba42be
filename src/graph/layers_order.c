/* Adding the layers that compare the elements along an axis. */
#include "graph/build.h"

HSCHED_API hsched_status hsched_graph_add_arg(hsched_graph *graph, const char *name,
                                              hsched_arg_kind kind, hsched_tensor x,
                                              int axis, int keep_dims, int select_last,
                                              hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_ARG, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.arg.axis = axis;
    d.given.arg.kind = kind;
    d.given.arg.keep_dims = keep_dims != 0;
    d.given.arg.select_last = select_last != 0;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}
