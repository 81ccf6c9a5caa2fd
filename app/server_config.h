#ifndef APP_SERVER_CONFIG_H
#define APP_SERVER_CONFIG_H
/*
 * From the settings to what the parts of the server are started with. Values
 * that only these parts understand (addresses, enode URLs) are checked here,
 * and what is wrong is added to the errors of the settings.
 *
 * Thread: main.
 */
#include <stdbool.h>

#include "app/pay_config.h"
#include "core/enode.h"
#include "core/settings.h"
#include "net/disc_addr.h"
#include "net/forwarded.h"
#include "net/node.h"
#include "storage/archive.h"

#define SERVER_HOSTS_MAX 4096
#define SERVER_PATH_MAX  4096

struct server_config {
	const char *datadir;
	char archive_dir[SERVER_PATH_MAX];
	char nodekey[SERVER_PATH_MAX];
	const char *listen;
	char advertise[ENODE_HOST_MAX + 1];
	bool is_advertise_made_up; /* this machine's loopback, for want of any
				    */
	char client_id[P2P_CLIENT_MAX + 1];
	struct archive_config archive;
	struct node_config node; /* without key, archive, symmetric */
	struct enode *static_peers;
	bool has_discovery;
	uint16_t discovery_port; /* 0: as TCP */
	/* Of our record: server_discovery_look_up(). All zero: none. */
	uint8_t discovery_ip[DISC_ADDR_SIZE];
	struct enode *discovery_nodes;
	unsigned discovery_nodes_count;
	uint8_t (*sync_peers)[SECP_PUBLIC_SIZE];
	uint8_t (*sync_from)[SECP_PUBLIC_SIZE];
	const char *password; /* of sealed requests */
	struct pay_config pay;
	const char *http_public, *http_private; /* "": none */
	char admin_socket[SERVER_PATH_MAX];     /* "unix:PATH" */
	char admin_token[SERVER_PATH_MAX];
	char http_hosts[SERVER_HOSTS_MAX];
	struct ip_range trusted[FORWARDED_RANGES_MAX]; /* proxies */
	size_t trusted_count;
	bool is_unix_trusted;
	unsigned http_connections;
};

/* The settings own the texts. Look at settings_errors_count() afterwards;
 * server_config_release() is due in any case. */
void server_config_read(struct settings *s, struct server_config *out);
void server_config_release(struct server_config *config);

#endif
