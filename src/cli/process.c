#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

/* As fork, but the child has the parent's memory until it executes the command: copying page tables
 * would hold up the runtime's threads. So it calls the system and nothing else. */
pid_t cli_process_spawn(const char *command, int input, int output)
{
    char shell[] = "sh", option[] = "-c";
    char *const arguments[] = { shell, option, (char *)command, NULL };
    const pid_t process = vfork();
    if (process != 0)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_DFL);
    if (input >= 0)
        dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    execv("/bin/sh", arguments);
    _exit(127);
}

static void close_pipe(const int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

int cli_process_start(cli_process *p, const char *command)
{
    int in[2] = { -1, -1 }, out[2] = { -1, -1 };
    *p = (cli_process){ .command = command };
    signal(SIGPIPE, SIG_IGN); /* a program that has ended is an error that we report */
    int error = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 ? 0 : errno;
    if (error == 0 && (p->pid = cli_process_spawn(command, in[0], out[1])) < 0)
        error = errno;
    if (error == 0) {
        close(in[0]);
        close(out[1]);
        p->to = fdopen(in[1], "w");
        p->from = fdopen(out[0], "r");
        if (p->to && p->from)
            return CLI_OK;
        error = ENOMEM;
        cli_process_end(p);
    } else {
        close_pipe(in);
        close_pipe(out);
        p->pid = 0;
    }
    cli_error("'%s' could not be started: %s", command, strerror(error));
    return CLI_SYSTEM;
}

char *cli_process_ask(cli_process *p, const char *line)
{
    char *answer = NULL;
    size_t room = 0;
    if (line && (fprintf(p->to, "%s\n", line) < 0 || fflush(p->to) != 0)) {
        cli_error("'%s' takes no more questions: %s", p->command, strerror(errno));
        return NULL;
    }
    const ssize_t length = getline(&answer, &room, p->from);
    if (length > 0 && answer[length - 1] == '\n') {
        answer[length - 1] = '\0';
        return answer;
    }
    free(answer);
    cli_error("'%s' has ended without an answer", p->command);
    return NULL;
}

void cli_process_end(cli_process *p)
{
    if (p->pid <= 0)
        return;
    if (p->to)
        fclose(p->to);
    kill(p->pid, SIGTERM);
    if (p->from) {
        char rest[4096]; /* it must not block in writing its last words */
        while (fread(rest, 1, sizeof rest, p->from) > 0)
            ;
        fclose(p->from);
    }
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *p = (cli_process){ 0 };
}

int cli_process_find(const char *programs, const char *name, char *path, size_t size)
{
    char own[4096];
    if (!programs) {
        const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 8);
        if (length < 0)
            return cli_failed(CLI_SYSTEM, HSCHED_ERROR_SYSTEM, "/proc/self/exe");
        own[length] = '\0';
        char *slash = strrchr(own, '/');
        memcpy(slash ? slash : own, "/bench", sizeof "/bench");
        programs = own;
    }
    const int length = snprintf(path, size, "%s/%s", programs, name);
    if (length > 0 && (size_t)length < size && access(path, X_OK) == 0)
        return CLI_OK;
    cli_error(
        "there is no program %s/%s: `make gpu-programs` builds it in the source tree; "
        "--programs names another folder",
        programs, name);
    return CLI_USAGE;
}
