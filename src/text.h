/*
 * text - strings that are made
 */
#ifndef TEXT_H
#define TEXT_H

/* As asprintf(). Heap; NULL: no memory, which every user of a text for the person survives. */
char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
