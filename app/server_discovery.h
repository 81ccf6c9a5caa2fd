#ifndef APP_SERVER_DISCOVERY_H
#define APP_SERVER_DISCOVERY_H
/*
 * Discovery as the server's settings want it.
 *
 * Thread: main.
 */
#include "app/server_config.h"
#include "net/discovery.h"

/*
 * Find the address that the record names, if the settings want discovery. A
 * name server may let us wait for it: so before signals are blocked.
 */
void server_discovery_look_up(struct server_config *config);
/*
 * Start it beside the TCP port that is really bound; *out stays as it is when
 * the settings do not want it. `key` and `archive` are borrowed. 0, or an error
 * with a sentence in `why`.
 */
int server_discovery_start(const struct server_config *config,
			   const struct secp_key *key, struct archive *archive,
			   uint16_t tcp_port, struct discovery **out, char *why,
			   size_t why_size);

#endif
