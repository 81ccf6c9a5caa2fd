/*
 * Many senders, one reader that sleeps: nothing is lost, order holds for each
 * sender, the bound holds, a nudge always ends the wait.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mailbox.h"

#define SENDERS 4
#define LETTERS 20000u
#define BOX_MAX 64

struct note {
	struct letter letter; /* first, so that a letter is a note */
	unsigned sender;
	unsigned number;
};

static struct mailbox box;
static atomic_uint refused;
static atomic_bool is_over;
static unsigned next_number[SENDERS];

static void *send_notes(void *arg)
{
	unsigned sender = *(const unsigned *)arg;

	for (unsigned i = 0; i < LETTERS; i++) {
		struct note *note = malloc(sizeof(*note));

		assert(note);
		note->sender = sender;
		note->number = i;
		if (i % 1000 == 999) {
			mailbox_put_always(&box, &note->letter);
			continue;
		}
		while (mailbox_put(&box, &note->letter)) {
			atomic_fetch_add(&refused, 1);
			(void)sched_yield();
		}
	}
	return NULL;
}

static unsigned read_notes(void)
{
	struct letter *letter = mailbox_take_all(&box);
	unsigned count = 0;

	while (letter) {
		struct note *note = (struct note *)letter;

		letter = letter->next;
		assert(note->number == next_number[note->sender]);
		next_number[note->sender]++;
		count++;
		free(note);
	}
	/* The bound, and what put_always() may add to it. */
	assert(count <= BOX_MAX + SENDERS);
	return count;
}

static void *read_all(void *arg)
{
	(void)arg;
	while (!atomic_load(&is_over)) {
		mailbox_wait(&box, 60000);
		(void)read_notes();
	}
	(void)read_notes();
	return NULL;
}

int main(void)
{
	pthread_t senders[SENDERS];
	unsigned numbers[SENDERS];
	pthread_t reader;

	mailbox_init(&box, BOX_MAX, NULL, NULL);
	assert(pthread_create(&reader, NULL, read_all, NULL) == 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		numbers[i] = i;
		assert(pthread_create(&senders[i], NULL, send_notes,
				      &numbers[i]) == 0);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		assert(pthread_join(senders[i], NULL) == 0);
	atomic_store(&is_over, true);
	mailbox_nudge(&box);
	assert(pthread_join(reader, NULL) == 0);
	for (unsigned i = 0; i < SENDERS; i++)
		assert(next_number[i] == LETTERS);
	assert(mailbox_count(&box) == 0);
	printf("%u letters, %u refusals\n", SENDERS * LETTERS,
	       atomic_load(&refused));
	return 0;
}
