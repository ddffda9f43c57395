/*
 * http_answer - answers that are read whole: those that are words, and not models
 */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

size_t http_keep_answer(struct request *request, struct http_answer *answer, size_t max,
			const char *data, size_t len)
{
	if (len > max - answer->len)
		return http_decide(request, REMOTE_TOO_BIG, "the answer has no end");
	if (answer->len + len >= answer->room) {
		size_t room = 2 * (answer->len + len) + 1024;
		char *grown = realloc(answer->text, room);

		if (!grown)
			return http_decide(request, REMOTE_CUT, "no memory for the answer");
		answer->text = grown;
		answer->room = room;
	}
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	answer->text[answer->len] = '\0';
	return len;
}
