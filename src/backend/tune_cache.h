/*
 * The file in which the choice of kernels by measuring outlives the process: of the CPU backend and
 * (linked into the plug-in once more) of GPUs.
 *
 * cpu-tuning.txt, gpu-tuning.txt: a line that names the format, then one choice a line:
 *   device key TAB step key TAB variant TAB microseconds TAB 1 if chosen among all, else 0
 * What does not parse is left out, with one line in the log. Any number of processes may read
 * and write the same file: it is only ever replaced as a whole, under a lock file.
 */
#ifndef HSI_BACKEND_TUNE_CACHE_H
#define HSI_BACKEND_TUNE_CACHE_H

#include <hsched/backend.h>

/* Sizes of the texts, the 0 at the end included. */
#define HSI_TUNE_DEVICE_KEY 200
#define HSI_TUNE_STEP_KEY   320
#define HSI_TUNE_VARIANT    96 /* HSI_CUDA_VARIANT_LENGTH of op.h */

#define HSI_TUNE_CACHE_LINES 100000 /* more in a file: the oldest go */

typedef struct hsi_tune_cache hsi_tune_cache;

typedef struct hsi_tune_cache_config {
    const hsched_backend_host *host;
    const char *kind;       /* "cpu", "gpu": begins the file's name */
    const char *folder;     /* NULL: $HSCHED_CACHE_DIR, else $XDG_CACHE_HOME/hsched, else
                               ~/.cache/hsched */
    const char *device_key; /* characters that would spoil a line become '_' */
} hsi_tune_cache_config;

/*
 * The folder is made when something is first saved. A missing file is an empty cache; so is one
 * that cannot be read or is no such file, which is logged. Where there is no folder at all the
 * cache lives in memory only. The texts need not outlive the call.
 */
hsched_status hsi_tune_cache_open(const hsi_tune_cache_config *config,
                                  hsi_tune_cache **cache);
/* Saves (a failure is logged) and frees; NULL: nothing. */
void hsi_tune_cache_close(hsi_tune_cache *cache);

/* The folder of the file; "": there is none. */
const char *hsi_tune_cache_folder(const hsi_tune_cache *cache);

/* Copies the variant stored for `key` into text[HSI_TUNE_VARIANT]: 1, or 0. *full: it
 * was chosen among all variants. Any thread. */
int hsi_tune_cache_get(hsi_tune_cache *cache, const char *key, char *text,
                       float *microseconds, int *full);
/* Stores a choice; one that is not full never replaces one that is. Keys and texts that
 * cannot stand in the file are logged and not stored. Any thread. */
void hsi_tune_cache_put(hsi_tune_cache *cache, const char *key, const char *text,
                        float microseconds, int full);
/* Writes what is new, merged with what other processes have written meanwhile, whole or not at
 * all (a new file renamed over the old one). Any thread. */
hsched_status hsi_tune_cache_save(hsi_tune_cache *cache);

#endif
