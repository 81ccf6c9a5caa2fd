/*
 * Orders that concern neither a claim nor a node: alarms of finality
 * (payments.md §11), the mode, and where all orders are found again. What they
 * keep are rows of `meta`.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "auth/ledger_rows.h"
#include "core/bytes.h"
#include "core/err.h"

#define NAME_SIZE  8
#define BLOCK_SIZE (16 + 32)
#define MODE_SIZE  (8 + 2) /* and the reason */
#define ROW_MAX    (MODE_SIZE + LEDGER_REASON_SIZE)

_Static_assert(BLOCK_SIZE <= ROW_MAX, "rows of meta");

static const char alarm_name[] = "alarm";
static const char final_name[] = "final";
static const char mode_name[] = "mode";
static const char order_name[] = "order";

void meta_key(const char *name, uint64_t number,
	      uint8_t out[static META_KEY_SIZE])
{
	assert(strlen(name) < NAME_SIZE);
	memset(out, 0, NAME_SIZE);
	memcpy(out, name, strlen(name));
	be64_store(out + NAME_SIZE, number);
}

static void put_order(struct group *group, const struct ledger_task *task,
		      struct ledger_event *event)
{
	event->kind = (uint8_t)(LEDGER_KIND_ORDER + (unsigned)task->op);
	(void)snprintf(event->text, sizeof(event->text), "%s",
		       task->text ? task->text : "");
	rows_event(group, event);
}

/* A copy of a row for a reader. 0, ERR_NOTFOUND, ERR_CORRUPT or ERR_IO. */
static int read_row(struct ledger *ledger, const char *name, uint64_t number,
		    uint8_t out[static ROW_MAX], MDB_val *value)
{
	uint8_t key[META_KEY_SIZE];
	struct ledger_tx tx;
	int err = ledger_tx_begin(&tx, &ledger->db, true);

	if (err)
		return err;
	meta_key(name, number, key);
	if (!ledger_tx_get(&tx, TABLE_META, key, sizeof(key), value))
		err = tx.err ? tx.err : ERR_NOTFOUND;
	else if (value->mv_size > ROW_MAX)
		err = ERR_CORRUPT;
	else
		memcpy(out, value->mv_data, value->mv_size);
	value->mv_data = out;
	ledger_tx_abort(&tx);
	return err;
}

/* ---- finality ---- */

static int block_decode(const MDB_val *value, uint64_t chain_id,
			struct ledger_block *out)
{
	const uint8_t *in = value->mv_data;

	if (value->mv_size != BLOCK_SIZE)
		return ERR_CORRUPT;
	*out = (struct ledger_block){.chain_id = chain_id,
				     .at_s = be64_load(in),
				     .block = be64_load(in + 8)};
	memcpy(out->hash, in + 16, sizeof(out->hash));
	return 0;
}

static void put_block(struct group *group, const char *name,
		      const struct ledger_task *task, uint64_t at_s)
{
	uint8_t key[META_KEY_SIZE], row[BLOCK_SIZE];

	meta_key(name, task->chain_id, key);
	be64_store(row, at_s);
	be64_store(row + 8, task->block);
	memcpy(row + 16, task->hash, 32);
	ledger_tx_put(&group->tx, TABLE_META, key, sizeof(key), row,
		      sizeof(row));
}

int orders_final(struct group *group, const struct ledger_task *task)
{
	put_block(group, final_name, task, group->now_s);
	return group->tx.err;
}

/* Another one before the first is acknowledged: it stands from the first. What
 * the block is now is what is held against the chain from now on. */
int orders_alarm(struct group *group, const struct ledger_task *task)
{
	struct ledger_event event = {.chain_id = task->chain_id,
				     .block = task->block};
	uint8_t key[META_KEY_SIZE];
	struct ledger_block before;
	uint64_t at_s = group->now_s;
	MDB_val value;

	meta_key(alarm_name, task->chain_id, key);
	if (ledger_tx_get(&group->tx, TABLE_META, key, sizeof(key), &value) &&
	    block_decode(&value, task->chain_id, &before) == 0)
		at_s = before.at_s;
	put_block(group, alarm_name, task, at_s);
	put_block(group, final_name, task, group->now_s);
	put_order(group, task, &event);
	return group->tx.err;
}

int orders_acknowledge(struct group *group, const struct ledger_task *task)
{
	struct ledger_event event = {.chain_id = task->chain_id};
	struct ledger_block alarm = {0};
	uint8_t key[META_KEY_SIZE];
	MDB_val value;

	meta_key(alarm_name, task->chain_id, key);
	if (!ledger_tx_get(&group->tx, TABLE_META, key, sizeof(key), &value))
		return ERR_NOTFOUND;
	(void)block_decode(&value, task->chain_id, &alarm);
	event.block = alarm.block;
	ledger_tx_del(&group->tx, TABLE_META, key, sizeof(key));
	put_order(group, task, &event);
	return group->tx.err;
}

static int read_block(struct ledger *ledger, const char *name,
		      uint64_t chain_id, struct ledger_block *out)
{
	uint8_t row[ROW_MAX];
	MDB_val value;
	int err = read_row(ledger, name, chain_id, row, &value);

	return err ? err : block_decode(&value, chain_id, out);
}

int ledger_read_alarm(struct ledger *ledger, uint64_t chain_id,
		      struct ledger_block *out)
{
	return read_block(ledger, alarm_name, chain_id, out);
}

int ledger_read_final(struct ledger *ledger, uint64_t chain_id,
		      struct ledger_block *out)
{
	return read_block(ledger, final_name, chain_id, out);
}

/* ---- the mode ---- */

/* What the settings say needs no row: they say it at the next start too. */
int orders_mode(struct group *group, const struct ledger_task *task)
{
	struct ledger_event event = {.units = (uint32_t)task->mode};
	size_t len = task->text ? strlen(task->text) : 0;
	uint8_t row[ROW_MAX];
	uint8_t key[META_KEY_SIZE];
	MDB_val value;

	if (len >= LEDGER_REASON_SIZE)
		return ERR_RANGE;
	meta_key(mode_name, 0, key);
	be64_store(row, group->now_s);
	row[8] = (uint8_t)task->mode;
	row[9] = (uint8_t)task->settings_mode;
	if (len)
		memcpy(row + MODE_SIZE, task->text, len);
	if (task->mode != task->settings_mode)
		ledger_tx_put(&group->tx, TABLE_META, key, sizeof(key), row,
			      MODE_SIZE + len);
	else if (ledger_tx_get(&group->tx, TABLE_META, key, sizeof(key),
			       &value))
		ledger_tx_del(&group->tx, TABLE_META, key, sizeof(key));
	put_order(group, task, &event);
	return group->tx.err;
}

/* Only the order is kept: at the next start all is as if it had not been. */
int orders_mode_now(struct group *group, const struct ledger_task *task)
{
	struct ledger_event event = {.units = (uint32_t)task->mode};

	if (task->text && strlen(task->text) >= LEDGER_REASON_SIZE)
		return ERR_RANGE;
	put_order(group, task, &event);
	return group->tx.err;
}

static int mode_decode(const MDB_val *value, struct ledger_mode *out)
{
	const uint8_t *in = value->mv_data;
	size_t size = value->mv_size;

	if (size < MODE_SIZE || size >= MODE_SIZE + LEDGER_REASON_SIZE ||
	    in[8] > ACCESS_AUDIT || in[9] > ACCESS_AUDIT)
		return ERR_CORRUPT;
	*out = (struct ledger_mode){
		.mode = (enum access_mode)in[8],
		.settings_mode = (enum access_mode)in[9],
		.at_s = be64_load(in),
	};
	memcpy(out->reason, in + MODE_SIZE, size - MODE_SIZE);
	return 0;
}

int ledger_read_mode(struct ledger *ledger, struct ledger_mode *out)
{
	uint8_t row[ROW_MAX];
	MDB_val value;
	int err = read_row(ledger, mode_name, 0, row, &value);

	return err ? err : mode_decode(&value, out);
}

/* ---- all orders ---- */

const char *ledger_order_str(const struct ledger_event *event)
{
	switch ((enum ledger_op)(event->kind - LEDGER_KIND_ORDER)) {
	case LEDGER_GRANT:
		return "grant";
	case LEDGER_SUSPEND:
		return "suspend";
	case LEDGER_RESUME:
		return "resume";
	case LEDGER_REVOKE:
		return "revoke";
	case LEDGER_CANCEL:
		return "cancel";
	case LEDGER_RECHECK:
		return "recheck";
	case LEDGER_ALARM:
		return "alarm";
	case LEDGER_ACKNOWLEDGE:
		return "acknowledge";
	case LEDGER_MODE:
		return event->units == ACCESS_FREE   ? "mode free"
		       : event->units == ACCESS_PAID ? "mode paid"
						     : "mode audit";
	case LEDGER_MODE_NOW:
		return event->units == ACCESS_FREE   ? "mode free for now"
		       : event->units == ACCESS_PAID ? "mode paid for now"
						     : "mode audit for now";
	case LEDGER_ACCEPT:
	case LEDGER_FINDING:
	case LEDGER_CONVERT:
	case LEDGER_OFFER:
	case LEDGER_CHAIN:
	case LEDGER_BATCH:
	case LEDGER_FINAL:
		break;
	}
	return "?";
}

void orders_index(struct group *group, uint64_t event_index)
{
	uint8_t key[META_KEY_SIZE];

	meta_key(order_name, event_index, key);
	ledger_tx_add(&group->tx, TABLE_META, key, sizeof(key), "", 0);
}

int ledger_each_order(struct ledger *ledger,
		      bool (*visit)(void *ctx,
				    const struct ledger_event *event),
		      void *ctx)
{
	uint8_t from[META_KEY_SIZE];
	struct ledger_event event;
	struct ledger_walk walk;
	struct ledger_tx tx;
	MDB_val value;
	int err = ledger_tx_begin(&tx, &ledger->db, true);

	if (err)
		return err;
	meta_key(order_name, 0, from);
	ledger_walk_init(&walk, &tx, TABLE_META, from, sizeof(from));
	while (ledger_walk_next(&walk) && walk.key.mv_size == META_KEY_SIZE &&
	       memcmp(walk.key.mv_data, from, NAME_SIZE) == 0) {
		const uint8_t *key = walk.key.mv_data;

		if (!ledger_tx_get(&tx, TABLE_EVENTS, key + NAME_SIZE, 8,
				   &value) ||
		    event_decode(value.mv_data, value.mv_size, &event)) {
			err = tx.err ? tx.err : ERR_CORRUPT;
			break;
		}
		if (!visit(ctx, &event))
			break;
	}
	ledger_walk_release(&walk);
	if (!err)
		err = tx.err;
	ledger_tx_abort(&tx);
	return err;
}
