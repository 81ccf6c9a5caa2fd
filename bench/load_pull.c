#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/load.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "net/bundle.h"
#include "net/status.h"

/* What one connection has asked for. */
struct asking {
	struct mail_query query;
	uint8_t id[MAIL_ID_SIZE];
	uint32_t page;
	uint64_t query_ns, page_ns; /* begun */
	bool is_busy;
};

struct puller {
	struct crowd crowd;
	struct load_pull *load;
	struct asking *askings;
	uint64_t next;
	unsigned busy;
	uint64_t ids;
};

static void ask(struct puller *p, struct crowd_member *member)
{
	struct asking *a = &p->askings[member->index];
	size_t max = MAIL_QUERY_SIZE_MAX(a->query.topics_count);
	uint8_t *out = malloc(max);
	size_t len;

	if (!out)
		bench_fail("no memory for a request");
	memset(a->id, 0, sizeof(a->id));
	be64_store(a->id, ++p->ids);
	len = mail_direct_encode(a->id, &a->query, true, out, max);
	a->page_ns = clock_mono_ns();
	crowd_send(member, CODE_REQUEST, out, len);
	free(out);
}

static void next_query(struct puller *p, struct crowd_member *member)
{
	struct asking *a = &p->askings[member->index];

	memset(a, 0, sizeof(*a));
	a->query.topics_stride = TOPIC_SIZE;
	a->query.batch = true;
	if (!p->load->next(p->load->ctx, p->next, &a->query))
		return;
	p->next++;
	p->busy++;
	a->is_busy = true;
	ask(p, member);
	a->query_ns = a->page_ns;
}

static void begin(void *ctx, struct crowd *crowd)
{
	struct puller *p = ctx;

	if (p->load->hooks.begin)
		p->load->hooks.begin(p->load->hooks.ctx);
	for (unsigned i = 0; i < crowd->config->connections; i++)
		next_query(p, &crowd->members[i]);
}

static void count(struct puller *p, const struct packet *payload)
{
	struct bundle bundle;
	struct envelope env;
	int err = bundle_open(&bundle, payload->bytes, payload->size, false);

	while (!err) {
		err = bundle_next(&bundle, &env);
		if (err)
			break;
		p->load->envelopes++;
		p->load->bytes += env.size;
	}
	if (err < 0)
		crowd_fail(&p->crowd, "the server sent a malformed delivery");
}

static void query_done(struct puller *p, struct crowd_member *member,
		       uint64_t now_ns)
{
	struct load_pull *load = p->load;
	struct asking *a = &p->askings[member->index];

	load->queries++;
	if (load->queries_time)
		histogram_add(load->queries_time, now_ns - a->query_ns);
	p->busy--;
	next_query(p, member);
	if (p->busy > 0)
		return;
	if (load->hooks.done)
		load->hooks.done(load->hooks.ctx);
	crowd_end(&p->crowd);
}

static bool is_expected(const struct load_pull *load,
			const struct mail_completion *completion)
{
	size_t len = load->refusal ? strlen(load->refusal) : 0;

	return len > 0 && completion->text_size >= len &&
	       memcmp(completion->text, load->refusal, len) == 0;
}

static void completed(struct puller *p, struct crowd_member *member,
		      const struct packet *payload)
{
	struct load_pull *load = p->load;
	struct asking *a = &p->askings[member->index];
	uint64_t now_ns = clock_mono_ns();
	struct mail_completion completion;
	char why[CROWD_WHY_MAX];

	if (!a->is_busy || mail_completion_decode(payload->bytes, payload->size,
						  &completion)) {
		crowd_fail(&p->crowd, "an unexpected completion");
		return;
	}
	if (completion.is_failure && is_expected(load, &completion)) {
		load->refused++;
		query_done(p, member, now_ns);
		return;
	}
	if (completion.is_failure) {
		(void)snprintf(why, sizeof(why), "a request failed: %.*s",
			       (int)completion.text_size, completion.text);
		crowd_fail(&p->crowd, why);
		return;
	}
	load->pages++;
	if (load->pages_time)
		histogram_add(load->pages_time, now_ns - a->page_ns);
	if (load->page)
		load->page(load->ctx, a->page, now_ns - a->page_ns);
	a->page++;
	if (!completion.has_cursor ||
	    (load->pages_max && a->page == load->pages_max)) {
		query_done(p, member, now_ns);
		return;
	}
	a->query.has_cursor = true;
	memcpy(a->query.cursor, completion.cursor, sizeof(a->query.cursor));
	ask(p, member);
}

static void on_message(void *ctx, struct crowd_member *member, unsigned code,
		       struct packet *payload)
{
	if (code == CODE_P2P_MESSAGE)
		count(ctx, payload);
	else if (code == CODE_REQUEST_COMPLETE)
		completed(ctx, member, payload);
}

static const struct crowd_use use = {.begin = begin, .message = on_message};

static void span_on(void *ctx)
{
	struct span *span = ctx;

	span_begin(span, span->pid, span->dir);
}

static void span_off(void *ctx)
{
	span_stop(ctx);
}

struct load_hooks load_hooks_span(struct span *span)
{
	return (struct load_hooks){
		.begin = span_on, .done = span_off, .ctx = span};
}

void load_ask_all(struct mail_query *query)
{
	query->limit = MAIL_LIMIT_MAX;
	query->upper_s = clock_wall_s();
	query->has_bloom = true;
	memset(query->bloom.bits, 0xff, sizeof(query->bloom.bits));
}

void load_ask_topic(struct mail_query *query, const struct topic *topic)
{
	query->limit = MAIL_LIMIT_MAX;
	query->upper_s = clock_wall_s();
	query->has_bloom = true;
	bloom_add_deployed(&query->bloom, *topic);
	query->topics = topic->bytes;
	query->topics_count = 1;
}

void load_pull_run(struct load_pull *load)
{
	struct puller p = {.load = load};

	load->queries = load->refused = load->pages = load->envelopes =
		load->bytes = 0;
	p.askings = calloc(load->crowd.connections, sizeof(*p.askings));
	if (!p.askings)
		bench_fail("no memory for the load");
	crowd_run(&p.crowd, &load->crowd, &use, &p);
	free(p.askings);
}
