/* Random normalisations by statistics of their input. */
#include "unit/random_graph_maker.h"

/* Of a layer, with parameters of the dimensions from the axis on, or the last of them. */
static item *add_layer(maker *m, item *x, float epsilon)
{
    const uint32_t axis = (uint32_t)maker_range(m, 0, x->rank - 1);
    const uint32_t from = (uint32_t)maker_range(m, axis, x->rank - 1);
    hsched_tensor y, scale = HSCHED_NO_TENSOR, bias = HSCHED_NO_TENSOR;
    if (maker_chance(m, 70))
        scale = maker_constant(m, x->rank - from, x->dims + from, -1.2, 1.2);
    if (maker_chance(m, 70))
        bias = maker_constant(m, x->rank - from, x->dims + from, -0.5, 0.5);
    return maker_made(
        m,
        (maker_chance(m, 30) ? hsched_graph_add_rms_norm : hsched_graph_add_layer_norm)(
            m->graph, NULL, x->tensor, scale, bias, (int)axis, epsilon, &y),
        &y, 3);
}

item *maker_add_norm(maker *m, item *x)
{
    const float epsilon = 0.3f; /* so that little is amplified much */
    hsched_tensor y, scale, bias = HSCHED_NO_TENSOR;
    if (x == NULL || x->rank == 0)
        return NULL;
    x->used = 1;
    if (x->rank < 2 || maker_chance(m, 50))
        return add_layer(m, x, epsilon);
    const int64_t channels = x->dims[1];
    scale = maker_constant(m, 1, &channels, -1.2, 1.2);
    if (maker_chance(m, 70))
        bias = maker_constant(m, 1, &channels, -0.5, 0.5);
    if (maker_chance(m, 50))
        return maker_made(m,
                          hsched_graph_add_instance_norm(m->graph, NULL, x->tensor, scale,
                                                         bias, epsilon, &y),
                          &y, 3);
    const int64_t groups = channels % 2 == 0 ? channels / 2 : 1;
    return maker_made(m,
                      hsched_graph_add_group_norm(m->graph, NULL, x->tensor, groups,
                                                  scale, bias, epsilon, &y),
                      &y, 3);
}
