/*
 * The file in which the tuner's choices outlive the process. Needs nothing of CUDA.
 *
 * gpu-tuning.txt: a line that names the format, then one choice a line:
 *   device key TAB step key TAB variant TAB microseconds TAB 1 if chosen among all, else 0
 * What does not parse is left out, with one line in the log. Any number of processes may read
 * and write the same file: it is only ever replaced as a whole, under a lock file.
 */
#ifndef HSI_BACKEND_CUDA_TUNE_CACHE_H
#define HSI_BACKEND_CUDA_TUNE_CACHE_H

#include <hsched/hsched.h>

/* Sizes of the texts, the 0 at the end included. */
#define HSI_CUDA_DEVICE_KEY_LENGTH 200
#define HSI_CUDA_STEP_KEY_LENGTH   320
#define HSI_CUDA_VARIANT_TEXT      96 /* HSI_CUDA_VARIANT_LENGTH of op.h */

#define HSI_CUDA_TUNE_CACHE_LINES 100000 /* more in a file: the oldest go */

typedef struct hsi_cuda_tune_cache hsi_cuda_tune_cache;

/*
 * `folder` NULL: $HSCHED_CACHE_DIR, else $XDG_CACHE_HOME/hsched, else ~/.cache/hsched; it is
 * made when something is first saved. A missing file is an empty cache; so is one that cannot
 * be read or is no such file, which is logged. Where there is no folder at all the cache lives
 * in memory only. Characters of the device key that would spoil a line become '_'.
 */
hsched_status hsi_cuda_tune_cache_open(const char *folder, const char *device_key,
                                       hsi_cuda_tune_cache **cache);
/* Saves (a failure is logged) and frees; NULL: nothing. */
void hsi_cuda_tune_cache_close(hsi_cuda_tune_cache *cache);

/* Copies the variant stored for `key` into text[HSI_CUDA_VARIANT_TEXT]: 1, or 0. *full: it
 * was chosen among all variants. Any thread. */
int hsi_cuda_tune_cache_get(hsi_cuda_tune_cache *cache, const char *key, char *text,
                            float *microseconds, int *full);
/* Stores a choice; one that is not full never replaces one that is. Keys and texts that
 * cannot stand in the file are logged and not stored. Any thread. */
void hsi_cuda_tune_cache_put(hsi_cuda_tune_cache *cache, const char *key,
                             const char *text, float microseconds, int full);
/* Writes what is new, merged with what other processes have written meanwhile, whole or not at
 * all (a new file renamed over the old one). Any thread. */
hsched_status hsi_cuda_tune_cache_save(hsi_cuda_tune_cache *cache);

#endif
