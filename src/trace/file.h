/* What the two halves of writing a trace's file share: events, and the arrows between them. */
#ifndef HSI_TRACE_FILE_H
#define HSI_TRACE_FILE_H

#include <stdio.h>

#include "trace/trace.h"

/* The tracks' numbers in the file; what Perfetto calls a process is one device or model here. It
 * takes a thread with the number of its process for the main one, and shows it first: no worker has
 * that number. */
enum {
    HSI_TRACK_SCHEDULER = 1,
    HSI_TRACK_DEVICES = 10000,
    HSI_TRACK_MODELS = 20000
};

/* Begins an event: name, phase, track and time; the caller adds members and the closing brace. */
void hsi_trace_begin_event(FILE *file, const char *name, char phase, uint32_t pid,
                           uint32_t tid, uint64_t ns);

/* Writes an arrow from each job to those that need what it has made. */
hsched_status hsi_trace_write_flows(const hsi_trace *trace, FILE *file);

#endif
