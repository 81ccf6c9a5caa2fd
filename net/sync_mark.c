#include "net/sync_mark.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mailbox.h"

#define WAIT_MS    1000u
#define PUTS_MAX   1024u
#define CURSOR_HEX (2 * ENVELOPE_KEY_SIZE)
#define NAME_SIZE  (5 + 2 * SECP_PUBLIC_SIZE + 1)

/* ---- the text ---- */

void sync_position_encode(const struct sync_position *position,
			  char out[static SYNC_POSITION_TEXT_MAX])
{
	char cursor[CURSOR_HEX + 1] = "-";

	if (position->has_cursor)
		hex_encode(position->cursor, ENVELOPE_KEY_SIZE, cursor);
	(void)snprintf(out, SYNC_POSITION_TEXT_MAX,
		       "restante-sync 1\nuntil %" PRIu32 "\nrange %d %" PRIu32
		       " %" PRIu32 "\ncursor %s\n",
		       position->until_s, position->has_range,
		       position->lower_s, position->upper_s, cursor);
}

int sync_position_decode(const char *text, struct sync_position *out)
{
	char again[SYNC_POSITION_TEXT_MAX], cursor[CURSOR_HEX + 1];
	struct sync_position p = {0};
	int has_range;

	if (sscanf(text,
		   "restante-sync 1\nuntil %" SCNu32 "\nrange %d %" SCNu32
		   " %" SCNu32 "\ncursor %72s",
		   &p.until_s, &has_range, &p.lower_s, &p.upper_s, cursor) != 5)
		return ERR_SYNTAX;
	p.has_range = has_range == 1;
	p.has_cursor = strcmp(cursor, "-") != 0;
	if (p.has_cursor &&
	    hex_decode(cursor, strlen(cursor), p.cursor, sizeof(p.cursor)))
		return ERR_SYNTAX;
	sync_position_encode(&p, again);
	if (strcmp(text, again) != 0 || (p.has_cursor && !p.has_range) ||
	    p.lower_s > p.upper_s)
		return ERR_SYNTAX;
	*out = p;
	return 0;
}

static void mark_name(const uint8_t node[static SECP_PUBLIC_SIZE],
		      char out[static NAME_SIZE])
{
	memcpy(out, "sync-", 5);
	hex_encode(node, SECP_PUBLIC_SIZE, out + 5);
}

int sync_position_load(struct archive *archive,
		       const uint8_t node[static SECP_PUBLIC_SIZE],
		       struct sync_position *out)
{
	char name[NAME_SIZE], text[SYNC_POSITION_TEXT_MAX];
	int err;

	mark_name(node, name);
	err = archive_mark_load(archive, name, text, sizeof(text));
	if (err == ERR_RANGE)
		return ERR_SYNTAX;
	return err ? err : sync_position_decode(text, out);
}

/* ---- the thread ---- */

struct saving {
	struct letter letter; /* first */
	unsigned node;
	struct sync_position position;
};

struct sync_keeper {
	struct archive *archive;
	const uint8_t (*nodes)[SECP_PUBLIC_SIZE];
	unsigned count;
	struct mailbox mailbox;
	pthread_t thread;
	atomic_bool is_stopping;
	struct saving *last[]; /* of each node, yet to be written */
};

void sync_keeper_put(struct sync_keeper *keeper, unsigned node,
		     const struct sync_position *position)
{
	struct saving *saving = malloc(sizeof(*saving));

	if (!saving)
		return;
	saving->node = node;
	saving->position = *position;
	if (mailbox_put(&keeper->mailbox, &saving->letter))
		free(saving);
}

static void save(struct sync_keeper *keeper, const struct saving *saving)
{
	char name[NAME_SIZE], text[SYNC_POSITION_TEXT_MAX];

	mark_name(keeper->nodes[saving->node], name);
	sync_position_encode(&saving->position, text);
	if (archive_mark_save(keeper->archive, name, text))
		LOG_UNUSUAL("how far a sync has come could not be written",
			    log_hex("peer", keeper->nodes[saving->node], 8));
}

/* Returns whether there was anything. */
static bool save_all(struct sync_keeper *keeper)
{
	struct letter *letter = mailbox_take_all(&keeper->mailbox);
	bool has_some = letter != NULL;

	while (letter) {
		struct saving *saving = (struct saving *)(void *)letter;

		letter = letter->next;
		free(keeper->last[saving->node]);
		keeper->last[saving->node] = saving;
	}
	for (unsigned i = 0; has_some && i < keeper->count; i++) {
		if (keeper->last[i])
			save(keeper, keeper->last[i]);
		free(keeper->last[i]);
		keeper->last[i] = NULL;
	}
	return has_some;
}

static void *keeper_main(void *arg)
{
	struct sync_keeper *keeper = arg;

	(void)pthread_setname_np(pthread_self(), "sync");
	for (;;) {
		bool is_stopping = atomic_load(&keeper->is_stopping);

		if (save_all(keeper))
			continue;
		if (is_stopping)
			return NULL;
		mailbox_wait(&keeper->mailbox, WAIT_MS);
	}
}

int sync_keeper_start(struct archive *archive,
		      const uint8_t (*nodes)[SECP_PUBLIC_SIZE], unsigned count,
		      struct sync_keeper **out)
{
	struct sync_keeper *keeper =
		calloc(1, sizeof(*keeper) + count * sizeof(keeper->last[0]));

	if (!keeper)
		return ERR_NOMEM;
	keeper->archive = archive;
	keeper->nodes = nodes;
	keeper->count = count;
	mailbox_init(&keeper->mailbox, PUTS_MAX, NULL, NULL);
	if (pthread_create(&keeper->thread, NULL, keeper_main, keeper)) {
		free(keeper);
		return ERR_IO;
	}
	*out = keeper;
	return 0;
}

void sync_keeper_stop(struct sync_keeper *keeper)
{
	if (!keeper)
		return;
	atomic_store(&keeper->is_stopping, true);
	mailbox_nudge(&keeper->mailbox);
	pthread_join(keeper->thread, NULL);
	free(keeper);
}
