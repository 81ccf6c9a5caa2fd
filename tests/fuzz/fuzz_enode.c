/* Enode URLs: what is read is written in one form, which reads the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/enode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct enode *enode)
{
	char text[ENODE_TEXT_MAX];
	char second[ENODE_TEXT_MAX];
	struct enode again;
	size_t len = enode_encode(enode, text);

	assert(len == strlen(text) && len < ENODE_TEXT_MAX);
	assert(enode_decode(text, &again) == 0);
	assert(again.tcp == enode->tcp && again.udp == enode->udp);
	assert(strcmp(again.host, enode->host) == 0);
	assert(memcmp(again.public, enode->public, SECP_PUBLIC_SIZE) == 0);
	(void)enode_encode(&again, second);
	assert(strcmp(text, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct enode enode;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (enode_decode(text, &enode) == 0)
		check_again(&enode);
	free(text);
	return 0;
}
