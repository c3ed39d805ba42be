/* Memory that constants point into, counted by those who use it. */
#include "graph/graph.h"

void hsi_source_retain(hsi_source *source)
{
    /* Whoever retains already holds a reference, so nothing has to be ordered. */
    if (source)
        __atomic_add_fetch(&source->references, 1, __ATOMIC_RELAXED);
}

void hsi_source_release(hsi_source *source)
{
    /* Release: this thread's use of the memory comes before the count drops. Acquire: the
     * last one sees everybody's use ended before it destroys. */
    if (source && __atomic_sub_fetch(&source->references, 1, __ATOMIC_ACQ_REL) == 0)
        source->destroy(source);
}

void hsi_graph_add_source(hsched_graph *graph, hsi_source *source)
{
    source->next = graph->sources;
    graph->sources = source;
}
