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
 * Start it beside the TCP port that is really bound; *out stays as it is when
 * the settings do not want it. A name in net.advertise is looked up, which may
 * take a while. `key` and `archive` are borrowed. 0, or an error with a
 * sentence in `why`.
 */
int server_discovery_start(const struct server_config *config,
			   const struct secp_key *key, struct archive *archive,
			   uint16_t tcp_port, struct discovery **out, char *why,
			   size_t why_size);

#endif
