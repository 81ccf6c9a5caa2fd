#include "core/enode.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/keccak.h"
#include "tests/support/vectors.h"

static const char key[] =
	"e6ea165a45778cb2409e9e34808b084b37da9ad9f8b9d9852d3222fd0c2ff76d"
	"baf222dd71bc7b1a25af9b35fc9a310c7a0cc4be788b109140c1dc73fdc05e25";

static void check_round_trip(const char *text)
{
	struct enode enode;
	char out[ENODE_TEXT_MAX];

	cr_assert_eq(enode_decode(text, &enode), 0, "%s", text);
	cr_assert_eq(enode_encode(&enode, out), strlen(text));
	cr_assert_str_eq(out, text);
}

Test(enode, the_vectors_are_read_and_written_alike)
{
	json_t *file = vectors_load("discovery.json");
	json_t *urls = vectors_get(file, "enode_urls");
	struct enode enode;

	check_round_trip(vectors_text(urls, "server"));
	check_round_trip(vectors_text(urls, "separate_udp"));
	check_round_trip(vectors_text(urls, "ipv6"));
	check_round_trip(vectors_text(urls, "id_only"));
	cr_assert_eq(enode_decode(vectors_text(urls, "separate_udp"), &enode),
		     0);
	cr_assert_neq(enode.tcp, enode.udp);
	cr_assert_eq(enode_decode(vectors_text(urls, "ipv6"), &enode), 0);
	cr_assert_null(strpbrk(enode.host, "[]"));
	cr_assert_eq(enode.tcp, enode.udp);
	json_decref(file);
}

Test(enode, the_bad_vectors_are_refused)
{
	json_t *file = vectors_load("discovery.json");
	size_t i;
	json_t *v;
	struct enode enode;

	json_array_foreach(vectors_get(file, "enode_urls.must_fail"), i, v)
	{
		const char *text = json_string_value(v);

		cr_assert_lt(enode_decode(text, &enode), 0, "%s", text);
	}
	cr_assert_geq(i, 4);
	json_decref(file);
}

/* A URL with the key and what follows it. */
static int decode(const char *rest, struct enode *out)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "enode://%s%s", key, rest);
	return enode_decode(text, out);
}

Test(enode, both_cases_and_the_bare_key_are_read)
{
	char upper[sizeof(key)];
	char out[ENODE_TEXT_MAX];
	struct enode enode;

	for (size_t i = 0; i < sizeof(key); i++)
		upper[i] = (char)toupper((unsigned char)key[i]);
	cr_assert_eq(enode_decode(upper, &enode), 0);
	cr_assert_str_eq(enode.host, "");
	cr_assert_eq(enode.tcp, 0);
	cr_assert_eq(enode.udp, 0);
	(void)enode_encode(&enode, out);
	cr_assert_str_eq(out + strlen("enode://"), key);
	cr_assert_eq(decode("@Mail.Example.ORG:443", &enode), 0);
	cr_assert_str_eq(enode.host, "mail.example.org");
	cr_assert_eq(decode("@1.2.3.4:0?discport=65535", &enode), 0);
	cr_assert_eq(enode.tcp, 0);
	cr_assert_eq(enode.udp, 65535);
}

Test(enode, malformed_text_is_refused)
{
	static const char *const syntax[] = {
		"",
		"enode://",
		"%sa",
		"%s@1.2.3.4:1",
		"ENODE://%s",
		"enode:/%s",
		" enode://%s",
		"enode://%s ",
		"enode://%s@",
		"enode://%s@:1",
		"enode://%s@1.2.3.4",
		"enode://%s@1.2.3.4:",
		"enode://%s@1.2.3.4:+1",
		"enode://%s@1.2.3.4: 1",
		"enode://%s@1.2.3.4:1x",
		"enode://%s@1.2.3.4:1/",
		"enode://%s@1.2.3.4:1?",
		"enode://%s@1.2.3.4:1?discport=",
		"enode://%s@1.2.3.4:1?discport=1&a=b",
		"enode://%s?discport=1",
		"enode://%s@::1:1",
		"enode://%s@[::1:1",
		"enode://%s@[]:1",
		"enode://%s@[::g]:1",
		"enode://%s@[1.2.3.4]:1",
		"enode://%s@[fe80::1%eth0]:1",
		"enode://%s@a b:1",
		"enode://%s@a\n:1",
		"enode://%s@m\xc3\xa4il:1",
		"enode://%s:password@1.2.3.4:1",
	};
	struct enode enode;

	for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++) {
		char text[1024];
		const char *at = strstr(syntax[i], "%s");

		/* Not a format of printf: the text has its own signs. */
		(void)snprintf(text, sizeof(text), "%.*s%s%s",
			       at ? (int)(at - syntax[i]) : 0, syntax[i],
			       at ? key : "", at ? at + 2 : syntax[i]);
		cr_assert_eq(enode_decode(text, &enode), ERR_SYNTAX, "%s",
			     text);
	}
}

Test(enode, values_out_of_range_are_refused)
{
	char text[1024];
	char host[ENODE_HOST_MAX + 2];
	struct enode enode;

	cr_assert_eq(decode("@a:65536", &enode), ERR_RANGE);
	cr_assert_eq(decode("@a:4294967297", &enode), ERR_RANGE);
	cr_assert_eq(decode("@a:1?discport=65536", &enode), ERR_RANGE);
	memset(text, '0', 128);
	text[128] = '\0';
	cr_assert_eq(enode_decode(text, &enode), ERR_RANGE);
	memset(host, 'a', sizeof(host));
	(void)snprintf(text, sizeof(text), "enode://%s@%.255s:65535?discport=1",
		       key, host);
	check_round_trip(text);
	(void)snprintf(text, sizeof(text), "enode://%s@%.256s:1", key, host);
	cr_assert_eq(enode_decode(text, &enode), ERR_RANGE);
}

Test(enode, a_refusal_leaves_the_result_alone)
{
	struct enode enode = {.tcp = 77};

	cr_assert_eq(decode("@a:1?", &enode), ERR_SYNTAX);
	cr_assert_eq(enode.tcp, 77);
	cr_assert_str_eq(enode.host, "");
}

Test(enode, the_id_is_the_hash_of_the_key)
{
	struct hex public = hex_from_text(key);
	uint8_t want[32];
	uint8_t id[32];

	enode_id(public.bytes, id);
	keccak256(public.bytes, 64, want);
	cr_assert_arr_eq(id, want, sizeof(id));
	hex_release(&public);
}
