/* Other programs that a benchmark starts: what keeps the GPU busy beside it, and what it is
 * compared with. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdio.h>
#include <sys/types.h>

typedef struct cli_process {
    pid_t pid; /* 0: not started */
    FILE *to, *from;
    const char *command; /* borrowed */
} cli_process;

/*
 * `command`, as the shell understands it, with its standard output (and input, unless that is -1)
 * from there on; it is terminated when this program ends, or the shell is: begin it with exec. A
 * negative number and errno: there is no process.
 */
pid_t cli_process_spawn(const char *command, int input, int output);

/*
 * Starts `command` (as the shell understands it) with pipes to its standard input and from its
 * standard output; its errors go where ours go. Gives CLI_OK or CLI_SYSTEM.
 */
int cli_process_start(cli_process *process, const char *command);
/* Sends a line, unless `line` is NULL, and waits for one, which is allocated. NULL: an error was
 * printed; the program has ended, say. */
char *cli_process_ask(cli_process *process, const char *line);
/* Has it end (SIGTERM, and nothing more to read) and waits. Nothing if it was not started. */
void cli_process_end(cli_process *process);

/* The path of NAME in the folder `programs`, or beside this program in bench/ if that is NULL.
 * Gives CLI_OK, or CLI_USAGE if there is no such program (an error was printed). */
int cli_process_find(const char *programs, const char *name, char *path, size_t size);

#endif
