/* Files that several processes replace: where they are, reading, locking, replacing as a whole. */
#ifndef HSI_COST_FILE_H
#define HSI_COST_FILE_H

#include <stddef.h>
#include <stdio.h>

#include <hsched/hsched.h>

/* The cache folder's path: `folder`, or if it is NULL the default. 0: there is none, or its name
 * does not fit. Any thread that nobody changes the environment beside. */
int hsi_cost_file_folder(const char *folder, char *path, size_t size);

/* The whole file, to be freed with hsi_free; NULL and 0 bytes if there is none. Errors: IO, FORMAT
 * (no regular file, or one of more than 16 MiB), OUT_OF_MEMORY. */
hsched_status hsi_cost_file_read(const char *path, char **data, size_t *size);

/* Makes the folder and locks "PATH.lock" against all others, threads included; closing *lock
 * unlocks. Waits for a few seconds: who holds it only writes a file. Errors: IO. */
hsched_status hsi_cost_file_lock(const char *path, int *lock);

/* Under that lock: has `write` write a new file beside the old one and renames it over that when it
 * is on the disk; on failure the old one stays as it was. Errors: IO. */
hsched_status hsi_cost_file_replace(const char *path,
                                    void (*write)(FILE *out, void *user), void *user);

#endif
