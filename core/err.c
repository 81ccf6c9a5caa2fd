#include "core/err.h"

#include <string.h>

const char *err_str(int err)
{
	if (err == 0)
		return "success";
	switch ((enum err)err) {
	case ERR_NOMEM:
		return "out of memory";
	case ERR_IO:
		return "input or output failed";
	case ERR_CORRUPT:
		return "stored data is damaged";
	case ERR_FULL:
		return "a limit is reached";
	case ERR_EXISTS:
		return "already there";
	case ERR_NOTFOUND:
		return "not found";
	case ERR_SYNTAX:
		return "malformed";
	case ERR_RANGE:
		return "out of range";
	case ERR_PROTOCOL:
		return "protocol broken by the peer";
	case ERR_AUTH:
		return "authentication failed";
	case ERR_DENIED:
		return "not allowed";
	case ERR_TIMEOUT:
		return "timed out";
	case ERR_CLOSED:
		return "closed";
	case ERR_UNSUPPORTED:
		return "not supported here";
	case ERR_AGAIN:
		return "incomplete, try again";
	case ERR_CONFLICT:
		return "changed meanwhile";
	case ERR_UNDERPAID:
		return "underpaid";
	}
	return "unknown error";
}

const char *err_system(int number)
{
	const char *text = strerrordesc_np(number);

	return text ? text : "unknown error of the system";
}
