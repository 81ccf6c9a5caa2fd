#include "net/p2p.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "core/rlp.h"
#include "tests/support/vectors.h"

static void assert_key(const struct p2p_hello *hello, json_t *v,
		       const char *path)
{
	struct hex key = vectors_hex(v, path);

	cr_assert_eq(key.len, SECP_PUBLIC_SIZE);
	cr_assert_arr_eq(hello->public, key.bytes, key.len);
	hex_release(&key);
}

static int decode(json_t *v, const char *path, struct p2p_hello *out)
{
	struct hex in = vectors_hex(v, path);
	int err = p2p_hello_decode(in.bytes, in.len, out);

	hex_release(&in);
	return err;
}

Test(hello, the_published_ones_are_read)
{
	json_t *v = vectors_load("devp2p.json");
	struct p2p_hello h;

	cr_assert_eq(decode(v, "messages.hello_eip8.payload", &h), 0);
	/* A version from the future (its note says 22, its bytes 55). */
	cr_assert_eq(h.version, 55);
	cr_assert(!h.caps[CAP_SHH] && !h.caps[CAP_WAKU] && !h.caps[CAP_WMPAY]);

	cr_assert_eq(decode(v, "messages.hello_server.payload", &h), 0);
	cr_assert_eq(h.version, 5);
	cr_assert_str_eq(h.client, "example-mailserver/0.1");
	cr_assert(h.caps[CAP_SHH] && h.caps[CAP_WAKU] && !h.caps[CAP_WMPAY]);
	cr_assert_eq(h.port, 30303);
	assert_key(&h, v, "identities.server.public");

	cr_assert_eq(decode(v, "messages.hello_client.payload", &h), 0);
	cr_assert(!h.caps[CAP_SHH] && h.caps[CAP_WAKU]);
	cr_assert_eq(h.port, 0);
	assert_key(&h, v, "identities.client.public");

	cr_assert_eq(decode(v, "messages.hello_v4.payload", &h), 0);
	cr_assert_eq(h.version, 4);
	json_decref(v);
}

Test(hello, ours_is_the_published_one_to_the_byte)
{
	json_t *v = vectors_load("devp2p.json");
	struct hex want = vectors_hex(v, "messages.hello_server.payload");
	uint8_t out[P2P_HELLO_MAX];
	struct p2p_hello h;

	cr_assert_eq(p2p_hello_decode(want.bytes, want.len, &h), 0);
	cr_assert_eq(p2p_hello_encode(&h, out), want.len);
	cr_assert_arr_eq(out, want.bytes, want.len);
	hex_release(&want);
	json_decref(v);
}

Test(hello, every_truncation_is_refused)
{
	json_t *v = vectors_load("devp2p.json");
	struct hex in = vectors_hex(v, "messages.hello_server.payload");
	struct p2p_hello h;

	for (size_t len = 0; len < in.len; len++) {
		struct hex cut = {.bytes = malloc(len + !len), .len = len};

		memcpy(cut.bytes, in.bytes, len);
		cr_assert_neq(p2p_hello_decode(cut.bytes, len, &h), 0);
		hex_release(&cut);
	}
	hex_release(&in);
	json_decref(v);
}

/* A Hello of free shape; `key_len` bytes of key, each `fill`. */
static size_t make_hello(uint8_t *out, size_t cap, const char *client,
			 unsigned caps, size_t key_len, uint8_t fill)
{
	struct rlp_writer w = rlp_writer(out, cap);
	uint8_t key[128];
	size_t len = 0;

	memset(key, fill, sizeof(key));
	rlp_put_list(&w);
	rlp_put_u64(&w, 5);
	rlp_put_string(&w, client, strlen(client));
	rlp_put_list(&w);
	for (unsigned i = 0; i < caps; i++) {
		rlp_put_list(&w);
		rlp_put_string(&w, "waku", 4);
		rlp_put_u64(&w, 1);
		rlp_put_string(&w, "extra", 5);
		rlp_put_list_end(&w);
	}
	rlp_put_list_end(&w);
	rlp_put_u64(&w, 70000);
	rlp_put_string(&w, key, key_len);
	rlp_put_list_end(&w);
	cr_assert_eq(rlp_put_end(&w, &len), 0);
	return len;
}

Test(hello, a_null_or_misshapen_key_is_told_apart)
{
	uint8_t in[4096];
	struct p2p_hello h;
	size_t len;

	len = make_hello(in, sizeof(in), "x", 1, 64, 0);
	cr_assert_eq(p2p_hello_decode(in, len, &h), ERR_AUTH);
	len = make_hello(in, sizeof(in), "x", 1, 63, 1);
	cr_assert_eq(p2p_hello_decode(in, len, &h), ERR_AUTH);
	len = make_hello(in, sizeof(in), "x", 1, 65, 1);
	cr_assert_eq(p2p_hello_decode(in, len, &h), ERR_AUTH);
	len = make_hello(in, sizeof(in), "x", 1, 64, 1);
	cr_assert_eq(p2p_hello_decode(in, len, &h), 0);
}

Test(hello, odd_but_honest_ones_are_taken)
{
	uint8_t in[4096];
	struct p2p_hello h;
	char name[300];
	size_t len;

	/* The same capability many times, more elements in each pair, an
	 * impossible port. */
	len = make_hello(in, sizeof(in), "a\nb\"\x80", 40, 64, 1);
	cr_assert_eq(p2p_hello_decode(in, len, &h), 0);
	cr_assert_str_eq(h.client, "a?b\"?");
	cr_assert(h.caps[CAP_WAKU]);
	cr_assert_eq(h.port, 0);

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	len = make_hello(in, sizeof(in), name, 1, 64, 1);
	cr_assert_eq(p2p_hello_decode(in, len, &h), 0);
	cr_assert_eq(strlen(h.client), P2P_CLIENT_MAX);
}

Test(hello, above_the_limit_is_refused)
{
	uint8_t in[4096];
	struct p2p_hello h;
	size_t len = make_hello(in, sizeof(in), "x", 160, 64, 1);

	cr_assert_gt(len, P2P_HELLO_MAX);
	cr_assert_eq(p2p_hello_decode(in, len, &h), ERR_SYNTAX);
}

Test(hello, the_longest_of_ours_fits)
{
	struct p2p_hello h = {.version = P2P_VERSION, .port = 65535};
	struct p2p_hello back;
	uint8_t out[P2P_HELLO_MAX];
	size_t len;

	memset(h.client, 'c', P2P_CLIENT_MAX);
	memset(h.public, 7, sizeof(h.public));
	for (unsigned i = 0; i < CAP_COUNT; i++)
		h.caps[i] = true;
	len = p2p_hello_encode(&h, out);
	cr_assert_eq(p2p_hello_decode(out, len, &back), 0);
	cr_assert_eq(memcmp(&h, &back, sizeof(h)), 0);
}

Test(disconnect, all_deployed_forms_are_read)
{
	json_t *v = vectors_load("devp2p.json");
	json_t *forms = vectors_get(v, "messages.disconnect_forms_seen");
	static const unsigned want[] = {4, 4, 0, 4, 0};
	json_t *form;
	size_t i;

	json_array_foreach(forms, i, form)
	{
		struct hex in = vectors_hex(form, "payload");

		cr_assert_lt(i, 5);
		cr_assert_eq(p2p_disconnect_decode(in.bytes, in.len), want[i]);
		hex_release(&in);
	}
	json_decref(v);
}

static unsigned reason_of(const char *text)
{
	struct hex in = hex_from_text(text);
	unsigned reason = p2p_disconnect_decode(in.bytes, in.len);

	hex_release(&in);
	return reason;
}

Test(disconnect, nonsense_is_reason_zero)
{
	cr_assert_eq(reason_of("c110"), 0x10);
	cr_assert_eq(reason_of("c180"), 0);
	cr_assert_eq(reason_of("80"), 0);
	cr_assert_eq(reason_of("c1"), 0);
	cr_assert_eq(reason_of("c2c104"), 0);
	cr_assert_eq(reason_of("c3820100"), 0);
	cr_assert_eq(reason_of("ff"), 0);
	cr_assert_eq(reason_of("bfffffffffffffffff"), 0);
}

static void read_caps(json_t *list, bool caps[CAP_COUNT])
{
	json_t *cap;
	size_t i;

	memset(caps, 0, CAP_COUNT * sizeof(bool));
	json_array_foreach(list, i, cap)
	{
		const char *name = json_string_value(json_array_get(cap, 0));
		json_int_t version = json_integer_value(json_array_get(cap, 1));

		for (unsigned k = 0; k < CAP_COUNT; k++)
			if (strcmp(name, cap_infos[k].name) == 0 &&
			    version == cap_infos[k].version)
				caps[k] = true;
	}
}

static void assert_offset(json_t *result, const char *name,
			  const struct cap_map *map, enum cap cap)
{
	json_t *want = json_object_get(result, name);
	unsigned first, last, code;
	enum cap found;

	if (!want) {
		cr_assert_eq(map->offset[cap], 0);
		return;
	}
	first = (unsigned)vectors_u64(want, "first_id");
	last = (unsigned)vectors_u64(want, "last_id");
	cr_assert_eq(map->offset[cap], vectors_u64(want, "offset"));
	cr_assert_eq(cap_infos[cap].length, vectors_u64(want, "length"));
	cr_assert(cap_map_find(map, first, &found, &code));
	cr_assert(found == cap && code == 0);
	cr_assert(cap_map_find(map, last, &found, &code));
	cr_assert(found == cap && code == 127);
}

Test(cap_map, the_published_offsets)
{
	json_t *v = vectors_load("devp2p.json");
	json_t *one;
	size_t i;

	json_array_foreach(vectors_get(v, "offsets"), i, one)
	{
		json_t *result = vectors_get(one, "result");
		bool ours[CAP_COUNT], theirs[CAP_COUNT];
		struct cap_map map;

		read_caps(vectors_get(one, "local_caps"), ours);
		read_caps(vectors_get(one, "remote_caps"), theirs);
		cr_assert_eq(cap_map_make(ours, theirs, &map),
			     json_object_size(result));
		assert_offset(result, "shh/6", &map, CAP_SHH);
		assert_offset(result, "waku/1", &map, CAP_WAKU);
	}
	json_decref(v);
}

Test(cap_map, ids_outside_belong_to_nobody)
{
	bool all[CAP_COUNT] = {true, true, true};
	struct cap_map map;
	unsigned code;
	enum cap cap;

	cr_assert_eq(cap_map_make(all, all, &map), 3);
	cr_assert_eq(map.offset[CAP_WMPAY], 272);
	cr_assert_eq(map.end, 280);
	cr_assert(cap_map_find(&map, 279, &cap, &code));
	cr_assert(cap == CAP_WMPAY && code == 7);
	cr_assert(!cap_map_find(&map, 280, &cap, &code));
	cr_assert(!cap_map_find(&map, 15, &cap, &code));
	cr_assert(!cap_map_find(&map, 0, &cap, &code));
	cr_assert(!cap_map_find(&map, UINT64_MAX, &cap, &code));
}

static void assert_id(uint64_t id, const char *text)
{
	struct hex want = hex_from_text(text);
	uint8_t out[9];
	uint64_t back;
	size_t used;

	cr_assert_eq(p2p_id_encode(id, out), want.len);
	cr_assert_arr_eq(out, want.bytes, want.len);
	cr_assert_eq(p2p_id_decode(want.bytes, want.len, &back, &used), 0);
	cr_assert(back == id && used == want.len);
	hex_release(&want);
}

static int id_err(const char *text)
{
	struct hex in = hex_from_text(text);
	uint64_t id;
	size_t used;
	int err = p2p_id_decode(in.bytes, in.len, &id, &used);

	hex_release(&in);
	return err;
}

Test(message_id, is_a_canonical_integer)
{
	assert_id(0, "80");
	assert_id(1, "01");
	assert_id(16, "10");
	assert_id(143, "818f");
	assert_id(271, "82010f");
	cr_assert_eq(id_err(""), ERR_SYNTAX);
	cr_assert_eq(id_err("00"), ERR_SYNTAX);
	cr_assert_eq(id_err("8101"), ERR_SYNTAX);
	cr_assert_eq(id_err("820001"), ERR_SYNTAX);
	cr_assert_eq(id_err("81"), ERR_SYNTAX);
	cr_assert_eq(id_err("c0"), ERR_SYNTAX);
	cr_assert_eq(id_err("89ffffffffffffffffff"), ERR_SYNTAX);
}

Test(reason, every_number_has_words)
{
	cr_assert_str_eq(p2p_reason_str(P2P_TOO_MANY), "too many peers");
	cr_assert_str_eq(p2p_reason_str(0x0c), "unknown reason");
}
