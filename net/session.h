#ifndef NET_SESSION_H
#define NET_SESSION_H
/*
 * What we know of a connected peer: the Status of each capability, what it
 * wants to be told, how much of the pool it has been told, its requests.
 *
 * Thread: a ring's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "net/interest.h"
#include "net/limits.h"
#include "net/link.h"

struct node_ring;
struct request;
struct dialed;
struct sync_ask;

/* Why a link is not read from; bits. */
enum session_pause {
	PAUSE_ARCHIVE = 1u << 0, /* the archive's queues are full */
	PAUSE_RATE = 1u << 1,    /* the peer is above its rate */
};

struct session_cap {
	bool is_shared;
	bool has_status;
	bool is_light;
	bool confirms;
	struct status_limits packets, bytes; /* what the peer told */
	struct interest interest;
	/* What was wanted when the peer was told last, if it has changed. */
	struct interest *before;
};

struct session {
	struct session *next, **prev; /* of the ring */
	struct session *next_greeted; /* of those not yet greeted */
	struct node_ring *ring;
	struct link *link;
	uint64_t handle;
	uint32_t serial; /* never 0 */
	bool is_open;    /* Hello agreed, id claimed */
	uint8_t caps_count;
	struct session_cap caps[2]; /* CAP_SHH, CAP_WAKU */
	uint64_t opened_ms;
	uint64_t status_ms; /* of the first Status; 0: none yet */

	/* Gossip: see net/gossip. */
	uint64_t cursor;
	TAILQ_ENTRY(session) telling; /* stands in line to be told */
	bool is_in_line;
	bool has_more; /* and comes to stand in line when its link is empty */
	uint64_t tell_again_ms;
	/* After a change of interest: what lies behind the cursor. */
	bool wants_rescan;
	uint64_t rescan_at, rescan_end; /* going on; end 0: it is not */
	uint64_t rescan_ms;             /* none is begun before this */
	struct bucket rescans;
	uint64_t *known;
	uint32_t known_count, known_cap;

	/* Requests: see net/request. */
	struct request *requests, **requests_end;
	unsigned requests_count;

	unsigned paused; /* enum session_pause */
	uint64_t rate_until_ms;
	unsigned bad_envelopes;
	unsigned bad_requests;
	struct bucket envelopes, bytes;
	struct dialed *dialed; /* we keep this peer */
	struct sync_ask *ask;  /* we copy its archive */
};

/* NULL: no memory. Stands in the ring's list from here on. */
struct session *session_new(struct node_ring *ring, struct dialed *dialed);
void session_free(struct session *session);

/* After Hello. */
void session_opened(struct session *session, struct link *link);
/* Our Status on each capability. */
void session_greet(struct session *session);
/* Codes 0, 2, 3, 20, 22; ends the link when they are malformed. */
void session_told(struct session *session, enum cap cap, unsigned code,
		  const uint8_t *payload, size_t len);
/* No Status came in time. */
void session_check_status(struct session *session, uint64_t now_ms);
/* All that is wanted now has been told. */
void session_forget_before(struct session *session);
bool session_has_status(const struct session *session);
/* The capability on which this peer is told about envelopes. */
enum cap session_cap(const struct session *session);

/* A breach of a capability's rules: Disconnect 0x10. */
void session_breach(struct session *session, const char *what);
/* Above a rate: it is not read from for so long; 0: nothing happens. */
void session_slow_down(struct session *session, uint64_t wait_ms);
/* The buckets of its address. */
struct limits_entry *session_address(const struct session *session);
/* A message of so many bytes came. */
void session_charge_bytes(struct session *session, size_t size);
void session_pause(struct session *session, enum session_pause why,
		   bool is_paused);

#endif
