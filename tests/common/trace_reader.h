/*
 * Reading a trace's file, and what holds for each: it is valid JSON, every run has its begin and
 * its end, slices nest on every track (parts in steps in jobs, of one run), and every arrow
 * connects two jobs, forwards in time.
 */
#ifndef TESTS_COMMON_TRACE_READER_H
#define TESTS_COMMON_TRACE_READER_H

#include <stdint.h>

#include <jansson.h>

/* A name for a file in a folder of the test's own; the same one every time. */
const char *trace_path(void);
/* Reads it, checks what holds for all, and removes it. Free with json_decref. */
json_t *trace_read(void);

/* Calls visit(user, event) for events of this phase and category or name (NULL: any). */
typedef void (*trace_visitor)(void *user, const json_t *event);
void trace_visit(const json_t *trace, const char *phase, const char *category,
                 const char *name, trace_visitor visit, void *user);
uint64_t trace_count(const json_t *trace, const char *phase, const char *category,
                     const char *name);
/* The sum of a number of their args; of those that lack it `otherwise`. */
uint64_t trace_sum(const json_t *trace, const char *phase, const char *category,
                   const char *name, const char *arg, uint64_t otherwise);
/* Events of which an arg is this text. */
uint64_t trace_count_text(const json_t *trace, const char *phase, const char *category,
                          const char *arg, const char *text);

/* Jobs that ended well, each run of a batch counted. */
uint64_t trace_jobs(const json_t *trace);
uint64_t trace_other(const json_t *trace, const char *name); /* of otherData */

#endif
