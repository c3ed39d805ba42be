#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

int cli_check_writable(const char *option, const char *path)
{
    if (!path)
        return CLI_OK;
    const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        cli_error("%s %s: %s", option, path, strerror(errno));
        return CLI_SYSTEM;
    }
    close(file);
    return CLI_OK;
}
