#ifndef APP_COMMAND_H
#define APP_COMMAND_H
/*
 * The commands of the program. Each is one file app/cmd_<name>.c with one
 * function, declared here and listed in app/main.c.
 *
 * A command gets its own name as argv[0] and returns the exit status:
 * EXIT_OK, EXIT_FAILED (it did not work out; a message was printed),
 * EXIT_USAGE (it was called wrongly), or EXIT_PAYMENT (the server wants to be
 * paid for it; a message was printed).
 *
 * Thread: main.
 */

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PAYMENT = 3 };

struct command {
	const char *name;
	const char *summary; /* a phrase in lower case without a full stop */
	int (*run)(int argc, char **argv);
};

int cmd_admin(int argc, char **argv);
int cmd_backup(int argc, char **argv);
int cmd_canary(int argc, char **argv);
int cmd_check_config(int argc, char **argv);
int cmd_claim(int argc, char **argv);
int cmd_entitlement(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_fetch(int argc, char **argv);
int cmd_fsck(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_keygen(int argc, char **argv);
int cmd_offer(int argc, char **argv);
int cmd_post(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
