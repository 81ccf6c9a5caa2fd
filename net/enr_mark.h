#ifndef NET_ENR_MARK_H
#define NET_ENR_MARK_H
/*
 * Our node record, kept with the archive: what others have seen stays valid
 * over restarts, and its number rises when what it says changes.
 *
 * Thread: any; waits for the disk.
 */
#include "net/enr.h"
#include "storage/archive.h"

/*
 * The record that says what `enr` does (its seq does not matter): the one that
 * is kept, or a new one, which is kept from then on. Returns 0 or ERR_IO.
 */
int enr_mark_renew(struct archive *archive, const struct enr *enr,
		   const struct secp_key *key, uint8_t out[static ENR_SIZE_MAX],
		   size_t *len, uint64_t *seq);

#endif
