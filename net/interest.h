#ifndef NET_INTEREST_H
#define NET_INTEREST_H
/*
 * What a peer wants to be told: topics, a bloom filter, or everything, and
 * from which PoW on (protocol/whisper-waku.md §2, §7, §8).
 *
 * Thread: a ring's.
 */
#include <stdbool.h>

#include "core/topic.h"
#include "net/status.h"

struct topic_set;

struct interest {
	double pow_min;
	bool wants_all;           /* a full bloom and no topics */
	struct topic_set *topics; /* owned; not NULL: they decide alone */
	struct bloom bloom;
};

void interest_init(struct interest *interest);
void interest_release(struct interest *interest);
/*
 * Take over what a Status (`is_first`: its defaults count too) or a change
 * says. 0 or ERR_NOMEM.
 */
int interest_apply(struct interest *interest, const struct status *status,
		   bool is_first);
bool interest_wants(const struct interest *interest, struct topic topic);

#endif
