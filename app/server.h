#ifndef APP_SERVER_H
#define APP_SERVER_H
/*
 * The whole server: archive, node and HTTP listeners, started and stopped in
 * the right order.
 *
 * Thread: main.
 */
#include "app/server_config.h"

#define SERVER_WHY_MAX 1280

struct server;

/*
 * Start everything; the ports are bound when this returns. `config` is
 * borrowed until server_stop(). 0, or an error with a sentence for a person in
 * `why` (SERVER_WHY_MAX bytes).
 */
int server_start(const struct server_config *config, struct server **out,
		 char *why);
/* Peers, requests, commits, files: within 5 s if the disk answers. NULL is
 * fine. */
void server_stop(struct server *server);
/* With the ports really bound. */
void server_enode(const struct server *server, char out[static ENODE_TEXT_MAX]);
/* The node record, "enr:…"; NULL without discovery. */
const char *server_record(const struct server *server);
/* Look after things, about once a second. */
void server_tick(struct server *server);

#endif
