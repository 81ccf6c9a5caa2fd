#include "net/disc4.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"
#include "core/rlp.h"

#define SIGNATURE_AT DISC4_HASH_SIZE
#define TYPE_AT      (SIGNATURE_AT + SECP_SIGNATURE_SIZE)
#define VERSION      4

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* ---- reading ---- */

/* What is no address at all counts as none. */
static void read_ip(struct rlp_reader *r, uint8_t out[static 16])
{
	size_t len;
	const uint8_t *ip = rlp_string(r, &len);

	memset(out, 0, 16);
	if (len == 4) {
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + sizeof(mapped), ip, 4);
	} else if (len == 16) {
		memcpy(out, ip, 16);
	}
}

static void read_endpoint(struct rlp_reader *r, struct disc4_endpoint *out)
{
	read_ip(r, out->ip);
	out->udp = rlp_u16(r);
	out->tcp = rlp_u16(r);
}

/* The error of a list that has been entered is its parent's, too. */
static void leave(struct rlp_reader *parent, const struct rlp_reader *list)
{
	if (!parent->err)
		parent->err = list->err;
}

static void read_endpoint_list(struct rlp_reader *r, struct disc4_endpoint *out)
{
	struct rlp_reader list = rlp_list(r);

	read_endpoint(&list, out);
	leave(r, &list);
}

/* §3: a further element is enr-seq only if it is an integer. */
static void read_enr_seq(struct rlp_reader *r, struct disc4_packet *out)
{
	struct rlp_reader ahead = *r;
	uint64_t seq;

	if (!rlp_is_string(r))
		return;
	seq = rlp_u64(&ahead);
	out->body.ping.has_enr_seq = !ahead.err;
	out->body.ping.enr_seq = ahead.err ? 0 : seq;
}

static void read_ping(struct rlp_reader *r, struct disc4_packet *out)
{
	rlp_skip(r); /* the version, which is not checked */
	read_endpoint_list(r, &out->body.ping.from);
	read_endpoint_list(r, &out->body.ping.to);
	out->expiration_s = rlp_u64(r);
	read_enr_seq(r, out);
}

static void read_pong(struct rlp_reader *r, struct disc4_packet *out)
{
	read_endpoint_list(r, &out->body.ping.to);
	rlp_bytes(r, out->body.ping.hash, DISC4_HASH_SIZE);
	out->expiration_s = rlp_u64(r);
	read_enr_seq(r, out);
}

static void read_findnode(struct rlp_reader *r, struct disc4_packet *out)
{
	rlp_bytes(r, out->body.find.target, SECP_PUBLIC_SIZE);
	out->expiration_s = rlp_u64(r);
}

static void read_neighbors(struct rlp_reader *r, struct disc4_packet *out)
{
	struct rlp_reader nodes = rlp_list(r);
	unsigned count = 0;

	while (rlp_more(&nodes) && count < DISC4_NODES_MAX) {
		struct disc4_node *node = &out->body.neighbors.nodes[count++];
		struct rlp_reader list = rlp_list(&nodes);

		read_endpoint(&list, &node->endpoint);
		rlp_bytes(&list, node->public, SECP_PUBLIC_SIZE);
		leave(&nodes, &list);
	}
	leave(r, &nodes);
	out->body.neighbors.count = count;
	out->expiration_s = rlp_u64(r);
}

static void read_enr_response(struct rlp_reader *r, struct disc4_packet *out)
{
	rlp_bytes(r, out->body.enr.hash, DISC4_HASH_SIZE);
	if (!rlp_is_list(r) && !r->err)
		r->err = ERR_SYNTAX;
	out->body.enr.record = rlp_raw(r, &out->body.enr.record_len);
}

static void read_body(struct rlp_reader *r, struct disc4_packet *out)
{
	switch (out->type) {
	case DISC4_PING:
		read_ping(r, out);
		break;
	case DISC4_PONG:
		read_pong(r, out);
		break;
	case DISC4_FINDNODE:
		read_findnode(r, out);
		break;
	case DISC4_NEIGHBORS:
		read_neighbors(r, out);
		break;
	case DISC4_ENR_REQUEST:
		out->expiration_s = rlp_u64(r);
		break;
	case DISC4_ENR_RESPONSE:
		read_enr_response(r, out);
		break;
	}
}

int disc4_body_decode(const uint8_t *in, size_t len, struct disc4_packet *out)
{
	struct rlp_reader r, list;

	memset(out, 0, sizeof(*out));
	if (len == 0)
		return ERR_SYNTAX;
	if (in[0] < DISC4_PING || in[0] >= DISC4_TYPES_END)
		return ERR_UNSUPPORTED;
	out->type = (enum disc4_type)in[0];
	/* What follows the list, and what the list has more, is passed over. */
	r = rlp_reader(in + 1, len - 1);
	list = rlp_list(&r);
	read_body(&list, out);
	return list.err;
}

int disc4_decode(const uint8_t *in, size_t len, struct disc4_packet *out)
{
	uint8_t hash[DISC4_HASH_SIZE];

	if (len < DISC4_HEAD_SIZE || len > DISC4_SIZE_MAX)
		return ERR_RANGE;
	keccak256(in + SIGNATURE_AT, len - SIGNATURE_AT, hash);
	if (memcmp(hash, in, sizeof(hash)) != 0)
		return ERR_AUTH;
	return disc4_body_decode(in + TYPE_AT, len - TYPE_AT, out);
}

int disc4_sender(const uint8_t *in, size_t len,
		 uint8_t public[static SECP_PUBLIC_SIZE])
{
	const uint8_t *sig = in + SIGNATURE_AT;
	uint8_t digest[KECCAK_DIGEST];

	assert(len >= DISC4_HEAD_SIZE);
	if (sig[SECP_SIGNATURE_SIZE - 1] > 1)
		return ERR_AUTH;
	keccak256(in + TYPE_AT, len - TYPE_AT, digest);
	return secp_recover(digest, sig, public);
}

/* ---- writing ---- */

/* No address is written as 0.0.0.0: not every reader takes an empty one. */
static void put_ip(struct rlp_writer *w, const uint8_t ip[static 16])
{
	static const uint8_t none[16];

	if (memcmp(ip, mapped, sizeof(mapped)) == 0)
		rlp_put_string(w, ip + sizeof(mapped), 4);
	else
		rlp_put_string(w, ip, memcmp(ip, none, 16) == 0 ? 4 : 16);
}

static void put_endpoint(struct rlp_writer *w,
			 const struct disc4_endpoint *endpoint)
{
	put_ip(w, endpoint->ip);
	rlp_put_u64(w, endpoint->udp);
	rlp_put_u64(w, endpoint->tcp);
}

static void put_endpoint_list(struct rlp_writer *w,
			      const struct disc4_endpoint *endpoint)
{
	rlp_put_list(w);
	put_endpoint(w, endpoint);
	rlp_put_list_end(w);
}

/* Expiration and, if there is one, enr-seq. */
static void put_tail(struct rlp_writer *w, const struct disc4_packet *packet)
{
	rlp_put_u64(w, packet->expiration_s);
	if (packet->body.ping.has_enr_seq)
		rlp_put_u64(w, packet->body.ping.enr_seq);
}

static void put_neighbors(struct rlp_writer *w,
			  const struct disc4_packet *packet)
{
	assert(packet->body.neighbors.count <= DISC4_NODES_MAX);
	rlp_put_list(w);
	for (unsigned i = 0; i < packet->body.neighbors.count; i++) {
		const struct disc4_node *node =
			&packet->body.neighbors.nodes[i];

		rlp_put_list(w);
		put_endpoint(w, &node->endpoint);
		rlp_put_string(w, node->public, SECP_PUBLIC_SIZE);
		rlp_put_list_end(w);
	}
	rlp_put_list_end(w);
	rlp_put_u64(w, packet->expiration_s);
}

static void put_body(struct rlp_writer *w, const struct disc4_packet *packet)
{
	switch (packet->type) {
	case DISC4_PING:
		rlp_put_u64(w, VERSION);
		put_endpoint_list(w, &packet->body.ping.from);
		put_endpoint_list(w, &packet->body.ping.to);
		put_tail(w, packet);
		break;
	case DISC4_PONG:
		put_endpoint_list(w, &packet->body.ping.to);
		rlp_put_string(w, packet->body.ping.hash, DISC4_HASH_SIZE);
		put_tail(w, packet);
		break;
	case DISC4_FINDNODE:
		rlp_put_string(w, packet->body.find.target, SECP_PUBLIC_SIZE);
		rlp_put_u64(w, packet->expiration_s);
		break;
	case DISC4_NEIGHBORS:
		put_neighbors(w, packet);
		break;
	case DISC4_ENR_REQUEST:
		rlp_put_u64(w, packet->expiration_s);
		break;
	case DISC4_ENR_RESPONSE:
		rlp_put_string(w, packet->body.enr.hash, DISC4_HASH_SIZE);
		rlp_put_raw(w, packet->body.enr.record,
			    packet->body.enr.record_len);
		break;
	}
}

size_t disc4_encode(const struct disc4_packet *packet,
		    const struct secp_key *key,
		    uint8_t out[static DISC4_SIZE_MAX])
{
	struct rlp_writer w = rlp_writer(out + DISC4_HEAD_SIZE,
					 DISC4_SIZE_MAX - DISC4_HEAD_SIZE);
	uint8_t digest[KECCAK_DIGEST];
	size_t len;
	int err;

	rlp_put_list(&w);
	put_body(&w, packet);
	rlp_put_list_end(&w);
	err = rlp_put_end(&w, &len);
	assert(!err);
	(void)err;
	out[TYPE_AT] = (uint8_t)packet->type;
	keccak256(out + TYPE_AT, len + 1, digest);
	secp_sign(key, digest, out + SIGNATURE_AT);
	keccak256(out + SIGNATURE_AT, SECP_SIGNATURE_SIZE + 1 + len, out);
	return DISC4_HEAD_SIZE + len;
}
