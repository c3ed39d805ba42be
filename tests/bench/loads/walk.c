/* A random graph, and the breadth-first walk over it with a queue: see reference.h. */
#include "reference.h"

#include <stdlib.h>

int load_graph_create(int vertices, load_graph *graph)
{
    uint64_t seed = 2;
    *graph = (load_graph){ .vertices = vertices };
    graph->offsets = malloc(((size_t)vertices + 1) * sizeof *graph->offsets);
    if (graph->offsets) {
        for (int v = 0; v < vertices; v++) {
            graph->offsets[v] = graph->edges;
            graph->edges += 1 + (int)(load_random(&seed) % LOAD_MOST_DEGREE);
        }
        graph->offsets[vertices] = graph->edges;
        graph->columns = malloc((size_t)graph->edges * sizeof *graph->columns);
    }
    if (!graph->columns) {
        load_graph_destroy(graph);
        return 0;
    }
    for (int e = 0; e < graph->edges; e++)
        graph->columns[e] = (int)(load_random(&seed) % (uint32_t)vertices);
    return 1;
}

void load_graph_destroy(load_graph *graph)
{
    free(graph->offsets);
    free(graph->columns);
    *graph = (load_graph){ 0 };
}

int load_walk(const load_graph *graph, int source, int *distance)
{
    int *queue = malloc((size_t)graph->vertices * sizeof *queue);
    if (!queue)
        return 0;
    for (int v = 0; v < graph->vertices; v++)
        distance[v] = LOAD_UNSEEN;
    int taken = 0, put = 0;
    distance[source] = 0;
    queue[put++] = source;
    while (taken < put) {
        const int v = queue[taken++];
        for (int e = graph->offsets[v]; e < graph->offsets[v + 1]; e++) {
            const int next = graph->columns[e];
            if (distance[next] != LOAD_UNSEEN)
                continue;
            distance[next] = distance[v] + 1;
            queue[put++] = next;
        }
    }
    free(queue);
    return 1;
}
