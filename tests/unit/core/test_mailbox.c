/* A mailbox in one thread; several are in tests/stress. */
#include <criterion/criterion.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/mailbox.h"

static void count_wake(void *ctx)
{
	++*(unsigned *)ctx;
}

Test(mailbox, letters_come_oldest_first)
{
	struct letter letters[3];
	struct mailbox box;
	struct letter *got;

	mailbox_init(&box, 8, NULL, NULL);
	cr_assert_null(mailbox_take_all(&box));
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(mailbox_put(&box, &letters[i]), 0);
	cr_assert_eq(mailbox_count(&box), 3);
	got = mailbox_take_all(&box);
	for (unsigned i = 0; i < 3; i++, got = got->next)
		cr_assert_eq(got, &letters[i]);
	cr_assert_null(got);
	cr_assert_eq(mailbox_count(&box), 0);
}

Test(mailbox, a_full_box_refuses_and_takes_again_later)
{
	struct letter letters[4];
	struct mailbox box;

	mailbox_init(&box, 2, NULL, NULL);
	cr_assert_eq(mailbox_put(&box, &letters[0]), 0);
	cr_assert_eq(mailbox_put(&box, &letters[1]), 0);
	cr_assert_eq(mailbox_put(&box, &letters[2]), ERR_FULL);
	mailbox_put_always(&box, &letters[3]);
	cr_assert_eq(mailbox_count(&box), 3);
	cr_assert_not_null(mailbox_take_all(&box));
	cr_assert_eq(mailbox_put(&box, &letters[2]), 0);
}

Test(mailbox, the_reader_is_told_once_until_it_takes)
{
	struct letter letters[3];
	struct mailbox box;
	unsigned wakes = 0;

	mailbox_init(&box, 8, count_wake, &wakes);
	cr_assert_eq(mailbox_put(&box, &letters[0]), 0);
	cr_assert_eq(mailbox_put(&box, &letters[1]), 0);
	cr_assert_eq(wakes, 1);
	(void)mailbox_take_all(&box);
	cr_assert_eq(mailbox_put(&box, &letters[2]), 0);
	cr_assert_eq(wakes, 2);
	mailbox_nudge(&box);
	cr_assert_eq(wakes, 3);
}

Test(mailbox, waiting_ends_by_letter_nudge_or_time)
{
	struct letter letter;
	struct mailbox box;
	uint64_t began_ms = clock_mono_ms();

	mailbox_init(&box, 8, NULL, NULL);
	cr_assert_eq(mailbox_put(&box, &letter), 0);
	mailbox_wait(&box, 60000);
	(void)mailbox_take_all(&box);
	mailbox_nudge(&box);
	mailbox_wait(&box, 60000);
	cr_assert_lt(clock_mono_ms() - began_ms, 5000);
	began_ms = clock_mono_ms();
	mailbox_wait(&box, 30);
	cr_assert_geq(clock_mono_ms() - began_ms, 25);
}
