#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/meters.h"
#include "bench/probe.h"
#include "bench/scenarios.h"
#include "bench/shop.h"
#include "bench/target.h"
#include "core/clock.h"
#include "core/log.h"

#define SCENARIO     "claims"
#define FINAL_BLOCKS 200u /* final payments lie in so many */
#define FINAL_BLOCK  (SHOP_HEAD - 300u)
#define POLL_MS      200.0 /* of a follower of blocks of a second */
#define PROBES       10u   /* checks, then a pause */
#define PROBE_MS     2u
#define OUTAGE_RATE  5000u /* requests a second to the endpoint of B4 */
#define RECHECK_MAX  60.0
#define UPDATE_MAX   5.0
#define LOOK_MAX     1.0

struct sizes {
	uint32_t backlog;     /* B1, B3 */
	uint32_t steady_s;    /* B2, of a round */
	uint32_t pending;     /* B4 */
	uint32_t outage_s;    /* 0: B4 is left out */
	uint32_t reorganised; /* B5 */
	uint32_t crowd;       /* B6 */
};
static const struct sizes quick = {2000, 1, 2000, 0, 300, 3000};
/* With --full, in the suite's time; and as the specification has it. */
static const struct sizes shortened = {10000, 20, 10000, 30, 1000, 5000};
static const struct sizes specified = {10000, 60, 50000, 300, 1000, 5000};

static struct sizes sizes_for(const struct bench *bench)
{
	if (!bench->is_full)
		return quick;
	return bench->deadline_ms ? shortened : specified;
}

static void put(const struct series *series, const char *work,
		const char *metric, const char *unit, bool more_is_better)
{
	meters_put_one(series, SCENARIO, work, "restante", metric, unit,
		       more_is_better);
}

static void put_target(const struct series *series, const char *work,
		       const char *metric, const char *unit, double target,
		       bool more_is_better)
{
	put(series, work, metric, unit, more_is_better);
	(void)target_put(SCENARIO, work, metric, unit, series, target,
			 more_is_better);
}

/* ---- B7: somebody asks at the gate meanwhile ---- */

struct asking {
	struct shop *shop;
	struct probe *probe;
	_Atomic bool is_over;
	pthread_t thread;
};

static void *ask(void *arg)
{
	struct asking *asking = arg;
	struct shop *shop = asking->shop;
	uint64_t random = shop->bench->seed;

	while (!asking->is_over) {
		for (unsigned i = 0; i < PROBES; i++) {
			uint64_t two = bench_random(&random);

			probe_check(asking->probe,
				    shop->keys[two % SHOP_KEYS].public,
				    shop->keys[(two >> 32) % SHOP_KEYS].public);
		}
		bench_sleep_ms(PROBE_MS);
	}
	return NULL;
}

static void asking_start(struct asking *asking)
{
	probe_open(asking->probe, payments_gate(asking->shop->payments),
		   asking->shop->keys[0].public);
	probe_begin(asking->probe);
	asking->is_over = false;
	if (pthread_create(&asking->thread, NULL, ask, asking))
		bench_fail("no thread");
}

static void asking_stop(struct asking *asking)
{
	asking->is_over = true;
	(void)pthread_join(asking->thread, NULL);
	probe_take(asking->probe);
	probe_close(asking->probe);
}

/* ---- B1 and B3: a backlog ---- */

struct backlog_figures {
	struct meters meters;
	struct series endpoint_cpu; /* us a claim */
	struct series commits;      /* a claim */
	struct probe probe;
};

static void backlog_round(struct shop *shop, uint32_t count, unsigned delay_ms,
			  struct backlog_figures *figures)
{
	struct asking asking = {.shop = shop, .probe = &figures->probe};
	struct usage_sample before, after;
	struct ledger_stats stats;
	struct span span;

	shop_begin(shop, "backlog", count);
	shop_open(shop, false);
	shop_file_many(shop, count, FINAL_BLOCK, FINAL_BLOCKS, 1);
	shop_close(shop);
	atomic_store(&shop->node.knobs->delay_ms, delay_ms);
	(void)usage_of(shop->node.pid, &before);
	span_begin(&span, 0, shop->dir);
	shop_open(shop, true);
	if (!delay_ms)
		asking_start(&asking);
	(void)shop_wait(shop, delay_ms ? "B3: settled" : "B1: settled",
			&shop->settled, count, 600);
	span_stop(&span);
	if (!delay_ms)
		asking_stop(&asking);
	span_end(&span);
	(void)usage_of(shop->node.pid, &after);
	for (uint32_t i = 0; i < count; i++)
		histogram_add(&figures->meters.round,
			      shop->claims[i].settled_ns - shop->opened_ns);
	meters_add(&figures->meters, &span, count);
	series_add(&figures->endpoint_cpu,
		   (double)(after.cpu_ns - before.cpu_ns) / 1e3 / count);
	ledger_read_stats(payments_ledger(shop->payments), &stats);
	series_add(&figures->commits, (double)stats.commits / count);
	shop_end(shop);
}

static void run_backlog(struct shop *shop, uint32_t count, unsigned rounds,
			unsigned delay_ms)
{
	struct backlog_figures *figures = calloc(1, sizeof(*figures));
	char work[96], asked[96];

	if (!figures)
		bench_fail("no memory");
	for (unsigned i = 0; i < rounds; i++)
		backlog_round(shop, count, delay_ms, figures);
	if (delay_ms)
		(void)snprintf(work, sizeof(work),
			       "B3 backlog of %u, %u ms added to answers",
			       count, delay_ms);
	else
		(void)snprintf(work, sizeof(work), "B1 backlog of %u final",
			       count);
	meters_put(&figures->meters, SCENARIO, work, "restante", "claim");
	put(&figures->endpoint_cpu, work, "endpoint_cpu", "us/claim", false);
	put(&figures->commits, work, "commits", "1/claim", false);
	(void)target_put(SCENARIO, work, "rate", "claims/s",
			 &figures->meters.rate, delay_ms ? 1000 : 2000, true);
	if (!delay_ms) {
		(void)snprintf(asked, sizeof(asked), "B7 check during B1");
		probe_put(&figures->probe, SCENARIO, asked, 50);
	}
	free(figures);
}

/* ---- B2: steady ---- */

/* One stream without a pause; the claims of `seconds` are a round. */
static void steady(struct shop *shop, uint32_t seconds, unsigned rounds,
		   struct meters *meters)
{
	const uint32_t rate = 100, lag = SHOP_ACTIVATE + 12;
	uint32_t blocks = seconds * rounds + lag, at = 0;
	uint32_t each = rate * seconds, count = each * rounds;
	uint64_t *head_ns = calloc(blocks + 1, sizeof(*head_ns));
	struct chainnode_knobs *knobs = shop->node.knobs;
	uint64_t begin_ns, first;
	struct span span;

	if (!head_ns)
		bench_fail("no memory");
	shop_begin(shop, "steady", count);
	shop_open(shop, true);
	atomic_store(&knobs->block_ms, 0);
	span_begin(&span, 0, shop->dir);
	begin_ns = clock_mono_ns();
	first = atomic_load(&knobs->head);
	for (uint32_t tick = 0; tick < blocks * rate; tick++) {
		uint64_t due_ns = begin_ns + tick * (1000000000ull / rate);
		uint64_t now_ns = clock_mono_ns();

		if (due_ns > now_ns)
			bench_sleep_ms((unsigned)((due_ns - now_ns) / 1000000));
		if (tick % rate == 0 && tick > 0) {
			head_ns[++at] = clock_mono_ns();
			atomic_store(&knobs->head, first + at);
		}
		/* Filed as a wallet does: before it is mined. */
		if (tick < count)
			shop_file(shop, (uint32_t)(first + at + 1), tick);
		if (atomic_load(&shop->active) == count)
			break;
	}
	(void)shop_wait(shop, "B2: active", &shop->active, count, 30);
	span_end(&span);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t reached_ns = head_ns[shop->claims[i].block +
					      SHOP_ACTIVATE - 1 - first];
		uint64_t active_ns = shop->claims[i].active_ns;

		histogram_add(&meters->round, active_ns > reached_ns
						      ? active_ns - reached_ns
						      : 0);
		if ((i + 1) % each == 0)
			meters_add_times(meters);
	}
	meters_add(meters, &span, count);
	shop_end(shop);
	free(head_ns);
}

static void run_steady(struct shop *shop, uint32_t seconds, unsigned rounds)
{
	struct meters *meters = calloc(1, sizeof(*meters));
	char work[96];

	if (!meters)
		bench_fail("no memory");
	steady(shop, seconds, rounds, meters);
	(void)snprintf(work, sizeof(work),
		       "B2 100 claims/s for %u s, policy reached to active",
		       seconds);
	meters_put(meters, SCENARIO, work, "restante", "claim");
	(void)target_put(SCENARIO, work, "latency_p99", "us", &meters->p99,
			 (POLL_MS + 250) * 1e3, false);
	free(meters);
}

/* ---- B4: an outage ---- */

struct outage_figures {
	struct series noticed, rechecked, both, peak;
};

static void outage_round(struct shop *shop, uint32_t count, uint32_t seconds,
			 struct outage_figures *f)
{
	struct chainnode_knobs *knobs = shop->node.knobs;
	uint64_t items, begin_ns;

	shop_begin(shop, "outage", count);
	shop_open(shop, false);
	shop_file_many(shop, count, FINAL_BLOCK, FINAL_BLOCKS, 1);
	shop_close(shop);
	atomic_store(&knobs->is_blind, true);
	shop->requests_per_s = OUTAGE_RATE;
	shop_open(shop, true);
	(void)shop_wait(shop, "B4: pending", &shop->looked, count, 600);
	(void)fprintf(stderr, "B4: the endpoint is away for %u s\n", seconds);
	atomic_store(&knobs->is_away, true);
	bench_sleep_ms(seconds * 1000);
	shop_mark(shop);
	atomic_store(&knobs->peak_items, 0);
	items = atomic_load(&knobs->items);
	begin_ns = clock_mono_ns();
	atomic_store(&knobs->is_away, false);
	series_add(&f->noticed,
		   shop_wait(shop, "B4: noticed", &shop->marked, 1, 1200));
	series_add(&f->rechecked, shop_wait(shop, "B4: looked at again",
					    &shop->marked, count, 600));
	series_add(&f->both, (double)(clock_mono_ns() - begin_ns) / 1e9);
	series_add(&f->peak, (double)atomic_load(&knobs->peak_items));
	(void)fprintf(stderr, "B4: %llu requests\n",
		      (unsigned long long)(atomic_load(&knobs->items) - items));
	shop_end(shop);
}

static void run_outage(struct shop *shop, uint32_t count, uint32_t seconds,
		       unsigned rounds)
{
	struct outage_figures f = {0};
	struct series worst = {0};
	char work[96];

	for (unsigned i = 0; i < rounds; i++)
		outage_round(shop, count, seconds, &f);
	series_add(&worst, series_max(&f.peak));
	(void)snprintf(work, sizeof(work), "B4 outage of %u s, %u pending",
		       seconds, count);
	put(&f.noticed, work, "until_noticed", "s", false);
	put(&f.rechecked, work, "rechecked", "s", false);
	put_target(&f.both, work, "since_its_return", "s", RECHECK_MAX, false);
	/* No more in any second, so not the median of the rounds. */
	put(&f.peak, work, "peak_requests", "1/s", false);
	(void)target_put(SCENARIO, work, "peak_requests", "1/s", &worst,
			 OUTAGE_RATE, false);
}

/* ---- B5: a reorganisation ---- */

static uint32_t count_moved(const struct shop *shop)
{
	uint32_t moved = 0;

	for (uint32_t i = 0; i < shop->count; i++)
		moved += atomic_load(&shop->claims[i].seen_block) ==
				 shop->claims[i].block + 1 &&
			 atomic_load(&shop->claims[i].state) == CLAIM_ACTIVE;
	return moved;
}

static void reorganise(struct shop *shop, uint32_t block, uint32_t count,
		       struct series *updated)
{
	struct chainnode_knobs *knobs = shop->node.knobs;
	uint64_t begin_ns = clock_mono_ns();

	atomic_store(&knobs->moved_to, block + FINAL_BLOCKS);
	atomic_store(&knobs->fork_from, block);
	atomic_fetch_add(&knobs->head, 1);
	while (count_moved(shop) < count) {
		if (clock_mono_ns() - begin_ns > 60000000000ull)
			bench_fail("B5: %u of %u were updated",
				   count_moved(shop), count);
		bench_sleep_ms(5);
	}
	series_add(updated, (double)(clock_mono_ns() - begin_ns) / 1e9);
}

static void run_reorganisation(struct shop *shop, uint32_t count,
			       unsigned rounds)
{
	struct chainnode_knobs *knobs = shop->node.knobs;
	struct series updated = {0}, revoked = {0};
	char work[96];

	for (unsigned i = 0; i < rounds; i++) {
		uint32_t block = (uint32_t)atomic_load(&knobs->head) - 20;

		shop->final_lag = 1000;
		shop_begin(shop, "reorganised", count);
		shop_open(shop, false);
		shop_file_many(shop, count, block, 10, 1);
		shop_close(shop);
		shop_open(shop, true);
		(void)shop_wait(shop, "B5: active", &shop->active, count, 60);
		reorganise(shop, block, count, &updated);
		series_add(&revoked, atomic_load(&shop->reorged));
		shop_end(shop);
	}
	(void)snprintf(work, sizeof(work), "B5 %u active moved", count);
	put_target(&updated, work, "updated", "s", UPDATE_MAX, false);
	put_target(&revoked, work, "revoked", "claims", 0, false);
}

/* ---- B6: fairness ---- */

static void crowd_round(struct shop *shop, uint32_t crowd, unsigned delay_ms,
			struct series *looked, struct series *before)
{
	const struct shop_claim *one;

	shop_begin(shop, "crowd", crowd + 1);
	shop_open(shop, false);
	shop_file_many(shop, crowd, FINAL_BLOCK, FINAL_BLOCKS, 1);
	shop_close(shop);
	atomic_store(&shop->node.knobs->delay_ms, delay_ms);
	shop_open(shop, true);
	(void)shop_wait(shop, "B6: begun", &shop->looked, 1, 60);
	shop_file(shop, FINAL_BLOCK, 2);
	one = &shop->claims[crowd];
	while (!one->looked_ns)
		bench_sleep_ms(1);
	series_add(before, atomic_load(&shop->looked) - 1.0);
	series_add(looked, (double)(one->looked_ns - one->filed_ns) / 1e9);
	(void)shop_wait(shop, "B6: settled", &shop->settled, crowd + 1, 60);
	shop_end(shop);
}

static void run_fairness(struct shop *shop, uint32_t crowd, unsigned rounds,
			 unsigned delay_ms)
{
	struct series looked = {0}, before = {0};
	char work[96];

	for (unsigned i = 0; i < rounds; i++)
		crowd_round(shop, crowd, delay_ms, &looked, &before);
	(void)snprintf(work, sizeof(work), "B6 1 claim behind %u of another%s",
		       crowd, delay_ms ? ", answers 100 ms later" : "");
	put_target(&looked, work, "first_look", "s", LOOK_MAX, false);
	put(&before, work, "before_it", "claims", false);
}

/* ---- all ---- */

enum part { ALL, B1, B2, B3, B4, B5, B6 };

static bool is_wanted(enum part asked, enum part part)
{
	return asked == ALL || asked == part;
}

/* What is in the quick suite only when it is asked for. */
static bool has_time_for(const struct bench *bench, enum part asked,
			 enum part part)
{
	return asked == part || (asked == ALL && bench->is_full);
}

static void run_parts(const struct bench *bench, struct shop *shop,
		      enum part asked, struct sizes sizes)
{
	unsigned rounds = bench->rounds;

	/* As bench_has_round() has it. */
	if (bench->deadline_ms && rounds > BENCH_ROUNDS_MIN)
		rounds = BENCH_ROUNDS_MIN;
	if (is_wanted(asked, B1))
		run_backlog(shop, sizes.backlog, rounds, 0);
	if (has_time_for(bench, asked, B2))
		run_steady(shop, sizes.steady_s, rounds);
	if (has_time_for(bench, asked, B3))
		run_backlog(shop, sizes.backlog, rounds, 100);
	if (is_wanted(asked, B4) && sizes.outage_s > 0)
		run_outage(shop, sizes.pending, sizes.outage_s, rounds);
	if (is_wanted(asked, B5))
		run_reorganisation(shop, sizes.reorganised, rounds);
	if (is_wanted(asked, B6))
		run_fairness(shop, sizes.crowd, rounds, 0);
	if (has_time_for(bench, asked, B6))
		run_fairness(shop, sizes.crowd, rounds, 100);
}

static void run(struct bench *bench)
{
	enum part asked = (enum part)settings_word(bench->options, "part");
	struct sizes sizes = sizes_for(bench);
	uint32_t claims = (uint32_t)settings_u64(bench->options, "claims");
	struct shop *shop = calloc(1, sizeof(*shop));

	if (!shop)
		bench_fail("no memory");
	log_set_level(LOG_LEVEL_BROKEN);
	if (claims)
		sizes.backlog = sizes.pending = sizes.reorganised =
			sizes.crowd = claims;
	if (settings_is_given(bench->options, "outage") || asked == B4)
		sizes.outage_s =
			(uint32_t)settings_u64(bench->options, "outage");
	if (settings_is_given(bench->options, "seconds"))
		sizes.steady_s =
			(uint32_t)settings_u64(bench->options, "seconds");
	shop_init(shop, bench);
	run_parts(bench, shop, asked, sizes);
	if (asked == ALL && !bench->is_full)
		result_note(SCENARIO, "restante",
			    "B2 (steady), B3 (distant endpoint), B4 (outage) "
			    "and B6 with late answers: with --full, or --part "
			    "b2, b3, b4, b6");
	shop_release(shop);
	free(shop);
}

static const struct setting options[] = {
	BENCH_OPTIONS,
	{"part", NULL, SETTING_WORD, "all", NULL, NULL, "all|b1|b2|b3|b4|b5|b6",
	 "one alone; B7 is measured during B1"},
	{"claims", NULL, SETTING_U64, "0", "0", "90000", "claims",
	 "of all but B2; 0: as the specification says, or fewer"},
	{"seconds", NULL, SETTING_U64, "60", "1", "3600", "seconds",
	 "of a round of B2"},
	{"outage", NULL, SETTING_U64, "300", "1", "3600", "seconds", "of B4"},
	{0}};

static const struct usage usage = {
	.program = "restante-bench",
	.command = "claims",
	.summary =
		"Claims from the ledger over the chain and back: the "
		"benchmarks B1 to B7 of the payments' specification, with the "
		"real intake, scheduler, workers, follower and ledger (full "
		"synchronisation) in one process, and a chain's node of our "
		"own in another, which computes its answers.\n\n"
		"B1: a backlog of final payments, from opening the ledger "
		"until all are "
		"settled, at least 2 000 a second. B2: 100 claims a second, "
		"blocks of a second: from the block with which the policy "
		"holds until active, p99 at most a poll (200 ms) and 250 ms; "
		"one stream without a pause, of which each 60 s (20 in the "
		"suite's --full) are a round of times, and CPU time and bytes "
		"are of the whole. "
		"B3: as B1 "
		"with 100 ms added to each answer, at least 1 000 a second. "
		"B4: pending claims, the endpoint is away: all are looked at "
		"again within 60 s, at no more than the configured rate. B5: "
		"active payments move to other blocks: all updated within 5 s, "
		"none revoked. B6: one claim behind 5 000 of another source is "
		"looked at within a second. B7: the gate's check during B1, "
		"p99 at most 50 us.\n\n"
		"Measured beside: CPU time of us and of the chain's node, "
		"commits. After each the ledger's invariants are checked. Not "
		"measured: real nodes and networks, quorums of several "
		"endpoints, HTTP and devp2p in front of the intake; and, "
		"here alone, rounds that warm up: each begins with a new "
		"ledger. Without "
		"--full there are fewer claims and no B2, B3 and B4 unless "
		"asked for with --part; the suite's --full "
		"has a shorter B2 and B4 (an outage of 30 s) than `claims "
		"--full`, which takes an hour.",
	.options = options,
};

const struct scenario scenario_claims = {
	"claims", "payments claimed, checked on a chain, credited", &usage,
	run};
