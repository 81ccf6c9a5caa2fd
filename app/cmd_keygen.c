#include <stdio.h>

#include "app/args.h"
#include "app/command.h"
#include "app/nodekey.h"
#include "core/bytes.h"
#include "core/enode.h"

static const struct setting options[] = {
	{"print", NULL, SETTING_BOOL, "false", NULL, NULL, NULL,
	 "show the enode URL of a key that is there already"},
	{0},
};

static const struct usage usage = {
	.command = "keygen",
	.operands = "FILE",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Writes a new node key, 64 hex digits that only you may "
		   "read, to FILE and prints\nits enode URL. A file that is "
		   "there is never written over.",
	.options = options,
};

static void print_enode(const struct secp_key *key)
{
	struct enode enode = {0};
	char text[ENODE_TEXT_MAX];

	for (unsigned i = 0; i < SECP_PUBLIC_SIZE; i++)
		enode.public[i] = key->public[i];
	(void)enode_encode(&enode, text);
	printf("%s\n", text);
}

int cmd_keygen(int argc, char **argv)
{
	char why[NODEKEY_WHY_MAX];
	struct secp_key key;
	struct args args;
	int status;
	int err;

	if (!args_parse(&usage, argc, argv, &args, &status))
		return status;
	if (settings_bool(args.options, "print")) {
		err = nodekey_read(args.operands[0], &key, why);
	} else {
		secp_key_new(&key);
		err = nodekey_write(args.operands[0], &key, why);
	}
	if (err)
		(void)fprintf(stderr, "restante keygen: %s\n", why);
	else
		print_enode(&key);
	bytes_erase(&key, sizeof(key));
	args_release(&args);
	return err ? EXIT_FAILED : EXIT_OK;
}
