#include "app/pay_text.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <qrencode.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"

static const struct known_token tokens[] = {
	{1, "744d70fdbe2ba4cf95131626614a1763df805b9e", "SNT", 18},
	{11155111, "e452027cdef746c7cd3db31cb700428b16cd8e51", "SNT", 18},
};

const struct known_token *pay_text_token(const struct offer_option *option)
{
	char address[2 * ADDRESS_SIZE + 1];

	hex_encode(option->token, ADDRESS_SIZE, address);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		if (tokens[i].chain_id == option->chain_id &&
		    strcmp(tokens[i].address, address) == 0)
			return &tokens[i];
	}
	return NULL;
}

const char *pay_text_chain(uint64_t chain_id)
{
	switch (chain_id) {
	case 1:
		return "Ethereum";
	case 11155111:
		return "Sepolia, a test chain";
	case 31337:
		return "a development chain";
	default:
		return NULL;
	}
}

void pay_text_amount(const struct u256 *amount, unsigned decimals,
		     const char *symbol, char out[static PAY_TEXT_MAX])
{
	char digits[U256_DECIMAL_MAX + 1];
	char padded[U256_DECIMAL_MAX + 2];
	size_t len = u256_to_decimal(amount, digits);
	size_t whole, rest;

	if (decimals > U256_DECIMAL_MAX) {
		(void)snprintf(out, PAY_TEXT_MAX, "%s base units of %s", digits,
			       symbol);
		return;
	}
	/* At least one digit before the point. */
	if (len <= decimals) {
		memset(padded, '0', decimals + 1 - len);
		memcpy(padded + decimals + 1 - len, digits, len + 1);
		len = decimals + 1;
	} else {
		memcpy(padded, digits, len + 1);
	}
	whole = len - decimals;
	rest = decimals;
	while (rest > 0 && padded[whole + rest - 1] == '0')
		rest--;
	(void)snprintf(out, PAY_TEXT_MAX, "%.*s%s%.*s %s", (int)whole, padded,
		       rest ? "." : "", (int)rest, padded + whole, symbol);
}

void pay_text_span(uint64_t seconds, char out[static PAY_TEXT_MAX])
{
	static const struct {
		uint64_t s;
		const char *name;
	} units[] = {
		{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	size_t i = 0;

	while (seconds % units[i].s != 0)
		i++;
	(void)snprintf(out, PAY_TEXT_MAX, "%" PRIu64 " %s%s",
		       seconds / units[i].s, units[i].name,
		       seconds / units[i].s == 1 ? "" : "s");
}

void pay_text_time(uint64_t at_s, char out[static PAY_TEXT_MAX])
{
	time_t at = (time_t)at_s;
	struct tm tm;

	if (at_s == 0 || at_s > INT64_MAX / 2 || !gmtime_r(&at, &tm) ||
	    strftime(out, PAY_TEXT_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		(void)snprintf(out, PAY_TEXT_MAX,
			       at_s ? "in a far future" : "never");
}

void pay_text_policy(struct policy policy, char out[static PAY_TEXT_MAX])
{
	if (policy.mode == POLICY_CONFIRMATIONS)
		(void)snprintf(out, PAY_TEXT_MAX, "after %" PRIu32 " block%s",
			       policy.confirmations,
			       policy.confirmations == 1 ? "" : "s");
	else
		(void)snprintf(out, PAY_TEXT_MAX, "when %s",
			       policy.mode == POLICY_SAFE ? "safe"
							  : "finalized");
}

/* ---- QR ---- */

#define QUIET 4 /* light modules around a code, as readers want them */

bool pay_text_can_qr(void)
{
	/* No other thread has been started. */
	/* NOLINTBEGIN(concurrency-mt-unsafe) */
	(void)setlocale(LC_CTYPE, "");
	return isatty(STDOUT_FILENO) &&
	       strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	/* NOLINTEND(concurrency-mt-unsafe) */
}

/* 0: as wide as one likes. */
static int columns_of(FILE *out)
{
	struct winsize size = {.ws_col = 0};

	if (!isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_col;
}

/* Is the module dark? Outside of the code all is light. */
static int is_dark(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return 0;
	return code->data[y * code->width + x] & 1;
}

/* Two rows of modules. */
static void print_rows(const QRcode *code, int y, FILE *out)
{
	/* By what is light above and below: ' ', lower, upper, full. */
	static const char *const blocks[] = {" ", "\u2584", "\u2580", "\u2588"};

	for (int x = -QUIET; x < code->width + QUIET; x++)
		(void)fputs(blocks[(is_dark(code, x, y) ? 0 : 2) +
				   (is_dark(code, x, y + 1) ? 0 : 1)],
			    out);
}

int pay_text_qr(const char *text, FILE *out)
{
	QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
	int columns = columns_of(out);
	/* White on black, whatever the terminal's own colours are. */
	const char *on = columns ? "\033[97;40m" : "";
	const char *off = columns ? "\033[0m" : "";

	if (!code)
		return ERR_RANGE;
	if (columns && columns < code->width + 2 * QUIET) {
		QRcode_free(code);
		return ERR_FULL;
	}
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		(void)fputs(on, out);
		print_rows(code, y, out);
		(void)fprintf(out, "%s\n", off);
	}
	QRcode_free(code);
	return 0;
}

char *pay_text_qr_svg(const char *text)
{
	QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
	char *svg = NULL;
	size_t size;
	FILE *out;
	bool is_whole;
	int side;

	if (!code)
		return NULL;
	out = open_memstream(&svg, &size);
	if (!out) {
		QRcode_free(code);
		return NULL;
	}
	side = code->width + 2 * QUIET;
	(void)fprintf(out,
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" "
		      "viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">"
		      "<path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path d=\"",
		      side, side, side, side);
	for (int y = 0; y < code->width; y++) {
		for (int x = 0; x < code->width; x++) {
			if (is_dark(code, x, y))
				(void)fprintf(out, "M%d %dh1v1h-1z", x + QUIET,
					      y + QUIET);
		}
	}
	(void)fputs("\"/></svg>\n", out);
	QRcode_free(code);
	is_whole = !ferror(out);
	if (fclose(out) != 0 || !is_whole) {
		free(svg);
		return NULL;
	}
	return svg;
}
