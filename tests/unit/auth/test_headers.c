#include "auth/headers.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/bytes.h"

static struct headers headers;

static struct chain_header header(uint64_t number, uint8_t fork)
{
	struct chain_header made = {.number = number};

	be64_store(made.hash, number);
	made.hash[31] = fork;
	be64_store(made.parent, number - 1);
	made.parent[31] = fork;
	return made;
}

static void feed(uint64_t first, uint64_t last, uint8_t fork)
{
	for (uint64_t n = first; n <= last; n++) {
		struct chain_header one = header(n, fork);

		headers_set(&headers, &one, 1);
	}
}

static int fork_of(uint64_t number)
{
	const uint8_t *hash = headers_find(&headers, number);

	return hash ? hash[31] : -1;
}

Test(headers, keeps_the_last_of_them)
{
	headers_init(&headers);
	cr_assert_eq(fork_of(0), -1);
	feed(1000, 1000 + HEADERS_MAX + 9, 0);
	cr_assert_eq(fork_of(1009), -1);
	cr_assert_eq(fork_of(1010), 0);
	cr_assert_eq(fork_of(1000 + HEADERS_MAX + 9), 0);
	cr_assert_eq(fork_of(1000 + HEADERS_MAX + 10), -1);
}

Test(headers, a_fork_replaces_what_it_reaches_and_cuts_the_rest)
{
	headers_init(&headers);
	feed(100, 120, 0);
	feed(110, 115, 1);
	cr_assert_eq(fork_of(109), 0);
	cr_assert_eq(fork_of(110), 1);
	cr_assert_eq(fork_of(115), 1);
	cr_assert_eq(fork_of(116), -1);
}

Test(headers, a_fork_below_all_starts_anew)
{
	headers_init(&headers);
	feed(100, 120, 0);
	feed(100, 101, 1);
	cr_assert_eq(fork_of(99), -1);
	cr_assert_eq(fork_of(100), 1);
	cr_assert_eq(fork_of(102), -1);
}
