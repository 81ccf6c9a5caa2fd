#include <criterion/criterion.h>
#include <string.h>

#include "app/generate.h"
#include "core/err.h"

#define SIZE 600u

/* The data of the first envelope, opened; its payload is taken from it. */
static void open_first(const struct generate_config *config,
		       const struct secp_key *node, const uint8_t *key)
{
	struct sealed_message message;
	struct generate generate;
	struct envelope env;
	const uint8_t *rlp;
	size_t size;

	cr_assert_eq(generate_init(&generate, config), 0);
	cr_assert_eq(generate_next(&generate, &rlp, &size), 0);
	cr_assert_eq(envelope_decode(rlp, size, &env), 0);
	cr_assert_leq(env.data_size, SIZE);
	cr_assert_eq(sealed_open(rlp + env.data_offset, env.data_size, node,
				 key, &message),
		     0);
	cr_assert_gt(message.payload_size, 0u);
	sealed_release(&message);
	cr_assert_eq(sealed_open(rlp + env.data_offset, env.data_size, NULL,
				 NULL, &message),
		     ERR_AUTH);
	generate_release(&generate);
}

static struct generate_config config_of(enum generate_seal seal)
{
	return (struct generate_config){.count = 1,
					.size = SIZE,
					.topics_count = 1,
					.seed = 1,
					.ttl_s = 15,
					.seal = seal};
}

Test(generate, what_is_sealed_with_a_key_opens_with_it)
{
	struct generate_config config = config_of(GENERATE_SYMMETRIC);

	memset(config.key, 7, sizeof(config.key));
	open_first(&config, NULL, config.key);
}

Test(generate, what_is_sealed_for_a_node_opens_with_its_key)
{
	struct generate_config config = config_of(GENERATE_ASYMMETRIC);
	struct secp_key key;

	secp_key_new(&key);
	memcpy(config.public, key.public, sizeof(config.public));
	open_first(&config, &key, NULL);
}
