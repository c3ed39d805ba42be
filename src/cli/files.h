/* Files that a command writes at its end. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

/* Can the file be written? Asked before time is spent: makes it, and leaves what it holds.
 * `option` names it in the error. NULL: nothing is asked. Gives CLI_OK or CLI_SYSTEM. */
int cli_check_writable(const char *option, const char *path);

#endif
