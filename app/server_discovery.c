#include "app/server_discovery.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "core/log.h"
#include "net/disc_addr.h"

/* The first address of the family that is listened on. */
static bool look_up(const char *name, int family,
		    uint8_t out[static DISC_ADDR_SIZE])
{
	struct addrinfo hints = {.ai_family = family,
				 .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	struct disc4_endpoint endpoint;

	if (getaddrinfo(name, NULL, &hints, &found) != 0)
		return false;
	disc_addr_from_socket(found->ai_addr, &endpoint);
	memcpy(out, endpoint.ip, DISC_ADDR_SIZE);
	freeaddrinfo(found);
	return true;
}

/* A record without an address is one all the same: who is pinged sees it. */
void server_discovery_look_up(struct server_config *config)
{
	uint8_t *out = config->discovery_ip;

	if (!config->has_discovery)
		return;
	if (config->is_advertise_made_up)
		LOG_UNUSUAL("the node record names no address: set "
			    "net.advertise to the one outside");
	else if (!disc_addr_decode(config->advertise, out) &&
		 !look_up(config->advertise, config->node.listen.ss_family,
			  out))
		LOG_UNUSUAL("the node record names no address: net.advertise "
			    "is not found",
			    log_text("name", config->advertise));
}

int server_discovery_start(const struct server_config *config,
			   const struct secp_key *key, struct archive *archive,
			   uint16_t tcp_port, struct discovery **out, char *why,
			   size_t why_size)
{
	uint16_t port =
		config->discovery_port ? config->discovery_port : tcp_port;
	struct discovery_config discovery;

	if (!config->has_discovery)
		return 0;
	discovery_config_default(&discovery);
	discovery.key = key;
	discovery.archive = archive;
	discovery.listen = config->node.listen;
	discovery.listen_len = config->node.listen_len;
	/* The port lies at the same place in both families. */
	((struct sockaddr_in6 *)&discovery.listen)->sin6_port = htons(port);
	discovery.tcp_port = tcp_port;
	discovery.nodes = config->discovery_nodes;
	discovery.nodes_count = config->discovery_nodes_count;
	memcpy(discovery.ip, config->discovery_ip, sizeof(discovery.ip));
	return discovery_start(&discovery, out, why, why_size);
}
