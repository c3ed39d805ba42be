#include "onnx/names.h"

#include <string.h>

#include "base/alloc.h"

struct hsi_onnx_named {
    const char *name, *text; /* name NULL: free */
};

/* Seeded by the table's address, so that a file cannot choose names that collide. */
static uint32_t hash_of(const hsi_onnx_names *names, const char *name)
{
    uint64_t hash = (uint64_t)(uintptr_t)names->slots * UINT64_C(0x9e3779b97f4a7c15);
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 16);
}

/* The place of the name, or the free one where it belongs. */
static struct hsi_onnx_named *slot_of(const hsi_onnx_names *names, const char *name)
{
    uint32_t mask = names->capacity - 1, at = hash_of(names, name) & mask;
    while (names->slots[at].name && strcmp(names->slots[at].name, name) != 0)
        at = (at + 1) & mask;
    return &names->slots[at];
}

const char *hsi_onnx_names_get(const hsi_onnx_names *names, const char *name)
{
    return names->capacity ? slot_of(names, name)->text : NULL;
}

static int grow(hsi_onnx_names *names)
{
    hsi_onnx_names larger = { .capacity = names->capacity ? names->capacity * 2 : 16 };
    if (larger.capacity > UINT32_MAX / 4)
        return 0;
    larger.slots = HSI_NEW_ARRAY(struct hsi_onnx_named, larger.capacity);
    if (!larger.slots)
        return 0;
    for (uint32_t k = 0; k < names->capacity; k++)
        if (names->slots[k].name)
            *slot_of(&larger, names->slots[k].name) = names->slots[k];
    larger.count = names->count;
    hsi_free(names->slots);
    *names = larger;
    return 1;
}

int hsi_onnx_names_put(hsi_onnx_names *names, const char *name, const char *text)
{
    if (2 * (names->count + 1) > names->capacity && !grow(names))
        return 0;
    struct hsi_onnx_named *slot = slot_of(names, name);
    names->count += !slot->name;
    *slot = (struct hsi_onnx_named){ name, text };
    return 1;
}

void hsi_onnx_names_free(hsi_onnx_names *names)
{
    hsi_free(names->slots);
    *names = (hsi_onnx_names){ 0 };
}
