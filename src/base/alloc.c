#include "base/alloc.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

/* Statistics and fault injection only: nothing is ordered by them, hence relaxed. */
static atomic_uint_least64_t call_count, bytes_held, fail_countdown;

static int must_fail(void)
{
    atomic_fetch_add_explicit(&call_count, 1, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left != 0)
        if (atomic_compare_exchange_weak_explicit(&fail_countdown, &left, left - 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed))
            return left == 1;
    return 0;
}

static void *account(void *pointer)
{
    if (pointer)
        atomic_fetch_add_explicit(&bytes_held, malloc_usable_size(pointer),
                                  memory_order_relaxed);
    return pointer;
}

void *hsi_calloc(size_t count, size_t size)
{
    size_t total;
    if (must_fail() || !hsi_mul_size(count, size, &total))
        return NULL;
    return account(calloc(1, total ? total : 1));
}

static void *alloc_rounded(size_t size, size_t *rounded)
{
    if (must_fail() || !hsi_round_up_size(size ? size : 1, 64, rounded))
        return NULL;
    return account(aligned_alloc(64, *rounded));
}

void *hsi_alloc_aligned(size_t size)
{
    size_t rounded;
    void *pointer = alloc_rounded(size, &rounded);
    if (pointer)
        memset(pointer, 0, rounded);
    return pointer;
}

void *hsi_alloc_unset(size_t size)
{
    size_t rounded;
    return alloc_rounded(size, &rounded);
}

void *hsi_realloc_array(void *pointer, size_t count, size_t size)
{
    size_t total;
    if (must_fail() || !hsi_mul_size(count, size, &total))
        return NULL;
    size_t before = pointer ? malloc_usable_size(pointer) : 0;
    void *grown = realloc(pointer, total ? total : 1);
    if (!grown)
        return NULL;
    atomic_fetch_sub_explicit(&bytes_held, before, memory_order_relaxed);
    return account(grown);
}

char *hsi_strndup(const char *text, size_t length)
{
    size_t size;
    if (!hsi_add_size(length, 1, &size))
        return NULL;
    char *copy = hsi_calloc(size, 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

char *hsi_strdup(const char *text)
{
    return hsi_strndup(text, strlen(text));
}

char *hsi_asprintf(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : hsi_calloc((size_t)length + 1, 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void hsi_free(void *pointer)
{
    if (!pointer)
        return;
    atomic_fetch_sub_explicit(&bytes_held, malloc_usable_size(pointer),
                              memory_order_relaxed);
    free(pointer);
}

int hsi_grow(void **pointer, uint32_t *capacity, size_t size)
{
    uint32_t larger = *capacity ? *capacity * 2 : 8;
    if (larger <= *capacity)
        return 0;
    void *grown = hsi_realloc_array(*pointer, larger, size);
    if (!grown)
        return 0;
    *pointer = grown;
    *capacity = larger;
    return 1;
}

uint64_t hsi_alloc_count(void)
{
    return atomic_load_explicit(&call_count, memory_order_relaxed);
}

uint64_t hsi_alloc_bytes(void)
{
    return atomic_load_explicit(&bytes_held, memory_order_relaxed);
}

void hsi_alloc_fail_after(uint64_t k)
{
    atomic_store_explicit(&fail_countdown, k, memory_order_relaxed);
}
