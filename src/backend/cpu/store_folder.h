/* The folder of packed weights (store.h) does not grow without end. */
#ifndef HSI_BACKEND_CPU_STORE_FOLDER_H
#define HSI_BACKEND_CPU_STORE_FOLDER_H

#include <stdint.h>

/* Behind the name of a file, and followed by what makes it somebody's: it is being written. */
#define HSI_CPU_STORE_TEMPORARY "."

/* Makes the folder, and room in it for a file of `size` bytes: files that were not used for the
 * longest time go, until all have `limit` bytes at most. What another process is writing counts as
 * well; what one has left unfinished an hour ago goes. 0, with errno: it cannot be. */
int hsi_cpu_store_trim(const char *folder, uint64_t size, uint64_t limit);

#endif
