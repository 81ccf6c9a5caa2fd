#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/load.h"
#include "core/clock.h"
#include "net/confirm.h"
#include "net/status.h"

#define QUEUE_HIGH (8u << 20)

struct sending {
	uint64_t since_ns; /* sent, or due */
	uint32_t by;       /* member */
	bool is_done;
};

struct poster {
	struct crowd crowd;
	struct load_post *load;
	struct sending *sendings; /* one a packet */
	uint32_t *table;          /* hash -> packet + 1, open addressing */
	size_t mask;
	size_t next, done;
	unsigned *in_flight;
	unsigned turn; /* whose turn it is, with a rate */
	uint64_t begin_ns;
};

static size_t slot_of(const struct poster *p, const uint8_t *hash)
{
	uint64_t word;

	memcpy(&word, hash, sizeof(word));
	return (size_t)word & p->mask;
}

static void make_table(struct poster *p)
{
	size_t slots = 16;

	while (slots < p->load->count * 2)
		slots *= 2;
	p->mask = slots - 1;
	p->table = calloc(slots, sizeof(*p->table));
	p->sendings = calloc(p->load->count, sizeof(*p->sendings));
	p->in_flight =
		calloc(p->load->crowd.connections, sizeof(*p->in_flight));
	if (!p->table || !p->sendings || !p->in_flight)
		bench_fail("no memory for the load");
	for (size_t i = 0; i < p->load->count; i++) {
		size_t at = slot_of(p, p->load->packed[i].hash);

		while (p->table[at])
			at = (at + 1) & p->mask;
		p->table[at] = (uint32_t)i + 1;
	}
}

/* The packet of this hash, or NULL. */
static struct sending *find(struct poster *p, const uint8_t *hash)
{
	for (size_t at = slot_of(p, hash); p->table[at];
	     at = (at + 1) & p->mask) {
		size_t i = p->table[at] - 1;

		if (memcmp(p->load->packed[i].hash, hash, KECCAK_DIGEST) == 0)
			return &p->sendings[i];
	}
	return NULL;
}

static void send_next(struct poster *p, struct crowd_member *member,
		      uint64_t since_ns)
{
	const struct packed *packed = &p->load->packed[p->next];
	struct sending *sending = &p->sendings[p->next++];

	sending->since_ns = since_ns;
	sending->by = member->index;
	p->in_flight[member->index]++;
	crowd_send(member, CODE_MESSAGES, packed->bytes, packed->size);
}

static void fill(struct poster *p, struct crowd_member *member)
{
	if (p->load->rate > 0)
		return;
	while (p->next < p->load->count &&
	       p->in_flight[member->index] < p->load->window && member->link &&
	       link_queued(member->link) < QUEUE_HIGH)
		send_next(p, member, clock_mono_ns());
}

/*
 * With a rate: all that is due by now, each connection in its turn; the ring
 * comes back for the next one.
 */
static void send_due(void *ctx, struct crowd *crowd)
{
	struct poster *p = ctx;
	uint64_t now_ns = clock_mono_ns();

	assert(crowd->config->connections > 0);
	if (p->load->rate <= 0)
		return;
	while (p->next < p->load->count) {
		uint64_t due_ns = p->begin_ns + (uint64_t)((double)p->next *
							   1e9 / p->load->rate);

		if (due_ns > now_ns) {
			ring_again_at(crowd->ring, due_ns / 1000 + 1);
			return;
		}
		if (p->load->lateness)
			histogram_add(p->load->lateness, now_ns - due_ns);
		send_next(p, &crowd->members[p->turn], due_ns);
		p->turn = (p->turn + 1) % crowd->config->connections;
	}
}

static void begin(void *ctx, struct crowd *crowd)
{
	struct poster *p = ctx;

	if (p->load->hooks.begin)
		p->load->hooks.begin(p->load->hooks.ctx);
	p->begin_ns = clock_mono_ns();
	for (unsigned i = 0; i < crowd->config->connections; i++)
		fill(p, &crowd->members[i]);
	send_due(p, crowd);
}

static void acknowledged(struct poster *p, struct sending *sending)
{
	struct load_post *load = p->load;
	size_t index = (size_t)(sending - p->sendings);

	if (sending->is_done || sending->since_ns == 0)
		return;
	sending->is_done = true;
	load->envelopes += load->packed[index].count;
	p->in_flight[sending->by]--;
	p->done++;
	if (load->latency)
		histogram_add(load->latency,
			      clock_mono_ns() - sending->since_ns);
	if (p->done == load->count) {
		if (load->hooks.done)
			load->hooks.done(load->hooks.ctx);
		crowd_end(&p->crowd);
		return;
	}
	fill(p, &p->crowd.members[sending->by]);
}

static void on_response(struct poster *p, const struct packet *payload)
{
	struct confirm confirm;
	struct confirm_error error;
	struct sending *sending;

	if (confirm_decode(payload->bytes, payload->size, &confirm))
		return;
	while (confirm_next(&confirm, &error) == 0)
		p->load->refused++;
	if (p->load->refused > 0) {
		crowd_fail(&p->crowd, "the server refuses envelopes");
		return;
	}
	sending = find(p, confirm.hash);
	if (sending)
		acknowledged(p, sending);
}

static void on_message(void *ctx, struct crowd_member *member, unsigned code,
		       struct packet *payload)
{
	struct poster *p = ctx;
	uint8_t hash[CONFIRM_HASH_SIZE];
	struct sending *sending;

	(void)member;
	if (code == CODE_RESPONSE) {
		on_response(p, payload);
	} else if (code == CODE_BATCH_ACK &&
		   confirm_ack_decode(payload->bytes, payload->size, hash) ==
			   0) {
		sending = find(p, hash);
		if (sending)
			acknowledged(p, sending);
	}
}

static void on_drained(void *ctx, struct crowd_member *member)
{
	fill(ctx, member);
}

static void on_tick(void *ctx, struct crowd *crowd)
{
	struct poster *p = ctx;

	for (unsigned i = 0; i < crowd->config->connections; i++)
		fill(p, &crowd->members[i]);
}

static const struct crowd_use use = {.begin = begin,
				     .message = on_message,
				     .drained = on_drained,
				     .tick = on_tick,
				     .round = send_due};

void load_post_run(struct load_post *load)
{
	struct poster p = {.load = load};

	load->envelopes = load->refused = 0;
	make_table(&p);
	crowd_run(&p.crowd, &load->crowd, &use, &p);
	free(p.table);
	free(p.sendings);
	free(p.in_flight);
}
