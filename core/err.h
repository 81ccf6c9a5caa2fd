#ifndef CORE_ERR_H
#define CORE_ERR_H
/*
 * The one list of errors. A command returns 0 or one of these; foreign codes
 * are translated once, at the border where they come in. What only a bug can
 * cause is an assert.
 *
 * Thread: any.
 */

enum err {
	ERR_NOMEM = -1,        /* no memory */
	ERR_IO = -2,           /* the system refused a file, socket or device */
	ERR_CORRUPT = -3,      /* stored bytes are not what was written */
	ERR_FULL = -4,         /* a bound is reached; an answer, never a wait */
	ERR_EXISTS = -5,       /* it is there already */
	ERR_NOTFOUND = -6,     /* it is not there */
	ERR_SYNTAX = -7,       /* text or encoding is malformed */
	ERR_RANGE = -8,        /* a value is outside what is allowed */
	ERR_PROTOCOL = -9,     /* a peer broke the protocol */
	ERR_AUTH = -10,        /* a tag, MAC, proof or signature is wrong */
	ERR_DENIED = -11,      /* well formed, and not allowed */
	ERR_TIMEOUT = -12,     /* it took too long */
	ERR_CLOSED = -13,      /* the other side has gone, or we are stopping */
	ERR_UNSUPPORTED = -14, /* this build, kernel or peer cannot do it */
	ERR_AGAIN = -15,       /* more input or a later try is needed */
	ERR_CONFLICT = -16,    /* what was read has changed meanwhile */
	ERR_UNDERPAID = -17,   /* a payment buys no unit */
};

/* A short English sentence without a full stop; "unknown error" otherwise. */
const char *err_str(int err);
/* What the system says of an `errno`; any thread. */
const char *err_system(int number);

#endif
