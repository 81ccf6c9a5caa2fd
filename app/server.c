#include "app/server.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "app/dashboard.h"
#include "app/nodekey.h"
#include "app/pay_page.h"
#include "app/server_admin.h"
#include "app/server_discovery.h"
#include "app/server_http.h"
#include "app/server_payments.h"
#include "app/version.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/sealed.h"
#include "net/http.h"

struct server {
	const struct server_config *config;
	struct secp_key key;
	struct archive *archive;
	struct node *node;
	struct discovery *discovery; /* NULL: not wanted */
	struct http *http_public;
	struct http *http_private;
	struct http *http_admin; /* a unix socket */
	struct server_payments payments;
	struct server_admin admin;
	struct http_route admin_routes[SERVER_ADMIN_ROUTES + 1];
	struct server_http routes;
	uint64_t started_s, started_ms; /* wall clock, monotonic */
	bool was_healthy;
};

static int make_datadir(const char *dir, char *why)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	(void)snprintf(why, SERVER_WHY_MAX,
		       "%s: cannot make the data folder: %s; choose one with "
		       "--datadir",
		       dir, err_system(errno));
	return ERR_IO;
}

/* What to do about the commonest failures; else what the node says. */
static void explain(const struct server_config *config, int err, char *why)
{
	const char *listen = config->listen;

	if (err == ERR_EXISTS)
		(void)snprintf(why, SERVER_WHY_MAX,
			       "cannot listen on %s: the address is in use; "
			       "stop the other program or choose another "
			       "address with --listen",
			       listen);
	else if (err == ERR_DENIED)
		(void)snprintf(why, SERVER_WHY_MAX,
			       "cannot listen on %s: not allowed; ports below "
			       "1024 need the capability CAP_NET_BIND_SERVICE",
			       listen);
	else if (err == ERR_UNSUPPORTED)
		(void)snprintf(why, SERVER_WHY_MAX,
			       "io_uring is not to be had here (a container's "
			       "profile may forbid it); use --io auto or "
			       "--io epoll");
}

static int start_node(struct server *server, char *why)
{
	struct node_config config = server->config->node;
	int err;

	config.key = &server->key;
	config.archive = server->archive;
	config.has_symmetric = true;
	err = sealed_key_from_password(server->config->password,
				       config.symmetric);
	if (err) {
		(void)snprintf(why, SERVER_WHY_MAX, "mail.password: %s",
			       err_str(err));
		return err;
	}
	server_payments_config(&server->payments, &config);
	err = node_start(&config, &server->node, why, SERVER_WHY_MAX);
	explain(server->config, err, why);
	if (!err)
		server_payments_started(&server->payments, server->node);
	return err;
}

static int start_http(struct server *server, const char *listen,
		      const struct http_route *routes, bool is_public,
		      struct http **out, char *why)
{
	struct http_config config;

	if (!*listen)
		return 0;
	http_config_default(&config);
	config.listen = listen;
	config.routes = routes;
	config.hosts = server->config->http_hosts;
	config.connections_max = server->config->http_connections;
	if (is_public) {
		config.per_ip_max = 16;
		config.trusted = server->config->trusted;
		config.trusted_count = server->config->trusted_count;
		config.is_unix_trusted = server->config->is_unix_trusted;
	}
	return http_start(&config, out, why, SERVER_WHY_MAX);
}

static void make_routes(struct server *server)
{
	struct payments *payments = server->payments.payments;
	struct http_route routes[SERVER_HTTP_ROUTES_MAX];

	server_http_init(&server->routes, server->archive, payments);
	if (payments) {
		pay_http_routes(payments, routes);
		server_http_add(server->routes.public_routes, routes,
				PAY_HTTP_ROUTES);
		pay_page_routes(payments, routes);
		server_http_add(server->routes.public_routes, routes,
				PAY_PAGE_ROUTES);
	}
	server_admin_routes(&server->admin, true, routes);
	server_http_add(server->routes.private_routes, routes,
			SERVER_ADMIN_ROUTES);
	dashboard_routes(routes);
	server_http_add(server->routes.private_routes, routes,
			DASHBOARD_ROUTES);
	server_admin_routes(&server->admin, false, server->admin_routes);
}

/* ---- how it does, for the operator ---- */

static int disk_free(const char *dir, uint64_t *out)
{
	struct statvfs vfs;

	if (statvfs(dir, &vfs) != 0)
		return ERR_IO;
	*out = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

static void look_at_node(struct node *node, struct admin_server *out)
{
	struct node_stats stats;

	node_stats(node, &stats);
	out->peers = stats.peers;
	out->envelopes_in = stats.envelopes_in;
	out->envelopes_new = stats.envelopes_accepted;
	out->envelopes_duplicate = stats.envelopes_duplicate;
	out->envelopes_refused = stats.envelopes_refused;
	out->envelopes_out = stats.envelopes_relayed;
	out->requests = stats.requests;
	out->requests_denied = stats.requests_denied;
	out->requests_failed = stats.requests_failed;
	out->delivered = stats.envelopes_delivered;
	out->delivered_bytes = stats.bytes_delivered;
}

/* On a listener's thread. */
static void look(void *ctx, struct admin_server *out)
{
	struct server *server = ctx;
	const struct archive_config *archive = &server->config->archive;

	*out = (struct admin_server){
		.version = VERSION_TEXT,
		.commit = version_commit,
		.started_s = server->started_s,
		.up_ms = clock_mono_ms() - server->started_ms,
		.shards = archive->shards,
		.retention_s = archive->retention_s,
		.retention_bytes = archive->retention_bytes,
	};
	(void)disk_free(archive->dir, &out->disk_free_bytes);
	server_enode(server, out->enode);
	archive_health(server->archive, &out->archive);
	out->is_ready = server_http_ready(&server->routes, &out->archive,
					  out->readiness);
	look_at_node(server->node, out);
}

static int open_admin(struct server *server, char *why)
{
	server->admin.payments = server->payments.payments;
	server->admin.node = server->node;
	server->admin.look = look;
	server->admin.look_ctx = server;
	return server_admin_init(&server->admin, server->config->admin_token,
				 why, SERVER_WHY_MAX);
}

/* ---- starting ---- */

/* A path that is too long for a socket costs the socket, not the server. */
static int start_admin(struct server *server, char *why)
{
	int err = start_http(server, server->config->admin_socket,
			     server->admin_routes, false, &server->http_admin,
			     why);

	if (err != ERR_RANGE)
		return err;
	LOG_UNUSUAL("no admin socket: its path is too long; use the private "
		    "listener",
		    log_text("path", server->config->admin_socket));
	return 0;
}

/* A bound beyond what the disk has would never be met: it fills before. */
static void warn_of_disk(const struct server *server)
{
	const struct archive_config *config = &server->config->archive;
	struct archive_health health;
	uint64_t room;

	if (config->retention_bytes == 0 || disk_free(config->dir, &room))
		return;
	archive_health(server->archive, &health);
	room += health.bytes_on_disk;
	if (room < config->retention_bytes)
		LOG_UNUSUAL("storage.retention_bytes is more than the disk "
			    "has room for: it will fill up",
			    log_u64("retention_bytes", config->retention_bytes),
			    log_u64("room_bytes", room));
}

static void tell_set_aside(const char *from, const char *to)
{
	LOG_BROKEN("a slice is damaged and was moved; the rest is served",
		   log_text("slice", from), log_text("to", to));
}

static int open_archive(struct server *server, char *why)
{
	struct archive_config config = server->config->archive;

	config.is_sound = envelope_is_sound;
	config.set_aside = tell_set_aside;
	return archive_open(&config, &server->archive, why, SERVER_WHY_MAX);
}

static int start_parts(struct server *server, char *why)
{
	const struct server_config *config = server->config;
	bool is_new;
	int err;

	err = make_datadir(config->datadir, why);
	if (!err)
		err = nodekey_read_or_make(config->nodekey, &server->key,
					   &is_new, why);
	if (!err)
		err = open_archive(server, why);
	if (!err)
		warn_of_disk(server);
	if (!err)
		err = server_payments_open(&server->payments, &config->pay,
					   &server->key, why, SERVER_WHY_MAX);
	if (!err)
		err = start_node(server, why);
	if (!err)
		err = server_discovery_start(
			config, &server->key, server->archive,
			node_port(server->node), &server->discovery, why,
			SERVER_WHY_MAX);
	if (!err)
		err = open_admin(server, why);
	if (err)
		return err;
	make_routes(server);
	err = start_http(server, config->http_public,
			 server->routes.public_routes, true,
			 &server->http_public, why);
	if (!err)
		err = start_http(server, config->http_private,
				 server->routes.private_routes, false,
				 &server->http_private, why);
	if (!err)
		err = start_admin(server, why);
	return err;
}

int server_start(const struct server_config *config, struct server **out,
		 char *why)
{
	struct server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return ERR_NOMEM;
	server->config = config;
	server->was_healthy = true;
	server->started_s = clock_wall_s();
	server->started_ms = clock_mono_ms();
	(void)snprintf(why, SERVER_WHY_MAX, "cannot start");
	err = start_parts(server, why);
	if (err)
		goto out;
	LOG_INFO("serving", log_text("datadir", config->datadir),
		 log_u64("port", node_port(server->node)),
		 log_text("io", node_engine(server->node)),
		 log_u64("rings", config->node.rings),
		 log_u64("shards", config->archive.shards));
	*out = server;
	server = NULL;
out:
	server_stop(server);
	return err;
}

void server_stop(struct server *server)
{
	if (!server)
		return;
	server_http_stopping(&server->routes);
	server_payments_stop(&server->payments);
	server_admin_stop(&server->admin);
	node_stop(server->node);
	http_stop(server->http_public);
	http_stop(server->http_private);
	http_stop(server->http_admin);
	/* The status tells its port. */
	discovery_stop(server->discovery);
	server_payments_close(&server->payments);
	archive_close(server->archive);
	bytes_erase(&server->key, sizeof(server->key));
	free(server);
}

void server_enode(const struct server *server, char out[static ENODE_TEXT_MAX])
{
	struct enode enode = {0};

	memcpy(enode.public, server->key.public, sizeof(enode.public));
	(void)snprintf(enode.host, sizeof(enode.host), "%s",
		       server->config->advertise);
	enode.tcp = enode.udp = node_port(server->node);
	if (server->discovery)
		enode.udp = discovery_port(server->discovery);
	(void)enode_encode(&enode, out);
}

const char *server_record(const struct server *server)
{
	return server->discovery ? discovery_record(server->discovery) : NULL;
}

void server_tick(struct server *server)
{
	struct archive_health health;

	archive_health(server->archive, &health);
	if (health.is_healthy == server->was_healthy)
		return;
	server->was_healthy = health.is_healthy;
	if (health.is_healthy)
		LOG_INFO("archive takes envelopes again",
			 log_text("why", health.why));
	else
		LOG_BROKEN("archive takes no envelopes: nothing is confirmed",
			   log_text("why", health.why));
}
