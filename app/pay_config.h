#ifndef APP_PAY_CONFIG_H
#define APP_PAY_CONFIG_H
/*
 * From the settings to what payments are opened with. What only payments
 * understand (addresses, prices, policies) is checked here and added to the
 * errors of the settings.
 *
 * Thread: main.
 */
#include "auth/payments.h"
#include "core/settings.h"

#define PAY_CONFIG_PATH_MAX 4096

struct pay_config {
	/* False: free mode with nothing to sell; nothing is to be opened. */
	bool is_wanted;
	char dir[PAY_CONFIG_PATH_MAX];
	struct payments_config payments; /* without key */
	uint8_t (*allow)[SECP_PUBLIC_SIZE];
	char (*names)[SETTINGS_KEY_MAX]; /* of the chains */
};

/* Texts belong to the settings. pay_config_release() is due in any case. */
void pay_config_read(struct settings *s, const char *datadir,
		     struct pay_config *out);
void pay_config_release(struct pay_config *config);

/* "100" or "2.5" tokens of so many decimals. 0, ERR_SYNTAX or ERR_RANGE. */
int pay_config_price(const char *text, unsigned decimals, struct u256 *out);
/* "6", "safe" or "finalized". 0 or ERR_SYNTAX. */
int pay_config_policy(const char *text, struct policy *out);

#endif
