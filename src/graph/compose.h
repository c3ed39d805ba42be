/* Layers that are made of others: what moves elements by reshapes, transposes and expansions. */
#ifndef HSI_GRAPH_COMPOSE_H
#define HSI_GRAPH_COMPOSE_H

#include <hsched/hsched.h>

/*
 * As hsched_graph_add_tile, ..._depth_to_space (to_space) and ..._space_to_depth, with
 * names for all three layers, the result's last. After an error some of them may be there.
 */
hsched_status hsi_compose_tile(hsched_graph *graph, const char *const names[3],
                               hsched_tensor x, const int64_t *repeats, hsched_tensor *y);
hsched_status hsi_compose_blocks(hsched_graph *graph, const char *const names[3],
                                 hsched_tensor x, int64_t block, hsched_block_order order,
                                 int to_space, hsched_tensor *y);

#endif
