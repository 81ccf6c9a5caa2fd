#include "core/aes.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/err.h"
#include "tests/support/vectors.h"

/* NIST SP 800-38A, F.5.1, F.5.5 and F.1.5: keys, counter and four blocks. */
static const char key128[] = "2b7e151628aed2a6abf7158809cf4f3c";
static const char key256[] = "603deb1015ca71be2b73aef0857d7781"
			     "1f352c073b6108d72d9810a30914dff4";
static const char counter[] = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
static const char blocks[] = "6bc1bee22e409f96e93d7e117393172a"
			     "ae2d8a571e03ac9c9eb76fac45af8e51"
			     "30c81c46a35ce411e5fbc1191a0a52ef"
			     "f69f2445df4f9b17ad2b417be66c3710";
static const char ctr128[] = "874d6191b620e3261bef6864990db6ce"
			     "9806f66b7970fdff8617187bb9fffdff"
			     "5ae4df3edbd5d35e5b4f09020db03eab"
			     "1e031dda2fbe03d1792170a0f3009cee";
static const char ctr256[] = "601ec313775789a5b7a7f504bbf3d228"
			     "f443e3ca4d62b59aca84e990cacaf5c5"
			     "2b0930daa23de94ce87017ba2d84988d"
			     "dfc9c58db67aada613c2dd08457941a6";
static const char ecb256[] = "f3eed1bdb5d2a03c064b5a7e3db181f8";

/* In pieces of every length, since the stream runs on between calls. */
static void check_ctr(const char *key_text, const char *want_text)
{
	struct hex key = hex_from_text(key_text);
	struct hex iv = hex_from_text(counter);
	struct hex in = hex_from_text(blocks);
	struct hex want = hex_from_text(want_text);

	for (size_t piece = 1; piece <= in.len; piece++) {
		struct aes_ctr *ctr = aes_ctr_new(key.bytes, key.len, iv.bytes);
		uint8_t out[64];

		memcpy(out, in.bytes, sizeof(out));
		for (size_t at = 0; at < in.len; at += piece) {
			size_t left = in.len - at;

			aes_ctr_apply(ctr, out + at, out + at,
				      left < piece ? left : piece);
			aes_ctr_apply(ctr, NULL, NULL, 0);
		}
		cr_assert_arr_eq(out, want.bytes, sizeof(out));
		aes_ctr_free(ctr);
	}
	hex_release(&key);
	hex_release(&iv);
	hex_release(&in);
	hex_release(&want);
}

Test(aes, ctr_gives_the_published_streams_in_any_pieces)
{
	for (unsigned own = 0; own < 2; own++) {
		(void)aes_set_own(own);
		check_ctr(key128, ctr128);
		check_ctr(key256, ctr256);
	}
}

/* The same by the other way, in pieces of all sizes from a counter. */
static void compare_ways(const uint8_t iv[static 16], size_t seed)
{
	uint8_t key[32], out[2][8192];
	struct aes_ctr *ctr[2];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(seed * 31 + i * 7);
	for (unsigned own = 0; own < 2; own++) {
		(void)aes_set_own(own);
		ctr[own] = aes_ctr_new(key, sizeof(key), iv);
		for (size_t i = 0; i < sizeof(out[own]); i++)
			out[own][i] = (uint8_t)(i * seed >> 3);
		for (size_t at = 0, piece = seed; at < sizeof(out[own]);
		     at += piece, piece = piece * 5 % 1399 + 1) {
			size_t left = sizeof(out[own]) - at;

			aes_ctr_apply(ctr[own], out[own] + at, out[own] + at,
				      left < piece ? left : piece);
		}
		aes_ctr_free(ctr[own]);
	}
	cr_assert_arr_eq(out[0], out[1], sizeof(out[0]));
}

Test(aes, the_processor_and_the_library_give_the_same)
{
	uint8_t iv[16];

	for (size_t seed = 1; seed < 300; seed++) {
		/* So that the low half of the counter ends on the way. */
		memset(iv, seed % 3 ? 0xff : (int)seed, sizeof(iv));
		iv[15] = (uint8_t)(seed * 13);
		compare_ways(iv, seed);
	}
}

Test(aes, a_block_is_the_same_by_the_processor_and_by_the_library)
{
	uint8_t key[32] = {0}, in[16] = {0}, out[2][16];

	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned own = 0; own < 2; own++) {
			struct aes_block *block;

			(void)aes_set_own(own);
			block = aes_block_new(key);
			aes_block_encrypt(block, in, out[own]);
			aes_block_free(block);
		}
		cr_assert_arr_eq(out[0], out[1], 16);
		memcpy(in, out[0], sizeof(in));
		memcpy(key + i % 17, out[0], 15);
	}
}

static void check_carry(void)
{
	uint8_t key[32] = {1};
	uint8_t iv[16];
	uint8_t stream[32] = {0};
	uint8_t want[16];
	uint8_t zero[16] = {0};
	struct aes_ctr *ctr;
	struct aes_block *block = aes_block_new(key);

	memset(iv, 0xff, sizeof(iv));
	ctr = aes_ctr_new(key, sizeof(key), iv);
	aes_ctr_apply(ctr, stream, stream, sizeof(stream));
	aes_block_encrypt(block, zero, want);
	cr_assert_arr_eq(stream + 16, want, sizeof(want));
	aes_block_free(block);
	aes_ctr_free(ctr);
	aes_block_free(NULL);
	aes_ctr_free(NULL);
}

Test(aes, the_counter_carries_through_all_its_bytes)
{
	for (unsigned own = 0; own < 2; own++) {
		(void)aes_set_own(own);
		check_carry();
	}
}

Test(aes, one_block_gives_the_published_bytes_each_time)
{
	struct hex key = hex_from_text(key256);
	struct hex in = hex_from_text(blocks);
	struct hex want = hex_from_text(ecb256);
	struct aes_block *block = aes_block_new(key.bytes);
	uint8_t out[16];

	for (unsigned i = 0; i < 3; i++) {
		memcpy(out, in.bytes, sizeof(out));
		aes_block_encrypt(block, out, out);
		cr_assert_arr_eq(out, want.bytes, sizeof(out));
	}
	aes_block_free(block);
	hex_release(&key);
	hex_release(&in);
	hex_release(&want);
}

/* Test cases 13 and 14 of the GCM submission to NIST. */
Test(aes, gcm_gives_the_published_tags)
{
	struct hex none = hex_from_text("530f8afbc74536b9a963b4f1c4cb738b");
	struct hex ct = hex_from_text("cea7403d4d606b6e074ec5d3baf39d18");
	struct hex one = hex_from_text("d0d1c8a799996bf0265b98b5d48ab919");
	uint8_t key[32] = {0};
	uint8_t nonce[12] = {0};
	uint8_t in[16] = {0};
	uint8_t out[16];
	uint8_t tag[16];

	cr_assert_eq(aes_gcm_seal(key, nonce, NULL, 0, NULL, tag), 0);
	cr_assert_arr_eq(tag, none.bytes, 16);
	cr_assert_eq(aes_gcm_open(key, nonce, NULL, 0, tag, NULL), 0);
	cr_assert_eq(aes_gcm_seal(key, nonce, in, 16, out, tag), 0);
	cr_assert_arr_eq(out, ct.bytes, 16);
	cr_assert_arr_eq(tag, one.bytes, 16);
	hex_release(&none);
	hex_release(&ct);
	hex_release(&one);
}

Test(aes, gcm_gives_nothing_away_when_a_bit_is_wrong)
{
	uint8_t key[32] = {3};
	uint8_t nonce[12] = {4};
	uint8_t in[40] = "forty bytes that nobody else should see";
	uint8_t zero[40] = {0};
	uint8_t ct[40];
	uint8_t out[40];
	uint8_t tag[16];

	cr_assert_eq(aes_gcm_seal(key, nonce, in, sizeof(in), ct, tag), 0);
	for (size_t bit = 0; bit < 8 * sizeof(ct); bit++) {
		ct[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(aes_gcm_open(key, nonce, ct, sizeof(ct), tag, out),
			     ERR_AUTH);
		cr_assert_arr_eq(out, zero, sizeof(zero));
		ct[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(tag); bit++) {
		tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(aes_gcm_open(key, nonce, ct, sizeof(ct), tag, out),
			     ERR_AUTH);
		tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert_eq(aes_gcm_open(key, nonce, ct, sizeof(ct), tag, out), 0);
	cr_assert_arr_eq(out, in, sizeof(in));
}
