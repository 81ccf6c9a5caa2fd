#include "auth/follower.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/follower_private.h"
#include "auth/quorum.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

#define STALE_BLOCKS   10 /* §15.1: its head is that old */
#define STALE_BEHIND   5  /* or that many blocks behind the median */
#define FRESH_BLOCKS   5  /* §14 */
#define ALARM_AFTER_MS 600000
#define FINAL_EVERY_MS 60000

enum { ASK_LATEST, ASK_FINAL, ASK_SAFE, ASKS };

static const struct chain_request heads_asked[ASKS] = {
	[ASK_LATEST] = {.ask = CHAIN_ASK_LATEST},
	[ASK_FINAL] = {.ask = CHAIN_ASK_FINAL},
	[ASK_SAFE] = {.ask = CHAIN_ASK_SAFE},
};

/* ---- what endpoints say ---- */

static unsigned groups_of(const struct follower *f, uint32_t mask)
{
	unsigned groups[PAYMENTS_ENDPOINTS_MAX];

	for (unsigned i = 0; i < f->chain->endpoints_count; i++)
		groups[i] = endpoint_group(f->chain->endpoints[i]);
	return quorum_groups(groups, f->chain->endpoints_count, mask);
}

bool follower_is_quorum(const struct follower *f, uint32_t mask)
{
	return groups_of(f, mask) >= f->chain->quorum;
}

/* Stale ones are asked too: that is how they come back. */
static bool is_asked(const struct endpoint *ep, uint64_t now_ms)
{
	return endpoint_is_usable(ep, now_ms) ||
	       endpoint_is_only_stale(ep, now_ms);
}

static int ask_heads(struct follower *f, struct chain_answer answers[][ASKS],
		     uint32_t *asked)
{
	struct rpc_call calls[PAYMENTS_ENDPOINTS_MAX];
	uint64_t now_ms = clock_mono_ms();
	unsigned count = 0;

	*asked = 0;
	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		struct endpoint *ep = f->chain->endpoints[i];

		if (!is_asked(ep, now_ms))
			continue;
		*asked |= 1u << i;
		calls[count++] = (struct rpc_call){.endpoint = ep,
						   .requests = heads_asked,
						   .count = ASKS,
						   .answers = answers[i]};
	}
	return count ? rpc_run(f->rpc, calls, count) : ERR_AGAIN;
}

static void hear(struct outlook *o, const struct chain_answer *answers,
		 uint64_t now_ms)
{
	o->has_head = answers[ASK_LATEST].outcome == CHAIN_ANSWERED;
	o->has_final = answers[ASK_FINAL].outcome == CHAIN_ANSWERED;
	o->has_safe = answers[ASK_SAFE].outcome == CHAIN_ANSWERED;
	if (o->has_final)
		o->final = answers[ASK_FINAL].is.header.number;
	if (o->has_safe)
		o->safe = answers[ASK_SAFE].is.header.number;
	if (!o->has_head)
		return;
	o->head = answers[ASK_LATEST].is.header;
	if (o->changed_ms == 0 || memcmp(o->seen_hash, o->head.hash, 32) != 0) {
		memcpy(o->seen_hash, o->head.hash, 32);
		o->changed_ms = now_ms;
	}
}

/* §15.1. Returns those that count. */
static uint32_t judge_stale(struct follower *f, uint32_t asked, uint64_t now_ms)
{
	uint64_t numbers[PAYMENTS_ENDPOINTS_MAX];
	uint32_t good = 0;
	unsigned count = 0;
	uint64_t median;

	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		if (asked & 1u << i && f->outlooks[i].has_head)
			numbers[count++] = f->outlooks[i].head.number;
	}
	if (count == 0)
		return 0;
	median = quorum_median(numbers, count);
	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		const struct outlook *o = &f->outlooks[i];
		bool stale;

		if (!(asked & 1u << i) || !o->has_head)
			continue;
		stale = now_ms - o->changed_ms >
				(uint64_t)STALE_BLOCKS *
					f->chain->block_time_ms ||
			o->head.number + STALE_BEHIND < median;
		endpoint_set_stale(f->chain->endpoints[i], stale);
		if (!stale)
			good |= 1u << i;
	}
	return good;
}

enum height { HEIGHT_HEAD, HEIGHT_FINAL, HEIGHT_SAFE };

static bool height_of(const struct outlook *o, enum height which, uint64_t *out)
{
	switch (which) {
	case HEIGHT_HEAD:
		*out = o->head.number;
		return o->has_head;
	case HEIGHT_FINAL:
		*out = o->final;
		return o->has_final;
	case HEIGHT_SAFE:
		*out = o->safe;
		return o->has_safe;
	}
	return false;
}

static bool agree_height(const struct follower *f, uint32_t good,
			 enum height which, uint64_t *out)
{
	uint64_t numbers[PAYMENTS_ENDPOINTS_MAX];
	unsigned groups[PAYMENTS_ENDPOINTS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		if (!(good & 1u << i) ||
		    !height_of(&f->outlooks[i], which, &numbers[count]))
			continue;
		groups[count++] = endpoint_group(f->chain->endpoints[i]);
	}
	return quorum_height(numbers, groups, count, f->chain->quorum, out);
}

/* Header `number` of each of `mask`; its own head need not be asked for. */
static int ask_number(struct follower *f, uint32_t mask, uint64_t number,
		      struct chain_answer *answers)
{
	struct chain_request req = {.ask = CHAIN_ASK_BLOCK, .number = number};
	struct rpc_call calls[PAYMENTS_ENDPOINTS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		const struct outlook *o = &f->outlooks[i];

		answers[i] = (struct chain_answer){.outcome = CHAIN_UNANSWERED};
		if (!(mask & 1u << i) || !o->has_head)
			continue;
		if (o->head.number == number) {
			answers[i].outcome = CHAIN_ANSWERED;
			answers[i].is.header = o->head;
		} else if (o->head.number > number) {
			calls[count++] = (struct rpc_call){
				.endpoint = f->chain->endpoints[i],
				.requests = &req,
				.count = 1,
				.answers = &answers[i]};
		}
	}
	return count ? rpc_run(f->rpc, calls, count) : 0;
}

/* Those that gave the same header, a quorum of them; 0: none. */
static uint32_t agree_header(const struct follower *f,
			     const struct chain_answer *answers,
			     struct chain_header *out)
{
	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		uint32_t same = 0;

		if (answers[i].outcome != CHAIN_ANSWERED)
			continue;
		for (unsigned j = 0; j < f->chain->endpoints_count; j++) {
			if (answers[j].outcome == CHAIN_ANSWERED &&
			    memcmp(answers[i].is.header.hash,
				   answers[j].is.header.hash, 32) == 0)
				same |= 1u << j;
		}
		if (!follower_is_quorum(f, same))
			continue;
		*out = answers[i].is.header;
		return same;
	}
	return 0;
}

/* ---- finality ---- */

/* One endpoint's word is not enough to stop crediting. `*is_agreed`: a quorum
 * has said what that block is. */
static int confirm_alarm(struct follower *f, uint32_t good, bool *is_agreed)
{
	struct chain_answer answers[PAYMENTS_ENDPOINTS_MAX];
	struct chain_header header;
	int err = ask_number(f, good, f->final_number, answers);

	*is_agreed = !err && agree_header(f, answers, &header);
	if (!*is_agreed || memcmp(header.hash, f->final_hash, 32) == 0)
		return err;
	memcpy(f->final_hash, header.hash, 32);
	atomic_fetch_add(&f->alarms, 1);
	metric_add(f->metrics.alarms, 1);
	f->must_tell = f->config.alarmed != NULL;
	LOG_BROKEN("a finalized block has changed: nothing is credited until "
		   "this is acknowledged",
		   log_text("chain", f->chain->name),
		   log_u64("block", f->final_number));
	return 0;
}

/* §11 over a restart, before anything else is believed: the ring does not reach
 * back to it. ERR_AGAIN: it cannot be told yet what has become of it. */
static int check_old_final(struct follower *f, uint32_t good)
{
	bool is_agreed;
	int err;

	if (!f->is_final_old)
		return 0;
	err = confirm_alarm(f, good, &is_agreed);
	f->is_final_old = !is_agreed;
	if (err || is_agreed)
		return err;
	if (!f->has_waited)
		LOG_UNUSUAL("the block that was final before the start is not "
			    "to be seen: nothing is credited until it is",
			    log_text("chain", f->chain->name),
			    log_u64("block", f->final_number));
	f->has_waited = true;
	return ERR_AGAIN;
}

/* What cannot be stored now is tried again, as long as it matters. */
static void tell_alarm(struct follower *f)
{
	if (f->must_tell && follower_is_alarmed(f) &&
	    f->config.alarmed(f->config.ctx, f->final_number, f->final_hash))
		return;
	f->must_tell = false;
}

static void tell_final(struct follower *f, uint64_t now_ms, bool is_end)
{
	bool is_time = f->told_ms == 0 || now_ms - f->told_ms >= FINAL_EVERY_MS;

	/* Without its alarm a change would look at the next start as if it had
	 * been there always. */
	if (!f->config.final || !f->has_final_hash || f->must_tell ||
	    f->told_number == f->final_number || !(is_time || is_end))
		return;
	f->told_ms = now_ms;
	if (f->config.final(f->config.ctx, f->final_number, f->final_hash) == 0)
		f->told_number = f->final_number;
}

/* Under a head that a quorum has agreed on the ring is one endpoint's word:
 * what it has forged must not be held against the others later. */
static bool is_final_agreed(struct follower *f, uint32_t good,
			    const uint8_t hash[static 32])
{
	struct chain_answer answers[PAYMENTS_ENDPOINTS_MAX];
	struct chain_header header;

	if (f->chain->quorum == 1)
		return true;
	return ask_number(f, good, f->now.at.final, answers) == 0 &&
	       agree_header(f, answers, &header) &&
	       memcmp(header.hash, hash, 32) == 0;
}

static int watch_final(struct follower *f, uint32_t good, uint64_t now_ms)
{
	const uint8_t *hash;
	bool is_agreed = true;
	int err = 0;

	if (f->has_final_hash) {
		hash = headers_find(&f->headers, f->final_number);
		if (hash && memcmp(hash, f->final_hash, 32) != 0)
			err = confirm_alarm(f, good, &is_agreed);
	}
	tell_alarm(f);
	/* A change that no quorum has confirmed yet is looked at again. */
	if (err || !is_agreed || !f->now.at.has_final)
		return err;
	hash = headers_find(&f->headers, f->now.at.final);
	if (hash && (!f->has_final_hash || f->now.at.final > f->final_number) &&
	    is_final_agreed(f, good, hash)) {
		f->has_final_hash = true;
		f->final_number = f->now.at.final;
		memcpy(f->final_hash, hash, 32);
	}
	tell_final(f, now_ms, false);
	return 0;
}

/* ---- one round ---- */

static void take_head(struct follower *f, const struct chain_header *head,
		      uint64_t now_ms)
{
	f->now.at.head = head->number;
	if (f->now.head_seen_ms && memcmp(f->head_hash, head->hash, 32) == 0)
		return;
	memcpy(f->head_hash, head->hash, 32);
	f->now.head_time_s = head->time_s;
	f->now.head_seen_ms = now_ms;
	atomic_store(&f->head_time_s, head->time_s);
	atomic_store(&f->head_seen_ms, now_ms);
}

static unsigned first_of(uint32_t mask)
{
	return (unsigned)__builtin_ctz(mask);
}

static bool is_same_position(const struct chain_position *a,
			     const struct chain_position *b)
{
	return a->head == b->head && a->has_safe == b->has_safe &&
	       a->has_final == b->has_final && a->safe == b->safe &&
	       a->final == b->final;
}

static void publish(struct follower *f, uint64_t now_ms)
{
	uint32_t usable = 0;

	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		if (endpoint_is_usable(f->chain->endpoints[i], now_ms))
			usable |= 1u << i;
	}
	f->now.endpoints_good = usable;
	f->now.is_usable =
		f->now.head_seen_ms != 0 && follower_is_quorum(f, usable);
	board_write(&f->view, &f->now, sizeof(f->now));
	metric_set(f->metrics.head, (int64_t)f->now.at.head);
	metric_set(f->metrics.safe, (int64_t)f->now.at.safe);
	metric_set(f->metrics.final, (int64_t)f->now.at.final);
	metric_set(f->metrics.alarm, follower_is_alarmed(f));
	if (f->now.head_seen_ms)
		metric_set(f->metrics.age,
			   (int64_t)((now_ms - f->now.head_seen_ms) / 1000));
}

static int follow(struct follower *f, uint32_t good, uint64_t now_ms)
{
	struct follower_news news = {.replaced_first = 1};
	struct chain_answer answers[PAYMENTS_ENDPOINTS_MAX];
	struct chain_position before = f->now.at;
	struct chain_header head;
	uint64_t number;
	uint32_t with;
	int err;

	if (!agree_height(f, good, HEIGHT_HEAD, &number))
		return ERR_AGAIN;
	err = ask_number(f, good, number, answers);
	if (err)
		return err;
	with = agree_header(f, answers, &head);
	if (!with)
		return ERR_AGAIN;
	err = check_old_final(f, good);
	if (err)
		return err;
	err = follower_extend(f, f->chain->endpoints[first_of(with)], &head,
			      &news);
	if (err)
		return err;
	take_head(f, &head, now_ms);
	f->now.at.has_final =
		agree_height(f, good, HEIGHT_FINAL, &f->now.at.final);
	f->now.at.has_safe =
		agree_height(f, good, HEIGHT_SAFE, &f->now.at.safe);
	f->agreed_ms = now_ms;
	f->now.is_usable = true;
	news.at = f->now.at;
	err = watch_final(f, good, now_ms);
	if (err)
		return err;
	if (!is_same_position(&before, &news.at) ||
	    news.replaced_first <= news.replaced_last) {
		/* Whoever is told looks at the view at once. */
		publish(f, now_ms);
		f->config.moved(f->config.ctx, &news);
	}
	return follower_check_options(f, good, now_ms);
}

/* While nothing can be checked a probe each 30 s spares nobody and finds the
 * end of an outage in time (§16.5, B4). */
static bool wants_probe(const struct follower *f, const struct endpoint *ep,
			uint64_t now_ms)
{
	return endpoint_wants_probe(ep, now_ms) ||
	       (!f->now.is_usable && endpoint_wants_early_probe(ep, now_ms));
}

static int identify(struct follower *f, uint64_t now_ms)
{
	unsigned mask = 0;
	int err;

	for (unsigned i = 0; i < f->chain->endpoints_count; i++) {
		if (wants_probe(f, f->chain->endpoints[i], now_ms))
			mask |= 1u << i;
	}
	err = mask ? rpc_identify(f->rpc, f->chain, mask) : 0;
	if (err || f->is_known || !f->chain->has_genesis)
		return err;
	if (f->config.know)
		err = f->config.know(f->config.ctx, f->chain->id,
				     f->chain->genesis);
	f->is_known = err == 0;
	f->is_foreign = err == ERR_CONFLICT;
	if (f->is_foreign)
		LOG_BROKEN("the chain has another block 0 than the one its "
			   "payments are from; it is not used",
			   log_text("chain", f->chain->name));
	return err;
}

static void step(struct follower *f)
{
	struct chain_answer answers[PAYMENTS_ENDPOINTS_MAX][ASKS];
	uint64_t now_ms = clock_mono_ms();
	uint32_t asked = 0;
	uint32_t good = 0;
	int err = f->is_foreign ? ERR_CONFLICT : identify(f, now_ms);

	if (err == ERR_CONFLICT || rpc_is_aborted(f->rpc))
		return;
	if (!err && f->is_known)
		err = ask_heads(f, answers, &asked);
	now_ms = clock_mono_ms();
	for (unsigned i = 0; i < f->chain->endpoints_count && !err; i++) {
		f->outlooks[i].has_head = false;
		if (asked & 1u << i)
			hear(&f->outlooks[i], answers[i], now_ms);
	}
	if (!err)
		good = judge_stale(f, asked, now_ms);
	if (good)
		err = follow(f, good, now_ms);
	publish(f, clock_mono_ms());
	if (now_ms - f->agreed_ms > ALARM_AFTER_MS && !rpc_is_aborted(f->rpc))
		LOG_BROKEN("endpoints do not agree on a head",
			   log_text("chain", f->chain->name),
			   log_u64("good", (unsigned)__builtin_popcount(
						   f->now.endpoints_good)),
			   log_err(err));
}

static void *run(void *arg)
{
	struct follower *f = arg;

	f->agreed_ms = clock_mono_ms();
	while (!rpc_is_aborted(f->rpc)) {
		step(f);
		rpc_sleep(f->rpc, f->interval_ms);
	}
	tell_final(f, clock_mono_ms(), true);
	return NULL;
}

/* ---- questions from other threads ---- */

void follower_view(const struct follower *follower, struct follower_view *out)
{
	board_read(&follower->view, out, sizeof(*out));
}

enum follower_link follower_has(struct follower *follower, uint64_t number,
				const uint8_t hash[static 32])
{
	enum follower_link link = FOLLOWER_UNKNOWN;
	const uint8_t *known;

	(void)pthread_mutex_lock(&follower->lock);
	known = headers_find(&follower->headers, number);
	if (known)
		link = memcmp(known, hash, 32) == 0 ? FOLLOWER_SAME
						    : FOLLOWER_OTHER;
	(void)pthread_mutex_unlock(&follower->lock);
	return link;
}

uint64_t follower_head_s(const struct follower *follower)
{
	uint64_t seen_ms = atomic_load(&follower->head_seen_ms);
	uint64_t fresh_ms =
		(uint64_t)FRESH_BLOCKS * follower->chain->block_time_ms;

	if (seen_ms == 0 || clock_mono_ms() - seen_ms > fresh_ms)
		return 0;
	return atomic_load(&follower->head_time_s);
}

uint64_t follower_alarms(const struct follower *follower)
{
	return atomic_load(&follower->alarms);
}

bool follower_is_alarmed(const struct follower *follower)
{
	return atomic_load(&follower->alarms) >
	       atomic_load(&follower->acknowledged);
}

void follower_acknowledge(struct follower *follower, uint64_t alarms)
{
	if (!follower_is_alarmed(follower))
		return;
	atomic_store(&follower->acknowledged, alarms);
	metric_set(follower->metrics.alarm, follower_is_alarmed(follower));
	LOG_INFO("change of a finalized block acknowledged",
		 log_text("chain", follower->chain->name));
}

/* ---- life ---- */

static unsigned interval_of(const struct rpc_chain *chain)
{
	/* Chains faster than any real one are those of tests. */
	if (chain->block_time_ms <= 1000)
		return 200;
	return chain->block_time_ms / 3 > 2000 ? chain->block_time_ms / 3
					       : 2000;
}

static void make_metrics(struct follower *f)
{
	char label[64];
	const char *chain;

	(void)snprintf(label, sizeof(label), "chain=\"%s\"", f->chain->name);
	chain = rpc_label(label);
	f->metrics = (struct follower_metrics){
		.head = metric_gauge("mailpay_head", chain, "head agreed on"),
		.safe = metric_gauge("mailpay_safe", chain, "safe block"),
		.final = metric_gauge("mailpay_finalized", chain,
				      "finalized block"),
		.age = metric_gauge("mailpay_head_age_seconds", chain,
				    "time since the head was first seen"),
		.reorgs = metric_counter("mailpay_reorgs_total", chain,
					 "times that blocks were replaced"),
		.depth = metric_gauge("mailpay_reorg_depth", chain,
				      "blocks replaced the last time"),
		.alarm = metric_gauge("mailpay_finality_alarm", chain,
				      "1 while a finalized block has changed "
				      "and nobody has acknowledged it"),
		.alarms = metric_counter("mailpay_finality_alarms_total", chain,
					 "times that a finalized block has "
					 "changed"),
	};
	metric_set(f->metrics.alarm, follower_is_alarmed(f));
}

static int start_thread(struct follower *f)
{
	char title[16];
	sigset_t all;
	sigset_t before;
	int failed;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&f->thread, NULL, run, f);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return ERR_IO;
	(void)snprintf(title, sizeof(title), "follow-%.8s", f->chain->name);
	(void)pthread_setname_np(f->thread, title);
	return 0;
}

int follower_start(const struct follower_config *config, struct follower **out)
{
	struct follower *f = calloc(1, sizeof(*f));
	int err = ERR_NOMEM;

	_Static_assert(sizeof(struct option_check) <= BOARD_SIZE, "board");
	_Static_assert(sizeof(struct follower_view) <= BOARD_SIZE, "board");
	if (!f || rpc_new(&f->rpc))
		goto out;
	assert(config->options_count <= OFFER_OPTIONS_MAX);
	f->config = *config;
	f->chain = config->chain;
	f->interval_ms = config->interval_ms ? config->interval_ms
					     : interval_of(f->chain);
	(void)pthread_mutex_init(&f->lock, NULL);
	headers_init(&f->headers);
	atomic_store(&f->alarms, config->is_alarmed);
	f->has_final_hash = config->has_final;
	f->is_final_old = config->has_final;
	f->final_number = config->final_number;
	f->told_number = config->final_number;
	memcpy(f->final_hash, config->final_hash, 32);
	make_metrics(f);
	err = start_thread(f);
	if (err)
		goto out;
	*out = f;
	f = NULL;
out:
	if (f) {
		rpc_free(f->rpc);
		free(f);
	}
	return err;
}

void follower_stop(struct follower *follower)
{
	if (!follower)
		return;
	rpc_abort(follower->rpc);
	(void)pthread_join(follower->thread, NULL);
	rpc_free(follower->rpc);
	(void)pthread_mutex_destroy(&follower->lock);
	free(follower);
}
