/* The index of a graph's tensors by name: open addressing, at most half full. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "graph/build.h"

struct hsi_name_index {
    uint32_t *slots;   /* tensor + 1, or 0 where free */
    uint32_t capacity; /* a power of two */
    uint32_t used;
    uint64_t seed; /* differs from process to process, so that no file can be made to
                      collide */
};

/* FNV-1a from a seed. */
static uint32_t hash_name(const struct hsi_name_index *index, const char *name)
{
    uint64_t hash = index->seed;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return (uint32_t)(hash ^ hash >> 32);
}

hsched_tensor hsi_names_find(const hsched_graph *graph, const char *name)
{
    const struct hsi_name_index *index = graph->name_index;
    if (!index || !index->capacity)
        return HSCHED_NO_TENSOR;
    uint32_t mask = index->capacity - 1;
    for (uint32_t i = hash_name(index, name) & mask; index->slots[i];
         i = (i + 1) & mask) {
        hsched_tensor tensor = index->slots[i] - 1;
        if (strcmp(graph->tensors[tensor].name, name) == 0)
            return tensor;
    }
    return HSCHED_NO_TENSOR;
}

void hsi_names_insert(hsched_graph *graph, hsched_tensor tensor)
{
    struct hsi_name_index *index = graph->name_index;
    uint32_t mask = index->capacity - 1;
    uint32_t i = hash_name(index, graph->tensors[tensor].name) & mask;
    while (index->slots[i])
        i = (i + 1) & mask;
    index->slots[i] = tensor + 1;
    index->used++;
}

void hsi_names_rebuild(hsched_graph *graph)
{
    struct hsi_name_index *index = graph->name_index;
    memset(index->slots, 0, index->capacity * sizeof *index->slots);
    index->used = 0;
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        hsi_names_insert(graph, i);
}

int hsi_names_reserve(hsched_graph *graph)
{
    struct hsi_name_index *index = graph->name_index;
    if (!index) {
        index = HSI_NEW(struct hsi_name_index);
        if (!index)
            return 0;
        /* The address is random where the system randomises addresses. */
        index->seed =
            14695981039346656037u ^ (uint64_t)(uintptr_t)index * 0x9e3779b97f4a7c15u;
        graph->name_index = index;
    }
    /* HSI_MAX_TENSORS keeps the product far from overflow. */
    if (index->capacity && (index->used + 1) * 2 <= index->capacity)
        return 1;
    uint32_t capacity = index->capacity ? index->capacity * 2 : 32;
    uint32_t *slots = HSI_NEW_ARRAY(uint32_t, capacity);
    if (!slots)
        return 0;
    hsi_free(index->slots);
    index->slots = slots;
    index->capacity = capacity;
    hsi_names_rebuild(graph);
    return 1;
}

void hsi_names_destroy(hsched_graph *graph)
{
    if (graph->name_index)
        hsi_free(graph->name_index->slots);
    hsi_free(graph->name_index);
    graph->name_index = NULL;
}

hsched_status hsi_names_choose(const hsched_graph *graph, const char *wanted,
                               const char *stem, char **name)
{
    *name = NULL;
    if (wanted) {
        if (!*wanted)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "the name is empty; give a name, or NULL to have one made up");
        if (hsi_names_find(graph, wanted) != HSCHED_NO_TENSOR)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "graph '%.200s' already has a tensor or layer '%.200s'; choose "
                "another name",
                graph->name, wanted);
        *name = hsi_strdup(wanted);
        return *name ? HSCHED_OK : hsi_out_of_memory("a name");
    }
    for (uint32_t number = graph->tensor_count;; number++) {
        char *made = hsi_asprintf("%s_%u", stem, number);
        if (!made)
            return hsi_out_of_memory("a name");
        if (hsi_names_find(graph, made) == HSCHED_NO_TENSOR) {
            *name = made;
            return HSCHED_OK;
        }
        hsi_free(made);
    }
}

hsched_status hsi_names_choose_like(const hsched_graph *graph, const char *base,
                                    const char *part, char **name)
{
    *name = hsi_asprintf("%s/%s", base, part);
    for (uint32_t number = 2; *name && hsi_names_find(graph, *name) != HSCHED_NO_TENSOR;
         number++) {
        hsi_free(*name);
        *name = hsi_asprintf("%s/%s_%u", base, part, number);
    }
    return *name ? HSCHED_OK : hsi_out_of_memory("a name");
}
