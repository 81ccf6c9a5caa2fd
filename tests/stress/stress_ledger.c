/*
 * Many threads post claims and findings while gate readers ask and others
 * walk: every payment is credited once, no answer goes back from yes to no,
 * and the invariants hold at the end.
 */
#include <pthread.h>
#include <unistd.h>

#include "auth/gate.h"
#include "tests/support/check.h"
#include "tests/support/paying.h"

#define POSTERS  4
#define GATES    2
#define PAYMENTS 150 /* a poster; each is claimed for two nodes */
#define WINDOW   32
#define NODES    20

static struct paying p;
static atomic_bool is_over;
static _Atomic unsigned finished;

/* One claim on its way: filed, then found, whatever comes of it. */
struct job {
	struct ledger_task task;
	struct claim claim;
	struct finding finding;
	_Atomic int stage; /* 0 free, 1 filed, 2 found, 3 over */
};

static void post(struct job *job);

/* Ledger thread: the next step is posted from the answer to the last. */
static void answered(struct ledger_task *task)
{
	struct job *job = task->owner;

	CHECK_SAY(task->err == 0 || task->err == ERR_EXISTS ||
			  task->err == ERR_CONFLICT,
		  err_str(task->err));
	if (atomic_load(&job->stage) == 1 && task->err == 0) {
		atomic_store(&job->stage, 2);
		post(job);
		return;
	}
	atomic_store(&job->stage, 3);
}

static void post(struct job *job)
{
	bool is_filing = atomic_load(&job->stage) == 1;
	uint32_t rev = job->task.record.rev;

	job->task = (struct ledger_task){
		.op = is_filing ? LEDGER_ACCEPT : LEDGER_FINDING,
		.claim = &job->claim,
		.findings = &job->finding,
		.findings_count = is_filing ? 0 : 1,
		.done = answered,
		.owner = job,
	};
	job->finding.rev = rev;
	while (ledger_post(p.ledger, &job->task)) {
		/* On the ledger thread nobody else would make room. */
		CHECK_SAY(is_filing, "the queue is full for an answer");
		(void)usleep(100);
	}
}

static void begin_job(struct job *job, unsigned node, unsigned tx)
{
	job->claim = paying_claim(&p, node, tx);
	job->finding = (struct finding){
		.kind = FINDING_MINED,
		.at = {.head = tx & 1 ? 206 : 900},
		.block = 201,
		.block_time_s = PAYING_START_S,
		.value = u256_from_u64(130),
	};
	claim_key(&job->claim, job->finding.claim_key);
	memset(&job->task, 0, sizeof(job->task));
	atomic_store(&job->stage, 1);
	post(job);
}

static void *poster(void *arg)
{
	unsigned number = *(const unsigned *)arg;
	struct job *jobs = calloc(WINDOW, sizeof(*jobs));
	unsigned done = 0, begun = 0;

	CHECK_SAY(jobs != NULL, "no memory");
	while (done < 2 * PAYMENTS) {
		for (unsigned i = 0; i < WINDOW; i++) {
			int stage = atomic_load(&jobs[i].stage);

			if (stage == 3) {
				done++;
				atomic_store(&jobs[i].stage, 0);
			}
			if (stage != 1 && stage != 2 && begun < 2 * PAYMENTS) {
				/* Both claims of a payment, of other nodes. */
				begin_job(&jobs[i],
					  1 + (begun * 7 + number) % NODES,
					  1 + number * PAYMENTS + begun / 2);
				begun++;
			}
		}
		(void)usleep(200);
	}
	free(jobs);
	atomic_fetch_add(&finished, 1);
	return NULL;
}

static void *asker(void *arg)
{
	struct gate_reader *reader = gate_reader_new(ledger_gate(p.ledger));
	bool was_yes[NODES + 1] = {false};
	uint8_t node[SECP_PUBLIC_SIZE];
	unsigned long questions = 0;

	(void)arg;
	CHECK_SAY(reader != NULL, "no reader");
	while (!atomic_load(&is_over)) {
		unsigned n = 1 + (unsigned)(questions++ % NODES);
		bool is_yes;

		paying_node(n, node);
		is_yes = gate_check(reader, node) != ACCESS_NO;
		CHECK_SAY(is_yes || !was_yes[n], "paid time went away");
		was_yes[n] = is_yes;
	}
	gate_reader_free(reader);
	return NULL;
}

static void *walker(void *arg)
{
	struct height_claim heights[64];
	struct due_claim due[64];
	struct ledger_event events[64];
	struct ledger_stats stats;
	uint64_t last = 0;

	(void)arg;
	while (!atomic_load(&is_over)) {
		size_t count;

		(void)ledger_read_due(p.ledger, UINT64_MAX, due, 64);
		(void)ledger_read_heights(p.ledger, 1, 0, 999, heights, 64);
		count = ledger_read_events(p.ledger, last, events, 64);
		for (size_t i = 0; i < count; i++)
			CHECK_SAY(events[i].index == ++last,
				  "an event is missing");
		ledger_read_stats(p.ledger, &stats);
	}
	return NULL;
}

static bool count_credit(void *ctx, const uint8_t *node, uint64_t seq,
			 const struct entry *entry)
{
	(void)node;
	(void)seq;
	*(unsigned *)ctx += entry->type == ENTRY_CREDIT;
	return true;
}

int main(void)
{
	const struct access_rules rules = {.mode = ACCESS_PAID,
					   .grace_s = UINT32_MAX};
	pthread_t threads[POSTERS + GATES + 1];
	unsigned numbers[POSTERS], credits = 0;

	paying_begin(&p);
	gate_set_rules(ledger_gate(p.ledger), &rules);
	for (unsigned i = 0; i < POSTERS; i++) {
		numbers[i] = i;
		CHECK_SAY(
			!pthread_create(&threads[i], NULL, poster, &numbers[i]),
			"no thread");
	}
	for (unsigned i = POSTERS; i < POSTERS + GATES; i++)
		CHECK_SAY(!pthread_create(&threads[i], NULL, asker, NULL),
			  "no thread");
	CHECK_SAY(
		!pthread_create(&threads[POSTERS + GATES], NULL, walker, NULL),
		"no thread");
	for (unsigned i = 0; i < POSTERS; i++)
		(void)pthread_join(threads[i], NULL);
	atomic_store(&is_over, true);
	for (unsigned i = POSTERS; i < POSTERS + GATES + 1; i++)
		(void)pthread_join(threads[i], NULL);
	CHECK_SAY(ledger_each_entry(p.ledger, count_credit, &credits) == 0,
		  "entries cannot be read");
	CHECK_SAY(credits == POSTERS * PAYMENTS, "not one credit a payment");
	CHECK_SAY(paying_end(&p) == 0, "the invariants do not hold");
	return 0;
}
