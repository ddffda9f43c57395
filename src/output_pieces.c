/*
 * output_pieces - by what the bytes of a part are known
 *
 * A whole copy has its digest.  Of a part the map has a sum for each piece: a range that is there,
 * cut at the multiples of PIECE.  So a part that is not trusted (output.h) is read once more, and
 * what is not what was written is fetched again.  A piece that has grown is summed anew, which
 * bounds both what a save reads and how many there are.
 *
 * The sum is Poly1305 with a key that everybody knows: it is against damage, not against people,
 * and it is the fastest that libcrypto has.
 */
#include "output_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (1ULL << 20)

void output_pieces_clear(struct output_pieces *pieces)
{
	free(pieces->v);
	*pieces = (struct output_pieces){ 0 };
}

struct output_pieces output_pieces_take_locked(struct output *output)
{
	struct output_pieces taken = output->pieces;

	output->pieces = (struct output_pieces){ 0 };
	return taken;
}

void output_pieces_give_locked(struct output *output, struct output_pieces *pieces, unsigned epoch)
{
	if (output->epoch != epoch)
		return;
	output_pieces_clear(&output->pieces);
	output->pieces = *pieces;
	*pieces = (struct output_pieces){ 0 };
}

static int append(struct output_pieces *pieces, struct output_piece piece)
{
	if ((pieces->count & (pieces->count - 1)) == 0) { /* full, at 0 and the powers of 2 */
		size_t capacity = pieces->count ? 2 * pieces->count : 1;
		void *v = reallocarray(pieces->v, capacity, sizeof(*pieces->v));
		if (!v)
			return -ENOMEM;
		pieces->v = v;
	}
	pieces->v[pieces->count++] = piece;
	return 0;
}

/* BLOCK: PIECE bytes to work with. */
static int sum_of(const struct output *output, struct range range, unsigned char *block,
		  uint64_t *sum)
{
	static const unsigned char key[32] = "what is read is what was written";
	unsigned char mac[16];
	size_t len = (size_t)(range.end - range.start), written = 0;

	ssize_t n = pread(output->fd, block, len, (off_t)range.start);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -EIO;
	if (!EVP_Q_mac(NULL, "POLY1305", NULL, NULL, NULL, key, sizeof(key), block, len, mac,
		       sizeof(mac), &written))
		return -EIO;
	memcpy(sum, mac, sizeof(*sum));
	return 0;
}

static bool same_range(struct range a, struct range b)
{
	return a.start == b.start && a.end == b.end;
}

/* The first piece of OLD, from *AT on, that does not end before RANGE does; both are in order. */
static const struct output_piece *find(const struct output_pieces *old, size_t *at,
				       struct range range)
{
	while (*at < old->count && old->v[*at].range.end < range.end)
		++*at;
	return *at < old->count ? &old->v[*at] : NULL;
}

int output_pieces_make(const struct output *output, const struct range_set *ranges,
		       const struct output_pieces *old, struct output_pieces *out)
{
	unsigned char *block = malloc(PIECE);
	size_t at = 0;
	int r = block ? 0 : -ENOMEM;

	if (!r && range_set_covers(ranges, 0, output->size)) {
		free(block);
		return append(out, (struct output_piece){ .range.end = output->size });
	}
	for (size_t i = 0; i < ranges->count; i++) {
		struct output_piece piece = { .range.start = ranges->v[i].start };
		for (; !r && piece.range.start < ranges->v[i].end;
		     piece.range.start = piece.range.end) {
			uint64_t cut = (piece.range.start / PIECE + 1) * PIECE;
			piece.range.end = cut < ranges->v[i].end ? cut : ranges->v[i].end;
			const struct output_piece *had = find(old, &at, piece.range);
			if (had && same_range(had->range, piece.range))
				piece.sum = had->sum;
			else
				r = sum_of(output, piece.range, block, &piece.sum);
			if (!r)
				r = append(out, piece);
		}
	}
	free(block);
	return r;
}

int output_pieces_check(const struct output *output, struct output_pieces *pieces,
			struct range_set *right)
{
	unsigned char *block = malloc(PIECE);
	size_t kept = 0;
	int r = block ? 0 : -ENOMEM;

	for (size_t i = 0; i < pieces->count && !r; i++) {
		struct output_piece piece = pieces->v[i];
		uint64_t sum = 0;
		if (output_closing(output->cache))
			r = -ECANCELED;
		else if (sum_of(output, piece.range, block, &sum) < 0 || sum != piece.sum)
			continue;
		else if (!(r = range_set_add(right, piece.range.start, piece.range.end)))
			pieces->v[kept++] = piece;
	}
	free(block);
	if (!r && !(pieces->count = kept))
		output_pieces_clear(pieces);
	return r;
}

void output_pieces_format(const struct output_pieces *pieces, FILE *out)
{
	for (size_t i = 0; i < pieces->count; i++)
		fprintf(out, "%" PRIu64 "-%" PRIu64 " %016" PRIx64 "\n", pieces->v[i].range.start,
			pieces->v[i].range.end, pieces->v[i].sum);
}

int output_pieces_parse(struct output_pieces *pieces, struct range_set *ranges, const char *text,
			uint64_t limit)
{
	uint64_t reached = 0;
	int r = 0, len;

	for (; !r && *text; text += len) {
		struct output_piece p;
		len = 0;
		if (sscanf(text, "%" SCNu64 "-%" SCNu64 " %16" SCNx64 "\n%n", &p.range.start,
			   &p.range.end, &p.sum, &len) != 3 ||
		    !len || p.range.start < reached || p.range.start >= p.range.end ||
		    p.range.end > limit)
			return -EINVAL;
		reached = p.range.end;
		r = append(pieces, p);
		if (!r)
			r = range_set_add(ranges, p.range.start, p.range.end);
	}
	return r;
}
