/*
 * Sources: models that the library runs periodically. source.c makes, starts and ends them, admit.c
 * decides whether there is time for them, by what demand.c finds out, release.c is the thread that
 * makes runs of releases.
 */
#ifndef HSI_RUNTIME_SOURCE_H
#define HSI_RUNTIME_SOURCE_H

#include "runtime/runtime.h"

/* A release from before its fill until its callback has returned. Only the source thread takes one
 * into use. Guarded by sources.mutex. */
typedef struct hsi_release {
    hsched_source *source;
    uint64_t release_us;
    hsched_run *run; /* once it is submitted, or about to be; a reference */
    int in_use;
    int gone;      /* another has taken its place: it counts as in flight no longer */
    int cancelled; /* by hsched_source_destroy */
    struct hsi_release *next_free;
} hsi_release;

struct hsched_source {
    hsched_source_config
        config;          /* with all defaults filled in; its bindings are those below */
    hsched_model *model; /* a reference */
    char *name;
    hsched_binding *fixed;   /* inputs, then outputs; zeros where nothing is bound */
    hsched_binding *working; /* the source thread's: those of the release at hand */
    uint32_t input_count, output_count;

    hsched_source *next_admitted; /* guarded by sources.admission */
    hsched_admission admission;

    /* Guarded by sources.mutex. */
    int is_started;
    hsched_source *next_started;
    uint64_t next_us; /* the next release */
    int releasing;    /* the source thread works on one */
    uint32_t release_count;
    hsi_release *releases, *free_releases;
    hsi_release *last; /* of the latest run, as long as it is in use */
    uint32_t used;     /* releases in use */
    uint32_t live;     /* those of them that count: not gone */
    int complained;    /* that a run could not be submitted */
    hsched_source_stats stats;
    hsi_histogram latency;
};

/* admit.c: adds the source to those that are admitted, or says why not. */
hsched_status hsi_source_admit(hsched_source *source);
void hsi_source_forget(hsched_source *source); /* also one that was not admitted */

/* release.c: under sources.mutex; starts the thread if there is none. */
hsched_status hsi_sources_start_thread(hsched_runtime *rt);
/* Without the mutex: waits until no release of the source is being worked on, unless called from
 * there. */
void hsi_source_await_release(hsched_source *source);

#endif
