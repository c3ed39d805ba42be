/*
 * Memory of one import: taken in pieces, given back all at once, never more than a
 * budget. What a hostile model can make the importer allocate is bounded here, whichever
 * code asks for it.
 */
#ifndef HSI_ONNX_ARENA_H
#define HSI_ONNX_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <hsched/hsched.h>

typedef struct hsi_onnx_arena {
    struct hsi_onnx_chunk *chunks; /* the first is the one being filled */
    size_t used, budget; /* bytes taken from the heap, and the most that may be */
    int refused;         /* an allocation failed */
    int over_budget;     /* ... by the budget, not by the heap */
    ProtobufCAllocator allocator; /* for protobuf-c; its free does nothing */
} hsi_onnx_arena;

/* The arena must not move afterwards: its allocator points to it. */
void hsi_onnx_arena_init(hsi_onnx_arena *arena, size_t budget);
void hsi_onnx_arena_free(hsi_onnx_arena *arena);

/* Zeroed memory aligned to 16 bytes, or NULL: see hsi_onnx_arena_error. */
void *hsi_onnx_alloc(hsi_onnx_arena *arena, size_t count, size_t size);
#define HSI_ONNX_NEW(arena, type) ((type *)hsi_onnx_alloc((arena), 1, sizeof(type)))
#define HSI_ONNX_NEW_ARRAY(arena, type, count)                                           \
    ((type *)hsi_onnx_alloc((arena), (count), sizeof(type)))
/* Text in the arena, or NULL. */
const char *hsi_onnx_format(hsi_onnx_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Why the last allocation failed: LIMIT or OUT_OF_MEMORY, with `what` in the detail. */
hsched_status hsi_onnx_arena_error(const hsi_onnx_arena *arena, const char *what);

#endif
