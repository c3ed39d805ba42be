#include "cli/bench_background.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/clock.h"
#include "cli/process.h"

enum {
    SILENT_US =
        2000000, /* a command that prints nothing for so long has no more to say */
    PATIENCE_US = 5000000
};

/* ---- Burners -------------------------------------------------------------- */

/* Stops at once, then computes whenever it is not stopped. */
__attribute__((noreturn)) static void burn(pid_t parent)
{
    volatile uint64_t sum = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it is gone already */
        _exit(1);
    raise(SIGSTOP);
    for (;;)
        sum = sum * 6364136223846793005u + 1442695040888963407u;
}

static int make_burner(pid_t *burner)
{
    const pid_t parent = getpid();
    *burner = fork();
    if (*burner == 0)
        burn(parent);
    if (*burner > 0 && waitpid(*burner, NULL, WUNTRACED) == *burner)
        return CLI_OK;
    cli_error("a process that keeps a CPU busy could not be made: %s", strerror(errno));
    return CLI_SYSTEM;
}

int cli_background_make(cli_background *b)
{
    cpu_set_t usable;
    const int cpus = sched_getaffinity(0, sizeof usable, &usable) == 0
                         ? CPU_COUNT(&usable)
                         : (int)sysconf(_SC_NPROCESSORS_ONLN);
    b->burners = calloc((size_t)cpus, sizeof *b->burners);
    if (!b->burners)
        return cli_no_memory();
    for (int i = 0; i < cpus; i++) {
        const int status = make_burner(&b->burners[b->burner_count]);
        b->burner_count += b->burners[b->burner_count] > 0;
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

static void signal_burners(const cli_background *b, int signal)
{
    for (uint32_t i = 0; i < b->burner_count; i++)
        kill(b->burners[i], signal);
}

/* ---- A command ------------------------------------------------------------ */

void cli_background_choose(cli_background *b, const char *command)
{
    b->command = command;
}

static int begin_command(cli_background *b)
{
    char *line = malloc(strlen(b->command) + 6);
    int ends[2];
    if (!line)
        return cli_no_memory();
    strcpy(line, "exec ");
    strcat(line, b->command);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        cli_error("--background: %s", strerror(errno));
        free(line);
        return CLI_SYSTEM;
    }
    fcntl(ends[1], F_SETFL, 0); /* the command need not expect a pipe that is full */
    b->process = cli_process_spawn(line, -1, ends[1]);
    close(ends[1]);
    free(line);
    if (b->process < 0) {
        cli_error("--background '%s': %s", b->command, strerror(errno));
        close(ends[0]);
        b->process = 0;
        return CLI_SYSTEM;
    }
    b->output = ends[0];
    return CLI_OK;
}

/* Takes what it has printed. Anything is taken for the word that it is ready. */
static void listen_to(cli_background *b)
{
    char text[512];
    ssize_t length;
    while (b->output >= 0 && (length = read(b->output, text, sizeof text)) != -1) {
        if (length == 0) {
            close(b->output);
            b->output = -1;
        } else if (!b->is_ready) {
            b->is_ready = 1;
            b->ready_us = cli_now_us();
        }
    }
}

/* ---- Both ----------------------------------------------------------------- */

int cli_background_begin(cli_background *b)
{
    b->is_ready = 0;
    b->began_us = cli_now_us();
    if (b->command)
        return begin_command(b);
    signal_burners(b, SIGCONT);
    b->is_ready = 1;
    b->ready_us = b->began_us;
    return CLI_OK;
}

int cli_background_poll(cli_background *b, int *is_ready, uint64_t *ready_us)
{
    int how;
    if (b->command) {
        listen_to(b);
        if (waitpid(b->process, &how, WNOHANG) == b->process) {
            b->process = 0;
            cli_error(
                "--background '%s' has ended by itself with %s %d; it is to run until "
                "it is terminated",
                b->command, WIFSIGNALED(how) ? "signal" : "status",
                WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
            return CLI_SYSTEM;
        }
        if (!b->is_ready && cli_now_us() - b->began_us > SILENT_US) {
            b->is_ready = 1;
            b->ready_us = b->began_us;
        }
    }
    *is_ready = b->is_ready;
    *ready_us = b->ready_us;
    return CLI_OK;
}

void cli_background_end(cli_background *b)
{
    b->asked_us = cli_now_us();
    if (!b->command)
        signal_burners(b, SIGSTOP);
    else if (b->process > 0)
        kill(b->process, SIGTERM);
}

int cli_background_gone(cli_background *b)
{
    if (!b->command || b->process <= 0)
        return 1;
    listen_to(b);
    if (cli_now_us() - b->asked_us > PATIENCE_US)
        kill(b->process, SIGKILL);
    if (waitpid(b->process, NULL, WNOHANG) != b->process)
        return 0;
    b->process = 0;
    if (b->output >= 0)
        close(b->output);
    b->output = -1;
    return 1;
}

void cli_background_free(cli_background *b)
{
    if (b->process > 0) {
        kill(b->process, SIGKILL);
        waitpid(b->process, NULL, 0);
    }
    if (b->output >= 0)
        close(b->output);
    for (uint32_t i = 0; i < b->burner_count; i++) {
        kill(b->burners[i], SIGKILL);
        waitpid(b->burners[i], NULL, 0);
    }
    free(b->burners);
    *b = (cli_background){ CLI_BACKGROUND_INIT };
}
