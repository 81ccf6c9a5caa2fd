#include "auth/rpc_endpoint.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "auth/rpc_endpoint.h"
#include "core/clock.h"
#include "core/err.h"
#include "tests/support/fake_node.h"

static const struct rpc_limits quick = {
	.connect_ms = 500,
	.total_ms = 500,
	.breaker_ms = 100,
	.breaker_max_ms = 400,
	.quiet_ms = 50,
	.quiet_max_ms = 200,
	.aside_ms = 300,
	.forget_ms = 1000,
	.single_ms = 2000,
	.identity_ms = 60000,
	.body_max = CHAIN_BODY_MAX,
};

static struct fake_node *node;
static struct rpc_chain *chain;
static struct rpc *rpc;
static struct endpoint *ep;

static struct rpc_chain *new_chain(const struct endpoint_config *one,
				   unsigned batch)
{
	struct chain_config config = {.name = "t",
				      .id = 1,
				      .block_time_s = 1,
				      .quorum = 1,
				      .endpoints = {*one},
				      .endpoints_count = 1};
	struct rpc_chain *made;
	char why[200];

	cr_assert_eq(
		rpc_chain_new(&config, batch, &quick, &made, why, sizeof(why)),
		0, "%s", why);
	return made;
}

static void start(void)
{
	struct endpoint_config one = {0};

	node = fake_node_start();
	one.url = fake_node_url(node);
	chain = new_chain(&one, 100);
	ep = chain->endpoints[0];
	cr_assert_eq(rpc_new(&rpc), 0);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
}

static void stop(void)
{
	rpc_free(rpc);
	rpc_chain_free(chain);
	fake_node_stop(node);
}

#define ITEMS 10

static struct chain_answer answers[ITEMS];

/* Ten receipts of what was paid in block 90. */
static struct rpc_call ask(void)
{
	static struct chain_request reqs[ITEMS];
	struct rpc_call call = {.endpoint = ep,
				.requests = reqs,
				.count = ITEMS,
				.answers = answers};

	for (unsigned i = 0; i < ITEMS; i++) {
		reqs[i] = (struct chain_request){
			.ask = CHAIN_ASK_RECEIPT,
			.transfer = {fake_token, fake_payee, fake_payer, 0}};
		fake_tx(90, 1000 + i, i, 0, reqs[i].hash);
	}
	cr_assert_eq(rpc_run(rpc, &call, 1), 0);
	return call;
}

static unsigned count_outcome(enum chain_outcome outcome)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ITEMS; i++)
		n += answers[i].outcome == outcome;
	return n;
}

static void assert_all_paid(void)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		struct u256 want = u256_from_u64(1000 + i);

		cr_assert_eq(answers[i].outcome, CHAIN_ANSWERED);
		cr_assert_eq(answers[i].is.receipt.fault, CLAIM_NO_REASON);
		cr_assert_eq(u256_compare(&answers[i].is.receipt.value, &want),
			     0);
	}
}

static void set_fault(enum fake_fault fault, int times)
{
	atomic_store(&node->fault, fault);
	atomic_store(&node->fault_left, times);
}

static void nap_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000,
				.tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&time, NULL);
}

static bool is_usable(void)
{
	return endpoint_is_usable(ep, clock_mono_ms());
}

/* After each fault the same question is answered. */
static void assert_recovers(void)
{
	set_fault(FAKE_NONE, -1);
	nap_ms(250);
	(void)ask();
	assert_all_paid();
}

TestSuite(rpc, .init = start, .fini = stop, .timeout = 60);

Test(rpc, one_batch_is_one_body)
{
	unsigned before = atomic_load(&node->bodies);

	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, 1);
	cr_assert(chain->has_genesis);
	cr_assert(is_usable());
}

Test(rpc, order_of_a_batch_is_the_endpoints_affair)
{
	set_fault(FAKE_REORDERED, -1);
	(void)ask();
	assert_all_paid();
}

Test(rpc, connect_refused_is_down)
{
	struct endpoint_config gone = {.url = "http://127.0.0.1:1"};
	struct rpc_chain *other = new_chain(&gone, 100);
	struct endpoint *mine = ep;

	ep = other->endpoints[0];
	for (int i = 0; i < RPC_FAILURES_MAX; i++) {
		cr_assert(ask().failed);
		cr_assert_eq(count_outcome(CHAIN_UNANSWERED), ITEMS);
	}
	cr_assert_not(is_usable());
	ep = mine;
	rpc_chain_free(other);
}

/* A queue of connections that is full: nobody answers, nobody refuses. */
Test(rpc, a_connection_that_does_not_come_about_is_given_up_sooner)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct rpc_limits limits = quick;
	struct chain_config config = {
		.name = "t", .id = 1, .quorum = 1, .endpoints_count = 1};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);
	int waiting[4];
	struct rpc_chain *full;
	char url[64], why[200];
	uint64_t began;

	cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(listener, 0), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	for (int i = 0; i < 4; i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(waiting[i], (struct sockaddr *)&at, len);
	}
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u",
		       ntohs(at.sin_port));
	config.endpoints[0].url = url;
	limits.connect_ms = 300;
	limits.total_ms = 20000;
	cr_assert_eq(
		rpc_chain_new(&config, 100, &limits, &full, why, sizeof(why)),
		0);
	ep = full->endpoints[0];
	began = clock_mono_ms();
	cr_assert(ask().failed);
	cr_assert_geq(clock_mono_ms() - began, 250);
	cr_assert_lt(clock_mono_ms() - began, 5000);
	rpc_chain_free(full);
	for (int i = 0; i < 4; i++)
		(void)close(waiting[i]);
	(void)close(listener);
}

static void assert_down(enum fake_fault fault)
{
	set_fault(fault, -1);
	for (int i = 0; i < RPC_FAILURES_MAX; i++) {
		cr_assert(is_usable());
		(void)ask();
		cr_assert_eq(count_outcome(CHAIN_ANSWERED), 0);
	}
	cr_assert_not(is_usable());
	assert_recovers();
	/* The breaker stays open until a probe has seen who it is. */
	cr_assert_not(is_usable());
	cr_assert(endpoint_wants_probe(ep, clock_mono_ms()));
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert(is_usable());
}

Test(rpc, a_reset_is_down)
{
	assert_down(FAKE_RESET);
}

Test(rpc, a_truncated_body_is_down)
{
	assert_down(FAKE_TRUNCATED);
}

Test(rpc, a_server_error_is_down)
{
	atomic_store(&node->http_status, 503);
	assert_down(FAKE_STATUS);
}

Test(rpc, what_is_not_json_is_malformed)
{
	assert_down(FAKE_NOT_JSON);
}

Test(rpc, wrong_ids_are_malformed)
{
	assert_down(FAKE_WRONG_ID);
}

/* What one transaction may cost is up to whoever names it. */
Test(rpc, a_giant_batch_is_asked_for_again_item_by_item)
{
	unsigned before = atomic_load(&node->bodies);

	set_fault(FAKE_GIANT, 1);
	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, 1 + ITEMS);
	set_fault(FAKE_GIANT, -1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_UNANSWERED), ITEMS);
	cr_assert(is_usable());
}

Test(rpc, a_giant_head_is_a_failure)
{
	struct chain_request head = {.ask = CHAIN_ASK_LATEST};
	struct chain_answer answer;
	struct rpc_call call = {.endpoint = ep,
				.requests = &head,
				.count = 1,
				.answers = &answer};

	set_fault(FAKE_GIANT, -1);
	for (int i = 0; i < RPC_FAILURES_MAX; i++) {
		cr_assert(is_usable());
		cr_assert_eq(rpc_run(rpc, &call, 1), 0);
		cr_assert_eq(answer.outcome, CHAIN_UNANSWERED);
	}
	cr_assert_not(is_usable());
}

/* §21, 24: what a contract says is up to whoever made it. The first answer is
 * that to the batch, the second that to the first of them alone. */
Test(rpc, a_giant_answer_of_a_contract_proves_nothing)
{
	struct chain_request requests[3] = {{.ask = CHAIN_ASK_PROOF},
					    {.ask = CHAIN_ASK_PROOF},
					    {.ask = CHAIN_ASK_PROOF}};
	struct rpc_call call = {.endpoint = ep,
				.requests = requests,
				.count = 3,
				.answers = answers};
	unsigned good = 0;

	for (unsigned i = 0; i < 3; i++) {
		requests[i].proof = (const uint8_t *)"x";
		requests[i].proof_size = 1;
		fake_block_hash(node, 90, requests[i].hash);
	}
	set_fault(FAKE_GIANT, 2);
	cr_assert_eq(rpc_run(rpc, &call, 1), 0);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(answers[i].outcome, CHAIN_ANSWERED);
		good += answers[i].is.flag;
	}
	cr_assert_eq(good, 2);
	/* And again and again, from an endpoint that is none the worse for it.
	 */
	set_fault(FAKE_GIANT, -1);
	for (int i = 0; i < RPC_FAILURES_MAX; i++) {
		cr_assert_eq(rpc_run(rpc, &call, 1), 0);
		cr_assert_eq(answers[2].outcome, CHAIN_ANSWERED);
		cr_assert_not(answers[2].is.flag);
	}
	cr_assert(is_usable());
}

/* Refused as a batch, too long as a batch, then one by one. */
Test(rpc, a_giant_batch_where_batches_are_refused)
{
	set_fault(FAKE_NO_BATCH, 1);
	(void)ask();
	assert_all_paid();
	set_fault(FAKE_GIANT, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_ANSWERED), ITEMS - 1);
}

Test(rpc, a_deep_answer_is_not_parsed)
{
	assert_down(FAKE_DEEP);
}

Test(rpc, a_redirect_is_not_followed)
{
	struct fake_node *inner = fake_node_start();

	atomic_store(&node->redirect_port, inner->port);
	assert_down(FAKE_REDIRECT);
	/* Nor without a body, as those come who follow. */
	cr_assert_eq(atomic_load(&inner->connections), 0);
	fake_node_stop(inner);
}

/* An URL is judged at start. Should one come that was not, only http and
 * https are spoken, and nobody is even connected to. */
Test(rpc, nothing_but_http_is_spoken)
{
	static const char *const schemes[] = {"gopher", "ftp", "dict"};
	struct fake_node *inner = fake_node_start();
	char *url = ep->url;
	char other[64];

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		(void)snprintf(other, sizeof(other), "%s://127.0.0.1:%d/x",
			       schemes[i], inner->port);
		ep->url = other;
		cr_assert(ask().failed);
		cr_assert_eq(count_outcome(CHAIN_UNANSWERED), ITEMS);
		cr_assert_eq(atomic_load(&inner->connections), 0, "%s", other);
	}
	ep->url = url;
	fake_node_stop(inner);
}

/* What is asked of an own node goes to it, not to where the environment says.
 */
Test(rpc, no_proxy_comes_between_us_and_our_own_node)
{
	struct fake_node *proxy = fake_node_start();
	char url[64];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", proxy->port);
	cr_assert_eq(setenv("http_proxy", url, 1), 0);
	cr_assert_eq(setenv("all_proxy", url, 1), 0);
	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&proxy->connections), 0);
	fake_node_stop(proxy);
}

Test(rpc, a_slow_endpoint_is_timed_out)
{
	uint64_t began = clock_mono_ms();

	atomic_store(&node->delay_ms, 3000);
	cr_assert(ask().failed);
	cr_assert_lt(clock_mono_ms() - began, 1500);
	cr_assert_eq(count_outcome(CHAIN_UNANSWERED), ITEMS);
}

Test(rpc, the_breaker_doubles_its_time)
{
	set_fault(FAKE_RESET, -1);
	for (int i = 0; i < RPC_FAILURES_MAX; i++)
		(void)ask();
	cr_assert_not(endpoint_wants_probe(ep, clock_mono_ms()));
	cr_assert(endpoint_wants_probe(ep, clock_mono_ms() + 100));
	for (uint64_t ms = 200; ms <= 800; ms *= 2) {
		cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
		cr_assert_not(endpoint_wants_probe(
			ep, clock_mono_ms() + (ms < 400 ? ms : 400) - 50));
		cr_assert(endpoint_wants_probe(
			ep, clock_mono_ms() + (ms < 400 ? ms : 400)));
	}
}

static void fail(unsigned times)
{
	set_fault(FAKE_RESET, -1);
	for (unsigned i = 0; i < times; i++)
		(void)ask();
	set_fault(FAKE_NONE, -1);
}

/* §15.3. */
Test(rpc, the_breaker_wants_five_failures_in_a_row)
{
	fail(4);
	cr_assert(is_usable());
	(void)ask();
	assert_all_paid();
	fail(4);
	cr_assert(is_usable());
	fail(1);
	cr_assert_not(is_usable());
}

Test(rpc, a_good_probe_closes_the_breaker_and_its_time_begins_anew)
{
	uint64_t now_ms;

	fail(5);
	set_fault(FAKE_RESET, -1);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	now_ms = clock_mono_ms();
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(endpoint_wants_probe(ep, now_ms + 399));
	set_fault(FAKE_NONE, -1);
	/* An answer to a question that was still under way says nothing. */
	(void)ask();
	assert_all_paid();
	cr_assert_not(is_usable());
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert(is_usable());
	fail(4);
	cr_assert(is_usable());
	fail(1);
	cr_assert_not(is_usable());
	cr_assert(endpoint_wants_probe(ep, clock_mono_ms() + 100));
}

/* What fails while it rests is not counted: only the probe is. */
Test(rpc, failures_at_rest_make_the_rest_no_longer)
{
	uint64_t now_ms;

	fail(5);
	now_ms = clock_mono_ms();
	fail(20);
	cr_assert(endpoint_wants_probe(ep, now_ms + 100));
	now_ms = clock_mono_ms();
	set_fault(FAKE_RESET, -1);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(endpoint_wants_probe(ep, now_ms + 199));
	cr_assert(endpoint_wants_probe(ep, clock_mono_ms() + 200));
}

/* §15.1, §15.3, §15.4. */
Test(rpc, the_times_are_those_of_the_specification)
{
	const struct rpc_limits *limits = &rpc_limits_default;

	cr_assert_eq(limits->connect_ms, 3000);
	cr_assert_eq(limits->total_ms, 10000);
	cr_assert_eq(limits->breaker_ms, 30000);
	cr_assert_eq(limits->breaker_max_ms, 600000);
	cr_assert_eq(limits->identity_ms, 600000);
	cr_assert_eq(limits->aside_ms, 3600000);
	cr_assert_eq(limits->body_max, 8u << 20);
	cr_assert_eq(RPC_FAILURES_MAX, 5);
	cr_assert_eq(RPC_DISSENTS_MAX, 3);
}

Test(rpc, answers_that_lack_items_open_the_breaker)
{
	for (int i = 0; i < 5; i++) {
		cr_assert(is_usable());
		set_fault(i % 2 ? FAKE_MISSING : FAKE_ID_TWICE, 1);
		(void)ask();
		cr_assert_eq(count_outcome(CHAIN_ANSWERED), ITEMS - 1);
	}
	cr_assert_not(is_usable());
}

Test(rpc, items_missing_or_twice_are_unanswered_alone)
{
	set_fault(FAKE_MISSING, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_ANSWERED), ITEMS - 1);
	cr_assert_eq(answers[ITEMS - 1].outcome, CHAIN_UNANSWERED);
	set_fault(FAKE_ID_TWICE, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_ANSWERED), ITEMS - 1);
	cr_assert_eq(answers[0].outcome, CHAIN_UNANSWERED);
	assert_recovers();
}

Test(rpc, too_many_requests_are_held_back_as_told)
{
	atomic_store(&node->http_status, 429);
	atomic_store(&node->retry_after, 2);
	set_fault(FAKE_STATUS, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_THROTTLED), ITEMS);
	cr_assert_not(is_usable());
	cr_assert_not(endpoint_is_usable(ep, clock_mono_ms() + 1900));
	cr_assert(endpoint_is_usable(ep, clock_mono_ms() + 2000));
	/* Ten minutes at most, whatever it says. */
	atomic_store(&node->retry_after, 86400);
	set_fault(FAKE_STATUS, 1);
	(void)ask();
	cr_assert_not(endpoint_is_usable(ep, clock_mono_ms() + 599000));
	cr_assert(endpoint_is_usable(ep, clock_mono_ms() + 600000));
}

static void assert_quiet_for(uint64_t ms)
{
	uint64_t before_ms = clock_mono_ms();

	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_THROTTLED), ITEMS);
	cr_assert_not(endpoint_is_usable(ep, before_ms + ms - 1));
	cr_assert(endpoint_is_usable(ep, clock_mono_ms() + ms));
}

/* It does not say how long: twice as long each time, up to a bound. */
Test(rpc, throttling_again_and_again_doubles_the_rest)
{
	atomic_store(&node->http_status, 429);
	set_fault(FAKE_STATUS, -1);
	assert_quiet_for(50);
	assert_quiet_for(100);
	assert_quiet_for(200);
	assert_quiet_for(200);
	/* Until all is one batch again. */
	set_fault(FAKE_NONE, -1);
	for (int i = 0; i < 4; i++)
		(void)ask();
	assert_all_paid();
	set_fault(FAKE_STATUS, -1);
	assert_quiet_for(50);
}

/* Who is told to wait does not ask who it is either. */
Test(rpc, a_probe_waits_for_what_throttles_and_is_not_held_against_it)
{
	uint64_t now_ms;

	set_fault(FAKE_RESET, -1);
	for (int i = 0; i < RPC_FAILURES_MAX; i++)
		(void)ask();
	atomic_store(&node->http_status, 429);
	atomic_store(&node->retry_after, 2);
	set_fault(FAKE_STATUS, -1);
	nap_ms(100);
	cr_assert(endpoint_wants_probe(ep, clock_mono_ms()));
	now_ms = clock_mono_ms();
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(endpoint_wants_probe(ep, now_ms + 1999));
	cr_assert_not(endpoint_wants_early_probe(ep, now_ms + 1999));
	now_ms = clock_mono_ms();
	cr_assert(endpoint_wants_probe(ep, now_ms + 2000));
	cr_assert(endpoint_wants_early_probe(ep, now_ms + 2000));
	set_fault(FAKE_NONE, -1);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert(endpoint_is_usable(ep, now_ms + 2000));
	/* Nor is one that was good put out by a probe without an answer. */
	set_fault(FAKE_STATUS, 1);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert(endpoint_is_usable(ep, clock_mono_ms() + 2000));
	set_fault(FAKE_NOT_JSON, 1);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert(endpoint_is_usable(ep, clock_mono_ms() + 2000));
}

static void assert_throttled(int code, const char *message)
{
	atomic_store(&node->error_code, code);
	atomic_store(&node->error_message, message);
	set_fault(FAKE_ERROR, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_THROTTLED), ITEMS);
	cr_assert_not(is_usable());
	assert_recovers();
	cr_assert(is_usable());
}

Test(rpc, errors_about_rates_hold_back_without_a_breaker)
{
	assert_throttled(-32005, "x");
	assert_throttled(-32097, "x");
	assert_throttled(-32000, "rate exceeded");
	assert_throttled(-32000, "request limit");
}

Test(rpc, throttling_halves_the_batch)
{
	unsigned before;

	atomic_store(&node->error_code, -32005);
	set_fault(FAKE_ERROR, 5); /* 100, 50, 25, 12, 6, 3 */
	for (int i = 0; i < 5; i++)
		(void)ask();
	set_fault(FAKE_NONE, -1);
	before = atomic_load(&node->bodies);
	(void)ask();
	assert_all_paid();
	cr_assert_geq(atomic_load(&node->bodies) - before, 2);
	/* And grows back. */
	(void)ask();
	(void)ask();
	before = atomic_load(&node->bodies);
	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, 1);
}

/* A batch of all fails: the next time there are two. */
static void assert_halves(enum fake_fault fault, int delay_ms)
{
	struct endpoint_config one = {.url = fake_node_url(node)};
	struct rpc_chain *other = new_chain(&one, ITEMS);
	struct endpoint *mine = ep;
	unsigned before;

	ep = other->endpoints[0];
	set_fault(fault, -1);
	atomic_store(&node->delay_ms, delay_ms);
	cr_assert(ask().failed);
	set_fault(FAKE_NONE, -1);
	atomic_store(&node->delay_ms, 0);
	before = atomic_load(&node->bodies);
	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, 2);
	ep = mine;
	rpc_chain_free(other);
}

Test(rpc, what_was_too_much_at_once_is_halved)
{
	atomic_store(&node->http_status, 413);
	assert_halves(FAKE_STATUS, 0);
	assert_halves(FAKE_NONE, 1000);
}

static void assert_refused(int status)
{
	atomic_store(&node->http_status, status);
	set_fault(FAKE_STATUS, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_ANSWERED), 0);
	cr_assert_not(is_usable());
	cr_assert_not(endpoint_wants_probe(ep, clock_mono_ms() + 50000));
	/* No answer to anybody else lets it in again. */
	(void)ask();
	assert_all_paid();
	cr_assert_not(is_usable());
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert(is_usable());
}

Test(rpc, refused_credentials_put_it_out)
{
	assert_refused(401);
	assert_refused(403);
}

/* One by one, four at a time: when it fails the others are not sent. */
static void assert_rest_is_not_asked(enum fake_fault fault,
				     enum chain_outcome outcome)
{
	struct endpoint_config one = {.url = fake_node_url(node)};
	struct rpc_chain *other = new_chain(&one, 1);
	struct endpoint *mine = ep;
	unsigned before = atomic_load(&node->bodies);

	ep = other->endpoints[0];
	set_fault(fault, -1);
	cr_assert(ask().failed);
	cr_assert_eq(count_outcome(outcome), ITEMS);
	cr_assert_leq(atomic_load(&node->bodies) - before, 4);
	ep = mine;
	rpc_chain_free(other);
}

Test(rpc, the_rest_is_not_asked_of_one_that_fails)
{
	atomic_store(&node->http_status, 429);
	assert_rest_is_not_asked(FAKE_STATUS, CHAIN_THROTTLED);
	atomic_store(&node->http_status, 403);
	assert_rest_is_not_asked(FAKE_STATUS, CHAIN_UNANSWERED);
	atomic_store(&node->http_status, 502);
	assert_rest_is_not_asked(FAKE_STATUS, CHAIN_UNANSWERED);
	atomic_store(&node->error_code, -32005);
	assert_rest_is_not_asked(FAKE_ERROR, CHAIN_THROTTLED);
	assert_rest_is_not_asked(FAKE_NOT_JSON, CHAIN_UNANSWERED);
}

Test(rpc, a_missing_method_is_remembered)
{
	unsigned before;

	atomic_store(&node->error_code, -32601);
	set_fault(FAKE_ERROR, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_NO_METHOD), ITEMS);
	cr_assert(endpoint_lacks(ep, CHAIN_RECEIPT));
	before = atomic_load(&node->bodies);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_NO_METHOD), ITEMS);
	cr_assert_eq(atomic_load(&node->bodies), before);
	/* Until it is identified anew. */
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	(void)ask();
	assert_all_paid();
}

Test(rpc, our_mistakes_and_odd_errors_are_no_answers)
{
	atomic_store(&node->error_code, -32602);
	set_fault(FAKE_ERROR, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_OUR_MISTAKE), ITEMS);
	cr_assert(is_usable());
	atomic_store(&node->error_code, -32000);
	atomic_store(&node->error_message, "header not found");
	set_fault(FAKE_ERROR, 1);
	(void)ask();
	cr_assert_eq(count_outcome(CHAIN_LATER), ITEMS);
	cr_assert(is_usable());
	assert_recovers();
}

Test(rpc, an_endpoint_without_batches_is_asked_singly)
{
	unsigned before = atomic_load(&node->bodies);

	set_fault(FAKE_NO_BATCH, -1);
	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, ITEMS + 1);
	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, ITEMS * 2 + 1);
}

Test(rpc, batches_are_tried_again_after_a_while)
{
	unsigned before;

	set_fault(FAKE_NO_BATCH, -1);
	(void)ask();
	nap_ms(2100);
	/* It still takes none: one more body, once a while. */
	before = atomic_load(&node->bodies);
	(void)ask();
	assert_all_paid();
	(void)ask();
	cr_assert_eq(atomic_load(&node->bodies) - before, ITEMS * 2 + 1);
	/* Now it does. */
	set_fault(FAKE_NONE, -1);
	nap_ms(2100);
	before = atomic_load(&node->bodies);
	(void)ask();
	(void)ask();
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, 2);
}

static atomic_bool is_asked;

/* Batches that left earlier, from other threads, are taken all the time. */
static void *take_batches(void *arg)
{
	while (!atomic_load(&is_asked))
		endpoint_took_batch(ep);
	return arg;
}

Test(rpc, what_was_refused_in_a_batch_is_never_sent_in_one_again)
{
	unsigned before = atomic_load(&node->bodies);
	pthread_t thread;

	/* 20 ms from one to the next: long enough for the others. */
	ep->requests_per_s = 50;
	set_fault(FAKE_NO_BATCH, -1);
	cr_assert_eq(pthread_create(&thread, NULL, take_batches, NULL), 0);
	(void)ask();
	atomic_store(&is_asked, true);
	(void)pthread_join(thread, NULL);
	assert_all_paid();
	cr_assert_eq(atomic_load(&node->bodies) - before, ITEMS + 1);
}

Test(rpc, another_chain_or_a_syncing_node_is_out)
{
	atomic_store(&node->chain_id, 5);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(is_usable());
	atomic_store(&node->chain_id, 1);
	atomic_store(&node->syncing, true);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(is_usable());
	atomic_store(&node->syncing, false);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert(is_usable());
	/* The same id, another block 0. */
	atomic_store(&node->fork_from, 0);
	atomic_store(&node->fork, 9);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(is_usable());
}

/* Behind a name there may be another machine tomorrow. */
Test(rpc, who_was_good_is_asked_again_after_a_while)
{
	cr_assert_not(endpoint_wants_probe(ep, clock_mono_ms() + 59000));
	cr_assert(endpoint_wants_probe(ep, clock_mono_ms() + 60000));
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(endpoint_wants_probe(ep, clock_mono_ms() + 59000));
	cr_assert(endpoint_wants_probe(ep, clock_mono_ms() + 60000));
}

Test(rpc, a_chain_without_quorum_need_not_wait_twice_as_long)
{
	set_fault(FAKE_RESET, -1);
	for (int i = 0; i < RPC_FAILURES_MAX; i++)
		(void)ask();
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
		cr_assert_not(
			endpoint_wants_early_probe(ep, clock_mono_ms() + 50));
		cr_assert(
			endpoint_wants_early_probe(ep, clock_mono_ms() + 100));
	}
	cr_assert_not(endpoint_wants_probe(ep, clock_mono_ms() + 100));
	/* Only of one that has failed. */
	set_fault(FAKE_NONE, -1);
	cr_assert_eq(rpc_identify(rpc, chain, 1), 0);
	cr_assert_not(endpoint_wants_early_probe(ep, clock_mono_ms() + 100000));
}

/* A node of its own: it has been asked nothing else within the second. */
static void start_with_rate(unsigned rate, unsigned batch)
{
	struct endpoint_config one = {.requests_per_s = rate};

	stop();
	node = fake_node_start();
	one.url = fake_node_url(node);
	chain = new_chain(&one, batch);
	ep = chain->endpoints[0];
	cr_assert_eq(rpc_new(&rpc), 0);
}

Test(rpc, the_rate_is_kept)
{
	uint64_t began;

	start_with_rate(20, 5);
	began = clock_mono_ms();
	for (int i = 0; i < 4; i++)
		(void)ask(); /* 40 requests, 5 at once */
	cr_assert_geq(clock_mono_ms() - began, 1700);
	cr_assert_lt(clock_mono_ms() - began, 3000);
	assert_all_paid();
	cr_assert_leq(atomic_load(&node->worst_second), 20);
}

/* The first are under way for so long that the next nearly catch up. */
Test(rpc, the_rate_is_kept_where_requests_arrive)
{
	start_with_rate(20, 5);
	atomic_store(&node->way_ms, 250);
	(void)ask();
	assert_all_paid();
	atomic_store(&node->way_ms, 0);
	for (int i = 0; i < 3; i++)
		(void)ask();
	assert_all_paid();
	cr_assert_leq(atomic_load(&node->worst_second), 20);
	cr_assert_gt(atomic_load(&node->worst_second), 10);
}

Test(rpc, a_batch_of_more_than_a_seconds_budget_is_cut)
{
	uint64_t began;

	start_with_rate(7, 100);
	began = clock_mono_ms();
	(void)ask();
	assert_all_paid();
	cr_assert_lt(clock_mono_ms() - began, 3000);
	cr_assert_leq(atomic_load(&node->worst_second), 7);
}

/* Requests that are never answered are given back, too. */
Test(rpc, failures_do_not_use_up_the_rate)
{
	start_with_rate(20, 5);
	set_fault(FAKE_RESET, -1);
	for (int i = 0; i < 4; i++)
		(void)ask();
	set_fault(FAKE_NONE, -1);
	atomic_store(&node->delay_ms, 800); /* too late */
	(void)ask();
	atomic_store(&node->delay_ms, 0);
	(void)ask();
	assert_all_paid();
	cr_assert_leq(atomic_load(&node->worst_second), 20);
}

Test(rpc, three_dissents_about_settled_facts_put_it_aside)
{
	uint64_t now = clock_mono_ms();

	for (int i = 0; i < 9; i++)
		endpoint_dissent(ep, false, now);
	endpoint_dissent(ep, true, now);
	endpoint_dissent(ep, true, now);
	cr_assert(endpoint_is_usable(ep, now));
	endpoint_dissent(ep, true, now);
	cr_assert_not(endpoint_is_usable(ep, now + 299));
	cr_assert(endpoint_is_usable(ep, now + 300));
	/* The slate is clean. */
	endpoint_dissent(ep, true, now + 400);
	endpoint_dissent(ep, true, now + 400);
	cr_assert(endpoint_is_usable(ep, now + 400));
}

Test(rpc, a_dissent_is_forgotten_after_a_day)
{
	uint64_t now = clock_mono_ms();

	for (unsigned i = 0; i < 10; i++) {
		endpoint_dissent(ep, true, now + i * 500);
		cr_assert(endpoint_is_usable(ep, now + i * 500));
	}
	/* Three within that time: the last of before, and two. */
	endpoint_dissent(ep, true, now + 4600);
	cr_assert_not(endpoint_is_usable(ep, now + 4600));
}

static void *abort_soon(void *arg)
{
	nap_ms(100);
	rpc_abort(arg);
	return NULL;
}

Test(rpc, abort_ends_what_flies_within_200_ms)
{
	struct rpc_call call = {
		.endpoint = ep,
		.requests = &(struct chain_request){.ask = CHAIN_ASK_ID},
		.count = 1,
		.answers = answers};
	uint64_t began = clock_mono_ms();
	pthread_t thread;

	atomic_store(&node->delay_ms, 3000);
	cr_assert_eq(pthread_create(&thread, NULL, abort_soon, rpc), 0);
	cr_assert_eq(rpc_run(rpc, &call, 1), ERR_CLOSED);
	cr_assert_lt(clock_mono_ms() - began, 300);
	cr_assert_eq(rpc_run(rpc, &call, 1), ERR_CLOSED);
	(void)pthread_join(thread, NULL);
}

Test(rpc, urls_and_quorums_are_checked)
{
	static const char *const urls[] = {"ftp://127.0.0.1/",
					   "http://chain.example/", "nonsense",
					   "", "file:///etc/passwd"};
	struct chain_config config = {
		.name = "t", .id = 1, .quorum = 1, .endpoints_count = 1};
	struct rpc_chain *made;
	char why[200];

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		config.endpoints[0].url = urls[i];
		cr_assert_eq(rpc_chain_new(&config, 1, &quick, &made, why,
					   sizeof(why)),
			     ERR_RANGE, "%s", urls[i]);
	}
	config.endpoints[0].url = "http://user:secret@chain.example/";
	cr_assert_eq(rpc_chain_new(&config, 1, &quick, &made, why, sizeof(why)),
		     ERR_RANGE);
	cr_assert_null(strstr(why, "secret"));
	config.allow_plain_http = true;
	cr_assert_eq(rpc_chain_new(&config, 1, &quick, &made, why, sizeof(why)),
		     0);
	cr_assert_null(strstr(endpoint_label(made->endpoints[0]), "secret"));
	rpc_chain_free(made);
	config.quorum = 2;
	cr_assert_eq(rpc_chain_new(&config, 1, &quick, &made, why, sizeof(why)),
		     ERR_RANGE);
	/* Three endpoints of two companies are two voices. */
	config.endpoints_count = 3;
	for (int i = 0; i < 3; i++)
		config.endpoints[i] = (struct endpoint_config){
			.url = "http://[::1]:1/", .group = i ? "b" : "a"};
	config.quorum = 1;
	cr_assert_eq(rpc_chain_new(&config, 1, &quick, &made, why, sizeof(why)),
		     ERR_RANGE);
	config.quorum = 2;
	cr_assert_eq(rpc_chain_new(&config, 1, &quick, &made, why, sizeof(why)),
		     0);
	rpc_chain_free(made);
}
