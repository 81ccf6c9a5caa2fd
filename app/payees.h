#ifndef APP_PAYEES_H
#define APP_PAYEES_H
/*
 * The payees that servers had when this user saw or paid them, so that one
 * that is another now does not go unnoticed (payments.md §4.3): a file of
 * lines in the user's data folder, for one chain and token of a server each.
 *
 * Thread: main.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/claim.h"
#include "core/secp.h"

#define PAYEES_PATH_MAX 4096
#define PAYEES_LINE_MAX 320
#define PAYEES_MAX      1024 /* the oldest give way */

struct payee {
	uint8_t server[SECP_PUBLIC_SIZE];
	uint64_t chain_id;
	uint8_t token[ADDRESS_SIZE];
	uint8_t address[ADDRESS_SIZE];
	bool is_paid; /* false: only seen in an offer */
	uint64_t at_s;
};

/* $XDG_DATA_HOME/restante/payees, or below ~/.local/share. False: there is no
 * such folder for this user. */
bool payees_path(char out[static PAYEES_PATH_MAX]);

/*
 * What is known of the server, chain and token of `payee`. 0; ERR_NOTFOUND;
 * ERR_IO; ERR_SYNTAX: the file is none of ours.
 */
int payees_find(const char *path, const struct payee *like, struct payee *out);
/* Put it in the place of what was known. Makes the file and its folder. 0,
 * ERR_IO, ERR_SYNTAX or ERR_NOMEM: then the file is as it was. */
int payees_keep(const char *path, const struct payee *payee);

/* One line, without its end. For tests. 0 or ERR_SYNTAX. */
int payees_line_decode(const char *line, struct payee *out);
void payees_line_encode(const struct payee *payee,
			char out[static PAYEES_LINE_MAX]);

#endif
