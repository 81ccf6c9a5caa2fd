#include "net/disc4.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "core/rlp.h"
#include "net/enr.h"
#include "tests/support/vectors.h"

static struct secp_key key_of(json_t *file, const char *path)
{
	struct hex hex = vectors_hex(file, path);
	struct secp_key key;

	cr_assert_eq(secp_key_from_private(hex.bytes, &key), 0);
	hex_release(&hex);
	return key;
}

/* ---- the packets of EIP-8 ---- */

static void check_eip8(json_t *v)
{
	struct hex in = vectors_hex(v, "packet");
	struct hex signer = vectors_hex(v, "signer_public");
	uint8_t sender[SECP_PUBLIC_SIZE];
	struct disc4_packet packet;

	cr_assert_eq(disc4_decode(in.bytes, in.len, &packet), 0, "%s",
		     vectors_text(v, "name"));
	cr_assert_eq((uint64_t)packet.type, vectors_u64(v, "type"));
	cr_assert_eq(disc4_sender(in.bytes, in.len, sender), 0);
	cr_assert_arr_eq(sender, signer.bytes, sizeof(sender));
	cr_assert_eq(packet.expiration_s, 1136239445);
	/* Version 4 has the integer 1 there, version 555 a list. */
	if (packet.type == DISC4_PING)
		cr_assert_eq(packet.body.ping.has_enr_seq,
			     json_object_get(v, "fifth_element") == NULL);
	if (packet.type == DISC4_PONG)
		cr_assert_not(packet.body.ping.has_enr_seq);
	if (packet.type == DISC4_NEIGHBORS) {
		cr_assert_eq(packet.body.neighbors.count, 4);
		cr_assert_eq(packet.body.neighbors.nodes[0].endpoint.udp, 4444);
		cr_assert_eq(packet.body.neighbors.nodes[0].endpoint.tcp, 4445);
		cr_assert_eq(packet.body.neighbors.nodes[0].endpoint.ip[12],
			     99);
		cr_assert_eq(packet.body.neighbors.nodes[3].endpoint.ip[0],
			     0x20);
	}
	hex_release(&in);
	hex_release(&signer);
}

Test(disc4, the_packets_of_eip8_are_read)
{
	json_t *file = vectors_load("discovery.json");
	size_t i;
	json_t *v;

	json_array_foreach(vectors_get(file, "eip8_packets"), i, v)
		check_eip8(v);
	cr_assert_eq(i, 5);
	json_decref(file);
}

/* ---- our own form ---- */

/* Read, and written again with the key that signed it: the same bytes. */
static struct disc4_packet check_own(json_t *file, const char *name,
				     enum disc4_type type)
{
	struct secp_key key = key_of(file, "identities.server.private");
	json_t *v = vectors_get(vectors_get(file, "own_packets"), name);
	struct hex want = vectors_hex(v, "packet");
	struct hex hash = vectors_hex(v, "hash");
	uint8_t out[DISC4_SIZE_MAX], sender[SECP_PUBLIC_SIZE];
	struct disc4_packet packet;

	cr_assert_eq(disc4_decode(want.bytes, want.len, &packet), 0);
	cr_assert_eq(packet.type, type);
	cr_assert_arr_eq(want.bytes, hash.bytes, DISC4_HASH_SIZE);
	cr_assert_eq(disc4_sender(want.bytes, want.len, sender), 0);
	if (memcmp(sender, key.public, sizeof(sender)) != 0)
		key = key_of(file, "identities.client.private");
	cr_assert_arr_eq(sender, key.public, sizeof(sender));
	cr_assert_eq(disc4_encode(&packet, &key, out), want.len);
	cr_assert_arr_eq(out, want.bytes, want.len, "%s", name);
	hex_release(&want);
	hex_release(&hash);
	return packet;
}

Test(disc4, the_vectors_are_read_and_written_alike)
{
	json_t *file = vectors_load("discovery.json");
	uint64_t expiration = vectors_u64(file, "own_packets.expiration");
	struct disc4_packet p = check_own(file, "ping", DISC4_PING);

	cr_assert_eq(p.expiration_s, expiration);
	cr_assert_eq(p.body.ping.from.tcp, 30303);
	cr_assert_eq(p.body.ping.to.udp, 30303);
	cr_assert_eq(p.body.ping.to.tcp, 0);
	cr_assert(p.body.ping.has_enr_seq);
	cr_assert_eq(p.body.ping.enr_seq, 1);
	p = check_own(file, "pong", DISC4_PONG);
	cr_assert_eq(p.body.ping.hash[0], 0x98);
	p = check_own(file, "findnode", DISC4_FINDNODE);
	cr_assert_eq(p.body.find.target[0], 0xe6);
	p = check_own(file, "neighbors", DISC4_NEIGHBORS);
	cr_assert_eq(p.body.neighbors.count, 1);
	cr_assert_eq(p.body.neighbors.nodes[0].public[0], 0x6b);
	p = check_own(file, "enr_request", DISC4_ENR_REQUEST);
	cr_assert_eq(p.expiration_s, expiration);
	(void)check_own(file, "enr_response", DISC4_ENR_RESPONSE);
	json_decref(file);
}

Test(disc4, the_record_of_an_answer_is_the_one_of_the_vectors)
{
	json_t *file = vectors_load("discovery.json");
	struct hex in = vectors_hex(file, "own_packets.enr_response.packet");
	struct hex rlp = vectors_hex(file, "enr_server.rlp");
	struct disc4_packet packet;
	struct enr enr;

	cr_assert_eq(disc4_decode(in.bytes, in.len, &packet), 0);
	cr_assert_eq(packet.body.enr.record_len, rlp.len);
	cr_assert_arr_eq(packet.body.enr.record, rlp.bytes, rlp.len);
	cr_assert_eq(enr_decode(packet.body.enr.record,
				packet.body.enr.record_len, &enr),
		     0);
	hex_release(&in);
	hex_release(&rlp);
	json_decref(file);
}

Test(disc4, twelve_nodes_of_ipv6_fit_a_packet)
{
	struct disc4_packet packet = {.type = DISC4_NEIGHBORS,
				      .expiration_s = UINT64_MAX};
	uint8_t out[DISC4_SIZE_MAX];
	struct disc4_packet back;
	struct secp_key key;
	size_t len;

	secp_key_new(&key);
	packet.body.neighbors.count = DISC4_NODES_MAX;
	for (unsigned i = 0; i < DISC4_NODES_MAX; i++) {
		struct disc4_node *node = &packet.body.neighbors.nodes[i];

		memset(node, 0xff - (int)i, sizeof(*node));
	}
	len = disc4_encode(&packet, &key, out);
	cr_assert_leq(len, DISC4_SIZE_MAX);
	cr_assert_eq(disc4_decode(out, len, &back), 0);
	cr_assert_eq(back.body.neighbors.count, DISC4_NODES_MAX);
	cr_assert_arr_eq(&back.body.neighbors.nodes[11],
			 &packet.body.neighbors.nodes[11],
			 sizeof(back.body.neighbors.nodes[11]));
}

/* ---- bad ones ---- */

Test(disc4, no_byte_of_a_packet_may_change)
{
	json_t *file = vectors_load("discovery.json");
	struct hex in = vectors_hex(file, "own_packets.ping.packet");
	struct disc4_packet packet;

	for (size_t i = 0; i < in.len; i++) {
		in.bytes[i] ^= 1;
		cr_assert_eq(disc4_decode(in.bytes, in.len, &packet), ERR_AUTH);
		in.bytes[i] ^= 1;
		cr_assert_lt(disc4_decode(in.bytes, i, &packet), 0);
	}
	cr_assert_eq(disc4_decode(in.bytes, in.len, &packet), 0);
	hex_release(&in);
	json_decref(file);
}

/* Put the hash right, so that only what is behind it is wrong. */
static void rehash(uint8_t *in, size_t len)
{
	keccak256(in + DISC4_HASH_SIZE, len - DISC4_HASH_SIZE, in);
}

Test(disc4, a_signature_with_another_v_names_nobody)
{
	json_t *file = vectors_load("discovery.json");
	struct hex in = vectors_hex(file, "own_packets.ping.packet");
	uint8_t sender[SECP_PUBLIC_SIZE];
	struct disc4_packet packet;

	in.bytes[96] = 2;
	rehash(in.bytes, in.len);
	cr_assert_eq(disc4_decode(in.bytes, in.len, &packet), 0);
	cr_assert_eq(disc4_sender(in.bytes, in.len, sender), ERR_AUTH);
	memset(in.bytes + 32, 0, 64);
	in.bytes[96] = 0;
	rehash(in.bytes, in.len);
	cr_assert_eq(disc4_sender(in.bytes, in.len, sender), ERR_AUTH);
	hex_release(&in);
	json_decref(file);
}

static int decode_hex(const char *text, struct disc4_packet *out)
{
	struct hex hex = hex_from_text(text);
	int err = disc4_body_decode(hex.bytes, hex.len, out);

	hex_release(&hex);
	return err;
}

Test(disc4, odd_bodies_are_refused_or_let_pass)
{
	struct disc4_packet p;

	cr_assert_eq(disc4_body_decode(NULL, 0, &p), ERR_SYNTAX);
	cr_assert_eq(decode_hex("00c0", &p), ERR_UNSUPPORTED);
	cr_assert_eq(decode_hex("07c0", &p), ERR_UNSUPPORTED);
	cr_assert_eq(decode_hex("ffc0", &p), ERR_UNSUPPORTED);
	cr_assert_eq(decode_hex("01", &p), ERR_SYNTAX);
	cr_assert_eq(decode_hex("0180", &p), ERR_SYNTAX);
	cr_assert_eq(decode_hex("01c0", &p), ERR_SYNTAX);
	/* An ENRRequest: bare, with more in the list, with more behind it. */
	cr_assert_eq(decode_hex("05c101", &p), 0);
	cr_assert_eq(p.expiration_s, 1);
	cr_assert_eq(decode_hex("05c301c102", &p), 0);
	cr_assert_eq(decode_hex("05c101ffff", &p), 0);
	cr_assert_eq(decode_hex("05c100", &p), ERR_SYNTAX);
	cr_assert_eq(decode_hex("05c1c0", &p), ERR_SYNTAX);
	/* A Ping: addresses of no, four and five bytes; enr-seq or none. */
	cr_assert_eq(decode_hex("01cb04c3800101c3800102050680", &p), 0);
	cr_assert_eq(p.body.ping.to.tcp, 2);
	cr_assert_eq(p.expiration_s, 5);
	cr_assert(p.body.ping.has_enr_seq);
	cr_assert_eq(p.body.ping.enr_seq, 6);
	cr_assert_eq(decode_hex("01ce04c7847f0000010102c380010205", &p), 0);
	cr_assert_eq(p.body.ping.from.ip[10], 0xff);
	cr_assert_eq(p.body.ping.from.ip[12], 127);
	cr_assert_not(p.body.ping.has_enr_seq);
	cr_assert_eq(decode_hex("01cf04c8857f000001020102c380010205", &p), 0);
	cr_assert_eq(p.body.ping.from.ip[12], 0);
	/* A port beyond 65535, and an endpoint without one. */
	cr_assert_eq(decode_hex("01cd04c6808301000001c380010205", &p),
		     ERR_RANGE);
	cr_assert_eq(decode_hex("01c904c28001c380010205", &p), ERR_SYNTAX);
	/* A record that is no list. */
	cr_assert_eq(decode_hex("06c102", &p), ERR_SYNTAX);
}

Test(disc4, more_nodes_than_fit_a_packet_are_passed_over)
{
	uint8_t bytes[4096] = {DISC4_NEIGHBORS}, public[SECP_PUBLIC_SIZE] = {1};
	struct rlp_writer w = rlp_writer(bytes + 1, sizeof(bytes) - 1);
	struct disc4_packet packet;
	size_t len;

	rlp_put_list(&w);
	rlp_put_list(&w);
	for (unsigned i = 0; i < DISC4_NODES_MAX + 3; i++) {
		rlp_put_list(&w);
		rlp_put_string(&w, public, 4);
		rlp_put_u64(&w, 30303);
		rlp_put_u64(&w, i);
		rlp_put_string(&w, public, sizeof(public));
		rlp_put_list_end(&w);
	}
	rlp_put_list_end(&w);
	rlp_put_u64(&w, 9);
	rlp_put_list_end(&w);
	cr_assert_eq(rlp_put_end(&w, &len), 0);
	cr_assert_eq(disc4_body_decode(bytes, len + 1, &packet), 0);
	cr_assert_eq(packet.body.neighbors.count, DISC4_NODES_MAX);
	cr_assert_eq(packet.body.neighbors.nodes[11].endpoint.tcp, 11);
	cr_assert_eq(packet.expiration_s, 9);
}
