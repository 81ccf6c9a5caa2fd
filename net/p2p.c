#include "net/p2p.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"
#include "core/rlp.h"

const struct cap_info cap_infos[CAP_COUNT] = {
	[CAP_SHH] = {"shh", 6, 128},
	[CAP_WAKU] = {"waku", 1, 128},
	[CAP_WMPAY] = {"wmpay", 1, 8},
};

const char *p2p_reason_str(unsigned reason)
{
	switch ((enum p2p_reason)reason) {
	case P2P_REQUESTED:
		return "requested";
	case P2P_NETWORK_ERROR:
		return "network error";
	case P2P_BREACH:
		return "breach of protocol";
	case P2P_USELESS:
		return "useless peer";
	case P2P_TOO_MANY:
		return "too many peers";
	case P2P_ALREADY_CONNECTED:
		return "already connected";
	case P2P_INCOMPATIBLE:
		return "incompatible version";
	case P2P_INVALID_IDENTITY:
		return "invalid identity";
	case P2P_QUITTING:
		return "quitting";
	case P2P_UNEXPECTED_IDENTITY:
		return "unexpected identity";
	case P2P_SELF:
		return "connected to self";
	case P2P_READ_TIMEOUT:
		return "read timeout";
	case P2P_SUBPROTOCOL:
		return "subprotocol error";
	}
	return "unknown reason";
}

/* ---- Hello, §7 ---- */

static void read_client(struct rlp_reader *r, char out[P2P_CLIENT_MAX + 1])
{
	size_t len;
	const uint8_t *text = rlp_string(r, &len);

	if (len > P2P_CLIENT_MAX)
		len = P2P_CLIENT_MAX;
	for (size_t i = 0; i < len; i++) {
		bool is_plain = text[i] >= 0x20 && text[i] < 0x7f;

		out[i] = '?';
		if (is_plain)
			out[i] = (char)text[i];
	}
	out[len] = '\0';
}

static void note_cap(bool caps[CAP_COUNT], const uint8_t *name, size_t len,
		     uint64_t version)
{
	for (unsigned i = 0; i < CAP_COUNT; i++) {
		const struct cap_info *info = &cap_infos[i];

		if (strlen(info->name) == len && version == info->version &&
		    memcmp(info->name, name, len) == 0)
			caps[i] = true;
	}
}

/* Elements behind the two of a pair are for later versions. */
static int read_caps(struct rlp_reader *list, bool caps[CAP_COUNT])
{
	while (rlp_more(list)) {
		struct rlp_reader pair = rlp_list(list);
		size_t len;
		const uint8_t *name = rlp_string(&pair, &len);
		uint64_t version = rlp_u64(&pair);

		if (pair.err)
			return ERR_SYNTAX;
		note_cap(caps, name, len, version);
	}
	return list->err ? ERR_SYNTAX : 0;
}

static int read_public(struct rlp_reader *r,
		       uint8_t out[static SECP_PUBLIC_SIZE])
{
	static const uint8_t null[SECP_PUBLIC_SIZE];
	size_t len;
	const uint8_t *key = rlp_string(r, &len);

	if (r->err)
		return ERR_SYNTAX;
	if (len != SECP_PUBLIC_SIZE || memcmp(key, null, sizeof(null)) == 0)
		return ERR_AUTH;
	memcpy(out, key, SECP_PUBLIC_SIZE);
	return 0;
}

int p2p_hello_decode(const uint8_t *in, size_t len, struct p2p_hello *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);
	struct rlp_reader caps;
	uint64_t port;
	int err;

	if (len > P2P_HELLO_MAX)
		return ERR_SYNTAX;
	memset(out, 0, sizeof(*out));
	out->version = rlp_u64(&list);
	read_client(&list, out->client);
	caps = rlp_list(&list);
	if (list.err || read_caps(&caps, out->caps))
		return ERR_SYNTAX;
	port = rlp_u64(&list);
	out->port = port <= UINT16_MAX ? (uint16_t)port : 0;
	err = read_public(&list, out->public);
	while (rlp_more(&list))
		rlp_skip(&list);
	if (r.err || list.err)
		return ERR_SYNTAX;
	return err;
}

size_t p2p_hello_encode(const struct p2p_hello *hello,
			uint8_t out[static P2P_HELLO_MAX])
{
	struct rlp_writer w = rlp_writer(out, P2P_HELLO_MAX);
	size_t len;
	int err;

	rlp_put_list(&w);
	rlp_put_u64(&w, hello->version);
	rlp_put_string(&w, hello->client,
		       strnlen(hello->client, P2P_CLIENT_MAX));
	rlp_put_list(&w);
	for (unsigned i = 0; i < CAP_COUNT; i++) {
		const struct cap_info *info = &cap_infos[i];

		if (!hello->caps[i])
			continue;
		rlp_put_list(&w);
		rlp_put_string(&w, info->name, strlen(info->name));
		rlp_put_u64(&w, info->version);
		rlp_put_list_end(&w);
	}
	rlp_put_list_end(&w);
	rlp_put_u64(&w, hello->port);
	rlp_put_string(&w, hello->public, sizeof(hello->public));
	rlp_put_list_end(&w);
	err = rlp_put_end(&w, &len);
	assert(!err);
	(void)err;
	return len;
}

/* ---- Disconnect, §7 ---- */

static unsigned read_reason(struct rlp_reader *r)
{
	uint64_t reason = rlp_u64(r);

	return r->err || reason > UINT8_MAX ? P2P_REQUESTED : (unsigned)reason;
}

unsigned p2p_disconnect_decode(const uint8_t *in, size_t len)
{
	struct rlp_reader r = rlp_reader(in, len);

	/* A byte string of more than one byte holds the list. */
	if (len > 1 && rlp_is_string(&r)) {
		in = rlp_string(&r, &len);
		if (r.err)
			return P2P_REQUESTED;
		r = rlp_reader(in, len);
	}
	if (rlp_is_list(&r)) {
		struct rlp_reader list = rlp_list(&r);

		return read_reason(&list);
	}
	return read_reason(&r);
}

/* ---- message ids, §8 ---- */

/* The first of those not yet placed, by name as bytes. */
static unsigned next_by_name(const bool left[CAP_COUNT])
{
	unsigned best = CAP_COUNT;

	for (unsigned i = 0; i < CAP_COUNT; i++)
		if (left[i] &&
		    (best == CAP_COUNT ||
		     strcmp(cap_infos[i].name, cap_infos[best].name) < 0))
			best = i;
	return best;
}

unsigned cap_map_make(const bool ours[CAP_COUNT], const bool theirs[CAP_COUNT],
		      struct cap_map *out)
{
	bool left[CAP_COUNT];
	unsigned shared = 0;

	memset(out, 0, sizeof(*out));
	out->end = P2P_FIRST_ID;
	for (unsigned i = 0; i < CAP_COUNT; i++)
		left[i] = ours[i] && theirs[i];
	for (unsigned i; (i = next_by_name(left)) < CAP_COUNT; shared++) {
		out->offset[i] = out->end;
		out->end += cap_infos[i].length;
		left[i] = false;
	}
	return shared;
}

bool cap_map_find(const struct cap_map *map, uint64_t id, enum cap *cap,
		  unsigned *code)
{
	for (unsigned i = 0; i < CAP_COUNT; i++) {
		unsigned offset = map->offset[i];

		if (offset == 0 || id < offset ||
		    id - offset >= cap_infos[i].length)
			continue;
		*cap = (enum cap)i;
		*code = (unsigned)(id - offset);
		return true;
	}
	return false;
}

size_t p2p_id_encode(uint64_t id, uint8_t out[static 9])
{
	struct rlp_writer w = rlp_writer(out, 9);
	size_t len;
	int err;

	rlp_put_u64(&w, id);
	err = rlp_put_end(&w, &len);
	assert(!err);
	(void)err;
	return len;
}

int p2p_id_decode(const uint8_t *in, size_t len, uint64_t *id, size_t *used)
{
	struct rlp_reader r = rlp_reader(in, len);

	*id = rlp_u64(&r);
	if (r.err)
		return ERR_SYNTAX;
	*used = (size_t)(r.pos - in);
	return 0;
}
