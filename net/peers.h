#ifndef NET_PEERS_H
#define NET_PEERS_H
/*
 * Which node ids are connected, on whatever ring, so that none is twice. An
 * open-addressing table of atomics: neither waits nor locks.
 *
 * Thread: claim and release from any ring; new and free from one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peers;

struct peers *peers_new(size_t peers_max); /* NULL: no memory */
void peers_free(struct peers *peers);
/*
 * 0, ERR_EXISTS (connected already; or two claims met at the same moment, then
 * both may be told so) or ERR_FULL.
 */
int peers_claim(struct peers *peers, const uint8_t node[static 64]);
void peers_release(struct peers *peers, const uint8_t node[static 64]);
bool peers_has(const struct peers *peers, const uint8_t node[static 64]);

#endif
