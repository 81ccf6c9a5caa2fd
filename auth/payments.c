#include "auth/payments.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/payments_private.h"
#include "auth/scheduler.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

#define DAY_S 86400ull

void payments_config_default(struct payments_config *config)
{
	*config = (struct payments_config){
		.rules = {.mode = ACCESS_FREE, .grace_s = DAY_S},
		.claim_window_s = 400 * DAY_S,
		.pending_max_s = DAY_S,
		.reorg_grace_s = 3600,
		.workers = 4,
		.batch = 100,
		.open_max = 100000,
		.open_per_source = 16,
		.open_per_node = 8,
		.open_per_payer = 8,
		.submit_per_min = 10,
		.submit_burst = 20,
		.submit_contract_per_min = 2,
		.status_per_min = 60,
		.offer_valid_s = 7 * DAY_S,
		.offer_pay_window_s = DAY_S,
	};
}

/* ---- the checks of §19 that need no chain ---- */

static int refuse(char *why, size_t why_size, const char *what,
		  const char *which)
{
	(void)snprintf(why, why_size, "payments: %s%s%s", what,
		       which ? " in chain " : "", which ? which : "");
	return ERR_RANGE;
}

static int check_chain(const struct chain_config *chain, char *why,
		       size_t why_size)
{
	const char *name = chain->name ? chain->name : "?";

	if (chain->endpoints_count < 1 ||
	    chain->endpoints_count > PAYMENTS_ENDPOINTS_MAX)
		return refuse(why, why_size, "1 to 8 endpoints are needed",
			      name);
	if (chain->quorum < 1 || chain->quorum > chain->endpoints_count ||
	    2 * chain->quorum <= chain->endpoints_count)
		return refuse(why, why_size,
			      "the quorum must be more than half of the "
			      "endpoints",
			      name);
	if (chain->block_time_s == 0)
		return refuse(why, why_size, "block_time must be above 0",
			      name);
	return 0;
}

bool payments_has_chain(const struct payments_config *config, uint64_t id)
{
	for (unsigned i = 0; i < config->chains_count; i++)
		if (config->chains[i].id == id)
			return true;
	return false;
}

static int check_options(const struct payments_config *config, char *why,
			 size_t why_size)
{
	struct offer offer = {
		.sequence = 1,
		.not_before_s = 1,
		.not_after_s = 1 + config->offer_valid_s,
		.flags = config->options_count ? 0 : OFFER_FREE_NOW,
		.options_count = config->options_count,
	};
	const char *fault;

	if (config->options_count > OFFER_OPTIONS_MAX)
		return refuse(why, why_size, "too many options", NULL);
	memcpy(offer.options, config->options,
	       config->options_count * sizeof(offer.options[0]));
	if (offer_check(&offer, &fault))
		return refuse(why, why_size, fault, NULL);
	for (unsigned i = 0; i < config->options_count; i++) {
		const struct offer_option *option = &config->options[i];

		if (config->chains_count > 0 &&
		    !payments_has_chain(config, option->chain_id))
			return refuse(why, why_size,
				      "an option names a chain that is not "
				      "configured",
				      NULL);
		/* §4.4: a payment has one price. */
		if (offer_find(&offer, option->chain_id, option->token,
			       option->payee) != &offer.options[i])
			return refuse(why, why_size,
				      "two options have the same chain, token "
				      "and payee",
				      NULL);
	}
	return 0;
}

static int check_config(const struct payments_config *config, char *why,
			size_t why_size)
{
	int err;

	if (!config->key || !config->dir)
		return refuse(why, why_size, "no node key or no directory",
			      NULL);
	if (config->chains_count > PAYMENTS_CHAINS_MAX)
		return refuse(why, why_size, "too many chains", NULL);
	for (unsigned i = 0; i < config->chains_count; i++) {
		err = check_chain(&config->chains[i], why, why_size);
		if (err)
			return err;
	}
	return check_options(config, why, why_size);
}

/* ---- opening ---- */

static int store_mode(struct payments *payments, enum ledger_op op,
		      enum access_mode mode, const char *reason)
{
	struct ledger_task task = {
		.op = op,
		.mode = mode,
		.settings_mode = payments->config.rules.mode,
		.text = reason,
	};

	return ledger_run(payments->ledger, &task);
}

/* The operator's word or that of the settings, whichever is the later one. */
static int choose_mode(struct payments *payments)
{
	static const char reason[] =
		"payments.mode has changed in the settings";
	enum access_mode told = payments->config.rules.mode;
	struct ledger_mode stored;
	int err = ledger_read_mode(payments->ledger, &stored);

	if (err)
		return err == ERR_NOTFOUND ? 0 : err;
	if (stored.settings_mode != told) {
		LOG_UNUSUAL("the mode is that of the settings again: they "
			    "have changed since the operator's command",
			    log_text("mode", access_mode_str(told)),
			    log_text("was", access_mode_str(stored.mode)));
		return store_mode(payments, LEDGER_MODE, told, reason);
	}
	LOG_UNUSUAL("the mode is the operator's, not that of the settings: "
		    "admin mode changes it",
		    log_text("mode", access_mode_str(stored.mode)),
		    log_text("settings", access_mode_str(told)),
		    log_u64("since", stored.at_s),
		    log_text("reason", stored.reason));
	gate_set_mode(ledger_gate(payments->ledger), stored.mode);
	return 0;
}

static int open_ledger(struct payments *payments, char *why, size_t why_size)
{
	const struct payments_config *config = &payments->config;
	struct ledger_config ledger = {
		.dir = config->dir,
		.chains_count = config->chains_count,
		.claim_window_s = config->claim_window_s,
		.pending_max_s = config->pending_max_s,
		.reorg_grace_s = config->reorg_grace_s,
		.open_max = config->open_max,
		.open_per_source = config->open_per_source,
		.open_per_node = config->open_per_node,
		.open_per_payer = config->open_per_payer,
		.changed = keeper_changed,
		.changed_ctx = payments,
	};
	struct gate *gate;
	int err;

	for (unsigned i = 0; i < config->chains_count; i++) {
		ledger.chains[i].id = config->chains[i].id;
		ledger.chains[i].start_block = config->chains[i].start_block;
	}
	err = ledger_open(&ledger, &payments->ledger, why, why_size);
	if (err)
		return err;
	gate = ledger_gate(payments->ledger);
	gate_set_rules(gate, &config->rules);
	err = choose_mode(payments);
	if (err)
		return err;
	return gate_set_allow(gate, config->allow, config->allow_count);
}

static int start_scheduler(struct payments *payments, char *why,
			   size_t why_size)
{
	const struct payments_config *config = &payments->config;
	struct scheduler_config scheduler = {
		.ledger = payments->ledger,
		.chains = config->chains,
		.chains_count = config->chains_count,
		.options = config->options,
		.options_count = config->options_count,
		.workers = config->workers,
		.batch = config->batch,
		.open_max = config->open_max,
	};

	if (config->chains_count == 0)
		return 0;
	memcpy(scheduler.server, config->key->public, SECP_PUBLIC_SIZE);
	return scheduler_start(&scheduler, &payments->scheduler, why, why_size);
}

static int open_all(struct payments *payments, char *why, size_t why_size)
{
	const struct payments_config *config = &payments->config;
	int err;

	payments->submits =
		rates_new(config->submit_per_min, config->submit_burst);
	payments->contract_submits = rates_new(config->submit_contract_per_min,
					       config->submit_contract_per_min);
	payments->asks =
		rates_new(config->status_per_min, config->status_per_min);
	if (!payments->submits || !payments->contract_submits ||
	    !payments->asks)
		return ERR_NOMEM;
	err = open_ledger(payments, why, why_size);
	if (!err)
		err = start_scheduler(payments, why, why_size);
	if (err)
		return err;
	/* Without a chain to ask, the first offer is there at once. */
	if (!payments->scheduler)
		(void)offers_refresh(payments);
	if (pthread_create(&payments->keeper, NULL, keeper_main, payments))
		return ERR_IO;
	(void)pthread_setname_np(payments->keeper, "payments");
	payments->has_keeper = true;
	return 0;
}

int payments_open(const struct payments_config *config, struct payments **out,
		  char *why, size_t why_size)
{
	struct payments *payments;
	int err;

	if (why_size)
		why[0] = '\0';
	err = check_config(config, why, why_size);
	if (err)
		return err;
	payments = calloc(1, sizeof(*payments));
	if (!payments)
		return ERR_NOMEM;
	payments->config = *config;
	payments->started_ms = clock_mono_ms();
	mailbox_init(&payments->box, UINT32_MAX, NULL, NULL);
	err = open_all(payments, why, why_size);
	if (err) {
		if (why_size && !why[0])
			(void)snprintf(why, why_size, "payments: %s",
				       err_str(err));
		payments_close(payments);
		return err;
	}
	*out = payments;
	return 0;
}

/* §16.4: intake refuses, transfers end, what was found is committed. */
void payments_close(struct payments *payments)
{
	if (!payments)
		return;
	atomic_store(&payments->is_stopping, true);
	if (payments->has_keeper) {
		mailbox_nudge(&payments->box);
		(void)pthread_join(payments->keeper, NULL);
	}
	if (payments->scheduler)
		scheduler_stop(payments->scheduler);
	payments->scheduler = NULL;
	/* Every claim that was taken is committed and answered. */
	while (atomic_load(&payments->submitting) > 0)
		(void)sched_yield();
	if (payments->ledger)
		keeper_release(payments);
	ledger_close(payments->ledger);
	payments->ledger = NULL;
	keeper_drop(payments);
	rates_free(payments->submits);
	rates_free(payments->contract_submits);
	rates_free(payments->asks);
	free(payments);
}

struct gate *payments_gate(struct payments *payments)
{
	return ledger_gate(payments->ledger);
}

struct ledger *payments_ledger(struct payments *payments)
{
	return payments->ledger;
}

enum access_mode payments_mode(struct payments *payments)
{
	return gate_rules(payments_gate(payments)).mode;
}

enum access_mode payments_settings_mode(const struct payments *payments)
{
	return payments->config.rules.mode;
}

static int set_mode(struct payments *payments, enum ledger_op op,
		    enum access_mode mode, const char *reason)
{
	int err = store_mode(payments, op, mode, reason);

	if (err)
		return err;
	gate_set_mode(payments_gate(payments), mode);
	/* The offer says whether the service is free. */
	atomic_store(&payments->wants_offer, true);
	mailbox_nudge(&payments->box);
	return 0;
}

int payments_set_mode(struct payments *payments, enum access_mode mode,
		      const char *reason)
{
	return set_mode(payments, LEDGER_MODE, mode, reason);
}

int payments_set_mode_now(struct payments *payments, enum access_mode mode,
			  const char *reason)
{
	return set_mode(payments, LEDGER_MODE_NOW, mode, reason);
}

void payments_set_notify(struct payments *payments, payments_notify_fn fn,
			 void *ctx)
{
	atomic_store(&payments->notify, NULL);
	while (atomic_load(&payments->is_notifying))
		(void)sched_yield();
	atomic_store(&payments->notify_ctx, ctx);
	atomic_store(&payments->notify, fn);
}

int payments_chain(struct payments *payments, unsigned i,
		   struct chain_view *out)
{
	if (!payments->scheduler)
		return ERR_NOTFOUND;
	return scheduler_chain(payments->scheduler, i, out);
}

static int find_chain(struct payments *payments, uint64_t chain_id,
		      struct chain_view *out)
{
	for (unsigned i = 0; payments_chain(payments, i, out) == 0; i++)
		if (out->id == chain_id)
			return 0;
	return ERR_NOTFOUND;
}

/* Stored first: what is not stored is not acknowledged. */
int payments_acknowledge(struct payments *payments, uint64_t chain_id,
			 const char *reason)
{
	struct ledger_task task = {
		.op = LEDGER_ACKNOWLEDGE, .chain_id = chain_id, .text = reason};
	struct chain_view view;
	bool is_followed = find_chain(payments, chain_id, &view) == 0;
	int err = ledger_run(payments->ledger, &task);

	if (!err && is_followed)
		err = scheduler_acknowledge(payments->scheduler, chain_id,
					    view.alarms);
	return err;
}

bool payments_is_failing(struct payments *payments)
{
	return ledger_store_err(payments->ledger) != 0;
}

unsigned payments_alarms(struct payments *payments)
{
	struct chain_view view;
	unsigned count = 0;

	for (unsigned i = 0; payments_chain(payments, i, &view) == 0; i++)
		count += view.is_alarmed;
	return count;
}
