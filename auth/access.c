#include "auth/access.h"

#include <string.h>

#include "core/err.h"

static const char *const mode_words[] = {
	[ACCESS_FREE] = "free",
	[ACCESS_PAID] = "paid",
	[ACCESS_AUDIT] = "audit",
};

const char *access_mode_str(enum access_mode mode)
{
	return mode_words[mode];
}

int access_mode_from_text(const char *text, enum access_mode *out)
{
	for (int i = 0; i <= ACCESS_AUDIT; i++) {
		if (strcmp(text, mode_words[i]) == 0) {
			*out = (enum access_mode)i;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

/* The table of §13 from «no record» down. */
static bool record_allows(const struct entitlement *ent, uint32_t grace_s,
			  uint64_t deny_now_s)
{
	if (!ent || ent->flags & ENTITLEMENT_SUSPENDED)
		return false;
	if (ent->flags & ENTITLEMENT_NO_END)
		return true;
	/* A node that never had any time has no grace either. */
	if (ent->expiry_s > 0 && (ent->expiry_s > UINT64_MAX - grace_s ||
				  deny_now_s < ent->expiry_s + grace_s))
		return true;
	return ent->kind == PLAN_BUNDLE && ent->quota > 0;
}

enum access_answer access_decide(const struct access_rules *rules,
				 const struct entitlement *ent,
				 bool is_allow_listed, uint64_t deny_now_s)
{
	if (rules->mode == ACCESS_FREE || deny_now_s < rules->free_until_s)
		return ACCESS_YES_FREE;
	if (is_allow_listed || record_allows(ent, rules->grace_s, deny_now_s))
		return ACCESS_YES;
	return rules->mode == ACCESS_AUDIT ? ACCESS_YES_WOULD_DENY : ACCESS_NO;
}

uint64_t access_deny_now(uint64_t wall_s, uint64_t head_s)
{
	/* By subtraction: a head may name any time at all. */
	if (head_s == 0 || wall_s <= head_s ||
	    wall_s - head_s <= ACCESS_HEAD_SLACK_S)
		return wall_s;
	return head_s + ACCESS_HEAD_SLACK_S;
}
