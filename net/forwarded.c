#include "net/forwarded.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/err.h"

#define V4_BITS 96 /* before an address of IPv4 that is mapped */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool forwarded_addr_decode(const char *text, size_t len,
			   uint8_t out[static FORWARDED_ADDR_SIZE])
{
	char copy[INET6_ADDRSTRLEN];

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strlen(copy) != len)
		return false;
	memcpy(out, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, out + sizeof(mapped)) == 1 ||
	       inet_pton(AF_INET6, copy, out) == 1;
}

/* ---- ranges ---- */

/* "0" to "128", no sign and no zero in front. */
static int read_bits(const char *text, unsigned max, unsigned *out)
{
	size_t len = strspn(text, "0123456789");
	unsigned bits = 0;

	if (len == 0 || len > 3 || text[len] || (len > 1 && text[0] == '0'))
		return ERR_SYNTAX;
	for (; *text; text++)
		bits = bits * 10 + (unsigned)(*text - '0');
	if (bits == 0 || bits > max)
		return ERR_RANGE;
	*out = bits;
	return 0;
}

int ip_range_decode(const char *text, struct ip_range *out)
{
	size_t len = strcspn(text, "/");
	unsigned bits;
	int err;

	memset(out, 0, sizeof(*out));
	if (!forwarded_addr_decode(text, len, out->bytes))
		return ERR_SYNTAX;
	/* As it is written: ::ffff:192.0.2.0/120 counts from the left. */
	if (memchr(text, ':', len))
		bits = 128;
	else
		bits = 32;
	if (text[len]) {
		err = read_bits(text + len + 1, bits, &bits);
		if (err)
			return err;
	}
	if (!memchr(text, ':', len))
		bits += V4_BITS;
	out->bits = (uint8_t)bits;
	for (unsigned i = bits; i < 128; i++)
		out->bytes[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
	return 0;
}

bool ip_range_covers(const struct ip_range *range,
		     const uint8_t addr[static FORWARDED_ADDR_SIZE])
{
	unsigned whole = range->bits / 8;
	unsigned rest = range->bits % 8;

	if (memcmp(range->bytes, addr, whole) != 0)
		return false;
	return rest == 0 ||
	       ((range->bytes[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

/* ---- the header ---- */

static bool is_trusted(const struct forwarded *f)
{
	if (f->hops == 0 && f->is_peer_trusted)
		return true;
	for (size_t i = 0; i < f->trusted_count; i++)
		if (ip_range_covers(&f->trusted[i], f->addr))
			return true;
	return false;
}

static bool is_port(const char *text, size_t len)
{
	if (len < 2 || len > 6 || text[0] != ':')
		return false;
	for (size_t i = 1; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

/* An address, perhaps in brackets, perhaps with a port. */
static bool read_element(const char *text, size_t len,
			 uint8_t out[static FORWARDED_ADDR_SIZE])
{
	const char *end;
	size_t host;

	if (len > FORWARDED_ELEMENT_MAX)
		return false;
	if (len > 0 && text[0] == '[') {
		end = memchr(text, ']', len);
		if (!end)
			return false;
		host = (size_t)(end - text) - 1;
		len -= host + 2;
		return (len == 0 || is_port(end + 1, len)) &&
		       memchr(text + 1, ':', host) &&
		       forwarded_addr_decode(text + 1, host, out);
	}
	end = memchr(text, ':', len);
	host = end ? (size_t)(end - text) : len;
	if (end && is_port(end, len - host) && memchr(text, '.', host))
		len = host;
	return forwarded_addr_decode(text, len, out);
}

/* The right-most element of the first `len` bytes; false: it is no address. */
static bool take_last(const char *line, size_t *len,
		      uint8_t out[static FORWARDED_ADDR_SIZE])
{
	size_t end = *len, start;

	while (end > 0 && strchr(" \t", line[end - 1]))
		end--;
	start = end;
	while (start > 0 && line[start - 1] != ',')
		start--;
	*len = start > 0 ? start - 1 : 0;
	while (start < end && strchr(" \t", line[start]))
		start++;
	return read_element(line + start, end - start, out);
}

void forwarded_line(struct forwarded *f, const char *line)
{
	uint8_t addr[FORWARDED_ADDR_SIZE];
	size_t len = strlen(line);
	bool is_more = true;

	while (is_more && !f->is_over) {
		f->is_over = f->hops >= FORWARDED_HOPS_MAX || !is_trusted(f);
		if (f->is_over)
			break;
		is_more = memchr(line, ',', len) != NULL;
		if (!take_last(line, &len, addr)) {
			f->is_over = true;
			break;
		}
		memcpy(f->addr, addr, sizeof(addr));
		f->hops++;
	}
}
