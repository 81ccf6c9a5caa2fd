#ifndef AUTH_ACCESS_H
#define AUTH_ACCESS_H
/*
 * Who may read history (payments.md §13) and by which clock (§14): pure
 * decisions over a record and the operator's rules.
 *
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>

#include "auth/record.h"

enum access_mode { ACCESS_FREE, ACCESS_PAID, ACCESS_AUDIT };
/* "free", "paid", "audit"; from text: 0 or ERR_SYNTAX. */
const char *access_mode_str(enum access_mode mode);
int access_mode_from_text(const char *text, enum access_mode *out);

struct access_rules {
	enum access_mode mode;
	uint64_t free_until_s; /* everybody until then; 0: not */
	uint32_t grace_s;
};

enum access_answer {
	ACCESS_YES_FREE,       /* the service is free (now) */
	ACCESS_YES,            /* allow list, grant or paid time */
	ACCESS_YES_WOULD_DENY, /* audit: counted, served */
	ACCESS_NO,
};

/* `ent` is NULL when the node has no record. */
enum access_answer access_decide(const struct access_rules *rules,
				 const struct entitlement *ent,
				 bool is_allow_listed, uint64_t deny_now_s);

/*
 * §14: the wall clock, but not later than the newest fresh head of any chain
 * plus 60 s. `head_s` is that head's timestamp, 0 if none is fresh.
 */
#define ACCESS_HEAD_SLACK_S 60
uint64_t access_deny_now(uint64_t wall_s, uint64_t head_s);

#endif
