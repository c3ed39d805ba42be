/* Writing a trace's JSON. */
#ifndef HSI_TRACE_JSON_H
#define HSI_TRACE_JSON_H

#include <stdint.h>
#include <stdio.h>

/* A JSON string with its quotes; what is no UTF-8 becomes U+FFFD. */
void hsi_json_text(FILE *file, const char *text);
/* Nanoseconds as microseconds, exactly. */
void hsi_json_us(FILE *file, uint64_t ns);

#endif
