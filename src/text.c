#include "text.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

char *text_format(const char *fmt, ...)
{
	char *text;
	va_list args;
	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	return len < 0 ? NULL : text;
}
