/*
 * Lines of the cost cache's file. Fields are separated by tabs; the last one of every line is the
 * CRC-32 of all before it (IEEE 802.3, which finds every change of up to three bits in lines of
 * this length), so that a damaged line is not taken for another measurement.
 *
 *   device   ID TEXT                                       CRC
 *   point    ID MODEL UNIT INDEX MATH BATCH WORKERS
 *            MICROSECONDS SPREAD SAMPLES FLOPS BYTES
 *            CORRECTION SEEN OBSERVED                      CRC
 *   stretch  ID JOBS FACTOR                                CRC
 *   watts    ID WATTS IDLE                                 CRC
 *
 * ID is the hash of the device's text; ID and MODEL are 16 hexadecimal digits, UNIT is step,
 * section or run, MATH one of tf32, float32, fp16, bf16; CORRECTION is a factor's logarithm, SEEN
 * how many jobs it is from, OBSERVED 1 if nobody measured; WATTS is what the device draws when all
 * of it works, IDLE when it idles. Times, factors and watts have six decimals. A file without a
 * kind of line is valid; versions that do not know one count it as damaged.
 */
#ifndef HSI_COST_LINE_H
#define HSI_COST_LINE_H

#include <stddef.h>
#include <stdio.h>

#include "cost/cost.h"

enum {
    HSI_COST_LINE_LENGTH = 512 /* the longest that is valid, without its end mark */
};

typedef enum hsi_cost_line_kind {
    HSI_COST_LINE_DEVICE = 1,
    HSI_COST_LINE_POINT,
    HSI_COST_LINE_STRETCH,
    HSI_COST_LINE_WATTS
} hsi_cost_line_kind;

typedef struct hsi_cost_line {
    hsi_cost_line_kind kind;
    uint64_t device;  /* its ID */
    const char *text; /* device: not terminated, in the text that was parsed */
    size_t text_length;
    hsi_cost_point point; /* point: all but key.device */
    uint32_t jobs;        /* stretch */
    double factor;
    double watts, idle_watts; /* watts */
} hsi_cost_line;

uint64_t hsi_cost_device_id(const char *text, size_t length);

/* 1, or 0: damaged. Values are in the ranges that hsi_cost_table_put takes. */
int hsi_cost_line_parse(const char *text, size_t length, hsi_cost_line *line);
/* Writes it with its end mark; failures show in ferror(file). */
void hsi_cost_line_write(FILE *file, const hsi_cost_line *line);

/* Orders lines by what they are about (kind, device, key, jobs); 0: about the same. */
int hsi_cost_line_compare(const hsi_cost_line *a, const hsi_cost_line *b);

#endif
