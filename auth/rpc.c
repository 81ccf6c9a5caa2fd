#include "auth/rpc.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "auth/rpc_endpoint.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"

#define FLYING_MAX 4 /* transfers of one call at a time */
/* For the budget; then it counts as throttled. */
#define WAIT_MAX_MS 30000
/* Each item once, again for a batch that was too long, and again for one that
 * was refused. */
#define PLANNED_MAX(call) ((size_t)(call)->count * 3)
#define BUFFER_KEEP       (1u << 20)

struct transfer {
	struct transfer *next; /* of the idle, or of the active */
	CURL *easy;
	struct curl_slist *headers;
	struct rpc_call *call; /* NULL: idle */
	const unsigned *index; /* part of the call's todo */
	unsigned count;
	bool is_batch;
	bool is_over; /* the answer is larger than allowed */
	uint64_t first_id;
	uint64_t began_ns;
	char *question;
	char *answer;
	size_t answer_len;
	size_t answer_size;
	size_t answer_max;
};

struct rpc {
	CURLM *multi;
	struct transfer *idle;
	struct transfer *active;
	uint64_t next_id;
	unsigned flying;
	atomic_bool is_aborted;
};

/* ---- transfers ---- */

static size_t receive(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * count;
	size_t want = t->answer_size ? t->answer_size : 16384;
	char *grown;

	if (len > t->answer_max - t->answer_len) {
		t->is_over = true;
		return CURL_WRITEFUNC_ERROR;
	}
	while (want - t->answer_len < len)
		want *= 2;
	if (want != t->answer_size) {
		grown = realloc(t->answer, want);
		if (!grown)
			return CURL_WRITEFUNC_ERROR;
		t->answer = grown;
		t->answer_size = want;
	}
	memcpy(t->answer + t->answer_len, bytes, len);
	t->answer_len += len;
	return len;
}

static void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free(t->question);
	free(t->answer);
	free(t);
}

static struct transfer *transfer_new(void)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->easy = curl_easy_init();
	if (!t->easy) {
		free(t);
		return NULL;
	}
	return t;
}

static struct transfer *take_idle(struct rpc *rpc)
{
	struct transfer *t = rpc->idle;

	if (!t)
		return transfer_new();
	rpc->idle = t->next;
	return t;
}

static void put_idle(struct rpc *rpc, struct transfer *t)
{
	free(t->question);
	t->question = NULL;
	if (t->answer_size > BUFFER_KEEP) {
		free(t->answer);
		t->answer = NULL;
		t->answer_size = 0;
	}
	t->call = NULL;
	t->next = rpc->idle;
	rpc->idle = t;
}

static int add_header(struct transfer *t, const char *line)
{
	struct curl_slist *longer = curl_slist_append(t->headers, line);

	if (!longer)
		return ERR_NOMEM;
	t->headers = longer;
	return 0;
}

static int set_headers(struct transfer *t, const struct endpoint *ep)
{
	curl_slist_free_all(t->headers);
	t->headers = NULL;
	if (add_header(t, "Content-Type: application/json") ||
	    add_header(t, "Accept: application/json") ||
	    add_header(t, "Expect:") ||
	    (ep->header && add_header(t, ep->header)))
		return ERR_NOMEM;
	return 0;
}

/* §15.4. An option that this libcurl does not know is a broken build. */
static int set_options(struct transfer *t, const struct endpoint *ep,
		       size_t len)
{
	CURL *easy = t->easy;
	CURLcode bad = CURLE_OK;

	curl_easy_reset(easy);
	if (set_headers(t, ep))
		return ERR_NOMEM;
	bad |= curl_easy_setopt(easy, CURLOPT_URL, ep->url);
	bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
	bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				(curl_off_t)len);
	bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t->question);
	bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
				(long)ep->limits.connect_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
				(long)ep->limits.total_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
				(long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
				(curl_off_t)ep->limits.body_max);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	if (ep->is_loopback) /* whatever http_proxy says */
		bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return bad == CURLE_OK ? 0 : ERR_NOMEM;
}

static int start_transfer(struct rpc *rpc, struct transfer *t)
{
	const struct endpoint *ep = t->call->endpoint;
	size_t len;

	if (chain_write(t->call->requests, t->index, t->count, t->first_id,
			t->is_batch, &t->question, &len) ||
	    set_options(t, ep, len) ||
	    curl_multi_add_handle(rpc->multi, t->easy) != CURLM_OK)
		return ERR_NOMEM;
	t->answer_len = 0;
	t->answer_max = ep->limits.body_max;
	t->is_over = false;
	t->began_ns = clock_mono_ns();
	t->call->flying++;
	rpc->flying++;
	t->next = rpc->active;
	rpc->active = t;
	return 0;
}

static void stop_transfer(struct rpc *rpc, struct transfer *t)
{
	struct transfer **at = &rpc->active;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	(void)curl_multi_remove_handle(rpc->multi, t->easy);
	endpoint_return(t->call->endpoint, t->count, clock_mono_ms());
	t->call->flying--;
	rpc->flying--;
	put_idle(rpc, t);
}

/* ---- what became of a transfer ---- */

static enum rpc_outcome outcome_of(enum chain_outcome outcome)
{
	switch (outcome) {
	case CHAIN_ANSWERED:
	case CHAIN_NULL:
		return RPC_OK;
	case CHAIN_THROTTLED:
		return RPC_THROTTLED;
	case CHAIN_NO_METHOD:
	case CHAIN_OUR_MISTAKE:
	case CHAIN_LATER:
		return RPC_ERROR;
	case CHAIN_UNANSWERED:
		break;
	}
	return RPC_MALFORMED;
}

static void count_all(const struct transfer *t, enum rpc_outcome outcome)
{
	for (unsigned i = 0; i < t->count; i++)
		endpoint_count(t->call->endpoint,
			       chain_method(t->call->requests[t->index[i]].ask),
			       outcome);
}

/* What is left of a call is not asked: the endpoint will not answer now. */
static void end_call(struct rpc_call *call, enum chain_outcome outcome)
{
	for (unsigned i = call->todo_next; i < call->todo_count; i++)
		call->answers[call->todo[i]].outcome = outcome;
	call->todo_next = call->todo_count;
	call->failed = true;
}

static void set_all(const struct transfer *t, enum chain_outcome outcome)
{
	for (unsigned i = 0; i < t->count; i++)
		t->call->answers[t->index[i]] =
			(struct chain_answer){.outcome = outcome};
}

static void went_down(struct transfer *t, const char *what)
{
	set_all(t, CHAIN_UNANSWERED);
	count_all(t, RPC_DOWN);
	endpoint_failed(t->call->endpoint, what, clock_mono_ms());
	end_call(t->call, CHAIN_UNANSWERED);
}

static void went_slow(struct transfer *t)
{
	curl_off_t after = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
	set_all(t, CHAIN_THROTTLED);
	count_all(t, RPC_THROTTLED);
	endpoint_throttled(t->call->endpoint, after > 0 ? (uint64_t)after : 0,
			   clock_mono_ms());
	end_call(t->call, CHAIN_THROTTLED);
}

static void went_wrong(struct transfer *t)
{
	count_all(t, RPC_MALFORMED);
	endpoint_failed(t->call->endpoint, "malformed answer", clock_mono_ms());
	end_call(t->call, CHAIN_UNANSWERED);
}

static void ask_again(const struct transfer *t)
{
	struct rpc_call *call = t->call;

	assert(call->todo_count + t->count <= PLANNED_MAX(call));
	for (unsigned i = 0; i < t->count; i++)
		call->todo[call->todo_count++] = t->index[i];
}

/* §15.3: array answered by one error object. Ask for the items one by one. */
static void ask_singly(struct transfer *t)
{
	endpoint_no_batch(t->call->endpoint, clock_mono_ms());
	/* However long it takes: no item is refused twice. */
	t->call->is_single = true;
	ask_again(t);
}

/*
 * Anybody can name a transaction with a giant receipt, or a contract that has a
 * giant answer for us: it must neither take the others of its batch with it nor
 * speak against the endpoint. Of a contract it is an answer (§6.4): not the 32
 * bytes that prove.
 */
static void went_over(struct transfer *t)
{
	struct rpc_call *call = t->call;
	enum chain_ask ask = call->requests[t->index[0]].ask;

	set_all(t, CHAIN_UNANSWERED);
	count_all(t, RPC_MALFORMED);
	if (t->count > 1) {
		endpoint_halve(call->endpoint);
		call->is_single = true;
		ask_again(t);
	} else if (ask == CHAIN_ASK_PROOF) {
		call->answers[t->index[0]].outcome = CHAIN_ANSWERED;
	} else if (ask != CHAIN_ASK_RECEIPT) {
		endpoint_failed(call->endpoint, "giant answer",
				clock_mono_ms());
		end_call(call, CHAIN_UNANSWERED);
	}
}

static void read_items(struct transfer *t)
{
	struct rpc_call *call = t->call;
	bool throttled = false;

	for (unsigned i = 0; i < t->count; i++) {
		const struct chain_answer *answer = &call->answers[t->index[i]];
		enum chain_method method =
			chain_method(call->requests[t->index[i]].ask);

		endpoint_count(call->endpoint, method,
			       outcome_of(answer->outcome));
		throttled |= answer->outcome == CHAIN_THROTTLED;
		if (answer->outcome == CHAIN_NO_METHOD)
			endpoint_set_missing(call->endpoint, method);
		if (answer->outcome == CHAIN_OUR_MISTAKE)
			LOG_BROKEN("endpoint does not understand us",
				   log_text("endpoint",
					    endpoint_label(call->endpoint)),
				   log_text("method", chain_method_str(method)),
				   log_i64("code", answer->code));
	}
	if (throttled) {
		endpoint_throttled(call->endpoint, 0, clock_mono_ms());
		end_call(call, CHAIN_THROTTLED);
	}
}

static void read_body(struct transfer *t)
{
	struct rpc_call *call = t->call;

	switch (chain_read(t->answer_len ? t->answer : "", t->answer_len,
			   call->requests, t->index, t->count, t->first_id,
			   t->is_batch, call->answers)) {
	case CHAIN_BODY_GOOD:
		endpoint_ok(call->endpoint);
		if (t->count > 1)
			endpoint_took_batch(call->endpoint);
		read_items(t);
		break;
	case CHAIN_BODY_FLAWED:
		read_items(t);
		endpoint_failed(call->endpoint, "answers missing",
				clock_mono_ms());
		break;
	case CHAIN_BODY_MALFORMED:
		went_wrong(t);
		break;
	case CHAIN_BODY_REFUSED:
		ask_singly(t);
		break;
	case CHAIN_BODY_THROTTLED:
		went_slow(t);
		break;
	}
}

static void read_status(struct transfer *t, long status)
{
	if (status == 429) {
		went_slow(t);
	} else if (status == 401 || status == 403) {
		set_all(t, CHAIN_UNANSWERED);
		count_all(t, RPC_DOWN);
		endpoint_refused(t->call->endpoint, status, clock_mono_ms());
		end_call(t->call, CHAIN_UNANSWERED);
	} else if (status == 413 && t->count > 1) {
		endpoint_halve(t->call->endpoint);
		went_down(t, "HTTP 413");
	} else if (status == 200 || status == 400) {
		/* 400: some say so with an error object in the body. */
		read_body(t);
	} else {
		went_down(t, status < 400 ? "HTTP redirect" : "HTTP status");
	}
}

static void finish(struct rpc *rpc, struct transfer *t, CURLcode result)
{
	long status = 0;

	metric_observe_us(t->call->endpoint->seconds,
			  (clock_mono_ns() - t->began_ns) / 1000);
	if (t->is_over || result == CURLE_FILESIZE_EXCEEDED) {
		went_over(t);
	} else if (result != CURLE_OK) {
		if (result == CURLE_OPERATION_TIMEDOUT)
			endpoint_halve(t->call->endpoint);
		went_down(t, curl_easy_strerror(result));
	} else {
		(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE,
					&status);
		read_status(t, status);
	}
	stop_transfer(rpc, t);
}

/* ---- calls ---- */

static int begin_call(struct rpc_call *call)
{
	call->todo_next = call->todo_count = call->flying = 0;
	call->wait_until_ms = 0;
	call->is_paid = false;
	call->is_single = false;
	call->failed = false;
	call->todo = malloc((PLANNED_MAX(call) + 1) * sizeof(*call->todo));
	if (!call->todo)
		return ERR_NOMEM;
	for (unsigned i = 0; i < call->count; i++) {
		call->answers[i] =
			(struct chain_answer){.outcome = CHAIN_UNANSWERED};
		if (endpoint_lacks(call->endpoint,
				   chain_method(call->requests[i].ask)))
			call->answers[i].outcome = CHAIN_NO_METHOD;
		else
			call->todo[call->todo_count++] = i;
	}
	return 0;
}

/* How many go next, and are to return; 0: not yet, the budget is spent. */
static unsigned next_count(struct rpc_call *call, uint64_t now_ms)
{
	struct endpoint *ep = call->endpoint;
	unsigned left = call->todo_count - call->todo_next;
	unsigned batch = endpoint_batch(ep);

	if (call->is_single || endpoint_is_single(ep, now_ms))
		batch = 1;
	if (left > batch)
		left = batch;
	if (!call->is_paid) {
		call->wait_until_ms =
			endpoint_reserve(ep, left, now_ms, WAIT_MAX_MS);
		call->is_paid = true;
	}
	if (call->wait_until_ms <= now_ms)
		call->wait_until_ms = endpoint_leave(ep, left, now_ms);
	return call->wait_until_ms <= now_ms ? left : 0;
}

static int start_next(struct rpc *rpc, struct rpc_call *call, unsigned count)
{
	struct transfer *t = take_idle(rpc);

	if (!t)
		return ERR_NOMEM;
	t->call = call;
	t->index = call->todo + call->todo_next;
	t->count = count;
	/* Another thread may have found out meanwhile: many are a batch; or it
	 * may have found the opposite: what was refused in one goes singly. */
	t->is_batch = count > 1 ||
		      (!call->is_single &&
		       !endpoint_is_single(call->endpoint, clock_mono_ms()));
	t->first_id = rpc->next_id;
	if (start_transfer(rpc, t)) {
		put_idle(rpc, t);
		return ERR_NOMEM;
	}
	rpc->next_id += count;
	call->todo_next += count;
	call->is_paid = false;
	return 0;
}

static int start_more(struct rpc *rpc, struct rpc_call *call, uint64_t now_ms)
{
	while (call->todo_next < call->todo_count &&
	       call->flying < FLYING_MAX) {
		unsigned count = next_count(call, now_ms);
		int err;

		if (count == 0) {
			if (call->wait_until_ms > now_ms + WAIT_MAX_MS)
				end_call(call, CHAIN_THROTTLED);
			return 0;
		}
		err = start_next(rpc, call, count);
		if (err) {
			endpoint_return(call->endpoint, count, now_ms);
			return err;
		}
	}
	return 0;
}

static bool is_waiting(const struct rpc_call *call)
{
	return call->todo_next < call->todo_count && call->flying < FLYING_MAX;
}

/* 0: all is done. */
static int poll_ms(const struct rpc *rpc, const struct rpc_call *calls,
		   unsigned count, uint64_t now_ms)
{
	uint64_t ms = rpc->flying > 0 ? 1000 : 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t left;

		if (!is_waiting(&calls[i]))
			continue;
		left = calls[i].wait_until_ms > now_ms
			       ? calls[i].wait_until_ms - now_ms
			       : 1;
		if (ms == 0 || left < ms)
			ms = left;
	}
	return (int)ms;
}

static bool reap(struct rpc *rpc)
{
	struct CURLMsg *msg;
	bool some = false;
	int left;

	while ((msg = curl_multi_info_read(rpc->multi, &left))) {
		struct transfer *t = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		finish(rpc, t, msg->data.result);
		some = true;
	}
	return some;
}

static int run_calls(struct rpc *rpc, struct rpc_call *calls, unsigned count)
{
	for (;;) {
		uint64_t now_ms = clock_mono_ms();
		int running;
		int ms;

		if (rpc_is_aborted(rpc))
			return ERR_CLOSED;
		for (unsigned i = 0; i < count; i++) {
			int err = start_more(rpc, &calls[i], now_ms);

			if (err)
				return err;
		}
		ms = poll_ms(rpc, calls, count, now_ms);
		if (ms == 0)
			return 0;
		(void)curl_multi_perform(rpc->multi, &running);
		/* A finished transfer may have made room for the next. */
		if (!reap(rpc))
			(void)curl_multi_poll(rpc->multi, NULL, 0, ms, NULL);
	}
}

int rpc_run(struct rpc *rpc, struct rpc_call *calls, unsigned count)
{
	int err = 0;

	for (unsigned i = 0; i < count; i++)
		calls[i].todo = NULL;
	for (unsigned i = 0; i < count && !err; i++)
		err = begin_call(&calls[i]);
	if (!err)
		err = run_calls(rpc, calls, count);
	/* Aborted, or out of memory: what still flies is called back. */
	while (rpc->active)
		stop_transfer(rpc, rpc->active);
	for (unsigned i = 0; i < count; i++) {
		free(calls[i].todo);
		calls[i].todo = NULL;
	}
	return err;
}

/* ---- the thread's handle ---- */

int rpc_new(struct rpc **out)
{
	struct rpc *rpc = calloc(1, sizeof(*rpc));

	if (!rpc || rpc_prepare() || !(rpc->multi = curl_multi_init())) {
		free(rpc);
		return ERR_NOMEM;
	}
	/* Never the same twice on one connection: a late answer fits nothing.
	 */
	rpc->next_id = 1;
	*out = rpc;
	return 0;
}

void rpc_free(struct rpc *rpc)
{
	if (!rpc)
		return;
	assert(!rpc->active);
	while (rpc->idle) {
		struct transfer *t = rpc->idle;

		rpc->idle = t->next;
		transfer_free(t);
	}
	(void)curl_multi_cleanup(rpc->multi);
	free(rpc);
}

void rpc_abort(struct rpc *rpc)
{
	atomic_store(&rpc->is_aborted, true);
	(void)curl_multi_wakeup(rpc->multi);
}

bool rpc_is_aborted(const struct rpc *rpc)
{
	return atomic_load(&rpc->is_aborted);
}

void rpc_sleep(struct rpc *rpc, unsigned ms)
{
	uint64_t until_ms = clock_mono_ms() + ms;
	uint64_t now_ms = clock_mono_ms();

	while (!rpc_is_aborted(rpc) && now_ms < until_ms) {
		(void)curl_multi_poll(rpc->multi, NULL, 0,
				      (int)(until_ms - now_ms), NULL);
		now_ms = clock_mono_ms();
	}
}
