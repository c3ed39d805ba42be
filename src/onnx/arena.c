#include "onnx/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

#define CHUNK_SIZE ((size_t)64 * 1024)
#define ALIGNMENT  16

typedef struct hsi_onnx_chunk {
    struct hsi_onnx_chunk *next;
    size_t size, filled; /* of the bytes after this header */
} chunk;

#define HEADER_SIZE ((sizeof(chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)

static void *proto_alloc(void *data, size_t size)
{
    return hsi_onnx_alloc(data, 1, size);
}

static void proto_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer; /* lives as long as the arena */
}

void hsi_onnx_arena_init(hsi_onnx_arena *arena, size_t budget)
{
    *arena = (hsi_onnx_arena){ .budget = budget,
                               .allocator = { proto_alloc, proto_free, arena } };
}

void hsi_onnx_arena_free(hsi_onnx_arena *arena)
{
    while (arena->chunks) {
        chunk *next = arena->chunks->next;
        hsi_free(arena->chunks);
        arena->chunks = next;
    }
    arena->used = 0;
}

/* A chunk with room for `size` bytes. A large one goes behind the one being filled, whose
 * rest stays in use. */
static chunk *add_chunk(hsi_onnx_arena *arena, size_t size)
{
    size_t room = size > CHUNK_SIZE / 4 ? size : CHUNK_SIZE - HEADER_SIZE, total, used;
    if (!hsi_add_size(room, HEADER_SIZE, &total) ||
        !hsi_add_size(arena->used, total, &used) || used > arena->budget) {
        arena->refused = arena->over_budget = 1;
        return NULL;
    }
    chunk *c = hsi_calloc(1, total);
    if (!c) {
        arena->refused = 1;
        return NULL;
    }
    arena->used = used;
    c->size = room;
    if (room == size && arena->chunks) {
        c->next = arena->chunks->next;
        arena->chunks->next = c;
    } else {
        c->next = arena->chunks;
        arena->chunks = c;
    }
    return c;
}

void *hsi_onnx_alloc(hsi_onnx_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!hsi_mul_size(count, size, &bytes) ||
        !hsi_round_up_size(bytes ? bytes : 1, ALIGNMENT, &bytes)) {
        arena->refused = arena->over_budget = 1;
        return NULL;
    }
    chunk *c = arena->chunks;
    if (!c || c->size - c->filled < bytes) {
        c = add_chunk(arena, bytes);
        if (!c)
            return NULL;
    }
    void *memory = (char *)c + HEADER_SIZE + c->filled;
    c->filled += bytes;
    return memory;
}

const char *hsi_onnx_format(hsi_onnx_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    char *text = hsi_onnx_alloc(arena, (size_t)length + 1, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

hsched_status hsi_onnx_arena_error(const hsi_onnx_arena *arena, const char *what)
{
    if (!arena->over_budget)
        return hsi_out_of_memory(what);
    return hsi_error(HSCHED_ERROR_LIMIT,
                     "%s: importing needs more than the budget of %zu bytes; raise "
                     "hsched_onnx_config.max_bytes if the model can be trusted",
                     what, arena->budget);
}
