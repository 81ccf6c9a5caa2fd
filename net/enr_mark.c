#include "net/enr_mark.h"

#include <string.h>

#include "core/clock.h"
#include "core/err.h"

static const char name[] = "enr";

/* What was kept, if it can be read and is ours; 0 or an error. */
static int load(struct archive *archive, const struct secp_key *key,
		uint8_t out[static ENR_SIZE_MAX], size_t *len, struct enr *enr)
{
	char text[ENR_TEXT_MAX];
	int err = archive_mark_load(archive, name, text, sizeof(text));

	if (!err)
		err = enr_text_decode(text, out, len);
	if (!err)
		err = enr_decode(out, *len, enr);
	if (!err && memcmp(enr->public, key->public, SECP_PUBLIC_SIZE) != 0)
		err = ERR_NOTFOUND;
	return err;
}

static bool says_the_same(const struct enr *a, const struct enr *b)
{
	return a->has_ip == b->has_ip && a->has_ip6 == b->has_ip6 &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 &&
	       memcmp(a->ip6, b->ip6, sizeof(a->ip6)) == 0 &&
	       a->tcp == b->tcp && a->udp == b->udp && a->tcp6 == b->tcp6 &&
	       a->udp6 == b->udp6;
}

int enr_mark_renew(struct archive *archive, const struct enr *enr,
		   const struct secp_key *key, uint8_t out[static ENR_SIZE_MAX],
		   size_t *len, uint64_t *seq)
{
	struct enr kept = {0}, fresh = *enr;
	char text[ENR_TEXT_MAX];
	int err = load(archive, key, out, len, &kept);

	*seq = kept.seq;
	if (!err && says_the_same(&kept, enr))
		return 0;
	/* The clock keeps it rising when an old archive was put back, or a new
	 * one made for the same key. */
	fresh.seq = clock_wall_ms();
	if (!err && fresh.seq <= kept.seq)
		fresh.seq = kept.seq + 1;
	*len = enr_encode(&fresh, key, out);
	*seq = fresh.seq;
	(void)enr_text_encode(out, *len, text);
	return archive_mark_save(archive, name, text);
}
