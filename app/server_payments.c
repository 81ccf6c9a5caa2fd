#include "app/server_payments.h"

#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/log.h"

static const char denied[] = "payment required: ask this server for its offer "
			     "(wmpay/1, or /v1/offer over HTTP)";

/* Ends with its ring's thread. */
static void free_reader(void *reader)
{
	gate_reader_free(reader);
}

static struct gate_reader *reader_of_ring(struct server_payments *sp)
{
	struct gate_reader *reader = pthread_getspecific(sp->reader);

	if (reader)
		return reader;
	reader = gate_reader_new(payments_gate(sp->payments));
	if (reader && pthread_setspecific(sp->reader, reader) != 0) {
		gate_reader_free(reader);
		reader = NULL;
	}
	return reader;
}

static enum gate_answer check(void *ctx,
			      const uint8_t node[static SECP_PUBLIC_SIZE],
			      char text[static GATE_TEXT_MAX])
{
	struct server_payments *sp = ctx;
	struct gate_reader *reader = reader_of_ring(sp);

	if (reader && gate_check(reader, node) != ACCESS_NO)
		return GATE_ALLOW;
	if (!reader)
		LOG_BROKEN("no reader for the gate: everybody is denied");
	(void)snprintf(text, GATE_TEXT_MAX, "%s", denied);
	return GATE_DENY;
}

int server_payments_open(struct server_payments *sp,
			 const struct pay_config *config,
			 const struct secp_key *key, char *why, size_t why_size)
{
	struct payments_config payments = config->payments;
	int err;

	memset(sp, 0, sizeof(*sp));
	if (!config->is_wanted)
		return 0;
	(void)snprintf(why, why_size, "cannot open payments");
	payments.key = key;
	if (pthread_key_create(&sp->reader, free_reader) != 0)
		return ERR_NOMEM;
	sp->has_reader = true;
	err = payments_open(&payments, &sp->payments, why, why_size);
	if (err)
		return err;
	sp->wmpay = pay_wmpay_new(sp->payments);
	return sp->wmpay ? 0 : ERR_NOMEM;
}

void server_payments_config(struct server_payments *sp,
			    struct node_config *config)
{
	if (!sp->payments)
		return;
	config->may_read = (struct node_gate){.check = check, .ctx = sp};
	config->wmpay = (struct node_wmpay){.message = pay_wmpay_message,
					    .ctx = sp->wmpay};
	config->link.caps[CAP_WMPAY] = true;
}

void server_payments_started(struct server_payments *sp, struct node *node)
{
	if (sp->payments)
		pay_wmpay_start(sp->wmpay, node);
}

void server_payments_stop(struct server_payments *sp)
{
	pay_wmpay_stop(sp->wmpay);
}

void server_payments_close(struct server_payments *sp)
{
	payments_close(sp->payments);
	pay_wmpay_free(sp->wmpay);
	if (sp->has_reader)
		(void)pthread_key_delete(sp->reader);
	memset(sp, 0, sizeof(*sp));
}
