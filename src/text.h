/*
 * text - strings that are made
 */
#ifndef TEXT_H
#define TEXT_H

/* As asprintf(). Heap; NULL: no memory. */
char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
