#include "auth/ledger.h"

#include <assert.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/metrics.h"

#define IDLE_MS       500
#define KEEP_EVERY_MS (3600ull * 1000)
#define CLOCK_STEP_MS 60000 /* a step, not a drift */
/* Claims one pass of the housekeeping looks at, and changes at most. */
#define KEEP_LOOK 1024
#define KEEP_MAX  64
#define OPEN_MAX  100000
/* Records that are read between two groups: a few milliseconds. */
#define ROSTER_LOOK 1024

uint64_t ledger_wall_ms(const struct ledger *ledger)
{
	if (ledger->config.wall_ms)
		return ledger->config.wall_ms(ledger->config.clock_ctx);
	return clock_wall_ms();
}

uint64_t ledger_deny_now(const struct ledger *ledger)
{
	if (ledger->config.deny_now)
		return ledger->config.deny_now(ledger->config.clock_ctx);
	return gate_deny_now(ledger->gate);
}

/* ---- the roster ---- */

static bool roster_take(struct ledger *ledger, const uint8_t *node,
			uint64_t standing)
{
	if (roster_put(ledger->roster, node, standing) == 0)
		return true;
	/* Who has no place there is looked for in the table. */
	ledger->is_roster_read = true;
	atomic_store(&ledger->is_roster_whole, false);
	LOG_BROKEN("no memory for all entitlements: they are read from disk");
	return false;
}

/*
 * Read some more of the table: at the start, or between groups when there are
 * many. No other thread writes either of them, so nothing comes in between.
 * What fails is given up; the gate then reads who is missing by itself.
 */
static void roster_read(struct ledger *ledger)
{
	bool is_end = false, is_good = true;
	struct ledger_walk walk;
	struct entitlement ent;
	struct ledger_tx tx;

	if (ledger->is_roster_read)
		return;
	if (ledger_tx_begin(&tx, &ledger->db, true)) {
		ledger->is_roster_read = true;
		return;
	}
	ledger_walk_init(&walk, &tx, TABLE_NODES, ledger->roster_from,
			 SECP_PUBLIC_SIZE);
	for (size_t i = 0; i < ROSTER_LOOK && is_good && !is_end; i++) {
		is_end = !ledger_walk_next(&walk);
		if (is_end)
			break;
		is_good = entitlement_decode(walk.value.mv_data,
					     walk.value.mv_size, &ent) == 0 &&
			  roster_take(ledger, walk.key.mv_data,
				      roster_standing(&ent));
		memcpy(ledger->roster_from, walk.key.mv_data, SECP_PUBLIC_SIZE);
	}
	ledger_walk_release(&walk);
	is_good = is_good && !tx.err;
	ledger_tx_abort(&tx);
	ledger->is_roster_read = is_end || !is_good;
	if (is_end && is_good)
		atomic_store(&ledger->is_roster_whole, true);
}

/* ---- a group: one transaction, and what of memory goes with it ---- */

static int group_begin(struct group *group)
{
	struct ledger *ledger = group->ledger;

	group->did = 0;
	group->now_ms = ledger_wall_ms(ledger);
	group->now_s = group->now_ms / 1000;
	group->deny_s = ledger_deny_now(ledger);
	group->tally = ledger->tally;
	group->offers = atomic_load(&ledger->offers);
	group->undo_count = 0;
	group->changes_count = 0;
	group->events_count = 0;
	group->income_count = 0;
	group->nodes_count = 0;
	return ledger_tx_begin(&group->tx, &ledger->db, false);
}

static void group_undo(struct group *group)
{
	struct counts *counts = &group->ledger->counts;

	ledger_tx_abort(&group->tx);
	while (group->undo_count > 0) {
		const struct undo *undo = &group->undo[--group->undo_count];

		if (undo->was_added)
			counts_sub(counts, undo->key);
		else
			(void)counts_add(counts, undo->key);
	}
	while (group->offers != atomic_load(&group->ledger->offers))
		group->offers = offers_without_newest(group->offers);
	group->changes_count = 0;
	group->events_count = 0;
}

static void group_release(struct group *group)
{
	free(group->undo);
	free(group->changes);
	free(group->events);
	free(group->income);
	free(group->nodes);
}

/* The named kill points of the crash tests. */
static void kill_point(const struct group *group, bool is_after)
{
#ifdef RESTANTE_KILL_POINTS
	const struct ledger *ledger = group->ledger;

	if (ledger->kill_t && group->did & (1u << ledger->kill_t) &&
	    ledger->kill_after == is_after)
		_exit(137);
#else
	(void)group;
	(void)is_after;
#endif
}

static void put_tally(struct group *group)
{
	uint8_t bytes[TALLY_SIZE];

	if (memcmp(&group->tally, &group->ledger->tally,
		   sizeof(group->tally)) == 0)
		return;
	tally_encode(&group->tally, bytes);
	ledger_tx_put(&group->tx, TABLE_META, tally_meta_key,
		      sizeof(tally_meta_key), bytes, sizeof(bytes));
}

static int group_commit(struct group *group, size_t results)
{
	struct ledger *ledger = group->ledger;
	uint64_t start_ns = clock_mono_ns();
	int err;

	if (!group->tx.has_written) {
		group_undo(group);
		return 0;
	}
	put_tally(group);
	if (group->tx.err)
		return group->tx.err;
	kill_point(group, false);
	err = ledger_tx_commit(&group->tx);
	if (err)
		return err;
	kill_point(group, true);
	ledger->tally = group->tally;
	atomic_store(&ledger->offers, group->offers);
	for (size_t i = 0; i < group->nodes_count; i++)
		(void)roster_take(ledger, group->nodes[i].node,
				  group->nodes[i].standing);
	atomic_store(&ledger->store_err, 0);
	atomic_fetch_add(&ledger->commits, 1);
	atomic_fetch_add(&ledger->results, results);
	meter_commit(group, (clock_mono_ns() - start_ns) / 1000, results);
	if (group->changes_count && ledger->config.changed)
		ledger->config.changed(ledger->config.changed_ctx,
				       group->changes, group->changes_count);
	return 0;
}

/* ---- running a group of results ---- */

/* The environment is at fault, not the result: nobody can be committed. */
static bool is_general(int err)
{
	return err == ERR_FULL || err == ERR_IO || err == ERR_NOMEM;
}

/* 0; ERR_AGAIN: one was taken out, run the others again; or a failure of all.
 */
static int try_group(struct group *group, struct result *results, size_t count)
{
	int err = group_begin(group);

	for (size_t i = 0; i < count && !err; i++) {
		if (results[i].is_out)
			continue;
		write_result(group, &results[i]);
		err = group->tx.err;
		if (err && !is_general(err)) {
			results[i].is_out = true;
			err = ERR_AGAIN;
		}
	}
	return err ? err : group_commit(group, count);
}

static void run_group(struct ledger *ledger, struct result *results,
		      size_t count)
{
	struct group group = {.ledger = ledger};
	int err;

	do {
		err = try_group(&group, results, count);
		if (err)
			group_undo(&group);
	} while (err == ERR_AGAIN);
	if (err) {
		atomic_store(&ledger->store_err, err);
		/* §21.28: the group fails whole, its claims stay due. */
		metric_add(metric_counter("mailpay_commit_failures_total", NULL,
					  "Groups that could not be stored"),
			   1);
		LOG_BROKEN("payments cannot be stored", log_err(err),
			   log_u64("results", count));
	}
	for (size_t i = 0; i < count; i++) {
		if (err && !results[i].is_out)
			results[i].err = err;
		if (results[i].is_out)
			LOG_BROKEN("a payment result was refused by the ledger",
				   log_err(results[i].err));
	}
	group_release(&group);
}

/* ---- the thread ---- */

struct inbox {
	struct letter *first;
	struct letter *last;
	size_t waiting;
	struct result results[LEDGER_GROUP_MAX + LEDGER_QUEUE_MAX];
	size_t count;
};

static void inbox_fill(struct inbox *inbox, struct letter *letters)
{
	if (!letters)
		return;
	if (inbox->last)
		inbox->last->next = letters;
	else
		inbox->first = letters;
	for (; letters; letters = letters->next) {
		inbox->last = letters;
		inbox->waiting++;
	}
}

static struct ledger_task *inbox_pop(struct inbox *inbox)
{
	struct letter *letter = inbox->first;

	inbox->first = letter->next;
	if (!inbox->first)
		inbox->last = NULL;
	inbox->waiting--;
	return (struct ledger_task *)(void *)((char *)letter -
					      offsetof(struct ledger_task,
						       letter));
}

static void add_results(struct inbox *inbox, struct ledger_task *task)
{
	bool has_findings =
		task->op == LEDGER_FINDING || task->op == LEDGER_BATCH;
	size_t count = has_findings ? task->findings_count : 1;

	for (size_t i = 0; i < count; i++)
		inbox->results[inbox->count++] = (struct result){
			.task = task,
			.finding = has_findings ? &task->findings[i] : NULL,
		};
	task->results_ = count;
	task->err = 0;
}

/* A batch is told only what concerns all of it. */
static void gather(struct result *result)
{
	struct ledger_task *task = result->task;

	if (task->op != LEDGER_BATCH || is_general(result->err))
		task->err = result->err;
}

static void answer(struct ledger *ledger, struct ledger_task **tasks,
		   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (tasks[i]->op == LEDGER_FINDING ||
		    tasks[i]->op == LEDGER_BATCH)
			atomic_fetch_sub(&ledger->findings_waiting,
					 (unsigned)tasks[i]->findings_count);
		if (tasks[i]->done)
			tasks[i]->done(tasks[i]);
	}
}

static void run_inbox(struct ledger *ledger, struct inbox *inbox)
{
	struct ledger_task *tasks[LEDGER_GROUP_MAX];
	size_t count = 0;

	inbox->count = 0;
	while (inbox->first && inbox->count < LEDGER_GROUP_MAX &&
	       count < LEDGER_GROUP_MAX) {
		tasks[count] = inbox_pop(inbox);
		add_results(inbox, tasks[count++]);
	}
	run_group(ledger, inbox->results, inbox->count);
	for (size_t i = 0; i < inbox->count; i++)
		gather(&inbox->results[i]);
	answer(ledger, tasks, count);
}

/* Old claims and offers, a few at a time while nothing else is to be done
 * (§18.3, §4.4). */
static void keep_pass(struct ledger *ledger)
{
	struct group group = {.ledger = ledger};
	uint8_t keys[KEEP_MAX][CLAIM_KEY_SIZE];
	struct ledger_walk walk;
	struct claim_record rec;
	size_t count = 0, looked = 0;
	bool has_more = false;

	if (group_begin(&group))
		return;
	ledger_walk_init(&walk, &group.tx, TABLE_CLAIMS, ledger->keep_from,
			 CLAIM_KEY_SIZE);
	while (count < KEEP_MAX && ledger_walk_next(&walk)) {
		has_more = ++looked > KEEP_LOOK;
		memcpy(ledger->keep_from, walk.key.mv_data, CLAIM_KEY_SIZE);
		if (has_more)
			break;
		if (claim_record_decode(walk.value.mv_data, walk.value.mv_size,
					&rec) == 0 &&
		    !write_is_kept(&rec, group.now_s))
			memcpy(keys[count++], walk.key.mv_data, CLAIM_KEY_SIZE);
	}
	has_more = has_more || count == KEEP_MAX;
	ledger_walk_release(&walk);
	for (size_t i = 0; i < count; i++)
		write_keep(&group, keys[i]);
	has_more |= write_keep_events(&group, &ledger->keep_event);
	if (ledger->keeps_offers)
		ledger->keeps_offers =
			offers_drop(&group, KEEP_MAX) == KEEP_MAX;
	has_more |= ledger->keeps_offers;
	if (group_commit(&group, 0))
		group_undo(&group);
	ledger->is_keeping = has_more;
	group_release(&group);
}

/* Due times after `latest_ms` become now. */
static int pull_in(struct ledger_tx *tx, uint64_t now_ms, uint64_t latest_ms)
{
	uint8_t bytes[CLAIM_RECORD_MAX], proof[CLAIM_PROOF_MAX];
	uint8_t row[DUE_KEY_SIZE];
	struct claim_record rec;
	MDB_val key, value;

	while (ledger_tx_last(tx, TABLE_DUE, &key, &value) &&
	       key.mv_size == sizeof(row)) {
		memcpy(row, key.mv_data, sizeof(row));
		if (be64_load(row) <= latest_ms)
			break;
		if (!ledger_tx_get(tx, TABLE_CLAIMS, row + 8, CLAIM_KEY_SIZE,
				   &value) ||
		    claim_record_decode(value.mv_data, value.mv_size, &rec))
			return ERR_CORRUPT;
		memcpy(proof, rec.claim.proof, rec.claim.proof_size);
		rec.claim.proof = proof;
		rec.due_ms = now_ms;
		rec.rev++;
		ledger_tx_del(tx, TABLE_DUE, row, sizeof(row));
		be64_store(row, rec.due_ms);
		ledger_tx_add(tx, TABLE_DUE, row, sizeof(row), "", 0);
		ledger_tx_put(tx, TABLE_CLAIMS, row + 8, CLAIM_KEY_SIZE, bytes,
			      claim_record_encode(&rec, bytes));
	}
	return tx->err;
}

/* A wall clock that was set back: nobody shall wait for its old time. */
static void watch_clock(struct ledger *ledger)
{
	uint64_t now_ms = ledger_wall_ms(ledger);
	int64_t ahead_ms = (int64_t)now_ms - (int64_t)clock_mono_ms();
	bool is_back = ledger->has_ahead &&
		       ahead_ms + CLOCK_STEP_MS < ledger->ahead_ms;
	struct ledger_tx tx;

	if (is_back) {
		LOG_UNUSUAL("the clock was set back",
			    log_i64("ms", ledger->ahead_ms - ahead_ms));
		if (ledger_tx_begin(&tx, &ledger->db, false))
			return;
		if (pull_in(&tx, now_ms, now_ms)) {
			ledger_tx_abort(&tx);
			return;
		}
		if (ledger_tx_commit(&tx))
			return;
	}
	ledger->has_ahead = true;
	ledger->ahead_ms = ahead_ms;
}

static void housekeep(struct ledger *ledger)
{
	uint64_t now_ms = clock_mono_ms();

	watch_clock(ledger);
	if (ledger->kept_ms == 0 || now_ms - ledger->kept_ms > KEEP_EVERY_MS) {
		ledger_db_forget_dead(&ledger->db);
		memset(ledger->keep_from, 0, CLAIM_KEY_SIZE);
		ledger->keep_event = 0;
		ledger->keeps_offers = true;
		ledger->is_keeping = true;
		ledger->kept_ms = now_ms;
	}
	if (ledger->is_keeping)
		keep_pass(ledger);
}

static void *ledger_main(void *arg)
{
	struct ledger *ledger = arg;
	struct inbox *inbox = calloc(1, sizeof(*inbox));
	bool is_last;

	/* Without it there is no ledger: whoever posts is told so. */
	if (!inbox)
		abort();
	for (;;) {
		/* In this order: what was posted before closing is taken. */
		is_last = atomic_load(&ledger->is_closing) &&
			  atomic_load(&ledger->posting) == 0;
		/* What is not needed for a group waits in the bounded box. */
		if (inbox->waiting < LEDGER_GROUP_MAX)
			inbox_fill(inbox, mailbox_take_all(&ledger->box));
		roster_read(ledger);
		if (inbox->first) {
			run_inbox(ledger, inbox);
			continue;
		}
		if (is_last)
			break;
		housekeep(ledger);
		if (ledger->is_roster_read)
			mailbox_wait(&ledger->box,
				     ledger->is_keeping ? 1 : IDLE_MS);
	}
	free(inbox);
	return NULL;
}

/* ---- posting ---- */

static int admit(struct ledger *ledger, struct ledger_task *task)
{
	unsigned count = (unsigned)task->findings_count;
	bool has_findings =
		task->op == LEDGER_FINDING || task->op == LEDGER_BATCH;
	int err;

	if (atomic_load(&ledger->is_closing))
		return ERR_CLOSED;
	if (!has_findings)
		return mailbox_put(&ledger->box, &task->letter);
	if (task->findings_count > LEDGER_QUEUE_MAX)
		return ERR_RANGE;
	/* §16.3: one batch may go over the bound, the next may not. */
	if (atomic_fetch_add(&ledger->findings_waiting, count) >=
	    LEDGER_QUEUE_MAX)
		err = ERR_FULL;
	else
		err = mailbox_put(&ledger->box, &task->letter);
	if (err)
		atomic_fetch_sub(&ledger->findings_waiting, count);
	return err;
}

int ledger_post(struct ledger *ledger, struct ledger_task *task)
{
	int err;

	atomic_fetch_add(&ledger->posting, 1);
	err = admit(ledger, task);
	atomic_fetch_sub(&ledger->posting, 1);
	return err;
}

static void run_done(struct ledger_task *task)
{
	(void)sem_post(task->owner);
}

int ledger_run(struct ledger *ledger, struct ledger_task *task)
{
	sem_t sem;
	int err;

	(void)sem_init(&sem, 0, 0);
	task->done = run_done;
	task->owner = &sem;
	err = ledger_post(ledger, task);
	if (!err) {
		while (sem_wait(&sem))
			;
		err = task->err;
	}
	(void)sem_destroy(&sem);
	return err;
}

/* ---- opening ---- */

static int load_meta(struct ledger *ledger, struct ledger_tx *tx)
{
	MDB_val value;

	ledger->tally = (struct tally){.next_event = 1};
	if (ledger_tx_get(tx, TABLE_META, tally_meta_key,
			  sizeof(tally_meta_key), &value) &&
	    tally_decode(value.mv_data, value.mv_size, &ledger->tally))
		return ERR_CORRUPT;
	if (ledger_tx_get(tx, TABLE_META, source_meta_key,
			  sizeof(source_meta_key), &value)) {
		if (value.mv_size != SOURCE_KEY_SIZE)
			return ERR_CORRUPT;
		memcpy(ledger->source_key, value.mv_data, SOURCE_KEY_SIZE);
		return 0;
	}
	bytes_random(ledger->source_key, SOURCE_KEY_SIZE);
	ledger_tx_put(tx, TABLE_META, source_meta_key, sizeof(source_meta_key),
		      ledger->source_key, SOURCE_KEY_SIZE);
	return tx->err;
}

static int load_offers(struct ledger *ledger, struct ledger_tx *tx)
{
	struct kept_offers *offers = NULL, *more;
	struct ledger_walk walk;
	struct offer offer;
	uint8_t hash[32];
	int err = 0;

	ledger_walk_init(&walk, tx, TABLE_OFFERS, NULL, 0);
	while (!err && ledger_walk_next(&walk)) {
		const uint8_t *row = walk.value.mv_data;
		size_t size = walk.value.mv_size;

		if (size < 32 || offer_open(row + 32, size - 32, &offer, hash))
			err = ERR_CORRUPT;
		more = err ? NULL
			   : offers_with(offers, &offer, hash, row + 32,
					 size - 32);
		if (more)
			offers = more;
		else if (!err)
			err = ERR_NOMEM;
	}
	ledger_walk_release(&walk);
	atomic_store(&ledger->offers, offers);
	return err ? err : tx->err;
}

/* Bounds are counted anew from the open claims: one due row each. */
static int load_counts(struct ledger *ledger, struct ledger_tx *tx)
{
	size_t open = ledger_tx_count(tx, TABLE_DUE);
	struct ledger_walk walk;
	struct claim_record rec;
	uint64_t keys[3];
	MDB_val value;
	int err;

	if (open < ledger->config.open_max)
		open = ledger->config.open_max;
	err = counts_init(&ledger->counts, 3 * open);
	if (err)
		return err;
	ledger_walk_init(&walk, tx, TABLE_DUE, NULL, 0);
	while (!err && ledger_walk_next(&walk)) {
		const uint8_t *row = walk.key.mv_data;

		if (walk.key.mv_size != DUE_KEY_SIZE ||
		    !ledger_tx_get(tx, TABLE_CLAIMS, row + 8, CLAIM_KEY_SIZE,
				   &value) ||
		    claim_record_decode(value.mv_data, value.mv_size, &rec)) {
			err = ERR_CORRUPT;
			break;
		}
		rows_count_keys(ledger, &rec, keys);
		for (int i = 0; i < 3 && !err; i++)
			err = counts_add(&ledger->counts, keys[i]);
	}
	ledger_walk_release(&walk);
	return err ? err : tx->err;
}

static int load(struct ledger *ledger)
{
	uint64_t now_ms = ledger_wall_ms(ledger);
	struct ledger_tx tx;
	int err = ledger_tx_begin(&tx, &ledger->db, false);

	if (err)
		return err;
	err = load_meta(ledger, &tx);
	if (!err)
		err = load_offers(ledger, &tx);
	if (!err)
		err = load_counts(ledger, &tx);
	/* §14: a due time further ahead than the longest interval. */
	if (!err)
		err = pull_in(&tx, now_ms, now_ms + STEP_LONGEST_MS);
	if (err) {
		ledger_tx_abort(&tx);
		return err;
	}
	return ledger_tx_commit(&tx);
}

static void read_kill_point(struct ledger *ledger)
{
#ifdef RESTANTE_KILL_POINTS
	const char *text = getenv("RESTANTE_KILL");

	if (!text || text[0] != 'T' || text[1] < '1' || text[1] > '8')
		return;
	ledger->kill_t = (unsigned)(text[1] - '0');
	ledger->kill_after = strcmp(text + 2, "-after") == 0;
#else
	(void)ledger;
#endif
}

static unsigned or_default(unsigned value, unsigned usual)
{
	return value ? value : usual;
}

static void take_config(struct ledger *ledger,
			const struct ledger_config *config)
{
	ledger->config = *config;
	ledger->config.open_max = or_default(config->open_max, OPEN_MAX);
	ledger->config.open_per_source =
		or_default(config->open_per_source, 16);
	ledger->config.open_per_node = or_default(config->open_per_node, 8);
	ledger->config.open_per_payer = or_default(config->open_per_payer, 8);
	ledger->config.dir = NULL; /* the caller's; used to open only */
	mailbox_init(&ledger->box, LEDGER_QUEUE_MAX, NULL, NULL);
	read_kill_point(ledger);
}

int ledger_open(const struct ledger_config *config, struct ledger **out,
		char *why, size_t why_size)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int err;

	if (!ledger)
		return ERR_NOMEM;
	ledger->db.lock_fd = -1;
	take_config(ledger, config);
	err = ledger_db_open(&ledger->db, config->dir,
			     config->map_bytes ? config->map_bytes
					       : LEDGER_MAP_BYTES,
			     false, why, why_size);
	if (err)
		goto out;
	ledger->gate = gate_new(ledger);
	ledger->roster = roster_new();
	err = ledger->gate && ledger->roster ? load(ledger) : ERR_NOMEM;
	if (!err)
		roster_read(ledger); /* all of it, if they are few */
	if (!err && pthread_create(&ledger->thread, NULL, ledger_main, ledger))
		err = ERR_IO;
	if (err) {
		(void)snprintf(why, why_size,
			       "cannot read the payments database: %s",
			       err_str(err));
		goto out;
	}
	(void)pthread_setname_np(ledger->thread, "ledger");
	ledger->has_thread = true;
	*out = ledger;
	ledger = NULL;
out:
	ledger_close(ledger);
	return err;
}

void ledger_close(struct ledger *ledger)
{
	if (!ledger)
		return;
	atomic_store(&ledger->is_closing, true);
	if (ledger->has_thread) {
		mailbox_nudge(&ledger->box);
		(void)pthread_join(ledger->thread, NULL);
	}
	gate_free(ledger->gate);
	roster_free(ledger->roster);
	ledger_db_close(&ledger->db);
	counts_release(&ledger->counts);
	offers_free(atomic_load(&ledger->offers));
	free(ledger);
}

int ledger_store_err(const struct ledger *ledger)
{
	return atomic_load(&ledger->store_err);
}

struct gate *ledger_gate(struct ledger *ledger)
{
	return ledger->gate;
}
