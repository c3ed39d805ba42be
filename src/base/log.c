#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;
static hsched_log_callback log_callback;
static void *log_user;
/* Read without the mutex to leave early; the exact moment of a change does not matter. */
static atomic_int log_level = HSCHED_LOG_WARNING;

static const char *const level_names[] = { "", "error", "warning", "info", "debug" };

static void read_environment(void)
{
    const char *value = getenv("HSCHED_LOG");
    for (int i = HSCHED_LOG_ERROR; value && i <= HSCHED_LOG_DEBUG; i++)
        if (strcmp(value, level_names[i]) == 0)
            atomic_store(&log_level, i);
}

HSCHED_API void hsched_log_set(hsched_log_callback callback, void *user,
                               hsched_log_level level)
{
    pthread_once(&environment_once, read_environment);
    pthread_mutex_lock(&mutex);
    log_callback = callback;
    log_user = user;
    atomic_store(&log_level, (int)level);
    pthread_mutex_unlock(&mutex);
}

void hsi_log(hsched_log_level level, const char *format, ...)
{
    char text[1024];
    pthread_once(&environment_once, read_environment);
    if ((int)level > atomic_load(&log_level))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&mutex);
    hsched_log_callback callback = log_callback;
    void *user = log_user;
    pthread_mutex_unlock(&mutex);
    if (callback)
        callback(user, level, text);
    else
        fprintf(stderr, "hsched: %s: %s\n", level_names[level], text);
}
