/* Texts by name: what inlining gives new names to. A hash table on the heap. */
#ifndef HSI_ONNX_NAMES_H
#define HSI_ONNX_NAMES_H

#include <stdint.h>

typedef struct hsi_onnx_names {
    struct hsi_onnx_named *slots;
    uint32_t count, capacity; /* the capacity is 0 or a power of two */
} hsi_onnx_names;

/* NULL if the name is not there. */
const char *hsi_onnx_names_get(const hsi_onnx_names *names, const char *name);
/* Sets or replaces; both texts must outlive the table. 0: out of memory. */
int hsi_onnx_names_put(hsi_onnx_names *names, const char *name, const char *text);
void hsi_onnx_names_free(hsi_onnx_names *names);

#endif
