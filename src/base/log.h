/* Messages to the user's log callback, or stderr. */
#ifndef HSI_BASE_LOG_H
#define HSI_BASE_LOG_H

#include <hsched/hsched.h>

void hsi_log(hsched_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
