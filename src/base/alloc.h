/* The library's heap: counted, checked for overflow, and able to fail on demand in tests.
 */
#ifndef HSI_BASE_ALLOC_H
#define HSI_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* All of these give zeroed memory or NULL, but where they say otherwise. Free with hsi_free. Any
 * thread. */
void *hsi_calloc(size_t count, size_t size); /* NULL also when count * size overflows */
void *hsi_alloc_aligned(size_t size);        /* to 64 bytes */
void *hsi_alloc_unset(
    size_t size); /* to 64 bytes, not zeroed: the caller writes all of it */
/* Grows an array; new elements are not initialised; the old block stays valid on failure.
 */
void *hsi_realloc_array(void *pointer, size_t count, size_t size);
char *hsi_strdup(const char *text);
char *hsi_strndup(const char *text, size_t length);
char *hsi_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hsi_free(void *pointer);

#define HSI_NEW(type)              ((type *)hsi_calloc(1, sizeof(type)))
#define HSI_NEW_ARRAY(type, count) ((type *)hsi_calloc((count), sizeof(type)))

/* Makes room for one more element in a growing array: pointer, count and capacity are
 * lvalues. Evaluates to 1, or to 0 when memory ran out. */
#define HSI_GROW(pointer, count, capacity)                                               \
    ((count) < (capacity) ||                                                             \
     hsi_grow((void **)&(pointer), &(capacity), sizeof *(pointer)))
int hsi_grow(void **pointer, uint32_t *capacity, size_t size);

/* Heap calls so far and bytes held now, by all of the library's own code. */
uint64_t hsi_alloc_count(void);
uint64_t hsi_alloc_bytes(void);

/* Tests: the k-th allocation from now fails (1: the next), and those after it succeed; 0:
 * none. */
void hsi_alloc_fail_after(uint64_t k);

#endif
