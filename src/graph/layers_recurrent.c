/* Adding a recurrent layer, and what looks at the parts of its output. */
#include "base/status.h"
#include "graph/build.h"

hsched_status hsi_graph_add_recurrent(hsched_graph *graph, const char *name,
                                      const hsched_tensor inputs[7],
                                      const hsched_recurrent_config *config,
                                      hsched_tensor *packed)
{
    hsi_draft d = { graph, HSI_LAYER_RECURRENT, name, inputs, 7, packed };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &d.given.recurrent, sizeof d.given.recurrent,
                             "hsched_recurrent_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

hsched_status hsi_graph_add_recurrent_rows(hsched_graph *graph, const char *slice_name,
                                           const char *name, hsched_tensor packed,
                                           hsched_recurrent_kind kind,
                                           hsi_recurrent_rows rows, hsched_tensor *y)
{
    static const int64_t first_axis = 0;
    const int64_t states = kind == HSCHED_RECURRENT_LSTM ? 2 : 1; /* rows of them */
    int64_t start = 0, end = -states; /* from the end: T may be a symbol */
    if (rows != HSI_RECURRENT_Y) {
        start = rows == HSI_RECURRENT_Y_H ? -states : -1;
        end = start == -1 ? INT64_MAX : start + 1;
    }
    if (rows == HSI_RECURRENT_Y)
        return hsched_graph_add_slice(graph, name, packed, 1, &start, &end, &first_axis,
                                      NULL, y);
    hsched_status status = hsched_graph_add_slice(graph, slice_name, packed, 1, &start,
                                                  &end, &first_axis, NULL, y);
    if (status == HSCHED_OK)
        status = hsched_graph_add_squeeze(graph, name, *y, 1, &first_axis, y);
    return status;
}

HSCHED_API hsched_status hsched_graph_add_recurrent(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor weights,
    hsched_tensor recurrent_weights, hsched_tensor bias, hsched_tensor lengths,
    hsched_tensor initial_h, hsched_tensor initial_c,
    const hsched_recurrent_config *config, hsched_tensor *y, hsched_tensor *y_h,
    hsched_tensor *y_c)
{
    const hsched_tensor inputs[7] = { x,       weights,   recurrent_weights, bias,
                                      lengths, initial_h, initial_c };
    hsched_tensor *const wanted[] = { y, y_h, y_c };
    hsched_tensor packed = HSCHED_NO_TENSOR;
    for (int i = 0; i < 3; i++)
        if (wanted[i])
            *wanted[i] = HSCHED_NO_TENSOR;
    if (!y && !y_h && !y_c)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "recurrent layer '%.200s': y, y_h and y_c are all NULL; pass the "
            "address of an hsched_tensor for one of them",
            name ? name : "(unnamed)");
    if (y_c && config && config->kind != HSCHED_RECURRENT_LSTM)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "recurrent layer '%.200s': y_c is wanted, but only an LSTM has a "
            "cell state; pass NULL",
            name ? name : "(unnamed)");
    hsched_status status = hsi_graph_add_recurrent(graph, name, inputs, config, &packed);
    for (int i = 0; i < 3 && status == HSCHED_OK; i++)
        if (wanted[i])
            status = hsi_graph_add_recurrent_rows(graph, NULL, NULL, packed, config->kind,
                                                  (hsi_recurrent_rows)i, wanted[i]);
    for (int i = 0; i < 3 && status != HSCHED_OK; i++)
        if (wanted[i])
            *wanted[i] = HSCHED_NO_TENSOR;
    return status;
}
