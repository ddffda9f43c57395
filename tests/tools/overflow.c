/*
 * overflow - reads one byte past a heap block
 *
 * Role: shows that the sanitizers of this build are alive; tests/self/sanitizers.sh expects it to
 * be caught.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	size_t len = strlen(argv[0]) + (size_t)argc;
	char *block = calloc(1, len);
	volatile size_t past = len;

	if (!block)
		return 1;
	printf("read %d and nobody noticed\n", block[past]);
	free(block);
	return 0;
}
