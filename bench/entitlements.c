#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/ledger.h"
#include "bench/probe.h"
#include "bench/result.h"
#include "bench/scenarios.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/log.h"

#define MAP_BYTES   ((size_t)4 << 30)
#define FILL_GROUP  100000u
#define TABLES_MAX  16
#define SLOTS       256u /* payments under way at a time */
#define PRICE       100u
#define UNIT_S      2592000u
#define HEAD        1000u
#define START_MS    300u
#define LARGEST     1000000u
#define UNKNOWN     8u /* one node in so many has no record */
#define STRIDE      0x9e3779b97f4a7c15u
#define TARGET_US   5.0
#define QUICK_CHECK 20000u
#define FULL_CHECK  400000u

/* ---- records ---- */

/* Rising with the number, so that filling appends. */
static void node_of(uint32_t number, uint32_t count, uint8_t out[static 64])
{
	uint64_t state = number;

	be64_store(out, UINT64_MAX / count * number);
	for (unsigned i = 8; i < SECP_PUBLIC_SIZE; i += 8)
		be64_store(out + i, bench_random(&state));
}

static void must(int rc, const char *what)
{
	if (rc)
		bench_fail("%s: %s", what, mdb_strerror(rc));
}

static void put_records(MDB_txn *txn, MDB_dbi dbi, uint32_t first,
			uint32_t last, uint32_t count)
{
	uint8_t node[SECP_PUBLIC_SIZE], bytes[ENTITLEMENT_SIZE_MAX];
	uint64_t now_s = clock_wall_s();
	struct entitlement ent = {.kind = PLAN_PERIOD,
				  .created_s = now_s,
				  .updated_s = now_s,
				  .expiry_s = now_s + UNIT_S,
				  .next_seq = 1};
	MDB_val key = {.mv_size = sizeof(node), .mv_data = node};
	MDB_val value = {.mv_data = bytes};

	for (uint32_t i = first; i < last; i++) {
		node_of(i, count, node);
		value.mv_size = entitlement_encode(&ent, bytes);
		must(mdb_put(txn, dbi, &key, &value, MDB_APPEND), "put");
	}
}

/* Straight into the table, since the ledger would take a minute: nothing but
 * records, no entries behind them. */
static void fill(const char *dir, uint32_t count)
{
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn;

	must(mdb_env_create(&env), "environment");
	must(mdb_env_set_mapsize(env, MAP_BYTES), "map");
	must(mdb_env_set_maxdbs(env, TABLES_MAX), "tables");
	must(mdb_env_open(env, dir, MDB_NOSYNC, 0600), dir);
	for (uint32_t i = 0; i < count; i += FILL_GROUP) {
		uint32_t last = count - i < FILL_GROUP ? count : i + FILL_GROUP;

		must(mdb_txn_begin(env, NULL, 0, &txn), "transaction");
		must(mdb_dbi_open(txn, "nodes", 0, &dbi), "nodes");
		put_records(txn, dbi, i, last, count);
		must(mdb_txn_commit(txn), "commit");
	}
	must(mdb_env_sync(env, 1), "sync");
	mdb_env_close(env);
}

/* ---- crediting as fast as it goes ---- */

struct crediting;

/* A payment on its way: filed, then found to be final. */
struct slot {
	struct crediting *crediting;
	struct ledger_task task;
	struct claim claim;
	struct finding finding;
	uint64_t random;
};

struct crediting {
	struct ledger *ledger;
	uint32_t nodes;
	uint8_t offer_hash[32];
	_Atomic uint64_t next; /* payment */
	_Atomic uint64_t credited;
	atomic_bool is_stopping;
	atomic_uint running;
	struct slot slots[SLOTS];
};

static void filed(struct ledger_task *task);
static void credited(struct ledger_task *task);

static void post(struct slot *slot)
{
	if (ledger_post(slot->crediting->ledger, &slot->task))
		bench_fail("the ledger takes nothing more");
}

static void file_next(struct slot *slot)
{
	static const uint8_t proof[SECP_SIGNATURE_SIZE] = {1};
	struct crediting *c = slot->crediting;
	uint64_t number = atomic_fetch_add(&c->next, 1);
	uint32_t node = (uint32_t)(bench_random(&slot->random) % c->nodes);

	if (atomic_load(&c->is_stopping)) {
		atomic_fetch_sub(&c->running, 1);
		return;
	}
	slot->claim = (struct claim){.scheme = CLAIM_SIGNATURE,
				     .chain_id = 1,
				     .proof = proof,
				     .proof_size = sizeof(proof)};
	node_of(node, c->nodes, slot->claim.node);
	memset(slot->claim.token, 1, ADDRESS_SIZE);
	memset(slot->claim.payee, 2, ADDRESS_SIZE);
	be64_store(slot->claim.payer, number + 1);
	be64_store(slot->claim.tx, number * STRIDE);
	be64_store(slot->claim.tx + 8, number);
	memcpy(slot->claim.offer_hash, c->offer_hash, 32);
	slot->task = (struct ledger_task){.op = LEDGER_ACCEPT,
					  .claim = &slot->claim,
					  .source_tag = number,
					  .done = filed,
					  .owner = slot};
	post(slot);
}

static void filed(struct ledger_task *task)
{
	struct slot *slot = task->owner;

	if (task->err)
		bench_fail("a claim was not stored (%d)", task->err);
	slot->finding = (struct finding){
		.rev = task->record.rev,
		.kind = FINDING_MINED,
		.at = {.head = HEAD, .final = HEAD, .has_final = true},
		.block = HEAD - 100,
		.block_time_s = clock_wall_s(),
		.value = u256_from_u64(PRICE),
		.sender_nonce = CLAIM_NONCE_UNKNOWN,
	};
	claim_key(&slot->claim, slot->finding.claim_key);
	slot->task = (struct ledger_task){.op = LEDGER_FINDING,
					  .findings = &slot->finding,
					  .findings_count = 1,
					  .done = credited,
					  .owner = slot};
	post(slot);
}

static void credited(struct ledger_task *task)
{
	struct slot *slot = task->owner;

	if (task->err)
		bench_fail("a payment was not credited (%d)", task->err);
	atomic_fetch_add(&slot->crediting->credited, 1);
	file_next(slot);
}

/* From here on the ledger's thread goes on by itself. */
static void crediting_start(struct crediting *c)
{
	atomic_store(&c->is_stopping, false);
	atomic_store(&c->running, SLOTS);
	atomic_store(&c->credited, 0);
	for (unsigned i = 0; i < SLOTS; i++) {
		c->slots[i].crediting = c;
		c->slots[i].random = i + atomic_load(&c->next) * STRIDE;
		file_next(&c->slots[i]);
	}
	bench_sleep_ms(START_MS);
}

static void crediting_stop(struct crediting *c)
{
	atomic_store(&c->is_stopping, true);
	while (atomic_load(&c->running) > 0)
		bench_sleep_ms(1);
}

static void publish_offer(struct crediting *c)
{
	uint8_t bytes[OFFER_SIZE_MAX];
	struct ledger_task task = {.op = LEDGER_OFFER, .offer = bytes};
	struct offer offer = {.sequence = 1,
			      .not_before_s = clock_wall_s() - 3600,
			      .not_after_s = clock_wall_s() + 86400,
			      .pay_window_s = 86400,
			      .options_count = 1};
	struct offer_option option = {
		.id = 1,
		.kind = PLAN_PERIOD,
		.chain_id = 1,
		.decimals = 18,
		.symbol = "SNT",
		.terms = {.price = u256_from_u64(PRICE),
			  .unit_s = UNIT_S,
			  .min_units = 1,
			  .max_units = 1000},
		.activate = {POLICY_CONFIRMATIONS, 6},
		.settle = {.mode = POLICY_FINAL},
	};
	struct secp_key key;

	secp_key_new(&key);
	memcpy(offer.server, key.public, SECP_PUBLIC_SIZE);
	memset(option.token, 1, ADDRESS_SIZE);
	memset(option.payee, 2, ADDRESS_SIZE);
	offer.options[0] = option;
	if (offer_sign(&offer, &key, bytes, &task.offer_size, c->offer_hash) ||
	    ledger_run(c->ledger, &task))
		bench_fail("no offer can be made");
}

/* ---- a size ---- */

enum { IDLE, CREDITING, KINDS };

struct sized {
	uint32_t records;
	struct crediting crediting;
	struct probe probes[KINDS];
	struct series credits; /* a second */
	uint64_t random;
	uint64_t unknown[KINDS]; /* asked for, of nodes without a record */
};

static struct ledger *open_ledger(const char *dir)
{
	struct ledger_config config = {
		.dir = dir,
		.map_bytes = MAP_BYTES,
		.chains = {{.id = 1, .start_block = 1}},
		.chains_count = 1,
		.claim_window_s = 400 * 86400,
		.pending_max_s = 86400,
		.reorg_grace_s = 3600,
		.open_max = 100000,
		.open_per_source = 100000,
		.open_per_node = 100000,
		.open_per_payer = 100000,
	};
	struct ledger *ledger;
	char why[512];

	if (ledger_open(&config, &ledger, why, sizeof(why)))
		bench_fail("%s", why);
	return ledger;
}

static void choose_node(struct sized *sized, unsigned kind,
			uint8_t node[static 64])
{
	uint64_t random = bench_random(&sized->random);

	node_of((uint32_t)(random >> 32) % sized->records, sized->records,
		node);
	if (random % UNKNOWN == 0) {
		node[SECP_PUBLIC_SIZE - 1] ^= 1;
		sized->unknown[kind]++;
	}
}

static void run_checks(struct sized *sized, unsigned kind, uint32_t count)
{
	struct probe *probe = &sized->probes[kind];
	uint8_t nodes[2][SECP_PUBLIC_SIZE];

	probe_begin(probe);
	for (uint32_t i = 0; i < count; i++) {
		choose_node(sized, kind, nodes[0]);
		choose_node(sized, kind, nodes[1]);
		probe_check(probe, nodes[0], nodes[1]);
	}
}

static void measure(struct sized *sized, uint32_t checks, bool counts)
{
	struct crediting *c = &sized->crediting;
	uint64_t begin_ns;

	run_checks(sized, IDLE, checks);
	if (counts)
		probe_take(&sized->probes[IDLE]);
	begin_ns = clock_mono_ns();
	crediting_start(c);
	run_checks(sized, CREDITING, checks);
	if (counts) {
		probe_take(&sized->probes[CREDITING]);
		series_add(
			&sized->credits,
			(double)atomic_load(&c->credited) /
				((double)(clock_mono_ns() - begin_ns) / 1e9));
	}
	crediting_stop(c);
}

static void put(const struct sized *sized)
{
	static const char *const kinds[KINDS] = {"idle", "while crediting"};
	const struct result result = {.scenario = "entitlements",
				      .who = "restante",
				      .metric = "credits",
				      .unit = "payments/s",
				      .more_is_better = true,
				      .series = &sized->credits};
	struct result credits = result;
	char work[80];

	result_axis("records of nodes");
	for (unsigned i = 0; i < KINDS; i++) {
		(void)snprintf(work, sizeof(work), "check among %u, %s",
			       sized->records, kinds[i]);
		result_curve(i == IDLE ? "idle" : "crediting", sized->records);
		probe_put(&sized->probes[i], "entitlements", work, TARGET_US);
	}
	result_curve(NULL, 0);
	credits.work = work;
	result_put(&credits);
}

/* Those with a record are allowed, the others are not. */
static void check_answers(const struct sized *sized)
{
	for (unsigned i = 0; i < KINDS; i++) {
		const struct probe *probe = &sized->probes[i];

		if (probe->denied != sized->unknown[i] || probe->allowed == 0)
			bench_fail("the gate denied %llu and allowed %llu, "
				   "and %llu have no record",
				   (unsigned long long)probe->denied,
				   (unsigned long long)probe->allowed,
				   (unsigned long long)sized->unknown[i]);
	}
}

static void measure_size(struct bench *bench, uint32_t records, uint32_t checks)
{
	struct sized *sized = calloc(1, sizeof(*sized));
	struct access_rules rules = {.mode = ACCESS_PAID};
	uint8_t node[SECP_PUBLIC_SIZE];
	char dir[BENCH_PATH_MAX];
	struct ledger *ledger;
	uint64_t since_ms = clock_mono_ms();

	if (!sized)
		bench_fail("no memory");
	sized->records = records;
	sized->random = bench->seed;
	ledger_close(open_ledger(bench_folder(bench, "records", dir)));
	fill(dir, records);
	sized->crediting.ledger = ledger = open_ledger(dir);
	sized->crediting.nodes = records;
	publish_offer(&sized->crediting);
	(void)fprintf(stderr, "%u records are there after %.1f s\n", records,
		      (double)(clock_mono_ms() - since_ms) / 1e3);
	gate_set_rules(ledger_gate(ledger), &rules);
	node_of(0, records, node);
	for (unsigned i = 0; i < KINDS; i++)
		probe_open(&sized->probes[i], ledger_gate(ledger), node);
	/* The last is the one that matters. */
	bench_rounds(bench, records < LARGEST ? 0.25 : 1);
	for (unsigned round = 0;
	     round <= bench->rounds && bench_has_round(bench, round); round++)
		measure(sized, checks, round > 0);
	check_answers(sized);
	put(sized);
	for (unsigned i = 0; i < KINDS; i++)
		probe_close(&sized->probes[i]);
	ledger_close(ledger);
	bench_remove(dir);
	free(sized);
}

static void run(struct bench *bench)
{
	uint32_t records = (uint32_t)settings_u64(bench->options, "records");
	uint32_t checks = (uint32_t)settings_u64(bench->options, "checks");

	/* A line for each payment would be the load. */
	log_set_level(LOG_LEVEL_UNUSUAL);
	if (checks == 0)
		checks = bench->is_full ? FULL_CHECK : QUICK_CHECK;
	if (records > 0) {
		measure_size(bench, records, checks);
		return;
	}
	measure_size(bench, 10000, checks);
	if (bench->is_full)
		measure_size(bench, 100000, checks);
	measure_size(bench, LARGEST, checks);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"records", NULL, SETTING_U64, "0", "0", "10000000", "records",
	 "one size of one's own; 0: 10 000 and 1 000 000"},
	{"checks", NULL, SETTING_U64, "0", "0", "100000000", "checks",
	 "in a round; 0: 20 000, or 400 000 with --full"},
	{0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "entitlements",
	.summary =
		"May this node read history? The gate's check, as a ring asks "
		"it for each request in paid mode, on a table of 10 000 and "
		"1 000 000 nodes in random order, one in eight unknown: alone, "
		"and while the ledger's thread accepts and credits payments to "
		"those nodes as fast as it can, with full synchronisation.\n\n"
		"Measured: time of a check (p50, p90, p99, p99.9, max), its "
		"page faults, and its CPU time alone, which leaves out being "
		"scheduled away. A plain loop that lasts as long runs in turn "
		"with it: what its percentiles show is the machine's. "
		"To be reached: p99 of 5 us. The records are put into the "
		"table directly. Not measured: devp2p (see denied), "
		"signatures and the chain (see claims).",
	.options = options,
};

const struct scenario scenario_entitlements = {
	"entitlements", "the check before each request for history", &usage,
	run};
