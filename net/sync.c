#include "net/sync.h"

#include <string.h>

#include "core/log.h"
#include "net/mail.h"
#include "net/node_ring.h"
#include "net/request.h"

static bool is_trusted(const struct session *session)
{
	const struct node_config *config = &session->ring->node->config;
	const uint8_t *remote = link_remote(session->link);

	for (unsigned i = 0; i < config->sync_peers_count; i++) {
		if (memcmp(config->sync_peers[i], remote, SECP_PUBLIC_SIZE) ==
		    0)
			return true;
	}
	return false;
}

void sync_message(struct session *session, struct packet *payload)
{
	struct mail_query query;

	if (!is_trusted(session)) {
		LOG_DEBUG("sync asked for by a peer that may not",
			  log_hex("peer", link_remote(session->link), 8));
		return;
	}
	if (!request_rate_ok(session, 1)) {
		sync_send_failure(session,
				  "requests per seconds limit exceeded");
		return;
	}
	if (mail_sync_decode(payload->bytes, payload->size, &query)) {
		session_breach(session, "malformed sync request");
		return;
	}
	NODE_COUNT(session->ring->node, sync_requests, 1);
	if (request_queue(session, CAP_SHH, NULL, &query))
		sync_send_failure(session, "too many requests");
}

int sync_send_page(struct session *session, struct msgbuf *page)
{
	uint8_t head[MAIL_SYNC_HEAD_MAX];
	uint8_t tail[MAIL_SYNC_TAIL];
	size_t head_size = mail_sync_head(page->size, head);

	mail_sync_tail(tail);
	msgbuf_append(page, tail, sizeof(tail));
	msgbuf_prepend(page, head, head_size);
	return link_send(session->link, CAP_SHH, CODE_SYNC_RESPONSE, page);
}

void sync_send_final(struct session *session, const uint8_t *cursor)
{
	uint8_t out[64];
	size_t len = mail_sync_final_encode(cursor, out);

	(void)link_send_bytes(session->link, CAP_SHH, CODE_SYNC_RESPONSE, out,
			      len);
}

void sync_send_failure(struct session *session, const char *text)
{
	uint8_t out[MAIL_FAILURE_SIZE_MAX];
	size_t len = mail_sync_failure_encode(text, out);

	(void)link_send_bytes(session->link, CAP_SHH, CODE_SYNC_RESPONSE, out,
			      len);
}
