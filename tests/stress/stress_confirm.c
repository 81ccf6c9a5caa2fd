/*
 * Confirmations against an archive that commits when it is told to: a packet
 * is confirmed after the commit of what it brought and never before, also when
 * all of it is on its way to the disk already in a packet of somebody else;
 * and when a commit fails nobody is confirmed for it.
 *
 * The functions of storage/archive.h that the node calls are here, in place of
 * the archive's.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/envelope.h"
#include "core/err.h"
#include "core/keccak.h"
#include "net/client.h"
#include "net/node.h"
#include "storage/archive.h"

#define CHECK(what)   check((what), #what, __LINE__)
#define HELD_MAX      16u
#define WAIT_MS       20000u
#define QUIET_MS      400u /* more than a round of a ring and a tick */
#define IMPATIENT_MS  1500u
#define TTL_S         100u
#define DATA_SIZE     100u
#define LETTER_SIZE   200u
#define LETTERS_MAX   2u
#define POW_OF_NOBODY 0.0

static const char *scene = "start";

static void check(bool is_so, const char *what, int line)
{
	if (is_so)
		return;
	(void)fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, line, scene,
		      what);
	abort();
}

static void sleep_ms(unsigned ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000,
				       .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&pause, NULL);
}

/* ---- an archive whose commits take as long as we like ---- */

struct archive {
	pthread_mutex_t lock;
	struct archive_batch *held[HELD_MAX]; /* in the order of their coming */
	unsigned count;
};

static struct archive store = {.lock = PTHREAD_MUTEX_INITIALIZER};

int archive_put(struct archive *archive, struct archive_batch *batch)
{
	int err = 0;

	pthread_mutex_lock(&archive->lock);
	if (archive->count == HELD_MAX)
		err = ERR_FULL;
	else
		archive->held[archive->count++] = batch;
	pthread_mutex_unlock(&archive->lock);
	return err;
}

int archive_read(struct archive *archive, struct archive_step *step)
{
	(void)archive;
	(void)step;
	return ERR_FULL;
}

int archive_mark_save(struct archive *archive, const char *name,
		      const char *text)
{
	(void)archive;
	(void)name;
	(void)text;
	return ERR_IO;
}

int archive_mark_load(struct archive *archive, const char *name, char *out,
		      size_t size)
{
	(void)archive;
	(void)name;
	(void)out;
	(void)size;
	return ERR_NOTFOUND;
}

static unsigned held_count(void)
{
	unsigned count;

	pthread_mutex_lock(&store.lock);
	count = store.count;
	pthread_mutex_unlock(&store.lock);
	return count;
}

static void expect_held(unsigned count)
{
	uint64_t until_ms = clock_mono_ms() + WAIT_MS;

	while (held_count() < count && clock_mono_ms() < until_ms)
		sleep_ms(2);
	CHECK(held_count() == count);
}

/* The commit of one ends, well or not. */
static void end_commit(unsigned index, int err)
{
	struct archive_batch *batch;

	pthread_mutex_lock(&store.lock);
	CHECK(index < store.count);
	batch = store.held[index];
	store.count--;
	for (unsigned i = index; i < store.count; i++)
		store.held[i] = store.held[i + 1];
	pthread_mutex_unlock(&store.lock);
	batch->err = err;
	batch->stored = err ? 0 : batch->count;
	batch->done(batch);
}

static bool is_held(unsigned index, const uint8_t hash[static 32])
{
	bool is_there = false;

	pthread_mutex_lock(&store.lock);
	CHECK(index < store.count);
	for (uint32_t i = 0; i < store.held[index]->count; i++)
		if (memcmp(store.held[index]->items[i].hash, hash, 32) == 0)
			is_there = true;
	pthread_mutex_unlock(&store.lock);
	return is_there;
}

/* ---- the node ---- */

static struct secp_key key;
static struct node *node;
static struct sockaddr_in address = {.sin_family = AF_INET};

static void node_begin(void)
{
	struct node_config config;
	char why[256] = "";

	node_config_default(&config);
	config.key = &key;
	config.archive = &store;
	config.rings = 1;
	config.pow_min = POW_OF_NOBODY;
	config.handshakes_ip = (struct node_rate){0, 0};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(&config.listen, &address, sizeof(address));
	config.listen_len = sizeof(address);
	CHECK(node_start(&config, &node, why, sizeof(why)) == 0);
	address.sin_port = htons(node_port(node));
}

/* ---- those who post ---- */

struct letter_bytes {
	uint8_t rlp[LETTER_SIZE];
	size_t size;
	uint8_t hash[32];
};

static void letter_make(struct letter_bytes *letter)
{
	static uint64_t nonce;
	uint8_t data[DATA_SIZE];
	struct envelope env = {.expiry_s = clock_wall_s() + TTL_S,
			       .ttl_s = TTL_S,
			       .nonce = ++nonce,
			       .topic = {{1, 2, 3, 4}},
			       .data_size = sizeof(data)};

	bytes_random(data, sizeof(data));
	letter->size = envelope_encode(&env, data, letter->rlp);
	keccak256(letter->rlp, letter->size, letter->hash);
}

struct sender {
	pthread_t thread;
	enum cap cap;
	const struct letter_bytes *letters[LETTERS_MAX]; /* in one packet */
	unsigned count, next;
	unsigned timeout_ms;
	int err;
	atomic_uint confirmed;
};

static int next_letter(void *ctx, const uint8_t **rlp, size_t *size)
{
	struct sender *s = ctx;

	if (s->next == s->count)
		return 1;
	*rlp = s->letters[s->next]->rlp;
	*size = s->letters[s->next]->size;
	s->next++;
	return 0;
}

static void note_confirmed(void *ctx, const uint8_t *hashes, size_t count)
{
	struct sender *s = ctx;

	(void)hashes;
	atomic_fetch_add(&s->confirmed, (unsigned)count);
}

static void *send_all(void *arg)
{
	struct sender *s = arg;
	struct client_config config;
	struct client_post job = {.per_packet = LETTERS_MAX,
				  .window = 1,
				  .next = next_letter,
				  .confirmed = note_confirmed};
	char why[CLIENT_WHY_MAX] = "";

	client_config_default(&config);
	config.cap = s->cap;
	config.ctx = s;
	config.timeout_ms = s->timeout_ms;
	config.retries_max = 0;
	memcpy(config.server, key.public, SECP_PUBLIC_SIZE);
	memcpy(&config.addr, &address, sizeof(address));
	config.addr_len = sizeof(address);
	s->err = client_post(&config, &job, why);
	return NULL;
}

static void sender_start(struct sender *s, enum cap cap,
			 const struct letter_bytes *one,
			 const struct letter_bytes *two, unsigned timeout_ms)
{
	memset(s, 0, sizeof(*s));
	s->cap = cap;
	s->timeout_ms = timeout_ms;
	s->letters[s->count++] = one;
	if (two)
		s->letters[s->count++] = two;
	CHECK(pthread_create(&s->thread, NULL, send_all, s) == 0);
}

static void expect_confirmed(struct sender *s)
{
	pthread_join(s->thread, NULL);
	CHECK(s->err == 0);
	CHECK(atomic_load(&s->confirmed) == s->count);
}

static void expect_never_confirmed(struct sender *s)
{
	pthread_join(s->thread, NULL);
	CHECK(s->err != 0);
	CHECK(atomic_load(&s->confirmed) == 0);
}

static void expect_silence(struct sender *const *senders, unsigned count)
{
	sleep_ms(QUIET_MS);
	for (unsigned i = 0; i < count; i++)
		CHECK(atomic_load(&senders[i]->confirmed) == 0);
}

/* ---- scenes ---- */

static void a_duplicate_waits_for_a_commit(enum cap first, enum cap second)
{
	struct sender a, b, c, *const all[] = {&a, &b, &c};
	struct letter_bytes one, two;

	scene = "a duplicate waits";
	letter_make(&one);
	letter_make(&two);
	sender_start(&a, first, &one, NULL, WAIT_MS);
	expect_held(1);
	/* All of b is in a's packet, some of c. */
	sender_start(&b, second, &one, NULL, WAIT_MS);
	expect_held(2);
	CHECK(is_held(1, one.hash));
	sender_start(&c, second, &one, &two, WAIT_MS);
	expect_held(3);
	CHECK(is_held(2, one.hash) && is_held(2, two.hash));
	expect_silence(all, 3);

	end_commit(0, 0);
	expect_confirmed(&a);
	expect_silence(all + 1, 2);
	end_commit(0, 0);
	expect_confirmed(&b);
	expect_silence(all + 2, 1);
	end_commit(0, 0);
	expect_confirmed(&c);

	scene = "what is on the disk is confirmed at once";
	sender_start(&a, second, &two, &one, WAIT_MS);
	expect_confirmed(&a);
	CHECK(held_count() == 0);
}

static void a_failed_commit_confirms_nobody(void)
{
	struct sender a, b, c, *const all[] = {&c};
	struct node_stats stats;
	struct letter_bytes one;

	scene = "a failed commit";
	letter_make(&one);
	sender_start(&a, CAP_WAKU, &one, NULL, IMPATIENT_MS);
	expect_held(1);
	sender_start(&b, CAP_SHH, &one, NULL, IMPATIENT_MS);
	expect_held(2);
	end_commit(0, ERR_IO);
	end_commit(0, ERR_IO);
	expect_never_confirmed(&a);
	expect_never_confirmed(&b);
	node_stats(node, &stats);
	CHECK(!stats.is_healthy);

	scene = "once more after a failed commit";
	sender_start(&c, CAP_WAKU, &one, NULL, WAIT_MS);
	expect_held(1);
	CHECK(is_held(0, one.hash));
	expect_silence(all, 1);
	end_commit(0, 0);
	expect_confirmed(&c);
	node_stats(node, &stats);
	CHECK(stats.is_healthy);
}

static void the_first_fails_and_the_second_does_not(void)
{
	struct letter_bytes one;
	struct sender a, b;

	scene = "only the first commit fails";
	letter_make(&one);
	sender_start(&a, CAP_WAKU, &one, NULL, IMPATIENT_MS);
	expect_held(1);
	sender_start(&b, CAP_WAKU, &one, NULL, WAIT_MS);
	expect_held(2);
	end_commit(0, ERR_IO);
	end_commit(0, 0);
	expect_confirmed(&b);
	expect_never_confirmed(&a);
}

int main(void)
{
	secp_key_new(&key);
	node_begin();
	a_duplicate_waits_for_a_commit(CAP_WAKU, CAP_WAKU);
	a_duplicate_waits_for_a_commit(CAP_WAKU, CAP_SHH);
	a_duplicate_waits_for_a_commit(CAP_SHH, CAP_WAKU);
	a_failed_commit_confirms_nobody();
	the_first_fails_and_the_second_does_not();
	node_stop(node);
	return 0;
}
