/* What all commands say on standard error. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

static void vmessage(const char *kind, const char *format, va_list arguments)
{
    fprintf(stderr, "hsched: %s", kind);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void cli_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vmessage("", format, arguments);
    va_end(arguments);
}

void cli_warning(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vmessage("warning: ", format, arguments);
    va_end(arguments);
}

int cli_failed(int exit_status, hsched_status status, const char *what)
{
    const char *detail = hsched_error_detail();
    cli_error("%s: %s%s%s", what, hsched_status_text(status),
              detail[0] ? "\n        " : "", detail);
    return exit_status;
}

int cli_no_memory(void)
{
    cli_error("out of memory");
    return CLI_SYSTEM;
}
