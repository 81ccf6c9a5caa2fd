#ifndef NET_NODE_RING_H
#define NET_NODE_RING_H
/*
 * The inside of the node, shared by its files (node, session, admit, gossip,
 * request, sync, dialer) and by nothing else.
 *
 * Thread: a node_ring belongs to its ring's thread, except its mailbox.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "core/mailbox.h"
#include "core/metrics.h"
#include "net/envelopes.h"
#include "net/limits.h"
#include "net/link.h"
#include "net/node.h"
#include "net/peers.h"
#include "net/ring.h"
#include "net/session.h"

struct admit;
struct dialer;
struct posting;
struct sync_asker;

/* What comes through a ring's mailbox. */
struct note {
	struct letter letter;
	/*
	 * On the ring's thread, or with `is_over` after all rings have ended:
	 * then only what the note holds is to be released.
	 */
	void (*deliver)(struct node_ring *ring, struct note *note,
			bool is_over);
};

/* One row a metric; the names are status-go's where the meaning is. */
/* clang-format off */
#define NODE_METRICS(X)                                                        \
	X(packets_in, "waku_messages_packets_total", NULL, "Messages packets received") \
	X(envelopes_in, "waku_envelopes_received_total", NULL, "Envelopes received in Messages packets") \
	X(envelopes_bytes, "waku_envelopes_received_bytes_total", NULL, "Bytes of these envelopes") \
	X(envelopes_new, "waku_envelopes_validated_total", NULL, "Envelopes accepted that were new") \
	X(envelopes_duplicate, "waku_envelopes_cached_total", "cache=\"hit\"", "Envelopes that were in the pool already") \
	X(rejected_clock, "waku_envelopes_rejected_total", "reason=\"clock\"", "Envelopes refused") \
	X(rejected_expired, "waku_envelopes_rejected_total", "reason=\"expired\"", "Envelopes refused") \
	X(rejected_size, "waku_envelopes_rejected_total", "reason=\"oversized\"", "Envelopes refused") \
	X(rejected_pow, "waku_envelopes_rejected_total", "reason=\"low_pow\"", "Envelopes refused") \
	X(malformed, "waku_malformed_packets_total", NULL, "Messages that did not decode") \
	X(relayed, "waku_envelopes_relayed_total", NULL, "Envelopes told to peers, once for each") \
	X(relayed_bytes, "waku_envelopes_relayed_bytes_total", NULL, "Bytes of these") \
	X(confirmed, "waku_batches_confirmed_total", NULL, "Messages packets confirmed") \
	X(rate_exceeded, "waku_rate_limits_exceeded_total", NULL, "Times a peer was made to wait") \
	X(archived, "mailserver_archived_envelopes_total", NULL, "Envelopes stored") \
	X(archive_failures, "mailserver_archived_envelopes_failures_total", NULL, "Batches that could not be stored") \
	X(archive_full, "mailserver_archive_queue_full_total", NULL, "Times the queues of the archive were full") \
	X(requests, "mailserver_requests_total", NULL, "History requests received") \
	X(requests_batched, "mailserver_requests_batched_total", NULL, "Of these, those that take batches") \
	X(request_denied, "mailserver_request_errors_total", "reason=\"denied\"", "History requests refused") \
	X(request_rate, "mailserver_request_errors_total", "reason=\"rate\"", "History requests refused") \
	X(request_invalid, "mailserver_request_errors_total", "reason=\"invalid\"", "History requests refused") \
	X(request_broken, "mailserver_request_errors_total", "reason=\"archive\"", "History requests refused") \
	X(request_unreadable, "mailserver_request_errors_total", "reason=\"unreadable\"", "History requests refused") \
	X(delivered, "mailserver_envelopes_total", NULL, "Envelopes handed back") \
	X(delivered_bytes, "mailserver_sent_envelopes_bytes_total", NULL, "Bytes of these") \
	X(sync_requests, "mailserver_sync_attempts_total", NULL, "Sync requests served") \
	X(sync_pages, "mailserver_sync_pages_total", NULL, "Pages asked of other mail servers and stored") \
	X(sync_stored, "mailserver_sync_envelopes_total", "result=\"stored\"", "Envelopes had from other mail servers") \
	X(sync_known, "mailserver_sync_envelopes_total", "result=\"known\"", "Envelopes had from other mail servers") \
	X(sync_refused, "mailserver_sync_envelopes_total", "result=\"refused\"", "Envelopes had from other mail servers") \
	X(sync_failures, "mailserver_sync_failures_total", NULL, "Times another mail server could not be synced from")
/* clang-format on */

struct node_metrics {
#define FIELD(name, text, labels, help) struct metric *name;
	NODE_METRICS(FIELD)
#undef FIELD
	struct metric *request_time;
	struct metric *commit_time;
	struct metric *peers;
};

/* What this node counts itself, since metrics are the process's. */
struct node_counts {
#define FIELD(name, text, labels, help) _Atomic uint64_t name;
	NODE_METRICS(FIELD)
#undef FIELD
	atomic_uint peers;
};

static inline void node_count(_Atomic uint64_t *count, struct metric *metric,
			      uint64_t n)
{
	if (n == 0)
		return;
	atomic_fetch_add_explicit(count, n, memory_order_relaxed);
	metric_add(metric, n);
}
/* Counts one thing in both. */
#define NODE_COUNT(node, field, n)                                             \
	node_count(&(node)->counts.field, (node)->metrics.field, (n))

enum stopping {
	STOPPING_NOT,
	STOPPING_DRAIN, /* nothing is read; what is under way comes home */
	STOPPING_CLOSE, /* Disconnect was sent to all */
};

struct node_ring {
	struct node *node;
	unsigned index;
	pthread_t thread;
	bool is_started; /* the thread */
	sem_t ready, go;
	int start_err;

	struct ring *ring;
	struct link_set *links;
	struct mailbox mailbox;
	/* Threads between a put and their wake: the ring must not go yet. */
	atomic_uint putting;

	struct session *sessions;
	struct session *greeted; /* opened in this round, to be greeted */
	uint32_t serial;
	struct envelopes *envelopes;
	struct admit *admit;
	struct dialer *dialer;

	/* Batches that the archive had no room for, oldest first. */
	struct posting *waiting, **waiting_end;
	/* Objects that are with the archive or the resolver. */
	unsigned out;
	unsigned retries; /* requests whose step found no room */
	uint64_t *scratch;
	size_t scratch_cap;

	uint64_t gossip_ms, second_ms;
	TAILQ_HEAD(, session) telling; /* see net/gossip */
	uint64_t turn_us;              /* the last of their turns began */
	size_t gossip_spent;           /* in this turn */
	size_t gossip_told;            /* since the last tick */
	enum stopping stopping;
	uint64_t stopping_ms;
};

struct node {
	struct node_config config;
	struct peers *peers;
	struct link_limits *limits; /* of the links of all rings */
	struct limits *rates;       /* of addresses and node ids */
	struct node_metrics metrics;
	struct node_counts counts;
	atomic_bool is_healthy;
	atomic_bool is_stopping;
	uint16_t port;
	const char *engine;
	struct resolver *resolver;
	struct sync_asker *asker; /* NULL: nobody is asked */
	unsigned rings_count;
	struct node_ring rings[];
};

/* Give a note to a ring; _always for answers to what was asked. */
int node_ring_put(struct node_ring *ring, struct note *note);
void node_ring_put_always(struct node_ring *ring, struct note *note);
/* So long from now, for threads that wait at a semaphore (sem_clockwait). */
struct timespec node_until(unsigned wait_ms);
uint64_t node_ring_now_ms(const struct node_ring *ring);
/* The session behind a handle that came through a mailbox; NULL: gone. */
struct session *node_ring_find(struct node_ring *ring, uint64_t handle);
/* Room for that many words of scratch; NULL: no memory. */
uint64_t *node_ring_scratch(struct node_ring *ring, size_t words);

#endif
