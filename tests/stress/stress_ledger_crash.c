/*
 * The ledger is killed before and after each of T1 to T8 (in builds with kill
 * points), and anywhere. Afterwards fsck finds nothing, every claim that was
 * answered is there, and when the work is taken up again each payment is
 * credited exactly once.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/paying.h"

#define CLAIMS 24
#define KILLED 137
#define ROUNDS 20

static struct paying p;

/* Claims by number: some go straight to settled, some are rejected, some are
 * revoked and come again, some leave credit that is converted later. */
enum fate { SETTLE, REJECT, REVOKE, CONVERT };

static enum fate fate_of(unsigned number)
{
	return (enum fate)(number % 4);
}

static void find(const struct claim *claim, uint64_t value, uint64_t block,
		 uint64_t head)
{
	struct finding f =
		paying_mined(&p, claim, value, block, (uint8_t)block, head);
	int err = paying_find(&p, &f);

	CHECK_SAY(err == 0, err_str(err));
}

static void lose(const struct claim *claim, enum finding_kind kind)
{
	struct finding f = paying_gone(&p, claim, kind, 999);

	CHECK_SAY(paying_find(&p, &f) == 0, "a loss is not taken");
}

/* One step of the claim towards its fate; false when it is there. */
static bool advance(unsigned number, const struct claim *claim)
{
	struct claim_view view = paying_view(&p, claim);
	uint64_t value = fate_of(number) == CONVERT ? 10000 : 130;

	switch (view.record.state) {
	case CLAIM_RECEIVED:
		lose(claim, FINDING_ABSENT);
		return true;
	case CLAIM_PENDING:
		find(claim, value, 201, 202);
		return true;
	case CLAIM_CONFIRMING:
		if (fate_of(number) == REJECT)
			lose(claim, FINDING_REPLACED);
		else
			find(claim, value, 201, 206);
		return true;
	case CLAIM_ACTIVE:
		if (fate_of(number) == REVOKE && view.seq == 1)
			lose(claim, FINDING_ABSENT);
		else
			find(claim, value, 201, 900);
		return true;
	case CLAIM_REORGED:
		if (view.is_credited) {
			paying_pass(&p, 3600);
			lose(claim, FINDING_ABSENT);
		} else {
			find(claim, value, 205, 210);
		}
		return true;
	case CLAIM_SETTLED:
	case CLAIM_REJECTED:
		return false;
	}
	return false;
}

/* After two years the capped credit is converted. */
static void convert_all(void)
{
	struct ledger_task task = {.op = LEDGER_CONVERT};
	uint8_t hash[32];
	int err;

	atomic_store(&p.now_ms,
		     (PAYING_START_S + 30ull * PAYING_UNIT_S) * 1000);
	err = paying_offer(&p, 2, paying_now_s(&p), paying_now_s(&p) + 86400,
			   PAYING_PRICE, hash);
	CHECK_SAY(err == 0 || err == ERR_CONFLICT, "no second offer");
	for (unsigned i = 1; i <= CLAIMS; i++) {
		paying_node(i, task.node);
		err = ledger_run(p.ledger, &task);
		CHECK_SAY(err == 0 || err == ERR_NOTFOUND, err_str(err));
	}
}

/* The whole work, from wherever it was left. Tells of each claim stored. */
static void work(int acks)
{
	struct ledger_task task;

	atomic_store(&p.now_ms, PAYING_START_S * 1000);
	paying_open(&p);
	for (unsigned i = 1; i <= CLAIMS; i++) {
		struct claim claim = paying_claim(&p, i, i);
		struct claim_view view;
		uint8_t key[CLAIM_KEY_SIZE];

		claim_key(&claim, key);
		if (ledger_read_claim(p.ledger, key, &view)) {
			CHECK_SAY(paying_file(&p, &claim, &task) == 0,
				  "a claim is not taken");
			CHECK_SAY(write(acks, &i, sizeof(i)) == sizeof(i),
				  "nobody listens");
		}
		while (advance(i, &claim))
			;
	}
	convert_all();
	ledger_close(p.ledger);
}

static bool is_stored(const struct claim *claim)
{
	uint8_t key[CLAIM_KEY_SIZE];
	struct claim_view view;

	claim_key(claim, key);
	return ledger_read_claim(p.ledger, key, &view) == 0;
}

/* convert_all() turns the clock on by more than the 30 days after which a
 * rejected claim is removed (payments §18.3). */
static bool may_be_gone(unsigned number)
{
	return fate_of(number) == REJECT;
}

static pid_t start(const char *kill_point, int acks[static 2])
{
	pid_t child;

	CHECK_SAY(pipe(acks) == 0, "no pipe");
	child = fork();
	CHECK_SAY(child >= 0, "no process");
	if (child > 0) {
		(void)close(acks[1]);
		return child;
	}
	if (kill_point)
		(void)setenv("RESTANTE_KILL", kill_point, 1);
	(void)close(acks[0]);
	work(acks[1]);
	_exit(0);
}

/* What was answered is on the disk. Returns how it ended. */
static int finish(pid_t child, int acks)
{
	bool was_acked[CLAIMS + 1] = {false};
	unsigned number;
	int status;

	while (read(acks, &number, sizeof(number)) == sizeof(number))
		was_acked[number] = true;
	(void)close(acks);
	CHECK_SAY(waitpid(child, &status, 0) == child, "no child");
	CHECK_SAY(ledger_fsck(p.dir, stderr) == 0,
		  "the invariants do not hold");
	paying_open(&p);
	for (unsigned i = 1; i <= CLAIMS; i++) {
		struct claim claim = paying_claim(&p, i, i);

		if (was_acked[i])
			CHECK_SAY(is_stored(&claim) || may_be_gone(i),
				  "an answered claim is lost");
	}
	ledger_close(p.ledger);
	return status;
}

/* Every claim met its fate, and nothing was given twice. */
static void check_all(void)
{
	paying_open(&p);
	for (unsigned i = 1; i <= CLAIMS; i++) {
		struct claim claim = paying_claim(&p, i, i);
		struct entitlement ent = paying_record(&p, i);
		struct claim_view view;
		uint64_t left = 0;

		if (may_be_gone(i) && !is_stored(&claim)) {
			CHECK_SAY(ent.next_seq == 0,
				  "a rejected claim gave time");
			continue;
		}
		view = paying_view(&p, &claim);

		if (ent.credits_count)
			(void)u256_to_u64(&ent.credits[0].amount, &left);
		switch (fate_of(i)) {
		case SETTLE:
		case REVOKE:
			CHECK_SAY(view.record.state == CLAIM_SETTLED,
				  "not settled");
			CHECK_SAY(view.units == 1 && left == 30,
				  "wrong credit");
			break;
		case REJECT:
			CHECK_SAY(view.record.state == CLAIM_REJECTED &&
					  ent.next_seq == 0,
				  "not rejected");
			break;
		case CONVERT:
			CHECK_SAY(view.record.state == CLAIM_SETTLED &&
					  left == 10000 - 48 * PAYING_PRICE &&
					  ent.expiry_s ==
						  PAYING_START_S +
							  (30ull + 24) *
								  PAYING_UNIT_S,
				  "not converted once");
			break;
		}
	}
	ledger_close(p.ledger);
	CHECK_SAY(ledger_fsck(p.dir, stderr) == 0,
		  "the invariants do not hold");
}

static void begin(void)
{
	paying_begin(&p);
	ledger_close(p.ledger);
}

static void complete(void)
{
	int acks[2];
	pid_t child = start(NULL, acks);
	int status = finish(child, acks[0]);

	CHECK_SAY(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		  "the work is not completed");
	check_all();
	tempdir_remove(p.dir);
}

#ifdef RESTANTE_KILL_POINTS
static void kill_at(unsigned t, bool is_after)
{
	char point[32];
	int acks[2], status;
	pid_t child;

	(void)snprintf(point, sizeof(point), "T%u-%s", t,
		       is_after ? "after" : "before");
	begin();
	child = start(point, acks);
	status = finish(child, acks[0]);
	CHECK_SAY(WIFEXITED(status) && WEXITSTATUS(status) == KILLED, point);
	complete();
}
#endif

static void kill_anywhere(unsigned seed)
{
	int acks[2];

	srand(seed);
	begin();
	for (int i = 0; i < ROUNDS; i++) {
		pid_t child = start(NULL, acks);

		(void)usleep((useconds_t)(rand() % 30000));
		(void)kill(child, SIGKILL);
		(void)finish(child, acks[0]);
	}
	complete();
}

int main(void)
{
#ifdef RESTANTE_KILL_POINTS
	for (unsigned t = 1; t <= 8; t++) {
		kill_at(t, false);
		kill_at(t, true);
	}
#endif
	kill_anywhere(1);
	return 0;
}
