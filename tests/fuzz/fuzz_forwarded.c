/*
 * X-Forwarded-For, written by anybody: whatever it says, the address that is
 * believed is either the one of who is connected, or one that stands in the
 * header and has nothing but trusted proxies to the right of it.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ip_range range_of(const char *text)
{
	struct ip_range range;
	int err = ip_range_decode(text, &range);

	assert(err == 0);
	(void)err;
	return range;
}

static bool is_covered(const struct ip_range *trusted, size_t count,
		       const uint8_t *addr)
{
	for (size_t i = 0; i < count; i++)
		if (ip_range_covers(&trusted[i], addr))
			return true;
	return false;
}

/* The same, read again from what was believed: it is stable. */
static void check_text(const uint8_t addr[static FORWARDED_ADDR_SIZE])
{
	uint8_t again[FORWARDED_ADDR_SIZE];
	char text[INET6_ADDRSTRLEN];

	assert(inet_ntop(AF_INET6, addr, text, sizeof(text)));
	assert(forwarded_addr_decode(text, strlen(text), again));
	assert(memcmp(addr, again, sizeof(again)) == 0);
}

/* Lines are separated by newlines, the last one of the request first. */
static void follow(struct forwarded *f, char *text)
{
	char *save = NULL;
	uint8_t before[FORWARDED_ADDR_SIZE];

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		bool was_trusted =
			is_covered(f->trusted, f->trusted_count, f->addr);
		unsigned hops = f->hops;

		memcpy(before, f->addr, sizeof(before));
		forwarded_line(f, line);
		assert(f->hops >= hops && f->hops <= FORWARDED_HOPS_MAX);
		if (f->hops == hops)
			assert(!memcmp(before, f->addr, sizeof(before)));
		if (!was_trusted)
			assert(f->hops == hops && f->is_over);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ip_range trusted[] = {range_of("127.0.0.1"),
					   range_of("10.0.0.0/8"),
					   range_of("fd00::/8")};
	struct forwarded f = {.trusted = trusted, .trusted_count = 3};
	struct ip_range range;
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (ip_range_decode(text, &range) == 0)
		assert(range.bits > 0 && range.bits <= 128 &&
		       ip_range_covers(&range, range.bytes));
	memcpy(f.addr, trusted[0].bytes, sizeof(f.addr));
	follow(&f, text);
	check_text(f.addr);
	free(text);
	return 0;
}
