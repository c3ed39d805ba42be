/*
 * Packed weights on disk, for models loaded with HSCHED_MODEL_CACHE_WEIGHTS: what a kernel has
 * packed is written to a file of its own, and mapped instead of packed the next time.
 *
 * A file's name is a hash of its key: the library's version, the instruction set, the kernel's name
 * for the layout, the shape of what was packed and a hash of that. So a file never becomes wrong,
 * only useless; models that have the same weights share it, whatever their batch size. The first
 * page of a file holds the key once more, sizes and a checksum of that page.
 *
 * Files are made under another name and renamed when they are whole and on the disk, and never
 * written again: any number of processes and threads may make the same one. Whoever finds one that
 * is damaged makes it anew. All files together have hsi_cpu_store_limit bytes at most; those that
 * were not used for the longest time go. They may be deleted at any time: what is mapped
 * stays, but not on a file system of a network if another machine deletes it.
 */
#ifndef HSI_BACKEND_CPU_STORE_H
#define HSI_BACKEND_CPU_STORE_H

#include "backend/cpu/packing.h"

/* What a section has mapped, until it is destroyed. */
typedef struct hsi_cpu_store {
    const char *folder; /* of the files; outlives the section */
    struct hsi_cpu_mapping *mappings;
    uint32_t count, capacity;
    int told; /* that files cannot be written: once for all of them */
} hsi_cpu_store;

/* Where the packed weights are mapped, read-only, at a page's beginning; NULL: there are none yet.
 * `hash`: of what is packed. Errors: OUT_OF_MEMORY. */
hsched_status hsi_cpu_store_find(hsi_cpu_store *store, const hsi_cpu_packing *packing,
                                 uint64_t hash, const void **found);
/* Writes what was packed; what keeps it from that is logged. */
void hsi_cpu_store_keep(hsi_cpu_store *store, const hsi_cpu_packing *packing,
                        uint64_t hash, const void *packed);
void hsi_cpu_store_clear(hsi_cpu_store *store); /* unmaps all */

/* 8 GiB. For tests, which set it while nothing is loaded. */
extern uint64_t hsi_cpu_store_limit;

#endif
