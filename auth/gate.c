#include "auth/gate.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/ledger_private.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/metrics.h"

struct gate {
	struct ledger *ledger;
	/* The rules, each alone atomic: a question sees one or the other. */
	_Atomic int mode;
	_Atomic uint64_t free_until_s;
	_Atomic uint32_t grace_s;
	uint8_t (*allow)[SECP_PUBLIC_SIZE];
	size_t allow_count;
	struct {
		_Atomic uint64_t timestamp_s;
		_Atomic uint64_t until_ms; /* monotonic */
	} heads[GATE_CHAINS_MAX];
	struct metric *answers[ACCESS_NO + 1];
	struct metric *reads;
};

struct gate_reader {
	struct gate *gate;
	MDB_txn *txn; /* NULL until the table is asked for the first time */
	/* One conversion under way at a time (§5). */
	atomic_bool is_converting;
	struct ledger_task convert;
};

/* ---- rules ---- */

struct gate *gate_new(struct ledger *ledger)
{
	static const char name[] = "mailpay_requests_total";
	static const char help[] = "History requests by what the gate said";
	struct gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	gate->ledger = ledger;
	gate->answers[ACCESS_YES_FREE] =
		metric_counter(name, "answer=\"free\"", help);
	gate->answers[ACCESS_YES] =
		metric_counter(name, "answer=\"allowed\"", help);
	gate->answers[ACCESS_YES_WOULD_DENY] =
		metric_counter(name, "answer=\"would_deny\"", help);
	gate->answers[ACCESS_NO] =
		metric_counter(name, "answer=\"denied\"", help);
	gate->reads = metric_counter("mailpay_requests_read_total", NULL,
				     "History requests for which the disk was "
				     "asked: until all is in memory");
	return gate;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	free(gate->allow);
	free(gate);
}

void gate_set_rules(struct gate *gate, const struct access_rules *rules)
{
	atomic_store(&gate->mode, (int)rules->mode);
	atomic_store(&gate->free_until_s, rules->free_until_s);
	atomic_store(&gate->grace_s, rules->grace_s);
}

struct access_rules gate_rules(const struct gate *gate)
{
	return (struct access_rules){
		.mode = (enum access_mode)atomic_load_explicit(
			&gate->mode, memory_order_relaxed),
		.free_until_s = atomic_load_explicit(&gate->free_until_s,
						     memory_order_relaxed),
		.grace_s = atomic_load_explicit(&gate->grace_s,
						memory_order_relaxed),
	};
}

void gate_set_mode(struct gate *gate, enum access_mode mode)
{
	atomic_store(&gate->mode, (int)mode);
}

static int compare_nodes(const void *a, const void *b)
{
	return memcmp(a, b, SECP_PUBLIC_SIZE);
}

int gate_set_allow(struct gate *gate, const uint8_t (*nodes)[SECP_PUBLIC_SIZE],
		   size_t count)
{
	uint8_t(*copy)[SECP_PUBLIC_SIZE] = NULL;

	if (count > 0) {
		copy = malloc(count * sizeof(*copy));
		if (!copy)
			return ERR_NOMEM;
		memcpy(copy, nodes, count * sizeof(*copy));
		qsort(copy, count, sizeof(*copy), compare_nodes);
	}
	free(gate->allow);
	gate->allow = copy;
	gate->allow_count = count;
	return 0;
}

/* ---- the clock (§14) ---- */

void gate_set_head(struct gate *gate, unsigned chain, uint64_t timestamp_s,
		   uint64_t fresh_ms)
{
	if (chain >= GATE_CHAINS_MAX)
		return;
	atomic_store(&gate->heads[chain].timestamp_s, timestamp_s);
	atomic_store(&gate->heads[chain].until_ms, clock_mono_ms() + fresh_ms);
}

uint64_t gate_deny_now(const struct gate *gate)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t newest_s = 0;

	for (int i = 0; i < GATE_CHAINS_MAX; i++) {
		uint64_t head_s = atomic_load_explicit(
			&gate->heads[i].timestamp_s, memory_order_relaxed);

		if (head_s > newest_s &&
		    atomic_load_explicit(&gate->heads[i].until_ms,
					 memory_order_relaxed) > now_ms)
			newest_s = head_s;
	}
	return access_deny_now(clock_wall_s(), newest_s);
}

/* ---- questions ---- */

static void converted(struct ledger_task *task)
{
	struct gate_reader *reader = task->owner;

	atomic_store(&reader->is_converting, false);
}

struct gate_reader *gate_reader_new(struct gate *gate)
{
	struct gate_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->gate = gate;
	return reader;
}

void gate_reader_free(struct gate_reader *reader)
{
	if (!reader)
		return;
	/* The ledger answers every letter it took. */
	while (atomic_load(&reader->is_converting))
		(void)sched_yield();
	if (reader->txn)
		mdb_txn_abort(reader->txn);
	free(reader);
}

static bool is_allow_listed(const struct gate *gate, const uint8_t *node)
{
	return gate->allow_count > 0 &&
	       bsearch(node, gate->allow, gate->allow_count, SECP_PUBLIC_SIZE,
		       compare_nodes) != NULL;
}

/* The first request after expiry converts what credit there is (§5). */
static void want_conversion(struct gate_reader *reader, const uint8_t *node)
{
	if (atomic_load(&reader->is_converting))
		return;
	reader->convert = (struct ledger_task){
		.op = LEDGER_CONVERT, .done = converted, .owner = reader};
	memcpy(reader->convert.node, node, SECP_PUBLIC_SIZE);
	atomic_store(&reader->is_converting, true);
	if (ledger_post(reader->gate->ledger, &reader->convert))
		atomic_store(&reader->is_converting, false);
}

/* From the disk: what a ring may have to wait for. */
static int read_table(struct gate_reader *reader, const uint8_t *node,
		      struct entitlement *ent)
{
	struct ledger_db *db = &reader->gate->ledger->db;
	uint8_t key_bytes[SECP_PUBLIC_SIZE];
	MDB_val key = {.mv_size = SECP_PUBLIC_SIZE, .mv_data = key_bytes};
	MDB_val value;
	int err, rc;

	if (reader->txn)
		rc = mdb_txn_renew(reader->txn);
	else
		rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &reader->txn);
	if (rc)
		return ERR_IO;
	memcpy(key_bytes, node, SECP_PUBLIC_SIZE);
	rc = mdb_get(reader->txn, db->dbi[TABLE_NODES], &key, &value);
	if (rc == 0)
		err = entitlement_decode(value.mv_data, value.mv_size, ent);
	else
		err = rc == MDB_NOTFOUND ? ERR_NOTFOUND : ERR_IO;
	mdb_txn_reset(reader->txn);
	return err;
}

/* 0, ERR_NOTFOUND, or what makes the environment unreadable. Of the record only
 * what roster_show() sets. */
static int read_node(struct gate_reader *reader, const uint8_t *node,
		     struct entitlement *ent)
{
	const struct ledger *ledger = reader->gate->ledger;
	/* In this order: whole first, then what it has. */
	bool is_whole = atomic_load(&ledger->is_roster_whole);
	uint64_t standing;

	if (roster_find(ledger->roster, node, &standing)) {
		roster_show(standing, ent);
		return 0;
	}
	if (is_whole)
		return ERR_NOTFOUND;
	metric_add(reader->gate->reads, 1);
	return read_table(reader, node, ent);
}

enum access_answer gate_check(struct gate_reader *reader,
			      const uint8_t node[static SECP_PUBLIC_SIZE])
{
	struct gate *gate = reader->gate;
	struct access_rules rules = gate_rules(gate);
	uint64_t now_s = gate_deny_now(gate);
	enum access_answer answer;
	struct entitlement ent;
	int err = ERR_NOTFOUND;

	if (rules.mode != ACCESS_FREE) {
		err = read_node(reader, node, &ent);
		if (err && err != ERR_NOTFOUND)
			LOG_BROKEN("entitlements cannot be read", log_err(err));
	}
	answer = access_decide(&rules, err ? NULL : &ent,
			       is_allow_listed(gate, node), now_s);
	if (!err && ent.credits_count > 0 && ent.expiry_s <= now_s &&
	    !(ent.flags & ENTITLEMENT_NO_END))
		want_conversion(reader, node);
	metric_add(gate->answers[answer], 1);
	return answer;
}
