#ifndef NET_DISCOVERY_H
#define NET_DISCOVERY_H
/*
 * Discovery v4 (protocol/discovery.md §3), to be found: Pings are answered,
 * those who have proved their address are told of nodes and given our record,
 * and our own surroundings are looked at now and then, so that others know us.
 * What is found is not dialled. One thread, one UDP socket, fixed memory (about
 * 1.1 MB); no ring takes part.
 *
 * Thread: discovery_start() and discovery_stop() from one; the rest from any.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/enode.h"
#include "core/secp.h"
#include "net/enr.h"
#include "storage/archive.h"

struct discovery;

struct discovery_config {
	const struct secp_key *key; /* borrowed while it runs */
	struct archive *archive;    /* keeps our record; used at start alone */
	struct sockaddr_storage listen; /* port 0: a free one */
	socklen_t listen_len;
	uint16_t tcp_port;
	/* What we say of ourselves, IPv4 mapped; all zero: nothing. */
	uint8_t ip[16];
	/* Nodes to begin with, hosts in digits. */
	const struct enode *nodes; /* borrowed */
	unsigned nodes_count;
	unsigned walk_ms;  /* from one look at our surroundings to the next */
	unsigned check_ms; /* from one node to the next, whether it lives */
};

/* All but key, archive, listen and tcp_port. */
void discovery_config_default(struct discovery_config *config);

/*
 * Start: the port is bound when this returns. `why` gets one sentence for a
 * person on failure. 0, ERR_NOMEM, ERR_EXISTS (port in use), ERR_DENIED or
 * ERR_IO.
 */
int discovery_start(const struct discovery_config *config,
		    struct discovery **out, char *why, size_t why_size);
/* Within a few milliseconds. NULL is fine. */
void discovery_stop(struct discovery *discovery);

uint16_t discovery_port(const struct discovery *discovery);
/* Our record, "enr:…". */
const char *discovery_record(const struct discovery *discovery);
/* Nodes that are known to be alive. */
unsigned discovery_nodes(const struct discovery *discovery);

#endif
