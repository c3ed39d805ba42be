/*
 * Another program beside the networks, that can be begun and ended several times: a command, or
 * processes of this program's own that keep CPU cores busy. It ends with this program in any
 * case.
 */
#ifndef CLI_BENCH_BACKGROUND_H
#define CLI_BENCH_BACKGROUND_H

#include <stdint.h>
#include <sys/types.h>

typedef struct cli_background {
    pid_t *burners; /* stopped, but in between begin and end */
    uint32_t burner_count;
    const char *command; /* NULL: the burners are the program */
    pid_t process;       /* of the command; 0: it does not run */
    int output;          /* what it prints; -1: nothing more */
    int is_ready;
    uint64_t began_us, ready_us, asked_us;
} cli_background;

#define CLI_BACKGROUND_INIT .output = -1

/* Makes the burners, one for each CPU that this process may use. While there is one thread only:
 * before a runtime is started. Gives CLI_OK or CLI_SYSTEM. */
int cli_background_make(cli_background *background);
/* `command`: a simple command for sh (as in "exec COMMAND"); NULL: the burners. Borrowed. */
void cli_background_choose(cli_background *background, const char *command);

/* Begins it; it does not run. Gives CLI_OK or CLI_SYSTEM. */
int cli_background_begin(cli_background *background);
/*
 * While it runs, now and then: is its load there? *ready_us is since when: a command is ready when
 * it prints something ("ready", as tests/bench/hog.cu does), or was from its begin if it has
 * printed nothing for two seconds. Gives CLI_SYSTEM, with an error, if it has ended by itself.
 */
int cli_background_poll(cli_background *background, int *is_ready, uint64_t *ready_us);
/* Asks it to end. */
void cli_background_end(cli_background *background);
/* Has it ended? To be asked until it has: after five seconds it is killed. */
int cli_background_gone(cli_background *background);

/* Ends all that is left. */
void cli_background_free(cli_background *background);

#endif
