/* small_image png|jpg|webp: writes a real one to the standard output, 17 x 9 pixels */
#include "../unit/small_images.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	for (int i = 0; argc == 2 && i < SMALL_IMAGES; i++)
		if (strcmp(small_images[i].extension, argv[1]) == 0)
			return fwrite(small_images[i].data, small_images[i].len, 1, stdout) != 1;
	return 2;
}
