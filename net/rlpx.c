#include "net/rlpx.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/aes.h"
#include "core/bytes.h"
#include "core/ecies.h"
#include "core/err.h"
#include "core/rlp.h"

#define NONCE_SIZE   32
#define PREFIX_SIZE  2
#define VERSION      4
#define PADDING_MIN  100
#define PADDING_SPAN 200
/* The longest RLP part of ours (auth), and padding behind it. */
#define PLAIN_MAX (169 + PADDING_MIN + PADDING_SPAN)

typedef int (*step_fn)(struct rlpx_handshake *hs);

struct rlpx_handshake {
	const struct secp_key *key;
	bool is_initiator;
	bool is_fixed; /* ephemeral key and nonce were given */
	step_fn step;  /* what happens when `want` bytes are in; NULL: done */
	size_t want;
	size_t have;
	size_t sent_len;
	struct secp_key ephemeral;
	uint8_t nonce[NONCE_SIZE];
	uint8_t remote[SECP_PUBLIC_SIZE];
	uint8_t remote_nonce[NONCE_SIZE];
	uint8_t remote_ephemeral[SECP_PUBLIC_SIZE];
	uint8_t packet[RLPX_PACKET_MAX]; /* received */
	uint8_t sent[PREFIX_SIZE + PLAIN_MAX + ECIES_OVERHEAD];
};

/* ---- secrets, §4 ---- */

static void hash_two(const uint8_t a[static 32], const uint8_t b[static 32],
		     uint8_t out[static 32])
{
	uint8_t both[64];

	memcpy(both, a, 32);
	memcpy(both + 32, b, 32);
	keccak256(both, sizeof(both), out);
	bytes_erase(both, sizeof(both));
}

static void mac_init(struct keccak *mac, const uint8_t secret[static 32],
		     const uint8_t *nonce, const uint8_t *packet, size_t len)
{
	uint8_t seed[32];

	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = secret[i] ^ nonce[i];
	keccak_init(mac);
	keccak_absorb(mac, seed, sizeof(seed));
	keccak_absorb(mac, packet, len);
	bytes_erase(seed, sizeof(seed));
}

static int ciphers_new(struct rlpx_streams *streams, const uint8_t *aes_secret,
		       const uint8_t *mac_secret)
{
	static const uint8_t zero[16];

	streams->egress.cipher = aes_ctr_new(aes_secret, 32, zero);
	streams->ingress.cipher = aes_ctr_new(aes_secret, 32, zero);
	streams->egress.mac_key = aes_block_new(mac_secret);
	/* Both directions have the same key: one schedule serves them. */
	streams->ingress.mac_key = streams->egress.mac_key;
	if (streams->egress.cipher && streams->ingress.cipher &&
	    streams->egress.mac_key)
		return 0;
	rlpx_streams_release(streams);
	return ERR_NOMEM;
}

int rlpx_streams_init(struct rlpx_streams *streams,
		      const struct rlpx_agreement *agreed, bool is_initiator)
{
	uint8_t nonces[32], shared[32], aes_secret[32], mac_secret[32];
	struct keccak *to_recipient, *to_initiator;
	int err;

	hash_two(agreed->recipient_nonce, agreed->initiator_nonce, nonces);
	hash_two(agreed->secret, nonces, shared);
	hash_two(agreed->secret, shared, aes_secret);
	hash_two(agreed->secret, aes_secret, mac_secret);

	memset(streams, 0, sizeof(*streams));
	err = ciphers_new(streams, aes_secret, mac_secret);
	if (err)
		goto out;
	to_recipient =
		is_initiator ? &streams->egress.mac : &streams->ingress.mac;
	to_initiator =
		is_initiator ? &streams->ingress.mac : &streams->egress.mac;
	mac_init(to_recipient, mac_secret, agreed->recipient_nonce,
		 agreed->auth, agreed->auth_len);
	mac_init(to_initiator, mac_secret, agreed->initiator_nonce, agreed->ack,
		 agreed->ack_len);
out:
	bytes_erase(shared, sizeof(shared));
	bytes_erase(aes_secret, sizeof(aes_secret));
	bytes_erase(mac_secret, sizeof(mac_secret));
	return err;
}

void rlpx_streams_release(struct rlpx_streams *streams)
{
	aes_ctr_free(streams->egress.cipher);
	aes_ctr_free(streams->ingress.cipher);
	if (streams->ingress.mac_key != streams->egress.mac_key)
		aes_block_free(streams->ingress.mac_key);
	aes_block_free(streams->egress.mac_key);
	bytes_erase(streams, sizeof(*streams));
}

/* ---- packets out ---- */

/* Both packets: size ‖ ecies(to, RLP ‖ padding, s2 = size). §3.1, §3.2 */
static int seal_packet(struct rlpx_handshake *hs, struct rlp_writer *w)
{
	size_t len, padding;
	uint8_t random[2];
	int err;

	err = rlp_put_end(w, &len);
	if (err)
		return err;
	bytes_random(random, sizeof(random));
	padding = PADDING_MIN + be16_load(random) % PADDING_SPAN;
	bytes_random(w->out + len, padding);
	len += padding;
	be16_store(hs->sent, (uint16_t)(len + ECIES_OVERHEAD));
	err = ecies_seal(hs->remote, w->out, len, hs->sent, PREFIX_SIZE,
			 hs->sent + PREFIX_SIZE);
	if (err)
		return err;
	hs->sent_len = PREFIX_SIZE + len + ECIES_OVERHEAD;
	return 0;
}

static void make_ephemeral(struct rlpx_handshake *hs)
{
	if (hs->is_fixed)
		return;
	secp_key_new(&hs->ephemeral);
	bytes_random(hs->nonce, sizeof(hs->nonce));
}

/* What the signature in auth is made over: the static secret XOR the nonce. */
static int signed_value(const struct rlpx_handshake *hs, const uint8_t *nonce,
			uint8_t out[static 32])
{
	int err = secp_ecdh(hs->key->private, hs->remote, out);

	if (err)
		return err;
	for (size_t i = 0; i < 32; i++)
		out[i] ^= nonce[i];
	return 0;
}

static int put_auth(struct rlpx_handshake *hs)
{
	uint8_t plain[PLAIN_MAX], digest[32], sig[SECP_SIGNATURE_SIZE];
	struct rlp_writer w = rlp_writer(plain, sizeof(plain));
	int err;

	err = signed_value(hs, hs->nonce, digest);
	if (err)
		return err;
	secp_sign(&hs->ephemeral, digest, sig);
	bytes_erase(digest, sizeof(digest));
	rlp_put_list(&w);
	rlp_put_string(&w, sig, sizeof(sig));
	rlp_put_string(&w, hs->key->public, SECP_PUBLIC_SIZE);
	rlp_put_string(&w, hs->nonce, sizeof(hs->nonce));
	rlp_put_u64(&w, VERSION);
	rlp_put_list_end(&w);
	return seal_packet(hs, &w);
}

static int put_ack(struct rlpx_handshake *hs)
{
	uint8_t plain[PLAIN_MAX];
	struct rlp_writer w = rlp_writer(plain, sizeof(plain));

	rlp_put_list(&w);
	rlp_put_string(&w, hs->ephemeral.public, SECP_PUBLIC_SIZE);
	rlp_put_string(&w, hs->nonce, sizeof(hs->nonce));
	rlp_put_u64(&w, VERSION);
	rlp_put_list_end(&w);
	return seal_packet(hs, &w);
}

/* ---- packets in ---- */

static int expect(struct rlpx_handshake *hs, step_fn step, size_t want)
{
	assert(want <= sizeof(hs->packet));
	hs->step = step;
	hs->want = want;
	return 0;
}

static int done(struct rlpx_handshake *hs)
{
	return expect(hs, NULL, 0);
}

/* A handshake that failed or was used up fails again, whatever comes. */
static int refuse(struct rlpx_handshake *hs)
{
	(void)hs;
	return ERR_PROTOCOL;
}

static int open_packet(struct rlpx_handshake *hs, uint8_t *plain, size_t *len)
{
	const uint8_t *body = hs->packet + PREFIX_SIZE;
	size_t body_len = hs->have - PREFIX_SIZE;

	*len = body_len - ECIES_OVERHEAD;
	return ecies_open(hs->key, body, body_len, hs->packet, PREFIX_SIZE,
			  plain);
}

/* §3.3: the first value counts; version, more elements, padding do not. */
static int decode_auth(struct rlpx_handshake *hs, const uint8_t *plain,
		       size_t len, uint8_t sig[static SECP_SIGNATURE_SIZE])
{
	struct rlp_reader r = rlp_reader(plain, len);
	struct rlp_reader list = rlp_list(&r);

	rlp_bytes(&list, sig, SECP_SIGNATURE_SIZE);
	rlp_bytes(&list, hs->remote, sizeof(hs->remote));
	rlp_bytes(&list, hs->remote_nonce, sizeof(hs->remote_nonce));
	if (r.err || list.err || !secp_public_is_valid(hs->remote))
		return ERR_PROTOCOL;
	return 0;
}

static int read_auth(struct rlpx_handshake *hs)
{
	uint8_t plain[RLPX_HANDSHAKE_SIZE_MAX];
	uint8_t sig[SECP_SIGNATURE_SIZE], digest[32];
	size_t len;
	int err;

	err = open_packet(hs, plain, &len);
	if (err)
		return err;
	err = decode_auth(hs, plain, len, sig);
	if (err)
		return err;
	err = signed_value(hs, hs->remote_nonce, digest);
	if (err)
		return err;
	err = secp_recover(digest, sig, hs->remote_ephemeral);
	bytes_erase(digest, sizeof(digest));
	if (err)
		return err;
	make_ephemeral(hs);
	err = put_ack(hs);
	return err ? err : done(hs);
}

static int read_auth_size(struct rlpx_handshake *hs)
{
	size_t size = be16_load(hs->packet);

	if (size < RLPX_AUTH_SIZE_MIN || size > RLPX_HANDSHAKE_SIZE_MAX)
		return ERR_PROTOCOL;
	return expect(hs, read_auth, PREFIX_SIZE + size);
}

static int read_ack(struct rlpx_handshake *hs)
{
	uint8_t plain[RLPX_HANDSHAKE_SIZE_MAX];
	struct rlp_reader r, list;
	size_t len;
	int err;

	err = open_packet(hs, plain, &len);
	if (err)
		return err;
	r = rlp_reader(plain, len);
	list = rlp_list(&r);
	rlp_bytes(&list, hs->remote_ephemeral, sizeof(hs->remote_ephemeral));
	rlp_bytes(&list, hs->remote_nonce, sizeof(hs->remote_nonce));
	if (r.err || list.err || !secp_public_is_valid(hs->remote_ephemeral))
		return ERR_PROTOCOL;
	return done(hs);
}

static int read_ack_size(struct rlpx_handshake *hs)
{
	size_t size = be16_load(hs->packet);

	if (size < RLPX_ACK_SIZE_MIN || size > RLPX_HANDSHAKE_SIZE_MAX)
		return ERR_PROTOCOL;
	return expect(hs, read_ack, PREFIX_SIZE + size);
}

/* ---- life ---- */

struct rlpx_handshake *rlpx_handshake_new(const struct secp_key *key,
					  const uint8_t *remote)
{
	struct rlpx_handshake *hs = calloc(1, sizeof(*hs));

	if (!hs)
		return NULL;
	hs->key = key;
	hs->is_initiator = remote;
	if (remote)
		memcpy(hs->remote, remote, sizeof(hs->remote));
	/* An initiator that has not sent auth cannot take an ack. */
	(void)expect(hs, remote ? refuse : read_auth_size, PREFIX_SIZE);
	return hs;
}

void rlpx_handshake_free(struct rlpx_handshake *hs)
{
	if (!hs)
		return;
	bytes_erase(hs, sizeof(*hs));
	free(hs);
}

void rlpx_handshake_fix(struct rlpx_handshake *hs,
			const struct secp_key *ephemeral,
			const uint8_t nonce[static NONCE_SIZE])
{
	assert(hs->sent_len == 0);
	hs->ephemeral = *ephemeral;
	memcpy(hs->nonce, nonce, sizeof(hs->nonce));
	hs->is_fixed = true;
}

int rlpx_handshake_auth(struct rlpx_handshake *hs,
			uint8_t out[static RLPX_PACKET_MAX], size_t *out_len)
{
	int err;

	assert(hs->is_initiator && hs->sent_len == 0);
	make_ephemeral(hs);
	err = put_auth(hs);
	if (err)
		return err;
	memcpy(out, hs->sent, hs->sent_len);
	*out_len = hs->sent_len;
	return expect(hs, read_ack_size, PREFIX_SIZE);
}

static int finish(struct rlpx_handshake *hs, struct rlpx_streams *streams)
{
	struct rlpx_agreement agreed = {.initiator_nonce = hs->remote_nonce,
					.recipient_nonce = hs->nonce,
					.auth = hs->packet,
					.auth_len = hs->have,
					.ack = hs->sent,
					.ack_len = hs->sent_len};
	uint8_t secret[32];
	int err;

	if (hs->is_initiator)
		agreed = (struct rlpx_agreement){.initiator_nonce = hs->nonce,
						 .recipient_nonce =
							 hs->remote_nonce,
						 .auth = hs->sent,
						 .auth_len = hs->sent_len,
						 .ack = hs->packet,
						 .ack_len = hs->have};
	agreed.secret = secret;
	err = secp_ecdh(hs->ephemeral.private, hs->remote_ephemeral, secret);
	if (!err)
		err = rlpx_streams_init(streams, &agreed, hs->is_initiator);
	bytes_erase(secret, sizeof(secret));
	bytes_erase(&hs->ephemeral, sizeof(hs->ephemeral));
	return err;
}

/* Copy what the present step wants; true when it has it all. */
static bool take(struct rlpx_handshake *hs, const uint8_t *in, size_t len,
		 size_t *used)
{
	size_t n = hs->want - hs->have;

	if (n > len - *used)
		n = len - *used;
	if (n > 0)
		memcpy(hs->packet + hs->have, in + *used, n);
	hs->have += n;
	*used += n;
	return hs->have == hs->want;
}

int rlpx_handshake_feed(struct rlpx_handshake *hs, const uint8_t *in,
			size_t len, size_t *used,
			uint8_t out[static RLPX_PACKET_MAX], size_t *out_len,
			struct rlpx_streams *streams,
			uint8_t remote[static SECP_PUBLIC_SIZE])
{
	int err = 0;

	*used = 0;
	*out_len = 0;
	while (hs->step && !err) {
		if (hs->step != refuse && !take(hs, in, len, used))
			return ERR_AGAIN;
		err = hs->step(hs);
	}
	if (!err)
		err = finish(hs, streams);
	hs->step = refuse;
	if (err)
		return err;
	memcpy(remote, hs->remote, sizeof(hs->remote));
	if (!hs->is_initiator) {
		memcpy(out, hs->sent, hs->sent_len);
		*out_len = hs->sent_len;
	}
	return 0;
}
