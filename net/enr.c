#include "net/enr.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"
#include "core/keccak.h"
#include "core/rlp.h"

#define SIGNATURE_SIZE (SECP_SIGNATURE_SIZE - 1) /* r ‖ s */

static const char prefix[] = "enr:";

/* ---- writing ---- */

static void put_pair(struct rlp_writer *w, const char *key, const void *value,
		     size_t len)
{
	rlp_put_string(w, key, strlen(key));
	rlp_put_string(w, value, len);
}

static void put_port(struct rlp_writer *w, const char *key, uint16_t port)
{
	if (port == 0)
		return;
	rlp_put_string(w, key, strlen(key));
	rlp_put_u64(w, port);
}

/* seq and the pairs, sorted by key. */
static void put_content(struct rlp_writer *w, const struct enr *enr,
			const struct secp_key *key)
{
	uint8_t compact[SECP_COMPACT_SIZE];

	secp_public_compact(key->public, compact);
	rlp_put_u64(w, enr->seq);
	put_pair(w, "id", "v4", 2);
	if (enr->has_ip)
		put_pair(w, "ip", enr->ip, sizeof(enr->ip));
	if (enr->has_ip6)
		put_pair(w, "ip6", enr->ip6, sizeof(enr->ip6));
	put_pair(w, "secp256k1", compact, sizeof(compact));
	put_port(w, "tcp", enr->tcp);
	put_port(w, "tcp6", enr->tcp6);
	put_port(w, "udp", enr->udp);
	put_port(w, "udp6", enr->udp6);
}

static void sign(const struct enr *enr, const struct secp_key *key,
		 uint8_t sig[static SECP_SIGNATURE_SIZE])
{
	uint8_t content[ENR_SIZE_MAX], digest[KECCAK_DIGEST];
	struct rlp_writer w = rlp_writer(content, sizeof(content));
	size_t len;
	int err;

	rlp_put_list(&w);
	put_content(&w, enr, key);
	rlp_put_list_end(&w);
	err = rlp_put_end(&w, &len);
	assert(!err);
	(void)err;
	keccak256(content, len, digest);
	secp_sign(key, digest, sig);
}

size_t enr_encode(const struct enr *enr, const struct secp_key *key,
		  uint8_t out[static ENR_SIZE_MAX])
{
	struct rlp_writer w = rlp_writer(out, ENR_SIZE_MAX);
	uint8_t sig[SECP_SIGNATURE_SIZE];
	size_t len;
	int err;

	sign(enr, key, sig);
	rlp_put_list(&w);
	rlp_put_string(&w, sig, SIGNATURE_SIZE);
	put_content(&w, enr, key);
	rlp_put_list_end(&w);
	err = rlp_put_end(&w, &len);
	assert(!err);
	(void)err;
	return len;
}

/* ---- reading ---- */

struct reading {
	struct enr enr;
	bool has_id, has_public;
	bool is_other_scheme;
	uint8_t compact[SECP_COMPACT_SIZE];
};

static void read_id(struct rlp_reader *r, struct reading *reading)
{
	size_t len;
	const uint8_t *id = rlp_string(r, &len);

	reading->has_id = true;
	reading->is_other_scheme = len != 2 || memcmp(id, "v4", 2) != 0;
}

static bool is_key(const uint8_t *key, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(key, name, len) == 0;
}

static void read_value(struct rlp_reader *r, const uint8_t *key, size_t len,
		       struct reading *reading)
{
	struct enr *enr = &reading->enr;

	if (is_key(key, len, "id")) {
		read_id(r, reading);
	} else if (is_key(key, len, "secp256k1")) {
		rlp_bytes(r, reading->compact, sizeof(reading->compact));
		reading->has_public = true;
	} else if (is_key(key, len, "ip")) {
		rlp_bytes(r, enr->ip, sizeof(enr->ip));
		enr->has_ip = true;
	} else if (is_key(key, len, "ip6")) {
		rlp_bytes(r, enr->ip6, sizeof(enr->ip6));
		enr->has_ip6 = true;
	} else if (is_key(key, len, "tcp")) {
		enr->tcp = rlp_u16(r);
	} else if (is_key(key, len, "udp")) {
		enr->udp = rlp_u16(r);
	} else if (is_key(key, len, "tcp6")) {
		enr->tcp6 = rlp_u16(r);
	} else if (is_key(key, len, "udp6")) {
		enr->udp6 = rlp_u16(r);
	} else {
		rlp_skip(r);
	}
}

/* Are keys a and b different, and in this order? */
static bool is_sorted(const uint8_t *a, size_t a_len, const uint8_t *b,
		      size_t b_len)
{
	size_t both = a_len < b_len ? a_len : b_len;
	int order = both > 0 ? memcmp(a, b, both) : 0;

	return order < 0 || (order == 0 && a_len < b_len);
}

static int read_pairs(struct rlp_reader *r, struct reading *reading)
{
	const uint8_t *last = NULL;
	size_t last_len = 0;

	while (rlp_more(r)) {
		size_t len;
		const uint8_t *key = rlp_string(r, &len);

		if (r->err || (last && !is_sorted(last, last_len, key, len)))
			return ERR_SYNTAX;
		read_value(r, key, len, reading);
		last = key;
		last_len = len;
	}
	return rlp_end(r);
}

/* The hash of what was signed: a list of all that stands behind `content`. */
static void content_digest(const uint8_t *content, size_t len,
			   uint8_t out[static KECCAK_DIGEST])
{
	uint8_t header[RLP_HEADER_MAX];
	struct keccak k;

	keccak_init(&k);
	keccak_absorb(&k, header, rlp_list_header(header, len));
	keccak_absorb(&k, content, len);
	keccak_peek(&k, out);
}

static int verify(struct reading *reading, const uint8_t *sig,
		  const uint8_t *content, size_t len)
{
	uint8_t digest[KECCAK_DIGEST];
	int err;

	if (!reading->has_id || !reading->has_public)
		return ERR_SYNTAX;
	if (reading->is_other_scheme)
		return ERR_UNSUPPORTED;
	err = secp_public_from_compact(reading->compact, reading->enr.public);
	if (err)
		return err;
	content_digest(content, len, digest);
	return secp_verify(reading->enr.public, digest, sig);
}

int enr_decode(const uint8_t *in, size_t len, struct enr *out)
{
	struct rlp_reader r = rlp_reader(in, len), list;
	struct reading reading = {0};
	uint8_t sig[SIGNATURE_SIZE];
	const uint8_t *content;
	size_t content_len;
	int err;

	if (len > ENR_SIZE_MAX)
		return ERR_RANGE;
	list = rlp_list(&r);
	err = rlp_end(&r);
	if (err)
		return err;
	rlp_bytes(&list, sig, sizeof(sig));
	content = list.pos;
	content_len = (size_t)(list.end - list.pos);
	reading.enr.seq = rlp_u64(&list);
	err = list.err ? list.err : read_pairs(&list, &reading);
	if (!err)
		err = verify(&reading, sig, content, content_len);
	if (!err)
		*out = reading.enr;
	return err;
}

/* ---- text: base64 for URLs, without padding ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789-_";

size_t enr_text_encode(const uint8_t *in, size_t len,
		       char out[static ENR_TEXT_MAX])
{
	size_t at = sizeof(prefix) - 1;
	uint32_t bits = 0;
	unsigned held = 0;

	assert(len <= ENR_SIZE_MAX);
	memcpy(out, prefix, at);
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		for (held += 8; held >= 6; held -= 6)
			out[at++] = digits[bits >> (held - 6) & 63];
	}
	if (held > 0)
		out[at++] = digits[bits << (6 - held) & 63];
	out[at] = '\0';
	return at;
}

int enr_text_decode(const char *text, uint8_t out[static ENR_SIZE_MAX],
		    size_t *len)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t size = 0;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return ERR_SYNTAX;
	for (text += sizeof(prefix) - 1; *text; text++) {
		const char *digit = strchr(digits, *text);

		if (!digit)
			return ERR_SYNTAX;
		bits = bits << 6 | (uint32_t)(digit - digits);
		held += 6;
		if (held < 8)
			continue;
		if (size == ENR_SIZE_MAX)
			return ERR_RANGE;
		held -= 8;
		out[size++] = (uint8_t)(bits >> held);
	}
	/* One text for a record: nothing hides in what is left over. */
	if (held >= 6 || (bits & ((1u << held) - 1)) != 0)
		return ERR_SYNTAX;
	*len = size;
	return 0;
}
