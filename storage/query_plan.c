#include "storage/query_private.h"

#include "core/err.h"

#define SAMPLE_MAX 128u

/* Ordinals [*from, *to) of the run are within the bounds. */
static void bounds_of_run(const struct query *qu, const struct run_view *run,
			  uint32_t *from, uint32_t *to)
{
	const struct run_header *h = run->header;

	*from = 0;
	*to = h->count;
	if (memcmp(h->min_key, qu->low, ENVELOPE_KEY_SIZE) < 0)
		*from = run_lower_bound(run, qu->low);
	if (memcmp(h->max_key, qu->high, ENVELOPE_KEY_SIZE) > 0)
		*to = run_upper_bound(run, qu->high);
}

static int add_list(struct query *qu, const struct run_view *run, uint32_t read,
		    const uint32_t *ordinals, uint32_t from, uint32_t to)
{
	struct query_work *w = qu->w;
	int err;

	if (from >= to)
		return 0;
	err = RESERVE(w, lists, (uint64_t)w->lists_count + 1);
	if (err)
		return err;
	w->lists[w->lists_count++] =
		(struct list){.entries = run->entries,
			      .entries_count = run->header->count,
			      .ordinals = ordinals,
			      .from = from,
			      .to = to,
			      .read = read};
	return 0;
}

struct range {
	uint32_t read;
	uint32_t from, to; /* ordinals within the bounds */
};

static int add_walk(struct query *qu, const struct run_view *run,
		    const struct range *r)
{
	return add_list(qu, run, r->read, NULL, r->from, r->to);
}

static int add_topic(struct query *qu, const struct run_view *run,
		     const struct range *r, const struct run_list *list)
{
	uint32_t from = run_list_cut(run, list, r->from);
	uint32_t to = run_list_cut(run, list, r->to);

	return add_list(qu, run, r->read, list->ordinals, from, to);
}

/* Many matches: a walk finds them sooner than many lists are merged. */
static bool is_walk_cheaper(const struct query *qu, uint32_t lists_before,
			    const struct range *r)
{
	uint64_t matches = 0;

	for (uint32_t i = lists_before; i < qu->w->lists_count; i++)
		matches += qu->w->lists[i].to - qu->w->lists[i].from;
	return matches * 8 > r->to - r->from;
}

static int add_by_topics(struct query *qu, const struct run_view *run,
			 const struct range *r)
{
	struct query_work *w = qu->w;
	const struct wanted *wanted = &w->wanted;
	uint32_t before = w->lists_count;
	struct run_list list;

	if ((uint64_t)wanted->topics_count * 12 > r->to - r->from)
		return add_walk(qu, run, r);
	for (uint32_t i = 0; i < wanted->topics_count; i++) {
		int err = run_find_topic(run, wanted->topics[i], &list);

		if (!err)
			err = add_topic(qu, run, r, &list);
		if (err && err != ERR_NOTFOUND)
			return err;
	}
	if (w->lists_count - before < 2 || !is_walk_cheaper(qu, before, r))
		return 0;
	w->lists_count = before;
	return add_walk(qu, run, r);
}

/* Do at least a sixteenth of the entries next in line match? */
static bool sample_is_dense(const struct query *qu, const struct run_view *run,
			    const struct range *r)
{
	uint32_t count = r->to - r->from, hits = 0;

	if (count > SAMPLE_MAX)
		count = SAMPLE_MAX;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = qu->is_newest_first ? r->to - 1 - i : r->from + i;

		hits += wanted_has(&qu->w->wanted, run->entries[at].topic);
	}
	return hits * 16 >= count;
}

static int add_by_bloom(struct query *qu, const struct run_view *run,
			const struct range *r)
{
	uint32_t before = qu->w->lists_count;
	struct run_list list;

	if (r->to - r->from <= 2 * run->header->topics ||
	    sample_is_dense(qu, run, r))
		return add_walk(qu, run, r);
	for (uint32_t i = 0; i < run->header->topics; i++) {
		int err;

		if (!bloom_covers_topic(&qu->q->bloom, run->topics[i].topic))
			continue;
		err = run_topic_list(run, i, &list);
		if (!err)
			err = add_topic(qu, run, r, &list);
		if (err)
			return err;
	}
	if (!is_walk_cheaper(qu, before, r))
		return 0;
	qu->w->lists_count = before;
	return add_walk(qu, run, r);
}

int query_plan_run(struct query *qu, const struct run_view *run, uint32_t read)
{
	struct range r = {.read = read};

	bounds_of_run(qu, run, &r.from, &r.to);
	if (r.from >= r.to)
		return 0;
	switch (qu->w->wanted.kind) {
	case WANT_ALL:
		return add_walk(qu, run, &r);
	case WANT_TOPICS:
		return add_by_topics(qu, run, &r);
	case WANT_BLOOM:
		return add_by_bloom(qu, run, &r);
	}
	return 0;
}
