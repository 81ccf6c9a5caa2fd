#include "auth/rpc_endpoint.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

const struct rpc_limits rpc_limits_default = {
	.connect_ms = 3000,
	.total_ms = 10000,
	.breaker_ms = 30000,
	.breaker_max_ms = 600000,
	.quiet_ms = 1000,
	.quiet_max_ms = 60000,
	.aside_ms = 3600000,
	.forget_ms = 86400000,
	.single_ms = 3600000,
	.identity_ms = 600000,
	.body_max = CHAIN_BODY_MAX,
};

static const char *const outcome_names[RPC_OUTCOMES] = {
	[RPC_OK] = "ok",
	[RPC_ERROR] = "error",
	[RPC_THROTTLED] = "throttled",
	[RPC_MALFORMED] = "malformed",
	[RPC_DOWN] = "down",
};

/* ---- labels ---- */

static _Atomic(struct endpoint_labels *) all_labels;

static struct endpoint_labels *make_labels(const char *label)
{
	struct endpoint_labels *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	(void)snprintf(made->label, sizeof(made->label), "%s", label);
	(void)snprintf(made->endpoint, sizeof(made->endpoint),
		       "endpoint=\"%s\"", label);
	for (unsigned m = 0; m < CHAIN_METHODS; m++) {
		for (unsigned o = 0; o < RPC_OUTCOMES; o++)
			(void)snprintf(
				made->request[m][o],
				sizeof(made->request[m][o]),
				"endpoint=\"%s\",method=\"%s\",outcome=\"%s\"",
				label, chain_method_str(m), outcome_names[o]);
	}
	return made;
}

/* The same endpoint of a later start has the same text. */
static struct endpoint_labels *find_labels(const char *label)
{
	struct endpoint_labels *at = atomic_load(&all_labels);

	for (; at; at = at->next) {
		if (strcmp(at->label, label) == 0)
			return at;
	}
	at = make_labels(label);
	if (!at)
		return NULL;
	at->next = atomic_load(&all_labels);
	while (!atomic_compare_exchange_weak(&all_labels, &at->next, at))
		;
	return at;
}

struct kept {
	struct kept *next;
	char text[160];
};

static _Atomic(struct kept *) all_kept;

const char *rpc_label(const char *text)
{
	struct kept *at = atomic_load(&all_kept);

	for (; at; at = at->next) {
		if (strcmp(at->text, text) == 0)
			return at->text;
	}
	at = calloc(1, sizeof(*at));
	if (!at)
		return "";
	(void)snprintf(at->text, sizeof(at->text), "%s", text);
	at->next = atomic_load(&all_kept);
	while (!atomic_compare_exchange_weak(&all_kept, &at->next, at))
		;
	return at->text;
}

void endpoint_count(struct endpoint *ep, enum chain_method method,
		    enum rpc_outcome outcome)
{
	struct metric *metric = atomic_load_explicit(
		&ep->requests[method][outcome], memory_order_acquire);

	if (!metric) {
		metric = metric_counter("mailpay_rpc_requests_total",
					ep->labels->request[method][outcome],
					"requests to endpoints of chains");
		atomic_store_explicit(&ep->requests[method][outcome], metric,
				      memory_order_release);
	}
	metric_add(metric, 1);
}

const char *endpoint_label(const struct endpoint *ep)
{
	return ep->labels->label;
}

unsigned endpoint_group(const struct endpoint *ep)
{
	return ep->group;
}

/* ---- what is known of an endpoint ---- */

static bool is_answering(const struct endpoint *ep, uint64_t now_ms)
{
	return atomic_load(&ep->is_good) && !atomic_load(&ep->is_open) &&
	       now_ms >= atomic_load(&ep->quiet_until_ms) &&
	       now_ms >= atomic_load(&ep->aside_until_ms);
}

bool endpoint_is_usable(const struct endpoint *ep, uint64_t now_ms)
{
	return is_answering(ep, now_ms) && !atomic_load(&ep->is_stale);
}

bool endpoint_is_only_stale(const struct endpoint *ep, uint64_t now_ms)
{
	return is_answering(ep, now_ms) && atomic_load(&ep->is_stale);
}

bool endpoint_wants_probe(const struct endpoint *ep, uint64_t now_ms)
{
	return now_ms >= atomic_load(&ep->probe_ms) &&
	       now_ms >= atomic_load(&ep->quiet_until_ms);
}

bool endpoint_wants_early_probe(const struct endpoint *ep, uint64_t now_ms)
{
	return atomic_load(&ep->is_open) &&
	       now_ms >= atomic_load(&ep->early_ms) &&
	       now_ms >= atomic_load(&ep->quiet_until_ms);
}

void endpoint_ok(struct endpoint *ep)
{
	unsigned now = atomic_load(&ep->batch_now);

	atomic_store(&ep->failures, 0);
	atomic_store(&ep->quiets, 0);
	/* A batch that was halved grows back one by one. */
	if (now < ep->batch_max)
		(void)atomic_compare_exchange_strong(&ep->batch_now, &now,
						     now + 1);
}

/* The time doubles with each opening in a row. */
static uint64_t doubled(unsigned first_ms, unsigned times, unsigned max_ms)
{
	uint64_t ms = first_ms;

	while (times-- > 0 && ms < max_ms)
		ms *= 2;
	return ms < max_ms ? ms : max_ms;
}

static void open_breaker(struct endpoint *ep, const char *what, uint64_t now_ms)
{
	unsigned opens = atomic_fetch_add(&ep->opens, 1);
	uint64_t ms = doubled(ep->limits.breaker_ms, opens,
			      ep->limits.breaker_max_ms);

	atomic_store(&ep->probe_ms, now_ms + ms);
	atomic_store(&ep->early_ms, now_ms + ep->limits.breaker_ms);
	atomic_store(&ep->failures, 0);
	atomic_store(&ep->is_open, true);
	metric_set(ep->breaker, 1);
	LOG_UNUSUAL("endpoint given a rest",
		    log_text("endpoint", endpoint_label(ep)),
		    log_text("last", what), log_u64("seconds", ms / 1000));
}

void endpoint_failed(struct endpoint *ep, const char *what, uint64_t now_ms)
{
	LOG_DEBUG("endpoint failed", log_text("endpoint", endpoint_label(ep)),
		  log_text("what", what));
	if (atomic_load(&ep->is_open))
		return; /* only the probe counts now */
	if (atomic_fetch_add(&ep->failures, 1) + 1 >= RPC_FAILURES_MAX)
		open_breaker(ep, what, now_ms);
}

void endpoint_identified(struct endpoint *ep, bool good, uint64_t now_ms)
{
	bool was_good = atomic_exchange(&ep->is_good, good);

	if (!good) {
		/* Away or another chain: the probe comes as after a breaker. */
		open_breaker(ep, "identity", now_ms);
		return;
	}
	atomic_store(&ep->opens, 0);
	atomic_store(&ep->failures, 0);
	atomic_store(&ep->missing, 0);
	atomic_store(&ep->is_open, false);
	atomic_store(&ep->probe_ms, now_ms + ep->limits.identity_ms);
	metric_set(ep->breaker, 0);
	if (!was_good)
		LOG_INFO("endpoint in use",
			 log_text("endpoint", endpoint_label(ep)));
}

void endpoint_halve(struct endpoint *ep)
{
	unsigned now = atomic_load(&ep->batch_now);

	if (now > 1)
		(void)atomic_compare_exchange_strong(&ep->batch_now, &now,
						     now / 2);
}

void endpoint_throttled(struct endpoint *ep, uint64_t retry_after_s,
			uint64_t now_ms)
{
	unsigned quiets = atomic_fetch_add(&ep->quiets, 1);
	uint64_t ms = retry_after_s < 600 ? retry_after_s * 1000 : 600000;

	if (ms == 0)
		ms = doubled(ep->limits.quiet_ms, quiets,
			     ep->limits.quiet_max_ms);
	atomic_store(&ep->quiet_until_ms, now_ms + ms);
	endpoint_halve(ep);
	LOG_DEBUG("endpoint throttles us",
		  log_text("endpoint", endpoint_label(ep)), log_u64("ms", ms));
}

void endpoint_refused(struct endpoint *ep, long status, uint64_t now_ms)
{
	atomic_store(&ep->is_good, false);
	atomic_store(&ep->probe_ms, now_ms + ep->limits.identity_ms);
	LOG_BROKEN("endpoint refuses our credentials",
		   log_text("endpoint", endpoint_label(ep)),
		   log_i64("status", status));
}

void endpoint_no_batch(struct endpoint *ep, uint64_t now_ms)
{
	if (!atomic_exchange(&ep->single_until_ms,
			     now_ms + ep->limits.single_ms))
		LOG_INFO("endpoint takes no batches",
			 log_text("endpoint", endpoint_label(ep)));
}

void endpoint_took_batch(struct endpoint *ep)
{
	if (atomic_load(&ep->single_until_ms) &&
	    atomic_exchange(&ep->single_until_ms, 0))
		LOG_INFO("endpoint takes batches again",
			 log_text("endpoint", endpoint_label(ep)));
}

bool endpoint_is_single(const struct endpoint *ep, uint64_t now_ms)
{
	return now_ms < atomic_load(&ep->single_until_ms);
}

void endpoint_set_missing(struct endpoint *ep, enum chain_method method)
{
	unsigned before = atomic_fetch_or(&ep->missing, 1u << method);

	if (!(before & 1u << method))
		LOG_UNUSUAL("endpoint lacks a method",
			    log_text("endpoint", endpoint_label(ep)),
			    log_text("method", chain_method_str(method)));
}

bool endpoint_lacks(const struct endpoint *ep, enum chain_method method)
{
	return atomic_load(&ep->missing) & 1u << method;
}

void endpoint_set_stale(struct endpoint *ep, bool stale)
{
	if (atomic_exchange(&ep->is_stale, stale) != stale)
		LOG_UNUSUAL(stale ? "endpoint stands still"
				  : "endpoint moves again",
			    log_text("endpoint", endpoint_label(ep)));
}

/*
 * Are these three within a day? One that is wrong once a month is an accident
 * each time. Two threads at once may lose one: another will come.
 */
static bool is_liar(struct endpoint *ep, uint64_t now_ms)
{
	uint64_t oldest_ms = 0;

	for (unsigned i = 0; i + 1 < RPC_DISSENTS_MAX; i++) {
		uint64_t at_ms = atomic_load(&ep->dissents_ms[i + 1]);

		if (i == 0)
			oldest_ms = at_ms;
		atomic_store(&ep->dissents_ms[i], at_ms);
	}
	atomic_store(&ep->dissents_ms[RPC_DISSENTS_MAX - 1], now_ms);
	return oldest_ms != 0 && now_ms - oldest_ms < ep->limits.forget_ms;
}

void endpoint_dissent(struct endpoint *ep, bool about_settled, uint64_t now_ms)
{
	metric_add(ep->dissent_total, 1);
	LOG_UNUSUAL("endpoint contradicts the others",
		    log_text("endpoint", endpoint_label(ep)),
		    log_bool("settled", about_settled));
	if (!about_settled || !is_liar(ep, now_ms))
		return;
	/* After that it begins anew. */
	for (unsigned i = 0; i < RPC_DISSENTS_MAX; i++)
		atomic_store(&ep->dissents_ms[i], 0);
	atomic_store(&ep->aside_until_ms, now_ms + ep->limits.aside_ms);
	LOG_BROKEN("endpoint put aside",
		   log_text("endpoint", endpoint_label(ep)),
		   log_u64("seconds", ep->limits.aside_ms / 1000));
}

/* ---- making ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode once_answer;

static void prepare(void)
{
	once_answer = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int rpc_prepare(void)
{
	(void)pthread_once(&once, prepare);
	return once_answer == CURLE_OK ? 0 : ERR_NOMEM;
}

static bool is_loopback(const char *host)
{
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

static int judge_url(const char *scheme, const char *host,
		     bool allow_plain_http, bool *loopback, const char **what)
{
	*loopback = is_loopback(host);
	if (strcmp(scheme, "https") == 0)
		return 0;
	*what = "is neither http nor https";
	if (strcmp(scheme, "http") != 0)
		return ERR_RANGE;
	*what = "is plain http to another machine; use https or allow it";
	return *loopback || allow_plain_http ? 0 : ERR_RANGE;
}

static int check_url(const char *text, bool allow_plain_http, bool *loopback,
		     const char **what)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	char *host = NULL;
	int err = ERR_RANGE;

	*what = "is not an URL";
	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		err = judge_url(scheme, host, allow_plain_http, loopback, what);
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return err;
}

const char *rpc_url_fault(const char *url, bool allow_plain_http)
{
	const char *what;
	bool loopback;

	return check_url(url, allow_plain_http, &loopback, &what) ? what : NULL;
}

static int copy_words(struct endpoint *ep, const struct endpoint_config *config)
{
	ep->url = strdup(config->url);
	if (config->header && *config->header)
		ep->header = strdup(config->header);
	return ep->url && (ep->header || !config->header || !*config->header)
		       ? 0
		       : ERR_NOMEM;
}

static void make_metrics(struct endpoint *ep)
{
	const char *label = ep->labels->endpoint;

	ep->seconds = metric_histogram("mailpay_rpc_seconds", label,
				       "time of a request to an endpoint");
	ep->dissent_total =
		metric_counter("mailpay_rpc_dissent_total", label,
			       "answers that contradicted the quorum");
	ep->breaker = metric_gauge("mailpay_rpc_breaker", label,
				   "1 while the endpoint is given a rest");
}

int endpoint_new(const char *chain, unsigned i,
		 const struct endpoint_config *config, unsigned batch,
		 bool allow_plain_http, const struct rpc_limits *limits,
		 struct endpoint **out, char *why, size_t why_size)
{
	struct endpoint *ep = calloc(1, sizeof(*ep));
	const char *what = NULL;
	char label[48];
	int err = ERR_NOMEM;

	if (!ep)
		return ERR_NOMEM;
	(void)pthread_mutex_init(&ep->budget.lock, NULL);
	(void)snprintf(label, sizeof(label), "%.31s/%u", chain, i);
	if (copy_words(ep, config))
		goto out;
	ep->labels = find_labels(label);
	if (!ep->labels)
		goto out;
	err = check_url(config->url, allow_plain_http, &ep->is_loopback, &what);
	if (err) {
		(void)snprintf(why, why_size, "the URL of endpoint %s %s",
			       label, what);
		goto out;
	}
	ep->limits = *limits;
	ep->batch_max = config->batch_max ? config->batch_max : batch;
	if (ep->batch_max > CHAIN_ITEMS_MAX)
		ep->batch_max = CHAIN_ITEMS_MAX;
	if (ep->batch_max == 0)
		ep->batch_max = 1;
	ep->requests_per_s = config->requests_per_s;
	atomic_init(&ep->batch_now, ep->batch_max);
	make_metrics(ep);
	*out = ep;
	ep = NULL;
out:
	endpoint_free(ep);
	return err;
}

void endpoint_free(struct endpoint *ep)
{
	if (!ep)
		return;
	free(ep->url);
	free(ep->header);
	(void)pthread_mutex_destroy(&ep->budget.lock);
	free(ep);
}

/* ---- chains ---- */

/* Endpoints without a group are groups of their own. */
static void group_endpoints(struct rpc_chain *chain,
			    const struct chain_config *config)
{
	for (unsigned i = 0; i < chain->endpoints_count; i++) {
		const char *group = config->endpoints[i].group;

		chain->endpoints[i]->group = i;
		for (unsigned j = 0; group && *group && j < i; j++) {
			const char *other = config->endpoints[j].group;

			if (other && strcmp(group, other) == 0) {
				chain->endpoints[i]->group =
					chain->endpoints[j]->group;
				break;
			}
		}
	}
}

static unsigned count_groups(const struct rpc_chain *chain)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < chain->endpoints_count; i++)
		mask |= 1u << chain->endpoints[i]->group;
	return (unsigned)__builtin_popcount(mask);
}

static int check_quorum(const struct rpc_chain *chain, char *why,
			size_t why_size)
{
	unsigned groups = count_groups(chain);

	if (groups > 0 && chain->quorum <= groups && chain->quorum * 2 > groups)
		return 0;
	(void)snprintf(why, why_size,
		       "chain %s: a quorum of %u must be more than half of its "
		       "%u independent endpoints, and not more than all",
		       chain->name, chain->quorum, groups);
	return ERR_RANGE;
}

static int add_endpoints(struct rpc_chain *chain,
			 const struct chain_config *config, unsigned batch,
			 char *why, size_t why_size)
{
	for (unsigned i = 0; i < config->endpoints_count; i++) {
		int err = endpoint_new(chain->name, i, &config->endpoints[i],
				       batch, config->allow_plain_http,
				       &chain->limits, &chain->endpoints[i],
				       why, why_size);

		if (err)
			return err;
		chain->endpoints_count++;
	}
	return 0;
}

int rpc_chain_new(const struct chain_config *config, unsigned batch,
		  const struct rpc_limits *limits, struct rpc_chain **out,
		  char *why, size_t why_size)
{
	struct rpc_chain *chain = calloc(1, sizeof(*chain));
	int err = ERR_NOMEM;

	(void)snprintf(why, why_size, "no memory");
	if (!chain || rpc_prepare())
		goto out;
	(void)snprintf(chain->name, sizeof(chain->name), "%s",
		       config->name ? config->name : "chain");
	chain->id = config->id;
	chain->quorum = config->quorum ? config->quorum : 1;
	chain->block_time_ms =
		config->block_time_s ? config->block_time_s * 1000 : 1000;
	chain->has_genesis = config->has_genesis;
	memcpy(chain->genesis, config->genesis, sizeof(chain->genesis));
	chain->limits = *limits;
	err = add_endpoints(chain, config, batch, why, why_size);
	if (err)
		goto out;
	group_endpoints(chain, config);
	err = check_quorum(chain, why, why_size);
	if (err)
		goto out;
	*out = chain;
	chain = NULL;
out:
	rpc_chain_free(chain);
	return err;
}

void rpc_chain_free(struct rpc_chain *chain)
{
	if (!chain)
		return;
	for (unsigned i = 0; i < chain->endpoints_count; i++)
		endpoint_free(chain->endpoints[i]);
	free(chain);
}
