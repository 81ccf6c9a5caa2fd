#include "core/keccak.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/keccak_kernel.h"
#include "tests/support/vectors.h"

static void expect_digest(const uint8_t *digest, json_t *obj, const char *path)
{
	struct hex want = vectors_hex(obj, path);

	cr_assert_eq(want.len, KECCAK_DIGEST);
	cr_assert_arr_eq(digest, want.bytes, KECCAK_DIGEST, "%s", path);
	hex_release(&want);
}

Test(keccak, hashes_the_published_vectors)
{
	json_t *root = vectors_load("keccak256.json");
	json_t *entry;
	size_t i;

	json_array_foreach(vectors_get(root, "vectors"), i, entry)
	{
		struct hex in = vectors_hex(entry, "input");
		uint8_t digest[KECCAK_DIGEST];

		keccak256(in.bytes, in.len, digest);
		expect_digest(digest, entry, "keccak256");
		hex_release(&in);
	}
	json_array_foreach(vectors_get(root, "topics"), i, entry)
	{
		const char *name = vectors_text(entry, "name");
		uint8_t digest[KECCAK_DIGEST];

		keccak256(name, strlen(name), digest);
		expect_digest(digest, entry, "keccak256");
	}
	json_decref(root);
}

Test(keccak, peeking_leaves_the_state_alone)
{
	json_t *root = vectors_load("keccak256.json");
	struct keccak k;
	json_t *entry;
	size_t i;

	keccak_init(&k);
	json_array_foreach(vectors_get(root, "running_state"), i, entry)
	{
		const char *text = vectors_text(entry, "absorb_ascii");
		uint8_t digest[KECCAK_DIGEST];

		keccak_absorb(&k, text, strlen(text));
		keccak_peek(&k, digest);
		expect_digest(digest, entry, "digest_now");
	}
	json_decref(root);
}

Test(keccak, a_batch_is_the_hash_of_the_payload)
{
	json_t *envelopes = vectors_load("envelopes.json");
	json_t *confirmations = vectors_load("confirmations.json");
	struct hex payload = vectors_hex(envelopes, "messages_packet.payload");
	uint8_t digest[KECCAK_DIGEST];

	keccak256(payload.bytes, payload.len, digest);
	expect_digest(digest, envelopes, "messages_packet.batch_hash");
	expect_digest(digest, confirmations, "batch_payload_keccak256");
	hex_release(&payload);
	json_decref(envelopes);
	json_decref(confirmations);
}

Test(keccak, pieces_of_any_size_make_the_same_digest)
{
	static uint8_t in[1000];
	uint8_t whole[KECCAK_DIGEST], pieces[KECCAK_DIGEST];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / 251);
	keccak256(in, sizeof(in), whole);
	for (size_t piece = 1; piece < 300; piece++) {
		struct keccak k;

		keccak_init(&k);
		for (size_t at = 0; at < sizeof(in); at += piece) {
			size_t left = sizeof(in) - at;

			keccak_absorb(&k, in + at, left < piece ? left : piece);
		}
		keccak_peek(&k, pieces);
		cr_assert_arr_eq(whole, pieces, KECCAK_DIGEST, "piece %zu",
				 piece);
	}
}

#define JOBS_MAX 80
#define IN_MAX   3000

struct random {
	uint64_t state;
};

static uint32_t random_below(struct random *random, uint32_t bound)
{
	random->state =
		random->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random->state >> 33) % bound);
}

/* Short, long, and none at all, at exact size so that ASan sees overruns. */
static struct hex random_bytes(struct random *random)
{
	uint32_t bound = random_below(random, 4) ? 300 : IN_MAX;
	struct hex in = {.len = random_below(random, bound)};

	in.bytes = malloc(in.len ? in.len : 1);
	for (size_t i = 0; i < in.len; i++)
		in.bytes[i] = (uint8_t)random_below(random, 256);
	return in;
}

static void expect_hash_many(struct random *random, size_t count)
{
	struct keccak_hash_job jobs[JOBS_MAX] = {0};
	uint8_t got[JOBS_MAX][KECCAK_DIGEST], want[KECCAK_DIGEST];
	struct hex in[JOBS_MAX];

	for (size_t i = 0; i < count; i++) {
		in[i] = random_bytes(random);
		jobs[i] = (struct keccak_hash_job){
			.in = in[i].bytes,
			.len = in[i].len,
			.tail = {1, 2, 3, 4, 5, 6, 7, (uint8_t)i},
			.tail_len = random_below(random, 9),
			.out = got[i],
		};
	}
	keccak256_many(jobs, count);
	for (size_t i = 0; i < count; i++) {
		struct keccak k;

		keccak_init(&k);
		keccak_absorb(&k, in[i].bytes, in[i].len);
		keccak_absorb(&k, jobs[i].tail, jobs[i].tail_len);
		keccak_peek(&k, want);
		cr_assert_arr_eq(got[i], want, KECCAK_DIGEST, "%zu of %zu", i,
				 count);
		hex_release(&in[i]);
	}
}

static void expect_absorb_many(struct random *random, size_t count)
{
	struct keccak_absorb_job jobs[JOBS_MAX] = {0};
	struct keccak_peek_job peeks[JOBS_MAX] = {0};
	struct keccak got[JOBS_MAX], want[JOBS_MAX];
	uint8_t digests[JOBS_MAX][KECCAK_DIGEST], digest[KECCAK_DIGEST];
	struct hex in[JOBS_MAX];

	for (size_t i = 0; i < count; i++) {
		struct hex before = random_bytes(random);

		keccak_init(&got[i]);
		keccak_absorb(&got[i], before.bytes, before.len);
		want[i] = got[i];
		hex_release(&before);
		in[i] = random_bytes(random);
		keccak_absorb(&want[i], in[i].bytes, in[i].len);
		jobs[i] = (struct keccak_absorb_job){&got[i], in[i].bytes,
						     in[i].len};
		peeks[i] = (struct keccak_peek_job){&got[i], digests[i]};
	}
	keccak_absorb_many(jobs, count);
	keccak_peek_many(peeks, count);
	for (size_t i = 0; i < count; i++) {
		cr_assert_eq(got[i].pos, want[i].pos);
		cr_assert_arr_eq(got[i].lanes, want[i].lanes,
				 sizeof(want[i].lanes), "%zu of %zu", i, count);
		keccak_peek(&want[i], digest);
		cr_assert_arr_eq(digests[i], digest, KECCAK_DIGEST);
		hex_release(&in[i]);
	}
}

Test(keccak, many_at_a_time_are_as_one_after_the_other)
{
	struct random random = {1};

	for (unsigned width = 1; width <= 8;
	     width = width < 4 ? 4 : width * 2) {
		cr_assert_leq(keccak_set_width(width), width);
		for (size_t count = 0; count <= 20; count++) {
			expect_hash_many(&random, count);
			expect_absorb_many(&random, count);
		}
		expect_hash_many(&random, JOBS_MAX);
		expect_absorb_many(&random, JOBS_MAX);
	}
}

Test(keccak, more_jobs_than_are_ordered_at_once)
{
	static struct keccak_hash_job jobs[1100];
	static uint8_t in[1100], got[1100][KECCAK_DIGEST];
	uint8_t want[KECCAK_DIGEST];

	for (size_t i = 0; i < 1100; i++)
		jobs[i] = (struct keccak_hash_job){
			.in = in, .len = i, .out = got[i]};
	keccak256_many(jobs, 1100);
	for (size_t i = 0; i < 1100; i++) {
		keccak256(in, i, want);
		cr_assert_arr_eq(got[i], want, KECCAK_DIGEST, "%zu", i);
	}
}

Test(keccak, the_width_is_never_more_than_asked_for)
{
	unsigned most = keccak_width();

	cr_assert_eq(keccak_set_width(0), 1);
	cr_assert_eq(keccak_set_width(3), 1);
	cr_assert_leq(keccak_set_width(7), 4);
	cr_assert_eq(keccak_set_width(100), most);
	cr_assert_eq(keccak_width(), most);
}

static void expect_single(keccak_single_fn run)
{
	struct random random = {7};
	uint64_t got[25], want[25];
	uint8_t in[3 * KECCAK_RATE];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)random_below(&random, 256);
	for (unsigned i = 0; i < 25; i++)
		got[i] = want[i] = (uint64_t)random_below(&random, 1u << 30)
				   << random_below(&random, 34);
	keccak_single_plain(want, in, 3);
	run(got, in, 3);
	cr_assert_arr_eq(got, want, sizeof(want));
}

static void expect_wide(keccak_wide_fn run, unsigned width)
{
	static uint8_t in[KECCAK_LANES_MAX][2 * KECCAK_RATE];
	const uint8_t *ins[KECCAK_LANES_MAX];
	uint64_t want[KECCAK_LANES_MAX][25];
	struct random random = {9};
	struct keccak_wide wide;

	for (unsigned i = 0; i < KECCAK_LANES_MAX; i++) {
		ins[i] = in[i];
		for (unsigned j = 0; j < 2 * KECCAK_RATE; j++)
			in[i][j] = (uint8_t)random_below(&random, 256);
		for (unsigned w = 0; w < 25; w++) {
			want[i][w] = random_below(&random, 1u << 30);
			wide.words[w][i] = want[i][w];
		}
		keccak_single_plain(want[i], in[i], 2);
	}
	run(&wide, ins, 2);
	for (unsigned i = 0; i < width; i++)
		for (unsigned w = 0; w < 25; w++)
			cr_assert_eq(wide.words[w][i], want[i][w]);
}

Test(keccak, every_kernel_this_processor_has_agrees_with_the_plain_one)
{
	expect_single(keccak_single);
#if defined(__x86_64__)
	if (keccak_has_bmi())
		expect_single(keccak_single_bmi);
	if (keccak_has_avx2())
		expect_wide(keccak_x4_avx2, 4);
	if (keccak_has_avx512()) {
		expect_single(keccak_single_avx512);
		expect_wide(keccak_x4_avx512, 4);
		expect_wide(keccak_x8_avx512, 8);
	}
#endif
}
