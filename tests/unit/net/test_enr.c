#include "net/enr.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/keccak.h"
#include "core/rlp.h"
#include "tests/support/vectors.h"

static struct secp_key key_of(json_t *obj, const char *path)
{
	struct hex hex = vectors_hex(obj, path);
	struct secp_key key;

	cr_assert_eq(secp_key_from_private(hex.bytes, &key), 0);
	hex_release(&hex);
	return key;
}

static const uint8_t loopback[4] = {127, 0, 0, 1};

/* Text and bytes say the same, and what is read is written alike. */
static struct enr check_vector(json_t *v, const struct secp_key *key)
{
	struct hex rlp = vectors_hex(v, "rlp");
	const char *text = vectors_text(v, "text");
	uint8_t out[ENR_SIZE_MAX];
	char made[ENR_TEXT_MAX];
	struct enr enr;
	size_t len;

	cr_assert_eq(enr_text_decode(text, out, &len), 0);
	cr_assert_eq(len, rlp.len);
	cr_assert_arr_eq(out, rlp.bytes, len);
	cr_assert_eq(enr_text_encode(out, len, made), strlen(text));
	cr_assert_str_eq(made, text);
	cr_assert_eq(enr_decode(rlp.bytes, rlp.len, &enr), 0);
	cr_assert_arr_eq(enr.public, key->public, sizeof(enr.public));
	cr_assert_eq(enr_encode(&enr, key, out), rlp.len);
	cr_assert_arr_eq(out, rlp.bytes, rlp.len);
	hex_release(&rlp);
	return enr;
}

Test(enr, the_vectors_are_read_and_written_alike)
{
	json_t *file = vectors_load("discovery.json");
	struct secp_key key = key_of(file, "enr_spec_example.private");
	struct hex id = vectors_hex(file, "enr_spec_example.node_id");
	struct enr enr =
		check_vector(vectors_get(file, "enr_spec_example"), &key);
	uint8_t digest[KECCAK_DIGEST];

	cr_assert_eq(enr.seq, 1);
	cr_assert(enr.has_ip && !enr.has_ip6);
	cr_assert_arr_eq(enr.ip, loopback, sizeof(loopback));
	cr_assert_eq(enr.udp, 30303);
	cr_assert_eq(enr.tcp, 0);
	keccak256(enr.public, sizeof(enr.public), digest);
	cr_assert_arr_eq(digest, id.bytes, sizeof(digest));
	key = key_of(file, "identities.server.private");
	enr = check_vector(vectors_get(file, "enr_server"), &key);
	cr_assert_eq(enr.tcp, 30303);
	cr_assert_eq(enr.udp, 30303);
	hex_release(&id);
	json_decref(file);
}

Test(enr, the_fullest_record_fits_and_comes_back)
{
	struct enr enr = {.seq = UINT64_MAX,
			  .has_ip = true,
			  .has_ip6 = true,
			  .ip = {255, 255, 255, 255},
			  .ip6 = {0x20, 1},
			  .tcp = 65535,
			  .udp = 65534,
			  .tcp6 = 65533,
			  .udp6 = 65532};
	uint8_t out[ENR_SIZE_MAX];
	char text[ENR_TEXT_MAX];
	struct secp_key key;
	struct enr back;
	size_t len;

	secp_key_new(&key);
	len = enr_encode(&enr, &key, out);
	cr_assert_eq(enr_decode(out, len, &back), 0);
	cr_assert_eq(back.seq, UINT64_MAX);
	cr_assert(back.has_ip && back.has_ip6);
	cr_assert_arr_eq(back.ip6, enr.ip6, 16);
	cr_assert_eq(back.tcp, 65535);
	cr_assert_eq(back.udp, 65534);
	cr_assert_eq(back.tcp6, 65533);
	cr_assert_eq(back.udp6, 65532);
	cr_assert_lt(enr_text_encode(out, len, text), sizeof(text));
}

Test(enr, no_byte_of_a_record_may_change)
{
	json_t *file = vectors_load("discovery.json");
	struct hex rlp = vectors_hex(file, "enr_server.rlp");
	struct enr enr = {.seq = 77};

	for (size_t i = 0; i < rlp.len; i++) {
		rlp.bytes[i] ^= 1;
		cr_assert_lt(enr_decode(rlp.bytes, rlp.len, &enr), 0, "%zu", i);
		rlp.bytes[i] ^= 1;
		cr_assert_lt(enr_decode(rlp.bytes, i, &enr), 0);
	}
	cr_assert_eq(enr.seq, 77);
	cr_assert_eq(enr_decode(rlp.bytes, rlp.len, &enr), 0);
	cr_assert_eq(enr.seq, 1);
	hex_release(&rlp);
	json_decref(file);
}

/* A record of these keys, each with a value that fits, and well signed. */
static size_t build(const struct secp_key *key, const char *const *keys,
		    const char *scheme, size_t filler, uint8_t *out, size_t cap)
{
	static const uint8_t zeroes[400];
	uint8_t content[1024], digest[KECCAK_DIGEST], compact[33];
	uint8_t sig[SECP_SIGNATURE_SIZE];
	struct rlp_writer w = rlp_writer(content, sizeof(content));
	size_t len, header;

	secp_public_compact(key->public, compact);
	rlp_put_list(&w);
	rlp_put_u64(&w, 5);
	for (; *keys; keys++) {
		rlp_put_string(&w, *keys, strlen(*keys));
		if (strcmp(*keys, "id") == 0)
			rlp_put_string(&w, scheme, strlen(scheme));
		else if (strcmp(*keys, "secp256k1") == 0)
			rlp_put_string(&w, compact, sizeof(compact));
		else if (strcmp(*keys, "list") == 0)
			rlp_put_raw(&w, "\xc2\x01\x02", 3);
		else
			rlp_put_string(&w, zeroes, filler);
	}
	rlp_put_list_end(&w);
	cr_assert_eq(rlp_put_end(&w, &len), 0);
	keccak256(content, len, digest);
	secp_sign(key, digest, sig);
	header = content[0] < 0xf8 ? 1 : (size_t)(1 + content[0] - 0xf7);
	w = rlp_writer(out, cap);
	rlp_put_list(&w);
	rlp_put_string(&w, sig, 64);
	rlp_put_raw(&w, content + header, len - header);
	rlp_put_list_end(&w);
	cr_assert_eq(rlp_put_end(&w, &len), 0);
	return len;
}

static int decode_built(const char *const *keys, const char *scheme,
			size_t filler, struct enr *out)
{
	uint8_t bytes[1024];
	struct secp_key key;
	size_t len;

	secp_key_new(&key);
	len = build(&key, keys, scheme, filler, bytes, sizeof(bytes));
	return enr_decode(bytes, len, out);
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(enr, unknown_keys_are_passed_over)
{
	struct enr enr;

	cr_assert_eq(decode_built(KEYS("a", "id", "list", "secp256k1", "z"),
				  "v4", 9, &enr),
		     0);
	cr_assert_eq(enr.seq, 5);
	cr_assert_not(enr.has_ip);
}

Test(enr, keys_are_sorted_and_none_stands_twice)
{
	struct enr enr;

	cr_assert_eq(decode_built(KEYS("secp256k1", "id"), "v4", 1, &enr),
		     ERR_SYNTAX);
	cr_assert_eq(decode_built(KEYS("id", "id", "secp256k1"), "v4", 1, &enr),
		     ERR_SYNTAX);
	cr_assert_eq(
		decode_built(KEYS("id", "secp256k1", "zz", "z"), "v4", 1, &enr),
		ERR_SYNTAX);
	cr_assert_eq(
		decode_built(KEYS("id", "secp256k1", "z", "zz"), "v4", 1, &enr),
		0);
}

Test(enr, scheme_and_key_must_be_there)
{
	struct enr enr;

	cr_assert_eq(decode_built(KEYS("id", "z"), "v4", 1, &enr), ERR_SYNTAX);
	cr_assert_eq(decode_built(KEYS("secp256k1"), "v4", 1, &enr),
		     ERR_SYNTAX);
	cr_assert_eq(decode_built(KEYS("id", "secp256k1"), "v5", 1, &enr),
		     ERR_UNSUPPORTED);
	/* An address of another length is none. */
	cr_assert_eq(decode_built(KEYS("id", "ip", "secp256k1"), "v4", 5, &enr),
		     ERR_SYNTAX);
}

Test(enr, three_hundred_bytes_are_the_most)
{
	static const char *const keys[] = {"id", "secp256k1", "z", NULL};
	uint8_t bytes[1024];
	struct secp_key key;
	struct enr enr;
	size_t filler = 100, len = 0;

	secp_key_new(&key);
	for (; len < ENR_SIZE_MAX; filler++)
		len = build(&key, keys, "v4", filler, bytes, sizeof(bytes));
	cr_assert_eq(len, ENR_SIZE_MAX);
	cr_assert_eq(enr_decode(bytes, len, &enr), 0);
	len = build(&key, keys, "v4", filler, bytes, sizeof(bytes));
	cr_assert_eq(enr_decode(bytes, len, &enr), ERR_RANGE);
}

Test(enr, malformed_text_is_refused)
{
	static const char *const texts[] = {
		"",       "enr",    "ENR:AA",   "enr:A", "enr:AA=",
		"enr:A+", "enr:AB", "enr:AAA/", "enr: ", "AAAA"};
	uint8_t out[ENR_SIZE_MAX];
	char text[ENR_TEXT_MAX + 8];
	size_t len;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_eq(enr_text_decode(texts[i], out, &len), ERR_SYNTAX,
			     "%s", texts[i]);
	cr_assert_eq(enr_text_decode("enr:AAAB", out, &len), 0);
	cr_assert_eq(len, 3);
	cr_assert_eq(out[2], 1);
	memset(text, 'A', sizeof(text) - 1);
	memcpy(text, "enr:", 4);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(enr_text_decode(text, out, &len), ERR_RANGE);
}
