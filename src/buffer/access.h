/*
 * The processor's accesses to a dma-buf, bracketed as the kernel asks: DMA_BUF_IOCTL_SYNC with
 * START before, which waits for the devices that write to it and drops stale lines from the
 * caches, and with END behind, which writes the caches back.
 *
 * The kernel keeps no account of several users at a time, and START destroys what the processor
 * has just written where devices do not see its caches. So one bracket is open at most. Whoever
 * only reads may close it and open it anew, to see what devices have written meanwhile; while
 * somebody writes, others join him. What he has written is brought out when the last writer leaves.
 */
#ifndef HSI_BUFFER_ACCESS_H
#define HSI_BUFFER_ACCESS_H

#include <pthread.h>

#include <hsched/hsched.h>

typedef struct hsi_access {
    int fd; /* the dma-buf, ours; -1: coherent memory, nothing is to be done */
    pthread_mutex_t mutex; /* a leaf lock, held in the ioctl: guards the rest */
    uint32_t users, writers;
    uint64_t open; /* DMA_BUF_SYNC_READ, _RW, or 0: no bracket is open */
} hsi_access;

/* Whether it is a dma-buf is found out by trying; then a duplicate is kept. Errors: SYSTEM. */
hsched_status hsi_access_init(hsi_access *a, int fd);
void hsi_access_clear(hsi_access *a);

/* `access`: HSCHED_ACCESS_..., the same at the end. Any thread, with no other lock held; begin may
 * wait for devices. Errors: SYSTEM; end without begin: STATE. */
hsched_status hsi_access_begin(hsi_access *a, uint32_t access);
hsched_status hsi_access_end(hsi_access *a, uint32_t access);

#endif
