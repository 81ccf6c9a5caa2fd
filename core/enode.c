#include "core/enode.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/keccak.h"

#define KEY_DIGITS (2 * (size_t)SECP_PUBLIC_SIZE)

static const char scheme[] = "enode://";
static const char discport[] = "?discport=";

/* Step over `word` if the text begins with it. */
static bool take_word(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) != 0)
		return false;
	*text += len;
	return true;
}

static int take_key(const char **text, uint8_t out[static SECP_PUBLIC_SIZE])
{
	if (strnlen(*text, KEY_DIGITS) < KEY_DIGITS ||
	    hex_decode(*text, KEY_DIGITS, out, SECP_PUBLIC_SIZE))
		return ERR_SYNTAX;
	if (!secp_public_is_valid(out))
		return ERR_RANGE;
	*text += KEY_DIGITS;
	return 0;
}

static int take_port(const char **text, uint16_t *out)
{
	uint32_t port = 0;

	if (!isdigit((unsigned char)**text))
		return ERR_SYNTAX;
	for (; isdigit((unsigned char)**text); ++*text) {
		port = port * 10 + (uint32_t)(**text - '0');
		if (port > UINT16_MAX)
			return ERR_RANGE;
	}
	*out = (uint16_t)port;
	return 0;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

/* The `len` characters of `text`, in lower case. */
static int copy_host(const char *text, size_t len,
		     char out[static ENODE_HOST_MAX + 1])
{
	if (len == 0)
		return ERR_SYNTAX;
	if (len > ENODE_HOST_MAX)
		return ERR_RANGE;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[len] = '\0';
	return 0;
}

static int take_address6(const char **text, char *out)
{
	struct in6_addr address;
	size_t len = strcspn(*text, "]");
	int err;

	if ((*text)[len] != ']')
		return ERR_SYNTAX;
	err = copy_host(*text, len, out);
	if (!err && inet_pton(AF_INET6, out, &address) != 1)
		err = ERR_SYNTAX;
	*text += len + 1;
	return err;
}

static int take_host(const char **text, char *out)
{
	size_t len = 0;
	int err;

	if (take_word(text, "["))
		return take_address6(text, out);
	while (is_name_char((*text)[len]))
		len++;
	err = copy_host(*text, len, out);
	*text += len;
	return err;
}

/* host:port[?discport=n] */
static int take_endpoint(const char **text, struct enode *out)
{
	int err = take_host(text, out->host);

	if (err)
		return err;
	if (!take_word(text, ":"))
		return ERR_SYNTAX;
	err = take_port(text, &out->tcp);
	if (err)
		return err;
	out->udp = out->tcp;
	return take_word(text, discport) ? take_port(text, &out->udp) : 0;
}

int enode_decode(const char *text, struct enode *out)
{
	struct enode enode = {0};
	bool is_url = take_word(&text, scheme);
	int err = take_key(&text, enode.public);

	if (err)
		return err;
	if (is_url && take_word(&text, "@")) {
		err = take_endpoint(&text, &enode);
		if (err)
			return err;
	}
	/* A password stands here in some app lists: `:password@`. */
	if (*text)
		return ERR_SYNTAX;
	*out = enode;
	return 0;
}

size_t enode_encode(const struct enode *enode, char out[static ENODE_TEXT_MAX])
{
	bool is_address6 = strchr(enode->host, ':') != NULL;
	size_t len = sizeof(scheme) - 1;

	memcpy(out, scheme, len);
	hex_encode(enode->public, SECP_PUBLIC_SIZE, out + len);
	len += KEY_DIGITS;
	if (!enode->host[0])
		return len;
	len += (size_t)snprintf(out + len, ENODE_TEXT_MAX - len, "@%s%s%s:%u",
				is_address6 ? "[" : "", enode->host,
				is_address6 ? "]" : "", enode->tcp);
	if (enode->udp != enode->tcp)
		len += (size_t)snprintf(out + len, ENODE_TEXT_MAX - len, "%s%u",
					discport, enode->udp);
	return len;
}

void enode_id(const uint8_t public[static SECP_PUBLIC_SIZE],
	      uint8_t id[static 32])
{
	keccak256(public, SECP_PUBLIC_SIZE, id);
}
