/*
 * What measuring has chosen for steps of the CPU: in memory for all devices of the process that
 * have the same libraries and folder, so that they choose alike, and in cpu-tuning.txt
 * (backend/tune_cache.h).
 */
#ifndef HSI_BACKEND_CPU_TUNED_H
#define HSI_BACKEND_CPU_TUNED_H

#include "backend/cpu/kernel.h"
#include "backend/tune_cache.h"

typedef struct hsi_cpu_tuned hsi_cpu_tuned;

/* `device`: whatever choices depend on, the processor and the libraries. Any thread. */
hsched_status hsi_cpu_tuned_open(const char *folder, const char *device,
                                 hsi_cpu_tuned **tuned);
void hsi_cpu_tuned_close(hsi_cpu_tuned *tuned); /* saves; NULL: nothing */
/* Where they are kept; "": nowhere. */
const char *hsi_cpu_tuned_folder(const hsi_cpu_tuned *tuned);
void hsi_cpu_tuned_save(hsi_cpu_tuned *tuned); /* a failure is logged */

/* Held by who looks for a choice and then measures: one at a time, of which others would spoil the
 * times. */
void hsi_cpu_tuned_lock(hsi_cpu_tuned *tuned);
void hsi_cpu_tuned_unlock(hsi_cpu_tuned *tuned);

/* The step's shape in words, into text[HSI_TUNE_STEP_KEY]: 1, or 0 if steps of its kind, or of its
 * size, are not measured. */
int hsi_cpu_tuned_key(const hsched_step *step, hsched_math math, char *text);
/* Copies the name of the kernel chosen into name[HSI_TUNE_VARIANT]: 1, or 0. */
int hsi_cpu_tuned_get(hsi_cpu_tuned *tuned, const char *key, char *name);
void hsi_cpu_tuned_put(hsi_cpu_tuned *tuned, const char *key, const char *name,
                       double us);

#endif
