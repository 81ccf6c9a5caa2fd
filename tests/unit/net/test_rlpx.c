#include "net/rlpx.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/aes.h"
#include "core/bytes.h"
#include "core/ecies.h"
#include "core/err.h"
#include "core/rlp.h"
#include "tests/support/vectors.h"

static struct secp_key key_of(json_t *v, const char *path)
{
	struct hex private = vectors_hex(v, path);
	struct secp_key key;

	cr_assert_eq(secp_key_from_private(private.bytes, &key), 0);
	hex_release(&private);
	return key;
}

/* One side of a handshake with what it needs to be fed. */
struct side {
	struct secp_key key;
	struct rlpx_handshake *hs;
	struct rlpx_streams streams;
	uint8_t remote[SECP_PUBLIC_SIZE];
	uint8_t out[RLPX_PACKET_MAX];
	size_t out_len;
	size_t used;
	int err;
};

static int feed(struct side *s, const uint8_t *in, size_t len)
{
	s->err = rlpx_handshake_feed(s->hs, in, len, &s->used, s->out,
				     &s->out_len, &s->streams, s->remote);
	return s->err;
}

static void side_release(struct side *s)
{
	rlpx_handshake_free(s->hs);
	rlpx_streams_release(&s->streams);
	memset(s, 0, sizeof(*s));
}

static void fix(struct side *s, json_t *v, const char *key, const char *nonce)
{
	struct secp_key ephemeral = key_of(v, key);
	struct hex n = vectors_hex(v, nonce);

	rlpx_handshake_fix(s->hs, &ephemeral, n.bytes);
	hex_release(&n);
}

/* The published initiator, having sent an auth of its own making. */
static void start_initiator(struct side *s, json_t *v)
{
	struct hex remote = vectors_hex(v, "recipient.static_public");

	memset(s, 0, sizeof(*s));
	s->key = key_of(v, "initiator.static_private");
	s->hs = rlpx_handshake_new(&s->key, remote.bytes);
	fix(s, v, "initiator.ephemeral_private", "initiator.nonce");
	cr_assert_eq(rlpx_handshake_auth(s->hs, s->out, &s->out_len), 0);
	hex_release(&remote);
}

static void start_recipient(struct side *s, json_t *v)
{
	memset(s, 0, sizeof(*s));
	s->key = key_of(v, "recipient.static_private");
	s->hs = rlpx_handshake_new(&s->key, NULL);
	fix(s, v, "recipient.ephemeral_private", "recipient.nonce");
}

static int feed_vector(struct side *s, json_t *v, const char *path)
{
	struct hex in = vectors_hex(v, path);
	int err = feed(s, in.bytes, in.len);

	hex_release(&in);
	return err;
}

static void assert_digest(const struct keccak *mac, json_t *v, const char *path)
{
	struct hex want = vectors_hex(v, path);
	uint8_t digest[KECCAK_DIGEST];

	keccak_peek(mac, digest);
	cr_assert_arr_eq(digest, want.bytes, want.len);
	hex_release(&want);
}

#define SESSION "session_auth2_ack2."
#define TO_R    SESSION "initiator_egress_equals_recipient_ingress."
#define TO_I    SESSION "initiator_ingress_equals_recipient_egress."

Test(handshake, the_recipient_takes_the_published_auths)
{
	static const char *const packets[] = {"packets.auth2.packet",
					      "packets.auth3.packet"};
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	struct hex want = vectors_hex(v, "initiator.static_public");
	struct side s;

	for (int i = 0; i < 2; i++) {
		start_recipient(&s, v);
		cr_assert_eq(feed_vector(&s, v, packets[i]), 0);
		cr_assert_arr_eq(s.remote, want.bytes, want.len);
		cr_assert_geq(s.out_len, 2 + RLPX_ACK_SIZE_MIN + 100);
		cr_assert_leq(s.out_len, 2 + RLPX_ACK_SIZE_MIN + 299);
		if (i == 0) {
			assert_digest(&s.streams.ingress.mac, v,
				      TO_R "digest_of_initial_state");
			keccak_absorb(&s.streams.ingress.mac, "foo", 3);
			assert_digest(&s.streams.ingress.mac, v,
				      TO_R "digest_after_absorbing_foo");
		}
		side_release(&s);
	}
	hex_release(&want);
	json_decref(v);
}

Test(handshake, the_initiator_takes_the_published_acks)
{
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	struct side s;

	start_initiator(&s, v);
	cr_assert_eq(feed_vector(&s, v, "packets.ack2.packet"), 0);
	cr_assert_eq(s.out_len, 0);
	assert_digest(&s.streams.ingress.mac, v,
		      TO_I "digest_of_initial_state");
	side_release(&s);

	start_initiator(&s, v);
	cr_assert_eq(feed_vector(&s, v, "packets.ack3.packet"), 0);
	side_release(&s);
	json_decref(v);
}

Test(handshake, the_old_format_is_not_taken)
{
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	struct side s;

	start_recipient(&s, v);
	cr_assert_lt(feed_vector(&s, v, "packets.auth1.packet"), 0);
	side_release(&s);
	start_initiator(&s, v);
	cr_assert_lt(feed_vector(&s, v, "packets.ack1.packet"), 0);
	side_release(&s);
	json_decref(v);
}

/* Seal on one side, open on the other, and compare. */
static void assert_flows(struct rlpx_stream *from, struct rlpx_stream *to,
			 size_t n)
{
	uint8_t *frame = calloc(1, RLPX_HEADER_SIZE + rlpx_body_size(n));
	struct rlpx_seal_job seal = {.stream = from, .frame = frame, .n = n};
	struct rlpx_header_job header = {.stream = to, .header = frame};
	struct rlpx_body_job body = {.stream = to,
				     .body = frame + RLPX_HEADER_SIZE};

	for (size_t i = 0; i < n; i++)
		frame[RLPX_HEADER_SIZE + i] = (uint8_t)(i * 7);
	rlpx_seal_many(&seal, 1);
	rlpx_open_headers(&header, 1);
	cr_assert(header.err == 0 && header.n == n);
	body.n = n;
	rlpx_open_bodies(&body, 1);
	cr_assert_eq(body.err, 0);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(body.body[i], (uint8_t)(i * 7));
	free(frame);
}

Test(handshake, two_sides_meet_byte_by_byte)
{
	struct side i = {0}, r = {0};
	size_t at;

	secp_key_new(&i.key);
	secp_key_new(&r.key);
	i.hs = rlpx_handshake_new(&i.key, r.key.public);
	r.hs = rlpx_handshake_new(&r.key, NULL);
	cr_assert_eq(rlpx_handshake_auth(i.hs, i.out, &i.out_len), 0);
	for (at = 0; at + 1 < i.out_len; at++) {
		cr_assert_eq(feed(&r, i.out + at, 1), ERR_AGAIN);
		cr_assert_eq(r.used, 1);
	}
	cr_assert_eq(feed(&r, i.out + at, 1), 0);
	cr_assert_arr_eq(r.remote, i.key.public, SECP_PUBLIC_SIZE);
	/* Bytes behind the ack are the first frame's and stay untouched. */
	cr_assert_eq(feed(&i, r.out, r.out_len + 5), 0);
	cr_assert_eq(i.used, r.out_len);
	cr_assert_arr_eq(i.remote, r.key.public, SECP_PUBLIC_SIZE);
	for (size_t n = 1; n < 300; n += 13) {
		assert_flows(&i.streams.egress, &r.streams.ingress, n);
		assert_flows(&r.streams.egress, &i.streams.ingress, n);
	}
	side_release(&i);
	side_release(&r);
}

Test(handshake, sizes_outside_the_limits_are_refused_at_two_bytes)
{
	static const uint16_t auth[] = {0, 281, 2049, 0x04ca, 65535};
	static const uint16_t ack[] = {0, 214, 2049, 65535};
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	uint8_t size[2];
	struct side s;

	for (size_t i = 0; i < 5; i++) {
		start_recipient(&s, v);
		be16_store(size, auth[i]);
		if (auth[i] == 0x04ca)
			cr_assert_eq(feed(&s, size, 2), ERR_AGAIN);
		else
			cr_assert_eq(feed(&s, size, 2), ERR_PROTOCOL);
		side_release(&s);
	}
	for (size_t i = 0; i < 4; i++) {
		start_initiator(&s, v);
		be16_store(size, ack[i]);
		cr_assert_eq(feed(&s, size, 2), ERR_PROTOCOL);
		side_release(&s);
	}
	json_decref(v);
}

Test(handshake, every_changed_byte_of_auth_is_noticed)
{
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	struct hex in = vectors_hex(v, "packets.auth2.packet");
	struct side s;

	for (size_t at = 0; at < in.len; at += at < 80 ? 1 : 37) {
		start_recipient(&s, v);
		in.bytes[at] ^= 0x10;
		cr_assert_neq(feed(&s, in.bytes, in.len), 0, "byte %zu", at);
		cr_assert_eq(s.out_len, 0);
		/* It stays refused; and the honest one passes elsewhere. */
		in.bytes[at] ^= 0x10;
		if (s.err != ERR_AGAIN)
			cr_assert_eq(feed(&s, in.bytes, in.len), ERR_PROTOCOL);
		side_release(&s);
	}
	start_recipient(&s, v);
	cr_assert_eq(feed(&s, in.bytes, in.len), 0);
	side_release(&s);
	hex_release(&in);
	json_decref(v);
}

Test(handshake, an_initiator_takes_nothing_before_its_auth)
{
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	struct secp_key key;
	struct side s = {0};

	secp_key_new(&key);
	s.key = key;
	s.hs = rlpx_handshake_new(&s.key, key.public);
	cr_assert_eq(feed_vector(&s, v, "packets.ack2.packet"), ERR_PROTOCOL);
	side_release(&s);
	json_decref(v);
}

/* An auth or ack of any plaintext, rightly sealed for `to`. */
static size_t seal_plain(const uint8_t *to, const uint8_t *plain, size_t len,
			 uint8_t *out)
{
	be16_store(out, (uint16_t)(len + ECIES_OVERHEAD));
	cr_assert_eq(ecies_seal(to, plain, len, out, 2, out + 2), 0);
	return 2 + len + ECIES_OVERHEAD;
}

/* The parts of an auth that a test may get wrong. */
struct auth {
	uint8_t sig[80];
	uint8_t public[80];
	uint8_t nonce[80];
	size_t sig_len, public_len, nonce_len;
	bool is_string;
};

static void auth_make(struct auth *a, const struct secp_key *from,
		      const uint8_t *to)
{
	struct secp_key ephemeral;
	uint8_t digest[32];

	memset(a, 0, sizeof(*a));
	a->sig_len = SECP_SIGNATURE_SIZE;
	a->public_len = SECP_PUBLIC_SIZE;
	a->nonce_len = 32;
	bytes_random(a->nonce, 32);
	memcpy(a->public, from->public, SECP_PUBLIC_SIZE);
	secp_key_new(&ephemeral);
	cr_assert_eq(secp_ecdh(from->private, to, digest), 0);
	for (int i = 0; i < 32; i++)
		digest[i] ^= a->nonce[i];
	secp_sign(&ephemeral, digest, a->sig);
}

static int auth_err(const struct auth *a, const struct secp_key *to)
{
	uint8_t plain[600] = {0}, packet[1000];
	struct rlp_writer w = rlp_writer(plain, sizeof(plain));
	struct side s = {.key = *to};
	size_t len;
	int err;

	rlp_put_list(&w);
	rlp_put_string(&w, a->sig, a->sig_len);
	rlp_put_string(&w, a->public, a->public_len);
	rlp_put_string(&w, a->nonce, a->nonce_len);
	rlp_put_list_end(&w);
	if (a->is_string)
		plain[0] = 0xb8; /* the list's header, said to be a string's */
	s.hs = rlpx_handshake_new(&s.key, NULL);
	len = seal_plain(to->public, plain, 300, packet);
	err = feed(&s, packet, len);
	side_release(&s);
	return err;
}

Test(handshake, a_malformed_auth_is_refused)
{
	struct secp_key from, to;
	struct auth good, bad;

	secp_key_new(&from);
	secp_key_new(&to);
	auth_make(&good, &from, to.public);
	cr_assert_eq(auth_err(&good, &to), 0);

	bad = good;
	bad.sig_len = 64;
	cr_assert_lt(auth_err(&bad, &to), 0);
	bad = good;
	bad.public_len = 65;
	cr_assert_lt(auth_err(&bad, &to), 0);
	bad = good;
	bad.nonce_len = 31;
	cr_assert_lt(auth_err(&bad, &to), 0);
	bad = good;
	bad.is_string = true;
	cr_assert_lt(auth_err(&bad, &to), 0);
	bad = good;
	bad.sig[64] = 4; /* v */
	cr_assert_lt(auth_err(&bad, &to), 0);
	bad = good;
	memset(bad.sig, 0xff, 32); /* r beyond the order */
	cr_assert_lt(auth_err(&bad, &to), 0);
	bad = good;
	memset(bad.public, 0, sizeof(bad.public)); /* infinity */
	cr_assert_lt(auth_err(&bad, &to), 0);
	bad = good;
	bad.public[63] ^= 1; /* off the curve */
	cr_assert_lt(auth_err(&bad, &to), 0);
}

Test(handshake, a_plaintext_too_short_for_ecies_is_refused)
{
	struct secp_key to;
	struct side s = {0};
	uint8_t packet[2 + 112] = {0x00, 112, 0x04};

	secp_key_new(&to);
	s.key = to;
	s.hs = rlpx_handshake_new(&s.key, NULL);
	cr_assert_eq(feed(&s, packet, sizeof(packet)), ERR_PROTOCOL);
	side_release(&s);
}

Test(handshake, an_ack_with_a_key_off_the_curve_is_refused)
{
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	uint8_t plain[300] = {0}, packet[600];
	struct rlp_writer w = rlp_writer(plain, sizeof(plain));
	uint8_t public[SECP_PUBLIC_SIZE], nonce[32] = {1};
	struct side s;
	size_t len;

	start_initiator(&s, v);
	memset(public, 5, sizeof(public));
	rlp_put_list(&w);
	rlp_put_string(&w, public, sizeof(public));
	rlp_put_string(&w, nonce, sizeof(nonce));
	rlp_put_u64(&w, 4);
	rlp_put_list_end(&w);
	len = seal_plain(s.key.public, plain, sizeof(plain), packet);
	cr_assert_eq(feed(&s, packet, len), ERR_PROTOCOL);
	side_release(&s);
	json_decref(v);
}

/* ---- secrets and frames of the old vectors ---- */

static struct rlpx_streams legacy_streams(json_t *v, bool is_initiator)
{
	struct hex secret = vectors_hex(v, "ecdhe_shared_secret");
	struct hex i_nonce = vectors_hex(v, "initiator_nonce");
	struct hex r_nonce = vectors_hex(v, "receiver_nonce");
	struct hex auth = vectors_hex(v, "auth_ciphertext");
	struct hex ack = vectors_hex(v, "authresp_ciphertext");
	struct rlpx_agreement agreed = {.secret = secret.bytes,
					.initiator_nonce = i_nonce.bytes,
					.recipient_nonce = r_nonce.bytes,
					.auth = auth.bytes,
					.auth_len = auth.len,
					.ack = ack.bytes,
					.ack_len = ack.len};
	struct rlpx_streams streams;

	cr_assert_eq(rlpx_streams_init(&streams, &agreed, is_initiator), 0);
	hex_release(&secret);
	hex_release(&i_nonce);
	hex_release(&r_nonce);
	hex_release(&auth);
	hex_release(&ack);
	return streams;
}

/* Open `wire` and compare with `plain`; then seal `plain` and compare. */
static void assert_frame(struct rlpx_stream *in, struct rlpx_stream *out,
			 const struct hex *plain, size_t n,
			 const struct hex *wire)
{
	uint8_t *copy = malloc(wire->len);
	struct rlpx_header_job header = {.stream = in, .header = copy};
	struct rlpx_body_job body = {
		.stream = in, .body = copy + RLPX_HEADER_SIZE, .n = n};
	struct rlpx_seal_job seal = {.stream = out, .frame = copy, .n = n};

	cr_assert_eq(RLPX_HEADER_SIZE + rlpx_body_size(n), wire->len);
	memcpy(copy, wire->bytes, wire->len);
	rlpx_open_headers(&header, 1);
	cr_assert_eq(header.err, 0);
	cr_assert_eq(header.n, n);
	rlpx_open_bodies(&body, 1);
	cr_assert_eq(body.err, 0);
	cr_assert_arr_eq(body.body, plain->bytes, n);

	memset(copy, 0xee, wire->len);
	memcpy(copy + RLPX_HEADER_SIZE, plain->bytes, n);
	rlpx_seal_many(&seal, 1);
	cr_assert_arr_eq(copy, wire->bytes, wire->len);
	free(copy);
}

static void assert_legacy_hello(json_t *v, struct rlpx_stream *in,
				struct rlpx_stream *out, const char *wire_path,
				const char *plain_path)
{
	struct hex wire = vectors_hex(v, wire_path);
	struct hex plain = vectors_hex(v, plain_path);

	assert_frame(in, out, &plain, plain.len, &wire);
	hex_release(&wire);
	hex_release(&plain);
}

Test(secrets, the_old_published_session)
{
	json_t *v = vectors_load("rlpx-handshake-legacy.json");
	struct rlpx_streams i = legacy_streams(v, true);
	struct rlpx_streams r = legacy_streams(v, false);

	assert_digest(&i.egress.mac, v, "initial_egress_MAC");
	assert_digest(&i.ingress.mac, v, "initial_ingress_MAC");
	assert_digest(&r.ingress.mac, v, "initial_egress_MAC");
	assert_digest(&r.egress.mac, v, "initial_ingress_MAC");
	assert_legacy_hello(v, &r.ingress, &i.egress, "initiator_hello_packet",
			    "decrypted.initiator_hello.frame_data");
	assert_legacy_hello(v, &i.ingress, &r.egress, "receiver_hello_packet",
			    "decrypted.receiver_hello.frame_data");
	rlpx_streams_release(&i);
	rlpx_streams_release(&r);
	json_decref(v);
}

/* ---- the published frames ---- */

/* Both ends of the session of auth2 and ack2. */
static void published_streams(struct rlpx_streams *i, struct rlpx_streams *r)
{
	json_t *v = vectors_load("rlpx-handshake-eip8.json");
	struct hex secret = vectors_hex(v, SESSION "ephemeral_key");
	struct hex i_nonce = vectors_hex(v, "initiator.nonce");
	struct hex r_nonce = vectors_hex(v, "recipient.nonce");
	struct hex auth = vectors_hex(v, "packets.auth2.packet");
	struct hex ack = vectors_hex(v, "packets.ack2.packet");
	struct rlpx_agreement agreed = {.secret = secret.bytes,
					.initiator_nonce = i_nonce.bytes,
					.recipient_nonce = r_nonce.bytes,
					.auth = auth.bytes,
					.auth_len = auth.len,
					.ack = ack.bytes,
					.ack_len = ack.len};

	cr_assert_eq(rlpx_streams_init(i, &agreed, true), 0);
	cr_assert_eq(rlpx_streams_init(r, &agreed, false), 0);
	hex_release(&secret);
	hex_release(&i_nonce);
	hex_release(&r_nonce);
	hex_release(&auth);
	hex_release(&ack);
	json_decref(v);
}

static size_t header_n(json_t *frame)
{
	struct hex header = vectors_hex(frame, "header_plain");
	size_t n = (size_t)header.bytes[0] << 16 |
		   (size_t)header.bytes[1] << 8 | header.bytes[2];

	hex_release(&header);
	return n;
}

Test(frames, the_published_ones_both_ways)
{
	json_t *v = vectors_load("rlpx-frames.json");
	struct rlpx_streams i, r;
	json_t *frame;
	size_t k;

	published_streams(&i, &r);
	json_array_foreach(vectors_get(v, "frames"), k, frame)
	{
		bool to_r =
			strcmp(vectors_text(frame, "from"), "initiator") == 0;
		struct hex plain = vectors_hex(frame, "frame_plain");
		struct hex wire = vectors_hex(frame, "wire");

		assert_frame(to_r ? &r.ingress : &i.ingress,
			     to_r ? &i.egress : &r.egress, &plain,
			     header_n(frame), &wire);
		hex_release(&plain);
		hex_release(&wire);
	}
	rlpx_streams_release(&i);
	rlpx_streams_release(&r);
	json_decref(v);
}

static struct hex first_frame(json_t *v)
{
	return vectors_hex(json_array_get(vectors_get(v, "frames"), 0), "wire");
}

Test(frames, a_wrong_bit_in_the_header_is_refused)
{
	json_t *v = vectors_load("rlpx-frames.json");
	struct hex wire = first_frame(v);

	for (size_t at = 0; at < RLPX_HEADER_SIZE; at++) {
		struct rlpx_streams i, r;
		struct rlpx_header_job job;

		published_streams(&i, &r);
		wire.bytes[at] ^= 1;
		job = (struct rlpx_header_job){.stream = &i.ingress,
					       .header = wire.bytes};
		rlpx_open_headers(&job, 1);
		cr_assert(job.err == ERR_AUTH && job.n == 0);
		wire.bytes[at] ^= 1;
		rlpx_streams_release(&i);
		rlpx_streams_release(&r);
	}
	hex_release(&wire);
	json_decref(v);
}

Test(frames, a_wrong_bit_in_the_body_leaves_it_encrypted)
{
	json_t *v = vectors_load("rlpx-frames.json");
	struct hex wire = first_frame(v);
	uint8_t *copy = malloc(wire.len);

	for (size_t at = RLPX_HEADER_SIZE; at < wire.len; at += 5) {
		struct rlpx_streams i, r;
		struct rlpx_header_job header;
		struct rlpx_body_job body;

		published_streams(&i, &r);
		memcpy(copy, wire.bytes, wire.len);
		copy[at] ^= 0x80;
		header = (struct rlpx_header_job){.stream = &i.ingress,
						  .header = copy};
		rlpx_open_headers(&header, 1);
		cr_assert_eq(header.err, 0);
		body = (struct rlpx_body_job){.stream = &i.ingress,
					      .body = copy + RLPX_HEADER_SIZE,
					      .n = header.n};
		rlpx_open_bodies(&body, 1);
		cr_assert_eq(body.err, ERR_AUTH);
		copy[at] ^= 0x80;
		cr_assert_arr_eq(copy, wire.bytes, wire.len);
		rlpx_streams_release(&i);
		rlpx_streams_release(&r);
	}
	free(copy);
	hex_release(&wire);
	json_decref(v);
}

/* A header with a right MAC and any 16 bytes inside. */
static void odd_header(struct rlpx_stream *out, const uint8_t plain[16],
		       uint8_t header[32])
{
	uint8_t digest[32], x[16];

	aes_ctr_apply(out->cipher, plain, header, 16);
	keccak_peek(&out->mac, digest);
	aes_block_encrypt(out->mac_key, digest, x);
	for (int i = 0; i < 16; i++)
		x[i] ^= header[i];
	keccak_absorb(&out->mac, x, 16);
	keccak_peek(&out->mac, digest);
	memcpy(header + 16, digest, 16);
}

Test(frames, an_empty_frame_is_a_breach_and_odd_header_bytes_are_not)
{
	uint8_t plain[16] = {0, 1, 0, 0xc3, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9};
	uint8_t none[16] = {0, 0, 0, 0xc2, 0x80, 0x80};
	struct rlpx_header_job job;
	struct rlpx_streams i, r;
	uint8_t header[32];

	published_streams(&i, &r);
	job = (struct rlpx_header_job){.stream = &r.ingress, .header = header};
	odd_header(&i.egress, plain, header);
	rlpx_open_headers(&job, 1);
	cr_assert(job.err == 0 && job.n == 256);
	odd_header(&i.egress, none, header);
	rlpx_open_headers(&job, 1);
	cr_assert(job.err == ERR_PROTOCOL && job.n == 0);
	rlpx_streams_release(&i);
	rlpx_streams_release(&r);
}

#define MANY 150

struct many {
	struct rlpx_streams i, r;
	uint8_t *frame;
	size_t n;
};

/* Sizes of all kinds side by side, one of them damaged: the rest pass. */
Test(frames, any_number_at_once_is_the_same_as_one_by_one)
{
	static struct many m[MANY];
	struct rlpx_seal_job seal[MANY];
	struct rlpx_header_job header[MANY];
	struct rlpx_body_job body[MANY];

	for (size_t k = 0; k < MANY; k++) {
		published_streams(&m[k].i, &m[k].r);
		m[k].n = 1 + k * k % 4099;
		m[k].frame = malloc(RLPX_HEADER_SIZE + rlpx_body_size(m[k].n));
		memset(m[k].frame + RLPX_HEADER_SIZE, (int)k, m[k].n);
		seal[k] = (struct rlpx_seal_job){.stream = &m[k].i.egress,
						 .frame = m[k].frame,
						 .n = m[k].n};
	}
	rlpx_seal_many(seal, 0);
	rlpx_seal_many(seal, 1);
	rlpx_seal_many(seal + 1, MANY - 1);
	for (size_t k = 0; k < MANY; k++)
		header[k] = (struct rlpx_header_job){.stream = &m[k].r.ingress,
						     .header = m[k].frame};
	rlpx_open_headers(header, MANY);
	m[77].frame[RLPX_HEADER_SIZE] ^= 1;
	for (size_t k = 0; k < MANY; k++) {
		cr_assert(header[k].err == 0 && header[k].n == m[k].n);
		body[k] = (struct rlpx_body_job){.stream = &m[k].r.ingress,
						 .body = m[k].frame +
							 RLPX_HEADER_SIZE,
						 .n = m[k].n};
	}
	rlpx_open_bodies(body, MANY);
	for (size_t k = 0; k < MANY; k++) {
		cr_assert_eq(body[k].err, k == 77 ? ERR_AUTH : 0);
		for (size_t b = 0; k != 77 && b < m[k].n; b++)
			cr_assert_eq(body[k].body[b], (uint8_t)k);
		free(m[k].frame);
		rlpx_streams_release(&m[k].i);
		rlpx_streams_release(&m[k].r);
	}
}
